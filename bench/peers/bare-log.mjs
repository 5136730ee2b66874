// @ts-check
/**
 * A floor: the least store that can be made of sessiondir's system calls. Each line has the changed fields, its base and
 * a checksum, and counts unless another process changed that session in between. The checks of entries and limits, session
 * files, segments and everything that makes it last are missing.
 */
import { randomBytes } from "node:crypto";
import { closeSync, fdatasync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32 } from "node:zlib";
import { noTranscripts, notAStore } from "./bare-calls.mjs";

/**
 * @typedef {import("./peer.mjs").Entry} Entry
 * @typedef {import("./peer.mjs").Item} Item
 * @typedef {{ k: string, b: number, s?: Entry, p?: Partial<Entry>, i?: Item }} Op As in sessiondir's log.
 * @typedef {{ w: string, n: number, g: number, t: number, ops: Op[] }} LogRecord
 */

const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
const CRC_DIGITS = 8;

const sync = promisify(fdatasync);

export const version = async () => "";

/** @param {LogRecord} record */
function lineOf(record) {
  const json = JSON.stringify(record);
  return Buffer.from(`${crc32(json).toString(16).padStart(CRC_DIGITS, "0")} ${json}\n`);
}

/** @param {string} folder @param {Iterable<[string, Entry]>} entries */
export async function fill(folder, entries) {
  mkdirSync(folder, { recursive: true });
  const file = openSync(join(folder, "floor.log"), "a", 0o600);
  let n = 0;
  for (const [k, s] of entries)
    writeSync(file, lineOf({ w: "fill", n: ++n, g: 1, t: 0, ops: [{ k, b: 0, s }] }));
  closeSync(file);
}

/**
 * @param {string} folder
 * @param {import("./peer.mjs").Durability} durability
 * @returns {Promise<import("./peer.mjs").OpenPeer>}
 */
export async function open(folder, durability) {
  const log = new Log(join(folder, "floor.log"));
  const all = () => {
    log.readOn();
    return Array.from(log.sessions, ([key, { entry }]) => ({ key, entry }));
  };
  all();
  return {
    ...notAStore,
    all,
    get(key) {
      log.readOn();
      return log.sessions.get(key)?.entry;
    },
    update(key, change) {
      while (!log.update(key, change));
      return durability === "disk" ? sync(log.file) : undefined;
    },
    transcripts: {
      ...noTranscripts,
      append(key, item) {
        log.readOn();
        log.write({ k: key, b: 0, i: item });
        return durability === "disk" ? sync(log.file) : undefined;
      },
      count() {
        log.readOn();
        return log.items;
      },
    },
    close: async () => closeSync(log.file),
  };
}

class Log {
  /** @readonly */
  file;
  /** @readonly @type {Map<string, { entry: Entry, revision: number }>} */
  sessions = new Map();
  /** In all transcripts. */
  items = 0;
  /** @readonly */
  #buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** @readonly */
  #writer = randomBytes(6).toString("hex");
  #number = 0;
  #position = 0;
  #revision = 0;

  /** @param {string} path */
  constructor(path) {
    this.file = openSync(path, "a+", 0o600);
  }

  readOn() {
    while (this.#decide(this.#read()).more);
  }

  /** @param {string} key @param {(entry: Entry) => Entry} change @returns {boolean} Whether it counts. */
  update(key, change) {
    this.readOn();
    const { entry, revision } = /** @type {{ entry: Entry, revision: number }} */ (this.sessions.get(key));
    const after = change(entry);
    return this.write({ k: key, b: revision, p: changedFields(entry, after) }, after);
  }

  /** @param {Op} op @param {Entry} [after] What it makes of the entry. @returns {boolean} Whether it counts. */
  write(op, after) {
    const line = lineOf({ w: this.#writer, n: ++this.#number, g: 1, t: Date.now(), ops: [op] });
    writeSync(this.file, line);
    for (;;) {
      const count = this.#read();
      if (count === line.length && line.compare(this.#buffer, 0, count) === 0) {
        this.#position += count;
        return this.#apply(op, after);
      }
      const { own } = this.#decide(count);
      if (own !== undefined) return own;
    }
  }

  #read() {
    return readSync(this.file, this.#buffer, 0, READ_BYTES, this.#position);
  }

  /** @param {number} count Bytes that were read. @returns {{ more: boolean, own: boolean | undefined }} */
  #decide(count) {
    const bytes = this.#buffer.subarray(0, count);
    let start = 0;
    /** @type {boolean | undefined} */
    let own;
    for (let end; (end = bytes.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      const json = bytes.subarray(start + CRC_DIGITS + 1, end);
      if (crc32(json) !== Number.parseInt(bytes.toString("latin1", start, start + CRC_DIGITS), 16))
        throw new Error("a line is damaged");
      const { w, n, ops } = /** @type {LogRecord} */ (JSON.parse(json.toString()));
      const counts = ops.every((op) => this.#apply(op));
      if (w === this.#writer && n === this.#number) own = counts;
    }
    this.#position += start;
    return { more: count === READ_BYTES, own };
  }

  /** @param {Op} op @param {Entry} [after] What it makes of the entry. @returns {boolean} */
  #apply(op, after) {
    if (op.i !== undefined) return ++this.items > 0;
    const before = this.sessions.get(op.k);
    if ((before?.revision ?? 0) !== op.b) return false;
    const entry = after ?? op.s ?? /** @type {Entry} */ ({ ...before?.entry, ...op.p });
    this.sessions.set(op.k, { entry, revision: ++this.#revision });
    return true;
  }
}

/** @param {Record<string, any>} before @param {Record<string, any>} after @returns {Partial<Entry>} */
function changedFields(before, after) {
  /** @type {Record<string, unknown>} */
  const changed = {};
  for (const name in after) if (after[name] !== before[name]) changed[name] = after[name];
  return changed;
}
