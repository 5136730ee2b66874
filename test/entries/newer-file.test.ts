/**
 * Goal: a file with a higher revision than the state that is to be written is never replaced unseen.
 * Method: an `EntryWriter` on a simulated disk with such a file; a log that explains it, and one that does not.
 */
import { expect, it } from "vitest";
import { EntryWriter, readEntryFile } from "../../src/entries/entry-file.js";
import type { StoreWarning } from "../../src/errors.js";
import { Layout } from "../../src/format/layout.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";

const layout = new Layout("/s");
const STAGE = "1-c0ffee";
const newer = { key: "k", revision: 900, modifiedAt: 0, stored: { n: "newer" } };
const older = { key: "k", revision: 400, modifiedAt: 0, stored: { n: "older" } };

async function fixture(overtaken: boolean) {
  const disk = new SimulatedDisk();
  for (const folder of [layout.stageFolder(STAGE), layout.quarantine]) disk.makeDirectory(folder);
  const fs = disk.mount("process");
  const warnings: StoreWarning[] = [];
  const asked: [string, number][] = [];
  const writer = new EntryWriter(fs, layout, new ManualRuntime(), {
    isInLog: () => true, // says nothing about a file that is whole
    isOvertaken: (key, revision) => {
      asked.push([key, revision]);
      return overtaken;
    },
    onWarning: (warning) => void warnings.push(warning),
  });
  expect(await writer.write(newer, STAGE, { sync: false })).toBe("done");
  return { disk, fs, writer, warnings, asked };
}

it.each([older, { ...older, stored: undefined }])("it stays if the log explains it", async (state) => {
  const { fs, writer, warnings, asked } = await fixture(true);
  expect(await writer.write(state, STAGE, { sync: false })).toBe("done");
  expect(readEntryFile(fs, layout, "k")).toMatchObject({ revision: 900, stored: { n: "newer" } });
  expect(asked).toEqual([["k", 900]]);
  expect(warnings).toEqual([]);
});

it.each([
  [older, { status: "present", revision: 400 }],
  [{ ...older, stored: undefined }, { status: "absent" }],
])("it is kept in the quarantine if nothing does, and then replaced or removed", async (state, left) => {
  const { disk, fs, writer, warnings } = await fixture(false);
  const bytes = disk.readRaw(layout.entryFile("k"));
  expect(await writer.write(state, STAGE, { sync: false })).toBe("done");
  expect(readEntryFile(fs, layout, "k")).toMatchObject(left);
  expect(warnings).toMatchObject([{ code: "entry_quarantined", data: { key: "k" } }]);
  expect(disk.readRaw(String(warnings[0]?.data?.["kept"]))).toEqual(bytes);
});

it("a file of the same or a lower revision is replaced without a question", async () => {
  const { fs, writer, asked } = await fixture(true);
  for (const revision of [900, 901])
    expect(await writer.write({ ...newer, revision, stored: { n: revision } }, STAGE, { sync: false })).toBe(
      "done",
    );
  expect(readEntryFile(fs, layout, "k")).toMatchObject({ revision: 901, stored: { n: 901 } });
  expect(asked).toEqual([]);
});

it("nothing is kept or replaced once the staging folder is gone", async () => {
  const { disk, fs, writer, warnings } = await fixture(false);
  disk.removeRaw(layout.stageFolder(STAGE));
  expect(await writer.write(older, STAGE, { sync: false })).toBe("fenced");
  expect(readEntryFile(fs, layout, "k")).toMatchObject({ revision: 900 });
  expect(warnings).toEqual([]);
});
