/**
 * One line of the commit log: `<crc32 as 8 hex digits> <JSON>\n`, the checksum over the JSON's bytes.
 *
 * Whether a line counts must be a pure function of its bytes, and the same one in every process, so nothing here
 * depends on an option. What has a right checksum and is not exactly as described, down to an unknown member, is malformed:
 * a reader that guessed would decide differently from one that does not. What has a wrong one cannot be read.
 *
 * A write that was cut short leaves the beginning of a line, and nothing ends it: the next line is simply appended, glued
 * to it. So what stands between two newlines is cut into pieces where lines begin (no value of a record can look like such
 * a place, for quotes in it are escaped), and a piece that is only the beginning of a line counts for nothing. That is how
 * a torn write, which never counted, is told from damage.
 *
 * Parsing never throws, and no line, however deep or long, makes it run out of stack.
 */
import { isUtf8 } from "node:buffer";
import { CRC_DIGITS, crc32Number, readHex, writeHex } from "./crc32.js";
import { jsonOfString } from "./json-text.js";
import { LINE_BYTES_MAX } from "./limits.js";
import { isWellFormed } from "./session-key.js";
import {
  changesTranscript,
  composeTranscriptOp,
  parseTranscriptOp,
  type TranscriptOp,
} from "./transcript-op.js";
import {
  isCount,
  isStoredObject,
  isWithinDepth,
  type StoredObject,
  type StoredValue,
} from "./stored-value.js";

/** First line of a segment. */
export interface LogHeader {
  /** The segment's own number. */
  readonly segment: number;
  /** Revision of the segment's first byte: a record has this plus the offset of its line. */
  readonly firstRevision: number;
  /** Revision of the last commit before this segment; `firstRevision - 1` where the process that made it could not know. */
  readonly after: number;
  /** Name of its staging folder. */
  readonly stage: string;
  /** Id of the store that it belongs to. */
  readonly store: string;
  /** Bytes at which a chunk of a transcript is full. Left out: `CHUNK_BYTES`. */
  readonly chunk?: number;
}

/**
 * One change or check: with `s` a set, with `p` a patch, with `d` a delete, with none of them a check.
 * `b` is the base revision, 0 for "must not exist"; a patch and a check always have one.
 */
export interface LogOp {
  readonly k: string;
  readonly b?: number;
  /** The whole stored entry. */
  readonly s?: StoredObject;
  /** Stored fields to set; applied before `u`. */
  readonly p?: StoredObject;
  /** Stored names of fields to remove. */
  readonly u?: readonly string[];
  readonly d?: 1;
}

export interface LogRecord {
  /** Who wrote it: random for every open store. */
  readonly w: string;
  /** Counts a writer's records; `(w, n)` names one. */
  readonly n: number;
  /** Segment that it was composed for. */
  readonly g: number;
  /** When it was composed: milliseconds since 1970. */
  readonly t: number;
  /** What was committed under a name, so that it happens once: the name, and a SHA-256 of what it is. */
  readonly o?: readonly [id: string, hash: string];
  /** May be empty where there are transcripts. */
  readonly ops: readonly LogOp[];
  /** Changes of transcripts; not empty. */
  readonly transcripts?: readonly TranscriptOp[];
}

/** Last line of a segment. */
export interface LogSeal {
  /** Number of the segment that follows. */
  readonly seal: number;
  /** First revision that the next segment should have at least. */
  readonly firstRevision?: number;
  /** Offset of the first bytes that the process that sealed could not read. */
  readonly gap?: number;
  /** How many bytes the segment had, as far as that process knows, if something has cut it off since. */
  readonly bytes?: number;
}

/** How far a segment of the log is durable, as a file beside the log says (`engine/directory/durable-mark.ts`). */
export interface DurableMark {
  readonly segment: number;
  /** From the segment's beginning. */
  readonly bytes: number;
  /** Which file that is, in decimal digits: a copy of the store may have copied the log before the mark. */
  readonly inode: string;
  readonly device: string;
}

export type LogLine =
  | { readonly kind: "header"; readonly header: LogHeader }
  | { readonly kind: "record"; readonly record: LogRecord }
  | { readonly kind: "seal"; readonly seal: LogSeal }
  /** The checksum is right, and yet it is none of these. */
  | { readonly kind: "malformed"; readonly reason: string }
  /** @param zeros Whether there is a NUL byte, as in what a power cut leaves. No good line has one. */
  | { readonly kind: "unreadable"; readonly reason: string; readonly zeros: boolean };

/** A line, and where it begins. */
export interface PlacedLine {
  readonly at: number;
  /** Where the torn writes in front of it begin; `at` if there are none. */
  readonly from: number;
  readonly line: LogLine;
}

/** A check is none. */
export function isChange(op: LogOp): boolean {
  return op.s !== undefined || op.p !== undefined || op.d !== undefined;
}

/** Bytes in front of the JSON: the checksum and a space. */
const PREFIX_BYTES = CRC_DIGITS + 1;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const HEX_DIGITS = Buffer.from("0123456789abcdef");
/** Behind the checksum of every line. */
const FIRST_BRACE = Buffer.from(' {"');
/** Beginnings that say nothing yet, one glued to the other; more than a few in a row are no accident. */
const SHORT_BEGINNINGS = /^[0-9a-f]*(?:(?<=[0-9a-f]{8}) (?:\{"?)?[0-9a-f]*)*$/;
const SHORT_BYTES_MAX = 60;
/** The beginning of an array's item or an object's member, up to a value that is no array and no object. */
const ITEM_BEGINNING =
  /^,?(?:"[^"\\]*(?:\\.[^"\\]*)*(?:\\|":?)?|(?:"[^"\\]*(?:\\.[^"\\]*)*":)?(?:"[^"\\]*(?:\\.[^"\\]*)*["\\]?|[-+0-9.eE]+|[a-z]{1,5}))?$/s;
/** Of `w`, `segment` and `seal`. */
const FIRST_LETTERS = Buffer.from("ws");
const SEAL_MEMBERS: ReadonlySet<string> = new Set(["seal", "firstRevision", "gap", "bytes"]);

const NEWLINE = 0x0a;
/** A UTF-16 unit takes at most three bytes of UTF-8. */
const UTF8_UNIT_BYTES_MAX = 3;

/** The line with its newline, ready to be appended with one write. */
export function encodeLogLine(json: string): Buffer {
  const space = Buffer.allocUnsafe(PREFIX_BYTES + Buffer.byteLength(json) + 1);
  writeLogLine(space, json);
  return space;
}

/** Bytes that are certainly enough for {@link writeLogLine}. */
export function logLineBytesMax(json: string): number {
  return PREFIX_BYTES + json.length * UTF8_UNIT_BYTES_MAX + 1;
}

/**
 * Writes the line with its newline to the beginning of `space`, which must be large enough.
 * @returns Its bytes.
 */
export function writeLogLine(space: Buffer, json: string): number {
  // The checksum goes in afterwards: so the text is turned into bytes once.
  const end = PREFIX_BYTES + space.write(json, PREFIX_BYTES);
  writeHex(space, crc32Number(space.subarray(PREFIX_BYTES, end)));
  space[CRC_DIGITS] = SPACE;
  space[end] = NEWLINE;
  return end + 1;
}

/** JSON of a record, members in their canonical order. */
export function composeRecordJson(record: LogRecord): string {
  const { w, n, g, t, o, ops, transcripts } = record;
  let json = `{"w":${jsonOfString(w)},"n":${n},"g":${g},"t":${t}`;
  if (o !== undefined) json += `,"o":[${jsonOfString(o[0])},"${o[1]}"]`;
  json += `,"ops":[`;
  for (let index = 0; index < ops.length; index++) {
    const op = ops[index];
    if (op !== undefined) json += (index === 0 ? "" : ",") + composeOp(op);
  }
  if (transcripts === undefined) return `${json}]}`;
  return `${json}],"transcripts":[${transcripts.map(composeTranscriptOp).join(",")}]}`;
}

function composeOp(op: LogOp): string {
  let json = `{"k":${jsonOfString(op.k)}`;
  if (op.b !== undefined) json += `,"b":${op.b}`;
  if (op.s !== undefined) json += `,"s":${JSON.stringify(op.s)}`;
  if (op.p !== undefined) json += `,"p":${JSON.stringify(op.p)}`;
  if (op.u !== undefined && op.u.length > 0) json += `,"u":${JSON.stringify(op.u)}`;
  if (op.d !== undefined) json += `,"d":1`;
  return `${json}}`;
}

/** Parses `bytes[start, end)`, what stands between two newlines. Never throws. Nearly always it is one line. */
export function parseLogLines(bytes: Buffer, start: number, end: number): PlacedLine[] {
  const line = parseLogLine(bytes, start, end);
  if (line.kind !== "unreadable") return [{ at: start, from: start, line }];
  const placed: PlacedLine[] = [];
  let from = start;
  for (let at = start; at < end;) {
    const next = beginningOfLine(bytes, at + 1, end);
    const last = at === start ? line : parseLogLine(bytes, at, end);
    const piece = next === undefined ? last : parsePiece(bytes, at, next);
    const torn = next !== undefined && piece.kind === "unreadable" && isBeginning(bytes, at, next);
    if (!torn) placed.push({ at, from, line: piece });
    at = next ?? end;
    if (!torn) from = at;
  }
  return placed;
}

/**
 * Whether `bytes[start, end)`, the end of a segment, are torn writes: beginnings of lines, or lines that lack only their
 * newline. Anything else there is damage, or what a power cut left.
 */
export function isTorn(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end;) {
    const next = beginningOfLine(bytes, at + 1, end) ?? end;
    if (!isBeginning(bytes, at, next) && parsePiece(bytes, at, next).kind === "unreadable") return false;
    at = next;
  }
  return true;
}

/** The mark in the one line that a file has; undefined if it has anything else. Never throws. */
export function parseMark(file: Buffer): DurableMark | undefined {
  const json = file.subarray(PREFIX_BYTES, -1);
  if (file.at(-1) !== NEWLINE || json.includes(NEWLINE) || crc32Number(json) !== readHex(file, 0))
    return undefined;
  try {
    const { segment, bytes, inode, device } = JSON.parse(json.toString()) as Record<string, StoredValue>;
    if (!isCount(segment) || !isCount(bytes) || !isName(inode) || !isName(device)) return undefined;
    return { segment, bytes, inode, device };
  } catch {
    return undefined;
  }
}

/** Parses `bytes[start, end)`, one line without its newline. Never throws. */
export function parseLogLine(bytes: Buffer, start: number, end: number): LogLine {
  if (end - start > LINE_BYTES_MAX) return unreadable(bytes, start, end, "longer than a line may be");
  if (end - start <= PREFIX_BYTES || bytes[start + CRC_DIGITS] !== SPACE)
    return unreadable(bytes, start, end, "no checksum");
  const json = bytes.subarray(start + PREFIX_BYTES, end);
  if (crc32Number(json) !== readHex(bytes, start))
    return unreadable(bytes, start, end, "the checksum does not match");
  const text = json.toString();
  // Bytes that are no UTF-8 become U+FFFD; so without one there were none.
  if (text.includes("\ufffd") && !isUtf8(json)) return malformed("not UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return malformed("not JSON");
  }
  const parsed = value as StoredValue;
  if (!isStoredObject(parsed)) return malformed("not an object");
  if (Object.hasOwn(parsed, "ops")) return recordLine(parsed);
  if (Object.hasOwn(parsed, "segment")) return headerLine(parsed);
  if (Object.hasOwn(parsed, "seal")) return sealLine(parsed);
  return malformed("neither header, record nor seal");
}

/**
 * Where the next line begins, at `from` or behind it: a checksum, a space, a brace, and the quoted name of a member. A string
 * in a record may end with the first three, but its closing quote is never followed by a letter.
 */
function beginningOfLine(bytes: Buffer, from: number, end: number): number | undefined {
  const piece = bytes.subarray(from, end);
  let brace = piece.indexOf(FIRST_BRACE, CRC_DIGITS);
  while (brace >= 0) {
    const start = from + brace - CRC_DIGITS;
    if (
      FIRST_LETTERS.includes(piece[brace + FIRST_BRACE.length] ?? 0) &&
      isHex(bytes, start, start + CRC_DIGITS)
    )
      return start;
    brace = piece.indexOf(FIRST_BRACE, brace + 1);
  }
  return undefined;
}

/** A line that lacks its newline, and behind it perhaps writes that were torn too early to say anything. */
function parsePiece(bytes: Buffer, start: number, end: number): LogLine {
  const piece = parseLogLine(bytes, start, end);
  const behind = bytes.lastIndexOf(CLOSING_BRACE, end - 1) + 1;
  if (piece.kind !== "unreadable" || behind <= start || end - behind > SHORT_BYTES_MAX) return piece;
  return SHORT_BEGINNINGS.test(bytes.toString("latin1", behind, end))
    ? parseLogLine(bytes, start, behind)
    : piece;
}

/** Whether these bytes are beginnings of lines, none of them complete: one that says something, and others behind it that say nothing yet. */
function isBeginning(bytes: Buffer, start: number, end: number): boolean {
  for (let at = end; at >= Math.max(start, end - SHORT_BYTES_MAX); at--) {
    if (!SHORT_BEGINNINGS.test(bytes.toString("latin1", at, end))) continue;
    if (at === start || isOneBeginning(bytes, start, at)) return true;
  }
  return false;
}

/** Whether a line may begin so, and is not complete: its outermost brace is still open. */
function isOneBeginning(bytes: Buffer, start: number, end: number): boolean {
  if (!isHex(bytes, start, Math.min(end, start + CRC_DIGITS))) return false;
  const brace = bytes.subarray(start + CRC_DIGITS, Math.min(end, start + CRC_DIGITS + FIRST_BRACE.length));
  if (!brace.equals(FIRST_BRACE.subarray(0, brace.length))) return false;
  const closers: string[] = [];
  let inString = false;
  /** In front of the latest comma, or behind the latest bracket, everything can be closed. */
  let safe = { at: start + PREFIX_BYTES, closers: "" };
  for (let at = start + PREFIX_BYTES; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < SPACE) return false; // JSON escapes those
    if (byte === BACKSLASH && inString && (bytes[at + 1] ?? 0) >= SPACE) at++;
    else if (byte === QUOTE) inString = !inString;
    else if (inString) continue;
    else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) {
      closers.push(byte === OPENING_BRACE ? "}" : "]");
      safe = { at: at + 1, closers: closers.toReversed().join("") };
    } else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) {
      closers.pop();
      if (closers.length === 0) return false;
      safe = { at: at + 1, closers: closers.toReversed().join("") };
    } else if (byte === COMMA) safe = { at, closers: closers.toReversed().join("") };
  }
  if (!ITEM_BEGINNING.test(bytes.toString("latin1", safe.at, end))) return false;
  if (safe.closers === "") return true; // not even the first brace
  try {
    JSON.parse(bytes.toString("utf8", start + PREFIX_BYTES, safe.at) + safe.closers);
    return true;
  } catch {
    return false;
  }
}

function isHex(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (!HEX_DIGITS.includes(bytes[at] as number)) return false;
  return true;
}

function malformed(reason: string): LogLine {
  return { kind: "malformed", reason };
}

function unreadable(bytes: Buffer, start: number, end: number, reason: string): LogLine {
  return { kind: "unreadable", reason, zeros: bytes.subarray(start, end).includes(0) };
}

function headerLine(value: StoredObject): LogLine {
  const { segment, firstRevision, after, stage, store, chunk } = value;
  if (!hasOnly(value, chunk === undefined ? 5 : 6) || !isCount(segment) || !isCount(firstRevision))
    return malformed("malformed header");
  if (!isCount(after) || after >= firstRevision) return malformed("malformed header");
  if (!isName(stage) || !isName(store)) return malformed("malformed header");
  if (chunk !== undefined && !isCount(chunk)) return malformed("malformed header");
  const header = { segment, firstRevision, after, stage, store };
  return { kind: "header", header: chunk === undefined ? header : { ...header, chunk } };
}

function sealLine(value: StoredObject): LogLine {
  for (const name of Object.keys(value))
    if (!SEAL_MEMBERS.has(name) || !isCount(value[name])) return malformed("malformed seal");
  return { kind: "seal", seal: value as unknown as LogSeal }; // it has `seal`, and all its members are counts
}

function recordLine(value: StoredObject): LogLine {
  const { w, n, g, t, o, ops, transcripts } = value;
  for (const name of Object.keys(value)) if (!RECORD_MEMBERS.has(name)) return malformed("malformed record");
  if (!isName(w) || !isCount(n) || !isCount(g) || !isCount(t)) return malformed("malformed record");
  if (!Array.isArray(ops) || (ops.length === 0 && transcripts === undefined)) {
    return malformed("a record without ops");
  }
  for (const op of ops as readonly StoredValue[]) {
    const flaw = flawOfOp(op);
    if (flaw !== undefined) return malformed(flaw);
  }
  const checked = ops as readonly LogOp[];
  if (checked.length > 1 && new Set(checked.map((op) => op.k)).size < checked.length) {
    return malformed("a key occurs twice");
  }
  const record: LogRecord = { w, n, g, t, ops: checked };
  if (o === undefined && transcripts === undefined) return { kind: "record", record };
  if (o !== undefined && !isOperation(o)) return malformed("malformed operation");
  const changes = transcripts === undefined ? undefined : transcriptOps(transcripts, checked);
  if (typeof changes === "string") return malformed(changes);
  return {
    kind: "record",
    record: { ...record, ...(o !== undefined && { o }), ...(changes && { transcripts: changes }) },
  };
}

const RECORD_MEMBERS: ReadonlySet<string> = new Set(["w", "n", "g", "t", "o", "ops", "transcripts"]);

function isOperation(value: StoredValue): value is [string, string] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [id, hash] = value as readonly StoredValue[];
  return isName(id) && typeof hash === "string" && /^[0-9a-f]{64}$/.test(hash);
}

/** Each transcript once; of a session that the record deletes, no changes. */
function transcriptOps(value: StoredValue, ops: readonly LogOp[]): readonly TranscriptOp[] | string {
  if (!Array.isArray(value) || value.length === 0) return "a record without transcripts";
  const parsed: TranscriptOp[] = [];
  for (const given of value as readonly StoredValue[]) {
    const op = parseTranscriptOp(given);
    if (typeof op === "string") return op;
    if (parsed.some(({ k, l }) => k === op.k && l === op.l)) return "a transcript occurs twice";
    if (changesTranscript(op) && ops.some(({ k, d }) => k === op.k && d !== undefined))
      return "a change of a transcript of a deleted session";
    parsed.push(op);
  }
  return parsed;
}

/** What is wrong with one op, or undefined for a good one. */
function flawOfOp(op: StoredValue): string | undefined {
  if (!isStoredObject(op)) return "an op is not an object";
  let kinds = 0;
  let keyed = false;
  let based = false;
  for (const name of Object.keys(op)) {
    const value = op[name] as StoredValue;
    switch (name) {
      case "k":
        if (!isName(value) || !isWellFormed(value)) return "malformed key";
        keyed = true;
        break;
      case "b":
        if (!isCount(value)) return "malformed base";
        based = true;
        break;
      case "s":
      case "p":
        if (!isStoredObject(value)) return "an entry that is not an object";
        if (!isWithinDepth(value)) return "an entry that nests too deep";
        kinds++;
        break;
      case "u":
        if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
          return "malformed names";
        break;
      case "d":
        if (value !== 1) return "malformed delete";
        kinds++;
        break;
      default:
        return "an op with an unknown member";
    }
  }
  if (!keyed) return "an op without key";
  if (kinds > 1) return "an op of several kinds";
  const patch = Object.hasOwn(op, "p");
  if (patch !== Object.hasOwn(op, "u") && !patch) return "names to remove outside a patch";
  // A patch of nothing (base 0) would make an entry out of fields, so it is no patch.
  if (patch && op["b"] === 0) return "a patch of a session that must not exist";
  if (!based && (patch || kinds === 0)) return "a patch or check without base";
  return undefined;
}

function hasOnly(value: StoredObject, members: number): boolean {
  return Object.keys(value).length === members;
}

function isName(value: StoredValue | undefined): value is string {
  return typeof value === "string" && value !== "";
}
