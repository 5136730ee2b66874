/**
 * A transcript that the live log mentions: what of it is in files for certain, and what the log has changed since.
 *
 * Its *base* is the transcript as it was when the lowest live segment that mentions it began: the files have that, whoever writes
 * them meanwhile. On top of it come the cuts, chunks and items of the live segments, each with its segment, so that they can be let
 * go of with it. An item keeps its text as long as there is room; the log has it as well.
 *
 * Trimmed items stay here until their segment goes: their lines are written like others, or there would be holes in a file.
 */
import { isSameChunk, type ChunkId, type TranscriptHead } from "../../../format/transcript-head.js";
import type { BornChunk, PlacedItem, TranscriptEffect } from "../../../log/transcript-verdict.js";
import type { LastItem, ReadableChunk } from "./transcript-files.js";

export interface HotItem extends Omit<PlacedItem, "item" | "index"> {
  readonly id: string | undefined;
  readonly revision: number;
  readonly time: number;
  /** Number of the segment whose record appended it, where that record's line begins in it, and which item of which op it is. */
  readonly segment: number;
  readonly offset: number;
  readonly op: number;
  readonly index: number;
  /** What JSON.stringify made of it; undefined: read it from the log. */
  json: string | undefined;
}

export interface HotChunk extends BornChunk {
  readonly segment: number;
}

/** Where the older part of a transcript was cut. */
export interface Cut {
  readonly segment: number;
  /** Items in front of it count up to this number, and to this position. */
  readonly keep: number;
  readonly position: number;
  /** Chunk files count that begin below this number. */
  readonly below: number;
}

/** All that a process knows of a transcript from the live log, but the items' texts. */
export interface HotTranscriptState {
  readonly key: string;
  readonly name: string;
  readonly base: TranscriptHead | undefined;
  readonly head: TranscriptHead | undefined;
  readonly revision: number;
  readonly items: readonly HotItem[];
  readonly chunks: readonly HotChunk[];
  readonly cuts: readonly Cut[];
  readonly ends: readonly { readonly segment: number; readonly head: TranscriptHead | undefined }[];
}

export class HotTranscript {
  /** Undefined: there was none when the log that is live began to mention it. */
  base: TranscriptHead | undefined;
  head: TranscriptHead | undefined;
  /** Of its latest change. */
  revision = 0;
  /** What the live log appended and did not cut off again, in order. */
  readonly items: HotItem[] = [];
  /** What the live log began and did not replace again. */
  #chunks: HotChunk[] = [];
  #cuts: Cut[] = [];
  /** The head at the end of each segment that mentions it, lowest first. */
  #ends: { readonly segment: number; head: TranscriptHead | undefined }[] = [];
  /** Counts what changes the places of items that are there: cuts of any kind, and that it was let go of. */
  cuts = 0;
  #letGo = false;
  /** Live segments of which this process does not know any more what became of their items. */
  readonly #lost = new Set<number>();

  constructor(
    readonly key: string,
    readonly name: string,
  ) {}

  /** As another process has known it. */
  static from({
    key,
    name,
    base,
    head,
    revision,
    items,
    chunks,
    cuts,
    ends,
  }: HotTranscriptState): HotTranscript {
    const hot = new HotTranscript(key, name);
    hot.base = base;
    hot.head = head;
    hot.revision = revision;
    for (const item of items) hot.items.push(item);
    hot.#chunks = [...chunks];
    hot.#cuts = [...cuts];
    hot.#ends = ends.map((end) => ({ ...end }));
    return hot;
  }

  /** What is known of it now; undefined: of some of it, this process does not know what became of it. */
  get state(): HotTranscriptState | undefined {
    if (this.#lost.size > 0) return undefined;
    const { key, name, base, head, revision } = this;
    const [items, chunks, cuts] = [[...this.items], [...this.#chunks], [...this.#cuts]];
    return {
      key,
      name,
      base,
      head,
      revision,
      items,
      chunks,
      cuts,
      ends: this.#ends.map((end) => ({ ...end })),
    };
  }

  get chunks(): readonly HotChunk[] {
    return this.#chunks;
  }

  /** Enters what a record did. */
  change(segment: number, revision: number, effect: TranscriptEffect, items: readonly HotItem[]): void {
    const { op, before, after, chunks } = effect;
    if (this.#ends.length === 0) this.base = before;
    else if (!isSame(before, this.head)) this.#beginAnew(before);
    this.revision = revision;
    if (op.r !== undefined) this.#cutAll(segment);
    for (const chunk of chunks) {
      if (chunk.recut !== undefined) this.#recut(segment, chunk);
      else this.#chunks.push({ ...chunk, segment });
    }
    for (const item of items) this.items.push(item);
    this.head = after;
    this.#end(segment);
  }

  /** Its session was deleted. */
  clear(segment: number, revision: number): void {
    this.revision = revision;
    this.#cutAll(segment);
    this.head = undefined;
    this.#end(segment);
  }

  /** A segment is in the files now. @returns Whether no live segment mentions the transcript any more. */
  release(segment: number): boolean {
    const [lowest] = this.#ends;
    this.#lost.delete(segment);
    if (lowest?.segment !== segment) return this.#ends.length === 0;
    this.#ends.shift();
    this.base = lowest.head;
    this.#cuts = this.#cuts.filter((cut) => cut.segment > segment);
    this.#chunks = this.#chunks.filter((chunk) => chunk.segment > segment);
    let gone = 0;
    while (gone < this.items.length && (this.items[gone] as HotItem).segment <= segment) gone++;
    this.items.splice(0, gone);
    return this.#ends.length === 0;
  }

  /** This process does not follow it any more: its lines are in files, and what was cut off since is not known here. */
  letGo(): void {
    this.cuts++;
    this.#letGo = true;
  }

  get isLetGo(): boolean {
    return this.#letGo;
  }

  mentionedIn(segment: number): boolean {
    return this.#ends.some((end) => end.segment === segment) || this.#lost.has(segment);
  }

  /** Whether this process cannot write what a segment says of it, for it has not read all that came behind. */
  isLostIn(segment: number): boolean {
    return this.#lost.has(segment);
  }

  /** The last item that is in files as it was at the base; undefined: there is none. */
  get lastInFiles(): LastItem | undefined {
    if (this.base === undefined) return undefined;
    let last: LastItem = { seq: this.base.last, position: this.base.total, atEnd: true };
    for (const { keep, position } of this.#cuts)
      if (keep < last.seq) last = { seq: keep, position, atEnd: position === last.position };
    // Behind trimmed items the position of nothing is not 0.
    return last.seq === 0 ? undefined : last;
  }

  /** Of the chunks that there are, those that have items up to {@link lastInFiles}. */
  readable(there: readonly ChunkId[], revision: number): ReadableChunk[] {
    const { base } = this;
    if (base === undefined) return [];
    const readable: ReadableChunk[] = [];
    for (const { first, born } of there) {
      if (born > revision) continue; // of a commit that this process has not read
      const chunk = this.#chunks.find((known) => isSameChunk(known, { first, born }));
      if (first === base.first && born === base.born) readable.push({ first, born, end: base.size });
      else if (born <= base.born) readable.push({ first, born });
      else if (chunk?.recut !== undefined)
        readable.push({
          first,
          born,
          end: chunk.headerBytes + chunk.recut.body,
          // It took over items that the log appended, too.
          further: chunk.recut.before + chunk.recut.n > (this.lastInFiles?.position ?? 0),
        });
      else if (chunk === undefined) readable.push({ first, born, ragged: true });
    }
    return readable;
  }

  /** Whether a chunk file is one of the transcript's, as far as this process has read: what is younger it cannot judge. */
  isLive(id: ChunkId): boolean {
    if (this.#chunks.some((chunk) => isSameChunk(chunk, id))) return true;
    if (this.base === undefined || id.born > this.base.born) return false;
    return this.#cuts.every(({ below }) => id.first < below);
  }

  /** Whether every item of a chunk is trimmed away, for the one behind it begins no later: its file may be gone. */
  isTrimmed({ first }: ChunkId): boolean {
    const next = this.#chunks.find((chunk) => chunk.first > first);
    return next !== undefined && next.header.before <= (this.head?.gone ?? 0);
  }

  /**
   * What this process knows is not what the op was computed from: between the two there is a segment that this process could not
   * read whole. The op's head says what the files will have.
   */
  #beginAnew(base: TranscriptHead | undefined): void {
    this.cuts++;
    for (const { segment } of this.#ends) this.#lost.add(segment);
    this.base = base;
    this.#cuts = [];
    this.#chunks = [];
    this.#ends = [];
    this.items.length = 0;
  }

  #cutAll(segment: number): void {
    this.cuts++;
    this.#cuts.push({ segment, keep: 0, position: 0, below: 0 });
    this.#chunks = [];
    this.items.length = 0;
  }

  #recut(segment: number, chunk: BornChunk): void {
    this.cuts++;
    const { keep, first, before, n, body } = chunk.recut as NonNullable<BornChunk["recut"]>;
    while ((this.items.at(-1)?.seq ?? 0) > keep) this.items.pop();
    const gone = before <= chunk.header.gone;
    const below = gone ? 0 : n > 0 ? first : keep + 1;
    this.#cuts.push({ segment, keep, position: before + n, below });
    this.#chunks = this.#chunks.filter((other) => other.first < below);
    this.#chunks.push({ ...chunk, segment });
    let end = chunk.headerBytes + body;
    for (let index = this.items.length - 1; index >= 0; index--) {
      const item = this.items[index] as HotItem;
      if (item.position <= before) break;
      end -= item.bytes;
      this.items[index] = { ...item, chunk: { first: chunk.first, born: chunk.born }, at: end };
    }
  }

  #end(segment: number): void {
    const last = this.#ends.at(-1);
    if (last?.segment === segment) last.head = this.head;
    else this.#ends.push({ segment, head: this.head });
  }
}

function isSame(a: TranscriptHead | undefined, b: TranscriptHead | undefined): boolean {
  return a?.cut === b?.cut && a?.last === b?.last && a?.total === b?.total && a?.size === b?.size;
}
