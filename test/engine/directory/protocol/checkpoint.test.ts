/**
 * Goal: a checkpoint that is disturbed at its last steps has either done all of them or none.
 * Method: what happens at one critical call is done to the disk directly.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, start, STORE, turn, type Entry } from "../../../support/processes.js";

const STAGE = `${STORE}/.store/stage`;
const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

async function keysListed(disk: SimulatedDisk): Promise<string[]> {
  const fresh = await start(disk, "fresh");
  const { sessions } = await fresh.store.list();
  expect(fresh.warnings).toEqual([]);
  return sessions.map(({ key }) => key).sort();
}

it("a segment's fence takes no other segment's staging folder, so one new segment is enough", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  let made = 0;
  a.fs.onCall = ({ name, args }) => {
    if (name === "mkdir" && /\/stage\/\d+-[0-9a-f]+$/.test(String(args[0])) && ++made > 20) a.fs.kill();
  };
  await settled(a.store.checkpoint(), a);
  expect(made).toBe(1);
});

it("a segment does not go before its catalog is there: the staging folder may vanish under it", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  let vanished = 0;
  a.fs.onCall = ({ name, args }) => {
    if (name !== "rename" || !String(args[1]).endsWith("/catalog-1") || vanished++ > 0) return;
    for (const stage of disk.names(STAGE)) disk.removeRaw(`${STAGE}/${stage}`);
  };
  await settled(a.store.checkpoint(), a);
  expect(vanished).toBeGreaterThan(0);
  expect(a.warnings.map(({ code }) => code)).not.toContain("catalog_rebuilt");
  expect(await keysListed(disk)).toEqual(["k"]);
});

it("a file behind a link in place of the session's folder is none: the checkpoint does not believe it", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await settled(a.store.flush(), a);
  disk.makeDirectory("/theirs");
  disk.mount("mover").rename(`${STORE}/k`, "/theirs/k");
  disk.symlink(`${STORE}/k`, "/theirs/k");
  await expect(settled(a.store.checkpoint(), a)).rejects.toMatchObject({ code: "file_unsafe" });
  expect(disk.names(`${STORE}/.store/log`)).toContain("00000001.jsonl");
});

it("a catalog is merged into the next one only if it is that of the segment before", async () => {
  const disk = new SimulatedDisk();
  const [a, b] = [await start(disk, "A"), await start(disk, "B")];
  for (const [key, process] of [["k1", a] as const, ["k2", b] as const, ["k3", a] as const]) {
    await process.store.put(key, { n: 1 });
    await settled(process.store.checkpoint(), process);
  }
  expect(await keysListed(disk)).toEqual(["k1", "k2", "k3"]);
});

it("a checkpoint that slept while another process finished it does not replace the catalog", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k1", { n: 1 });
  await settled(a.store.checkpoint(), a);
  await a.store.put("k2", { n: 1 });
  let asleep = false;
  let wake = (): void => {};
  const woken = new Promise<void>((resolve) => (wake = resolve));
  let renamed = false;
  let synced = 0;
  a.fs.gate = ({ name, args }) => {
    renamed ||= name === "rename" && String(args[1]).endsWith("/k2/meta.json");
    // First the session's folder, then the store's: everything is verified by then, and the catalog is not there yet.
    if (renamed && name === "fsync") asleep ||= ++synced === 2;
    return asleep ? woken : undefined;
  };
  const checkpoint = a.store.checkpoint();
  for (let turns = 0; turns < 100 && !asleep; turns++) await turn();
  expect(asleep).toBe(true);
  const b = await start(disk, "B", { segmentBytes: 4096, durability: "os" });
  await settled(b.store.checkpoint(), b);
  await b.store.put("bulk", BULK);
  await settled(b.store.put("k4", { n: 1 }), b);
  expect(await a.store.get("k4")).toEqual({ n: 1 });
  a.fs.gate = undefined;
  wake();
  await settled(checkpoint, a);
  expect(await keysListed(disk)).toEqual(["bulk", "k1", "k2", "k4"]);
});

it("a file that somebody took away since it was written is written again", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await settled(a.store.flush(), a);
  disk.removeRaw(`${STORE}/k/meta.json`);
  await settled(a.store.checkpoint(), a);
  expect(await keysListed(disk)).toEqual(["k"]);
});

it("a file that is newer than what was read of the log is right, and not written again", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await settled(a.store.flush(), a);
  await a.store.put("l", { n: 1 });
  let renames = 0;
  let writing = false;
  let goOn = (): void => {};
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  a.fs.gate = ({ name, args }) => {
    if (name === "rename" && String(args[1]).endsWith("/k/meta.json")) renames++;
    writing ||= name === "rename" && String(args[1]).endsWith("/l/meta.json");
    return writing ? gone : undefined;
  };
  const checkpoint = a.store.checkpoint();
  for (let turns = 0; turns < 100 && !writing; turns++) await turn();
  expect(writing).toBe(true);
  const b = await start(disk, "B");
  await b.store.put("k", { n: 2 });
  await settled(b.store.flush(), b);
  goOn();
  await settled(checkpoint, a);
  expect(renames).toBe(0);
  expect(String(disk.readRaw(`${STORE}/k/meta.json`))).toContain('"n":2');
});

it("a snapshot of hard links stays as it was: its files are replaced, never written in place", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  await settled(a.store.flush(), a);
  disk.mount("tool").link(`${STORE}/k/meta.json`, "/snapshot");
  await settled(a.store.checkpoint(), a);
  await a.store.put("k", { n: 2 });
  await settled(a.store.checkpoint(), a);
  expect(String(disk.readRaw("/snapshot"))).toContain('"n":1');
  expect(String(disk.readRaw(`${STORE}/k/meta.json`))).toContain('"n":2');
});

it("a file that is never what was written ends the checkpoint with an error, and the log keeps the session", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  let looks = 0;
  a.fs.onCall = ({ name, args }) => {
    if (name !== "open" || !String(args[0]).endsWith("/k/meta.json") || args[1] !== "read") return;
    disk.writeRaw(`${STORE}/k/meta.json`, "not what was written");
    if (++looks > 1000) a.fs.kill(); // instead of looking for ever
  };
  await expect(settled(a.store.checkpoint(), a)).rejects.toMatchObject({ code: "io_error" });
  a.fs.onCall = undefined;
  expect(await (await start(disk, "B")).store.get("k")).toEqual({ n: 1 });
});
