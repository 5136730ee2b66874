/**
 * Goal: what is exported and imported is the same store again, entries and transcripts with their ids, whatever is in it; and the file is the one that
 * docs/moving.md describes. Method: stores in memory, moved through text; the file is read as another tool would.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { importSessions } from "../../../src/moving/index.js";
import { contentOf, exported, fullStore, linesOf, memoryStore, piecesOf } from "./support/stores.js";

describe("a store that is moved", () => {
  it("is the same", async () => {
    const from = await fullStore(await memoryStore());
    const { text, report } = await exported(from);
    expect(report).toMatchObject({ sessions: 22, transcripts: 3, items: 6, missing: [], damaged: [] });
    expect(report.bytes).toBe(Buffer.byteLength(text));
    const to = await memoryStore();
    expect(await importSessions(to, piecesOf(text))).toMatchObject({ created: 22, items: 6, unchanged: 0 });
    expect(await contentOf(to, ["no record"])).toEqual(await contentOf(from, ["no record"]));
    expect(await importSessions(to, piecesOf(text, 7))).toMatchObject({
      created: 0,
      items: 0,
      unchanged: 22,
    });
  });

  it("is the same packed with gzip, whatever it is called", async () => {
    const from = await fullStore(await memoryStore());
    const to = await memoryStore();
    await importSessions(to, piecesOf(gzipSync((await exported(from)).text)));
    expect(await contentOf(to)).toEqual(await contentOf(from));
  });

  it("has a session without a record also if only that is named", async () => {
    const from = await fullStore(await memoryStore());
    const { text, report } = await exported(from, { keys: ["no record", "nowhere"] });
    expect(report).toMatchObject({ sessions: 1, items: 1, missing: ["nowhere"] });
    const to = await memoryStore();
    expect(await importSessions(to, piecesOf(text))).toMatchObject({ created: 1 });
    expect(await contentOf(to, ["no record"])).toEqual({
      "no record": { entry: undefined, transcripts: { main: [[undefined, { only: "a transcript" }]] } },
    });
  });

  it("takes the sessions of a prefix and those that are named, each once", async () => {
    const from = await fullStore(await memoryStore());
    const { text } = await exported(from, {
      prefix: "agent:main:many:1",
      keys: ["agent:main:main", "agent:main:many:1"],
    });
    const keys = linesOf(text).flatMap(({ type, key }) => (type === "session" ? [key] : []));
    expect(keys).toHaveLength(12);
    expect(new Set(keys).size).toBe(12);
    expect(keys).toContain("agent:main:main");
  });

  it("of any entries and items", async () => {
    const json = fc.jsonValue({ maxDepth: 4 });
    const name = fc.oneof(
      fc.string(),
      fc.constantFrom("$shared", "$", "$$shared", "__proto__", "constructor"),
    );
    const big = fc.constantFrom("a", "b").map((letter) => letter.repeat(5000));
    const entry = fc.dictionary(name, fc.oneof(json, big, fc.dictionary(name, big)));
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom("a", "b", "c"), entry),
        fc.array(json, { maxLength: 5 }),
        async (entries, items) => {
          const [from, to] = [await memoryStore(), await memoryStore()];
          for (const [key, value] of Object.entries(entries)) {
            await from.put(key, value);
            await from.append(key, items);
          }
          await importSessions(to, piecesOf((await exported(from)).text));
          expect(await contentOf(to)).toEqual(await contentOf(from));
          expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("the file", () => {
  it("has a header, values before the sessions that have them, items behind their transcript, and an end", async () => {
    const { text } = await exported(await fullStore(await memoryStore()), { name: "old" });
    const lines = linesOf(text);
    expect(lines[0]).toMatchObject({ type: "header", format: "sessiondir-export", version: 1, store: "old" });
    expect(lines.map(({ type }) => type).slice(1, 9)).toEqual([
      "session",
      "transcript",
      "item",
      "item",
      "item",
      "item",
      "transcript",
      "item",
    ]);
    expect(lines[1]).toMatchObject({
      key: "agent:main:main",
      transcripts: [
        { name: "main", length: 4, last: 4 },
        { name: "side", length: 1, last: 1 },
      ],
    });
    const end = lines.at(-1) ?? {};
    expect(end).toMatchObject({ type: "end", sessions: 22, transcripts: 3, items: 6 });
    const before = text.slice(0, text.lastIndexOf("\n", text.length - 2) + 1);
    expect(end["sha256"]).toBe(createHash("sha256").update(before).digest("hex"));
  });

  it("has a big value once", async () => {
    const { text, report } = await exported(await fullStore(await memoryStore()));
    expect(text.length).toBeLessThan(30_000);
    expect(linesOf(text).filter(({ type }) => type === "value")).toHaveLength(report.values);
    expect(report.values).toBe(1);
  });
});
