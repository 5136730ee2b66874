/**
 * `meta.json`: one session as a file that people read with cat, grep and jq.
 *
 *     {"$session":{"key":"agent:main:main","revision":18231,"modifiedAt":1795200000000,"crc":"1a2b3c4d"},
 *     "sessionId":"…",
 *     "updatedAt":1795200000000
 *     }
 *
 * The entry's stored form, one top-level field a line, behind a reserved field that says whose it is. `crc` is
 * the CRC-32 of the whole file with the eight digits themselves as `00000000`.
 *
 * Invariants:
 *  - A document is canonical: composing what was parsed gives the same bytes, and a file of any other form is
 *    damaged, even if its checksum holds. So a file with a name twice, or one edited by hand, is noticed, and the
 *    pair (revision, crc) names the content in every process.
 *  - Parsing never throws and never recurses into the input deeper than stored forms may be.
 */
import { isUtf8 } from "node:buffer";
import { CRC_DIGITS, crc32Hex, crc32Number } from "./crc32.js";
import { jsonFault } from "./json-fault.js";
import { jsonOfString, jsonOfValue } from "./json-text.js";
import { isWellFormed } from "./session-key.js";
import {
  isCount,
  isStoredObject,
  isWithinDepth,
  type StoredObject,
  type StoredValue,
} from "./stored-value.js";

export interface EntryState {
  readonly key: string;
  /** The commit that made this state. */
  readonly revision: number;
  /** When that was: milliseconds since 1970. */
  readonly modifiedAt: number;
  /** The entry's stored form. */
  readonly stored: StoredObject;
}

export interface EntryDocument {
  readonly bytes: Buffer;
  /** Eight lower-case hex digits. */
  readonly crc: string;
}

export type ParsedEntryDocument =
  | ({ readonly ok: true; readonly crc: string } & EntryState)
  | {
      readonly ok: false;
      /** What is wrong, as a clause: "the checksum does not match". */
      readonly reason: string;
      /** Byte at which it shows; 0 when it shows nowhere in particular. */
      readonly offset: number;
    };

/** First field of every document. */
export const SESSION_FIELD = "$session";
const ZERO_CRC = "0".repeat(CRC_DIGITS);
const NEWLINE = 0x0a;
const COMMA = 0x2c;

/** The file's bytes. */
export function composeEntryDocument(state: EntryState): EntryDocument {
  const header = composeHeader(state);
  const bytes = Buffer.from(`${header}${ZERO_CRC}${composeRest(state.stored)}`);
  const crc = crc32Hex(bytes);
  bytes.write(crc, Buffer.byteLength(header), "latin1");
  return { bytes, crc };
}

/** Everything up to the checksum's digits. */
function composeHeader({ key, revision, modifiedAt }: Omit<EntryState, "stored">): string {
  return `{"${SESSION_FIELD}":{"key":${jsonOfString(key)},"revision":${revision},"modifiedAt":${modifiedAt},"crc":"`;
}

/** Everything behind the checksum's digits. */
function composeRest(stored: StoredObject): string {
  let text = `"}`;
  for (const name of Object.keys(stored)) {
    text += `,\n${jsonOfString(name)}:${jsonOfValue(stored[name] as StoredValue)}`;
  }
  return `${text}\n}\n`;
}

/** Reads a file's bytes back. Never throws, whatever they are. */
export function parseEntryDocument(bytes: Buffer): ParsedEntryDocument {
  const digits = crcPosition(bytes);
  if (digits === undefined) return diagnose(bytes);
  const crc = bytes.toString("latin1", digits, digits + CRC_DIGITS);
  const head = crc32Number(bytes.subarray(0, digits));
  const found = crc32Hex(bytes.subarray(digits + CRC_DIGITS), crc32Number(ZERO_CRC, head));
  if (found !== crc || !isUtf8(bytes)) return diagnose(bytes);
  const text = bytes.toString();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return diagnose(bytes);
  }
  const state = stateOf(value as StoredValue);
  if (typeof state === "string") return damage(state, 0);
  if (`${composeHeader(state)}${crc}${composeRest(state.stored)}` !== text) {
    return damage("it is not in the form that the store writes, perhaps edited by hand", 0);
  }
  return { ok: true, crc, ...state };
}

/** `{"$session":{"key":"…","revision":18231,` with any key: backslashes escape the quotes in it. */
const HEADER = /^\{"\$session":\{"key":"(?:[^"\\]|\\.)*","revision":(\d{1,16}),/;
/** A key has at most this many bytes as JSON: 1024, six for each. */
const HEADER_BYTES_MAX = 8 * 1024;

/** The revision that the beginning of a damaged file tells, if it tells one. Says nothing about the rest. */
export function revisionInHeader(bytes: Buffer): number | undefined {
  const [, digits] = HEADER.exec(bytes.toString("utf8", 0, HEADER_BYTES_MAX)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** Whether the bytes are the beginning of a file that was cut short before there was anything of the entry in it. */
export function endsWithinHeader(bytes: Buffer): boolean {
  const beginning = Buffer.from(`{"${SESSION_FIELD}":{"key":"`);
  const length = Math.min(bytes.length, beginning.length);
  return !bytes.includes(NEWLINE) && bytes.compare(beginning, 0, length, 0, length) === 0;
}

/** The digits end the first line: `…"crc":"1a2b3c4d"}`, with a comma when fields follow. */
function crcPosition(bytes: Buffer): number | undefined {
  const lineEnd = bytes.indexOf(NEWLINE);
  if (lineEnd < 1) return undefined;
  const headerEnd = bytes[lineEnd - 1] === COMMA ? lineEnd - 1 : lineEnd;
  const digits = headerEnd - `"}`.length - CRC_DIGITS;
  return digits > 0 ? digits : undefined;
}

/** Splits a parsed file into its state, or says what is wrong with its shape. */
function stateOf(value: StoredValue): EntryState | string {
  if (!isStoredObject(value)) return "it is not a JSON object";
  if (!isWithinDepth(value)) return "it nests too deep";
  // Rest copies own fields only, `__proto__` included, and leaves them in their order.
  const { [SESSION_FIELD]: session, ...stored } = value;
  if (!Object.hasOwn(value, SESSION_FIELD) || !isStoredObject(session)) return `it has no "${SESSION_FIELD}"`;
  const { key, revision, modifiedAt } = session;
  if (typeof key !== "string" || key === "" || !isWellFormed(key)) return `"${SESSION_FIELD}" has no key`;
  if (!isCount(revision) || !isCount(modifiedAt)) return `"${SESSION_FIELD}" has no revision or time`;
  return { key, revision, modifiedAt, stored };
}

function damage(reason: string, offset: number): ParsedEntryDocument {
  return { ok: false, reason, offset };
}

/** Says as exactly as it can what is wrong with bytes that are known to be damaged. */
function diagnose(bytes: Buffer): ParsedEntryDocument {
  if (bytes.length === 0) return damage("it is empty", 0);
  const nul = bytes.indexOf(0);
  if (nul >= 0) return damage("it has NUL bytes, as a power cut leaves them", nul);
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return damage("it starts with a byte order mark, which some editor added", 0);
  }
  if (!isUtf8(bytes)) return damage("it is not UTF-8", validUtf8Bytes(bytes));
  const text = bytes.toString();
  const fault = jsonFault(text);
  if (fault === text.length) return damage("it ends in the middle", bytes.length);
  if (fault !== undefined) return damage("it is not JSON", Buffer.byteLength(text.slice(0, fault)));
  return damage("its checksum does not match", 0);
}

/** Length of the longest valid prefix, found by halving: nothing says where the decoder stumbled. */
function validUtf8Bytes(bytes: Buffer): number {
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (startsUtf8(bytes.subarray(0, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whether the bytes are UTF-8 or a cut-off beginning of some. */
function startsUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
