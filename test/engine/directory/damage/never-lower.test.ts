/**
 * Goal: a session's file never goes back: a newer one that the log explains stays, one that nothing explains, or
 * nobody can read, is kept before it is replaced.
 * Method: processes that are stopped with an old state in their hands, and files from elsewhere.
 */
import { expect, it } from "vitest";
import { crc32Hex } from "../../../../src/format/crc32.js";
import { composeEntryDocument } from "../../../../src/format/entry-document.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, start, STORE, turn, type Entry } from "../../../support/processes.js";
import { parkAt } from "../protocol/rule-scenes.js";
import { entryFile, fileRevision, flip, quarantine } from "./scenes.js";

const plusOne = (entry: Entry | undefined): Entry => ({ n: Number(entry?.["n"] ?? 0) + 1 });

it("a late flusher does not replace the newer file of another process, in the same segment", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  const parking = parkAt(a, ({ name }) => name === "fdatasync"); // it has its states, and looks at no file yet
  await start(disk, "other").then(({ store }) => store.put("l", { n: 1 }));
  const flushing = a.store.flush();
  await turn();
  const reached = parking.reached;
  const b = await start(disk, "B");
  const { revision } = (await b.store.update("k", plusOne))!;
  await settled(b.store.flush(), b);
  expect(fileRevision(disk, entryFile("k"))).toBe(revision);
  const renames: unknown[] = [];
  a.fs.onCall = ({ name, args }) =>
    void (name === "rename" && String(args[1]).includes("/k/") && renames.push(args));
  parking.release();
  await settled(flushing, a);
  expect(reached).toBe(true);
  expect(renames).toEqual([]);
  expect(fileRevision(disk, entryFile("k"))).toBe(revision);
  expect(quarantine(disk)).toEqual([]);
});

it("a newer file that nothing explains goes into the quarantine before it is replaced", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  const foreign = { key: "k", revision: 1_000_000, modifiedAt: 1, stored: { from: "elsewhere" } };
  const { bytes } = composeEntryDocument(foreign);
  disk.writeRaw(entryFile("k"), bytes);
  const kept = (): string[] =>
    quarantine(disk).filter((name) => disk.readRaw(`${STORE}/.store/quarantine/${name}`)?.equals(bytes));
  let keptBefore: boolean | undefined;
  a.fs.onCall = ({ name, args }) => {
    if (name === "rename" && String(args[1]).endsWith("/k/meta.json")) keptBefore = kept().length === 1;
  };
  await settled(a.store.flush(), a);
  expect(keptBefore).toBe(true);
  expect(fileRevision(disk, entryFile("k"))).toBe((await a.store.read("k"))?.revision);
  expect(a.warnings).toMatchObject([{ code: "entry_quarantined", data: { key: "k", path: entryFile("k") } }]);
});

it("a deletion takes no newer file away that nothing explains without keeping it", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await a.store.delete("k");
  const { bytes } = composeEntryDocument({
    key: "k",
    revision: 1_000_000,
    modifiedAt: 1,
    stored: { from: "elsewhere" },
  });
  disk.writeRaw(entryFile("k"), bytes);
  await settled(a.store.checkpoint(), a);
  expect(disk.readRaw(entryFile("k"))).toBeUndefined();
  expect(quarantine(disk)).toHaveLength(1);
  expect(await a.store.get("k")).toBeUndefined();
});

it("a file of the same or an older revision is replaced without a word", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await settled(a.store.flush(), a);
  await a.store.put("k", { n: 2 });
  await settled(a.store.flush(), a);
  expect(fileRevision(disk, entryFile("k"))).toBe((await a.store.read("k"))?.revision);
  expect(quarantine(disk)).toEqual([]);
  expect(a.warnings).toEqual([]);
});

it("a damaged file is kept before it is replaced, though other bytes have its name in the quarantine", async () => {
  const disk = new SimulatedDisk();
  const before = await start(disk, "before");
  await before.store.put("a", { n: 1 });
  await settled(before.store.checkpoint(), before);
  await settled(before.store.close(), before);
  flip(disk, entryFile("a"), 20);
  const damaged = disk.readRaw(entryFile("a"))!;

  disk.writeRaw(`${STORE}/.store/quarantine/a.${crc32Hex(damaged)}.json`, Buffer.from("other bytes"));
  const after = await start(disk, "after");
  await settled(after.store.put("a", { n: 2 }), after);
  await settled(after.store.flush(), after);
  const kept = quarantine(disk).map((name) => disk.readRaw(`${STORE}/.store/quarantine/${name}`));
  expect(kept.some((bytes) => bytes?.equals(damaged))).toBe(true);
});
