/**
 * Reads a session store from outside. Written from docs/format.md alone, to prove that the page is complete: it
 * imports nothing of the library. A shorter start for your own reader than the library's source. Lines are read in
 * `independent-lines.mjs`, transcripts in `independent-transcripts.mjs`.
 *
 *   node test/docs/independent-reader.mjs sessions.d       prints { revision, sessions, transcripts } as JSON
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, readSync, constants, fstatSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { crc32, folderName, isCount, isObject, parsePieces } from "./independent-lines.mjs";
import { Transcripts } from "./independent-transcripts.mjs";

export { crc32, folderName, parseLine, parsePieces } from "./independent-lines.mjs";

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
  /** `{ key, name }` of transcripts of which that is so, or whose files are damaged. */
  unknownTranscripts = [];
  /** Revision of the latest change of a key, a delete included. */
  #revisions = new Map();
  /** How far the log was durable. */
  #mark;
  /** States of the segment that is being read. */
  #here = new Map();
  #lists = new Transcripts();
  /** `{ key, name, items, last, length, since, cut }` of every transcript, as of the last snapshot. */
  transcripts = [];

  constructor(folder) {
    this.folder = folder;
    const { kind, format, storeId } = JSON.parse(readFileSync(join(folder, ".store/format.json"), "utf8"));
    if (kind !== "sessiondir" || format !== 2) throw new Error(`${folder} is not a store of format 2`);
    this.storeId = storeId;
  }

  /** All sessions as of `revision`. */
  snapshot() {
    for (let tries = 0; ; tries++) {
      this.#rewind();
      this.#readLog();
      this.#mark = this.#readMark();
      const files = this.#readFiles();
      const chunks = this.#lists.readFiles(this.folder);
      if (!this.#readLog()) continue; // too slow: segments went by unread
      const lists = this.#lists.resolve(chunks, this.#damaged, this.revision);
      if (lists.missing && tries < 100) continue; // files came and went meanwhile
      this.transcripts = lists.found;
      this.unknownTranscripts = lists.unknown;
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
      lists: Transcripts.ledger(),
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
    this.#lists = new Transcripts();
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
      if (value.o !== undefined && segment.lists.operations.has(value.o[0])) return;
      if (!value.ops.every((op) => this.#holds(segment, op))) return;
      if (!this.#lists.hold(segment.lists, value)) return;
      segment.last = first + at;
      for (const op of value.ops)
        if (op.s || op.p || op.d) this.#apply(segment, op, first + at, value.t, onChange);
      this.#lists.commit(segment.lists, segment.number, value, first + at);
    }
  }

  #seal(segment, { gap, bytes }) {
    segment.sealed = true;
    if (segment.end < (bytes ?? 0)) segment.gap ??= gap ?? segment.end;
  }

  #begin(segment, { store, firstRevision, after, chunk }) {
    if (store !== this.storeId) throw new Error(`segment ${segment.number} is of another store`);
    segment.first = firstRevision;
    segment.last = after;
    segment.lists.chunk = chunk ?? 4_194_304;
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

  #mention({ first, behind, lists }, record, at) {
    for (const op of record.ops) if (op.s || op.p || op.d) behind.set(op.k, first + at);
    this.#lists.mention(lists, record, first + at);
  }

  #mentionRest(segment, revisionMax) {
    for (const { record, at } of segment.rest)
      if (segment.first + at <= revisionMax) this.#mention(segment, record, at);
  }

  #settle(segment) {
    segment.gap = undefined;
    segment.behind.clear();
    segment.lists.behind.clear();
  }

  #lacksBase(segment, record) {
    const { changed, first, behind, lists } = segment;
    const lost = record.ops.find(
      ({ k, b }) => b >= first && (changed.get(k) ?? 1) > 0 && (changed.get(k) ?? 1) < b,
    );
    if (lost !== undefined) behind.set(lost.k, lost.b);
    const base = lost?.b ?? this.#lists.lostBase(lists, record, first);
    if (base === undefined) return false;
    segment.gap = base - first;
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
  const { revision, transcripts } = reader;
  console.log(JSON.stringify({ revision, sessions, transcripts }, undefined, 2));
  reader.close();
}
