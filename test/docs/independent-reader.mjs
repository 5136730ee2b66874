/**
 * Reads a session store from outside. Written from docs/format.md alone, to prove that the page is complete: it
 * imports nothing of the library. A shorter start for your own reader than the library's source.
 *
 *   node test/docs/independent-reader.mjs sessions.d       prints { revision, sessions } as JSON
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readSync, constants, fstatSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const CRC_TABLE = Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

export function folderName(key) {
  const hex = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  let name = "";
  for (const byte of Buffer.from(key)) {
    const character = String.fromCharCode(byte);
    name += /[a-z0-9\-_.=+@,]/.test(character) ? character : hex(byte);
  }
  if (name.endsWith(".")) name = `${name.slice(0, -1)}%2E`;
  const reserved = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/.test(name);
  if (reserved || name.startsWith(".")) name = hex(name.charCodeAt(0)) + name.slice(1);
  if (name.length <= 200) return name;
  const prefix = name.slice(0, 120).replace(/%.?$/, "");
  return `${prefix}~${createHash("sha256").update(key).digest("hex")}`;
}

const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isName = (value) => typeof value === "string" && value !== "";
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function depthOf(value) {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** What a line without its newline is. */
export function parseLine(line) {
  const json = line.subarray(9);
  if (line.length > 16_777_216 || line.length <= 9 || line[8] !== 0x20) return { kind: "unreadable" };
  if (line.toString("latin1", 0, 8) !== crc32(json)) return { kind: "unreadable" };
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch {
    return { kind: "malformed" };
  }
  if (!isObject(value)) return { kind: "malformed" };
  const members = Object.keys(value).length;
  const has = (name) => Object.hasOwn(value, name);
  let kind = "malformed";
  if (has("ops")) {
    if (
      members === 5 &&
      isName(value.w) &&
      [value.n, value.g, value.t].every(isCount) &&
      opsAreSound(value.ops)
    )
      kind = "record";
  } else if (has("segment")) {
    if (
      members === 5 &&
      [value.segment, value.firstRevision, value.after].every(isCount) &&
      value.after < value.firstRevision &&
      isName(value.store) &&
      isName(value.stage)
    )
      kind = "header";
  } else if (has("seal")) {
    const known = ["seal", "firstRevision", "gap", "bytes"];
    if (Object.entries(value).every(([name, count]) => known.includes(name) && isCount(count))) kind = "seal";
  }
  return { kind, value };
}

/** What stands between two newlines: lines with their offsets, and with those of the torn pieces in front of them. */
export function parsePieces(bytes) {
  const whole = parseLine(bytes);
  if (whole.kind !== "unreadable") return [{ at: 0, from: 0, ...whole }];
  const text = bytes.toString("latin1");
  const begins = [...text.matchAll(/(?=[0-9a-f]{8} \{"[ws])/g)].map(({ index }) => index);
  const starts = bytes.length > 0 ? [...new Set([0, ...begins])] : [];
  const pieces = [];
  let from = 0;
  for (const [index, at] of starts.entries()) {
    const end = starts[index + 1] ?? bytes.length;
    const parsed = parseLine(bytes.subarray(at, end));
    if (parsed.kind === "unreadable" && end < bytes.length && isBeginning(text.slice(at, end))) continue;
    pieces.push({ at, from, ...parsed });
    from = end;
  }
  return pieces;
}

/** Whether a piece is only the beginning of a line, perhaps with very short ones glued to it. */
function isBeginning(text) {
  const short = /^[0-9a-f]*(?:(?<=[0-9a-f]{8}) (?:\{"?)?[0-9a-f]*)*$/;
  for (let at = text.length; at >= Math.max(0, text.length - 60); at--)
    if (short.test(text.slice(at)) && (at === 0 || isOneBeginning(text.slice(0, at)))) return true;
  return false;
}

const STRING = '"(?:[^"\\\\]|\\\\.)*'; // as far as it goes
const VALUE = `(?:${STRING}["\\\\]?|[-+0-9.eE]+|[a-z]{1,5})`;
/** A name as far as it goes, or a value with its name or without one. */
const MEMBER = new RegExp(`^,?(?:${STRING}(?:\\\\|":?)?|(?:${STRING}":)?${VALUE})?$`);

function isOneBeginning(text) {
  if (/^(?:[0-9a-f]{1,8}|[0-9a-f]{8} (?:\{"?)?)$/.test(text)) return true;
  if (!/^[0-9a-f]{8} \{"/.test(text) || Buffer.from(text, "latin1").some((byte) => byte < 0x20)) return false;
  const json = text.slice(9);
  let open = "";
  let parsed = 0;
  for (const { 0: token, index } of json.matchAll(/"(?:[^"\\]|\\.)*(?:"|\\?$)|[{}[\],]/g)) {
    if (token.startsWith('"')) continue;
    if (token === "{") open = `}${open}`;
    else if (token === "[") open = `]${open}`;
    else if (token !== ",") open = open.slice(1);
    if (open === "") return false;
    parsed = token === "," ? index : index + 1;
  }
  if (!MEMBER.test(json.slice(parsed))) return false;
  try {
    JSON.parse(json.slice(0, parsed) + open);
    return true;
  } catch {
    return false;
  }
}

function opsAreSound(ops) {
  if (!Array.isArray(ops) || ops.length === 0 || !ops.every(isObject)) return false;
  if (new Set(ops.map((op) => op.k)).size < ops.length) return false;
  return ops.every((op) => {
    const has = (name) => Object.hasOwn(op, name);
    if (!Object.keys(op).every((name) => ["k", "b", "s", "p", "u", "d"].includes(name))) return false;
    if (!isName(op.k) || /\p{Surrogate}/u.test(op.k) || (has("b") && !isCount(op.b))) return false;
    for (const name of ["s", "p"])
      if (has(name) && !(isObject(op[name]) && depthOf(op[name]) <= 132)) return false;
    if (has("u") && !(has("p") && Array.isArray(op.u) && op.u.every((item) => typeof item === "string")))
      return false;
    if (has("d") && op.d !== 1) return false;
    const kinds = ["s", "p", "d"].filter(has).length;
    if (kinds > 1 || ((has("p") || kinds === 0) && !has("b"))) return false;
    return !(has("p") && op.b === 0);
  });
}

/** A store as of a revision that only grows. */
export class StoreReader {
  revision = 0;
  /** What the log says: a state, or undefined for a deleted session. */
  #hot = new Map();
  /** Where it reads: number, descriptor, position, and what the verdicts need. */
  #segment;
  /** Damaged segments, lowest first. */
  #damaged = [];
  /** The latest segment that changed a key. */
  #changedIn = new Map();
  /** Keys whose latest state cannot be known, as of the last snapshot. */
  unknown = [];
  /** Revision of the latest change of a key, a delete included. */
  #revisions = new Map();
  /** How far the log was durable. */
  #mark;
  /** States of the segment that is being read. */
  #here = new Map();

  constructor(folder) {
    this.folder = folder;
    const { kind, format, storeId } = JSON.parse(readFileSync(join(folder, ".store/format.json"), "utf8"));
    if (kind !== "sessiondir" || format !== 2) throw new Error(`${folder} is not a store of format 2`);
    this.storeId = storeId;
  }

  /** All sessions as of `revision`. */
  snapshot() {
    for (;;) {
      this.#rewind();
      this.#readLog();
      this.#mark = this.#readMark();
      const files = this.#readFiles();
      if (!this.#readLog()) continue; // too slow: segments went by unread
      const sessions = new Map();
      this.unknown = [];
      const damaged = this.#damaged.filter(({ gap }) => gap !== undefined);
      const behind = new Map(damaged.flatMap((segment) => [...segment.behind]));
      for (const key of new Set([...files.keys(), ...this.#hot.keys(), ...behind.keys()])) {
        const state = this.#stateOf(key, files.get(key), behind.get(key), damaged.at(-1)?.number ?? 0);
        if (state === "unknown") this.unknown.push(key);
        else if (state !== undefined) sessions.set(key, state);
      }
      return sessions;
    }
  }

  #stateOf(key, file, behind, lastDamaged) {
    const ofLog = this.#hot.get(key);
    if (!this.#hot.has(key) && behind === undefined) return file;
    if ((this.#changedIn.get(key) ?? 0) > lastDamaged || lastDamaged === 0) return ofLog;
    if (behind !== undefined) return file !== undefined && file.revision >= behind ? file : "unknown";
    return file !== undefined && file.revision > (this.#revisions.get(key) ?? 0) ? file : ofLog;
  }

  /** Changes since the last call, in order; undefined: too slow, take a snapshot. */
  changes() {
    const changes = [];
    return this.#readLog((key, revision, state) => changes.push({ key, revision, state }))
      ? changes
      : undefined;
  }

  close() {
    if (this.#segment !== undefined) closeSync(this.#segment.fd);
    this.#segment = undefined;
  }

  #liveNumbers() {
    const names = readdirSync(join(this.folder, ".store/log")).filter((name) => /^\d{8,}\.jsonl$/.test(name));
    const numbers = names.map((name) => Number.parseInt(name, 10)).sort((a, b) => b - a);
    return numbers.filter((number, index) => number === (numbers[0] ?? 0) - index).reverse();
  }

  #open(number) {
    const path = join(this.folder, ".store/log", `${String(number).padStart(8, "0")}.jsonl`);
    let fd;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (error.code === "ENOENT") return false;
      throw error;
    }
    this.close();
    const ledger = {
      first: -1,
      last: 0,
      end: 0,
      sealed: false,
      gap: undefined,
      changed: new Map(),
      rest: [],
    };
    this.#segment = {
      number,
      fd,
      at: 0,
      ...ledger,
      behind: new Map(),
      numbers: new Map(),
      before: this.#segment,
    };
    this.#here = new Map();
    return true;
  }

  #rewind() {
    this.#hot = new Map();
    this.#damaged = [];
    this.#changedIn = new Map();
    this.#revisions = new Map();
    this.close();
    for (;;) {
      const [lowest] = this.#liveNumbers();
      if (lowest === undefined) throw new Error(`${this.folder} has no log`);
      if (this.#open(lowest)) return;
    }
  }

  #readLog(onChange = () => {}) {
    for (;;) {
      const segment = this.#segment;
      const followed = (this.#liveNumbers().at(-1) ?? 0) > segment.number;
      this.#readSegment(segment, onChange);
      if (followed && !segment.sealed) {
        segment.sealed = true;
        segment.gap ??= segment.at;
      }
      if (this.#wasCut(segment)) {
        if (segment.gap === undefined) this.#mentionRest(segment, Infinity);
        segment.gap ??= segment.sealed ? segment.sealEnd : segment.at;
      }
      if (segment.gap !== undefined && !this.#damaged.includes(segment)) this.#damaged.push(segment);
      if (segment.first < 0) throw new Error(`segment ${segment.number} has no header`);
      this.revision = segment.last;
      if (!segment.sealed) return true;
      if (this.#open(segment.number + 1)) continue;
      const highest = this.#liveNumbers().at(-1) ?? 0;
      if (highest === segment.number) return true; // its successor is not made yet
      if (highest === segment.number + 1) continue; // just made
      return false;
    }
  }

  #readMark() {
    try {
      const [line, end] = readFileSync(join(this.folder, ".store/durable")).toString().split("\n");
      return end === "" && crc32(Buffer.from(line.slice(9))) === line.slice(0, 8)
        ? JSON.parse(line.slice(9))
        : undefined;
    } catch {
      return undefined;
    }
  }

  #wasCut({ number, fd, at, sealed, sealEnd }) {
    const { ino, dev } = fstatSync(fd, { bigint: true });
    const { segment, inode, device, bytes } = this.#mark ?? {};
    return (
      segment === number && inode === String(ino) && device === String(dev) && (sealed ? sealEnd : at) < bytes
    );
  }

  #readSegment(segment, onChange) {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(segment.fd).size - segment.at));
    const count = readSync(segment.fd, bytes, 0, bytes.length, segment.at);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0 && end < count; end = bytes.indexOf(10, start)) {
      for (const { at, from, ...line } of parsePieces(bytes.subarray(start, end))) {
        this.#decide(segment, line, segment.at + start + at, segment.at + start + from, onChange);
        if (!segment.sealed) segment.end = segment.at + end + 1;
        else segment.sealEnd ??= segment.at + end + 1;
      }
      start = end + 1;
    }
    segment.at += start; // what has no newline is not decided yet
  }

  #decide(segment, { kind, value }, at, from, onChange) {
    const { first, number, numbers } = segment;
    if (segment.sealed) {
      // The seal may be a block that stands in a place that is not its own.
      if (kind !== "record" || value.g !== number) return;
      if (segment.gap === undefined) segment.rest.push({ record: value, at });
      else this.#mention(segment, value, at);
      return;
    }
    if (kind === "malformed") return;
    if (kind !== "unreadable" && kind !== "header" && first < 0) return;
    const inPlace =
      (kind === "header" && at === 0 && value.segment === number) ||
      (kind === "seal" && value.seal === number + 1) ||
      (kind === "record" && value.g === number && value.n > (numbers.get(value.w) ?? 0));
    if (!inPlace) segment.gap ??= from;
    else if (kind === "header") this.#begin(segment, value);
    else if (kind === "seal") this.#seal(segment, value);
    else if (segment.gap !== undefined) this.#mention(segment, value, at);
    else if (this.#lacksBase(segment, value)) this.#mention(segment, value, at);
    else {
      numbers.set(value.w, value.n);
      if (!value.ops.every((op) => this.#holds(segment, op))) return;
      segment.last = first + at;
      for (const op of value.ops)
        if (op.s || op.p || op.d) this.#apply(segment, op, first + at, value.t, onChange);
    }
  }

  #seal(segment, { gap, bytes }) {
    segment.sealed = true;
    if (segment.end < (bytes ?? 0)) segment.gap ??= gap ?? segment.end;
  }

  #begin(segment, { store, firstRevision, after }) {
    if (store !== this.storeId) throw new Error(`segment ${segment.number} is of another store`);
    segment.first = firstRevision;
    segment.last = after;
    const { before } = segment;
    segment.before = undefined;
    if (before === undefined) return;
    if (before.last > after) throw new Error(`others went on without what segment ${before.number} had`);
    if (before.gap !== undefined && after < before.first + before.gap) this.#settle(before);
    else if (before.last < after && after < firstRevision - 1) {
      if (before.gap === undefined) this.#mentionRest(before, after);
      before.gap ??= after - before.first;
      if (!this.#damaged.includes(before)) this.#damaged.push(before);
    }
  }

  #mention({ first, behind }, { ops }, at) {
    for (const op of ops) if (op.s || op.p || op.d) behind.set(op.k, first + at);
  }

  #mentionRest(segment, revisionMax) {
    for (const { record, at } of segment.rest)
      if (segment.first + at <= revisionMax) this.#mention(segment, record, at);
  }

  #settle(segment) {
    segment.gap = undefined;
    segment.behind.clear();
  }

  #lacksBase(segment, { ops }) {
    const { changed, first, behind } = segment;
    const lost = ops.find(({ k, b }) => b >= first && (changed.get(k) ?? 1) > 0 && (changed.get(k) ?? 1) < b);
    if (lost === undefined) return false;
    segment.gap = lost.b - first;
    behind.set(lost.k, lost.b);
    return true;
  }

  #holds({ changed }, op) {
    const latest = changed.get(op.k);
    if (latest === undefined) return op.p === undefined;
    return (op.b === undefined || op.b === latest) && !(op.p !== undefined && latest === 0);
  }

  #apply(segment, op, revision, modifiedAt, onChange) {
    segment.changed.set(op.k, op.d ? 0 : revision);
    let stored = op.s;
    if (op.p !== undefined) {
      const fields = new Map(Object.entries({ ...this.#here.get(op.k)?.stored }));
      for (const [name, field] of Object.entries(op.p)) fields.set(name, field);
      for (const name of op.u ?? []) fields.delete(name);
      stored = Object.fromEntries(fields);
    }
    const state = op.d ? undefined : { key: op.k, revision, modifiedAt, stored };
    this.#here.set(op.k, state);
    this.#hot.set(op.k, state);
    this.#changedIn.set(op.k, segment.number);
    this.#revisions.set(op.k, revision);
    onChange(op.k, revision, state);
  }

  #readFiles() {
    const whole = this.#damaged.every(({ gap }) => gap === undefined);
    const skip = new Set(whole ? [...this.#hot.keys()].map(folderName) : []);
    const found = new Map();
    for (const name of readdirSync(this.folder)) {
      if (name.startsWith(".") || skip.has(name)) continue;
      const state = readEntryFile(join(this.folder, name, "meta.json"));
      if (state === undefined) continue;
      if (state === "damaged" || folderName(state.key) !== name)
        console.error(`${name} is damaged: left out`);
      else found.set(state.key, state);
    }
    return found;
  }

  /** The entry as its writer gave it, blobs included. */
  entry(stored) {
    if (Array.isArray(stored)) return stored.map((item) => this.#value(item));
    if (typeof stored !== "object" || stored === null) return stored;
    const fields = Object.entries(stored);
    return Object.fromEntries(
      fields.map(([name, value]) => [name.replace(/^\$\$/, "$"), this.#value(value)]),
    );
  }

  #value(stored) {
    const hash =
      isObject(stored) && isCount(stored.bytes)
        ? /^sha256:([0-9a-f]{64})$/.exec(stored.$blob)?.[1]
        : undefined;
    return hash === undefined ? this.entry(stored) : this.entry(this.#blob(hash, stored.bytes));
  }

  #blob(hash, size) {
    const trash = join(this.folder, ".store/trash");
    const home = join(this.folder, ".store/blobs", hash.slice(0, 2), `${hash}.json`);
    for (let look = 0; look < 2; look++) {
      const discarded = readdirSync(trash).filter((name) => name.startsWith(`${hash}.`));
      for (const path of [home, ...discarded.map((name) => join(trash, name))]) {
        const bytes = readIfThere(path);
        if (bytes === undefined) continue;
        if (bytes.length === size && createHash("sha256").update(bytes).digest("hex") === hash)
          return JSON.parse(String(bytes));
      }
    }
    throw new Error(`blob ${hash} is missing or damaged`);
  }
}

function readEntryFile(path) {
  const bytes = readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const { $session, ...stored } = JSON.parse(String(bytes));
    const { key, revision, modifiedAt, crc } = $session;
    const digits = bytes.indexOf(`${crc}"}`, 0, "latin1");
    bytes.write("00000000", digits, "latin1");
    return crc32(bytes) === crc ? { key, revision, modifiedAt, stored } : "damaged";
  } catch {
    return "damaged";
  }
}

function readIfThere(path) {
  try {
    return readFileSync(path, { flag: constants.O_RDONLY | constants.O_NOFOLLOW });
  } catch (error) {
    const code = error.code ?? "";
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const reader = new StoreReader(process.argv[2] ?? "sessions.d");
  const sessions = [...reader.snapshot().values()].map(({ stored, ...rest }) => ({
    ...rest,
    entry: reader.entry(stored),
  }));
  console.log(JSON.stringify({ revision: reader.revision, sessions }, undefined, 2));
  reader.close();
}
