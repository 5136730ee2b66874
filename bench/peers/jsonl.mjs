// @ts-check
/**
 * Transcripts as gateways kept them: a JSONL file a session, which every append opens, writes and closes. It is kinder than
 * they were: no lock is taken, and nothing is read before an append.
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { notAStore } from "./bare-calls.mjs";

/** @typedef {import("./peer.mjs").Item} Item */

const NEWLINE = 0x0a;
/** What the newest items are read in. */
const PIECE_BYTES = 64 * 1024;

export async function version() {
  return "own reproduction";
}

/** @param {string} folder */
export async function fill(folder) {
  mkdirSync(folder, { recursive: true });
}

/** @param {string} folder @param {Iterable<[string, Item]>} items */
export async function fillItems(folder, items) {
  const { append } = transcriptsIn(folder, false);
  for (const [key, item] of items) void append(key, item);
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  return { ...notAStore, transcripts: transcriptsIn(folder, durability === "disk") };
}

/** @param {string} folder @param {boolean} durable @returns {import("./peer.mjs").OpenTranscripts} */
function transcriptsIn(folder, durable) {
  const pathOf = (/** @type {string} */ key) => join(folder, `${encodeURIComponent(key)}.jsonl`);
  return {
    append(key, item) {
      const file = openSync(pathOf(key), "a", 0o600);
      try {
        writeSync(file, `${JSON.stringify(item)}\n`);
        if (durable) fdatasyncSync(file);
      } finally {
        closeSync(file);
      }
    },
    count: (key) => newlinesIn(readFileSync(pathOf(key))),
    newest(key, count) {
      const file = openSync(pathOf(key), "r");
      try {
        return lastLines(file, count).map((line) => JSON.parse(line));
      } finally {
        closeSync(file);
      }
    },
    each(key, see) {
      for (const line of readFileSync(pathOf(key), "utf8").split("\n"))
        if (line !== "") see(JSON.parse(line));
    },
  };
}

/** @param {Buffer} bytes */
function newlinesIn(bytes) {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

/** @param {number} file @param {number} count @returns {string[]} */
function lastLines(file, count) {
  let start = fstatSync(file).size;
  let bytes = Buffer.alloc(0);
  // One newline more: that in front of the oldest of them.
  while (start > 0 && newlinesIn(bytes) <= count) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, start));
    start -= piece.length;
    readSync(file, piece, 0, piece.length, start);
    bytes = Buffer.concat([piece, bytes]);
  }
  return bytes
    .toString("utf8")
    .split("\n")
    .slice(-1 - count, -1);
}
