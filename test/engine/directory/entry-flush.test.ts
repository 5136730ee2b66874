/**
 * Goal: a flush ends with the files written, and with nothing that this process no longer knows to be true.
 * Method: the log and the staging folder are taken away under a process, once while it waits for a sync.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { settled, start, STORE, turn } from "../../support/processes.js";
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
