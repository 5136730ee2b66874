/**
 * Goal: work in the background is done in the end: by whom it falls to, when it was due, again after it failed; and it never
 * runs ahead of what it can keep up with.
 * Method: clocks that the test moves, calls that fail for a while, processes that are killed before their work.
 */
import { describe, expect, it } from "vitest";
import { PASSED_OVER_MAX } from "../../../../src/engine/directory/dirty-sessions.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { encodeLogLine } from "../../../../src/format/log-line.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import {
  bigText,
  pass,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../../support/processes.js";

const LOG = `${STORE}/.store/log`;
const FILE = `${STORE}/k/meta.json`;
/** Alone larger than {@link SEGMENT_BYTES}. */
const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);
const SEGMENT_BYTES = 4096;

const isFence = (call: SimulatedCall): boolean =>
  call.deferred && call.name === "readdir" && String(call.args[0]).endsWith("/stage");

function segments(disk: SimulatedDisk): string[] {
  return disk.names(LOG).sort();
}

/** A process whose active segment is full, and which cannot checkpoint the one before. */
async function fullBesideAnother(disk: SimulatedDisk): Promise<Process> {
  const a = await start(disk, "A", { durability: "os", segmentBytes: SEGMENT_BYTES });
  a.fs.onCall = (call) => {
    if (isFence(call)) throw systemError("EIO", call);
  };
  for (let n = 0; n < 3; n++) {
    await settled(a.store.put("k", { ...BULK, n }), a);
    await pass(100, a);
  }
  return a;
}

describe("the file of a session that goes on changing", () => {
  it("waits while it changes, and not for ever", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os", flushDelayMs: 500 });
    await a.store.put("k", { n: 0 });
    let looks = 0;
    while (disk.readRaw(FILE) === undefined && looks < 4 * PASSED_OVER_MAX) {
      looks++;
      await a.store.put("k", { n: looks });
      await pass(500, a);
    }
    // One look more when a change came between two of them, one or two until the file is there.
    expect(looks - PASSED_OVER_MAX).toBeGreaterThanOrEqual(0);
    expect(looks - PASSED_OVER_MAX).toBeLessThanOrEqual(3);
  });

  it("is written at the first look after it has changed for the last time", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os", flushDelayMs: 500 });
    await a.store.put("k", { n: 0 });
    await pass(600, a);
    expect(disk.readRaw(FILE)?.toString()).toContain('"n":0');
  });
});

describe("a full segment", () => {
  it("stays open while the one before it is not checkpointed, up to a bound", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os", segmentBytes: SEGMENT_BYTES });
    a.fs.onCall = (call) => {
      if (isFence(call)) throw systemError("EIO", call);
    };
    const put = async (n: number): Promise<void> => {
      await settled(a.store.put("k", { ...BULK, n }), a);
      await pass(100, a);
    };
    for (let n = 0; n < 8; n++) await put(n);
    expect(segments(disk)).toHaveLength(2);
    for (let n = 8; n < 40; n++) await put(n);
    expect(segments(disk).length).toBeGreaterThanOrEqual(3);
    expect(segments(disk).length).toBeLessThan(8);
  });

  it("is sealed without a further commit when the one before it is gone", async () => {
    const disk = new SimulatedDisk();
    const a = await fullBesideAnother(disk);
    expect(segments(disk)).toEqual(["00000001.jsonl", "00000002.jsonl"]);
    a.fs.onCall = undefined;
    await pass(20_000, a);
    expect(segments(disk)).toEqual(["00000003.jsonl"]);
  });
});

describe("what a dead process leaves", () => {
  async function killedBehindItsSeal(disk: SimulatedDisk): Promise<void> {
    const a = await start(disk, "A", { durability: "os", segmentBytes: SEGMENT_BYTES });
    await a.store.put("k", BULK);
    a.fs.kill();
  }

  it("is checkpointed by a process that goes on in the next segment", async () => {
    const disk = new SimulatedDisk();
    const b = await start(disk, "B", { durability: "os" });
    await killedBehindItsSeal(disk);
    await settled(b.store.put("other", { n: 1 }), b);
    expect(segments(disk)).toHaveLength(2);
    await pass(10_000, b);
    expect(segments(disk)).toEqual(["00000002.jsonl"]);
  });

  it("is checkpointed at once by a process that opens the store", async () => {
    const disk = new SimulatedDisk();
    await killedBehindItsSeal(disk);
    const b = await start(disk, "B", { durability: "os" });
    await pass(200, b);
    expect(segments(disk)).toEqual(["00000002.jsonl"]);
  });

  it("in the store's folder is swept by the first checkpoint of a process", async () => {
    const disk = new SimulatedDisk();
    await killedBehindItsSeal(disk);
    disk.makeDirectory(`${STORE}/dead`);
    const b = await start(disk, "B", { durability: "os" });
    await pass(200, b);
    expect(disk.names(STORE)).not.toContain("dead");
  });

  it("in stage/ for segments that are gone is swept though there is nothing to checkpoint", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    await settled(a.store.checkpoint(), a);
    disk.makeDirectory(`${STORE}/.store/stage/1-00ff`);
    const b = await start(disk, "B", { durability: "os" });
    await settled(b.store.checkpoint(), b);
    expect(disk.names(`${STORE}/.store/stage`)).not.toContain("1-00ff");
  });

  it("has its files written by a process that opens the store", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    a.fs.kill();
    const b = await start(disk, "B", { durability: "os" });
    await pass(1000, b);
    expect(disk.readRaw(FILE)?.toString()).toContain('"n":1');
  });

  it("is not taken for written because of a file with its revision and another content", async () => {
    const elsewhere = new SimulatedDisk();
    const other = await start(elsewhere, "other");
    await other.store.put("k", { n: "another history" });
    await settled(other.store.flush(), other);
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    a.fs.kill();
    disk.makeDirectory(`${STORE}/k`);
    disk.writeRaw(FILE, elsewhere.readRaw(FILE) ?? "");
    const b = await start(disk, "B", { durability: "os" });
    await settled(b.store.flush(), b);
    expect(disk.readRaw(FILE)?.toString()).toContain('"n":1');
  });
});

it("shared values that nobody refers to go when asked for, whenever the last removal was", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A", { durability: "os" });
  const blobs = (): string[] => Object.keys(disk.tree()).filter((path) => /[0-9a-f]{64}/.test(path));
  await settled(a.store.put("k", { big: bigText("value"), bigOf: "value" }), a);
  await a.store.checkpoint();
  expect(blobs()).toHaveLength(1);
  await a.store.delete("k");
  for (let round = 0; round < 4; round++) await a.store.checkpoint(); // no time passes
  expect(blobs()).toEqual([]);
});

describe("what failed", () => {
  it("a seal does not fail the commit that made the segment full, which counts", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os", segmentBytes: SEGMENT_BYTES });
    a.fs.onCall = (call) => {
      if (call.name === "write" && Buffer.from(call.args[1] as Uint8Array).includes('{"seal"'))
        throw systemError("EIO", call);
    };
    const { revision } = await a.store.put("k", BULK);
    expect((await a.store.read("k"))?.revision).toBe(revision);
    a.fs.onCall = undefined;
    await turn();
    expect(a.warnings.map(({ code }) => code)).toEqual(["checkpoint_failed"]);
    await a.store.put("k", BULK);
    const last = await settled(a.store.put("k", { n: 1 }), a);
    expect(await a.store.revision()).toBe(last.revision);
  });

  it("a full segment is sealed at a later look, although the log could not be read at the first", async () => {
    const disk = new SimulatedDisk();
    const a = await fullBesideAnother(disk); // it looks again and again whether to seal
    const b = await start(disk, "B", { durability: "os" });
    for (let n = 3; n < 5; n++) {
      await settled(b.store.checkpoint(), b);
      await settled(b.store.put("k", { ...BULK, n }), b);
    }
    b.fs.kill();
    expect(segments(disk)).toEqual(["00000004.jsonl"]);
    a.fs.onCall = (call) => {
      if (isFence(call) || String(call.args[0]).endsWith("/log/00000004.jsonl"))
        throw systemError("EIO", call);
    };
    await expect(a.store.get("k")).rejects.toMatchObject({ code: "io_error" });
    await pass(1000, a);
    expect(a.warnings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^\/\S+\/log could not be sealed/),
    );
    a.fs.onCall = undefined;
    await pass(20_000, a);
    expect(segments(disk)).toEqual(["00000005.jsonl"]);
    expect(await a.store.get("k")).toMatchObject({ n: 4 });
  });

  it("a file is written at a later look", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    await a.store.put("k", { n: 1 });
    a.fs.onCall = (call) => {
      if (call.name !== "open" || call.args[1] !== "create") return;
      a.fs.onCall = undefined;
      throw systemError("EIO", call);
    };
    await pass(600, a);
    expect(a.warnings.map(({ code }) => code)).toEqual(["flush_failed"]);
    await pass(10_000, a);
    expect(disk.readRaw(FILE)?.toString()).toContain('"n":1');
  });

  it("a commit that is overtaken for ever ends in a conflict", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { durability: "os" });
    a.fs.onCall = ({ name, args }) => {
      if (name !== "write" || !Buffer.from(args[1] as Uint8Array).includes('"ops"')) return;
      const segment = segments(disk).sort().at(-1) ?? "";
      const seal = encodeLogLine(JSON.stringify({ seal: Number.parseInt(segment, 10) + 1 }));
      disk.writeRaw(`${LOG}/${segment}`, `${String(disk.readRaw(`${LOG}/${segment}`))}${seal.toString()}`);
    };
    await expect(settled(a.store.put("k", { n: 1 }), a)).rejects.toMatchObject({ code: "conflict" });
    a.fs.onCall = undefined;
    expect(await a.store.get("k")).toBeUndefined();
  });
});
