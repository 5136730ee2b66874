/**
 * Lines of a store's files, and names of its folders: the first part of `independent-reader.mjs`, written from
 * docs/format.md alone like the rest of it.
 */
import { createHash } from "node:crypto";

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

export const isCount = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isName = (value) => typeof value === "string" && value !== "";
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function depthOf(value) {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** What a line without its newline is. */
export function parseLine(line) {
  const json = line.subarray(9);
  if (line.length > 17_825_792 || line.length <= 9 || line[8] !== 0x20) return { kind: "unreadable" };
  if (line.toString("latin1", 0, 8) !== crc32(json)) return { kind: "unreadable" };
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch {
    return { kind: "malformed" };
  }
  if (!isObject(value)) return { kind: "malformed" };
  const has = (name) => Object.hasOwn(value, name);
  const hasOnly = (...names) => Object.keys(value).every((name) => names.includes(name));
  let kind = "malformed";
  if (has("ops")) {
    if (
      hasOnly("w", "n", "g", "t", "o", "ops", "transcripts") &&
      isName(value.w) &&
      [value.n, value.g, value.t].every(isCount) &&
      (!has("o") || isOperation(value.o)) &&
      opsAreSound(value.ops, has("transcripts")) &&
      (!has("transcripts") || changesAreSound(value.transcripts, value.ops))
    )
      kind = "record";
  } else if (has("segment")) {
    if (
      hasOnly("segment", "firstRevision", "after", "store", "stage", "chunk") &&
      (!has("chunk") || isCount(value.chunk)) &&
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
    let parsed = parseLine(bytes.subarray(at, end));
    const brace = text.slice(at, end).lastIndexOf("}") + 1;
    if (end < bytes.length && end - at - brace <= 60 && SHORT.test(text.slice(at + brace, end)))
      parsed = parseLine(bytes.subarray(at, at + brace));
    if (parsed.kind === "unreadable" && end < bytes.length && isBeginning(text.slice(at, end))) continue;
    pieces.push({ at, from, ...parsed });
    from = end;
  }
  return pieces;
}

/** Very short beginnings of lines. */
const SHORT = /^[0-9a-f]*(?:(?<=[0-9a-f]{8}) (?:\{"?)?[0-9a-f]*)*$/;

/** Whether a piece is only the beginning of a line, perhaps with very short ones glued to it. */
function isBeginning(text) {
  for (let at = text.length; at >= Math.max(0, text.length - 60); at--)
    if (SHORT.test(text.slice(at)) && (at === 0 || isOneBeginning(text.slice(0, at)))) return true;
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

const isOperation = (value) =>
  Array.isArray(value) && value.length === 2 && isName(value[0]) && /^[0-9a-f]{64}$/.test(value[1]);
const isWellFormed = (value) => isName(value) && !/\p{Surrogate}/u.test(value);

function opsAreSound(ops, mayBeEmpty) {
  if (!Array.isArray(ops) || (ops.length === 0 && !mayBeEmpty) || !ops.every(isObject)) return false;
  if (new Set(ops.map((op) => op.k)).size < ops.length) return false;
  return ops.every((op) => {
    const has = (name) => Object.hasOwn(op, name);
    if (!Object.keys(op).every((name) => ["k", "b", "s", "p", "u", "d"].includes(name))) return false;
    if (!isWellFormed(op.k) || (has("b") && !isCount(op.b))) return false;
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

/** Changes of transcripts: not empty, each transcript once, and only checks of sessions that the record deletes. */
function changesAreSound(changes, ops) {
  if (!Array.isArray(changes) || changes.length === 0 || !changes.every(isSoundChange)) return false;
  if (new Set(changes.map(({ k, l }) => JSON.stringify([k, l]))).size < changes.length) return false;
  const deleted = ops.filter((op) => op.d === 1).map((op) => op.k);
  return changes.every((change) => !deleted.includes(change.k) || !changesAnything(change));
}

export const changesAnything = (change) =>
  ["r", "x", "a", "g", "m"].some((name) => Object.hasOwn(change, name));

const isCounts = (value, length) => Array.isArray(value) && value.length === length && value.every(isCount);

function isSoundChange(change) {
  if (!isObject(change)) return false;
  const { k, l, h, r, x, a } = change;
  const has = (name) => Object.hasOwn(change, name);
  const known = ["k", "l", "b", "h", "e", "v", "c", "r", "x", "a", "g", "m"];
  if (!Object.keys(change).every((name) => known.includes(name))) return false;
  if (!isWellFormed(k) || !isWellFormed(l) || l.length > 200) return false;
  if (!["b", "e", "v", "c", "g", "m"].every((name) => !has(name) || isCount(change[name]))) return false;
  if (has("h") === has("b") || (has("h") && !isHead(h)) || (has("r") && r !== 1)) return false;
  if (has("x") && (!isCounts(x, 6) || (x[4] === 0) !== (x[5] === 0) || has("r") || !has("e"))) return false;
  if (has("g") && (!has("e") || has("m"))) return false;
  return !has("a") || (Array.isArray(a) && a.length > 0 && a.every(isSoundItem));
}

function isHead(head) {
  if (head === 0) return true;
  if (!isCounts(head, 8)) return false;
  const [since, cut, gone, last, total, first] = head;
  return since <= cut && gone <= total && total <= last && first <= last + 1;
}

function isSoundItem(item) {
  if (!isObject(item) || !Object.hasOwn(item, "v") || depthOf(item.v) > 132) return false;
  const hasId = Object.hasOwn(item, "i");
  if (Object.keys(item).length !== (hasId ? 2 : 1)) return false;
  return !hasId || (isWellFormed(item.i) && Buffer.byteLength(item.i) <= 200);
}
