/**
 * Fuzzing targets of transcripts: lines of chunk files, and a chunk file of a store as those read it who come without the log.
 */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Incomplete, TranscriptFiles } from "../../src/engine/directory/transcripts/transcript-files.js";
import { SessionStoreError } from "../../src/errors.js";
import { crc32Hex } from "../../src/format/crc32.js";
import { Layout } from "../../src/format/layout.js";
import {
  composeChunkHeader,
  composeItemLine,
  parseChunkHeader,
  parseItemLine,
  peekItemLine,
} from "../../src/format/transcript-lines.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import type { Target } from "./targets.js";

const KEY = "agent:main";
const HEADER = { first: 3, since: 7, cut: 8, last: 2, before: 1, gone: 1 };
const JSONS = [
  '{"role":"user","text":"é🙂"}',
  "{}",
  '{"$a":1}',
  '"x"',
  "null",
  `[${"1,".repeat(900)}1]`,
  '{"__proto__":1}',
];
const LINES = JSONS.map((json, index) =>
  composeItemLine(
    {
      seq: 3 + index,
      revision: 9 + index,
      time: 1795200000000,
      position: 2 + index,
      gone: 1,
      id: index % 2 ? `i${index}` : undefined,
    },
    json,
  ),
);
const CHUNK = Buffer.concat([composeChunkHeader(KEY, "main", HEADER), ...LINES]);

/** The line with the checksum that it should have, where it has a place for one. */
function repaired(line: Buffer): Buffer {
  const at = line.indexOf(',"crc":"') + 8;
  if (at < 8 || at + 8 > line.length) return line;
  const bytes = Buffer.from(line);
  bytes.write("00000000", at, "latin1");
  bytes.write(crc32Hex(bytes), at, "latin1");
  return bytes;
}

function checkLine(line: Buffer): void {
  const header = parseChunkHeader(line);
  if (header !== undefined)
    assert.ok(
      composeChunkHeader(header.key, header.transcript, header.header).equals(
        Buffer.concat([line, Buffer.from("\n")]),
      ),
    );
  const item = parseItemLine(line);
  const peeked = peekItemLine(line);
  if (item === undefined) return;
  // What is an item to one is no header to the other, and the short look says what the long one does.
  assert.equal(header, undefined);
  if (
    peeked !== undefined &&
    line.indexOf('"crc"') < 150 &&
    !/"(?:seq|position)".*"(?:seq|position)".*"(?:seq|position)"/.test(line.toString("latin1"))
  )
    assert.equal(peeked.seq, item.seq);
}

/** Any JSON goes in and comes out, and its line has the bytes that it should. */
function checkItem(bytes: Buffer): void {
  let json: string;
  try {
    json = JSON.stringify(JSON.parse(bytes.toString()));
  } catch {
    return;
  }
  const header = { seq: 5, revision: 6, time: 7, position: 4, gone: 2, id: 'é"' };
  const parsed = parseItemLine(composeItemLine(header, json).subarray(0, -1));
  assert.ok(parsed !== undefined);
  const { item, raw: _, ...rest } = parsed;
  assert.deepEqual(rest, header);
  assert.equal(JSON.stringify(item), json);
}

export const chunkLine: Target = {
  name: "chunk line",
  seeds: [...CHUNK.toString("latin1").trimEnd().split("\n"), ...JSONS].map((line) =>
    Buffer.from(line, "latin1"),
  ),
  check: (bytes) => {
    checkLine(bytes);
    checkLine(repaired(bytes));
    checkItem(bytes);
  },
};

const root = mkdtempSync(join(tmpdir(), "sessiondir-fuzz-chunk-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
const layout = new Layout(root);
const path = layout.chunk(KEY, "main", { first: 3, born: 9 });
mkdirSync(layout.sessionFolder(KEY));

/** As one who comes without the log reads it: what is right, up to where something is damaged or cut off. */
function read(
  look: (files: TranscriptFiles) => Iterable<{ readonly seq: number; readonly item: unknown }>,
): string[] | undefined {
  try {
    return [...look(new TranscriptFiles(nodeFileSystem, layout, KEY, "main"))].map(
      ({ seq, item }) => `${seq} ${JSON.stringify(item)}`,
    );
  } catch (error) {
    if (error instanceof Incomplete) return undefined;
    if (error instanceof SessionStoreError && error.code === "transcript_damaged") return undefined;
    throw error;
  }
}

const RIGHT = JSONS.map((json, index) => `${3 + index} ${json}`);

export const chunkFile: Target = {
  name: "chunk file",
  seeds: [CHUNK, CHUNK.subarray(0, -LINES.at(-1)!.length), CHUNK.subarray(0, CHUNK.indexOf(10) + 1)],
  check: (bytes) => {
    writeFileSync(path, bytes);
    let last = { seq: 0, position: 0, atEnd: true };
    read((files) => {
      const { head } = files.head() ?? {};
      if (head !== undefined) last = { seq: head.last, position: head.total, atEnd: true };
      return [];
    });
    if (last.position <= HEADER.gone) return; // no head, or no item: nothing is read
    const chunks = [{ first: 3, born: 9 }];
    const forwards = read((files) => files.forwards(chunks, 1, last, HEADER.gone));
    const backwards = read((files) => files.backwards(chunks, last.seq, last, HEADER.gone));
    for (const items of [forwards, backwards?.toReversed()])
      if (items !== undefined) assert.deepEqual(items, RIGHT.slice(0, items.length));
    for (let seq = 3; seq < 10; seq++) {
      const from = read((files) => files.forwards(chunks, seq, last, HEADER.gone));
      if (from !== undefined) assert.deepEqual(from, RIGHT.slice(seq - 3, seq - 3 + from.length));
    }
  },
};
