/**
 * Goal: a writer of entry files tells a session folder that a sweeper took from a staging folder that a checkpoint took.
 * Method: an `EntryWriter` on a simulated disk; what others do at its rename is done to the disk directly.
 */
import { describe, expect, it } from "vitest";
import { EntryWriter, readEntryFile } from "../../src/entries/entry-file.js";
import { fence } from "../../src/entries/fence.js";
import { Layout } from "../../src/format/layout.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

const layout = new Layout("/s");
const STAGE = "1-c0ffee";
const written = { key: "k", revision: 1, modifiedAt: 0, stored: { n: 1 } };
const deleted = { key: "k", revision: 2, modifiedAt: 0, stored: undefined };

function fixture() {
  const disk = new SimulatedDisk();
  disk.makeDirectory(layout.stageFolder(STAGE));
  const fs = disk.mount("process");
  return { disk, fs, writer: new EntryWriter(fs, layout, new ManualRuntime(), NOTHING_DAMAGED) };
}

const NOTHING_DAMAGED = {
  isInLog: () => false,
  isOvertaken: () => false,
  onWarning: ({ message }: { message: string }) => {
    throw new Error(message);
  },
};

describe("O8: ENOENT at the rename", () => {
  it("the session folder is gone: it is made again, and the file is written", async () => {
    const { disk, fs, writer } = fixture();
    let swept = 0;
    fs.onCall = ({ name }) => {
      if (name === "rename" && swept++ === 0) disk.removeRaw(layout.sessionFolder("k"));
    };
    expect(await writer.write(written, STAGE, { sync: false })).toBe("done");
    expect(swept).toBe(2);
    expect(disk.readRaw(layout.entryFile("k"))).toBeDefined();
  });

  it("the staging folder is gone: a file is not written, and a deleted session's file stays for its new owner", async () => {
    const { disk, fs, writer } = fixture();
    expect(await writer.write(written, STAGE, { sync: false })).toBe("done");
    disk.removeRaw(layout.stageFolder(STAGE));
    let renames = 0;
    fs.onCall = (call) => {
      if (call.name === "rename" && ++renames > 3) throw systemError("EIO", call);
    };
    expect(await writer.write(deleted, STAGE, { sync: false })).toBe("fenced");
    expect(await writer.write({ ...written, revision: 3 }, STAGE, { sync: false })).toBe("fenced");
    expect(String(disk.readRaw(layout.entryFile("k")))).toContain('"revision":1');
  });
});

describe("a link in place of a folder", () => {
  async function moved(folder: string) {
    const made = fixture();
    expect(await made.writer.write(written, STAGE, { sync: false })).toBe("done");
    made.disk.makeDirectory("/theirs");
    made.fs.rename(folder, "/theirs/moved");
    made.disk.symlink(folder, "/theirs/moved");
    return { ...made, before: made.disk.tree("/theirs") };
  }

  it("a session's: its file is not read, written or removed through it", async () => {
    const { disk, fs, writer, before } = await moved(layout.sessionFolder("k"));
    expect(readEntryFile(fs, layout, "k")).toMatchObject({ status: "corrupt" });
    const writing = writer.write({ ...written, revision: 2 }, STAGE, { sync: false });
    await expect(writing).rejects.toMatchObject({ code: "file_unsafe" });
    expect(await writer.write(deleted, STAGE, { sync: false })).toBe("done");
    expect(disk.tree("/theirs")).toEqual(before);
  });

  it.each([layout.stage, layout.store])("%s: the fence takes nothing away behind it", async (folder) => {
    const { disk, fs, before } = await moved(folder);
    await expect(fence(fs, layout, 1)).rejects.toMatchObject({ code: "file_unsafe" });
    expect(disk.tree("/theirs")).toEqual(before);
  });
});
