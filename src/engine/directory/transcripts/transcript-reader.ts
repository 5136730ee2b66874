/**
 * Reads transcripts: heads, names and items, each answer as of one instant.
 *
 * The order is that of sessions: the log, then memory, then files, then **the log again**, for a commit may have moved between the
 * first look and the files (T8), and this process may have let go of a segment meanwhile (T9). What is in files is read for the
 * items that were there when the live log began to mention the transcript, and nothing behind that (T7). A file that is missing was
 * perhaps cut off by a commit that this process has not read yet (T4).
 */
import { isTranscriptDamaged, SessionStoreError } from "../../../errors.js";
import { keyFromFolderName } from "../../../format/session-key.js";
import type { ItemLine } from "../../../format/transcript-lines.js";
import { lengthOf, type ChunkId, type TranscriptHead } from "../../../format/transcript-head.js";
import { ChunkFile } from "../../../entries/chunk-file.js";
import type { EngineItem, EngineItemQuery, EnginePage, EngineTranscript } from "../../contract.js";
import type { SessionLog } from "../session-log.js";
import type { HotItem, HotTranscript } from "./hot-transcript.js";
import type { ItemRecords } from "./item-records.js";
import {
  chunksIn,
  Incomplete,
  TranscriptFiles,
  type LastItem,
  type LocatedItem,
  type ReadableChunk,
} from "./transcript-files.js";

/** Each look that fails is another process's progress. */
const LOOKS_MAX = 100;
/** A page of big items is short: about this many bytes of their lines. */
const PAGE_BYTES_MAX = 8 * 1024 * 1024;
/** Heads of transcripts that are in their files. */
const COLD_HEADS_MAX = 20_000;

/** A transcript as of the position that was read. */
export interface TranscriptState {
  readonly head: TranscriptHead | undefined;
  /** Undefined: the live log does not mention it. */
  readonly hot: HotTranscript | undefined;
  /** The latest commit that the files or the log tell of; 0 for none. */
  readonly revision: number;
}

export class TranscriptReader {
  /** Right until the log mentions the transcript. */
  readonly #cold = new Map<string, TranscriptState>();
  constructor(
    private readonly log: SessionLog,
    private readonly records: ItemRecords,
  ) {
    log.listen({
      rewound: () => this.#cold.clear(),
      foundGap: () => this.#cold.clear(),
      wasCut: () => this.#cold.clear(),
      changed: ({ key, stored }) => void (stored === undefined && this.#forget(key, undefined)),
      transcriptChanged: ({ op }) => this.#forget(op.k, [op.l]),
    });
  }

  /**
   * A transcript as of the end of the log.
   * @throws `transcript_damaged`, `session_damaged`
   */
  state(key: string, name: string): TranscriptState {
    return this.at(key, name, (state) => state);
  }

  /** An answer that follows from a transcript as of the end of the log. */
  at<R>(key: string, name: string, answer: (state: TranscriptState) => R): R {
    return this.#look(() => answer(this.known(key, name) ?? this.#coldState(key, name)), key, name);
  }

  /** What was read of files may be outdated, though the log does not say so. */
  forgetFiles(): void {
    this.#cold.clear();
  }

  /** The same for who removes it: of one whose end cannot be read, what the name of its last file says. */
  removable(key: string, name: string): TranscriptState {
    try {
      return this.state(key, name);
    } catch (error) {
      const last = this.#files(key, name).chunks().at(-1);
      if (!isTranscriptDamaged(error) || last === undefined) throw error;
      const { first, born } = last;
      const nothing = { gone: 0, total: 0, size: 0 };
      const head = { since: born, cut: born, last: first - 1, first, born, ...nothing };
      return { head, hot: undefined, revision: born };
    }
  }

  /**
   * What memory knows of it as of what was read; undefined: nothing.
   * @throws `session_damaged` when a change of it is behind bytes that cannot be read, and its files do not tell of that.
   */
  known(key: string, name: string): TranscriptState | undefined {
    const inMemory = this.#inMemory(key, name);
    const { doubts } = this.log;
    if (!doubts.isTranscriptInDoubt(key, name)) return inMemory;
    const behind = doubts.transcriptBehind(key, name);
    if (behind === undefined && inMemory === undefined) return undefined;
    const files = this.#files(key, name);
    const inFiles = files.wholeHead();
    const revision = inFiles?.revision ?? 0;
    const tellOfIt = behind === undefined || (inFiles !== undefined && files.haveAll(behind, inFiles));
    if (tellOfIt && revision > (inMemory?.revision ?? 0))
      return { head: inFiles?.head, hot: undefined, revision };
    if (behind !== undefined) throw doubts.unreadableTranscript(key, behind.revision);
    return inMemory;
  }

  #inMemory(key: string, name: string): TranscriptState | undefined {
    const hot = this.log.transcripts.get(key, name);
    if (hot !== undefined) return { head: hot.head, hot, revision: hot.revision };
    const revision = this.log.transcripts.deletedAt(key);
    return revision > 0 ? { head: undefined, hot, revision } : this.#cold.get(placeOf(key, name));
  }

  transcript(key: string, name: string): EngineTranscript | undefined {
    const { head } = this.state(key, name);
    return head && engineTranscript(head);
  }

  names(key: string): string[] {
    return this.#look(() => {
      const behind = this.log.doubts.transcriptBehind(key, undefined);
      if (behind !== undefined) throw this.log.doubts.unreadableTranscript(key, behind.revision);
      const names = new Set<string>();
      const { transcripts, options } = this.log;
      if (transcripts.deletedAt(key) === 0)
        for (const [encoded, chunks] of chunksIn(options.fs, options.layout, key)) {
          const first = chunks[0];
          const name =
            keyFromFolderName(encoded) ?? (first && this.#nameWithin(key, encoded, first.first, first.born));
          if (name !== undefined) names.add(name);
        }
      for (const hot of transcripts.of(key)) {
        if (hot.head === undefined) names.delete(hot.name);
        else names.add(hot.name);
      }
      return [...names].sort();
    }, key);
  }

  /** Whether a delete of the session may have something to remove: it is the way out for what cannot be read. */
  mayHaveAny(key: string): boolean {
    try {
      return this.names(key).length > 0;
    } catch (error) {
      if (error instanceof SessionStoreError) return true;
      throw error;
    }
  }

  items(key: string, name: string, query: EngineItemQuery): EnginePage {
    const { backwards, limit } = query;
    const from = Math.max(1, query.from ?? 1);
    return this.at(key, name, (state) => {
      const { head } = state;
      if (head === undefined) return { items: [], more: false, transcript: undefined };
      const to = Math.min(query.to ?? head.last, head.last);
      const items: EngineItem[] = [];
      let bytes = 0;
      let more = false;
      const found = backwards
        ? this.#backwards(key, name, state, from, to)
        : this.#forwards(key, name, state, from, to);
      try {
        for (;;) {
          const full = items.length >= limit || bytes > PAGE_BYTES_MAX;
          const next = nextOf(found, full);
          more = next === "unreadable" || (full && next !== undefined);
          if (next === undefined || next === "unreadable" || full) break;
          bytes += next.bytes;
          items.push(next.item);
        }
      } finally {
        found.return(); // closes the file that it reads
      }
      return { items, more, transcript: engineTranscript(head) };
    });
  }

  /** Position of the last item with at most this number, as of a state; `gone` or less if there is none. @throws {@link Incomplete} */
  positionUpTo(key: string, name: string, { head, hot }: Seen, seq: number): number {
    if (hot !== undefined) {
      const index = firstAt(hot.items, seq + 1) - 1;
      if (index >= 0) return (hot.items[index] as HotItem).position;
    }
    const { chunks, last } = this.#inFiles(key, name, { head, hot });
    const gone = head?.gone ?? 0;
    if (last === undefined || last.position <= gone) return gone;
    return this.#files(key, name).positionUpTo(chunks(), seq, last, gone);
  }

  /** Where the item at a position has its place, as of a state. @throws {@link Incomplete} */
  locate(key: string, name: string, { head, hot }: Seen, position: number): LocatedItem {
    const oldest = hot?.items[0];
    if (hot !== undefined && oldest !== undefined && position >= oldest.position) {
      const item = hot.items[position - oldest.position] as HotItem;
      const { seq, at, bytes, chunk } = item;
      const { before, body } = this.#chunk(key, name, hot, chunk);
      return { seq, position, at, end: at + bytes, chunk: { first: chunk.first, before, body } };
    }
    const chunks = this.#inFiles(key, name, { head, hot }).chunks();
    const found = this.#locateInFiles(key, name, chunks, position);
    const taken = hot?.chunks.findLast(
      ({ recut, header }) =>
        recut !== undefined && position > header.before && position <= header.before + recut.n,
    );
    if (taken === undefined) return found;
    // The chunk that took its line over may not be made yet: then it was found in the old one, behind another first line.
    const { first, header, headerBytes } = taken;
    const moved = headerBytes - this.#locateInFiles(key, name, chunks, header.before + 1).at;
    const chunk = { first, before: header.before, body: headerBytes };
    return { ...found, at: found.at + moved, end: found.end + moved, chunk };
  }

  #locateInFiles(key: string, name: string, chunks: readonly ReadableChunk[], position: number): LocatedItem {
    const files = this.#files(key, name);
    const found = files.locate(chunks, position);
    if (found === undefined) throw files.missing();
    return found;
  }

  /** The chunk that the next item goes into, as of a state. @throws {@link Incomplete} */
  lastChunk(key: string, name: string, { head, hot }: Seen): { readonly before: number } {
    const { first, born } = head as TranscriptHead;
    return this.#chunk(key, name, hot, { first, born });
  }

  #chunk(
    key: string,
    name: string,
    hot: HotTranscript | undefined,
    id: ChunkId,
  ): { readonly before: number; readonly body: number } {
    const born = hot?.chunks.find(({ first, born }) => first === id.first && born === id.born);
    if (born !== undefined) return { before: born.header.before, body: born.headerBytes };
    return this.#files(key, name).headerOf(id);
  }

  /** Numbers and ids of the items from a number on, as of a state. @throws {@link Incomplete} */
  *idsFrom(
    key: string,
    name: string,
    { head, hot }: Seen,
    from: number,
  ): Generator<{ readonly seq: number; readonly position: number; readonly id: string | undefined }, void> {
    const { chunks, last } = this.#inFiles(key, name, { head, hot });
    if (last !== undefined && from <= last.seq && last.position > (head?.gone ?? 0))
      yield* this.#files(key, name).forwards(chunks(), from, last, head?.gone ?? 0);
    if (hot !== undefined) yield* hot.items.slice(firstAt(hot.items, from));
  }

  /** Items in order, those in files first. */
  *#forwards(
    key: string,
    name: string,
    { head, hot }: Seen,
    from: number,
    to: number,
  ): Generator<ReadItem, void> {
    const { chunks, last } = this.#inFiles(key, name, { head, hot });
    const gone = head?.gone ?? 0;
    if (last !== undefined && from <= last.seq && last.position > gone) {
      const files = this.#files(key, name);
      for (const line of files.forwards(chunks(), from, last, gone)) {
        if (line.seq > to) return;
        if (line.seq >= from) yield { bytes: line.raw.length, item: itemOf(line) };
        if (line.seq === to) return; // the line behind it may be damaged
      }
    }
    if (hot === undefined) return;
    for (let index = firstAt(hot.items, from); index < hot.items.length; index++) {
      const item = hot.items[index] as HotItem;
      if (item.seq > to) return;
      if (item.position > gone) yield this.#readHot(item);
    }
  }

  *#backwards(
    key: string,
    name: string,
    { head, hot }: Seen,
    from: number,
    to: number,
  ): Generator<ReadItem, void> {
    const { chunks, last } = this.#inFiles(key, name, { head, hot });
    const gone = head?.gone ?? 0;
    if (hot !== undefined) {
      for (let index = firstAt(hot.items, to + 1) - 1; index >= 0; index--) {
        const item = hot.items[index] as HotItem;
        if (item.seq < from || item.position <= gone) return;
        yield this.#readHot(item);
      }
    }
    if (last === undefined || last.position <= gone) return;
    for (const line of this.#files(key, name).backwards(chunks(), to, last, gone)) {
      if (line.seq < from) return;
      yield { bytes: line.raw.length, item: itemOf(line) };
      if (line.seq === from) return; // the line in front of it may be damaged
    }
  }

  #files(key: string, name: string): TranscriptFiles {
    const { fs, layout } = this.log.options;
    return new TranscriptFiles(fs, layout, key, name);
  }

  /** What of a transcript is to be read from files. */
  #inFiles(
    key: string,
    name: string,
    { head, hot }: Seen,
  ): { readonly chunks: () => readonly ReadableChunk[]; readonly last: LastItem | undefined } {
    const files = this.#files(key, name);
    if (hot !== undefined) {
      return { chunks: () => hot.readable(files.chunks(), this.log.revision), last: hot.lastInFiles };
    }
    if (head === undefined || lengthOf(head) === 0) return { chunks: () => [], last: undefined };
    return { chunks: () => files.chunks(), last: { seq: head.last, position: head.total, atEnd: true } };
  }

  /** @throws `transcript_damaged`, {@link Incomplete} */
  #coldState(key: string, name: string): TranscriptState {
    const found = this.#files(key, name).head();
    const state = { head: found?.head, hot: undefined, revision: found?.revision ?? 0 };
    if (this.#cold.size >= COLD_HEADS_MAX)
      for (const oldest of this.#cold.keys()) {
        this.#cold.delete(oldest);
        if (this.#cold.size < COLD_HEADS_MAX) break;
      }
    this.#cold.set(placeOf(key, name), state);
    return state;
  }

  #nameWithin(key: string, encoded: string, first: number, born: number): string | undefined {
    const { fs, layout } = this.log.options;
    const path = `${layout.sessionFolder(key)}/${encoded}.${String(first).padStart(12, "0")}-${born}.jsonl`;
    const chunk = ChunkFile.open(fs, path);
    try {
      return chunk.transcript;
    } finally {
      chunk.close();
    }
  }

  #readHot(item: HotItem): ReadItem {
    const { seq, id, revision, time, bytes } = item;
    const value: unknown = JSON.parse(this.records.jsonOf(item));
    return { bytes, item: { seq, item: value, ...(id !== undefined && { id }), revision, time } };
  }

  #forget(key: string, names: readonly string[] | undefined): void {
    if (this.#cold.size === 0) return;
    if (names !== undefined) for (const name of names) this.#cold.delete(placeOf(key, name));
    else
      for (const known of this.#cold.keys()) if (known.startsWith(placeOf(key, ""))) this.#cold.delete(known);
  }

  /** Looks until nothing was new behind the look. */
  #look<R>(look: () => R, key: string, name?: string): R {
    this.log.catchUp();
    /** What the look before failed with. */
    let before: string | undefined;
    for (let attempt = 0; ; attempt++) {
      const { revision, epoch, transcripts } = this.log;
      const { releases } = transcripts;
      let failure: Error | undefined;
      let answer: R | undefined;
      try {
        answer = look();
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        failure = error;
      }
      const wasHot = transcripts.get(key, name ?? "") !== undefined;
      if (failure === undefined && wasHot) return answer as R;
      this.log.catchUp();
      const same = this.log.epoch === epoch && transcripts.releases === releases;
      if (
        same &&
        (this.log.revision === revision || (failure === undefined && !this.#isMentioned(key, name)))
      ) {
        if (failure === undefined) return answer as R;
        // A checkpoint may have removed a dead file between its listing and its opening, without a word in the log yet.
        if (!(failure instanceof Incomplete) || failure.message === before)
          throw this.#damageOf(failure, key);
      }
      before = failure?.message;
      this.#forget(key, name === undefined ? undefined : [name]);
      if (attempt > LOOKS_MAX) throw failure === undefined ? unstable(key) : this.#damageOf(failure, key);
    }
  }

  /** What it is that nothing new explains. What the files miss, a process that has read more of a damaged log may still write. */
  #damageOf(failure: Error, key: string): Error {
    if (!(failure instanceof Incomplete)) return failure;
    const { doubts } = this.log;
    return doubts.damagedSegment > 0 ? doubts.unreadableTranscript(key) : failure.asDamage();
  }

  #isMentioned(key: string, name: string | undefined): boolean {
    const { transcripts } = this.log;
    if (transcripts.deletedAt(key) > 0) return true;
    if (name !== undefined) return transcripts.get(key, name) !== undefined;
    for (const _hot of transcripts.of(key)) return true;
    return false;
  }
}

type Seen = Pick<TranscriptState, "head" | "hot">;

interface ReadItem {
  /** Bytes of its line. */
  readonly bytes: number;
  readonly item: EngineItem;
}

/** @param full Whether it is only asked whether there is one: damage there is the next page's to tell. */
function nextOf(found: Generator<ReadItem, void>, full: boolean): ReadItem | "unreadable" | undefined {
  try {
    const { value, done } = found.next();
    return done === true ? undefined : value;
  } catch (error) {
    if (full && (error instanceof Incomplete || isTranscriptDamaged(error))) return "unreadable";
    throw error;
  }
}

function itemOf({ seq, item, id, revision, time }: ItemLine): EngineItem {
  return { seq, item, ...(id !== undefined && { id }), revision, time };
}

export function engineTranscript(head: TranscriptHead): EngineTranscript {
  return { last: head.last, length: lengthOf(head), since: head.since, cut: head.cut };
}

/** Index of the first item with at least this number. */
export function firstAt(items: readonly HotItem[], seq: number): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle] as HotItem).seq >= seq) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A key has no NUL only if nobody gave it one: the length in front keeps names apart even so. */
export function placeOf(key: string, name: string): string {
  return `${key.length}:${key}:${name}`;
}

function unstable(key: string): SessionStoreError {
  return new SessionStoreError(
    "io_error",
    `the transcripts of session ${JSON.stringify(key)} change faster than they can be read`,
    {
      data: { key },
    },
  );
}
