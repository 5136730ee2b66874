/** Conformance: update. */
import { strict as assert } from "node:assert";
import { gate, increment, rejection, same, wrongArgument, type Kit } from "./kit.js";

export function updateCases(kit: Kit): void {
  kit.case("update creates a missing session", async (store) => {
    const record = await store.update("a", (entry) => {
      assert.equal(entry, undefined);
      return { turns: 1 };
    });
    same(record?.entry, { turns: 1 });
    assert.deepEqual(await store.read("a"), record);
  });

  kit.case("update computes the next entry from the current one", async (store) => {
    const before = await store.put("a", { count: 41, model: "large" });
    const record = await store.update("a", increment);
    same(record?.entry, { count: 42, model: "large" });
    assert.ok(record !== undefined && record.revision > before.revision);
  });

  kit.case("an async function is awaited", async (store) => {
    await store.put("a", { count: 1 });
    const record = await store.update("a", async (entry) => {
      await Promise.resolve();
      return increment(entry);
    });
    same(record?.entry, { count: 2 });
  });

  kit.case("undefined leaves the session as it is, and returns its record", async (store) => {
    const before = await store.put("a", { turns: 1 });
    assert.deepEqual(await store.update("a", () => undefined), before);
    assert.deepEqual(await store.update("a", async () => undefined), before);
    assert.equal(await store.revision(), before.revision);
  });

  kit.case("undefined for a missing session creates nothing", async (store) => {
    assert.equal(await store.update("a", () => undefined), undefined);
    assert.equal(await store.count(), 0);
    assert.equal(await store.revision(), 0);
  });

  kit.case("the same object, or an equal one, writes nothing", async (store) => {
    const before = await store.put("a", { turns: 1, route: { to: ["x", { deep: null }] } });
    assert.deepEqual(await store.update("a", (entry) => entry), before);
    assert.deepEqual(await store.update("a", (entry) => ({ ...entry })), before);
    assert.deepEqual(await store.update("a", (entry) => structuredClone(entry)), before);
    assert.equal(await store.revision(), before.revision);
  });

  kit.case("the order of fields alone is no change, the order of items is", async (store) => {
    const before = await store.put("a", { one: 1, two: { x: 1, y: 2 }, items: [1, 2] });
    const reordered = await store.update("a", () => ({ items: [1, 2], two: { y: 2, x: 1 }, one: 1 }));
    assert.equal(reordered?.revision, before.revision);
    const changed = await store.update("a", (entry) => ({ ...entry, items: [2, 1] }));
    assert.ok(changed !== undefined && changed.revision > before.revision);
  });

  kit.case("fields that are undefined make no difference", async (store) => {
    const before = await store.put("a", { turns: 1 });
    const after = await store.update("a", (entry) => ({ ...entry, gone: undefined }));
    assert.equal(after?.revision, before.revision);
  });

  kit.case("small differences are differences", async (store) => {
    const values = [0, "0", null, false, "", [], {}, [null], { a: null }, [[]], 1e-9, "a", "A"];
    let latest = (await store.put("a", { value: "start" })).revision;
    for (const value of values) {
      const record = await store.update("a", () => ({ value }));
      assert.ok(record !== undefined && record.revision > latest, `no write for ${JSON.stringify(value)}`);
      same(record.entry, { value });
      latest = record.revision;
    }
  });

  kit.case("update can drop fields", async (store) => {
    await store.put("a", { keep: 1, drop: 2 });
    await store.update("a", ({ keep } = {}) => ({ keep }));
    same(await store.get("a"), { keep: 1 });
  });

  kit.case("the order of fields of a new entry is kept", async (store) => {
    await store.put("a", { alpha: 1 });
    await store.update("a", (entry) => ({ zeta: 0, ...entry, beta: 2 }));
    same(await store.get("a"), { zeta: 0, alpha: 1, beta: 2 });
  });

  kit.case("what the function throws comes out, and nothing is written", async (store) => {
    const before = await store.put("a", { turns: 1 });
    const thrown = new RangeError("mine");
    const sync = store.update("a", () => {
      throw thrown;
    });
    assert.equal(await rejection(sync), thrown);
    assert.equal(await rejection(store.update("a", () => Promise.reject(thrown))), thrown);
    assert.deepEqual(await store.read("a"), before);
    // The session is not blocked by what failed before.
    same((await store.update("a", () => ({ turns: 2 })))?.entry, { turns: 2 });
  });

  kit.case("a system error of the function stays what it is", async (store) => {
    const thrown = Object.assign(new Error("no such file"), { code: "ENOENT", syscall: "open", path: "/x" });
    const failed = store.update("a", () => {
      throw thrown;
    });
    assert.equal(await rejection(failed), thrown);
  });

  kit.case("what is no entry is a TypeError, and nothing is written", async (store) => {
    for (const next of [null, 7, "text", [1], true]) {
      await wrongArgument(() => store.update("a", () => next as never), /fn/);
      await wrongArgument(() => store.update("a", async () => next as never), /fn/);
    }
    await wrongArgument(() => store.update("a", undefined as never), /fn/);
    await wrongArgument(() => store.update("a", { turns: 1 } as never), /fn/);
    assert.equal(await store.count(), 0);
  });

  kit.case("the function gets a frozen entry", async (store) => {
    await store.put("a", { route: { to: "x" } });
    await store.update("a", (entry) => {
      assert.ok(Object.isFrozen(entry));
      assert.throws(() => {
        (entry as { route: { to: string } }).route.to = "changed";
      }, TypeError);
      return undefined;
    });
    same(await store.get("a"), { route: { to: "x" } });
  });

  kit.case("a function is run again when a transaction got in between", async (store) => {
    await store.put("a", { count: 10 });
    const seen: unknown[] = [];
    const record = await store.update("a", async (entry) => {
      seen.push(entry?.["count"]);
      if (seen.length === 1) await store.transact((tx) => tx.put("a", { count: 100 }));
      return increment(entry);
    });
    assert.deepEqual(seen, [10, 100]);
    same(record?.entry, { count: 101 });
  });

  kit.case("a function is run again when the session was deleted in between", async (store) => {
    await store.put("a", { count: 10 });
    const seen: unknown[] = [];
    await store.update("a", async (entry) => {
      seen.push(entry?.["count"]);
      if (seen.length === 1) await store.transact((tx) => tx.delete("a"));
      return increment(entry);
    });
    assert.deepEqual(seen, [10, undefined]);
    same(await store.get("a"), { count: 1 });
  });

  kit.case("writes of one session take turns in the order of the calls", async (store) => {
    const slow = gate();
    const order: string[] = [];
    const step = (name: string) => (entry: Record<string, unknown> | undefined) => {
      order.push(name);
      return { ...entry, [name]: order.length };
    };
    const first = store.update("a", async (entry) => {
      await slow.opened;
      return step("first")(entry);
    });
    const second = store.update("a", step("second"));
    const third = store.patch("a", { third: true });
    const fourth = store.update("a", step("fourth"));
    slow.open();
    await Promise.all([first, second, third, fourth]);
    assert.deepEqual(order, ["first", "second", "fourth"]);
    same(await store.get("a"), { first: 1, second: 2, third: true, fourth: 3 });
  });

  kit.case("another session does not wait", async (store) => {
    const slow = gate();
    const first = store.update("a", async () => {
      await slow.opened;
      return { done: true };
    });
    same((await store.update("b", () => ({ done: true })))?.entry, { done: true });
    assert.equal(await store.get("a"), undefined);
    slow.open();
    await first;
  });

  kit.case("an aborted signal writes nothing", async (store) => {
    const reason = new Error("enough");
    let calls = 0;
    const count = () => ({ calls: ++calls });
    assert.equal(await rejection(store.update("a", count, { signal: AbortSignal.abort(reason) })), reason);
    assert.equal(await rejection(store.put("a", {}, { signal: AbortSignal.abort(reason) })), reason);
    assert.equal(calls, 0);
    assert.equal(await store.count(), 0);
  });

  kit.case("who waits for a turn can give up, and the line goes on", async (store) => {
    const slow = gate();
    const controller = new AbortController();
    const first = store.update("a", async () => {
      await slow.opened;
      return { by: ["first"] };
    });
    const second = store.update("a", () => ({ by: ["second"] }), { signal: controller.signal });
    const third = store.update("a", (entry) => ({ by: [...((entry?.["by"] ?? []) as string[]), "third"] }));
    const reason = new Error("enough");
    controller.abort(reason);
    assert.equal(await rejection(second), reason);
    slow.open();
    await Promise.all([first, third]);
    same(await store.get("a"), { by: ["first", "third"] });
  });
}
