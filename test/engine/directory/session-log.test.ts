/**
 * Goal: what a process believes of a file is what the log says, in the moment between the two readings too.
 * Method: what another process does there was done on a copy of the disk, and is put in place at the critical call.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { start, STORE, type Process } from "../../support/processes.js";
import { arrive } from "./meanwhile.js";

const LOG = `${STORE}/.store/log`;
const FILE = `${STORE}/k/meta.json`;

async function checkpointed(): Promise<{ disk: SimulatedDisk; segment: string }> {
  const disk = new SimulatedDisk();
  const writer = await start(disk, "writer");
  await writer.store.put("k", { n: 1 });
  await writer.store.checkpoint();
  await writer.store.close();
  return { disk, segment: `${LOG}/${disk.names(LOG)[0]!}` };
}

/** Does something right before a process opens the session's file, once. */
function atFile({ fs }: Process, work: () => void): void {
  fs.onCall = ({ name, args }) => {
    if (name !== "open" || !String(args[0]).endsWith("/k/meta.json")) return;
    fs.onCall = undefined;
    work();
  };
}

it("a damaged file that another process has just replaced is no damage: the log has the session", async () => {
  const { disk, segment } = await checkpointed();
  disk.writeRaw(FILE, "{");
  const future = disk.clone();
  const other = await start(future, "other");
  const { revision } = await other.store.put("k", { n: 2 }); // its file is not written yet
  const a = await start(disk, "A");
  atFile(a, () => disk.writeRaw(segment, future.readRaw(segment)!));
  expect(await a.store.read("k")).toMatchObject({ revision, entry: { n: 2 } });
});

it("O5: a file that another process has just written is not ahead of the log: a writer needs no new segment", async () => {
  const { disk, segment } = await checkpointed();
  const future = disk.clone();
  const other = await start(future, "other");
  const { revision } = await other.store.put("k", { n: 2 });
  await other.store.flush();
  const a = await start(disk, "A");
  atFile(a, () => {
    for (const path of [segment, FILE]) disk.writeRaw(path, future.readRaw(path)!);
  });
  const record = await a.store.update("k", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
  expect(record).toMatchObject({ entry: { n: 3 } });
  expect(record?.revision).toBeGreaterThan(revision);
  expect(disk.names(LOG)).toHaveLength(1);
});

it("O12: a listing does not remember a file that it read before it rewound", async () => {
  const { disk, segment } = await checkpointed();
  const future = disk.clone();
  const other = await start(future, "other");
  await other.store.put("k", { n: 2 });
  await other.store.flush();
  const flushed = future.readRaw(FILE)!;
  let sealed: Buffer | undefined;
  other.fs.onCall = ({ name }) => void (name === "unlink" && (sealed = future.readRaw(segment) ?? sealed));
  await other.store.checkpoint();
  await other.store.delete("k"); // in a segment that the sleeper never sees
  await other.store.checkpoint();
  await other.store.put("l", {});
  await other.store.checkpoint();
  const a = await start(disk, "A");
  atFile(a, () => {
    disk.writeRaw(FILE, flushed);
    let closed = false;
    a.fs.onCall = ({ name }) => {
      if (closed) arrive(disk, future, segment, sealed);
      if (closed) a.fs.onCall = undefined;
      closed ||= name === "close";
    };
  });
  expect((await a.store.list()).sessions.map(({ key }) => key)).toEqual(["l"]);
  expect(a.fs.onCall).toBeUndefined();
  expect(await a.store.get("k")).toBeUndefined();
});

it("knows behind which revision only transcripts changed, in each process, also behind a checkpoint", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  const { revision } = await a.store.put("k", { n: 1 });
  await a.store.append("k", [1, 2]);
  const b = await start(disk, "B");
  for (const { store } of [a, b]) expect(store.recordsRevisionSync()).toBe(revision);
  await a.store.checkpoint();
  await a.store.append("k", [3]);
  const c = await start(disk, "C"); // of what is in front of the live log it cannot tell
  const known = c.store.recordsRevisionSync();
  expect(known).toBeGreaterThanOrEqual(revision);
  expect(known).toBeLessThan(c.store.revisionSync());
  for (const { store } of [a, b]) expect(store.recordsRevisionSync()).toBe(revision);
  await a.store.append("other", [1]);
  expect(c.store.recordsRevisionSync()).toBe(known);
  await a.store.transact(async (tx) => {
    await tx.append("k", [4]);
    await tx.delete("other");
  });
  const deleted = a.store.revisionSync();
  for (const { store } of [a, b, c]) expect(store.recordsRevisionSync()).toBe(deleted);
});

it("a process that could not read the whole log does not claim that only transcripts changed", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await a.store.append("k", [1]);
  const segment = `${LOG}/${disk.names(LOG)[0]!}`;
  const bytes = Buffer.from(disk.readRaw(segment)!);
  const at = bytes.lastIndexOf("\n", bytes.indexOf('"k":"k"')) + 30;
  bytes[at] = bytes[at]! ^ 1;
  disk.writeRaw(segment, bytes);
  const b = await start(disk, "B");
  expect(b.store.recordsRevisionSync()).toBe(b.store.revisionSync());
});
