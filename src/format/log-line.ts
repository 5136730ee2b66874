/**
 * One line of the commit log: `<crc32 as 8 hex digits> <JSON>\n`, the checksum over the JSON's bytes.
 *
 * Whether a line counts must be a pure function of its bytes, and the same one in every process, so nothing here
 * depends on an option. What is not exactly as described, down to an unknown member, is malformed: a reader that
 * guessed would decide differently from one that does not. A line with a NUL byte is a hole that a power cut left,
 * whatever else is wrong with it.
 *
 * Parsing never throws, and no line, however deep or long, makes it run out of stack.
 */
import { isUtf8 } from "node:buffer";
import { CRC_DIGITS, crc32Number, readHex, writeHex } from "./crc32.js";
import { jsonOfString } from "./json-text.js";
import { LINE_BYTES_MAX } from "./limits.js";
import { isWellFormed } from "./session-key.js";
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
  /** Revision that its first commit takes. */
  readonly firstRevision: number;
  /** Name of its staging folder. */
  readonly stage: string;
  /** Id of the store that it belongs to. */
  readonly store: string;
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
  readonly ops: readonly LogOp[];
}

/** Last line of a segment. */
export interface LogSeal {
  /** Number of the segment that follows. */
  readonly seal: number;
  /** First revision that the next segment should have at least. */
  readonly firstRevision?: number;
}

export type LogLine =
  | { readonly kind: "header"; readonly header: LogHeader }
  | { readonly kind: "record"; readonly record: LogRecord }
  | { readonly kind: "seal"; readonly seal: LogSeal }
  | { readonly kind: "hole" }
  | { readonly kind: "malformed"; readonly reason: string };

/** Bytes in front of the JSON: the checksum and a space. */
const PREFIX_BYTES = CRC_DIGITS + 1;
const SPACE = 0x20;

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
  const { w, n, g, t, ops } = record;
  let json = `{"w":${jsonOfString(w)},"n":${n},"g":${g},"t":${t},"ops":[`;
  for (let index = 0; index < ops.length; index++) {
    const op = ops[index];
    if (op !== undefined) json += (index === 0 ? "" : ",") + composeOp(op);
  }
  return `${json}]}`;
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

/** Parses `bytes[start, end)`, a line without its newline. Never throws. */
export function parseLogLine(bytes: Buffer, start: number, end: number): LogLine {
  const line = parseText(bytes, start, end);
  // No good line has a NUL byte: JSON allows none, and a checksum has none.
  if (line.kind === "malformed" && bytes.subarray(start, end).includes(0)) return { kind: "hole" };
  return line;
}

function parseText(bytes: Buffer, start: number, end: number): LogLine {
  if (end - start > LINE_BYTES_MAX) return malformed("longer than a line may be");
  if (end - start <= PREFIX_BYTES || bytes[start + CRC_DIGITS] !== SPACE) return malformed("no checksum");
  const json = bytes.subarray(start + PREFIX_BYTES, end);
  if (crc32Number(json) !== readHex(bytes, start)) return malformed("the checksum does not match");
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

function malformed(reason: string): LogLine {
  return { kind: "malformed", reason };
}

function headerLine(value: StoredObject): LogLine {
  const { segment, firstRevision, stage, store } = value;
  if (!hasOnly(value, 4) || !isCount(segment) || !isCount(firstRevision))
    return malformed("malformed header");
  if (!isName(stage) || !isName(store)) return malformed("malformed header");
  return { kind: "header", header: { segment, firstRevision, stage, store } };
}

function sealLine(value: StoredObject): LogLine {
  const { seal, firstRevision } = value;
  if (!isCount(seal)) return malformed("malformed seal");
  if (!Object.hasOwn(value, "firstRevision")) {
    return hasOnly(value, 1) ? { kind: "seal", seal: { seal } } : malformed("malformed seal");
  }
  if (!hasOnly(value, 2) || !isCount(firstRevision)) return malformed("malformed seal");
  return { kind: "seal", seal: { seal, firstRevision } };
}

function recordLine(value: StoredObject): LogLine {
  const { w, n, g, t, ops } = value;
  if (!hasOnly(value, 5) || !isName(w) || !isCount(n) || !isCount(g) || !isCount(t)) {
    return malformed("malformed record");
  }
  if (!Array.isArray(ops) || ops.length === 0) return malformed("a record without ops");
  for (const op of ops as readonly StoredValue[]) {
    const flaw = flawOfOp(op);
    if (flaw !== undefined) return malformed(flaw);
  }
  const checked = ops as readonly LogOp[];
  if (checked.length > 1 && new Set(checked.map((op) => op.k)).size < checked.length) {
    return malformed("a key occurs twice");
  }
  return { kind: "record", record: { w, n, g, t, ops: checked } };
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
