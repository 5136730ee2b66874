/** Conformance: list and count. */
import { strict as assert } from "node:assert";
import type { DirectorySessionStore, ListQuery } from "../../store/types.js";
import {
  integersUpTo,
  keysOf,
  same,
  wrongArgument,
  type ConformanceEntry,
  type ConformanceStore,
  type Kit,
} from "./kit.js";

export function listCases(kit: Kit): void {
  kit.case("an empty store lists nothing, and has no cursor", async (store) => {
    assert.deepEqual(await store.list(), { sessions: [] });
    assert.equal(await store.count(), 0);
  });

  kit.case("every session once, with everything read gives, ordered by key", async (store) => {
    for (const key of ["b", "c", "a"]) await store.put(key, { key });
    await store.patch("b", { more: 1 });
    const { sessions } = await store.list();
    assert.deepEqual(sessions, [await store.read("a"), await store.read("b"), await store.read("c")]);
    assert.equal(await store.count(), 3);
  });

  kit.case("keys are ordered by UTF-16 code units", async (store) => {
    const keys = ["Z", "a", "z", "É", "é", "10", "9", "a:b", "a-b", "ab", "～", "\u{1F600}", " x"];
    for (const key of keys) await store.put(key, {});
    const expected = [...keys].sort();
    assert.deepEqual(await keysOf(store), expected);
    assert.deepEqual(await queryKeys(store, { descending: true }), expected.reverse());
  });

  kit.case("prefix", async (store) => {
    for (const key of ["agent:a:1", "agent:a:2", "agent:b:1", "agent", "Agent:a:1", "agent:a"]) {
      await store.put(key, {});
    }
    assert.deepEqual(await keysOf(store, "agent:a:"), ["agent:a:1", "agent:a:2"]);
    assert.deepEqual(await keysOf(store, "agent:a:1"), ["agent:a:1"]);
    assert.deepEqual(await keysOf(store, "agent:c"), []);
    assert.equal((await keysOf(store, "")).length, 6);
    assert.equal(await store.count({ prefix: "agent:a" }), 3);
  });

  kit.case("a prefix is text, not a pattern", async (store) => {
    for (const key of ["a%b", "a_b", "a*b", "a.b", "a%3Ab", "axb"]) await store.put(key, {});
    for (const prefix of ["a%b", "a_", "a*", "a."]) {
      assert.deepEqual(await keysOf(store, prefix), [`${prefix.slice(0, 2)}b`]);
    }
    assert.deepEqual(await keysOf(store, "a%3"), ["a%3Ab"]);
  });

  kit.case("updatedAt orders, ties go by key, descending is the exact reverse", async (store) => {
    await putTimes(store, { d: 20, b: 10, c: 20, a: 30, e: 20 });
    const order = ["b", "c", "d", "e", "a"];
    assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), order);
    assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt", descending: true }), order.reverse());
  });

  kit.case("a session without a numeric updatedAt counts as 0", async (store) => {
    await putTimes(store, { later: 5, earlier: -5 });
    await store.put("none", {});
    await store.put("text", { updatedAt: "2024" });
    assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), ["earlier", "none", "text", "later"]);
    assert.deepEqual(await queryKeys(store, { updatedAfter: -1, updatedBefore: 1 }), ["none", "text"]);
  });

  kit.case("bounds on updatedAt are exclusive", async (store) => {
    await putTimes(store, { a: 10, b: 20, c: 30 });
    assert.deepEqual(await queryKeys(store, { updatedAfter: 10 }), ["b", "c"]);
    assert.deepEqual(await queryKeys(store, { updatedBefore: 30 }), ["a", "b"]);
    assert.deepEqual(await queryKeys(store, { updatedAfter: 10, updatedBefore: 30 }), ["b"]);
    assert.deepEqual(await queryKeys(store, { updatedAfter: 20, updatedBefore: 20 }), []);
    assert.equal(await store.count({ updatedAfter: 10 }), 2);
    assert.equal(await store.count({ updatedAfter: 10, prefix: "c" }), 1);
  });

  kit.case("listings follow every kind of change", async (store) => {
    await putTimes(store, { a: 1, b: 2, c: 3 });
    await store.patch("a", { updatedAt: 10 });
    await store.update("b", (entry) => ({ ...entry, updatedAt: 9 }));
    await store.transact((tx) => tx.put("c", { updatedAt: 8 }));
    assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), ["c", "b", "a"]);
    await store.delete("b");
    await store.put("d", {});
    assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), ["d", "c", "a"]);
  });

  kit.caseWith(
    { updatedAt: (entry) => (entry["times"] as number[] | undefined)?.[0] },
    "updatedAt can come from anywhere in the entry",
    async (store) => {
      await store.put("a", { times: [3], updatedAt: 1 });
      await store.put("b", { times: [2], updatedAt: 2 });
      await store.put("c", { updatedAt: 99 });
      assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), ["c", "b", "a"]);
    },
  );

  kit.caseWith(
    {
      updatedAt: (entry) => {
        if (entry["bad"] === true) throw new Error("no");
        return entry["bad"] === "NaN" ? Number.NaN : 5;
      },
    },
    "an updatedAt that throws or is NaN counts as 0 and harms nobody",
    async (store) => {
      await store.put("throws", { bad: true });
      await store.put("nan", { bad: "NaN" });
      await store.put("good", {});
      assert.deepEqual(await queryKeys(store, { orderBy: "updatedAt" }), ["nan", "throws", "good"]);
    },
  );

  kit.case("limit cuts, the cursor goes on, nothing twice and nothing missing", async (store) => {
    await Promise.all(integersUpTo(25).map((n) => store.put(`s${n}`, { updatedAt: n % 4 })));
    for (const orderBy of ["key", "updatedAt"] as const) {
      for (const descending of [false, true]) {
        const whole = await queryKeys(store, { orderBy, descending });
        assert.equal(whole.length, 25);
        for (const limit of [1, 4, 5, 24, 25, 26]) {
          assert.deepEqual(await pageThrough(store, { orderBy, descending, limit }), whole);
        }
      }
    }
  });

  kit.case("pages respect prefix and bounds", async (store) => {
    await Promise.all(
      integersUpTo(30).map((n) => store.put(`${n % 2 === 0 ? "even" : "odd"}-${n}`, { updatedAt: n })),
    );
    const query: ListQuery = { prefix: "odd-", updatedAfter: 5, orderBy: "updatedAt", descending: true };
    const paged = await pageThrough(store, { ...query, limit: 3 });
    assert.deepEqual(paged, await queryKeys(store, query));
    assert.equal(paged.length, 12);
    assert.equal(await store.count(query), 12);
  });

  kit.case("a limit that is just enough leaves no cursor", async (store) => {
    for (const key of ["a", "b"]) await store.put(key, {});
    assert.equal("cursor" in (await store.list({ limit: 2 })), false);
    assert.equal("cursor" in (await store.list({ limit: 3 })), false);
    assert.equal(typeof (await store.list({ limit: 1 })).cursor, "string");
    assert.equal((await store.list({ limit: Infinity })).sessions.length, 2);
  });

  kit.case("a cursor goes on after its session was deleted", async (store) => {
    for (const key of ["a", "b", "c", "d"]) await store.put(key, {});
    const { cursor } = await store.list({ limit: 2 });
    await store.delete("b");
    await store.put("a2", {});
    assert.deepEqual(await queryKeys(store, { cursor }), ["c", "d"]);
  });

  kit.case("the page size may change from page to page, the query may not", async (store) => {
    await putTimes(store, { a: 1, b: 2, c: 3, d: 4 });
    const { cursor } = await store.list({ limit: 1, prefix: "" });
    assert.deepEqual(await queryKeys(store, { limit: 2, cursor }), ["b", "c"]);
    for (const other of [
      { prefix: "a" },
      { updatedAfter: 1 },
      { updatedBefore: 9 },
      { orderBy: "updatedAt" },
      { descending: true },
    ] satisfies ListQuery[]) {
      await wrongArgument(() => store.list({ ...other, cursor }), /cursor/);
    }
  });

  for (const cursor of ["", "x", "!!!", "e30", Buffer.from("[1,2,3]").toString("base64url"), 7, null]) {
    kit.case(`the cursor ${JSON.stringify(cursor)} is a TypeError`, async (store) => {
      await wrongArgument(() => store.list({ cursor: cursor as string }), /cursor/);
    });
  }

  kit.case("wrong queries are TypeErrors that name the option", async (store) => {
    const wrong: [object, RegExp][] = [
      [{ prefx: "a" }, /prefx/],
      [{ prefix: 7 }, /prefix/],
      [{ prefix: null }, /prefix/],
      [{ updatedAfter: "1" }, /updatedAfter/],
      [{ updatedBefore: Number.NaN }, /updatedBefore/],
      [{ orderBy: "createdAt" }, /orderBy/],
      [{ descending: 1 }, /descending/],
      [{ limit: 0 }, /limit/],
      [{ limit: -1 }, /limit/],
      [{ limit: 1.5 }, /limit/],
      [{ limit: "10" }, /limit/],
    ];
    for (const [query, named] of wrong) {
      await wrongArgument(() => store.list(query), named);
      await wrongArgument(() => store.count(query), named);
    }
    await wrongArgument(() => store.list("agent:" as never), /query/);
    await wrongArgument(() => store.list(null as never), /query/);
  });

  kit.case("options that are undefined are as good as absent", async (store) => {
    await store.put("a", {});
    const query = { prefix: undefined, updatedAfter: undefined, orderBy: undefined, limit: undefined };
    assert.deepEqual(await queryKeys(store, { ...query, cursor: undefined, descending: undefined }), ["a"]);
  });

  kit.case("listed entries are the ones that get returns", async (store) => {
    await store.put("a", { route: { to: "x" } });
    const { sessions } = await store.list();
    assert.equal(sessions[0]?.entry, await store.get("a"));
  });

  kit.case("a listing is the caller's own: changing it changes nothing", async (store) => {
    await store.put("a", {});
    const list = await store.list();
    list.sessions.length = 0;
    assert.equal((await store.list()).sessions.length, 1);
  });

  kit.case("two thousand sessions", async (store) => {
    await store.transact(async (tx) => {
      for (const n of integersUpTo(2000)) await tx.put(`agent:${n % 7}:${n}`, { updatedAt: 5000 - n });
    });
    assert.equal(await store.count(), 2000);
    assert.equal(await store.count({ prefix: "agent:3:" }), 286);
    const newest = await store.list({ orderBy: "updatedAt", descending: true, limit: 3 });
    same(
      newest.sessions.map(({ key }) => key),
      ["agent:0:0", "agent:1:1", "agent:2:2"],
    );
  });

  if (kit.capabilities.syncReads) {
    kit.case("getSync and listSync answer like get and list", async (store) => {
      const now = store as DirectorySessionStore<ConformanceEntry>;
      await putTimes(store, { a: 3, b: 2, c: 1 });
      assert.equal(now.getSync("a"), await store.get("a"));
      assert.equal(now.getSync("nobody"), undefined);
      const query: ListQuery = { orderBy: "updatedAt", limit: 2 };
      assert.deepEqual(now.listSync(query), await store.list(query));
      assert.deepEqual(now.listSync(), await store.list());
      await wrongArgument(() => now.getSync(""), /key/);
      await wrongArgument(() => now.listSync({ limit: 0 }), /limit/);
    });
  }
}

async function putTimes(store: ConformanceStore, times: Record<string, number>): Promise<void> {
  for (const [key, updatedAt] of Object.entries(times)) await store.put(key, { updatedAt });
}

async function queryKeys(store: ConformanceStore, query: ListQuery): Promise<string[]> {
  return (await store.list(query)).sessions.map(({ key }) => key);
}

async function pageThrough(store: ConformanceStore, query: ListQuery): Promise<string[]> {
  const keys: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ ...query, cursor });
    assert.ok(page.sessions.length <= (query.limit ?? Infinity));
    assert.ok(page.sessions.length > 0 || cursor === undefined, "an empty page behind a cursor");
    assert.ok(new Set(keys).size === keys.length, "a session on two pages");
    keys.push(...page.sessions.map(({ key }) => key));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return keys;
}
