/**
 * Turns what a caller wants of a transcript into an op of the log, as of the position that was read (T10): a truncation or a trim
 * says in bytes what is left of the last chunk, and names the cut that it was computed from.
 */
import { isTranscriptDamaged } from "../../../errors.js";
import type { TranscriptHead } from "../../../format/transcript-head.js";
import { logItem, type LogItem, type Recut, type TranscriptOp } from "../../../format/transcript-op.js";
import { inLedger } from "../../../log/transcript-verdict.js";
import type { Segment } from "../../../log/segment.js";
import { isAsDemanded, type TranscriptOp as EngineTranscriptOp } from "../../contract.js";
import { KnownIds } from "./known-ids.js";
import { engineTranscript, type TranscriptReader, type TranscriptState } from "./transcript-reader.js";

/** A last chunk of this part of a full one, of which half is trimmed away, begins anew with the next trim. */
const COMPACTED_MIN = 1 / 8;

export interface ComposedTranscript {
  readonly op: TranscriptOp;
  /** Which of the caller's items the op has; the others were left out, for the transcript has their ids. */
  readonly given: readonly number[];
  readonly skipped: readonly number[];
  /** The op does something. */
  readonly changes: boolean;
}

export class TranscriptComposer {
  readonly #ids: KnownIds;

  constructor(private readonly reader: TranscriptReader) {
    this.#ids = new KnownIds(reader);
  }

  /** Which of these ids there are, and which number the item of each has. */
  itemIds(key: string, name: string, ids: readonly string[]): ReadonlyMap<string, number> {
    return this.reader.at(key, name, (state) => {
      const known = this.#ids.of(key, name, state);
      const gone = state.head?.gone ?? 0;
      const found = new Map<string, number>();
      for (const id of ids) {
        const item = known.get(id);
        if (item !== undefined && item.position > gone) found.set(id, item.seq);
      }
      return found;
    });
  }

  /** @returns Undefined if the transcript is not as the op demands. */
  compose(
    given: EngineTranscriptOp,
    state: TranscriptState,
    segment: Segment,
  ): ComposedTranscript | undefined {
    const { key, transcript: name, ifLast, ifLength, ifCut } = given;
    const { head } = state;
    if (!isAsDemanded(given, head && engineTranscript(head))) return undefined;
    const known = inLedger(segment.ledger, key, name);
    const op: Draft = {
      k: key,
      l: name,
      ...(known === undefined ? { h: head ?? "none" } : { b: known.revision }),
      ...(ifCut !== undefined && { e: ifCut }),
      ...(ifLast !== undefined && { v: ifLast }),
      ...(ifLength !== undefined && { c: ifLength }),
    };
    if (given.remove === true && head !== undefined) op.r = 1;
    const left = given.remove === true ? undefined : head;
    if (left !== undefined && given.truncate !== undefined)
      this.#truncate(op, key, name, state, left, given.truncate);
    const { items, indexes, skipped } = this.#sift(given, state, op);
    if (items.length > 0) op.a = items;
    this.#trim(op, key, name, state, left, given.trim, segment.ledger.chunkBytes);
    const changes = op.r !== undefined || op.x !== undefined || op.a !== undefined;
    return { op, given: indexes, skipped, changes };
  }

  /** Leaves out what the transcript has already. */
  #sift(
    { key, transcript: name, items = [], remove }: EngineTranscriptOp,
    state: TranscriptState,
    { x }: Draft,
  ): { readonly items: LogItem[]; readonly indexes: number[]; readonly skipped: number[] } {
    const kept: LogItem[] = [];
    const indexes: number[] = [];
    const skipped: number[] = [];
    const some = items.some(({ id }) => id !== undefined) && remove !== true;
    const known = some ? this.#ids.of(key, name, state) : undefined;
    const gone = state.head?.gone ?? 0;
    const fresh = new Set<string>();
    for (const [index, { json, id }] of items.entries()) {
      const found = id === undefined ? undefined : known?.get(id);
      const isThere = found !== undefined && found.seq <= (x?.keep ?? found.seq) && found.position > gone;
      if (id !== undefined && (fresh.has(id) || isThere)) {
        skipped.push(index);
        continue;
      }
      if (id !== undefined) fresh.add(id);
      indexes.push(index);
      kept.push(logItem(json, id));
    }
    return { items: kept, indexes, skipped };
  }

  #truncate(
    op: Draft,
    key: string,
    name: string,
    state: TranscriptState,
    head: TranscriptHead,
    keep: NonNullable<EngineTranscriptOp["truncate"]>,
  ): void {
    const position =
      "length" in keep ? head.gone + keep.length : this.reader.positionUpTo(key, name, state, keep.afterSeq);
    if (position >= head.total) return;
    op.e = head.cut;
    op.x =
      position <= head.gone
        ? { of: head.born, keep: 0, first: head.last + 1, before: head.gone, n: 0, body: 0 }
        : this.#keepUpTo(key, name, state, head, position);
  }

  #keepUpTo(
    key: string,
    name: string,
    state: TranscriptState,
    head: TranscriptHead,
    position: number,
  ): Recut {
    const { seq, end, chunk } = this.reader.locate(key, name, state, position);
    const next = this.#chunkOf(key, name, state, position + 1);
    // Where a chunk ends there is nothing to be copied.
    const of = head.born;
    if (next !== undefined && next !== chunk.first)
      return { of, keep: seq, first: head.last + 1, before: position, n: 0, body: 0 };
    return {
      of,
      keep: seq,
      first: chunk.first,
      before: chunk.before,
      n: position - chunk.before,
      body: end - chunk.body,
    };
  }

  /** Number that the chunk with a position begins with; undefined if the item there is damaged: what is cut off may be. */
  #chunkOf(key: string, name: string, state: TranscriptState, position: number): number | undefined {
    try {
      return this.reader.locate(key, name, state, position).chunk.first;
    } catch (error) {
      if (isTranscriptDamaged(error)) return undefined;
      throw error;
    }
  }

  #trim(
    op: Draft,
    key: string,
    name: string,
    state: TranscriptState,
    head: TranscriptHead | undefined,
    keep: EngineTranscriptOp["trim"],
    chunkBytes: number,
  ): void {
    if (keep === undefined) return;
    const count = op.a?.length ?? 0;
    if ("length" in keep && count > 0) op.m = keep.length;
    if (head === undefined) return;
    const total = op.x === undefined ? head.total : Math.max(head.gone, op.x.before + op.x.n);
    const wanted =
      "length" in keep
        ? total + count - keep.length
        : this.reader.positionUpTo(key, name, state, keep.beforeSeq - 1);
    const gone = Math.min(total, Math.max(head.gone, wanted));
    const alone = count === 0 && op.x === undefined;
    if (gone <= head.gone && op.m === undefined) return;
    if (op.m === undefined) {
      op.e = head.cut;
      op.g = gone;
    }
    if (
      op.x !== undefined ||
      (!alone &&
        (head.size < chunkBytes * COMPACTED_MIN ||
          !isMostlyGone(head, gone, this.reader.lastChunk(key, name, state))))
    )
      return;
    op.e = head.cut;
    op.v = head.last;
    op.x = this.#withoutGone(key, name, state, head, gone);
  }

  /** The last chunk begins anew behind what is trimmed; or an empty one begins, if it is not in that one. */
  #withoutGone(key: string, name: string, state: TranscriptState, head: TranscriptHead, gone: number): Recut {
    const { last, total, born: of } = head;
    const { before } = this.reader.lastChunk(key, name, state);
    if (gone < before || gone >= total)
      return { of, keep: last, first: last + 1, before: total, n: 0, body: 0 };
    const { seq, at } = this.reader.locate(key, name, state, gone + 1);
    return { of, keep: last, first: seq, before: gone, n: total - gone, body: head.size - at };
  }
}

type Draft = { -readonly [Name in keyof TranscriptOp]: TranscriptOp[Name] };

function isMostlyGone(
  { total }: TranscriptHead,
  gone: number,
  { before }: { readonly before: number },
): boolean {
  return gone - before > (total - before) / 2;
}
