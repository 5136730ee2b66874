/**
 * Goal: which ops a transaction commits, when it runs again, and that it always ends.
 * Method: a fake engine that shows the ops and lets "another process" write before reads and commits; engines that
 * answer at once and engines that answer with promises.
 */
import { describe, expect, test } from "vitest";
import { createSessionStore } from "../../src/store/session-store.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { FakeEngine, increment, settle } from "./fake-engine.js";

type Fields = Record<string, unknown>;

function fake(options: { async?: boolean; readOnly?: boolean } = {}) {
  const engine = new FakeEngine();
  engine.async = options.async ?? false;
  const runtime = new ManualRuntime();
  const store = createSessionStore<Fields>(engine, { runtime, readOnly: options.readOnly });
  return { engine, runtime, store };
}

describe.each([{ async: false }, { async: true }])("ops, engine async: $async", (mode) => {
  test("read keys have their revision as base, blind writes have none, keys only read are checked", async () => {
    const { engine, store } = fake(mode);
    engine.write("read", { n: 1 });
    engine.write("written", { n: 2 });
    engine.write("gone", { n: 3 });
    await store.transact(async (tx) => {
      await tx.get("read");
      await tx.get("missing");
      await tx.put("written", { n: (await tx.get("written"))?.["n"], more: true });
      await tx.put("blind", { n: 5 });
      await tx.delete("gone");
      if ((await tx.get("new")) === undefined) await tx.put("new", { n: 6 });
    });
    expect(engine.commits).toEqual([
      [
        { kind: "check", key: "read", base: 1 },
        { kind: "check", key: "missing", base: 0 },
        { kind: "set", key: "written", base: 2, entry: { n: 2, more: true } },
        { kind: "set", key: "blind", entry: { n: 5 } },
        { kind: "delete", key: "gone", base: 3 },
        { kind: "set", key: "new", base: 0, entry: { n: 6 } },
      ],
    ]);
  });

  test("one patch is a patch, a second makes it a set, undefined fields are gone", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { one: 1, two: 2 });
    await store.transact((tx) => tx.patch("a", { one: undefined, three: 3 }));
    await store.transact(async (tx) => {
      await tx.patch("a", { two: undefined });
      await tx.patch("a", { two: 22 });
    });
    expect(engine.commits).toEqual([
      [{ kind: "patch", key: "a", base: 1, fields: { one: undefined, three: 3 } }],
      [{ kind: "set", key: "a", base: 2, entry: { three: 3, two: 22 } }],
    ]);
    expect(JSON.stringify(await store.get("a"))).toBe('{"three":3,"two":22}');
  });

  test("put then delete of a new session checks that it stays missing", async () => {
    const { engine, store } = fake(mode);
    await store.transact(async (tx) => {
      await tx.put("a", {});
      expect(await tx.delete("a")).toBe(true);
      await tx.put("b", {});
    });
    expect(engine.commits).toEqual([
      [
        { kind: "check", key: "a", base: 0 },
        { kind: "set", key: "b", entry: {} },
      ],
    ]);
  });

  test("two reads of a key under way give the same", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { n: 1 });
    let reads = 0;
    engine.beforeRead = () => {
      reads += 1;
      if (reads === 2) engine.write("a", { n: 2 });
    };
    await store.transact(async (tx) => {
      const [one, two] = await Promise.all([tx.get("a"), tx.get("a")]);
      expect(one).toBe(two);
    });
  });

  test("a single read, or none, needs no validation", async () => {
    const { engine, store } = fake(mode);
    await store.transact((tx) => tx.get("a"));
    await store.transact(() => 1);
    expect(engine.reads).toBe(1);
    expect(engine.commits).toEqual([]);
  });

  test("reads from different moments run again, in the end they are from one", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { n: 1 });
    engine.write("b", { n: 1 });
    let interfere = 2;
    engine.beforeRead = (key) => {
      if (key !== "b" || interfere === 0) return;
      interfere -= 1;
      engine.write("a", { n: 10 - interfere });
      engine.write("b", { n: 10 - interfere });
    };
    let runs = 0;
    const seen = await store.transact(async (tx) => {
      runs += 1;
      return [(await tx.get("a"))?.["n"], (await tx.get("b"))?.["n"]];
    });
    expect(seen).toEqual([10, 10]);
    expect(runs).toBe(3);
    if (!mode.async) expect(engine.commits).toEqual([]);
  });

  test("a throw over reads from different moments runs again, over consistent ones it comes out", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { n: 1 });
    engine.write("b", { n: 1 });
    engine.beforeRead = (key) => {
      if (key !== "b") return;
      engine.beforeRead = undefined;
      engine.write("a", { n: 2 });
      engine.write("b", { n: 2 });
    };
    let runs = 0;
    const check = store.transact(async (tx) => {
      runs += 1;
      const [a, b] = [await tx.get("a"), await tx.get("b")];
      if (a?.["n"] !== b?.["n"]) throw new Error("inconsistent");
      throw new Error("on purpose");
    });
    await expect(check).rejects.toThrow("on purpose");
    expect(runs).toBe(2);
  });

  test("conflicts are bounded and end in a typed error", async () => {
    const { engine, runtime, store } = fake(mode);
    engine.conflicts = Infinity;
    let runs = 0;
    const failing = store.transact(async (tx) => {
      runs += 1;
      await tx.put("a", {});
    });
    const failed = expect(failing).rejects.toMatchObject({
      code: "conflict",
      data: { key: "a", attempts: 100 },
    });
    for (let pauses = 0; pauses < 100; pauses++) {
      await settle();
      runtime.advance(64);
    }
    await failed;
    expect(runs).toBe(100);
    engine.conflicts = 0;
    await store.put("a", { free: true });
  });

  test("an abort between attempts ends it and frees the keys", async () => {
    const { engine, runtime, store } = fake(mode);
    const controller = new AbortController();
    engine.conflicts = Infinity;
    const reason = new Error("enough");
    const running = store.transact((tx) => tx.put("a", {}), { signal: controller.signal });
    await settle();
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(runtime.pendingTimers).toBe(0);
    engine.conflicts = 0;
    await store.put("a", { free: true });
  });
});

test("from the second attempt on a transaction takes turns with the other writers of its keys", async () => {
  const { engine, store } = fake();
  engine.write("a", { count: 0 });
  const order: string[] = [];
  let release = (): void => {};
  const slow = new Promise<void>((resolve) => {
    release = resolve;
  });
  const updating = store.update("a", async (entry) => {
    await slow;
    order.push("update");
    return { ...increment(entry as never) };
  });
  let runs = 0;
  const transaction = store.transact(async (tx) => {
    runs += 1;
    order.push(`transaction ${runs}`);
    const entry = await tx.get("a");
    if (runs === 1) engine.write("a", { count: 10 });
    await tx.put("a", increment(entry as never));
  });
  await settle();
  expect(order).toEqual(["transaction 1"]);
  release();
  await Promise.all([updating, transaction]);
  // The update met the write of the other process too, ran again within its turn, and only then the transaction ran.
  expect(order).toEqual(["transaction 1", "update", "update", "transaction 2"]);
  expect(await store.get("a")).toEqual({ count: 12 });
});

test("a read that answers after the function returned is refused", async () => {
  const { store } = fake({ async: true });
  let late: Promise<unknown> | undefined;
  await store.transact((tx) => {
    late = tx.get("a").catch((error: unknown) => error);
  });
  expect(await late).toBeInstanceOf(TypeError);
});

test("a read-only store runs reading transactions", async () => {
  const { engine, store } = fake({ readOnly: true });
  engine.write("a", { n: 1 });
  expect(await store.transact(async (tx) => [await tx.get("a"), await tx.get("b")])).toEqual([
    { n: 1 },
    undefined,
  ]);
  await expect(store.transact((tx) => tx.put("a", {}))).rejects.toMatchObject({ code: "read_only" });
});
