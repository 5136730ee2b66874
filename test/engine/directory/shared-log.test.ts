/**
 * Goal: the log is the one file that is changed in place, so a copy of hard links that shares its segment is left alone
 * soon; nobody is refused for it, and a count of names that is wrong for a moment, or always, has no consequence.
 * Method: second names are made and taken away while a process writes; the clock is moved by hand.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { FileSystem } from "../../../src/fs/file-system.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { interceptCalls } from "../../support/intercept-calls.js";
import { start, STORE, turn, type Process } from "../../support/processes.js";

const segmentsOf = (disk: SimulatedDisk): string[] => disk.names(`${STORE}/.store/log`).sort();

/** So many looks of the background, and the commits that bring them about. */
async function work({ store, runtime }: Process, ms: number): Promise<void> {
  for (let spent = 0; spent < ms; spent += 600) {
    await store.put("k", { spent });
    runtime.advance(600);
    for (let turns = 0; turns < 20; turns++) await turn();
  }
}

it("a segment that a snapshot shares is sealed, with a warning; the snapshot stays as it was then", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", {});
  disk.mount("tool").link(`${STORE}/.store/log/00000001.jsonl`, "/snapshot");
  await work(a, 6000);
  expect(a.warnings.map(({ code }) => code)).toEqual(["log_shared"]);
  expect(segmentsOf(disk)).not.toContain("00000001.jsonl");
  const snapshot = String(disk.readRaw("/snapshot"));
  expect(snapshot).toContain('"seal":2');
  await work(a, 6000);
  expect(String(disk.readRaw("/snapshot"))).toBe(snapshot);
  expect(a.store.getSync("k")).toBeDefined();
});

it("a process too short-lived for that seals before its first commit: nothing it deletes is gone from the copy", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", {});
  await a.store.close();
  disk.mount("tool").link(`${STORE}/.store/log/00000001.jsonl`, "/copy");
  const b = await start(disk, "B");
  await b.store.delete("k");
  await b.store.close();
  expect(b.warnings.map(({ code }) => code)).toEqual(["log_shared"]);
  expect(String(disk.readRaw("/copy"))).toMatch(/"seal":2.*\n$/);
  expect((await start(disk, "C")).store.getSync("k")).toBeUndefined();
});

it("the second name that a crash left in the staging folder is nobody's copy", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", {});
  await a.store.close();
  const [stage] = disk.names(`${STORE}/.store/stage`);
  disk
    .mount("tool")
    .link(`${STORE}/.store/log/00000001.jsonl`, `${STORE}/.store/stage/${String(stage)}/segment`);
  const b = await start(disk, "B");
  await b.store.close();
  expect(b.warnings).toEqual([]);
});

it("a second name that comes and goes is not worth a segment", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", {});
  const tool = disk.mount("tool");
  for (let round = 0; round < 4; round++) {
    tool.link(`${STORE}/.store/log/00000001.jsonl`, "/staged");
    await work(a, 1000);
    tool.unlink("/staged");
    await work(a, 1000);
  }
  expect(a.warnings).toEqual([]);
  expect(segmentsOf(disk)).toEqual(["00000001.jsonl"]);
});

it("a file system that always counts two names costs a segment a minute, and refuses nothing", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A", { through: alwaysTwo });
  await work(a, 50_000);
  expect(a.warnings.map(({ code }) => code)).toEqual(["log_shared"]);
  await work(a, 25_000);
  expect(a.warnings).toHaveLength(2);
  await (await start(disk, "B", { through: alwaysTwo })).store.put("l", {});
});

function alwaysTwo(fs: SimulatedFileSystem): FileSystem {
  return interceptCalls(fs, {
    fstat: (fd) => ({ ...fs.fstat(fd), links: 2 }),
    later: { fstat: async (fd) => ({ ...(await fs.later.fstat(fd)), links: 2 }) },
  });
}
