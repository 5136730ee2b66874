/**
 * The head of a transcript: all that has to be known of it to give an item its number and its place, and all that a segment
 * of the log needs so that it can be understood by itself.
 */
import { isCount, type StoredValue } from "./stored-value.js";

export interface TranscriptHead {
  /** Revision of the commit that made the transcript. */
  readonly since: number;
  /** Revision of the commit that cut items off its end last; `since` if none has. */
  readonly cut: number;
  /** Positions up to this one were trimmed away. */
  readonly gone: number;
  /** The highest sequence number ever used. */
  readonly last: number;
  /** Position of the newest item: it counts what was trimmed, and not what was truncated. */
  readonly total: number;
  /** The last chunk: no item in it has a lower sequence number. */
  readonly first: number;
  /** Revision of the commit that began the last chunk. */
  readonly born: number;
  /** Bytes of the last chunk, its header line included. */
  readonly size: number;
}

/** Which chunk file a line is in. */
export interface ChunkId {
  readonly first: number;
  readonly born: number;
}

export function isSameChunk(a: ChunkId, b: ChunkId): boolean {
  return a.first === b.first && a.born === b.born;
}

/** Items that are there. */
export function lengthOf({ total, gone }: Pick<TranscriptHead, "total" | "gone">): number {
  return total - gone;
}

const FIELDS = ["since", "cut", "gone", "last", "total", "first", "born", "size"] as const;

/** As it stands in a record: numbers only, in the order of the fields. */
export function composeHead(head: TranscriptHead | undefined): string {
  if (head === undefined) return "0";
  return `[${FIELDS.map((name) => head[name]).join(",")}]`;
}

/** @returns Undefined for anything but a head; `"none"` for what says that there is no transcript. */
export function parseHead(value: StoredValue | undefined): TranscriptHead | "none" | undefined {
  if (value === 0) return "none";
  if (!Array.isArray(value) || value.length !== FIELDS.length || !value.every(isCount)) return undefined;
  const [since, cut, gone, last, total, first, born, size] = value as Eight;
  if (gone > total || total > last || since > cut || first > last + 1) return undefined;
  return { since, cut, gone, last, total, first, born, size };
}

type Eight = [number, number, number, number, number, number, number, number];
