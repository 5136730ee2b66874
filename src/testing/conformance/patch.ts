/** Conformance: patch. */
import { strict as assert } from "node:assert";
import { failure, same, wrongArgument, type Kit } from "./kit.js";

export function patchCases(kit: Kit): void {
  kit.case("patch sets fields and leaves the others", async (store) => {
    await store.put("a", { model: "large", turns: 1 });
    const record = await store.patch("a", { turns: 2 });
    same(record.entry, { model: "large", turns: 2 });
    assert.deepEqual(await store.read("a"), record);
  });

  kit.case("patch makes a new revision", async (store) => {
    const { revision } = await store.put("a", { turns: 1 });
    const patched = await store.patch("a", { turns: 2 });
    assert.ok(patched.revision > revision);
    assert.equal(await store.revision(), patched.revision);
  });

  kit.case("patch keeps the order of fields and appends new ones", async (store) => {
    await store.put("a", { zeta: 1, alpha: 2, mid: 3 });
    await store.patch("a", { new2: 5, alpha: 20, new1: 4 });
    same(await store.get("a"), { zeta: 1, alpha: 20, mid: 3, new2: 5, new1: 4 });
  });

  kit.case("a field that is undefined is removed, null is kept", async (store) => {
    await store.put("a", { model: "large", error: "old", note: "x" });
    await store.patch("a", { error: undefined, note: null });
    const entry = await store.get("a");
    same(entry, { model: "large", note: null });
    assert.ok(entry !== undefined && !("error" in entry));
  });

  kit.case("a removed field that comes back comes last", async (store) => {
    await store.put("a", { first: 1, second: 2 });
    await store.patch("a", { first: undefined });
    await store.patch("a", { first: 3 });
    same(await store.get("a"), { second: 2, first: 3 });
  });

  kit.case("removing a field that is not there is no change", async (store) => {
    const { revision } = await store.put("a", { turns: 1 });
    const record = await store.patch("a", { missing: undefined });
    same(record.entry, { turns: 1 });
    assert.equal(record.revision, revision);
  });

  kit.case("patch with the values that are there writes nothing", async (store) => {
    const record = await store.put("a", { turns: 1, route: { channel: "mail", to: ["x"] } });
    assert.deepEqual(await store.patch("a", { route: { to: ["x"], channel: "mail" } }), record);
    assert.deepEqual(await store.patch("a", {}), record);
    assert.equal(await store.revision(), record.revision);
  });

  kit.case("patch replaces nested values, it does not merge them", async (store) => {
    await store.put("a", { route: { channel: "mail", to: "x" } });
    await store.patch("a", { route: { channel: "sms" } });
    same(await store.get("a"), { route: { channel: "sms" } });
  });

  kit.case("patch can empty an entry", async (store) => {
    await store.put("a", { turns: 1 });
    await store.patch("a", { turns: undefined });
    same(await store.get("a"), {});
    assert.equal(await store.count(), 1);
  });

  kit.case("patch of a missing session is not_found and creates nothing", async (store) => {
    const error = await failure(store.patch("a", { turns: 1 }), "not_found");
    assert.equal(error.data["key"], "a");
    await failure(store.patch("a", { turns: 1 }, { ifRevision: 3 }), "not_found");
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.revision(), 0);
  });

  kit.case("patch after delete is not_found", async (store) => {
    await store.put("a", { turns: 1 });
    await store.delete("a");
    await failure(store.patch("a", { turns: 2 }), "not_found");
    assert.equal(await store.count(), 0);
  });

  kit.case("patch with ifRevision", async (store) => {
    const old = await store.put("a", { turns: 1 });
    const current = await store.patch("a", { turns: 2 }, { ifRevision: old.revision });
    const error = await failure(store.patch("a", { turns: 3 }, { ifRevision: old.revision }), "conflict");
    assert.deepEqual(error.data, { key: "a", expected: old.revision, actual: current.revision });
    assert.deepEqual(await store.read("a"), current);
  });

  kit.case("wrong arguments of patch are TypeErrors", async (store) => {
    await store.put("a", { turns: 1 });
    await wrongArgument(() => store.patch("a", null as never), /fields/);
    await wrongArgument(() => store.patch("a", ["turns"] as never), /fields/);
    await wrongArgument(() => store.patch("a", {}, { ifRevision: 0 }), /ifRevision/);
    same(await store.get("a"), { turns: 1 });
  });

  kit.case("concurrent patches of different fields all count", async (store) => {
    await store.put("a", {});
    const names = Array.from({ length: 50 }, (_, index) => `field${index}`);
    await Promise.all(names.map((name) => store.patch("a", { [name]: name })));
    const entry = await store.get("a");
    for (const name of names) assert.equal(entry?.[name], name);
  });
}
