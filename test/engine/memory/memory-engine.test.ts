/**
 * Goal: the parts of the engine contract that the store layer never uses, or not this way. Method: direct calls.
 * Everything else about the memory engine is in `../conformance.test.ts`.
 */
import { describe, expect, test } from "vitest";
import type { EngineChange, EngineQuery } from "../../../src/engine/contract.js";
import { createMemoryEngine } from "../../../src/engine/memory/memory-engine.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";

const ALL: EngineQuery = {
  prefix: "",
  updatedAfter: undefined,
  updatedBefore: undefined,
  orderBy: "key",
  descending: false,
  limit: Infinity,
  after: undefined,
};

async function take(changes: AsyncIterable<EngineChange>, count: number): Promise<EngineChange[]> {
  const taken: EngineChange[] = [];
  for await (const change of changes) {
    taken.push(change);
    if (taken.length === count) break;
  }
  return taken;
}

describe("memory engine", () => {
  test("one base that fails fails the whole commit and changes nothing", () => {
    const engine = createMemoryEngine();
    engine.commit([{ kind: "set", key: "a", entry: {} }]);
    for (const wrong of [
      { kind: "set", key: "a", base: 0, entry: {} },
      { kind: "set", key: "b", base: 1, entry: {} },
      { kind: "patch", key: "a", base: 2, fields: {} },
      { kind: "delete", key: "a", base: 7 },
      { kind: "check", key: "a", base: 0 },
      { kind: "check", key: "missing", base: 1 },
    ] as const) {
      const outcome = engine.commit([{ kind: "set", key: "c", entry: {} }, wrong]);
      expect(outcome).toEqual({ status: "conflict", key: wrong.key });
    }
    expect(engine.revision()).toBe(1);
    expect(engine.read("c")).toBeUndefined();
  });

  test("records come in the order of the ops: new, patched, deleted, checked", () => {
    const runtime = new ManualRuntime({ now: 1234 });
    const engine = createMemoryEngine({ runtime });
    engine.commit([
      { kind: "set", key: "patched", entry: { x: 1 } },
      { kind: "set", key: "deleted", entry: {} },
      { kind: "set", key: "checked", entry: {} },
    ]);
    const outcome = engine.commit([
      { kind: "check", key: "checked", base: 1 },
      { kind: "delete", key: "deleted", base: 1 },
      { kind: "patch", key: "patched", base: 1, fields: { y: 2, x: undefined } },
      { kind: "set", key: "new", base: 0, entry: { z: 3 } },
    ]);
    expect(outcome).toMatchObject({ status: "committed", revision: 2, durable: undefined });
    expect(outcome).toHaveProperty("records", [
      { key: "checked", entry: {}, revision: 1, modifiedAt: 1234 },
      undefined,
      { key: "patched", entry: { y: 2 }, revision: 2, modifiedAt: 1234 },
      { key: "new", entry: { z: 3 }, revision: 2, modifiedAt: 1234 },
    ]);
  });

  test("skipUnchanged skips only if every op would change nothing, and bases are checked first", () => {
    const engine = createMemoryEngine();
    engine.commit([{ kind: "set", key: "a", entry: { x: 1, y: [1] } }]);
    const same = { kind: "set", key: "a", base: 1, entry: { y: [1], x: 1 } } as const;
    const skip = { skipUnchanged: true };
    expect(engine.commit([same], skip)).toMatchObject({ status: "unchanged", records: [{ revision: 1 }] });
    expect(engine.commit([same, { kind: "delete", key: "none" }], skip)).toMatchObject({
      status: "unchanged",
    });
    expect(engine.commit([{ ...same, base: 5 }], skip)).toMatchObject({ status: "conflict" });
    expect(engine.commit([same, { kind: "set", key: "b", entry: {} }], skip)).toMatchObject({ revision: 2 });
    expect(engine.commit([{ ...same, base: 2 }])).toMatchObject({ status: "committed", revision: 3 });
  });

  test("an unconditional delete of nothing is a commit without a change", async () => {
    const engine = createMemoryEngine();
    const changes = engine.changes({ since: 0, prefix: "", signal: undefined });
    expect(engine.commit([{ kind: "delete", key: "a" }])).toMatchObject({
      revision: 1,
      records: [undefined],
    });
    engine.commit([{ kind: "set", key: "b", entry: {} }]);
    expect((await take(changes, 1))[0]).toMatchObject({ key: "b", revision: 2 });
  });

  test("the history is bounded, and its edge is exact", async () => {
    const engine = createMemoryEngine({ historyMax: 3 });
    for (const key of ["a", "b", "c", "d", "e"]) engine.commit([{ kind: "set", key, entry: {} }]);
    const since = (revision: number) => engine.changes({ since: revision, prefix: "", signal: undefined });
    expect((await take(since(2), 3)).map(({ key }) => key)).toEqual(["c", "d", "e"]);
    await expect(take(since(1), 1)).rejects.toMatchObject({
      code: "revision_too_old",
      data: { since: 1, revision: 5 },
    });
  });

  test("the history is bounded in bytes, too", async () => {
    const engine = createMemoryEngine({ historyBytesMax: 1000 });
    const text = "x".repeat(300);
    for (const key of ["a", "b", "c", "d", "e"]) engine.commit([{ kind: "set", key, entry: { text } }]);
    const since = (revision: number) => engine.changes({ since: revision, prefix: "", signal: undefined });
    expect((await take(since(2), 3)).map(({ key }) => key)).toEqual(["c", "d", "e"]);
    await expect(take(since(1), 1)).rejects.toMatchObject({ code: "revision_too_old" });
    engine.commit([{ kind: "set", key: "large", entry: { text: text.repeat(10) } }]);
    await expect(take(since(5), 1)).rejects.toMatchObject({ code: "revision_too_old" });
    engine.commit([{ kind: "delete", key: "large" }]);
    expect(await take(since(6), 1)).toMatchObject([{ key: "large", kind: "delete", last: true }]);
  });

  test("a watcher that is too slow is told so", async () => {
    const engine = createMemoryEngine({ historyMax: 2 });
    const changes = engine.changes({ since: undefined, prefix: "", signal: undefined });
    for (const key of ["a", "b", "c"]) engine.commit([{ kind: "set", key, entry: {} }]);
    await expect(take(changes, 1)).rejects.toMatchObject({ code: "revision_too_old" });
  });

  test("closing ends those who wait", async () => {
    const engine = createMemoryEngine();
    const waiting = take(engine.changes({ since: undefined, prefix: "", signal: undefined }), 1);
    await engine.close();
    expect(await waiting).toEqual([]);
  });

  test("next is the last record of a page that was cut short", () => {
    const engine = createMemoryEngine();
    for (const [key, updatedAt] of Object.entries({ a: 5, b: 5, c: 1 })) {
      engine.commit([{ kind: "set", key, entry: { updatedAt } }]);
    }
    const query: EngineQuery = { ...ALL, orderBy: "updatedAt", limit: 2 };
    const page = engine.scan(query);
    expect(page.records.map(({ key }) => key)).toEqual(["c", "a"]);
    expect(page.next).toEqual({ key: "a", updatedAt: 5 });
    const rest = engine.scan({ ...query, after: page.next });
    expect(rest.records.map(({ key }) => key)).toEqual(["b"]);
    expect(rest.next).toBeUndefined();
  });
});
