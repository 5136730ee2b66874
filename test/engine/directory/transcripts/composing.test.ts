/**
 * Goal: a record says of a transcript what its writer relied on, and no more than it has to do: the head or the change before, the cut, which
 * items are new; and it is composed from what others have written by then (rules 7 to 9, T10, O4, O5).
 * Method: one or two processes change a transcript; the ops that stand in the log are looked at.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { parseLogLine } from "../../../../src/format/log-line.js";
import type { TranscriptOp } from "../../../../src/format/transcript-op.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, STORE, type Process } from "../../../support/processes.js";
import { segments } from "../damage/scenes.js";
import { append, batch, contentsOf, startSmall } from "./scene.js";

const OS = { durability: "os" } as const;

let disk: SimulatedDisk;
let a: Process;

beforeEach(async () => {
  disk = new SimulatedDisk();
  a = await startSmall(disk, "A", OS);
});

/** Ops on transcripts of the newest segment, one list a record. */
function recorded(): (readonly TranscriptOp[])[] {
  const bytes = disk.readRaw(segments(disk).at(-1) ?? "") ?? Buffer.alloc(0);
  const ops: (readonly TranscriptOp[])[] = [];
  for (let at = 0, end = bytes.indexOf("\n"); end >= 0; at = end + 1, end = bytes.indexOf("\n", at)) {
    const line = parseLogLine(bytes, at, end);
    if (line.kind === "record") ops.push(line.record.transcripts ?? []);
  }
  return ops;
}

/** The only op of the newest record, which some work has appended. */
async function opOf(work: () => Promise<unknown>): Promise<TranscriptOp> {
  const before = recorded().length;
  await work();
  expect(recorded()).toHaveLength(before + 1);
  const [op, ...others] = recorded().at(-1) ?? [];
  expect(others).toEqual([]);
  if (op === undefined) throw new Error("a record without transcripts");
  return op;
}

async function isNoRecord(work: () => Promise<unknown>): Promise<void> {
  const before = recorded().length;
  await work();
  expect(recorded()).toHaveLength(before);
}

const seqs = async (process = a): Promise<number[]> =>
  (await contentsOf(process.store, "k")).items.map(([seq]) => seq);

describe("rule 7: the first op of a segment brings the head, and others the change before", () => {
  it("from nothing, in one segment, and behind a checkpoint", async () => {
    expect(await opOf(() => append("k", 1, 2)(a.store))).toMatchObject({ h: "none" });
    const { revision = 0 } = (await a.store.transcript("k")) ?? {};
    const op = await opOf(() => append("k", 3, 1)(a.store));
    expect(op).toMatchObject({ b: revision });
    expect(op.h).toBeUndefined();
    await settled(a.store.checkpoint(), a);
    const b = await startSmall(disk, "B", OS);
    const first = await opOf(() => append("k", 4, 1)(b.store));
    expect(first).toMatchObject({ h: { since: revision, last: 3, total: 3, gone: 0 } });
    expect(first.b).toBeUndefined();
  });
});

describe("a truncation", () => {
  it("names the cut that it was computed from, and takes over what is left of a chunk", async () => {
    await append("k", 1, 3)(a.store);
    const { cut = 0 } = (await a.store.transcript("k")) ?? {};
    const op = await opOf(() => a.store.truncate("k", { afterSeq: 2 }));
    expect(op).toMatchObject({ e: cut, x: { keep: 2, first: 1, before: 0, n: 2 } });
  });

  it("takes over nothing where a chunk ends", async () => {
    await append("k", 1, 12)(a.store);
    await settled(a.store.checkpoint(), a);
    const firsts = disk.names(`${STORE}/k`).flatMap((name) => Number(/\.0*(\d+)-/.exec(name)?.[1] ?? []));
    const [, second = 0] = firsts.toSorted((one, other) => one - other);
    const op = await opOf(() => a.store.truncate("k", { afterSeq: second - 1 }));
    expect(op.x).toMatchObject({ keep: second - 1, first: 13, before: second - 1, n: 0, body: 0 });
  });

  it("of nothing is no record", async () => {
    await append("k", 1, 3)(a.store);
    await isNoRecord(() => a.store.truncate("k", { afterSeq: 3 }));
    await isNoRecord(() => a.store.truncate("k", { length: 5 }));
    await isNoRecord(() => a.store.truncate("none", { length: 0 }));
  });

  it("of all begins an empty chunk, and trimmed items stay trimmed", async () => {
    await append("k", 1, 3)(a.store);
    await a.store.trim("k", { length: 2 });
    const op = await opOf(() => a.store.truncate("k", { length: 0 }));
    expect(op.x).toMatchObject({ keep: 0, first: 4, before: 1, n: 0, body: 0 });
    expect(await a.store.transcript("k")).toMatchObject({ last: 3, length: 0 });
  });
});

describe("a trim", () => {
  it("alone comes with a chunk that begins anew", async () => {
    await append("k", 1, 3)(a.store);
    const op = await opOf(() => a.store.trim("k", { length: 1 }));
    expect(op).toMatchObject({ g: 2, v: 3, x: { keep: 3, first: 3, before: 2, n: 1 } });
  });

  it("with an item counts from the end, and leaves a small chunk as it is", async () => {
    await append("k", 1, 1)(a.store);
    const op = await opOf(() => a.store.append("k", ["x"], { maxLength: 1 }));
    expect(op).toMatchObject({ m: 1, a: [{}] });
    expect(op.x).toBeDefined();
    const large = await startSmall(disk, "B", { ...OS, chunkBytes: 1024 * 1024 });
    await large.store.append("other", ["x"]);
    const next = await opOf(() => large.store.append("other", ["y"], { maxLength: 1 }));
    expect(next.m).toBe(1);
  });

  it("of nothing is no record", async () => {
    await append("k", 1, 3)(a.store);
    await isNoRecord(() => a.store.trim("k", { length: 3 }));
    await isNoRecord(() => a.store.trim("k", { beforeSeq: 1 }));
  });

  it("of all in a full chunk begins an empty one", async () => {
    await append("k", 1, 3)(a.store);
    const op = await opOf(() => a.store.trim("k", { length: 0 }));
    expect(op.x).toMatchObject({ keep: 3, first: 4, before: 3, n: 0 });
    expect(await a.store.append("k", ["x"])).toMatchObject({ first: 4, length: 1 });
  });
});

describe("an item", () => {
  it("whose id is there, or twice in the batch, is left out, and one whose id is gone is not", async () => {
    await append("k", 1, 4)(a.store);
    const { items, ids } = batch(3, 3);
    const op = await opOf(() => a.store.append("k", [...items, "x"], { ids: [...ids, "id-5"] }));
    expect(op.a?.map(({ id }) => id)).toEqual(["id-5"]);
    await a.store.trim("k", { length: 2 }); // 4 and 5
    expect(await append("k", 3, 1)(a.store)).toMatchObject({ first: 6, skipped: [] });
    await a.store.truncate("k", { afterSeq: 5 });
    expect(await append("k", 3, 1)(a.store)).toMatchObject({ first: 7, skipped: [] });
  });

  it("whose id is cut off by the same op is free again", async () => {
    await append("k", 1, 2)(a.store);
    const [, expected] = batch(1, 2).items;
    const replaced = a.store.replaceSuffix("k", { from: 2, items: [expected] }, ["new"], { ids: ["id-2"] });
    expect(await replaced).toMatchObject({ first: 3, skipped: [] });
    expect(await seqs()).toEqual([1, 3]);
  });

  it("alone, whose id is there, makes no record", async () => {
    await append("k", 1, 2)(a.store);
    await isNoRecord(() => append("k", 1, 2)(a.store));
  });

  it("is compared with what others have written by then", async () => {
    const b = await startSmall(disk, "B", OS);
    await append("k", 1, 3)(a.store);
    expect(await append("k", 3, 1)(a.store)).toMatchObject({ skipped: [0] });
    await b.store.truncate("k", { afterSeq: 2 });
    expect(await append("k", 3, 1)(a.store)).toMatchObject({ first: 4, skipped: [] });
    await append("k", 9, 1)(b.store);
    expect(await append("k", 9, 1)(a.store)).toMatchObject({ first: 0, skipped: [0] });
  });
});

it("what a condition demands and is not so makes no record", async () => {
  await append("k", 1, 3)(a.store);
  const refused = (work: () => Promise<unknown>): Promise<void> =>
    isNoRecord(() => expect(work()).rejects.toMatchObject({ code: "conflict" }));
  await refused(() => a.store.append("k", ["x"], { ifLast: 2 }));
  await refused(() => a.store.truncate("k", { length: 0 }, { ifLength: 4 }));
});

it("what a transaction has only read of a transcript must be so when its record counts", async () => {
  await append("k", 1, 3)(a.store);
  const [segment = ""] = segments(disk);
  const later = disk.clone();
  const b = await startSmall(later, "B", OS);
  await append("k", 4, 1)(b.store);
  const written = later.readRaw(segment) ?? Buffer.alloc(0);
  // It comes behind A's last look at the log.
  a.fs.onCall = ({ name }) => {
    if (name !== "write") return;
    a.fs.onCall = undefined;
    disk.writeRaw(segment, written);
  };
  const lengths: (number | undefined)[] = [];
  await a.store.transact(async (tx) => {
    const length = (await tx.transcript("k"))?.length;
    lengths.push(length);
    await tx.put("r", { length });
  });
  expect(lengths).toEqual([3, 4]);
  expect(await a.store.get("r")).toEqual({ length: 4 });
});

it("a delete of a session that has only a transcript is a record, and takes it along", async () => {
  await append("k", 1, 3)(a.store);
  expect(await a.store.delete("k")).toBe(true);
  expect(await a.store.transcripts("k")).toEqual([]);
  expect(await a.store.delete("k")).toBe(false);
  await append("k", 1, 3)(a.store);
  await settled(a.store.checkpoint(), a);
  const b = await startSmall(disk, "B", OS);
  expect(await b.store.delete("k")).toBe(true);
  expect(await b.store.transcripts("k")).toEqual([]);
});

it("an operation that another process does while a transaction runs is not done again, and is said to be done", async () => {
  const b = await startSmall(disk, "B", OS);
  const operation = { id: "pay", content: "k" };
  const done = await a.store.transact(
    async (tx) => {
      await b.store.transact((same) => same.append("k", ["once"]), { operation });
      await tx.append("k", ["once"]);
    },
    { operation },
  );
  const { revision } = (await b.store.transcript("k")) ?? {};
  expect(done).toMatchObject({ repeated: true, revision });
  expect(await seqs()).toEqual([1]);
});

it("O5: files that are ahead of the log, as in a raw copy, are built upon in a segment behind them", async () => {
  await a.store.put("other", {});
  const [segment = ""] = segments(disk);
  const older = disk.readRaw(segment) ?? Buffer.alloc(0);
  await append("k", 1, 3)(a.store);
  await settled(a.store.flush(), a);
  a.fs.kill();
  disk.removeRaw(segment);
  disk.writeRaw(segment, older);
  disk.removeRaw(`${STORE}/.store/durable`);
  const b = await startSmall(disk, "B", OS);
  const { revision: ahead = 0 } = (await b.store.transcript("k")) ?? {};
  expect(await seqs(b)).toEqual([1, 2, 3]);
  const { revision } = await settled(append("k", 4, 1)(b.store) as Promise<{ revision: number }>, b);
  expect(revision).toBeGreaterThan(ahead);
  expect(segments(disk)).toHaveLength(2);
  expect(recorded()[0]?.[0]).toMatchObject({ h: { last: 3 } });
  await settled(b.store.checkpoint(), b);
  expect(await seqs(await startSmall(disk, "C", OS))).toEqual([1, 2, 3, 4]);
});
