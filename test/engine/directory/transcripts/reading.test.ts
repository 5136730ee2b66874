/**
 * Goal: a reader answers with a transcript as it was at one moment of its call, whatever others do to the files meanwhile (T4, T7 to T9),
 * and does not read more than it needs.
 * Method: A is stopped between any two of the calls that a read consists of: the first N see the disk as it was, the others as it is when B
 * has appended, cut, trimmed, deleted, flushed or checkpointed. Whatever N is, A's page must be one of the states that there were.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../../src/testing/simulated/file-system.js";
import type { FileSystem } from "../../../../src/fs/file-system.js";
import { interceptCalls } from "../../../support/intercept-calls.js";
import { FULL_SEGMENT, settled, type Process } from "../../../support/processes.js";
import {
  append,
  chunkNames,
  contentsOf,
  expectFiles,
  expectState,
  startSmall,
  stateOf,
  type Change,
  type Contents,
} from "./scene.js";

const KEY = "k";
type Step = Change | "flush" | "checkpoint";

const truncated =
  (afterSeq: number): Change =>
  (store) =>
    store.truncate(KEY, { afterSeq });
const removed: Change = (store) => store.removeTranscript(KEY);
const deleted: Change = (store) => store.delete(KEY);
const trimmed: Change = (store) => store.append(KEY, ["trims"], { maxLength: 3 });

const MEANWHILE: Readonly<Record<string, readonly Step[]>> = {
  appends: [append(KEY, 50, 5)],
  "appends and checkpoints": [append(KEY, 50, 5), "checkpoint"],
  "appends and checkpoints twice": [append(KEY, 50, 5), "checkpoint", append(KEY, 60, 5), "checkpoint"],
  "cuts and flushes": [truncated(4), append(KEY, 50, 4), "flush"],
  "cuts and checkpoints": [truncated(4), append(KEY, 50, 4), "checkpoint"],
  "cuts twice and checkpoints in between": [
    truncated(7),
    "checkpoint",
    append(KEY, 50, 3),
    truncated(3),
    "checkpoint",
  ],
  "trims and checkpoints": [trimmed, "checkpoint", trimmed],
  "removes and makes anew": [removed, append(KEY, 50, 2), "checkpoint"],
  "deletes and makes anew": [deleted, append(KEY, 50, 2), "checkpoint", append(KEY, 60, 9)],
  "deletes for good": [deleted, "checkpoint"],
  "checkpoints only": ["checkpoint"],
};

/** What A knows of the log, and where the transcript is. */
const BEFORE: Readonly<Record<string, readonly Step[]>> = {
  "in files": [append(KEY, 1, 12), "checkpoint"],
  "in the log": [append(KEY, 1, 12)],
  "in both": [append(KEY, 1, 9), "checkpoint", append(KEY, 10, 5), truncated(11)],
};

const READS: Readonly<Record<string, (process: Process) => Promise<Contents>>> = {
  forwards: ({ store }) => contentsOf(store, KEY),
  backwards: async ({ store }) => {
    const { items, last, length } = await store.readItems(KEY, { backwards: true });
    return { items: items.map(({ seq, item, id }) => [seq, item, id] as const).toReversed(), last, length };
  },
};

async function doAll({ store }: Process, b: Process, steps: readonly Step[]): Promise<void> {
  for (const step of steps) await settled(typeof step === "string" ? store[step]() : step(store), b);
}

async function run(before: readonly Step[], steps: readonly Step[], calls: number): Promise<boolean> {
  let all = false;
  for (const read of Object.values(READS)) {
    const disk = new SimulatedDisk();
    const b = await startSmall(disk, "B", { durability: "os", cacheBytes: 0 });
    await doAll(b, b, before);
    const a = await startSmall(disk, "A", { durability: "os", cacheBytes: 0 });
    const states = [await contentsOf(b.store, KEY)];
    a.fs.fallAsleep(calls);
    for (const step of steps) {
      await doAll(b, b, [step]);
      states.push(await contentsOf(b.store, KEY));
    }
    const found = await read(a);
    all = a.fs.asleep;
    a.fs.wakeUp();
    expect(states, `the first ${calls} calls in the past`).toContainEqual(found);
    expect(await contentsOf(a.store, KEY)).toEqual(states.at(-1));
    expect([...a.warnings, ...b.warnings]).toEqual([]);
    for (const { fs } of [a, b]) fs.kill();
  }
  return !all;
}

describe.each(Object.keys(BEFORE))("a transcript %s is read, and meanwhile another process", (before) => {
  it.each(Object.keys(MEANWHILE))("%s", async (name) => {
    let calls = 1;
    while (await run(BEFORE[before] ?? [], MEANWHILE[name] ?? [], calls)) calls++;
    // Where the log has all of it, one look at the log is all there is to a read.
    expect(calls).toBeGreaterThan(before === "in the log" ? 0 : 2);
  });
});

/** The last file begins anew with lines that were in files already, and with some that only the log had. */
describe("a file that took over items of the log", () => {
  const RECUTS: Readonly<Record<string, Change>> = {
    "by a truncation": truncated(14),
    "by a trim": (store) => store.trim(KEY, { beforeSeq: 3 }),
  };

  it.each(Object.keys(RECUTS))("%s is read in both directions", async (name) => {
    const disk = new SimulatedDisk();
    const b = await startSmall(disk, "B", { durability: "os", cacheBytes: 0, chunkBytes: 1024 * 1024 });
    await doAll(b, b, [append(KEY, 1, 10), "checkpoint", append(KEY, 11, 8), RECUTS[name] as Change]);
    const state = await stateOf(b.store, [KEY]);
    await doAll(b, b, ["flush"]);
    expect(chunkNames(disk, KEY)).toHaveLength(2);
    const a = await startSmall(disk, "A", { durability: "os", cacheBytes: 0, chunkBytes: 1024 * 1024 });
    for (const process of [a, b]) await expectState(process, state, [KEY]);
    await doAll(b, b, [truncated(12), append(KEY, 60, 2), "checkpoint"]);
    for (const process of [a, b]) await expectState(process, await stateOf(b.store, [KEY]), [KEY]);
  });
});

it("a dead file that a checkpoint removes between a reader's listing and its opening is no damage", async () => {
  const disk = new SimulatedDisk();
  const b = await startSmall(disk, "B", { durability: "os", cacheBytes: 0 });
  await doAll(b, b, [append(KEY, 1, 5), "checkpoint"]);
  const dead = ["main.000000000099-999999.jsonl"];
  const through = (fs: SimulatedFileSystem): FileSystem =>
    interceptCalls(fs, {
      readdir: (path) =>
        path.endsWith(`/${KEY}`) ? [...fs.readdir(path), ...dead.splice(0)] : fs.readdir(path),
    });
  const a = await startSmall(disk, "A", { durability: "os", cacheBytes: 0, through });
  expect(await contentsOf(a.store, KEY)).toEqual(await contentsOf(b.store, KEY));
  expect(dead).toEqual([]);
});

describe("of 20,000 items in files", () => {
  const COUNT = 20_000;
  const store = (async () => {
    const disk = new SimulatedDisk();
    const options = { durability: "os", chunkBytes: 4 * 1024 * 1024, cacheBytes: 0 } as const;
    const writer = await startSmall(disk, "writer", options);
    for (let from = 1; from <= COUNT; from += 1000) await append(KEY, from, 1000)(writer.store);
    await settled(writer.store.checkpoint(), writer);
    writer.fs.kill();
    return disk;
  })();

  async function bytesRead(read: (process: Process) => Promise<unknown>): Promise<number> {
    const disk = (await store).clone();
    let bytes = 0;
    const through = (fs: SimulatedFileSystem): FileSystem =>
      interceptCalls(fs, {
        read: (...args) => {
          const count = fs.read(...args);
          bytes += count;
          return count;
        },
      });
    const process = await startSmall(disk, "reader", { durability: "os", cacheBytes: 0, through });
    bytes = 0;
    await read(process);
    return bytes;
  }

  it.each<[string, (process: Process) => Promise<unknown>]>([
    ["the newest 50", ({ store: s }) => s.readItems(KEY, { backwards: true, limit: 50 })],
    ["50 in the middle", ({ store: s }) => s.readItems(KEY, { from: COUNT / 2, limit: 50 })],
    [
      "50 in the middle, backwards",
      ({ store: s }) => s.readItems(KEY, { to: COUNT / 2, backwards: true, limit: 50 }),
    ],
    ["the length", ({ store: s }) => s.transcript(KEY)],
    ["an append", ({ store: s }) => s.append(KEY, [1])],
    ["a truncation in the middle", ({ store: s }) => s.truncate(KEY, { afterSeq: COUNT / 2 })],
  ])("%s needs a small part", async (_name, read) => {
    expect(await bytesRead(read)).toBeLessThan(500_000);
  });
});

describe("files on their way", () => {
  it("a lazy flush writes lines, and leaves what was cut to an explicit one", async () => {
    const disk = new SimulatedDisk();
    const { store, runtime, ...rest } = await startSmall(disk, "A", { durability: "os", flushDelayMs: 100 });
    const process = { store, runtime, ...rest };
    await append(KEY, 1, 3)(store);
    for (let turns = 0; turns < 200; turns++) {
      runtime.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [first = ""] = chunkNames(disk, KEY);
    expect(chunkNames(disk, KEY)).toHaveLength(1);
    await store.truncate(KEY, { length: 2 });
    for (let turns = 0; turns < 200; turns++) {
      runtime.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(chunkNames(disk, KEY)).toEqual([first]);
    await settled(store.flush(), process);
    expect(chunkNames(disk, KEY)).toHaveLength(2);
    await settled(store.checkpoint(), process);
    expect(chunkNames(disk, KEY)).toHaveLength(1);
    expect(chunkNames(disk, KEY)).not.toEqual([first]);
  });

  it("items are found through a cut whose file is not made yet, and what it begins with stays", async () => {
    const disk = new SimulatedDisk();
    const a = await startSmall(disk, "A", { durability: "os" });
    await append(KEY, 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    await a.store.truncate(KEY, { afterSeq: 11 });
    await a.store.truncate(KEY, { afterSeq: 10 });
    const b = await startSmall(disk, "B", { durability: "os" });
    for (const process of [a, b]) await expectState(process, await stateOf(a.store, [KEY]), [KEY]);
    // Computed through both of them, by a process that has made neither.
    await b.store.truncate(KEY, { afterSeq: 9 });
    await append(KEY, 20, 2)(b.store);
    const state = await stateOf(a.store, [KEY]);
    expect(state["k/main"]?.items.map(([seq]) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14]);
    await expectState(b, state, [KEY]);
    await settled(a.store.checkpoint(), a);
    await expectState(await startSmall(disk, "C", { durability: "os" }), state, [KEY]);
  });

  it("a trim is computed through a cut whose file is not made yet, and whose first line is longer", async () => {
    const disk = new SimulatedDisk();
    const a = await startSmall(disk, "A", { durability: "os" });
    await append(KEY, 1, 3)(a.store);
    await settled(a.store.checkpoint(), a);
    await a.store.put("other", FULL_SEGMENT); // revisions have more digits behind it
    await a.store.truncate(KEY, { afterSeq: 2 });
    const b = await startSmall(disk, "B", { durability: "os" });
    await b.store.trim(KEY, { length: 1 });
    const state = await stateOf(b.store, [KEY]);
    expect(state["k/main"]?.items.map(([seq]) => seq)).toEqual([2]);
    await settled(b.store.checkpoint(), b);
    expectFiles(disk, state, [KEY]);
    await expectState(await startSmall(disk, "C", { durability: "os" }), state, [KEY]);
    expect([...a.warnings, ...b.warnings]).toEqual([]);
  });
});

it("from a number that was used and cut off there is nothing, and nothing is missing", async () => {
  const disk = new SimulatedDisk();
  const a = await startSmall(disk, "A");
  await a.store.append("k", [1, 2, 3, 4, 5]);
  await a.store.truncate("k", { length: 3 });
  await settled(a.store.checkpoint(), a);
  const b = await startSmall(disk, "B");
  for (const { store } of [a, b]) {
    expect(await store.readItems("k", { from: 4 })).toMatchObject({ items: [], last: 5, length: 3 });
    expect((await store.readItems("k", { from: 3 })).items.map(({ seq }) => seq)).toEqual([3]);
  }
});

it("from a number that was cut off, items that a file took over from the log come once", async () => {
  const disk = new SimulatedDisk();
  const a = await startSmall(disk, "A");
  const { store } = a;
  await store.append("k", [1, 2, 3, 4, 5]);
  await store.truncate("k", { length: 3 });
  await settled(store.checkpoint(), a);
  await store.append("k", [6, 7]);
  await store.truncate("k", { length: 4 });
  await settled(store.flush(), a);
  expect((await store.readItems("k", { from: 4 })).items.map(({ seq }) => seq)).toEqual([6]);
  expect((await store.readItems("k")).items.map(({ seq }) => seq)).toEqual([1, 2, 3, 6]);
});

it("from a number that was cut off, the file in front of one that the log began is not missed", async () => {
  const disk = new SimulatedDisk();
  const a = await startSmall(disk, "A");
  await append("k", 1, 7)(a.store);
  await a.store.truncate("k", { length: 5 });
  await settled(a.store.checkpoint(), a);
  const [, second = ""] = chunkNames(disk, "k");
  expect(second).toContain(".000000000004-"); // so that it has room for one more
  await append("k", 8, 2)(a.store);
  await a.store.truncate("k", { length: 6 });
  await settled(a.store.flush(), a);
  expect(chunkNames(disk, "k").map((name) => Number(name.slice(5, 17)))).toEqual([1, 4, 10]);
  const b = await startSmall(disk, "B");
  for (const { store } of [a, b])
    for (const [from, found] of [
      [5, [5, 8]],
      [6, [8]],
      [7, [8]],
      [8, [8]],
      [9, []],
    ] as const) {
      expect((await store.readItems("k", { from })).items.map(({ seq }) => seq)).toEqual(found);
    }
});
