/**
 * Which lines of transcripts this process has brought to their places itself: it has written them there, or compared what is there.
 *
 * A lazy flush need not look at them again. A checkpoint does (T5), for a file can be damaged, a write can be lost, and another program
 * can write. But it need not compose each line once more for that: their checksum tells whether they are still there.
 *
 * A file whose sync failed is another matter: the system calls it clean then, shows what was lost to whoever reads, and never writes it
 * again. Its lines are to be written anew, whatever is there.
 *
 * Memory: a few numbers for each chunk that the live log appends to. A cut forgets all, for it changes places.
 */
import type { ChunkRange } from "../../../entries/chunk-writer.js";
import type { ChunkId } from "../../../format/transcript-head.js";
import type { HotTranscript } from "./hot-transcript.js";

interface Written {
  readonly cuts: number;
  /** The highest number up to which all lines are written. */
  last: number;
  /** Lines that follow each other, by the name of their chunk. */
  readonly chunks: Map<string, { readonly first: number; readonly range: ChunkRange }>;
}

export class WrittenLines {
  readonly #written = new WeakMap<HotTranscript, Written>();
  readonly #unsynced = new WeakMap<HotTranscript, Set<string>>();

  /** Number of the item up to which all lines are in their places; 0: none is. */
  lastOf(hot: HotTranscript): number {
    return this.#of(hot, hot.cuts)?.last ?? 0;
  }

  /** Lines of one chunk. */
  rangeOf(hot: HotTranscript, id: ChunkId): ChunkRange | undefined {
    return this.#of(hot, hot.cuts)?.chunks.get(nameOfChunk(id))?.range;
  }

  /** @param cuts As of which the lines were composed: behind a cut since, it says nothing. */
  enter(hot: HotTranscript, cuts: number, id: ChunkId, range: ChunkRange): void {
    this.#of(hot, cuts)?.chunks.set(nameOfChunk(id), { first: id.first, range });
  }

  /** All lines up to a number are in their places. */
  complete(hot: HotTranscript, cuts: number, last: number): void {
    const written = this.#of(hot, cuts);
    if (written === undefined) return;
    written.last = last;
    const oldest = hot.items[0]?.chunk.first ?? Number.POSITIVE_INFINITY;
    for (const [name, { first }] of written.chunks) if (first < oldest) written.chunks.delete(name);
  }

  /** Whether the last sync of a chunk failed. */
  isUnsynced(hot: HotTranscript, id: ChunkId): boolean {
    return this.#unsynced.get(hot)?.has(nameOfChunk(id)) ?? false;
  }

  /** @throws What the sync throws. */
  async synced(hot: HotTranscript, id: ChunkId, sync: Promise<void>): Promise<void> {
    const unsynced = this.#unsynced.get(hot) ?? new Set<string>();
    this.#unsynced.set(hot, unsynced.add(nameOfChunk(id)));
    await sync;
    unsynced.delete(nameOfChunk(id));
  }

  #of(hot: HotTranscript, cuts: number): Written | undefined {
    if (hot.cuts !== cuts) return undefined;
    let written = this.#written.get(hot);
    if (written?.cuts !== cuts) this.#written.set(hot, (written = { cuts, last: 0, chunks: new Map() }));
    return written;
  }
}

export function nameOfChunk({ first, born }: ChunkId): string {
  return `${first}-${born}`;
}
