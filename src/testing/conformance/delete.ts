/** Conformance: delete and what comes after it. */
import { strict as assert } from "node:assert";
import { failure, keysOf, same, wrongArgument, type Kit } from "./kit.js";

export function deleteCases(kit: Kit): void {
  kit.case("delete says whether there was a session", async (store) => {
    await store.put("a", {});
    assert.equal(await store.delete("a"), true);
    assert.equal(await store.delete("a"), false);
    assert.equal(await store.delete("never"), false);
  });

  kit.case("a deleted session is gone from every view, the others stay", async (store) => {
    await store.put("a", {});
    await store.put("b", {});
    await store.delete("a");
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.read("a"), undefined);
    assert.deepEqual(await keysOf(store), ["b"]);
    assert.equal(await store.count(), 1);
    assert.equal((await store.stats()).sessions, 1);
  });

  kit.case("a delete makes a revision, a delete of nothing does not", async (store) => {
    const { revision } = await store.put("a", {});
    await store.delete("a");
    const after = await store.revision();
    assert.ok(after > revision);
    await store.delete("a");
    assert.equal(await store.revision(), after);
  });

  kit.case("a session can be created again, with a higher revision", async (store) => {
    const first = await store.put("a", { life: 1 });
    await store.delete("a");
    const second = await store.put("a", { life: 2 }, { ifRevision: 0 });
    assert.ok(second.revision > first.revision + 1);
    same(await store.get("a"), { life: 2 });
    assert.deepEqual(await keysOf(store), ["a"]);
  });

  kit.case("the revision of a former life does not match the new one", async (store) => {
    const first = await store.put("a", { same: true });
    await store.delete("a");
    await store.put("a", { same: true });
    await failure(store.put("a", { same: false }, { ifRevision: first.revision }), "conflict");
    same(await store.get("a"), { same: true });
  });

  kit.case("delete with the current revision deletes", async (store) => {
    const { revision } = await store.put("a", {});
    assert.equal(await store.delete("a", { ifRevision: revision }), true);
    assert.equal(await store.count(), 0);
  });

  kit.case("delete with an old revision is a conflict and deletes nothing", async (store) => {
    const old = await store.put("a", { turns: 1 });
    const current = await store.put("a", { turns: 2 });
    const error = await failure(store.delete("a", { ifRevision: old.revision }), "conflict");
    assert.deepEqual(error.data, { key: "a", expected: old.revision, actual: current.revision });
    assert.deepEqual(await store.read("a"), current);
  });

  kit.case("delete with a revision of a missing session is a conflict", async (store) => {
    const { revision } = await store.put("a", {});
    await store.delete("a");
    const error = await failure(store.delete("a", { ifRevision: revision }), "conflict");
    assert.equal(error.data["actual"], 0);
  });

  kit.case("delete with ifRevision 0 is a TypeError", async (store) => {
    await store.put("a", {});
    await wrongArgument(() => store.delete("a", { ifRevision: 0 }), /ifRevision/);
    assert.equal(await store.count(), 1);
  });

  kit.case("delete and create many times", async (store) => {
    let latest = 0;
    for (let life = 1; life <= 25; life++) {
      const { revision } = await store.put("a", { life });
      assert.ok(revision > latest);
      latest = revision;
      assert.equal(await store.delete("a"), true);
      assert.equal(await store.get("a"), undefined);
    }
    assert.equal(await store.count(), 0);
  });
}
