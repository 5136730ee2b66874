/**
 * Goal: what a record is composed from is of one instant, and its shared values are there in the segment that it is for.
 * Method: what other processes do at a critical call was done on a copy of the disk and is put in place there, or is done from
 * inside the entry that is being encoded.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { bigText, settled, start, STORE, turn, type Entry, type Process } from "../../support/processes.js";
import { quiesce } from "../../support/store-checks.js";
import { arrive } from "./meanwhile.js";

const LOG = `${STORE}/.store/log`;
const STAGE = `${STORE}/.store/stage`;
const BLOBS = `${STORE}/.store/blobs`;
const BIG = { big: bigText("value"), bigOf: "value" };
const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

/** A later state of a disk, and how the segment that was active before ended. */
interface Future {
  readonly disk: SimulatedDisk;
  readonly sealed: Buffer | undefined;
}

async function future(before: SimulatedDisk, segment: string, checkpoints: number): Promise<Future> {
  const disk = before.clone();
  const { store, fs } = await start(disk, "other", { segmentBytes: 4096, durability: "os" });
  let sealed: Buffer | undefined;
  fs.onCall = ({ name }) => void (name === "unlink" && (sealed = disk.readRaw(segment) ?? sealed));
  await store.put("from", { tokens: 20 });
  if (checkpoints === 0) await store.put("bulk", BULK); // seals the segment, which stays
  for (let round = 0; round < checkpoints; round++) {
    await store.checkpoint();
    await store.put("tick", { round });
  }
  await store.put("tick", {});
  fs.kill();
  return { disk, sealed: sealed ?? disk.readRaw(segment) };
}

describe("O3, O4: a transaction over sessions that memory does not have", () => {
  it.each([
    ["the log goes on in another segment", 0],
    ["this process has to rewind", 3],
  ])("%s between any two of its calls: no change is lost", async (_what, checkpoints) => {
    const disk = new SimulatedDisk();
    const writer = await start(disk, "writer");
    for (const key of ["from", "to"]) await writer.store.put(key, { tokens: 50 });
    await writer.store.checkpoint();
    await writer.store.close();
    const segment = `${LOG}/${disk.names(LOG)[0]!}`;
    const later = await future(disk, segment, checkpoints);
    for (let at = 1, reached = true; reached; at++) {
      const copy = disk.clone();
      const a = await start(copy, "A", { cacheBytes: 0, durability: "os" });
      let calls = 0;
      a.fs.onCall = () => void (++calls === at && arrive(copy, later.disk, segment, later.sealed));
      const moving = a.store.transact(async (tx) => {
        const from = Number((await tx.get("from"))?.["tokens"]);
        const to = Number((await tx.get("to"))?.["tokens"]);
        await tx.put("from", { tokens: from - 5 });
        await tx.put("to", { tokens: to + 5 });
      });
      await settled(moving, a);
      reached = calls >= at;
      a.fs.onCall = undefined;
      const { store } = await start(copy, "fresh");
      const tokens = [(await store.get("from"))?.["tokens"], (await store.get("to"))?.["tokens"]];
      expect(tokens, `overtaken at call ${at}`).toEqual(reached ? [15, 55] : [45, 55]);
    }
  });

  it("an entry whose toJSON makes the store read on, past the segment that the record was for", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    await a.store.put("x", {});
    const b = await start(disk, "B");
    for (let round = 0; round < 3; round++) {
      await b.store.put("tick", { round });
      await b.store.checkpoint();
    }
    const entry = {
      toJSON: () => {
        a.store.getSync("x");
        return { n: 1 };
      },
    };
    await settled(a.store.put("k", entry), a);
    expect(await b.store.get("k")).toEqual({ n: 1 });
  });
});

it("O5: a put of a session that only a listing has met takes a revision above that of its file", async () => {
  const disk = new SimulatedDisk();
  const writer = await start(disk, "writer");
  await writer.store.put("k", { n: 0 });
  await writer.store.flush();
  await writer.store.close();
  const copy = disk.clone();
  const later = await start(copy, "later", { durability: "os" });
  for (let n = 1; n < 9; n++) await later.store.put("k", { n });
  const ahead = (await later.store.read("k"))!.revision;
  await later.store.flush();
  const fresh = new SimulatedDisk();
  await (await start(fresh, "maker")).store.close();
  fresh.writeRaw(`${STORE}/k/meta.json`, copy.readRaw(`${STORE}/k/meta.json`)!);
  const other = await start(fresh, "other");
  const { revision: own } = await other.store.put("l", {});
  await other.store.checkpoint();
  for (const name of fresh.names(`${STORE}/.store`))
    if (name.startsWith("catalog-")) fresh.removeRaw(`${STORE}/.store/${name}`);
  const a = await start(fresh, "A", { cacheBytes: 0 });
  expect((await a.store.list()).sessions.map(({ revision }) => revision)).toEqual([ahead, own]);
  expect((await settled(a.store.put("k", { n: 10 }), a)).revision).toBeGreaterThan(ahead);
});

it("rule 4: an update that changes the order of fields is the same to every process", async () => {
  const disk = new SimulatedDisk();
  const [a, b] = [await start(disk, "A"), await start(disk, "B")];
  await a.store.put("k", { x: 1, y: 2 });
  await a.store.update("k", () => ({ y: 2, z: 3, x: 1 }));
  for (const { store } of [a, b]) expect(Object.keys((await store.get("k"))!)).toEqual(["y", "z", "x"]);
});

describe("O14: a shared value", () => {
  it("that this process has used before is looked up again in a later segment", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    await a.store.put("k", BIG);
    await a.store.delete("k");
    await quiesce(a);
    await a.store.put("l", BIG);
    expect((await (await start(disk, "B")).store.get("l"))?.["big"]).toBe(BIG.big);
  });

  it("whose staging folder is lost gets another segment's", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    for (const name of disk.names(STAGE)) disk.removeRaw(`${STAGE}/${name}`);
    await settled(a.store.put("k", BIG), a);
    expect((await (await start(disk, "B")).store.get("k"))?.["big"]).toBe(BIG.big);
  });

  it("that is missing comes back with a put that has no base, though the session refers to it already", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    await a.store.put("k", BIG);
    for (const name of disk.names(BLOBS)) disk.removeRaw(`${BLOBS}/${name}`);
    const b = await start(disk, "B");
    await settled(b.store.put("k", BIG), b);
    expect((await (await start(disk, "C")).store.get("k"))?.["big"]).toBe(BIG.big);
  });
});

describe("the sync of a durable commit", () => {
  /** What a process does to the log, in order; `sync` where it begins. */
  function watchLog(process: Process): string[] {
    const steps: string[] = [];
    process.fs.onCall = ({ name }) => void (["write", "read"].includes(name) && steps.push(name));
    process.fs.gate = ({ name }) => void (name === "fdatasync" && steps.push("sync"));
    return steps;
  }

  async function two(): Promise<{ a: Process; b: Process }> {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    const b = await start(disk, "B", { durability: "os" });
    await a.store.put("k", { n: 0 });
    return { a, b };
  }

  /** The next record of A about `k` does not count: B is faster. */
  function overtake({ a, b }: { a: Process; b: Process }): void {
    a.fs.onCall = ({ name }) => {
      if (name !== "write") return;
      a.fs.onCall = undefined;
      void b.store.put("k", { n: 10 });
    };
  }

  it("begins while the line is read back", async () => {
    const { a } = await two();
    const steps = watchLog(a);
    await a.store.put("k", { n: 1 });
    expect(steps).toEqual(["write", "sync", "read"]);
  });

  it("waits for the verdict where others were faster lately", async () => {
    const { a, b } = await two();
    overtake({ a, b });
    await a.store.update("k", (entry) => ({ n: Number(entry?.["n"]) + 1 }));
    expect(await b.store.get("k")).toEqual({ n: 11 });
    const steps = watchLog(a);
    for (let round = 1; round < 16; round++) {
      steps.length = 0;
      await a.store.put("k", { round });
      expect(steps, `put ${round}`).toEqual(["write", "read", "sync"]);
    }
    steps.length = 0;
    await a.store.put("k", { n: 1 });
    expect(steps).toEqual(["write", "sync", "read"]);
  });

  it("of a record that does not count is over before the store is closed", async () => {
    const { a, b } = await two();
    overtake({ a, b });
    let go = (): void => {};
    const going = new Promise<void>((resolve) => (go = resolve));
    a.fs.gate = ({ name }) => (name === "fdatasync" ? going : undefined);
    let calls = 0;
    const updating = a.store.update("k", () => (calls++ > 0 ? undefined : { n: 1 }));
    expect(await updating).toMatchObject({ entry: { n: 10 } });
    let closed = false;
    const closing = a.store.close().then(() => (closed = true));
    for (let round = 0; round < 20; round++) await turn();
    expect(closed).toBe(false);
    expect(a.fs.openPaths).not.toEqual([]);
    go();
    await closing;
    expect(a.fs.openPaths).toEqual([]);
  });

  it("that fails is nobody's error when the record does not count, and is remembered", async () => {
    const { a, b } = await two();
    overtake({ a, b });
    a.fs.gate = (call) => (call.name === "fdatasync" ? Promise.reject(systemError("EIO", call)) : undefined);
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);
    let calls = 0;
    const updating = a.store.update("k", () => {
      if (calls++ > 0) throw new RangeError("the caller has seen enough");
      return { n: 1 };
    });
    await expect(updating).rejects.toThrow(RangeError);
    await turn();
    process.off("unhandledRejection", onUnhandled);
    expect(unhandled).toEqual([]);
    await expect(a.store.put("k", {})).rejects.toMatchObject({
      code: "durability_unknown",
      data: { written: false },
    });
  });
});
