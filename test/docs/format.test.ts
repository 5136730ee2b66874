/**
 * Goal: docs/format.md is enough to read a store. Method: independent-reader.mjs knows nothing but that page; what it
 * reads is compared with what the library says, in quiet, under fire, and on lines that no writer would write.
 */
import {
  mkdirSync,
  mkdtempSync,
  appendFileSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { crc32Hex } from "../../src/format/crc32.js";
import { encodeLogLine, parseLogLine, parseLogLines } from "../../src/format/log-line.js";
import { folderNameForKey } from "../../src/format/session-key.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import { Layout } from "../../src/format/layout.js";
import { makeStore } from "../../src/engine/directory/store-folder.js";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { openDirectoryStore } from "../../src/index.js";
import type { DirectorySessionStore } from "../../src/index.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { crc32, folderName, parseLine, parsePieces, StoreReader } from "./independent-reader.mjs";

type Entry = Record<string, unknown>;

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-format-"));
  path = join(folder, "sessions.d");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the library says, in the reader's words. */
async function told(store: DirectorySessionStore<Entry>): Promise<unknown> {
  const { sessions } = await store.list();
  return { revision: await store.revision(), sessions: structured(sessions) };
}

/** What the independent reader says. */
function seen(reader: StoreReader): unknown {
  const sessions = [...reader.snapshot().values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const records = sessions.map(({ key, revision, modifiedAt, stored }) => ({
    key,
    entry: reader.entry(stored) as Entry,
    revision: Number(revision),
    modifiedAt: Number(modifiedAt),
  }));
  return { revision: reader.revision, sessions: structured(records) };
}

/** As text, so that the order of fields and `__proto__` count. */
function structured(
  records: readonly { key: string; entry: Entry; revision: number; modifiedAt: number }[],
): string[] {
  return records.map(({ key, entry, revision, modifiedAt }) =>
    JSON.stringify([key, entry, revision, modifiedAt]),
  );
}

const BIG = { text: "big ".repeat(200), list: Array.from({ length: 100 }, (_, index) => ({ index })) };

/** Blobs, nested ones, escapes, hashed names, patches, deletes, sets of old keys. */
async function fill(store: DirectorySessionStore<Entry>, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    await store.put(`agent:main:${round % 7}`, { round, $ref: "$", $$deep: { $blob: "no", bytes: 1 } });
    await store.update(`agent:main:${round % 5}`, (entry) => ({ ...entry, updatedAt: round }));
    await store.put(`${"long-".repeat(60)}${round % 3}`, { 7: "seven", name: "日本", skills: BIG, round });
    await store.put("deleted", { round });
    if (round % 2 === 0) await store.delete("deleted");
    await store.put(
      "Ä/..",
      JSON.parse('{"__proto__":{"x":1},"constructor":[null,true,-0.5,1e300]}') as Entry,
    );
    await store.patch("Ä/..", { round, constructor: undefined });
    await store.transact(async (tx) => {
      await tx.put("pair:a", { round, prompt: "p".repeat(3000) + round });
      await tx.put("pair:b", { round });
    });
  }
}

const LISTS = ["main", "Ä/ß", "x".repeat(150) + "/%".repeat(20)];
const CHUNK_BYTES = 700;
const ITEMS: readonly unknown[] = [
  {},
  { $a: 1 },
  null,
  -0.5,
  "text\n\u2028",
  [1, { n: 2 }],
  { __proto__x: "日" },
];

/** Changes of transcripts, one a step: of sessions with a record and of one without. */
async function changeLists(store: DirectorySessionStore<Entry>, random: () => number, steps: number) {
  const pick = (count: number): number => Math.trunc(random() * count);
  for (let step = 0; step < steps; step++) {
    const key = ["a", "b", "ß:no record"][pick(3)] ?? "a";
    const transcript = LISTS[pick(LISTS.length)] ?? "main";
    const items = Array.from(
      { length: 1 + pick(4) },
      () => ITEMS[pick(ITEMS.length)] ?? { step, big: "x".repeat(pick(300)) },
    );
    const { length, last } = (await store.transcript(key, transcript)) ?? { length: 0, last: 0 };
    const maxLength = pick(4) === 0 ? 1 + pick(12) : undefined;
    switch (pick(12)) {
      case 0:
        await store.truncate(
          key,
          pick(2) === 0 ? { length: pick(length + 1) } : { afterSeq: pick(last + 1) },
          { transcript },
        );
        break;
      case 1:
        await store.trim(key, pick(2) === 0 ? { length: pick(length + 1) } : { beforeSeq: pick(last + 2) }, {
          transcript,
        });
        break;
      case 2: {
        const suffix = (
          await store.readItems(key, { transcript, backwards: true, limit: 1 + pick(3) })
        ).items.toReversed();
        const expected = { from: suffix[0]?.seq ?? last + 1, items: suffix.map(({ item }) => item) };
        await store.replaceSuffix(key, expected, items, { transcript, maxLength });
        break;
      }
      case 3:
        if (pick(4) === 0) await store.removeTranscript(key, { transcript });
        break;
      case 4:
        if (pick(4) === 0) await store.delete(key);
        break;
      case 5:
        await store.transact(
          async (tx) => {
            const { length } = await tx.append("a", items, { transcript });
            await tx.append("b", [{ length }], { transcript: "main" });
            if (pick(2) === 0) await tx.truncate("ß:no record", { length: 1 }, { transcript });
            await tx.put("a", { length });
          },
          { operation: { id: `o${step % 5}-${pick(1e9)}`, content: step } },
        );
        break;
      default:
        await store.append(key, items, {
          transcript,
          maxLength,
          ...(pick(2) === 0 && { ids: items.map((_, index) => `i${(step + index) % 9}`) }),
        });
    }
  }
}

/** Every transcript as the library has it. */
async function toldLists(store: DirectorySessionStore<Entry>): Promise<string[]> {
  const lists: string[] = [];
  for (const key of ["a", "b", "ß:no record"])
    for (const name of await store.transcripts(key)) {
      const info = await store.transcript(key, name);
      const { items } = await store.readItems(key, { transcript: name });
      lists.push(listText(key, name, info?.last, info?.length, info?.revision, info?.cut, items));
    }
  return lists.sort();
}

function seenLists(reader: StoreReader): string[] {
  reader.snapshot();
  expect(reader.unknownTranscripts).toEqual([]);
  return reader.transcripts
    .map(({ key, name, last, length, since, cut, items }) =>
      listText(key, name, last, length, since, cut, items),
    )
    .sort();
}

function listText(...[key, name, last, length, since, cut, items]: readonly unknown[]): string {
  const lines = (items as readonly Record<string, unknown>[]).map(({ seq, item, id, revision, time }) => [
    seq,
    item,
    id,
    revision,
    time,
  ]);
  return JSON.stringify([key, name, last, length, since, cut, lines]);
}

describe("transcripts", () => {
  const warnings: string[] = [];
  beforeEach(() => void warnings.splice(0));
  async function smallChunks(segmentBytes: number, timers: boolean): Promise<DirectorySessionStore<Entry>> {
    const runtime = new ManualRuntime(); // no flush and no checkpoint but those that are asked for
    mkdirSync(path);
    await makeStore({ fs: nodeFileSystem, runtime }, new Layout(path), undefined, {
      chunkBytes: CHUNK_BYTES,
    });
    const onWarning = ({ message }: { message: string }): void => void warnings.push(message);
    const options = { segmentBytes, durability: "os", onWarning } as const;
    if (timers) return openDirectoryStore<Entry>(path, { ...options, flushDelayMs: 1 });
    return openDirectoryStoreOn<Entry>(nodeFileSystem, runtime, path, options);
  }

  test.each([1, 2, 3, 4])("in the log of several segments, then in files (seed %i)", async (seed) => {
    const random = seededRandom(seed);
    const store = await smallChunks(4096, false);
    const reader = new StoreReader(path);
    for (let round = 0; round < 8; round++) {
      await changeLists(store, random, 40);
      expect(seenLists(reader)).toEqual(await toldLists(store));
      if (round % 2 === 0) await store.flush();
      else if (round % 4 === 1) await store.checkpoint();
      expect(seenLists(reader)).toEqual(await toldLists(store));
    }
    expect((await toldLists(store)).length).toBeGreaterThan(4);
    expect(warnings).toEqual([]);
    reader.close();
    await store.close();
  });

  test("while files are written and segments go by themselves", async () => {
    const random = seededRandom(7);
    const store = await smallChunks(4096, true);
    const reader = new StoreReader(path);
    for (let round = 0; round < 60; round++) {
      await changeLists(store, random, 10);
      expect(seenLists(reader)).toEqual(await toldLists(store));
    }
    await store.checkpoint();
    expect(warnings).toEqual([]);
    const chunks = readdirSync(path).flatMap((name) =>
      readdirSync(join(path, name)).filter((file) => file.endsWith(".jsonl")),
    );
    expect(chunks.length).toBeGreaterThan(5);
    expect(seenLists(reader)).toEqual(await toldLists(store));
    reader.close();
    await store.close();
  });

  test("a file that is damaged is not believed", async () => {
    const store = await smallChunks(4096, false);
    await store.append("a", [{ n: 1 }, { n: 2 }, { n: 3 }]);
    await store.checkpoint();
    await store.close();
    const file = join(path, "a", readdirSync(join(path, "a"))[0] ?? "");
    writeFileSync(file, readFileSync(file, "utf8").replace('"n":2', '"n":7'));
    const reader = new StoreReader(path);
    reader.snapshot();
    expect(reader.transcripts).toEqual([]);
    expect(reader.unknownTranscripts).toEqual([{ key: "a", name: "main" }]);
    reader.close();
  });
});

describe("a quiet store", () => {
  test("several live segments, nothing in files yet", async () => {
    const runtime = new ManualRuntime(); // whose timers never fire: no flush, no checkpoint
    const options = { segmentBytes: 4096, blobThresholdBytes: 256, durability: "os" } as const;
    const store = await openDirectoryStoreOn<Entry>(nodeFileSystem, runtime, path, options);
    // Sealed although the one before is not checkpointed: each is sixteen times full.
    await fill(store, 900);
    expect(readdirSync(join(path, ".store/log")).length).toBeGreaterThan(3);
    const reader = new StoreReader(path);
    expect(seen(reader)).toEqual(await told(store));
    reader.close();
    await store.close();
  });

  test("files, a catalog and a live segment over them", async () => {
    const store = await openDirectoryStore<Entry>(path, { flushDelayMs: 600_000, blobThresholdBytes: 256 });
    await fill(store, 20);
    await store.checkpoint();
    const reader = new StoreReader(path);
    expect(seen(reader)).toEqual(await told(store));
    await fill(store, 3);
    await store.delete("agent:main:6");
    expect(seen(reader)).toEqual(await told(store));
    await store.flush();
    expect(seen(reader)).toEqual(await told(store));
    reader.close();
    await store.close();
    expect(readCatalog(path).keys.length).toBeGreaterThan(5);
  });

  test("a catalog of several parts, in which sessions were changed and deleted", async () => {
    const store = await openDirectoryStore<Entry>(path, { flushDelayMs: 600_000 });
    for (let n = 0; n < 300; n++) await store.put(`session ${n}`, { n, updatedAt: n % 50 });
    await store.checkpoint();
    for (let n = 0; n < 60; n++) await store.put(`later ${n}`, { n, updatedAt: n });
    await store.checkpoint();
    await store.delete("session 7");
    await store.delete("later 7");
    await store.put("session 8", { n: 9, updatedAt: 3 });
    await store.checkpoint();
    const keys = (await store.list()).sessions.map(({ key }) => key);
    await store.close();
    expect(readCatalog(path)).toEqual({ keys, parts: 3 });
  });

  test("changes since the last reading, from an undecided tail to a checkpoint in between", async () => {
    const store = await openDirectoryStore<Entry>(path, { flushDelayMs: 600_000 });
    const reader = new StoreReader(path);
    reader.snapshot();
    expect(reader.changes()).toEqual([]);
    const { revision: put } = await store.put("a", { n: 1 });
    await store.delete("a");
    const deleted = await store.revision();
    const { revision: last } = await store.put("b", { n: 2 });
    expect(reader.changes()?.map(({ key, revision, state }) => [key, revision, state?.stored])).toEqual([
      ["a", put, { n: 1 }],
      ["a", deleted, undefined],
      ["b", last, { n: 2 }],
    ]);
    const log = join(path, ".store/log/00000001.jsonl");
    const at = 1 + readFileSync(log).length;
    const line = encodeLogLine('{"w":"other","n":1,"g":1,"t":5,"ops":[{"k":"c","s":{"n":3}}]}');
    appendFileSync(log, line.subarray(0, 30));
    expect(reader.changes()).toEqual([]);
    appendFileSync(log, line.subarray(30));
    expect(reader.changes()?.map(({ key, revision }) => [key, revision])).toEqual([["c", at]]);
    expect(await store.get("c")).toEqual({ n: 3 });
    await store.checkpoint();
    await store.checkpoint();
    expect(reader.changes()).toEqual([]); // its next segment is there
    await store.put("d", {});
    await store.checkpoint();
    await store.put("d", {});
    await store.checkpoint();
    expect(reader.changes()).toBeUndefined(); // it slept through a whole segment
    expect(seen(reader)).toEqual(await told(store));
    reader.close();
    await store.close();
  });
});

interface PartEntry {
  readonly name: string;
  readonly rows: number;
  readonly deleted: number;
  readonly bytes: number;
  readonly newest: number;
  readonly index: number;
}

/** The catalog as docs/format.md describes it, with the sessions that it has, by key. */
function readCatalog(store: string): { keys: string[]; parts: number } {
  const room = join(store, ".store");
  const name = readdirSync(room).find((candidate) => /^catalog-\d+$/.test(candidate)) ?? "";
  const { storeId } = JSON.parse(readFileSync(join(room, "format.json"), "utf8"));
  const [catalog, ...more] = valuesIn(readFileSync(join(room, name)));
  expect(more).toEqual([]);
  expect(catalog).toMatchObject({ catalog: Number(name.slice(8)), store: storeId, incomplete: false });
  const latest = new Map<string, [key: string, revision?: number, updatedAt?: number]>();
  const newestFirst: [key: string, updatedAt: number][] = [];
  for (const part of catalog.parts as PartEntry[]) {
    const bytes = readFileSync(join(room, `catalog-${part.name}`));
    expect(bytes.length).toBe(part.bytes);
    const [header, ...byKey] = valuesIn(bytes.subarray(0, part.newest));
    expect(header).toEqual({ part: part.name, store: storeId });
    const changes = byKey.flatMap(({ rows }) => rows);
    const rows = changes.filter((change) => change.length > 1);
    expect([rows.length, changes.length - rows.length]).toEqual([part.rows, part.deleted]);
    const newest = valuesIn(bytes.subarray(part.newest, part.index)).flatMap((value) => value.newest);
    expect(newest).toHaveLength(rows.length);
    expect(newest).toEqual(expect.arrayContaining(rows.map((row) => row.slice(0, 3))));
    const [index] = valuesIn(bytes.subarray(part.index));
    expect(index.end).toBe(part.name);
    for (const [place, [key, offset]] of index.index.entries())
      expect([byKey[place].rows[0][0], valuesIn(bytes.subarray(offset, part.newest))[0].rows[0][0]]).toEqual([
        key,
        key,
      ]);
    for (const [key, , updatedAt] of newest) if (!latest.has(key)) newestFirst.push([key, updatedAt]);
    for (const change of changes) if (!latest.has(change[0])) latest.set(change[0], change);
  }
  for (const [, revision] of latest.values()) expect(revision ?? 0).toBeLessThanOrEqual(catalog.revision);
  const rows = [...latest.values()].filter((change) => change.length > 1);
  expect(newestFirst.map(([key]) => key).sort()).toEqual(rows.map(([key]) => key).sort());
  return { keys: rows.map(([key]) => key).sort(), parts: catalog.parts.length };
}

/** What lines with their checksums say. */
function valuesIn(bytes: Buffer): ReturnType<typeof JSON.parse>[] {
  const lines = bytes.toString().split("\n");
  expect(lines.pop()).toBe("");
  return lines.map((line) => {
    expect(line.slice(0, 9)).toBe(`${crc32(Buffer.from(line.slice(9)))} `);
    return JSON.parse(line.slice(9));
  });
}

test("a reader in another thread never sees half a transaction, while segments come and go", async () => {
  const store = await openDirectoryStore<Entry>(path, {
    segmentBytes: 4096,
    flushDelayMs: 5,
    durability: "os",
  });
  for (let key = 0; key < 8; key++) await store.put(`k${key}`, { tokens: 100 });
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    const { StoreReader } = await import(workerData.module);
    const reader = new StoreReader(workerData.path);
    let running = true;
    parentPort.on("message", () => (running = false));
    let snapshots = 0, latest = 0, wrong;
    while (running) {
      const sessions = [...reader.snapshot().values()];
      const sum = sessions.reduce((total, { stored }) => total + stored.tokens, 0);
      if (sessions.length !== 8 || sum !== 800 || reader.revision < latest) wrong ??= JSON.stringify(sessions);
      latest = reader.revision;
      if (++snapshots === 1) parentPort.postMessage("started");
      await new Promise(setImmediate);
    }
    reader.close();
    parentPort.postMessage({ snapshots, wrong });
  `;
  const module = new URL("./independent-reader.mjs", import.meta.url).href;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: { module, path },
  });
  await once(worker, "message");
  for (let round = 0; round < 400; round++) {
    await store.transact(async (tx) => {
      const from = `k${round % 8}`;
      const to = `k${(round * 3 + 1) % 8}`;
      if (from === to) return;
      await tx.put(from, { tokens: Number((await tx.get(from))?.["tokens"]) - 1 });
      await tx.put(to, { tokens: Number((await tx.get(to))?.["tokens"]) + 1 });
    });
  }
  await store.checkpoint();
  worker.postMessage("stop");
  const [{ snapshots, wrong }] = await once(worker, "message");
  expect(wrong).toBeUndefined();
  expect(snapshots).toBeGreaterThan(1);
  await worker.terminate();
  await store.close();
});

describe("pure parts", () => {
  test("the folder names in the table of docs/format.md", () => {
    const page = readFileSync(new URL("../../docs/format.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| (`.+?) +\| (`.+?) +\|$/gm)].filter(
      ([row]) => !/^\| `[a-z]` +\|/.test(row),
    );
    const names = rows.map(([, key, name]) => [spelledOut(key ?? ""), spelledOut(name ?? "")] as const);
    expect(names.length).toBe(17);
    for (const [key, name] of names) {
      expect(folderNameForKey(key), key).toBe(name);
      expect(folderName(key), key).toBe(name);
    }
  });

  test("folder names of any keys", () => {
    const key = fc.string({
      unit: fc.constantFrom(...Array.from("aZ09-_.=+@,:/%~ é日\u0000"), "con", "lpt1"),
      minLength: 1,
    });
    fc.assert(
      fc.property(key, fc.integer({ min: 1, max: 60 }), (text, times) => {
        expect(folderName(text.repeat(times))).toBe(folderNameForKey(text.repeat(times)));
      }),
    );
  });

  test("checksums", () => {
    expect(crc32(Buffer.from("123456789"))).toBe("cbf43926");
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(crc32(bytes)).toBe(crc32Hex(bytes));
      }),
    );
  });

  test("lines that no writer would write are judged alike", () => {
    const odd = fc.constantFrom<unknown>(
      0,
      1,
      7,
      -1,
      1.5,
      2 ** 53,
      "",
      "x",
      null,
      true,
      [],
      ["u"],
      [1],
      {},
      { a: 1 },
    );
    const op = fc.record(
      {
        k: fc.oneof(fc.constantFrom("x", "y", "\ud800"), odd),
        b: odd,
        s: odd,
        p: odd,
        u: odd,
        d: odd,
        z: odd,
      },
      { requiredKeys: [] },
    );
    const record = fc.record(
      { w: odd, n: odd, g: odd, t: odd, ops: fc.oneof(fc.array(op, { maxLength: 3 }), odd), z: odd },
      { requiredKeys: [] },
    );
    const sound = fc.record({
      w: fc.constant("w"),
      n: fc.nat(),
      g: fc.nat(),
      t: fc.nat(),
      ops: fc.array(
        fc.oneof(
          op,
          fc.record({ k: fc.constantFrom("x", "y"), s: fc.constant({}) }),
          fc.constant({ k: "z", b: 3, p: {}, u: [] }),
        ),
        { minLength: 1, maxLength: 3 },
      ),
    });
    const header = fc.record(
      {
        segment: odd,
        firstRevision: odd,
        after: odd,
        store: odd,
        stage: odd,
        seal: odd,
        gap: odd,
        bytes: odd,
        z: odd,
      },
      { requiredKeys: [] },
    );
    const name = fc.constantFrom("n");
    const soundHeader = fc.record({
      segment: fc.nat(),
      firstRevision: fc.nat(),
      after: fc.nat(),
      store: name,
      stage: name,
    });
    const soundSeal = fc.record(
      { seal: fc.nat(), firstRevision: fc.nat(), gap: fc.nat(), bytes: fc.nat() },
      { requiredKeys: ["seal"] },
    );
    const kinds = new Set<string>();
    fc.assert(
      fc.property(
        fc.oneof(record, sound, header, soundHeader, soundSeal, odd),
        fc.constantFrom("", " ", "\0", "\ufeff"),
        (value, extra) => {
          const bytes = encodeLogLine(extra + JSON.stringify(value));
          const ours = parseLogLine(bytes, 0, bytes.length - 1).kind;
          kinds.add(ours);
          expect(parseLine(bytes.subarray(0, -1)).kind).toBe(ours);
        },
      ),
      { numRuns: 5000 },
    );
    expect([...kinds].sort()).toEqual(["header", "malformed", "record", "seal"]);
    for (const text of [
      "",
      "00000000 ",
      "00000000",
      "00000000 {}",
      "ABCDEF01 {}",
      "00000000\t{}",
      "00000000 \xff",
    ]) {
      const bytes = Buffer.from(text, "latin1");
      expect(parseLine(bytes).kind, text).toBe(parseLogLine(bytes, 0, bytes.length).kind);
    }
    for (const levels of [131, 132, 133]) {
      const entry = `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
      const bytes = encodeLogLine(`{"w":"w","n":1,"g":1,"t":1,"ops":[{"k":"x","s":${entry}}]}`);
      const kind = levels > 132 ? "malformed" : "record";
      expect([parseLine(bytes.subarray(0, -1)).kind, parseLogLine(bytes, 0, bytes.length - 1).kind]).toEqual([
        kind,
        kind,
      ]);
    }
  });
});

test("torn writes, glued lines and damage are cut into the same pieces", () => {
  const lines = [
    '{"w":"w","n":1,"g":1,"t":1,"ops":[{"k":"0a1b2c3d {\\"w","s":{"a":"}\\\\"}}]}',
    '{"segment":1,"firstRevision":9,"after":8,"store":"s","stage":"t"}',
    '{"seal":2,"gap":7}',
    '{"what":1}',
  ].map((json) => encodeLogLine(json).subarray(0, -1));
  const piece = fc.tuple(fc.constantFrom(...lines), fc.nat(120), fc.boolean());
  const junk = fc.oneof(
    fc.constantFrom("x", "}", "\0", "\x1f", " ", "0a1b2c3d {", '"', "\\", ",", "]", "a", "1"),
    fc.string({ maxLength: 3 }),
  );
  const part = fc.oneof(
    { weight: 4, arbitrary: piece.map(([line, length, whole]) => (whole ? line : line.subarray(0, length))) },
    { weight: 1, arbitrary: junk.map((text) => Buffer.from(text.replaceAll("\n", ""))) },
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      const bytes = Buffer.concat(parts);
      const ours = parseLogLines(bytes, 0, bytes.length).map(({ at, from, line }) => [at, from, line.kind]);
      expect(parsePieces(bytes).map(({ at, from, kind }) => [at, from, kind])).toEqual(ours);
    }),
    { numRuns: 5000 },
  );
});

/** "`x` repeated 3 times, `y`" is xxxy. */
function spelledOut(cell: string): string {
  return [...cell.matchAll(/`([^`]*)`(?: repeated (\d+) times)?/g)]
    .map(([, text, times]) => (text ?? "").repeat(Number(times ?? 1)))
    .join("");
}
