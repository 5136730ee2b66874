/**
 * Goal: a flush ends with the files written, and with nothing that this process no longer knows to be true.
 * Method: the log and the staging folder are taken away under a process, once while it waits for a sync; a sync fails; a
 * session changes meanwhile.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { parkFrom, settled, start, STORE, turn } from "../../support/processes.js";
import { logLine } from "./sandbox.js";

const SEGMENT_1 = `${STORE}/.store/log/00000001.jsonl`;
const STAGE = `${STORE}/.store/stage`;
const FILE = `${STORE}/k/meta.json`;

it("O10: a flush whose staging folder is lost goes through another segment's", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  for (const name of disk.names(STAGE)) disk.removeRaw(`${STAGE}/${name}`);
  await settled(a.store.flush(), a);
  expect(String(disk.readRaw(FILE))).toContain('"n":1');
});

it("O12: what was taken before a rewind is not written", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: "in a log that is lost" });
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  a.fs.gate = ({ name }) => (name === "fdatasync" ? released : undefined);
  const flush = a.store.flush();
  await turn();
  disk.writeRaw(SEGMENT_1, Buffer.concat([disk.readRaw(SEGMENT_1)!, logLine({ seal: 2 })]));
  disk.removeRaw(SEGMENT_1);
  const b = await start(disk, "B");
  await b.store.put("k", { n: "in the new one" });
  await b.store.flush();
  expect(a.store.getSync("k")).toEqual({ n: "in the new one" });
  a.fs.gate = undefined;
  release();
  await settled(flush, a);
  expect(String(disk.readRaw(FILE))).toContain("in the new one");
});

it("a file whose sync failed in a checkpoint is written anew, not believed to be clean", async () => {
  const disk = new SimulatedDisk({ random: seededRandom(3) });
  const process = await start(disk, "one");
  await settled(process.store.put("k", { n: 1 }), process);
  await settled(process.store.flush(), process);
  let failed = 0;
  const entryFiles = new Set<number>();
  const open = process.fs.open.bind(process.fs);
  const watching: typeof open = (path, mode) => {
    const fd = open(path, mode);
    if (path.endsWith("/meta.json")) entryFiles.add(fd);
    return fd;
  };
  Object.defineProperty(process.fs, "open", { value: watching });
  process.fs.onCall = (call: SimulatedCall) => {
    if (failed > 0 || call.name !== "fdatasync" || !entryFiles.has(Number(call.args[0]))) return undefined;
    failed++;
    return { failSync: true };
  };
  await expect(settled(process.store.checkpoint(), process)).rejects.toMatchObject({ code: "io_error" });
  await settled(process.store.checkpoint(), process);
  expect(failed).toBe(1);
  disk.powerCut("durable-only");
  const fresh = await start(disk, "fresh");
  expect(await fresh.store.get("k")).toEqual({ n: 1 });
});

it("what changes while a flush is under way is flushed afterwards", async () => {
  const disk = new SimulatedDisk();
  const process = await start(disk, "one");
  await settled(process.store.put("k", { n: 1 }), process);
  const parking = parkFrom(process.fs, 1);
  const flushing = process.store.flush();
  for (let turns = 0; turns < 5; turns++) await turn();
  const putting = process.store.put("k", { n: 2 });
  parking.release();
  await settled(Promise.all([flushing, putting]), process);
  for (let turns = 0; turns < 20; turns++) {
    process.runtime.advance(1000);
    await turn();
  }
  expect(disk.readRaw(`${STORE}/k/meta.json`)?.toString()).toContain('"revision":2');
});
