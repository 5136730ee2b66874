/**
 * Goal: a file that somebody else wrote, and a place that is no good for a file: told by line, key or path with a code; a dry run says what
 * the import says; `salvage` leaves out what it names and nothing else; what is in the store already is not harmed by what is left out.
 * Method: files line by line, into stores in memory; places on the real and on the simulated disk.
 */
import { execFileSync } from "node:child_process";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../src/index.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import type { FileSystem } from "../../../src/fs/file-system.js";
import {
  exportToFile,
  importFromFile,
  importSessions,
  type ImportOptions,
} from "../../../src/moving/index.js";
import { exportToFileOn } from "../../../src/care/moving/export-file.js";
import { rewriteEntry } from "../../../src/care/moving/rewrite-rule.js";
import { systemRuntime } from "../../../src/runtime.js";
import { contentOf, exported, memoryStore, piecesOf, type Store } from "./support/stores.js";

const folder = mkdtempSync(join(tmpdir(), "sessiondir-moving-"));
afterAll(() => rmSync(folder, { recursive: true }));

const HEADER = { type: "header", format: "sessiondir-export", version: 1 };
const textOf = (...lines: readonly (object | string)[]): string =>
  [HEADER, ...lines, { type: "end" }]
    .map((line) => `${typeof line === "string" ? line : JSON.stringify(line)}\n`)
    .join("");

const GOOD = { type: "session", key: "good", entry: { n: 1 } };
const item = (more: object): object[] => [
  { type: "session", key: "bad", entry: { n: 1 }, transcripts: [{ name: "main", length: 1 }] },
  { type: "transcript", name: "main" },
  { type: "item", item: 1, ...more },
];
const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));

/** Into an empty store. @returns What it says, or its code and line. */
async function outcome(text: string, options: ImportOptions): Promise<unknown> {
  const store = await memoryStore();
  try {
    const { created, faultCount } = await importSessions(store, piecesOf(text, 100_000), options);
    return { created, faultCount };
  } catch (error) {
    expect(error).toBeInstanceOf(SessionStoreError);
    const { code, data } = error as SessionStoreError;
    return { code, line: data["line"] };
  }
}

describe("what no store takes", () => {
  const deep = '{"type":"item","item":' + "[".repeat(200_000) + "]".repeat(200_000) + "}";
  it.each<[string, (object | string)[], string?]>([
    ["a key with half a character", ['{"type":"session","key":"\\ud800","entry":{}}']],
    ["an entry of 129 levels", [{ type: "session", key: "bad", entry: { a: nested(128) } }]],
    ["an item of 129 levels", item({ item: nested(129) })],
    ["an item of 200,000 levels", [...item({}).slice(0, 2), deep]],
    ["an id that is too long", item({ id: "i".repeat(201) })],
    ["an empty id", item({ id: "" })],
    ["an id with half a character", [...item({}).slice(0, 2), '{"type":"item","item":1,"id":"\\ud800"}']],
    [
      "a transcript name that is too long",
      [{ type: "session", key: "bad", entry: {}, transcripts: [{ name: "n".repeat(201), length: 0 }] }],
    ],
    ["a key that is too long", [{ type: "session", key: "k".repeat(1025), entry: {} }], "key_too_long"],
    [
      "an entry that is too large",
      [{ type: "session", key: "bad", entry: { a: "x".repeat(17 * 1024 * 1024) } }],
      "entry_too_large",
    ],
  ])(
    "%s: told by its line, also by a dry run, and salvaging goes on behind it",
    async (_, lines, code = "export_invalid") => {
      const text = textOf(...lines, GOOD);
      const told = { code, line: lines.length + 1 };
      expect(await outcome(text, {})).toEqual(told);
      expect(await outcome(text, { salvage: true })).toEqual({ created: 1, faultCount: 1 });
      // How large an entry may be is up to the store that takes it.
      if (code !== "entry_too_large") expect(await outcome(text, { dryRun: true })).toEqual(told);
    },
  );

  it("a session that has less than its line says", async () => {
    const lines = [{ type: "session", key: "bad", entry: {}, transcripts: [{ name: "main", length: 2 }] }];
    const text = textOf(...lines, { type: "transcript", name: "main" }, { type: "item", item: 1 }, GOOD);
    expect(await outcome(text, {})).toEqual({ code: "export_invalid", line: 5 });
    expect(await outcome(text, { salvage: true })).toEqual({ created: 1, faultCount: 1 });
  });

  it("what a store just takes is imported", async () => {
    const text = textOf(
      { type: "session", key: "k".repeat(1024), entry: { a: nested(127) } },
      ...item({ id: "i".repeat(200), item: nested(128) }),
    );
    expect(await outcome(text, {})).toEqual({ created: 2, faultCount: 0 });
  });
});

describe("a large session that is damaged in the file", () => {
  const items = Array.from({ length: 2500 }, (_, index) => ({ index, of: "file" }));

  async function stores(): Promise<{ text: string; to: Store }> {
    const from = await memoryStore();
    await from.put("a", { n: 2 });
    await from.append("a", items);
    await from.put("b", { n: 2 });
    const to = await memoryStore();
    await to.put("a", { n: 1 });
    await to.append("a", [{ mine: 1 }, { mine: 2 }]);
    return { text: (await exported(from)).text, to };
  }

  it("leaves the one in the store as it is, whatever may be replaced", async () => {
    const { text, to } = await stores();
    const before = await contentOf(to);
    const path = join(folder, "damaged.jsonl");
    writeFileSync(path, text.replace('{"index":2400,', '{"index";2400,'));
    const report = await importFromFile(to, path, { onConflict: "replace", salvage: true });
    expect(report).toMatchObject({ created: 1, replaced: 0, faultCount: expect.any(Number) });
    expect(report.faults[0]).toMatchObject({ key: "a" });
    const { b, ...rest } = await contentOf(to);
    expect(rest).toEqual(before);
    expect(b).toBeDefined();
  });

  it("and one that its writer called off comes only once", async () => {
    const { text, to } = await stores();
    const [header, ...lines] = text.trimEnd().split("\n");
    const first = lines.findIndex((line) => line.startsWith('{"type":"item"'));
    const begun = lines.slice(0, first + 2000);
    const path = join(folder, "called-off.jsonl");
    const all = [header, ...begun, '{"type":"abandon","key":"a"}', ...lines.slice(0, -1), '{"type":"end"}'];
    writeFileSync(path, `${all.join("\n")}\n`);
    expect(await importFromFile(to, path, { onConflict: "replace" })).toMatchObject({
      replaced: 1,
      created: 1,
      items: 2500,
    });
  });
});

describe("where a file is exported to", () => {
  it.each([
    ["a FIFO", (path: string) => void execFileSync("mkfifo", [path])],
    ["a folder", (path: string) => mkdirSync(path)],
  ])("%s is not replaced, also where a file would be", async (_, make) => {
    const path = join(folder, "place");
    make(path);
    const { ino } = lstatSync(path);
    const store = await memoryStore();
    await expect(exportToFile(store, path, { overwrite: true })).rejects.toMatchObject({
      code: "file_unsafe",
      data: { path },
    });
    expect(lstatSync(path).ino).toBe(ino);
    rmSync(path, { recursive: true });
    expect(readdirSync(folder).filter((name) => name.includes(".part"))).toEqual([]);
  });

  const withoutLinks = (code: string, before: () => void = () => {}): FileSystem => ({
    ...nodeFileSystem,
    later: {
      ...nodeFileSystem.later,
      link: () => {
        before();
        return Promise.reject(Object.assign(new Error("no links"), { code, syscall: "link" }));
      },
    },
  });

  it.each(["EPERM", "ENOTSUP", "EMLINK"])("a disk without hard links (%s) is as good", async (code) => {
    const store = await memoryStore();
    await store.put("a", { n: 1 });
    const path = join(folder, `stick-${code}.jsonl`);
    const host = { fs: withoutLinks(code), runtime: systemRuntime };
    expect(await exportToFileOn(host, store, path)).toMatchObject({ sessions: 1, path });
    const to = await memoryStore();
    expect(await importFromFile(to, path)).toMatchObject({ created: 1 });
    await expect(exportToFileOn(host, store, path)).rejects.toMatchObject({ code: "file_exists" });
  });

  it("there, too, what has come meanwhile is not replaced", async () => {
    const store = await memoryStore();
    const path = join(folder, "meanwhile.jsonl");
    const host = { fs: withoutLinks("EPERM", () => writeFileSync(path, "theirs")), runtime: systemRuntime };
    await expect(exportToFileOn(host, store, path)).rejects.toMatchObject({ code: "file_exists" });
    expect(readFileSync(path, "utf8")).toBe("theirs");
    expect(readdirSync(folder).filter((name) => name.includes(".part"))).toEqual([]);
  });

  it("its name may have any length that the file system takes", async () => {
    const path = join(folder, `${"é".repeat(120)}.jsonl.gz`);
    expect(await exportToFile(await memoryStore(), path)).toMatchObject({ path });
  });
});

describe("rules to rewrite", () => {
  const at = (value: string, ...rules: readonly [string, string][]): string =>
    (
      rewriteEntry(
        { f: value },
        rules.map(([from, to]) => ({ field: ["f"], from, to })),
      ).entry as { f: string }
    ).f;

  it("the same work done again changes nothing, also where the new place is below the old one", () => {
    const once = at("/home/a/x", ["/home/a", "/home/a/old"]);
    expect(once).toBe("/home/a/old/x");
    expect(at(once, ["/home/a", "/home/a/old"])).toBe(once);
    expect(at("/home/a", ["/home/a", "/home/a/old/"])).toBe("/home/a/old");
    expect(at("/home/a/older", ["/home/a", "/home/a/old"])).toBe("/home/a/old/older");
  });

  it("a rule that leaves a folder as it is keeps it from the rules behind it", () => {
    const rules: [string, string][] = [
      ["/home/a/keep", "/home/a/keep"],
      ["/home/a", "/srv"],
    ];
    expect(at("/home/a/keep/x", ...rules)).toBe("/home/a/keep/x");
    expect(at("/home/a/keeper", ...rules)).toBe("/srv/keeper");
  });
});
