/**
 * A change of one transcript, as a record of the log has it.
 *
 *     {"k":"agent:main:main","l":"main","h":0,"a":[{"v":{"role":"user"},"i":"u-1"}]}
 *
 * Conditions first (`e`, `v`, `c`), then, in this order: `r`, `x`, `a`, `g` or `m`. An op with none of these is a check.
 * As with every line of the log, what is not exactly as described is malformed.
 */
import { jsonOfString } from "./json-text.js";
import { ID_BYTES_MAX, TRANSCRIPT_NAME_MAX } from "./limits.js";
import { isWellFormed } from "./session-key.js";
import {
  isCount,
  isStoredObject,
  isWithinDepth,
  type StoredObject,
  type StoredValue,
} from "./stored-value.js";
import { composeHead, parseHead, type TranscriptHead } from "./transcript-head.js";
import { isInline } from "./transcript-lines.js";

export interface TranscriptOp {
  /** Key of the session. */
  readonly k: string;
  /** Name of the transcript. */
  readonly l: string;
  /**
   * The latest change of the transcript in this segment that the writer has read. No condition: but if it is not there, bytes of the
   * log are lost. Left out by a writer that has read none.
   */
  readonly b?: number;
  /** The head at the beginning of this segment, or that there was none; of a writer that has read no change of it in the segment. */
  readonly h?: TranscriptHead | "none";
  /** `cut` that the transcript must have; 0: there must be none. */
  readonly e?: number;
  /** `last` that it must have. */
  readonly v?: number;
  /** Length that it must have. */
  readonly c?: number;
  /** It is gone, with all its items. */
  readonly r?: 1;
  /** Its last chunk begins anew, or ends earlier. */
  readonly x?: Recut;
  /** Items that are appended. */
  readonly a?: readonly LogItem[];
  /** Items up to this position are trimmed away. */
  readonly g?: number;
  /** All but so many of the newest items are trimmed away. */
  readonly m?: number;
}

/** The transcript ends behind the item `keep`, and its last chunk is a new file that begins with what is left of an old one. */
export interface Recut {
  /** Revision that began the last chunk, from which the rest was computed. */
  readonly of: number;
  readonly keep: number;
  /** No item of the new chunk has a lower sequence number. */
  readonly first: number;
  /** Position of the item in front of the new chunk. */
  readonly before: number;
  /** Items that the new chunk begins with; `first` is the number of the first of them, `keep` of the last. */
  readonly n: number;
  /** Bytes of their lines. */
  readonly body: number;
}

export interface LogItem {
  /** What JSON.stringify makes of the item. */
  readonly json: string;
  /** Bytes of that. */
  readonly bytes: number;
  /** See {@link isInline}. */
  readonly inline: boolean;
  readonly id: string | undefined;
}

export function logItem(json: string, id: string | undefined): LogItem {
  return { json, bytes: Buffer.byteLength(json), inline: isInline(json), id };
}

/** Whether the op changes anything, as far as can be told from it alone. */
export function changesTranscript({ r, x, a, g, m }: TranscriptOp): boolean {
  return r !== undefined || x !== undefined || a !== undefined || g !== undefined || m !== undefined;
}

export function composeTranscriptOp(op: TranscriptOp): string {
  const { k, l, b, h, e, v, c, r, x, a, g, m } = op;
  let json = `{"k":${jsonOfString(k)},"l":${jsonOfString(l)}`;
  if (b !== undefined) json += `,"b":${b}`;
  if (h !== undefined) json += `,"h":${composeHead(h === "none" ? undefined : h)}`;
  if (e !== undefined) json += `,"e":${e}`;
  if (v !== undefined) json += `,"v":${v}`;
  if (c !== undefined) json += `,"c":${c}`;
  if (r !== undefined) json += `,"r":1`;
  if (x !== undefined) json += `,"x":[${x.of},${x.keep},${x.first},${x.before},${x.n},${x.body}]`;
  if (a !== undefined) json += `,"a":[${a.map(composeLogItem).join(",")}]`;
  if (g !== undefined) json += `,"g":${g}`;
  if (m !== undefined) json += `,"m":${m}`;
  return `${json}}`;
}

function composeLogItem({ json, id }: LogItem): string {
  return id === undefined ? `{"v":${json}}` : `{"i":${jsonOfString(id)},"v":${json}}`;
}

/** @returns What is wrong with it, for a malformed one. */
export function parseTranscriptOp(value: StoredValue): TranscriptOp | string {
  if (!isStoredObject(value)) return "an op is not an object";
  for (const name of Object.keys(value)) if (!MEMBERS.has(name)) return "an op with an unknown member";
  const { k, l, h, r, x, a } = value;
  if (!isName(k)) return "malformed key";
  if (!isName(l) || l.length > TRANSCRIPT_NAME_MAX) return "malformed name of a transcript";
  for (const name of COUNTS)
    if (Object.hasOwn(value, name) && !isCount(value[name])) return "malformed number";
  const head = parseHead(h);
  if (h !== undefined && head === undefined) return "malformed head";
  if ((h === undefined) === (value["b"] === undefined)) return "an op with both or neither of head and base";
  if (r !== undefined && r !== 1) return "malformed removal";
  const recut = parseRecut(x);
  if (x !== undefined && recut === undefined) return "malformed recut";
  if (recut !== undefined && (r !== undefined || value["e"] === undefined))
    return "a recut of what is unknown";
  if (value["g"] !== undefined && (value["e"] === undefined || value["m"] !== undefined))
    return "malformed trim";
  const items = a === undefined ? undefined : parseItems(a);
  if (typeof items === "string") return items;
  const counts = value as Pick<TranscriptOp, "b" | "e" | "v" | "c" | "g" | "m">;
  const op: { -readonly [Name in keyof TranscriptOp]: TranscriptOp[Name] } = { k, l };
  for (const name of COUNTS) if (counts[name] !== undefined) op[name] = counts[name];
  if (head !== undefined) op.h = head;
  if (r !== undefined) op.r = 1;
  if (recut !== undefined) op.x = recut;
  if (items !== undefined) op.a = items;
  return op;
}

const MEMBERS: ReadonlySet<string> = new Set(["k", "l", "b", "h", "e", "v", "c", "r", "x", "a", "g", "m"]);
const COUNTS = ["b", "e", "v", "c", "g", "m"] as const;

function parseRecut(value: StoredValue | undefined): Recut | undefined {
  if (!Array.isArray(value) || value.length !== 6 || !value.every(isCount)) return undefined;
  const [of, keep, first, before, n, body] = value as unknown as Six;
  return (n === 0) === (body === 0) ? { of, keep, first, before, n, body } : undefined;
}

type Six = [number, number, number, number, number, number];

function parseItems(value: StoredValue): readonly LogItem[] | string {
  if (!Array.isArray(value) || value.length === 0) return "no items to append";
  const items: LogItem[] = [];
  for (const given of value as readonly StoredValue[]) {
    if (!isStoredObject(given) || !Object.hasOwn(given, "v")) return "malformed item";
    const { i, v } = given as StoredObject & { readonly v: StoredValue };
    if (Object.keys(given).length !== (i === undefined ? 1 : 2)) return "malformed item";
    if (i !== undefined && (!isName(i) || Buffer.byteLength(i) > ID_BYTES_MAX)) return "malformed item id";
    if (!isWithinDepth(v)) return "an item that nests too deep";
    items.push(logItem(JSON.stringify(v), i));
  }
  return items;
}

function isName(value: StoredValue | undefined): value is string {
  return typeof value === "string" && value !== "" && isWellFormed(value);
}
