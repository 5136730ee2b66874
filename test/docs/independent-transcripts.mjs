/**
 * Transcripts: the third part of `independent-reader.mjs`, written from docs/format.md alone. What the log says of them,
 * what their files say, and what follows from the two.
 */
import { constants, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { changesAnything, crc32, folderName, isObject } from "./independent-lines.mjs";

const FIELDS = ["since", "cut", "gone", "last", "total", "first", "born", "size"];
const CHUNK_NAME = /^(.+)\.(\d{12,15})-([1-9]\d{0,15})\.jsonl$/;
const placeOf = (key, name) => JSON.stringify([key, name]);
/** In place of a name: all of a session. */
const ALL = "";

function headOf(h) {
  return Array.isArray(h) ? Object.fromEntries(FIELDS.map((field, index) => [field, h[index]])) : undefined;
}

const lineBytes = (line) => Buffer.byteLength(JSON.stringify(line)) + 1;
const CRC = "00000000";

function headerBytes(key, transcript, { first, since, cut, last, before, gone }) {
  const trimmed = gone > 0 && { gone };
  return lineBytes({ $items: { key, transcript, first, since, cut, last, before, ...trimmed, crc: CRC } });
}

function itemBytes({ seq, revision, time, position, gone, id }, value) {
  const at = position !== seq && { position };
  const $item = { seq, revision, time, ...at, ...(gone > 0 && { gone }), ...(id && { id }), crc: CRC };
  const inline = isObject(value) && !Object.keys(value).some((name) => name.startsWith("$"));
  return lineBytes(inline ? { $item, ...value } : { $item, $value: value });
}

export class Transcripts {
  /** What live segments changed: the head, and items that no file need have. @readonly */
  #hot = new Map();
  /** Sessions that a live segment deleted, with the revision of the latest time. @readonly */
  #deleted = new Map();

  /** What has to be kept of one segment. */
  static ledger() {
    const [lists, cleared, behind] = [new Map(), new Map(), new Map()];
    return { lists, cleared, behind, operations: new Set(), chunk: 4_194_304 };
  }

  #known({ lists, cleared }, { k, l }) {
    const known = lists.get(placeOf(k, l));
    if (known !== undefined || !cleared.has(k)) return known;
    return { head: undefined, revision: cleared.get(k), ids: new Map() };
  }

  /** The change that a record builds on and that is not there: a gap begins where it should be. */
  lostBase(ledger, { transcripts = [] }, first) {
    const lost = transcripts.find((op) => op.b >= first && (this.#known(ledger, op)?.revision ?? 0) < op.b);
    if (lost !== undefined) ledger.behind.set(placeOf(lost.k, lost.l), lost.b);
    return lost?.b;
  }

  mention({ behind }, { ops, transcripts = [] }, revision) {
    for (const op of ops) if (op.d) behind.set(placeOf(op.k, ALL), revision);
    for (const op of transcripts) if (changesAnything(op)) behind.set(placeOf(op.k, op.l), revision);
  }

  hold(ledger, { transcripts = [] }) {
    return transcripts.every((op) => {
      const known = this.#known(ledger, op);
      if (known === undefined && op.h === undefined) return false;
      const head = known === undefined ? headOf(op.h) : known.head;
      if (op.e !== undefined && op.e !== (head?.cut ?? 0)) return false;
      if (op.v !== undefined && op.v !== (head?.last ?? 0)) return false;
      if (op.c !== undefined && op.c !== (head?.total ?? 0) - (head?.gone ?? 0)) return false;
      if (op.x === undefined) return true;
      const [of, keep, first, before, n] = op.x;
      if (head === undefined || of !== head.born) return false;
      return keep <= head.last && before + n <= head.total && first <= head.last + 1;
    });
  }

  commit(ledger, number, { ops, transcripts = [], o, t }, revision) {
    if (o !== undefined) ledger.operations.add(o[0]);
    for (const op of ops) if (op.d) this.#delete(ledger, number, op.k, revision);
    for (const op of transcripts) this.#change(ledger, number, op, revision, t);
  }

  #delete({ lists, cleared }, number, key, revision) {
    cleared.set(key, revision);
    this.#deleted.set(key, revision);
    for (const place of lists.keys()) if (JSON.parse(place)[0] === key) lists.delete(place);
    for (const list of this.#hot.values())
      if (list.key === key)
        Object.assign(list, { head: undefined, items: [], inFiles: 0, revision, changedIn: number });
  }

  #change(ledger, number, op, revision, time) {
    const { k: key, l: name, r, x, a = [], g = 0, m } = op;
    const place = placeOf(key, name);
    const known = this.#known(ledger, op) ?? { head: headOf(op.h), revision: 0, ids: new Map() };
    ledger.lists.set(place, known);
    const before = known.head;
    if (r) known.ids.clear();
    const [, keep = Infinity, first, chunkBefore, n = 0, body] = x ?? [];
    for (const [id, { seq, position }] of known.ids)
      if (seq > keep || position <= (before?.gone ?? 0)) known.ids.delete(id);
    const fresh = new Set();
    const items = a.filter(({ i }) => {
      const there = i !== undefined && (known.ids.has(i) || fresh.has(i));
      fresh.add(i);
      return !there;
    });
    if (!r && !x && items.length === 0) return;
    known.revision = revision;
    const list = this.#hotOf(key, name, place, before);
    if (r) Object.assign(list, { items: [], inFiles: 0 });
    let head = r ? undefined : before;
    const gone = head?.gone ?? 0;
    const left = x === undefined ? (head?.total ?? 0) : Math.max(gone, chunkBefore + n);
    const total = left + items.length;
    const trimmed = Math.min(total, m === undefined ? g : total - m);
    if (head !== undefined && (x || items.length > 0)) head = { ...head, gone: Math.max(gone, trimmed) };
    const begin = (first, before) => {
      const bytes = headerBytes(key, name, { ...head, first, before });
      head = { ...head, first, born: revision, size: bytes };
    };
    if (x !== undefined) {
      head = { ...head, cut: left < head.total ? revision : head.cut, total: left };
      begin(first, chunkBefore);
      head.size += body;
      list.inFiles = Math.min(list.inFiles, keep);
      list.items = list.items.filter(({ seq }) => seq <= keep);
    }
    for (const { i: id, v: item } of items) {
      const none = { since: revision, cut: revision, gone: Math.max(0, trimmed), last: 0, total: 0 };
      if (head === undefined) head = { ...none, size: 0 };
      if (head.size === 0 || head.size >= ledger.chunk) begin(head.last + 1, head.total);
      const [seq, position] = [head.last + 1, head.total + 1];
      const size = head.size + itemBytes({ seq, revision, time, position, gone: head.gone, id }, item);
      head = { ...head, last: seq, total: position, size };
      if (id !== undefined) known.ids.set(id, { seq, position });
      list.items.push({ seq, position, item, id, revision, time });
    }
    known.head = head;
    Object.assign(list, { head, revision, changedIn: number });
  }

  /** What is known of a transcript across segments; files have what it had when the first one began. */
  #hotOf(key, name, place, before) {
    const known = this.#hot.get(place);
    if (known !== undefined && FIELDS.every((field) => known.head?.[field] === before?.[field])) return known;
    const list = { key, name, items: [], inFiles: before?.last ?? 0 };
    this.#hot.set(place, list);
    return list;
  }

  /** All chunk files, by the folder of their session and the name in front of the numbers. */
  readFiles(store) {
    const found = new Map();
    for (const folder of namesIn(store).filter((name) => !name.startsWith("."))) {
      for (const file of namesIn(join(store, folder))) {
        const [, encoded, digits, born] = CHUNK_NAME.exec(file) ?? [];
        if (encoded === undefined) continue;
        const chunk = readChunk(join(store, folder, file), folder, encoded, Number(digits));
        if (chunk === undefined) continue; // gone meanwhile
        const place = `${folder}/${encoded}`;
        found.set(place, [
          ...(found.get(place) ?? []),
          { ...chunk, first: Number(digits), born: Number(born) },
        ]);
      }
    }
    for (const chunks of found.values()) chunks.sort((a, b) => a.first - b.first || a.born - b.born);
    return found;
  }

  /** Every transcript as log and files together have it. */
  resolve(files, damaged, revision) {
    const places = new Map(
      [...this.#hot.values()].map(({ key, name }) => [placeOf(key, name), { key, name }]),
    );
    for (const { behind } of damaged.map(({ lists }) => lists))
      for (const place of behind.keys()) {
        const [key, name] = JSON.parse(place);
        if (name !== ALL) places.set(place, { key, name });
      }
    for (const { key, name } of [...files.values()].flat())
      if (name !== undefined) places.set(placeOf(key, name), { key, name });
    const found = [];
    const unknown = [];
    let missing = [...files.values()].some((chunks) => chunks.every(({ name }) => name === undefined));
    for (const { key, name } of places.values()) {
      const chunks = files.get(`${folderName(key)}/${folderName(name)}`) ?? [];
      const list = this.#resolveOne(key, name, chunks, damaged, revision);
      if (list === "unknown" || list === "missing") unknown.push({ key, name });
      else if (list !== undefined) found.push({ key, name, ...list });
      missing ||= list === "missing";
    }
    return { found, unknown, missing };
  }

  #resolveOne(key, name, chunks, damaged, revision) {
    const place = placeOf(key, name);
    const hot = this.#hot.get(place);
    const deleted = hot === undefined && this.#deleted.has(key);
    const gaps = damaged.filter(({ gap }) => gap !== undefined);
    if (gaps.length > 0 && (hot?.changedIn ?? 0) <= gaps.at(-1).number) {
      const behind = gaps.flatMap(({ lists }) => [
        lists.behind.get(place) ?? 0,
        lists.behind.get(placeOf(key, ALL)) ?? 0,
      ]);
      const cold = coldHead(chunks);
      const told = Math.max(0, cold?.born ?? 0, chunks.at(-1)?.lines.at(-1)?.revision ?? 0);
      const latest = Math.max(...behind);
      const inLog = hot?.revision ?? this.#deleted.get(key) ?? 0;
      if (latest > 0 || inLog > 0) {
        if (told >= latest && told > inLog) return answer(cold, itemsUpTo(chunks, Infinity));
        if (latest > 0) return "unknown";
      }
    }
    if (deleted) return undefined;
    if (hot === undefined)
      return chunks.length === 0 ? undefined : answer(coldHead(chunks), itemsUpTo(chunks, Infinity));
    if (hot.head === undefined) return undefined;
    const readable = chunks.filter(({ born }) => born <= revision);
    return answer(hot.head, [...itemsUpTo(readable, hot.inFiles), ...hot.items]);
  }
}

/** Of a transcript that no live segment mentions: from the first and the last line of the last chunk. */
function coldHead(chunks) {
  const { header, lines, first, born } = chunks.at(-1) ?? {};
  const item = lines?.at(-1);
  if (header === undefined || (lines.length > 0 && item === undefined)) return undefined;
  const { since, cut, last, before, gone = 0 } = header;
  return {
    since,
    cut,
    gone: Math.max(gone, item?.gone ?? 0),
    last: Math.max(last, item?.seq ?? 0),
    total: item?.position ?? before,
    first,
    born,
  };
}

/** Items up to a number. Of chunks that begin with the same item the one born later counts. */
function itemsUpTo(chunks, seqMax) {
  const items = new Map();
  for (const { lines } of chunks.filter(({ first }, index) => chunks[index + 1]?.first !== first))
    for (const line of lines) if (line !== undefined && line.seq <= seqMax) items.set(line.seq, line);
  return [...items.values()].sort((a, b) => a.seq - b.seq);
}

/** The items that are not trimmed away, if all are there. */
function answer(head, all) {
  if (head === undefined) return "missing";
  const { since, cut, gone, last, total } = head;
  const items = all.filter(({ position }) => position > gone);
  if (items.length !== total - gone || items.some(({ position }, index) => position !== gone + 1 + index))
    return "missing";
  return { items, last, length: total - gone, since, cut };
}

function readChunk(path, folder, encoded, first) {
  let bytes;
  try {
    bytes = readFileSync(path, { flag: constants.O_RDONLY | constants.O_NOFOLLOW });
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
  const [top, ...lines] = linesOf(bytes).map(parseChunkLine);
  const header = top?.$items;
  const isRight =
    header !== undefined &&
    header.first === first &&
    folderName(header.key) === folder &&
    folderName(header.transcript) === encoded;
  if (!isRight) return { header: undefined, lines: [] };
  const items = lines.map((line) => line && itemOf(line));
  return { header, key: header.key, name: header.transcript, lines: items };
}

function itemOf({ $item, ...fields }) {
  const { seq, revision, time, position = seq, gone = 0, id } = $item;
  return {
    seq,
    revision,
    time,
    position,
    gone,
    id,
    item: Object.hasOwn(fields, "$value") ? fields.$value : fields,
  };
}

function linesOf(bytes) {
  const lines = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** Undefined if its checksum is wrong. */
function parseChunkLine(line) {
  const at = line.indexOf('"crc":"') + 7;
  const zeroed = Buffer.from(line);
  if (at < 7 || at + 8 > line.length) return undefined;
  zeroed.write(CRC, at, "latin1");
  if (crc32(zeroed) !== line.toString("latin1", at, at + 8)) return undefined;
  return JSON.parse(line.toString());
}

function namesIn(folder) {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  }
}
