/** Conformance: put, get, read, revisions, ifRevision. */
import { strict as assert } from "node:assert";
import { failure, integersUpTo, keysOf, same, wrongArgument, type Kit } from "./kit.js";

const CLOCK_SKEW_MS = 60_000;

export function putCases(kit: Kit): void {
  kit.case("a session that was never put is undefined", async (store) => {
    assert.equal(await store.get("nobody"), undefined);
    assert.equal(await store.read("nobody"), undefined);
  });

  kit.case("a new store has revision 0", async (store) => {
    assert.equal(await store.revision(), 0);
  });

  kit.case("put creates, and returns what read returns", async (store) => {
    const put = await store.put("a", { model: "large", turns: 3 });
    assert.equal(put.key, "a");
    same(put.entry, { model: "large", turns: 3 });
    assert.ok(Number.isSafeInteger(put.revision) && put.revision >= 1);
    assert.deepEqual(await store.read("a"), put);
    same(await store.get("a"), { model: "large", turns: 3 });
  });

  kit.case("modifiedAt is the time of the commit", async (store) => {
    const before = Date.now();
    const { modifiedAt } = await store.put("a", {});
    assert.ok(modifiedAt >= before - CLOCK_SKEW_MS && modifiedAt <= Date.now() + CLOCK_SKEW_MS);
  });

  kit.case("put replaces the whole entry", async (store) => {
    await store.put("a", { model: "large", turns: 3 });
    const { revision } = await store.put("a", { model: "small" });
    same(await store.get("a"), { model: "small" });
    assert.equal((await store.read("a"))?.revision, revision);
  });

  kit.case("an empty entry is an entry", async (store) => {
    await store.put("a", {});
    same(await store.get("a"), {});
    assert.equal(await store.count(), 1);
  });

  kit.case("revisions grow over all sessions, and revision() is the latest", async (store) => {
    let latest = 0;
    for (const index of integersUpTo(20)) {
      const { revision } = await store.put(`session-${index % 3}`, { index });
      assert.ok(revision > latest, `revision ${revision} after ${latest}`);
      latest = revision;
      assert.equal(await store.revision(), latest);
    }
  });

  kit.case("reading makes no revision", async (store) => {
    const { revision } = await store.put("a", {});
    await store.get("a");
    await store.read("b");
    await store.list();
    await store.count();
    assert.equal(await store.revision(), revision);
  });

  kit.case("put of an equal entry makes a new revision", async (store) => {
    const first = await store.put("a", { model: "large" });
    const second = await store.put("a", { model: "large" });
    assert.ok(second.revision > first.revision);
    assert.equal((await store.read("a"))?.revision, second.revision);
  });

  kit.case("sessions do not touch each other", async (store) => {
    const a = await store.put("a", { name: "a" });
    await store.put("b", { name: "b" });
    await store.delete("b");
    assert.deepEqual(await store.read("a"), a);
  });

  kit.case("put with the current revision replaces", async (store) => {
    const { revision } = await store.put("a", { turns: 1 });
    await store.put("a", { turns: 2 }, { ifRevision: revision });
    same(await store.get("a"), { turns: 2 });
  });

  kit.case("put with an old revision is a conflict that says both, and writes nothing", async (store) => {
    const old = await store.put("a", { turns: 1 });
    const current = await store.put("a", { turns: 2 });
    const error = await failure(store.put("a", { turns: 9 }, { ifRevision: old.revision }), "conflict");
    assert.deepEqual(error.data, { key: "a", expected: old.revision, actual: current.revision });
    assert.match(error.message, /"a"/);
    assert.deepEqual(await store.read("a"), current);
    assert.equal(await store.revision(), current.revision);
  });

  kit.case("put with another session's newer revision is a conflict", async (store) => {
    await store.put("a", {});
    const other = await store.put("b", {});
    await failure(store.put("a", {}, { ifRevision: other.revision }), "conflict");
  });

  kit.case("ifRevision 0 creates what does not exist", async (store) => {
    const { revision } = await store.put("a", { turns: 1 }, { ifRevision: 0 });
    assert.equal((await store.read("a"))?.revision, revision);
  });

  kit.case("ifRevision 0 is a conflict when the session exists", async (store) => {
    const existing = await store.put("a", { turns: 1 });
    const error = await failure(store.put("a", { turns: 9 }, { ifRevision: 0 }), "conflict");
    assert.deepEqual(error.data, { key: "a", expected: 0, actual: existing.revision });
    assert.deepEqual(await store.read("a"), existing);
  });

  kit.case("a revision asked of a missing session is a conflict with actual 0", async (store) => {
    const { revision } = await store.put("other", {});
    const error = await failure(store.put("a", {}, { ifRevision: revision }), "conflict");
    assert.deepEqual(error.data, { key: "a", expected: revision, actual: 0 });
    assert.deepEqual(await keysOf(store), ["other"]);
  });

  kit.case("a record is the caller's own: changing it changes nothing in the store", async (store) => {
    const record = await store.put("a", { turns: 1 });
    const { revision } = record;
    try {
      (record as { revision: number }).revision = 999;
    } catch {
      // Frozen is fine too.
    }
    assert.equal((await store.read("a"))?.revision, revision);
    await store.put("a", { turns: 2 }, { ifRevision: revision });
  });

  kit.case("a given entry may be changed afterwards without changing the store", async (store) => {
    const entry = { turns: 1, route: { channel: "mail" }, tags: ["x"] };
    await store.put("a", entry);
    entry.turns = 9;
    entry.route.channel = "changed";
    entry.tags.push("y");
    same(await store.get("a"), { turns: 1, route: { channel: "mail" }, tags: ["x"] });
  });

  for (const [name, entry] of [
    ["undefined", undefined],
    ["null", null],
    ["a string", "text"],
    ["a number", 7],
    ["an array", [1]],
    ["a function", () => ({})],
  ] as const) {
    kit.case(`put of ${name} is a TypeError that names the entry`, async (store) => {
      await wrongArgument(() => store.put("a", entry as never), /entry/);
      assert.equal(await store.count(), 0);
    });
  }

  for (const ifRevision of [-1, 1.5, Number.NaN, Infinity, "1", null, 2 ** 53]) {
    kit.case(`ifRevision ${String(ifRevision)} (${typeof ifRevision}) is a TypeError`, async (store) => {
      await wrongArgument(() => store.put("a", {}, { ifRevision: ifRevision as number }), /ifRevision/);
      assert.equal(await store.count(), 0);
    });
  }

  kit.case("a misspelt option is a TypeError and not an unconditional write", async (store) => {
    await wrongArgument(() => store.put("a", {}, { ifRevison: 0 } as never), /ifRevison/);
    await wrongArgument(() => store.delete("a", { force: true } as never), /force/);
    assert.equal(await store.count(), 0);
  });
}
