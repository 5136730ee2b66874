/**
 * Goal: a checkpoint looks at lines that its process has written itself as it does at all others (T5), and puts them right, however
 * little it composes anew; a cut, other processes' lines and segments that are gone lead it nowhere else (T1).
 * Method: stores with small chunks. Between a flush and a checkpoint files are changed behind the store's back, or others go on; then
 * the files must have each line at its place.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ItemRecords } from "../../../../src/engine/directory/transcripts/item-records.js";
import { HotTranscript } from "../../../../src/engine/directory/transcripts/hot-transcript.js";
import { WrittenLines } from "../../../../src/engine/directory/transcripts/written-lines.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { CallLog } from "../../../support/call-log.js";
import { settled, STORE, turn, type Process } from "../../../support/processes.js";
import { append, chunkNames, expectFiles, startSmall, stateOf } from "./scene.js";

const KEYS = ["k"];
const OS = { durability: "os", chunkBytes: 2000 } as const;

let disk: SimulatedDisk;
let log: CallLog;
let a: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  log = new CallLog();
  a = await startSmall(disk, "A", { ...OS, through: log.through });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const flush = (process = a): Promise<void> => settled(process.store.flush(), process);
const checkpoint = (process = a): Promise<void> => settled(process.store.checkpoint(), process);
const pathOf = (index = 0): string => `${STORE}/k/${chunkNames(disk, "k")[index]}`;
const bytesOf = (path = pathOf()): Buffer => disk.readRaw(path) ?? Buffer.alloc(0);

/** A while in which A does what it does without being told. */
async function flushedByItself(): Promise<void> {
  a.runtime.advance(1000);
  for (let turns = 0; turns < 50; turns++) await turn();
}

/** The files have what `process` says, each line whole. */
async function expectRight(process = a): Promise<void> {
  expectFiles(disk, await stateOf(process.store, KEYS), KEYS);
}

/** Changes one byte. */
function damage(path: string, at: number): void {
  const bytes = Buffer.from(bytesOf(path));
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  disk.writeRaw(path, bytes);
}

const DAMAGES: readonly (readonly [name: string, damage: (path: string, bytes: Buffer) => void])[] = [
  ["a byte of the first line", (path) => damage(path, 12)],
  ["a byte of an item that came with the file", (path) => damage(path, bytesOf(path).indexOf('"n":2') + 4)],
  ["a byte of an item that came later", (path) => damage(path, bytesOf(path).indexOf('"n":4') + 4)],
  ["the last newline", (path, bytes) => damage(path, bytes.length - 1)],
  ["its end", (path, bytes) => disk.writeRaw(path, bytes.subarray(0, bytes.length - 30))],
  ["all its lines", (path, bytes) => disk.writeRaw(path, bytes.subarray(0, bytes.indexOf("\n") + 1))],
  ["all its bytes", (path) => disk.writeRaw(path, "")],
  ["what it had, for NUL bytes", (path, bytes) => disk.writeRaw(path, Buffer.alloc(bytes.length))],
  ["the order of its bytes", (path, bytes) => disk.writeRaw(path, Buffer.from(bytes).swap16())],
];

describe("a checkpoint of what its process has flushed", () => {
  it.each(DAMAGES)("puts it right where a file has lost %s", async (_name, lose) => {
    await append("k", 1, 3)(a.store);
    await flush();
    await append("k", 4, 2)(a.store);
    await flush();
    const whole = bytesOf();
    lose(pathOf(), whole.length % 2 === 0 ? whole : whole.subarray(0, -1));
    expect(bytesOf()).not.toEqual(whole);
    await checkpoint();
    expect(bytesOf()).toEqual(whole);
    await expectRight();
  });

  it("reads it, and writes nothing, if it is right", async () => {
    await append("k", 1, 3)(a.store);
    await flush();
    await append("k", 4, 2)(a.store);
    await flush();
    const [chunk] = chunkNames(disk, "k");
    log.clear();
    const composed = vi.spyOn(ItemRecords.prototype, "jsonOf");
    await checkpoint();
    expect(composed.mock.calls.length).toBe(0);
    log.expectInOrder(`open k/${chunk}`, `read k/${chunk}`, `fdatasync k/${chunk}`, `unlink log/1`);
    expect(log.calls).not.toContain(`write k/${chunk}`);
  });

  it("puts each of several files right", async () => {
    await append("k", 1, 30)(a.store);
    await flush();
    await append("k", 31, 30)(a.store);
    await flush();
    const whole = chunkNames(disk, "k").map((_, index) => bytesOf(pathOf(index)));
    expect(whole.length).toBeGreaterThan(3);
    for (const [index, bytes] of whole.entries()) damage(pathOf(index), bytes.length - 5);
    await checkpoint();
    expect(chunkNames(disk, "k").map((_, index) => bytesOf(pathOf(index)))).toEqual(whole);
  });

  it("puts right what was damaged in the middle of a lazy flush of later lines", async () => {
    await append("k", 1, 3)(a.store);
    await flush();
    damage(pathOf(), bytesOf().indexOf('"n":2') + 4);
    await append("k", 4, 2)(a.store);
    await flush();
    await checkpoint();
    await expectRight();
  });
});

describe("lines of a segment that is gone", () => {
  beforeEach(async () => {
    await append("k", 1, 3)(a.store);
    await flush();
  });

  it("keep no later one from being put right", async () => {
    const b = await startSmall(disk, "B", OS);
    await sealedMeanwhile(b, () => append("k", 4, 2)(a.store));
    await flush();
    const whole = bytesOf();
    damage(pathOf(), whole.indexOf('"n":5') + 4);
    await checkpoint();
    expect(bytesOf()).toEqual(whole);
  });

  it("cannot be put right, and later ones are nevertheless", async () => {
    const b = await startSmall(disk, "B", OS);
    await sealedMeanwhile(b, () => append("k", 4, 2)(a.store));
    await flush();
    damage(pathOf(), bytesOf().indexOf('"n":2') + 4);
    const worse = bytesOf();
    damage(pathOf(), worse.indexOf('"n":5') + 4);
    await checkpoint();
    expect(bytesOf()).toEqual(worse);
  });

  const torn: readonly (readonly [name: string, tear: (path: string, bytes: Buffer) => void])[] = [
    ["the newline of the last", (path, bytes) => damage(path, bytes.length - 1)],
    ["the end of the last", (path, bytes) => disk.writeRaw(path, bytes.subarray(0, bytes.length - 30))],
    ["all of them", (path, bytes) => disk.writeRaw(path, bytes.subarray(0, bytes.indexOf("\n") + 1))],
  ];

  it.each(torn)("cost none of the later ones where a file has lost %s", async (_name, tear) => {
    await checkpoint();
    await append("k", 4, 1)(a.store);
    tear(pathOf(), bytesOf());
    await checkpoint();
    const c = await startSmall(disk, "C", OS);
    expect((await c.store.readItems("k", { from: 4 })).items).toMatchObject([{ seq: 4, item: { n: 4 } }]);
    expect(await c.store.append("k", [5])).toMatchObject({ first: 5 });
  });

  it("that another process has brought, behind those of this one, are not this one's", async () => {
    const b = await startSmall(disk, "B", OS);
    await append("k", 4, 1)(b.store);
    // A hears of B's line in the second segment before the first one goes, so that it does not let go of the transcript.
    await sealedMeanwhile(b, () => Promise.all([append("k", 5, 1)(b.store), a.store.transcript("k")]));
    await append("k", 6, 1)(a.store);
    await checkpoint(); // now A lets go of the first segment, and with it of the line in between
    await expectRight();
  });

  it("that another process has brought lie between those that this one has: each is where it belongs", async () => {
    const b = await startSmall(disk, "B", OS);
    await append("k", 4, 1)(b.store);
    await sealedMeanwhile(b, () => append("k", 5, 1)(b.store));
    await append("k", 6, 1)(a.store);
    await flush();
    await expectRight();
    const whole = bytesOf();
    const composed = vi.spyOn(ItemRecords.prototype, "jsonOf");
    await checkpoint();
    expect(composed.mock.calls.length).toBe(0);
    expect(bytesOf()).toEqual(whole);
  });
});

/** B checkpoints the first segment; in front of that, something happens in the second one, so that A goes on to know the transcript. */
async function sealedMeanwhile(b: Process, then: () => Promise<unknown>): Promise<void> {
  let done: Promise<unknown> | undefined;
  b.fs.onCall = ({ name, args }) => {
    if (name === "unlink" && String(args[0]).includes("/log/")) done ??= then();
    return undefined;
  };
  await settled(b.store.checkpoint(), a, b);
  b.fs.onCall = undefined;
  if (done === undefined) throw new Error("no segment went");
  await done;
  await a.store.transcript("k");
}

describe("a cut", () => {
  it("of another process between flush and checkpoint: the files are what is there now", async () => {
    const b = await startSmall(disk, "B", OS);
    await append("k", 1, 5)(a.store);
    await flush();
    await b.store.truncate("k", { afterSeq: 3 });
    await append("k", 6, 2)(b.store);
    await flush();
    await checkpoint();
    await expectRight();
    await expectRight(b);
  });

  it("that removes all: what is made again is written from its first line on", async () => {
    await append("k", 1, 5)(a.store);
    await flush();
    await a.store.removeTranscript("k");
    await append("k", 11, 2)(a.store);
    await flushedByItself();
    const born = (await a.store.transcript("k"))?.revision;
    expect(bytesOf(`${STORE}/k/main.000000000001-${born}.jsonl`).toString()).toContain('"n":12');
    await checkpoint();
    await expectRight();
  });
});

describe("lines in front of those that this process has written", () => {
  it("are looked at as well", async () => {
    const b = await startSmall(disk, "B", OS);
    await append("k", 1, 4)(a.store);
    await checkpoint();
    await a.store.truncate("k", { afterSeq: 2 });
    await append("k", 5, 1)(a.store);
    await flushedByItself(); // which leaves a cut to a checkpoint
    const old = chunkNames(disk, "k");
    b.fs.onCall = ({ name, args }) =>
      name === "link" && String(args[1]).includes("/k/") ? { killAfter: true } : undefined;
    void b.store.checkpoint().catch(() => {}); // it makes the file, and dies
    for (let turns = 0; turns < 100 && chunkNames(disk, "k").length === old.length; turns++) await turn();
    expect(chunkNames(disk, "k").length).toBeGreaterThan(old.length);
    await append("k", 6, 1)(a.store);
    await flushedByItself();
    const path = pathOf(chunkNames(disk, "k").length - 1);
    damage(path, bytesOf(path).indexOf('"n":5') + 4);
    await checkpoint();
    await expectRight();
  });
});

it("of a file whose lines are gone from the log nothing is remembered", () => {
  const written = new WrittenLines();
  const hot = new HotTranscript("k", "main");
  const chunk = { first: 1, born: 7 };
  written.enter(hot, 0, chunk, { from: 0, to: 9, crc: 1 });
  expect(written.rangeOf(hot, chunk)).toEqual({ from: 0, to: 9, crc: 1 });
  written.complete(hot, 0, 3);
  expect(written.rangeOf(hot, chunk)).toBeUndefined();
  expect(written.lastOf(hot)).toBe(3);
});

describe("a file that could not be synced", () => {
  it.each(["by this process", "by another one"])(
    "is written anew, for the system calls it clean now: flushed %s",
    async (who) => {
      const b = await startSmall(disk, "B", OS);
      await append("k", 1, 3)(a.store);
      await flush(who === "by this process" ? a : b);
      let [opened, failed] = [false, false];
      a.fs.onCall = ({ name, args }) => {
        if (name === "open" && args[1] === "update") opened = true;
        if (name !== "fdatasync" || !opened || failed) return undefined;
        failed = true;
        return { failSync: true };
      };
      await expect(checkpoint()).rejects.toMatchObject({ code: "io_error", data: { errno: "EIO" } });
      expect(failed).toBe(true);
      await checkpoint();
      a.fs.kill();
      b.fs.kill();
      disk.powerCut("durable-only");
      const c = await startSmall(disk, "C", OS);
      expect((await c.store.readItems("k")).items.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    },
  );
});
