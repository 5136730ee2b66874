/**
 * Goal: what the store layer adds to an engine's transcripts: no reads and no awaits on the way of an append, turns, conditions that
 * become typed conflicts, retries, durability, pages, and the one op that a transaction's changes come to.
 * Method: the fake engine of these tests, at once and with promises; the visible behaviour is the conformance suite's business.
 */
import { describe, expect, test } from "vitest";
import type { EngineOp, TranscriptOp } from "../../src/engine/contract.js";
import { createSessionStore } from "../../src/store/session-store.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { FakeEngine, settle, type Counter } from "./fake-engine.js";

function fake(options: { async?: boolean } = {}) {
  const engine = new FakeEngine();
  engine.async = options.async ?? false;
  const store = createSessionStore<Counter>(engine, { runtime: new ManualRuntime() });
  return { engine, store };
}

const MAIN = { kind: "transcript", key: "a", transcript: "main" } as const;

/** What another process does: straight to the data. */
function elsewhere(engine: FakeEngine, op: Omit<TranscriptOp, "kind" | "key" | "transcript">): void {
  engine.inner.commit([{ ...MAIN, ...op }]);
}

describe("appends", () => {
  test("an append of an idle session commits before the call returns, and reads nothing", async () => {
    const { engine, store } = fake();
    const appending = store.append("a", [{ n: 1 }, 2], { ids: ["x", undefined], ifLast: 0, maxLength: 9 });
    expect(engine.inner.transcript("a", "main")).toMatchObject({ last: 2 });
    const items = [{ json: '{"n":1}', id: "x" }, { json: "2" }];
    expect(engine.commits).toEqual([[{ ...MAIN, ifLast: 0, items, trim: { length: 9 } }]]);
    expect([engine.reads, engine.transcriptReads]).toEqual([0, 0]);
    await appending;
  });

  test("an append waits for the turn of its session, not for others", async () => {
    const { engine, store } = fake();
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const updating = store.update("a", () => held.then(() => ({ count: 1 })));
    const appending = store.append("a", [1]);
    await store.append("b", [1]);
    await settle();
    expect(engine.inner.transcript("a", "main")).toBeUndefined();
    release();
    await Promise.all([updating, appending]);
    expect(engine.commits.map(([op]) => `${op?.kind} ${op?.key}`)).toEqual([
      "transcript b",
      "set a",
      "transcript a",
    ]);
  });

  test("a conflict without a condition that fails is tried again", async () => {
    const { engine, store } = fake();
    engine.conflicts = 3;
    expect(await store.append("a", [1], { ifLast: 0 })).toMatchObject({ first: 1 });
    expect(engine.commits).toHaveLength(4);
  });

  test("waits until the commit is durable, and lets the next one go first", async () => {
    const { engine, store } = fake();
    let durable = (): void => {};
    engine.durable = () => new Promise<void>((resolve) => (durable = resolve));
    let answered = false;
    const appending = store.append("a", [1]).then(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    engine.durable = undefined;
    await store.append("a", [2]);
    expect(answered).toBe(false);
    durable();
    await appending;
  });

  test("a failed sync is durability_unknown", async () => {
    const { engine, store } = fake();
    engine.durable = () => Promise.reject(new Error("disk"));
    await expect(store.append("a", [1])).rejects.toMatchObject({ code: "durability_unknown" });
  });

  test("close waits for an append", async () => {
    const { engine, store } = fake({ async: true });
    const appending = store.append("a", [1]);
    await store.close();
    expect(engine.inner.transcript("a", "main")).toMatchObject({ length: 1 });
    await appending;
  });
});

describe.each([{ async: false }, { async: true }])("other changes, engine async: $async", (mode) => {
  test("a suffix that another process moves between look and commit is looked at again", async () => {
    const { engine, store } = fake(mode);
    await store.append("a", [1, 2]);
    let moves = 1;
    engine.beforeCommit = () => {
      if (moves-- > 0) elsewhere(engine, { items: [{ json: "3" }] });
    };
    const replacing = store.replaceSuffix("a", { from: 2, items: [2] }, ["x"]);
    await expect(replacing).rejects.toMatchObject({
      code: "conflict",
      data: { seq: 3, expected: 1, actual: 2 },
    });
    engine.beforeCommit = undefined;
    expect(await store.replaceSuffix("a", { from: 2, items: [2, 3] }, ["x"])).toMatchObject({ first: 4 });
  });

  test("pages that are shorter than asked for are put together", async () => {
    const { engine, store } = fake(mode);
    await store.append("a", [1, 2, 3, 4, 5]);
    engine.pageItems = 2;
    const seen: unknown[] = [];
    for await (const { item } of store.iterateItems("a", { from: 2 })) seen.push(item);
    expect(seen).toEqual([2, 3, 4, 5]);
    expect(await store.readItems("a", { limit: 4 })).toMatchObject({ next: 3 });
    expect(await store.replaceSuffix("a", { from: 1, items: [1, 2, 3, 4, 5] }, [])).toMatchObject({
      length: 0,
    });
    await store.append("a", [6, 7, 8, 9, 10]);
    await store.transact(async (tx) => {
      await tx.truncate("a", { length: 2 });
      await tx.trim("a", { length: 1 });
    });
    expect((await store.readItems("a")).items.map(({ item }) => item)).toEqual([7]);
  });

  test("delete reads the names only where there is no record", async () => {
    const { engine, store } = fake(mode);
    await store.append("a", [1]);
    expect(await store.delete("a")).toBe(true);
    expect(engine.commits.at(-1)).toEqual([{ kind: "delete", key: "a", base: 0 }]);
    await store.put("b", { count: 1 });
    await store.append("b", [1]);
    const { revision } = (await store.read("b"))!;
    expect(await store.delete("b")).toBe(true);
    expect(engine.commits.at(-1)).toEqual([{ kind: "delete", key: "b", base: revision }]);
  });
});

describe("transactions", () => {
  const opsOf = (engine: FakeEngine): readonly EngineOp[] | undefined => engine.commits.at(-1);

  test("all changes of a transcript come to one op", async () => {
    const { engine, store } = fake();
    await store.append("a", [1, 2, 3, 4], { ids: ["1", "2", "3", "4"] });
    const { cut } = (await store.transcript("a"))!;
    await store.transact(async (tx) => {
      await tx.truncate("a", { length: 3 });
      await tx.append("a", ["x"], { ids: ["4"] });
      await tx.trim("a", { length: 2 });
      await tx.append("a", ["y"]);
    });
    expect(opsOf(engine)).toEqual([
      {
        ...MAIN,
        ifLast: 4,
        ifLength: 4,
        ifCut: cut,
        truncate: { afterSeq: 3 },
        items: [{ json: '"x"', id: "4" }, { json: '"y"' }],
        trim: { beforeSeq: 3 },
      },
    ]);
  });

  test("a read below the end asks for the cut only; checks stand beside a delete", async () => {
    const { engine, store } = fake();
    await store.append("a", [1, 2, 3]);
    const { cut } = (await store.transcript("a"))!;
    await store.transact(async (tx) => {
      await tx.readItems("a", { limit: 1 });
      await tx.put("b", { count: 1 });
    });
    expect(opsOf(engine)?.at(-1)).toEqual({ ...MAIN, ifCut: cut });
    await store.transact(async (tx) => {
      await tx.readItems("a");
      await tx.delete("a");
    });
    expect(opsOf(engine)).toEqual([
      { kind: "delete", key: "a", base: 0 },
      { ...MAIN, ifLast: 3, ifLength: 3, ifCut: cut },
    ]);
  });

  test.each([{ async: false }, { async: true }])(
    "reads are compared at the end, engine async: $async",
    async (mode) => {
      const { engine, store } = fake(mode);
      await store.append("a", [1]);
      engine.write("b", { count: 1 });
      let runs = 0;
      const read = await store.transact(async (tx) => {
        runs += 1;
        const { length } = await tx.readItems("a");
        if (runs === 1) elsewhere(engine, { items: [{ json: "2" }] });
        return [length, (await tx.get("b"))?.count];
      });
      expect([read, runs]).toEqual([[2, 1], 2]);
    },
  );

  test("an operation that another process commits meanwhile is a repetition", async () => {
    const { engine, store } = fake();
    const other = createSessionStore<Counter>(engine);
    const operation = { id: "x" };
    let runs = 0;
    const answer = await store.transact(
      async (tx) => {
        runs += 1;
        await tx.put("a", { count: runs });
        if (runs === 1) await other.transact((theirs) => theirs.put("a", { count: 7 }), { operation });
      },
      { operation },
    );
    expect(answer).toEqual({ repeated: true, revision: 1 });
    expect(await store.get("a")).toEqual({ count: 7 });
  });
});
