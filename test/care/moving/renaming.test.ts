/** Goal: other keys and other paths, and nothing else changes; what is in the way stays. Method: stores in memory, others who write in between. */
import { describe, expect, it } from "vitest";
import { renameKey, renamePrefix, rewritePaths } from "../../../src/moving/index.js";
import { rewritePath } from "../../../src/care/moving/rewrite-rule.js";
import { contentOf, fullStore, memoryStore, type Store } from "./support/stores.js";

const LONG = Array.from({ length: 2500 }, (_, index) => ({ index }));

async function withLong(store: Store): Promise<Store> {
  await store.put("long", { n: 1 });
  for (let first = 0; first < LONG.length; first += 500)
    await store.append("long", LONG.slice(first, first + 500));
  return store;
}

describe("renameKey", () => {
  it("brings record and transcripts along, in one commit if they are small", async () => {
    const store = await fullStore(await memoryStore());
    const before = await contentOf(store);
    const revision = await store.revision();
    const changes: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const change of store.watch({ since: revision, signal: stop.signal }))
        changes.push(`${change.kind} ${change.key} ${change.revision}`);
    })();
    const planned = await renameKey(store, "agent:main:main", "new", { dryRun: true });
    expect(await store.revision()).toBe(revision);
    const done = await renameKey(store, "agent:main:main", "new");
    expect(done).toEqual({ ...planned, dryRun: false });
    expect(done).toMatchObject({ transcripts: ["main", "side"], items: 5, replaced: false });
    const { "agent:main:main": moved, ...others } = before;
    expect(await contentOf(store)).toEqual({ ...others, new: moved });
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await watching;
    expect(new Set(changes.map((change) => change.split(" ").at(-1))).size).toBe(1);
    expect(changes.map((change) => change.slice(0, change.lastIndexOf(" "))).sort()).toEqual([
      "delete agent:main:main",
      "put new",
      "transcript new",
      "transcript new",
    ]);
  });

  it("brings a long transcript along, and one of a session without a record", async () => {
    const store = await withLong(await fullStore(await memoryStore()));
    const { long } = await contentOf(store);
    expect(await renameKey(store, "long", "new")).toMatchObject({ items: 2500 });
    expect((await contentOf(store))["new"]).toEqual(long);
    expect(await store.transcripts("long")).toEqual([]);
    await renameKey(store, "no record", "still none");
    expect(await store.transcripts("no record")).toEqual([]);
    expect((await store.readItems("still none")).items).toMatchObject([
      { seq: 1, item: { only: "a transcript" } },
    ]);
  });

  it.each(["small", "long", "no record"])(
    "leaves what has the new key, unless it may be replaced: %s",
    async (kind) => {
      const store = await withLong(await fullStore(await memoryStore()));
      await store.put("small", { small: true });
      await store.put("there", { mine: true });
      await store.append("there", ["mine"]);
      const before = await contentOf(store, ["no record"]);
      await expect(renameKey(store, kind, "there")).rejects.toMatchObject({
        code: "session_exists",
        data: { key: "there" },
      });
      expect(await contentOf(store, ["no record"])).toEqual(before);
      expect(await renameKey(store, kind, "there", { replace: true })).toMatchObject({ replaced: true });
      const after = await contentOf(store, ["there", kind]);
      expect(after["there"]).toEqual(before[kind]);
      expect(after[kind]).toBeUndefined();
    },
  );

  it("refuses transcripts of somebody else under the new key", async () => {
    const store = await withLong(await memoryStore());
    await store.append("new", [{ index: 0 }, "other"]);
    await expect(renameKey(store, "long", "new")).rejects.toMatchObject({ code: "session_exists" });
    expect(await store.transcript("new")).toMatchObject({ length: 2 });
    expect(await store.transcript("long")).toMatchObject({ length: 2500 });
  });

  it("takes along what others append while it copies", async () => {
    const store = await withLong(await memoryStore());
    const original = store.append.bind(store);
    let appended = 0;
    store.append = async (key, items, options) => {
      if (key === "new" && appended++ < 2) await original("long", [{ late: appended }]);
      return original(key, items, options);
    };
    await renameKey(store, "long", "new");
    expect(await store.transcript("new")).toMatchObject({ length: 2502 });
    expect(await store.get("long")).toBeUndefined();
  });

  it("says what is wrong", async () => {
    const store = await memoryStore();
    await expect(renameKey(store, "a", "b")).rejects.toMatchObject({ code: "not_found", data: { key: "a" } });
    await expect(renameKey(store, "a", "a")).rejects.toThrow(TypeError);
    await expect(renameKey(store, "a", "")).rejects.toThrow(TypeError);
  });
});

describe("renamePrefix", () => {
  it("renames all of an agent, also where new keys begin like old ones, and goes on where it was stopped", async () => {
    const store = await fullStore(await memoryStore());
    const renamed: string[] = [];
    const stop = new AbortController();
    const options = {
      signal: stop.signal,
      onRenamed: ({ to }: { to: string }) => {
        if (renamed.push(to) === 5) stop.abort();
      },
    };
    await expect(renamePrefix(store, "agent:main:many:", "agent:new:", options)).rejects.toThrow();
    expect(renamed).toHaveLength(5);
    expect(await renamePrefix(store, "agent:main:many:", "agent:new:")).toBe(15);
    expect(await store.count({ prefix: "agent:new:" })).toBe(20);
    expect(await renamePrefix(store, "agent:new:", "agent:new:x:")).toBe(20);
    expect(await store.count({ prefix: "agent:new:x:" })).toBe(20);
    await expect(renamePrefix(store, "", "x")).rejects.toThrow(TypeError);
  });
});

describe("rewritePaths", () => {
  it("changes whole components in the named field, and says how many", async () => {
    const store = await fullStore(await memoryStore());
    const rules = [{ field: ["sessionFile"], from: "/home/old/", to: "/srv/new" }];
    const before = await contentOf(store);
    const planned = await rewritePaths(store, rules, { dryRun: true });
    expect(planned).toMatchObject({ sessions: 21, changed: 1, fields: 1 });
    expect(await contentOf(store)).toEqual(before);
    expect(await rewritePaths(store, rules)).toEqual({ ...planned, dryRun: false });
    expect(await store.get("agent:main:main")).toMatchObject({
      sessionFile: "/srv/new/.openclaw/agents/main/sessions/s-1.jsonl",
      none: null,
    });
    const revision = await store.revision();
    expect(await rewritePaths(store, rules)).toMatchObject({ changed: 0 });
    expect(await store.revision()).toBe(revision);
  });

  it("exchanges two folders, follows fields and items, and leaves the rest", async () => {
    const store = await memoryStore();
    await store.put("a", {
      files: [{ path: "/a/x" }, { path: "/b/y" }],
      n: 1,
      other: "/a/x",
      ["__proto__"]: "/a",
    });
    const exchange = (field: string[]) => [
      { field, from: "/a", to: "/b" },
      { field, from: "/b", to: "/a" },
    ];
    const rules = [
      ...exchange(["files", "0", "path"]),
      ...exchange(["files", "1", "path"]),
      ...exchange(["files", "length"]),
      ...exchange(["n"]),
      ...exchange(["nowhere", "x"]),
      { field: ["__proto__"], from: "/a", to: "/c" },
    ];
    expect(await rewritePaths(store, rules, { keys: ["a", "gone"] })).toMatchObject({
      sessions: 1,
      fields: 3,
      missing: ["gone"],
    });
    expect(JSON.stringify(await store.get("a"))).toBe(
      '{"files":[{"path":"/b/x"},{"path":"/a/y"}],"n":1,"other":"/a/x","__proto__":"/c"}',
    );
  });

  it.each([
    ["/home/a", "/home/a", "/b", "/b"],
    ["/home/a/", "/home/a", "/b", "/b/"],
    ["/home/ab", "/home/a", "/b", "/home/ab"],
    ["/home/a/c", "/home/a/", "/b/", "/b/c"],
    ["C:\\old\\x", "C:\\old", "D:\\new", "D:\\new\\x"],
    ["/home/a/c", "/home/a", "/", "/c"],
    ["home/a", "/home/a", "/b", "home/a"],
  ])("%s from %s to %s is %s", (path, from, to, expected) => {
    expect(rewritePath(path, from, to)).toBe(expected);
  });

  it.each([
    [[], "/a", "/b"],
    [["x"], "", "/b"],
    [["x"], "/", "/b"],
    [["x"], "/a", ""],
  ])("refuses what is no rule: %j %j %j", async (field, from, to) => {
    await expect(rewritePaths(await memoryStore(), [{ field, from, to }])).rejects.toThrow(TypeError);
  });
});
