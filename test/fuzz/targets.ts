/**
 * What is fuzzed: every reader of bytes that somebody else may have written. Each target has inputs to begin with and a
 * check that throws when a promise is broken; that nothing crashes, hangs or touches a prototype is checked around it.
 */
import assert from "node:assert/strict";
import { composePart } from "../../src/engine/directory/catalog/compose-part.js";
import { MemoryLayer } from "../../src/engine/directory/catalog/layer.js";
import { composeManifest, parseManifest, type Part } from "../../src/engine/directory/catalog/manifest.js";
import { DamagedPart, PartFile } from "../../src/engine/directory/catalog/part-file.js";
import type { Change } from "../../src/engine/directory/catalog/row.js";
import { SessionStoreError } from "../../src/errors.js";
import { composeEntryDocument, parseEntryDocument } from "../../src/format/entry-document.js";
import { EntryCodec } from "../../src/format/entry-codec.js";
import { DEFAULT_LIMITS } from "../../src/format/limits.js";
import {
  composeRecordJson,
  encodeLogLine,
  isTorn,
  parseLogLine,
  parseLogLines,
} from "../../src/format/log-line.js";
import {
  assertSessionKey,
  folderNameForKey,
  isHashedFolderName,
  keyFromFolderName,
} from "../../src/format/session-key.js";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import { referencesIn } from "../../src/format/stored-references.js";
import {
  isStoredObject,
  isWithinDepth,
  type StoredObject,
  type StoredValue,
} from "../../src/format/stored-value.js";
import { composeHead, parseHead } from "../../src/format/transcript-head.js";
import { logItem } from "../../src/format/transcript-op.js";
import { newLedger } from "../../src/log/segment-ledger.js";
import { decide, type Verdict } from "../../src/log/verdict.js";
import { legacyFile } from "./legacy-target.js";
import { chunkFile, chunkLine } from "./transcript-targets.js";

export interface Target {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  readonly check: (bytes: Buffer) => void | Promise<void>;
}

const STORE = "f2a7087e2b8d98928fe9745bd761b057";
const CRC_END = 9;

const FIRST_REVISION = 18001;
const HEADER = JSON.stringify({
  segment: 7,
  firstRevision: FIRST_REVISION,
  after: 17950,
  store: STORE,
  stage: "7-c0ffee42",
});
const RECORDS: readonly string[] = [
  composeRecordJson({
    w: "0a1b",
    n: 1,
    g: 7,
    t: 1795200000000,
    ops: [{ k: "a", b: 0, s: { a: [1, { b: null }], $$x: "é🙂" } }],
  }),
  composeRecordJson({
    w: "0a1b",
    n: 2,
    g: 7,
    t: 1795200000001,
    ops: [
      { k: "a", b: FIRST_REVISION + encodeLogLine(HEADER).length, p: { c: true }, u: ["a", "__proto__"] },
      { k: "b", b: 3, d: 1 },
      { k: "c", b: 0 },
    ],
  }),
  composeRecordJson({
    w: "0a1c",
    n: 3,
    g: 7,
    t: 1795200000002,
    ops: [
      { k: "b", d: 1 },
      { k: "c", s: { $blob: `sha256:${"0".repeat(64)}`, bytes: 7 } },
    ],
  }),
];
const HEAD = { since: 9, cut: 9, gone: 1, last: 4, total: 3, first: 1, born: 9, size: 300 };
const TRANSCRIPTS: readonly string[] = [
  composeRecordJson({
    w: "0a1d",
    n: 1,
    g: 7,
    t: 1795200000003,
    o: ["op-1", "0".repeat(64)],
    ops: [],
    transcripts: [
      {
        k: "a",
        l: "main",
        h: "none",
        a: [logItem('{"$a":1}', "i"), logItem("{}", "j"), logItem("[null]", undefined)],
        m: 2,
      },
      {
        k: "a",
        l: "sub/é",
        h: HEAD,
        e: 9,
        v: 4,
        c: 2,
        x: { of: 9, keep: 3, first: 1, before: 0, n: 2, body: 90 },
        g: 2,
      },
    ],
  }),
  composeRecordJson({
    w: "0a1d",
    n: 2,
    g: 7,
    t: 1795200000004,
    ops: [{ k: "b", d: 1 }],
    transcripts: [
      { k: "a", l: "main", b: FIRST_REVISION + encodeLogLine(HEADER).length, a: [logItem('"x"', "i")] },
      { k: "c", l: "main", h: HEAD, r: 1, a: [logItem("1", undefined)] },
      { k: "b", l: "main", h: HEAD, e: 9 },
    ],
  }),
];
const SEALS = [
  '{"seal":8}',
  '{"seal":8,"firstRevision":20000}',
  '{"seal":8,"gap":300}',
  '{"seal":8,"cut":300}',
];

/** With a checksum that holds, or what is behind it would never be looked at. */
function repaired(line: Buffer): Buffer {
  return encodeLogLine(line.subarray(CRC_END).toString("latin1")).subarray(0, -1);
}

/** CRC-32 bit by bit, so that the table of the library is not judged by itself. */
function slowCrc(bytes: Buffer): string {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

function checkLine(line: Buffer): void {
  const parsed = parseLogLine(line, 0, line.length);
  if (parsed.kind === "malformed" || parsed.kind === "unreadable") return;
  assert.equal(slowCrc(line.subarray(CRC_END)), line.toString("latin1", 0, CRC_END - 1));
  if (parsed.kind !== "record") return;
  for (const end of [line.length, line.length - 1, 40, 3])
    assert.ok(isTorn(line, 0, Math.min(end, line.length)));
  const json = composeRecordJson(parsed.record);
  const again = encodeLogLine(json);
  const reparsed = parseLogLine(again, 0, again.length - 1);
  if (reparsed.kind !== "record") throw new Error(`what was a record is ${JSON.stringify(reparsed)}`);
  assert.equal(composeRecordJson(reparsed.record), json);
}

const logLine: Target = {
  name: "log line",
  seeds: [HEADER, HEADER.replace("}", ',"chunk":600}'), ...RECORDS, ...TRANSCRIPTS, ...SEALS].map((json) =>
    encodeLogLine(json).subarray(0, -1),
  ),
  check: (bytes) => {
    checkLine(bytes);
    checkLine(repaired(bytes));
  },
};

/** What stands between newlines, with where it begins. */
function betweenNewlines(bytes: Buffer): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  for (let start = 0, end = bytes.indexOf(10); end >= 0; start = end + 1, end = bytes.indexOf(10, start)) {
    ranges.push([start, end]);
  }
  return ranges;
}

/** Pieces cover the bytes in order; only beginnings of lines may be left out, and the last piece never is. */
function checkPieces(bytes: Buffer, start: number, end: number): ReturnType<typeof parseLogLines> {
  const pieces = parseLogLines(bytes, start, end);
  if (end > start) assert.ok(pieces.length > 0);
  let before = start - 1;
  for (const { at } of pieces) {
    assert.ok(at > before && at < Math.max(end, start + 1));
    before = at;
  }
  return pieces;
}

/** Verdicts of a segment's lines; that they obey the rules that can be told without writing them down again. */
function checkSegment(bytes: Buffer): string {
  const ledger = newLedger(7);
  const verdicts: Verdict[] = [];
  const latest = new Map<string, number>();
  const pieces = betweenNewlines(bytes).flatMap(([start, end]) =>
    checkPieces(bytes, start, end).map((piece) => ({ ...piece, end: end + 1 })),
  );
  for (const { at, end, from, line } of pieces) {
    const { sealed, lastRevision, gap } = ledger;
    const verdict = decide(ledger, line, at, end, from);
    verdicts.push(verdict);
    if (sealed) assert.equal(verdict.fate, "superseded");
    if (verdict.fate !== "committed") continue;
    assert.equal(gap, undefined);
    assert.equal(verdict.revision, (ledger.firstRevision ?? Number.NaN) + at);
    assert.ok(verdict.revision > lastRevision);
    assert.equal(ledger.lastRevision, verdict.revision);
    for (const { k, b, s, p, d } of verdict.record.ops) {
      const known = latest.get(k);
      // A base is the latest change of the segment, or older than the segment.
      if (b !== undefined && known !== undefined) assert.equal(b, known);
      if (b !== undefined && known === undefined) assert.ok(b < (ledger.firstRevision ?? 0));
      if (p !== undefined) assert.ok((known ?? 0) > 0);
      if (d !== undefined) latest.set(k, 0);
      else if (s !== undefined || p !== undefined) latest.set(k, verdict.revision);
    }
  }
  assert.deepEqual([...ledger.changed], [...latest]);
  // What a segment says of a transcript can be the head that the next one begins with.
  for (const { head } of [...ledger.transcripts.values()].flatMap((ofKey) => [...ofKey.values()]))
    if (head !== undefined) assert.deepEqual(parseHead(JSON.parse(composeHead(head)) as StoredValue), head);
  if (ledger.gap === undefined) assert.equal(ledger.behind.size, 0);
  return JSON.stringify(verdicts);
}

/** Every line with a checksum that holds. */
function repairedLines(bytes: Buffer): Buffer {
  const newline = Buffer.from("\n");
  const lines = betweenNewlines(bytes).flatMap(([start, end]) => [
    repaired(bytes.subarray(start, end)),
    newline,
  ]);
  return Buffer.concat(lines);
}

const segment: Target = {
  name: "segment",
  seeds: [
    Buffer.concat([HEADER, ...RECORDS, SEALS[0] ?? ""].map(encodeLogLine)),
    Buffer.concat([HEADER, ...TRANSCRIPTS, ...RECORDS].map(encodeLogLine)),
    Buffer.concat([HEADER, RECORDS[0] ?? "", SEALS[1] ?? "", RECORDS[1] ?? ""].map(encodeLogLine)),
    Buffer.concat([encodeLogLine(HEADER), Buffer.from("\0\0\0\n"), encodeLogLine(RECORDS[0] ?? "")]),
    Buffer.concat([
      encodeLogLine(HEADER),
      encodeLogLine(RECORDS[0] ?? "").subarray(0, 30),
      encodeLogLine(RECORDS[1] ?? "").subarray(0, 5),
      encodeLogLine(RECORDS[0] ?? "").subarray(0, -1),
      encodeLogLine(RECORDS[2] ?? ""),
      encodeLogLine(SEALS[2] ?? ""),
    ]),
    Buffer.concat(
      [HEADER, RECORDS[0] ?? "", RECORDS[0] ?? "", RECORDS[2] ?? "", SEALS[3] ?? ""].map(encodeLogLine),
    ),
  ],
  check: (bytes) => {
    for (const lines of [bytes, repairedLines(bytes)]) assert.equal(checkSegment(lines), checkSegment(lines));
  },
};

const entryDocument: Target = {
  name: "entry document",
  seeds: [
    {},
    { sessionId: "s-1", updatedAt: 1795200000000, __proto__x: 1, "": [1, "é🙂"], $$a: { b: null } },
  ].map(
    (stored) =>
      composeEntryDocument({ key: "agent:main:main", revision: 18231, modifiedAt: 1795200000000, stored })
        .bytes,
  ),
  check: (bytes) => {
    for (const document of [bytes, withCrc(bytes)]) {
      const parsed = parseEntryDocument(document);
      if (parsed.ok) assert.ok(composeEntryDocument(parsed).bytes.equals(document));
      else assert.ok(parsed.offset >= 0 && parsed.offset <= document.length);
    }
  },
};

/** The document with the checksum that it should have, where it has a place for one. */
function withCrc(bytes: Buffer): Buffer {
  const at = bytes.indexOf('"crc":"');
  if (at < 0 || at + 15 > bytes.length) return bytes;
  const zeroed = Buffer.from(bytes);
  zeroed.write("00000000", at + 7, "latin1");
  zeroed.write(slowCrc(zeroed), at + 7, "latin1");
  return zeroed;
}

const PART = "6-4dbb0b523a03f03d";
const CHANGES: readonly Change[] = [
  { key: "__proto__", revision: 4, updatedAt: 8.5, blobs: ["bb+"] },
  { key: "a", revision: 18000, updatedAt: 0, blobs: [] },
  { key: "b", revision: 3, updatedAt: 9, blobs: ["aa", "bb+"] },
  { key: "gone", revision: undefined },
];

function finish<R>(steps: Generator<void, R>): R {
  for (;;) {
    const { done, value } = steps.next();
    if (done === true) return value;
  }
}

function partOf(changes: readonly Change[]): { part: Part; bytes: Buffer } {
  const layers = [finish(MemoryLayer.of(changes))];
  const lines = composePart({ name: PART, storeId: STORE, layers, oldest: false });
  const file: Buffer[] = [];
  for (;;) {
    const line = lines.next();
    if (line.done === true) return { part: line.value, bytes: Buffer.concat(file) };
    file.push(line.value);
  }
}

/** Where a catalog would say that the orders of these bytes begin. */
function placesIn(bytes: Buffer): Part {
  const lines = betweenNewlines(bytes);
  const index = lines.at(-1)?.[0] ?? 0;
  const newest = lines.find(
    ([start]) => bytes.includes('{"newest"', start) && bytes.indexOf('{"newest"', start) - start === 9,
  );
  const count = (text: string): number => {
    try {
      const { rows } = JSON.parse(text) as { rows: unknown[][] };
      return rows.length;
    } catch {
      return 0;
    }
  };
  const changes = lines.reduce((sum, [start, end]) => sum + count(bytes.toString("utf8", start + 9, end)), 0);
  const deleted = Math.min(1, changes);
  return {
    name: PART,
    rows: changes - deleted,
    deleted,
    bytes: bytes.length,
    newest: newest?.[0] ?? index,
    index,
  };
}

const catalogPart: Target = {
  name: "catalog part",
  seeds: [
    partOf(CHANGES).bytes,
    partOf([]).bytes,
    // A number that JSON can bring in and not take out: it would make the next part unreadable.
    Buffer.from(partOf(CHANGES).bytes.toString().replace("18000,0]", "18000,1e999]")),
  ],
  check: (bytes) => {
    const end = bytes.subarray(bytes.lastIndexOf(10) + 1);
    const lines = betweenNewlines(bytes)
      .map(([start, end]) => bytes.subarray(start, end))
      .map((line) => Buffer.concat([repaired(line), Buffer.from("\n")]));
    for (const input of [bytes, Buffer.concat([...lines, end])]) {
      const file = new PartFile(placesIn(input), (_, offset, length) =>
        input.subarray(offset, offset + length),
      );
      const changes = attempt(() => [...file.byKey()].flat());
      attempt(() => [...file.newest()]);
      for (const key of ["a", "b", "", "~"]) attempt(() => [file.find(key), ...file.byKey(key)]);
      if (changes === undefined) continue;
      // As text: JSON has no -0.
      const again = partOf(changes);
      const back = new PartFile(again.part, (_, offset, length) =>
        again.bytes.subarray(offset, offset + length),
      );
      assert.equal(JSON.stringify([...back.byKey()].flat()), JSON.stringify(changes));
    }
  },
};

function attempt<T>(reading: () => T): T | undefined {
  try {
    return reading();
  } catch (error) {
    if (error instanceof DamagedPart) return undefined;
    throw error;
  }
}

const catalog: Target = {
  name: "catalog",
  seeds: [partOf(CHANGES), partOf([])].map(({ part }) =>
    composeManifest({ segment: 6, revision: 18000, next: 18100, incomplete: false, parts: [part] }, STORE),
  ),
  check: (bytes) => {
    for (const input of [bytes, Buffer.concat([repaired(bytes.subarray(0, -1)), Buffer.from("\n")])]) {
      const parsed = parseManifest(input, 6, STORE);
      if (parsed === undefined) continue;
      assert.deepEqual(parseManifest(composeManifest(parsed, STORE), 6, STORE), parsed);
    }
  },
};

/** Names that were given to keys, as a file system that ignores case sees them. */
const names = new Map<string, string>();
const NAMES_MAX = 200_000;

const sessionKey: Target = {
  name: "session key",
  seeds: [
    "agent:main:main",
    "Agent:Ünï🙂",
    "..",
    ".store",
    "con.txt",
    "a/b\\c",
    "x".repeat(300),
    "__proto__",
    "%2F",
    "~",
  ].map((key) => Buffer.from(key)),
  check: (bytes) => {
    // Also as half characters, which UTF-8 cannot bring.
    for (const key of [bytes.toString("utf8"), bytes.toString("utf16le"), bytes.toString("latin1")]) {
      keyFromFolderName(key); // any name may lie in a folder
      isHashedFolderName(key);
      if (!isKey(key)) continue;
      const name = folderNameForKey(key);
      assert.match(name, /^(?!\.)[a-z0-9\-_.=+@,%A-F~]{1,200}$/);
      assert.equal(keyFromFolderName(name), isHashedFolderName(name) ? undefined : key);
      const other = names.get(name.toLowerCase());
      if (other !== undefined) assert.equal(key, other);
      else if (names.size < NAMES_MAX) names.set(name.toLowerCase(), key);
    }
    const text = bytes.toString("latin1");
    const key = keyFromFolderName(text);
    if (key !== undefined) assert.equal(folderNameForKey(key), text);
  },
};

function isKey(key: string): boolean {
  try {
    assertSessionKey(key, DEFAULT_LIMITS);
    return true;
  } catch (error) {
    if (error instanceof TypeError || error instanceof SessionStoreError) return false;
    throw error;
  }
}

function parsedObject(bytes: Buffer): StoredObject | undefined {
  try {
    const value = JSON.parse(bytes.toString()) as StoredValue;
    return isStoredObject(value) && isWithinDepth(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const THRESHOLD_BYTES = 4096;
const missing = new SessionStoreError("blob_missing", "it is not there", {});

const storedValue: Target = {
  name: "stored value and patch",
  seeds: [
    '{"a":1,"b":{"$$c":[null]}}\n{"b":{"$$c":[null]},"d":"x"}',
    `{"x":{"$blob":"sha256:${"a".repeat(64)}","bytes":3},"__proto__":1}\n{}`,
    `{"a":1,"b":{"$$c":"${"x".repeat(5000)}"}}`,
  ].map((text) => Buffer.from(text)),
  check: (bytes) => {
    const newline = bytes.indexOf(10);
    const base = parsedObject(bytes.subarray(0, newline < 0 ? bytes.length : newline));
    const next = parsedObject(bytes.subarray(newline + 1));
    if (base === undefined || next === undefined) return;
    const patch = diffStored(base, next);
    const patched = patch === undefined ? base : applyPatch(base, patch.set, patch.unset);
    assert.equal(diffStored(patched, next), undefined);
    if (patch !== undefined) assert.deepEqual(diffStored(base, patched), patch);
    const codec = new EntryCodec({
      thresholdBytes: THRESHOLD_BYTES,
      limits: DEFAULT_LIMITS,
      loadBlob: () => {
        throw missing;
      },
    });
    const references = referencesIn(next);
    const entry = codec.decode(next);
    assert.equal(codec.decode(next), entry);
    assert.deepEqual(codec.referencesOf(next), references);
    const text = JSON.stringify(next);
    // What came out and goes in again unchanged is what it was, references and all, and none of them is loaded; but for
    // values that another threshold let through, which are shared from now on, and entries that are too large here.
    const sharedBytes = references.reduce((sum, { bytes }) => sum + bytes, 0);
    if (Buffer.byteLength(text) < THRESHOLD_BYTES && sharedBytes < DEFAULT_LIMITS.entryBytesMax / 2)
      assert.equal(JSON.stringify(codec.encode(entry, next).stored), text);
    if (references.length > 0) return;
    const copied = JSON.parse(JSON.stringify(entry)) as object;
    const { stored } = codec.encode(copied);
    assert.equal(JSON.stringify(codec.decode(stored)), JSON.stringify(entry));
  },
};

export const TARGETS: readonly Target[] = [
  logLine,
  segment,
  entryDocument,
  catalog,
  catalogPart,
  chunkLine,
  chunkFile,
  sessionKey,
  storedValue,
  legacyFile,
];
