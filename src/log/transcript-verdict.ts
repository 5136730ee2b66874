/**
 * What becomes of the changes of transcripts in a record: the part of the verdict that gives each item its number and its place.
 *
 * As pure as `verdict.ts`, and of one segment only: a transcript that the segment has not mentioned yet is as the op's head says.
 * The place of an item is a chunk file and an offset in it, so that any process, at any time, writes the same bytes there.
 *
 *   Rule 7  The first op on a transcript in a segment carries its head (`h`). Any later one names the change that its writer has
 *           read last (`b`): if that should be in this segment and is not, the bytes there are a gap, as in rule 4.
 *   Rule 8  What an op demands must hold (`e` cut, `v` last, `c` length), and a recut needs a transcript. Else the record is void.
 *   Rule 9  An item whose id the segment has appended to the transcript before is left out, and the record stands. The others get
 *           the next numbers; where the last chunk is full, a new one begins. A trim counts only together with something that is
 *           written: an item or a recut.
 *   Rule 10 After a delete of its session there is no transcript.
 */
import { chunkHeaderBytes, itemLineBytes, type ChunkHeader } from "../format/transcript-lines.js";
import { lengthOf, type ChunkId, type TranscriptHead } from "../format/transcript-head.js";
import { changesTranscript, type LogItem, type Recut, type TranscriptOp } from "../format/transcript-op.js";
import type { LogRecord } from "../format/log-line.js";
import type { LedgerTranscript, SegmentLedger } from "./segment-ledger.js";

/** A chunk that begins with a commit. */
export interface BornChunk extends ChunkId {
  readonly header: ChunkHeader;
  readonly headerBytes: number;
  /** What of an old chunk it begins with, if anything. */
  readonly recut: Recut | undefined;
}

/** An item and its place. */
export interface PlacedItem {
  readonly seq: number;
  readonly position: number;
  readonly gone: number;
  readonly item: LogItem;
  /** Which of the op's items it is. */
  readonly index: number;
  readonly chunk: ChunkId;
  /** Offset of its line. */
  readonly at: number;
  /** Bytes of its line. */
  readonly bytes: number;
}

/** What a committed op has done. */
export interface TranscriptEffect {
  readonly op: TranscriptOp;
  readonly before: TranscriptHead | undefined;
  /** Undefined: there is no such transcript any more. */
  readonly after: TranscriptHead | undefined;
  /** A recut one first. */
  readonly chunks: readonly BornChunk[];
  readonly items: readonly PlacedItem[];
  /** Which of the op's items were left out. */
  readonly skipped: readonly number[];
}

/** What the segment says of a transcript; undefined if it has not mentioned it. */
export function inLedger(
  { transcripts, cleared }: SegmentLedger,
  key: string,
  name: string,
): Readonly<LedgerTranscript> | undefined {
  const known = transcripts.get(key)?.get(name);
  if (known !== undefined) return known;
  const deleted = cleared.get(key);
  return deleted === undefined ? undefined : { head: undefined, revision: deleted, ids: new Map() };
}

/** Rules 7 and 8: why an op fails, or undefined. */
export function transcriptRefusal(ledger: SegmentLedger, op: TranscriptOp): string | undefined {
  const known = inLedger(ledger, op.k, op.l);
  if (known === undefined && op.h === undefined) return "the first op on a transcript without its head";
  const head = headOf(known, op);
  const { e, v, c, x } = op;
  if (e !== undefined && e !== (head?.cut ?? 0)) return "the transcript was cut meanwhile";
  if (v !== undefined && v !== (head?.last ?? 0)) return "the transcript has grown meanwhile";
  if (c !== undefined && c !== (head === undefined ? 0 : lengthOf(head)))
    return "the transcript has another length";
  if (x === undefined) return undefined;
  if (head === undefined) return "a recut of no transcript";
  if (x.of !== head.born) return "a recut of a chunk that is not the last one any more";
  if (x.keep > head.last || x.before + x.n > head.total || x.first > head.last + 1)
    return "a recut behind the end";
  return undefined;
}

function headOf(
  known: Readonly<LedgerTranscript> | undefined,
  { h }: TranscriptOp,
): TranscriptHead | undefined {
  if (known !== undefined) return known.head;
  return h === "none" ? undefined : h;
}

/** Enters the changes of a record that passed every rule. */
export function commitTranscripts(
  ledger: SegmentLedger,
  { transcripts, t }: LogRecord,
  revision: number,
): TranscriptEffect[] | undefined {
  return transcripts?.map((op) => commitOp(ledger, op, revision, t));
}

/** Rule 10. */
export function clearTranscripts(ledger: SegmentLedger, key: string, revision: number): void {
  ledger.cleared.set(key, revision);
  ledger.transcripts.delete(key);
}

function commitOp(ledger: SegmentLedger, op: TranscriptOp, revision: number, time: number): TranscriptEffect {
  const entry = enter(ledger, op);
  const before = entry.head;
  if (!changesTranscript(op)) return { op, before, after: before, chunks: [], items: [], skipped: [] };
  const { accepted, skipped } = sift(entry, op);
  const left = op.r === undefined && op.x === undefined && accepted.length === 0;
  if (left) return { op, before, after: before, chunks: [], items: [], skipped };
  entry.revision = revision;
  if (op.r !== undefined) {
    entry.head = undefined;
    entry.ids.clear();
  }
  const placing = new Placing(op, entry.head, revision, time, accepted.length, ledger.chunkBytes);
  if (op.x !== undefined) {
    placing.recut(op.x);
    for (const [id, { seq }] of entry.ids) if (seq > op.x.keep) entry.ids.delete(id);
  }
  for (const index of accepted) {
    const { seq, position, item } = placing.append(index);
    if (item.id !== undefined) entry.ids.set(item.id, { seq, position });
  }
  entry.head = placing.head;
  return { op, before, after: placing.head, chunks: placing.chunks, items: placing.items, skipped };
}

/** The ledger's entry of a transcript, made from the op's head if this is the first one. */
function enter(ledger: SegmentLedger, op: TranscriptOp): LedgerTranscript {
  let ofKey = ledger.transcripts.get(op.k);
  if (ofKey === undefined) ledger.transcripts.set(op.k, (ofKey = new Map<string, LedgerTranscript>()));
  let entry = ofKey.get(op.l);
  if (entry === undefined) {
    const known = inLedger(ledger, op.k, op.l);
    entry = { head: headOf(known, op), revision: known?.revision ?? 0, ids: new Map() };
    ofKey.set(op.l, entry);
  }
  return entry;
}

/** Rule 9: which items count. An id that is cut off by the same op is free again. */
function sift(
  { ids, head }: LedgerTranscript,
  { a = [], x, r }: TranscriptOp,
): { accepted: number[]; skipped: number[] } {
  const accepted: number[] = [];
  const skipped: number[] = [];
  const fresh = new Set<string>();
  for (const [index, { id }] of a.entries()) {
    const found = id === undefined || r !== undefined ? undefined : ids.get(id);
    const kept = found !== undefined && found.seq <= (x?.keep ?? found.seq);
    const known = kept && found.position > (head?.gone ?? 0);
    if (id !== undefined && (known || fresh.has(id))) skipped.push(index);
    else accepted.push(index);
    if (id !== undefined) fresh.add(id);
  }
  return { accepted, skipped };
}

/** Gives items their numbers and places. */
class Placing {
  readonly chunks: BornChunk[] = [];
  readonly items: PlacedItem[] = [];
  /** Positions up to this one were trimmed away before. */
  readonly #goneBefore: number;
  /** Positions up to this one are trimmed away when the op is through. */
  readonly #gone: number;

  constructor(
    private readonly op: TranscriptOp,
    public head: TranscriptHead | undefined,
    private readonly revision: number,
    private readonly time: number,
    /** How many items will be appended. */
    count: number,
    private readonly chunkBytes: number,
  ) {
    const { x, g = 0, m } = op;
    const gone = head?.gone ?? 0;
    this.#goneBefore = gone;
    const kept = x === undefined ? (head?.total ?? 0) : Math.max(gone, x.before + x.n);
    const total = kept + count;
    const trimmed = m === undefined ? g : Math.max(0, total - m);
    this.#gone = count === 0 && x === undefined ? gone : Math.max(gone, Math.min(trimmed, total));
    if (head !== undefined) this.head = { ...head, gone: this.#gone };
  }

  recut(recut: Recut): void {
    const { head } = this;
    if (head === undefined) return; // rule 8 does not let it come here
    const { before, n, first, body } = recut;
    // What was trimmed before stays so. What this op trims may reach into the items that it appends.
    const total = Math.max(before + n, this.#goneBefore);
    // A recut that leaves all items only takes trimmed ones out of the last file.
    const cut = total < head.total ? this.revision : head.cut;
    this.head = { ...head, cut, total };
    const size = this.#begin(first, before, recut);
    this.head = { ...this.head, first, born: this.revision, size: size + body };
  }

  append(index: number): PlacedItem {
    const item = this.op.a?.[index] as LogItem;
    const { revision, time } = this;
    this.head ??= newHead(revision, this.#gone);
    if (this.head.size === 0 || this.head.size >= this.chunkBytes) {
      const first = this.head.last + 1;
      const size = this.#begin(first, this.head.total, undefined);
      this.head = { ...this.head, first, born: revision, size };
    }
    const { first, born, size } = this.head;
    const seq = this.head.last + 1;
    const position = this.head.total + 1;
    const gone = this.#gone;
    const bytes = itemLineBytes({ seq, revision, time, position, gone, id: item.id }, item);
    const placed = { seq, position, gone, item, index, chunk: { first, born }, at: size, bytes };
    this.items.push(placed);
    this.head = { ...this.head, last: seq, total: position, size: size + bytes };
    return placed;
  }

  /** @returns Bytes of the new chunk's header line. */
  #begin(first: number, before: number, recut: Recut | undefined): number {
    const { since = 0, cut = 0, last = 0 } = this.head ?? {};
    const header = { first, since, cut, last, before, gone: this.#gone };
    const headerBytes = chunkHeaderBytes(this.op.k, this.op.l, header);
    this.chunks.push({ first, born: this.revision, header, headerBytes, recut });
    return headerBytes;
  }
}

/** A size of 0: its first chunk is still to be begun. */
function newHead(revision: number, gone: number): TranscriptHead {
  return { since: revision, cut: revision, gone, last: 0, total: 0, first: 1, born: revision, size: 0 };
}
