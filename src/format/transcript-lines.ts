/**
 * A transcript as files that people read with tail, cat and jq: chunks of whole lines.
 *
 *     {"$items":{"key":"agent:main:main","transcript":"main","first":1,"since":17,"cut":17,"last":0,"before":0,"crc":"1a2b3c4d"}}
 *     {"$item":{"seq":1,"revision":17,"time":1795231551994,"id":"u-1","crc":"…"},"role":"user","text":"hi"}
 *     {"$item":{"seq":2,"revision":17,"time":1795231551994,"crc":"…"},"$value":"an item that is no object"}
 *
 * Every process writes the same bytes for the same item: a line follows from the commit alone, and so does its length, so that its
 * place can be told before it is written. `crc` is the CRC-32 of the line without its newline, the eight digits themselves as
 * `00000000`. Nothing here throws on bad bytes.
 */
import { CRC_DIGITS, crc32Number, readHex, writeHex } from "./crc32.js";
import { jsonOfString } from "./json-text.js";
import type { TranscriptHead } from "./transcript-head.js";

/** A chunk that has this many bytes or more is full: the next item begins another one. A constant of the format. */
export const CHUNK_BYTES = 4 * 1024 * 1024;

/** What a chunk's first line says, besides whose it is. */
export interface ChunkHeader extends Pick<TranscriptHead, "since" | "cut" | "gone"> {
  /** No item in the chunk has a lower sequence number. */
  readonly first: number;
  /** The highest sequence number ever used when the chunk was begun. */
  readonly last: number;
  /** Position of the item in front of the chunk's first one. */
  readonly before: number;
}

/** An item's line, apart from the item. */
export interface ItemHeader {
  readonly seq: number;
  readonly revision: number;
  readonly time: number;
  /** Where it stands, counted from the transcript's beginning; written where that is not `seq`. */
  readonly position: number;
  /** Positions up to this one were trimmed away; written where there are such. */
  readonly gone: number;
  readonly id: string | undefined;
}

export interface ItemLine extends ItemHeader {
  /** Any JSON value. */
  readonly item: unknown;
  /** The line itself, without its newline. */
  readonly raw: Buffer;
}

const ZERO_CRC = "0".repeat(CRC_DIGITS);

/** The chunk's first line with its newline. */
export function composeChunkHeader(key: string, transcript: string, header: ChunkHeader): Buffer {
  const { first, since, cut, last, before, gone } = header;
  const trimmed = gone > 0 ? `,"gone":${gone}` : "";
  const head =
    `{"$items":{"key":${jsonOfString(key)},"transcript":${jsonOfString(transcript)},"first":${first},"since":${since},` +
    `"cut":${cut},"last":${last},"before":${before}${trimmed},"crc":"`;
  return sealed(head, `"}}`);
}

export function chunkHeaderBytes(key: string, transcript: string, header: ChunkHeader): number {
  return composeChunkHeader(key, transcript, header).length;
}

/**
 * An item's line with its newline.
 * @param json What JSON.stringify makes of the item.
 */
export function composeItemLine(header: ItemHeader, json: string): Buffer {
  return sealed(composeItemHeader(header), `"}${composeValue(json)}`);
}

/**
 * Writes the same into a buffer that has room for it: many lines in one buffer cost half of what they cost in one each.
 * @returns Offset behind it.
 */
export function writeItemLine(into: Buffer, at: number, header: ItemHeader, json: string): number {
  return writeSealed(into, at, composeItemHeader(header), `"}${composeValue(json)}`);
}

/** Bytes of {@link composeItemLine}, for an item whose JSON has so many. */
export function itemLineBytes(
  header: ItemHeader,
  json: { readonly bytes: number; readonly inline: boolean },
): number {
  const head = Buffer.byteLength(composeItemHeader(header)) + CRC_DIGITS;
  // `"},` for the brace of an object with members, `"}` in front of an empty one's brace; `"},"$value":` and `}` around others.
  const rest = json.inline ? (json.bytes > 2 ? json.bytes + 2 : 3) : json.bytes + VALUE_BYTES;
  return head + rest + 1;
}

const VALUE_BYTES = `"},"$value":}`.length;

/**
 * Whether an item's members stand in the line beside `$item`: an object none of whose names begins with `$`.
 * @param json What JSON.stringify makes of the item.
 */
export function isInline(json: string): boolean {
  if (!json.startsWith("{")) return false;
  // A name of the outermost level is what matters; a dollar behind a quote anywhere is rare enough to look closely.
  if (!json.includes(`"$`)) return true;
  return !Object.keys(JSON.parse(json) as object).some((name) => name.startsWith("$"));
}

function composeItemHeader({ seq, revision, time, position, gone, id }: ItemHeader): string {
  let head = `{"$item":{"seq":${seq},"revision":${revision},"time":${time}`;
  if (position !== seq) head += `,"position":${position}`;
  if (gone > 0) head += `,"gone":${gone}`;
  if (id !== undefined) head += `,"id":${jsonOfString(id)}`;
  return `${head},"crc":"`;
}

function composeValue(json: string): string {
  if (!isInline(json)) return `,"$value":${json}}`;
  return json === "{}" ? "}" : `,${json.slice(1)}`;
}

function sealed(head: string, rest: string): Buffer {
  const bytes = Buffer.allocUnsafe(Buffer.byteLength(head) + CRC_DIGITS + Buffer.byteLength(rest) + 1);
  writeSealed(bytes, 0, head, rest);
  return bytes;
}

function writeSealed(into: Buffer, at: number, head: string, rest: string): number {
  const end = at + into.write(`${head}${ZERO_CRC}${rest}\n`, at);
  writeHex(into, crc32Number(into.subarray(at, end - 1)), at + Buffer.byteLength(head));
  return end;
}

/** Whose chunk it is, and what its first line says; undefined if that is damaged. @param line Without its newline. */
export function parseChunkHeader(
  line: Buffer,
): { readonly key: string; readonly transcript: string; readonly header: ChunkHeader } | undefined {
  const members = membersOf(line);
  if (members === undefined) return undefined;
  const { key, transcript, first, since, cut, last, before, gone = 0 } = members;
  if (typeof key !== "string" || typeof transcript !== "string") return undefined;
  const header = { first, since, cut, last, before, gone } as ChunkHeader;
  const canonical = composeChunkHeader(key, transcript, header);
  return canonical.compare(line, 0, line.length, 0, canonical.length - 1) === 0
    ? { key, transcript, header }
    : undefined;
}

/**
 * An item and what its line says about it; undefined if the line is damaged.
 * @param line Without its newline. Two places of it hold something else meanwhile: nobody else may look at it.
 */
export function parseItemLine(line: Buffer): ItemLine | undefined {
  // One expression over the header: reading a transcript is parsing its lines, and two more JSON.parse and slices double that.
  const header =
    ITEM_HEADER.exec(line.toString("latin1", 0, HEADER_BYTES)) ?? ITEM_HEADER.exec(line.toString("latin1"));
  if (header === null) return undefined;
  const end = header[0].length;
  if (!isIntact(line, end - CRC_DIGITS - HEADER_END.length)) return undefined;
  const [, seq, revision, time, position = seq, gone = 0, id] = header;
  try {
    return {
      seq: Number(seq),
      revision: Number(revision),
      time: Number(time),
      position: Number(position),
      gone: Number(gone),
      id: id === undefined || PLAIN.test(id) ? id : idOf(id),
      item: JSON.parse(itemText(line, end)) as unknown,
      raw: line,
    };
  } catch {
    return undefined;
  }
}

/** The item's JSON, behind a header that ends there. */
function itemText(line: Buffer, end: number): string {
  const members = end + 1;
  if (line.length === members) return "{}";
  if (line[members + 1] === DOLLAR && line.toString("latin1", end, end + VALUE.length) === VALUE)
    return line.toString("utf8", end + VALUE.length, line.length - 1);
  // Its brace stands in front of the header: for a moment it is where the comma is, for a text that is put together is copied.
  const comma = line[end] as number;
  line[end] = BRACE;
  const text = line.toString("utf8", end);
  line[end] = comma;
  return text;
}

/** An id as the line has it, each byte one character. */
function idOf(bytes: string): string {
  return JSON.parse(`"${Buffer.from(bytes, "latin1").toString()}"`) as string;
}

/** Number and position of an item as the beginning of its line tells, whatever the rest is; undefined if it tells neither. */
export function peekItemLine(
  beginning: Buffer,
): { readonly seq: number; readonly position: number } | undefined {
  const [, seq, position] = PEEK.exec(beginning.toString("latin1", 0, PEEK_BYTES)) ?? [];
  if (seq === undefined) return undefined;
  return { seq: Number(seq), position: Number(position ?? seq) };
}

/** Bytes of a line that {@link peekItemLine} looks at. */
export const PEEK_BYTES = 160;
const PEEK =
  /^\{"\$item":\{"seq":(\d{1,16}),"revision":\d{1,16},"time":\d{1,16}(?:,"position":(\d{1,16}))?[,}]/;

/** Bytes of most items' headers. */
const HEADER_BYTES = 256;
/** Without an escape, and without a character of several bytes. */
const PLAIN = /^[\x20-\x5b\x5d-\x7f]*$/;
const ZERO = 0x30;
const DOLLAR = 0x24;
const BRACE = 0x7b;
const ITEMS = `{"$items":{`;
const VALUE = `,"$value":`;
/** Ends the members of a header; no string has it, for a quote in one is escaped. */
const CRC = `,"crc":"`;
const HEADER_END = `"}`;
const ITEM_HEADER =
  /^\{"\$item":\{"seq":(\d{1,16}),"revision":(\d{1,16}),"time":(\d{1,16})(?:,"position":(\d{1,16}))?(?:,"gone":(\d{1,16}))?(?:,"id":"((?:[^"\\]|\\.)*)")?,"crc":"[0-9a-f]{8}"\}/;

/** The members of a chunk's header, if the checksum is right. */
function membersOf(line: Buffer): Readonly<Record<string, unknown>> | undefined {
  const digits = line.indexOf(CRC) + CRC.length;
  if (digits < CRC.length || !isIntact(line, digits)) return undefined;
  const text = line.toString("utf8", 0, digits - CRC.length);
  if (!text.startsWith(ITEMS)) return undefined;
  try {
    return JSON.parse(`{${text.slice(ITEMS.length)}}`) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/**
 * Whether a line has the checksum that it says, which is that of the line with zeros for its digits: they are there for a moment,
 * for one call over all of it takes half the time of three over its parts.
 * @param digits Where its digits are.
 */
function isIntact(line: Buffer, digits: number): boolean {
  const said = readHex(line, digits);
  if (said < 0) return false;
  for (let at = digits; at < digits + CRC_DIGITS; at++) line[at] = ZERO;
  const found = crc32Number(line);
  writeHex(line, said, digits);
  return found === said;
}
