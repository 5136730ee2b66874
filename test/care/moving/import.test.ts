/**
 * Goal: each policy does what it says with a session that is there, what is the same is left alone, others who write meanwhile are noticed, and
 * a file that is damaged, cut or foreign is told by its line. Method: stores in memory; files changed line by line.
 */
import { describe, expect, it } from "vitest";
import {
  importSessions,
  type ImportOptions,
  type ImportReport,
  type OnConflict,
} from "../../../src/moving/index.js";
import { contentOf, exported, fullStore, memoryStore, piecesOf, type Store } from "./support/stores.js";

const bringIn = (store: Store, text: string, options?: ImportOptions): Promise<ImportReport> =>
  importSessions(store, piecesOf(text), options);

async function storeOf(turns: number, items: readonly unknown[], updatedAt = 1000): Promise<Store> {
  const store = await memoryStore();
  await store.put("a", { turns, updatedAt });
  if (items.length > 0)
    await store.append("a", items, { ids: items.map((_, index) => (index % 2 ? `i${index}` : undefined)) });
  return store;
}

describe("a session that is there", () => {
  const cases: readonly [OnConflict, number, object][] = [
    ["skip", 2000, { skipped: 1, kept: ["a"] }],
    ["replace", 2000, { replaced: 1 }],
    ["newer", 2000, { replaced: 1 }],
    ["newer", 1000, { skipped: 1 }],
    ["newer", 999, { skipped: 1 }],
  ];
  it.each(cases)("is treated as %s says, with a file of %d", async (onConflict, updatedAt, expected) => {
    const from = await storeOf(2, ["same", "other", "more"], updatedAt);
    const to = await storeOf(1, ["same", "mine"]);
    const before = await contentOf(to);
    const { text } = await exported(from);
    const planned = await bringIn(to, text, { onConflict, dryRun: true });
    expect(planned).toMatchObject({ created: 0, ...expected, dryRun: true });
    expect(await contentOf(to)).toEqual(before);
    expect(await bringIn(to, text, { onConflict })).toEqual({ ...planned, dryRun: false });
    expect(await contentOf(to)).toEqual("replaced" in expected ? await contentOf(from) : before);
  });

  it("ends an import that says nothing, and a dry run counts it", async () => {
    const { text } = await exported(await storeOf(2, []));
    const to = await storeOf(1, []);
    expect(await bringIn(to, text, { dryRun: true })).toMatchObject({ conflicts: 1, kept: ["a"] });
    await expect(bringIn(to, text)).rejects.toMatchObject({ code: "session_exists", data: { key: "a" } });
    expect(await to.get("a")).toMatchObject({ turns: 1 });
  });

  it.each(["fail", "skip", "replace", "newer"] as const)(
    "and is the same is left alone by %s",
    async (onConflict) => {
      const from = await storeOf(1, ["x", "y"]);
      const to = await memoryStore();
      const { text } = await exported(from);
      await bringIn(to, text);
      const revision = await to.revision();
      const kept = onConflict === "fail" || onConflict === "replace" ? { unchanged: 1 } : { skipped: 1 };
      expect(await bringIn(to, text, { onConflict })).toMatchObject({ created: 0, replaced: 0, ...kept });
      expect(await to.revision()).toBe(revision);
    },
  );

  it("loses its other transcripts when it is replaced, and keeps the items that are the same", async () => {
    const from = await storeOf(1, ["x", "y", "z"]);
    const to = await storeOf(1, ["x", "y"]);
    await to.append("a", ["gone"], { transcript: "side" });
    const [, second] = (await to.readItems("a")).items;
    await bringIn(to, (await exported(from)).text, { onConflict: "replace" });
    expect(await contentOf(to)).toEqual(await contentOf(from));
    expect((await to.readItems("a")).items[1]).toEqual(second); // its number, its time, its revision
  });

  it("as transcripts alone: a beginning is continued, anything else is a conflict", async () => {
    const { text } = await exported(await storeOf(1, ["x", "y", "z"]));
    const begun = await memoryStore();
    await begun.append("a", ["x", "y"], { ids: [undefined, "i1"] });
    expect(await bringIn(begun, text)).toMatchObject({ created: 1, items: 1 });
    const other = await memoryStore();
    await other.append("a", ["x", "other"]);
    await expect(bringIn(other, text)).rejects.toMatchObject({ code: "session_exists" });
    expect(await other.transcript("a")).toMatchObject({ length: 2 });
    expect(await other.get("a")).toBeUndefined();
    expect(await bringIn(other, text, { onConflict: "replace" })).toMatchObject({ replaced: 1 });
  });
});

describe("a long transcript", () => {
  const items = Array.from({ length: 2500 }, (_, index) => ({ index, text: "word ".repeat(20) }));

  it("comes in step by step, and the record last", async () => {
    const from = await storeOf(1, items);
    await from.append("a", [1, 2, 3], { transcript: "z" });
    const { text } = await exported(from);
    const to = await memoryStore();
    const kinds: string[] = [];
    const stop = new AbortController();
    const watching = (async () => {
      for await (const { kind } of to.watch({ signal: stop.signal })) kinds.push(kind);
    })();
    expect(await bringIn(to, text)).toMatchObject({ created: 1, items: 2503 });
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await watching;
    expect(kinds.at(-1)).toBe("put");
    expect(kinds.slice(0, -1).every((kind) => kind === "transcript")).toBe(true);
    expect(await contentOf(to)).toEqual(await contentOf(from));
    expect(await bringIn(to, text)).toMatchObject({ unchanged: 1, items: 0 });
    expect(await bringIn(to, text, { onConflict: "skip" })).toMatchObject({ skipped: 1 });
  });

  it("goes on where a stopped import ended, also if that was in the middle of another one", async () => {
    const { text } = await exported(await storeOf(1, items));
    const to = await memoryStore();
    await to.append("a", items.slice(0, 700), {
      ids: items.slice(0, 700).map((_, index) => (index % 2 ? `i${index}` : undefined)),
    });
    expect(await bringIn(to, text, { dryRun: true })).toMatchObject({ created: 1, items: 1800 });
    expect(await bringIn(to, text)).toMatchObject({ created: 1, items: 1800 });
    expect(await to.transcript("a")).toMatchObject({ length: 2500, last: 2500 });
  });

  it("of a session that differs is a conflict, and nothing of it is changed", async () => {
    const { text } = await exported(await storeOf(1, items));
    const to = await storeOf(1, [...items.slice(0, 2000), "mine"]);
    const before = await contentOf(to);
    await expect(bringIn(to, text)).rejects.toMatchObject({ code: "session_exists" });
    expect(await contentOf(to)).toEqual(before);
    expect(await bringIn(to, text, { onConflict: "replace" })).toMatchObject({ replaced: 1, items: 500 });
    expect(await to.transcript("a")).toMatchObject({ length: 2500 });
  });
});

describe("a file that is wrong", () => {
  const damaged = async (change: (lines: string[]) => string[]): Promise<string> => {
    const { text } = await exported(await fullStore(await memoryStore()));
    return change(text.split("\n")).join("\n");
  };
  const at = (index: number, line: string) => (lines: string[]) => lines.with(index, line);
  const cases: readonly [string, (lines: string[]) => string[], string, number][] = [
    ["nothing", () => [], "not_an_export", 1],
    ["another file", () => ['{"a":1}'], "not_an_export", 1],
    ["a picture", () => ["\u0000\u0001"], "not_an_export", 1],
    ["a later version", at(0, '{"type":"header","format":"sessiondir-export","version":2}'), "version", 1],
    ["no end", (lines) => lines.slice(0, -2), "cut", 34],
    ["half a line at its end", (lines) => [...lines.slice(0, 3), '{"type":"it'], "cut", 4],
    ["a line that is no JSON", at(3, "{oops"), "line", 4],
    ["a line that is no object", at(3, "[1]"), "line", 4],
    ["a line of an unknown type", at(3, '{"type":"new"}'), "line", 4],
    ["a changed line", (lines) => lines.with(3, (lines[3] ?? "").replace("hi", "ho")), "checksum", 34],
    ["a lost item", (lines) => lines.toSpliced(4, 1), "line", 7],
    ["an item too many", (lines) => lines.toSpliced(4, 0, lines[4] ?? "", lines[4] ?? ""), "line", 8],
    ["a session without a key", at(1, '{"type":"session","entry":{}}'), "line", 2],
    ["a session without anything", at(1, '{"type":"session","key":"a"}'), "line", 2],
    ["an entry that is no object", at(1, '{"type":"session","key":"a","entry":[]}'), "line", 2],
    ["a lost value", (lines) => lines.filter((line) => !line.startsWith('{"type":"value"')), "line", 10],
    ["a name that is no name", at(1, '{"type":"session","key":"a","entry":{"$x":1}}'), "line", 2],
    ["a line behind the end", (lines) => [...lines.slice(0, -1), '{"type":"value"}', ""], "line", 35],
  ];
  it.each(cases)("%s", async (_name, change, reason, line) => {
    const store = await memoryStore();
    await expect(bringIn(store, await damaged(change))).rejects.toMatchObject({
      code: "export_invalid",
      data: { reason, line },
    });
    if (reason === "not_an_export" || reason === "version") expect(await store.count()).toBe(0);
  });

  it("gives what can be read of it with salvage, and says what cannot", async () => {
    const text = await damaged((lines) => lines.with(3, "{oops").with(12, "damage"));
    const store = await memoryStore();
    const report = await bringIn(store, text, { salvage: true });
    expect(report).toMatchObject({ created: 20, faultCount: 2 });
    expect(report.faults[0]).toMatchObject({ line: 4, key: "agent:main:main" });
    expect(report.faults[1]).toMatchObject({ line: 13 });
    expect(await store.get("agent:main:main")).toBeUndefined();
  });

  it("loses one session, not two, where the end of one is missing", async () => {
    const text = await damaged((lines) => lines.toSpliced(4, 1));
    const store = await memoryStore();
    const report = await bringIn(store, text, { salvage: true });
    expect(report.created).toBeGreaterThanOrEqual(21);
    expect(report.faults).toMatchObject([{ key: "agent:main:main" }]);
  });

  it("cannot make much of little: references that double at every level", async () => {
    const lines = ['{"type":"header","format":"sessiondir-export","version":1}'];
    lines.push(JSON.stringify({ type: "value", id: "0", value: "x".repeat(5000) }));
    for (let level = 1; level < 60; level++) {
      const one = { $shared: String(level - 1) };
      lines.push(JSON.stringify({ type: "value", id: String(level), value: [one, one] }));
    }
    await expect(bringIn(await memoryStore(), lines.join("\n"))).rejects.toMatchObject({
      code: "export_invalid",
      data: { reason: "line" },
    });
  });

  it("may have members that this version does not know, and lines without checksum", async () => {
    const store = await memoryStore();
    const lines = [
      '{"type":"header","format":"sessiondir-export","version":1,"tool":"mine"}',
      '{"type":"session","key":"a","entry":{"__proto__":{"x":1}},"new":true}',
      "",
      '{"type":"end"}',
    ];
    expect(await bringIn(store, lines.join("\r\n"))).toMatchObject({ created: 1 });
    expect(JSON.stringify(await store.get("a"))).toBe('{"__proto__":{"x":1}}');
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
  });
});

describe("others", () => {
  it("who write to a session while it comes in step by step are noticed", async () => {
    const items = Array.from({ length: 3000 }, (_, index) => index);
    const { text } = await exported(await storeOf(1, items));
    const to = await memoryStore();
    const pieces = (async function* () {
      let pushed = false;
      for await (const piece of piecesOf(text, 4096)) {
        yield piece;
        if (pushed || ((await to.transcript("a"))?.length ?? 0) === 0) continue;
        pushed = true;
        await to.append("a", ["from a gateway"]);
      }
    })();
    await expect(importSessions(to, pieces)).rejects.toMatchObject({ code: "conflict", data: { key: "a" } });
    expect(await to.get("a")).toBeUndefined();
  });

  it("who cut a transcript while it is exported: it comes once more, whole", async () => {
    const items = Array.from({ length: 3000 }, (_, index) => ({ index, text: "word ".repeat(20) }));
    const from = await storeOf(1, items);
    const { exportSessions } = await import("../../../src/moving/index.js");
    let text = "";
    let cut = false;
    for await (const piece of exportSessions(from)) {
      text += piece;
      if (!cut) await from.truncate("a", { afterSeq: 2500 });
      cut = true;
    }
    expect(text).toContain('{"type":"abandon","key":"a"}');
    const to = await memoryStore();
    expect(await bringIn(to, text)).toMatchObject({ created: 1 });
    expect(await contentOf(to)).toEqual(await contentOf(from));
    expect(await to.transcript("a")).toMatchObject({ length: 2500 });
  });
});
