/**
 * Goal: what the store layer adds to an engine: turns, retries, durability, error mapping, closing.
 * Method: a fake engine that conflicts, answers late, fails or makes others write, at the points that matter; both
 * for engines that answer at once and for those that answer with promises. The visible behaviour on real engines
 * is the conformance suite's business.
 */
import { describe, expect, test } from "vitest";
import { SessionStoreError } from "../../src/errors.js";
import type { SynchronousEngine } from "../../src/engine/contract.js";
import { createDirectorySessionStore, createSessionStore } from "../../src/store/session-store.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { FakeEngine, increment, settle, type Counter } from "./fake-engine.js";

function fake(options: { async?: boolean } = {}) {
  const engine = new FakeEngine();
  engine.async = options.async ?? false;
  const runtime = new ManualRuntime();
  const store = createSessionStore<Counter>(engine, { runtime });
  return { engine, runtime, store };
}

function gate() {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("hot path", () => {
  test("an update of an idle key commits before the call returns", async () => {
    const { engine, store } = fake();
    const updating = store.update("a", increment);
    expect(engine.inner.read("a")).toMatchObject({ entry: { count: 1 } });
    expect(engine.reads).toBe(1);
    expect(engine.commits).toEqual([[{ kind: "set", key: "a", base: 0, entry: { count: 1 } }]]);
    expect(engine.commitOptions).toEqual([{ skipUnchanged: true }]);
    await updating;
  });

  test("a put without ifRevision does not read, and has no base", async () => {
    const { engine, store } = fake();
    await store.put("a", { count: 1 });
    expect(engine.reads).toBe(0);
    expect(engine.commits).toEqual([[{ kind: "set", key: "a", entry: { count: 1 } }]]);
  });

  test("put, patch and delete of an idle key commit before the call returns", async () => {
    const { engine, store } = fake();
    const put = store.put("a", { count: 1 });
    const patch = store.patch("a", { count: 2 });
    expect(engine.inner.read("a")).toMatchObject({ entry: { count: 2 } });
    const deleting = store.delete("a");
    expect(engine.inner.read("a")).toBeUndefined();
    await Promise.all([put, patch, deleting]);
  });

  test("undefined or the same object commits nothing at all", async () => {
    const { engine, store } = fake();
    engine.write("a", { count: 1 });
    await store.update("a", () => undefined);
    await store.update("a", (entry) => entry);
    expect(engine.commits).toEqual([]);
  });
});

describe.each([{ async: false }, { async: true }])("retries, engine async: $async", (mode) => {
  test.each([1, 3, 7])(
    "%i conflicts are repeated at once, with a fresh read and a new run",
    async (conflicts) => {
      const { engine, runtime, store } = fake(mode);
      engine.conflicts = conflicts;
      let runs = 0;
      const record = await store.update("a", (entry) => {
        runs += 1;
        return increment(entry);
      });
      expect(record?.entry).toEqual({ count: 1 });
      expect([runs, engine.reads, engine.commits.length]).toEqual([
        conflicts + 1,
        conflicts + 1,
        conflicts + 1,
      ]);
      expect(runtime.pendingTimers).toBe(0);
    },
  );

  test("further conflicts wait for the runtime's timers", async () => {
    const { engine, runtime, store } = fake(mode);
    engine.conflicts = 40;
    const updating = store.update("a", increment);
    for (let pauses = 0; pauses < 5; pauses++) {
      await settle();
      expect(runtime.pendingTimers).toBe(1);
      runtime.advance(64);
    }
    expect((await updating)?.entry).toEqual({ count: 1 });
  });

  test("after 100 attempts the conflict comes out, and the key is free again", async () => {
    const { engine, runtime, store } = fake(mode);
    engine.conflicts = 100;
    const updating = store.update("a", increment);
    const failed = expect(updating).rejects.toMatchObject({
      code: "conflict",
      data: { key: "a", attempts: 100 },
    });
    for (let pauses = 0; pauses < 100; pauses++) {
      await settle();
      runtime.advance(64);
    }
    await failed;
    expect(engine.commits).toHaveLength(100);
    expect((await store.update("a", increment))?.entry).toEqual({ count: 1 });
  });

  test("the function runs on what the other process wrote", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { count: 10 });
    const others = [20, 30];
    engine.beforeCommit = () => {
      const count = others.shift();
      if (count !== undefined) engine.write("a", { count });
    };
    const seen: unknown[] = [];
    const record = await store.update("a", (entry) => {
      seen.push(entry?.count);
      return increment(entry);
    });
    expect(seen).toEqual([10, 20, 30]);
    expect(record?.entry).toEqual({ count: 31 });
  });

  test("patch goes on from what the other process wrote, or finds nothing there", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { count: 1, old: true });
    engine.beforeCommit = () => {
      engine.beforeCommit = undefined;
      engine.write("a", { count: 5, other: true });
    };
    expect((await store.patch("a", { count: 6 })).entry).toEqual({ count: 6, other: true });
    engine.beforeCommit = () => void engine.inner.commit([{ kind: "delete", key: "a" }]);
    await expect(store.patch("a", { count: 7 })).rejects.toMatchObject({ code: "not_found" });
  });

  test("delete goes on until it deleted, and says so if somebody else did", async () => {
    const { engine, store } = fake(mode);
    engine.write("a", { count: 1 });
    engine.beforeCommit = () => {
      engine.beforeCommit = undefined;
      engine.write("a", { count: 2 });
    };
    expect(await store.delete("a")).toBe(true);
    engine.write("a", { count: 1 });
    engine.beforeCommit = () => void engine.inner.commit([{ kind: "delete", key: "a" }]);
    expect(await store.delete("a")).toBe(false);
  });

  test("ifRevision: a spurious conflict is repeated, a real one is not", async () => {
    const { engine, store } = fake(mode);
    const { revision } = await store.put("a", { count: 1 });
    engine.conflicts = 3;
    expect((await store.put("a", { count: 2 }, { ifRevision: revision })).entry).toEqual({ count: 2 });
    const current = (await store.read("a"))!.revision;
    engine.beforeCommit = () => {
      engine.beforeCommit = undefined;
      engine.write("a", { count: 50 });
    };
    const commits = engine.commits.length;
    await expect(store.put("a", { count: 3 }, { ifRevision: current })).rejects.toMatchObject({
      code: "conflict",
      data: { key: "a", expected: current, actual: current + 1 },
    });
    expect(engine.commits.length).toBe(commits + 1);
    expect(await store.get("a")).toEqual({ count: 50 });
  });

  test("an abort ends the retries", async () => {
    const { engine, runtime, store } = fake(mode);
    const controller = new AbortController();
    engine.conflicts = Infinity;
    const updating = store.update("a", increment, { signal: controller.signal });
    await settle();
    expect(runtime.pendingTimers).toBe(1);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(updating).rejects.toBe(reason);
    expect(runtime.pendingTimers).toBe(0);
  });

  test("concurrent updates count, one after the other", async () => {
    const { store } = fake(mode);
    await Promise.all(Array.from({ length: 50 }, () => store.update("a", increment)));
    expect(await store.get("a")).toEqual({ count: 50 });
  });
});

describe("durability", () => {
  test("the caller waits for the disk, the next writer does not", async () => {
    const { engine, store } = fake();
    const disk = gate();
    engine.durable = () => disk.opened;
    const resolved: string[] = [];
    const first = store.update("a", increment).then(() => resolved.push("first"));
    const second = store.update("a", increment).then(() => resolved.push("second"));
    const third = store.transact(async (tx) => tx.put("a", increment(await tx.get("a"))));
    await settle();
    expect(engine.inner.read("a")).toMatchObject({ entry: { count: 3 } });
    expect(resolved).toEqual([]);
    disk.open();
    await Promise.all([first, second, third]);
    expect(resolved).toEqual(["first", "second"]);
  });

  test("a failed sync is durability_unknown and not 'nothing was changed'", async () => {
    const { engine, store } = fake();
    const cause = Object.assign(new Error("EIO"), { code: "EIO", syscall: "fdatasync" });
    engine.durable = () => Promise.reject(cause);
    await expect(store.put("a", { count: 1 })).rejects.toMatchObject({ code: "durability_unknown", cause });
    await expect(store.transact((tx) => tx.put("b", { count: 1 }))).rejects.toMatchObject({
      code: "durability_unknown",
    });
    const typed = new SessionStoreError("durability_unknown", "the engine's own words");
    engine.durable = () => Promise.reject(typed);
    await expect(store.put("a", { count: 1 })).rejects.toBe(typed);
    expect(await store.get("b")).toEqual({ count: 1 });
  });

  test("close waits for the disk", async () => {
    const { engine, store } = fake();
    const disk = gate();
    engine.durable = () => disk.opened;
    const putting = store.put("a", { count: 1 });
    const closing = store.close();
    await settle();
    expect(engine.closes).toBe(0);
    disk.open();
    await putting;
    await closing;
    expect(engine.closes).toBe(1);
  });
});

describe("errors", () => {
  const failure = Object.assign(new Error("EIO: bad disk"), { code: "EIO", syscall: "read", path: "/x" });
  const full = Object.assign(new Error("ENOSPC"), { code: "ENOSPC", syscall: "write" });

  test.each([{ async: false }, { async: true }])(
    "the engine's system errors are typed, async: $async",
    async (mode) => {
      const { engine, store } = fake(mode);
      const fail = (error: Error) => () => {
        if (mode.async) return Promise.reject(error);
        throw error;
      };
      engine.read = fail(failure);
      engine.scan = fail(failure);
      engine.commit = fail(full);
      const io = { name: "SessionStoreError", code: "io_error", cause: failure };
      await expect(store.get("a")).rejects.toMatchObject(io);
      await expect(store.get("a")).rejects.toThrow(/read session "a"/);
      await expect(store.update("a", increment)).rejects.toMatchObject(io);
      await expect(store.transact((tx) => tx.get("a"))).rejects.toMatchObject(io);
      await expect(store.list()).rejects.toMatchObject(io);
      await expect(store.put("a", { count: 1 })).rejects.toMatchObject({ code: "disk_full" });
      await expect(store.transact((tx) => tx.put("a", { count: 1 }))).rejects.toMatchObject({
        code: "disk_full",
      });
    },
  );

  test("a failed write frees its key", async () => {
    const { engine, store } = fake();
    engine.beforeCommit = () => {
      engine.beforeCommit = undefined;
      throw full;
    };
    const failed = store.put("a", { count: 1 });
    const next = store.put("a", { count: 2 });
    await expect(failed).rejects.toMatchObject({ code: "disk_full" });
    expect((await next).entry).toEqual({ count: 2 });
  });
});

describe("closing", () => {
  test("the engine is closed once, after everything that runs", async () => {
    const { engine, store } = fake({ async: true });
    const reading = store.list();
    const closings = [store.close(), store.close(), store[Symbol.asyncDispose]()];
    expect(engine.closes).toBe(0);
    await reading;
    await Promise.all(closings);
    expect(engine.closes).toBe(1);
  });

  test("a failing close fails every close the same way", async () => {
    const { engine, store } = fake();
    engine.close = () => Promise.reject(Object.assign(new Error(), { code: "EIO", syscall: "close" }));
    await expect(store.close()).rejects.toMatchObject({ code: "io_error" });
    await expect(store.close()).rejects.toMatchObject({ code: "io_error" });
  });
});

describe("synchronous reads", () => {
  function synchronous() {
    const engine = new FakeEngine();
    const calls: string[] = [];
    const extended: SynchronousEngine = Object.assign(engine, {
      readNow: (key: string) => {
        calls.push(key);
        return engine.inner.read(key) as never;
      },
      scanNow: (query: Parameters<FakeEngine["scan"]>[0]) => engine.inner.scan(query) as never,
      revision: () => 7,
      recordsRevision: () => 6,
      checkpoint: async () => void calls.push("checkpoint"),
    });
    const store = createDirectorySessionStore<Counter>(extended, {
      normalizeKey: (key) => key.toLowerCase(),
    });
    return { engine, calls, store };
  }

  test("getSync is one engine call, also while the key is held", async () => {
    const { engine, calls, store } = synchronous();
    const slow = gate();
    engine.write("a", { count: 1 });
    const updating = store.update("a", async (entry) => {
      await slow.opened;
      return increment(entry);
    });
    const entry = store.getSync("A");
    expect(entry).toEqual({ count: 1 });
    expect(store.getSync("a")).toBe(entry);
    expect(store.revisionSync()).toBe(7);
    expect(store.recordsRevisionSync()).toBe(6);
    expect(calls).toEqual(["a", "a"]);
    slow.open();
    await updating;
  });

  test("listSync pages like list", async () => {
    const { store } = synchronous();
    for (const key of ["a", "b", "c"]) await store.put(key, { count: 1 });
    const { sessions, cursor } = store.listSync({ limit: 2 });
    expect(sessions.map(({ key }) => key)).toEqual(["a", "b"]);
    expect((await store.list({ cursor })).sessions.map(({ key }) => key)).toEqual(["c"]);
  });

  test("checkpoint reaches the engine, system errors are typed", async () => {
    const { engine, calls, store } = synchronous();
    await store.checkpoint();
    expect(calls).toEqual(["checkpoint"]);
    Object.assign(engine, {
      readNow: () => {
        throw Object.assign(new Error(), { code: "EIO", syscall: "read" });
      },
    });
    expect(() => store.getSync("a")).toThrow(expect.objectContaining({ code: "io_error" }));
  });
});
