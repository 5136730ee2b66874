/** Conformance: keys, hostile ones above all. Every key either round-trips or is refused; none becomes another. */
import { strict as assert } from "node:assert";
import { failure, keysOf, same, take, wrongArgument, type Kit } from "./kit.js";

/** Names that file systems, shells, URLs, databases or JavaScript treat specially, and near twins. */
const HOSTILE_KEYS: readonly string[] = [
  ".",
  "..",
  "...",
  "../../etc/passwd",
  "/",
  "/absolute",
  "a/b",
  "a\\b",
  "\\\\server\\share",
  "C:\\windows",
  "C:",
  "nul\0byte",
  "nul",
  "line\nbreak",
  "tab\t",
  " leading",
  "trailing ",
  "trailing.",
  "trailing..",
  ".store",
  ".hidden",
  "~",
  "~user",
  "-rf",
  "--",
  "CON",
  "con",
  "con.txt",
  "LPT1",
  "aux.json",
  "meta.json",
  "a",
  "A",
  "agent:main:main",
  "Agent:Main:Main",
  "agent--main--main",
  "agent%3Amain%3Amain",
  "agent%3amain%3amain",
  "agent%253Amain",
  "%",
  "%2E",
  "%2e%2e",
  "%zz",
  "caf\u00e9",
  "cafe\u0301",
  "CAF\u00c9",
  "\u0130stanbul",
  "i\u0307stanbul",
  "stra\u00dfe",
  "strasse",
  "\ufeffbom",
  "bom",
  "\u200bzero-width",
  "zero-width",
  "\u202eright-to-left",
  "\u{1F600}",
  "\u{1F468}\u200d\u{1F469}\u200d\u{1F467}",
  "\uffff",
  "\ue000",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "then",
  "$session",
  "$blob",
  "$",
  "undefined",
  "null",
  "NaN",
  "0",
  "-0",
  "1e3",
  "'; DROP TABLE sessions; --",
  "\u001b[2J",
  "<script>alert(1)</script>",
  "*",
  "?",
  '"quoted"',
  "k".repeat(199),
  "k".repeat(200),
  "k".repeat(201),
  `${"k".repeat(201)}x`,
  "K".repeat(201),
  ":".repeat(300),
  "\u00e9".repeat(512),
  "k".repeat(1024),
];

export function keyCases(kit: Kit): void {
  kit.case("hostile keys round-trip and never meet", async (store, { reopen }) => {
    assert.equal(new Set(HOSTILE_KEYS).size, HOSTILE_KEYS.length);
    for (const [index, key] of HOSTILE_KEYS.entries()) {
      const record = await store.put(key, { index }, { ifRevision: 0 });
      assert.equal(record.key, key);
    }
    await assertAll(store);
    if (!kit.capabilities.persistent) return;
    await store.flush();
    await assertAll(await reopen!());
  });

  kit.case("hostile keys can be deleted one by one, and only that one goes", async (store) => {
    for (const key of HOSTILE_KEYS) await store.put(key, {});
    const left = [...HOSTILE_KEYS].sort();
    for (const key of HOSTILE_KEYS) {
      assert.equal(await store.delete(key), true, JSON.stringify(key));
      assert.equal(await store.get(key), undefined);
      left.splice(left.indexOf(key), 1);
      assert.equal(await store.count(), left.length);
    }
    assert.deepEqual(await keysOf(store), []);
  });

  kit.case("hostile keys work in transactions and watches", async (store) => {
    const watching = take(store.watch(), HOSTILE_KEYS.length);
    await store.transact(async (tx) => {
      for (const [index, key] of HOSTILE_KEYS.entries()) {
        assert.equal(await tx.get(key), undefined);
        await tx.put(key, { index });
        same(await tx.get(key), { index });
      }
    });
    const changed = new Map((await watching).map(({ key, record }) => [key, record?.entry["index"]]));
    for (const [index, key] of HOSTILE_KEYS.entries()) assert.equal(changed.get(key), index);
  });

  for (const [name, key] of [
    ["an empty key", ""],
    ["undefined", undefined],
    ["null", null],
    ["a number", 7],
    ["an object", {}],
    ["half a surrogate pair", "\ud83d"],
    ["the other half", "a\ude00b"],
    ["two halves in the wrong order", "\ude00\ud83d"],
  ] as [string, never][]) {
    kit.case(`${name} as key is a TypeError everywhere`, async (store) => {
      for (const use of [
        () => store.get(key),
        () => store.read(key),
        () => store.put(key, {}),
        () => store.patch(key, {}),
        () => store.update(key, () => ({})),
        () => store.delete(key),
        () => store.transact((tx) => tx.get(key)),
        () => store.transact((tx) => tx.put(key, {})),
      ]) {
        await wrongArgument(use, /key/);
      }
      assert.equal(await store.count(), 0);
    });
  }

  kit.case("a key of more than 1024 bytes is key_too_long everywhere", async (store) => {
    for (const key of ["k".repeat(1025), "\u00e9".repeat(513), "\u{1F600}".repeat(257), "k".repeat(4096)]) {
      const error = await failure(store.put(key, {}), "key_too_long");
      assert.equal(error.data["limit"], 1024);
      assert.equal(error.data["actual"], Buffer.byteLength(key));
      await failure(store.get(key), "key_too_long");
      await failure(
        store.update(key, () => ({})),
        "key_too_long",
      );
      await failure(store.delete(key), "key_too_long");
      await failure(
        store.transact((tx) => tx.put(key, {})),
        "key_too_long",
      );
    }
    assert.equal(await store.count(), 0);
  });

  kit.caseWith({ limits: { keyBytesMax: 8 } }, "the length of keys can be limited", async (store) => {
    await store.put("12345678", {});
    const error = await failure(store.put("123456789", {}), "key_too_long");
    assert.equal(error.data["limit"], 8);
    assert.deepEqual(await keysOf(store), ["12345678"]);
  });

  kit.case("keys are opaque: case and form make different sessions", async (store) => {
    await store.put("Key", { form: 1 });
    await store.put("key", { form: 2 });
    same(
      [await store.get("Key"), await store.get("key"), await store.get("KEY")],
      [{ form: 1 }, { form: 2 }, undefined],
    );
  });

  kit.caseWith(
    { normalizeKey: (key) => key.trim().toLowerCase() },
    "normalizeKey is applied to every key that comes in",
    async (store) => {
      const record = await store.put(" Agent:A ", { turns: 1 });
      assert.equal(record.key, "agent:a");
      same(await store.get("AGENT:A"), { turns: 1 });
      await store.patch("agent:A", { turns: 2 });
      await store.update(" AGENT:a", (entry) => ({ ...entry, more: true }));
      await store.transact(async (tx) => {
        same(await tx.get("Agent:a"), { turns: 2, more: true });
        await tx.put("AGENT:B", {});
        same(await tx.get("agent:b"), {});
      });
      assert.deepEqual(await keysOf(store), ["agent:a", "agent:b"]);
      assert.equal(await store.delete("AGENT:B"), true);
      await wrongArgument(() => store.get("   "), /key/);
      await wrongArgument(() => store.get(7 as never), /key/);
    },
  );
}

async function assertAll(store: Parameters<typeof keysOf>[0]): Promise<void> {
  for (const [index, key] of HOSTILE_KEYS.entries()) {
    same(await store.get(key), { index });
    assert.equal((await store.read(key))?.key, key);
  }
  assert.deepEqual(await keysOf(store), [...HOSTILE_KEYS].sort());
}
