/**
 * What the files of one transcript say: which chunks there are, the head, and items by number.
 *
 * Other processes make and remove chunks meanwhile. A chunk that is missing shows: by ENOENT, or because positions do not follow each
 * other from one chunk to the next. Then {@link Incomplete} is thrown, the caller reads the log on, and looks again; if nothing was
 * new, it is damage.
 */
import { errnoOf, isTranscriptDamaged } from "../../../errors.js";
import { ChunkFile, damagedTranscript } from "../../../entries/chunk-file.js";
import { assertFolder } from "../../../fs/regular-file.js";
import type { FileSystem } from "../../../fs/file-system.js";
import { partsOfChunkName, type Layout } from "../../../format/layout.js";
import { folderNameForKey } from "../../../format/session-key.js";
import type { ChunkId, TranscriptHead } from "../../../format/transcript-head.js";
import type { ItemLine } from "../../../format/transcript-lines.js";
import type { MentionedChange } from "../../../log/segment-ledger.js";

const NEWLINE = Buffer.from("\n");

/** The files do not have what they should, perhaps because another process has gone on. */
export class Incomplete extends Error {
  override readonly name = "Incomplete";

  constructor(
    readonly path: string,
    readonly reason: string,
  ) {
    super(`${path}: ${reason}`);
  }

  /** What it is if nothing explains it. */
  asDamage(): Error {
    return damagedTranscript(this.path, 0, this.reason);
  }
}

/** A chunk that may be read. */
export interface ReadableChunk extends ChunkId {
  /** How many of its bytes count; undefined: all. */
  readonly end?: number;
  /** Behind what is looked for there may be torn lines, which only a reading from the beginning does not meet. */
  readonly ragged?: boolean;
  /** Behind the last item that it is read for it has others, which the live log has as well. */
  readonly further?: boolean;
}

/** The last item that the files are to be read for. */
export interface LastItem {
  /** Its number, or a higher one that no item has. */
  readonly seq: number;
  readonly position: number;
  /** Nothing that counts stands behind it in its chunk. */
  readonly atEnd: boolean;
}

/** An item, and where its line is in which chunk. */
export interface LocatedItem {
  readonly seq: number;
  readonly position: number;
  /** Offset of its line, and the one behind that. */
  readonly at: number;
  readonly end: number;
  readonly chunk: {
    readonly first: number;
    /** Position of the item in front of the chunk. */
    readonly before: number;
    /** Offset of the first item's line. */
    readonly body: number;
  };
}

/** Chunk files in a session's folder, by the encoded name of their transcript. */
export function chunksIn(fs: FileSystem, layout: Layout, key: string): Map<string, ChunkId[]> {
  const folder = layout.sessionFolder(key);
  const found = new Map<string, ChunkId[]>();
  let names: string[];
  try {
    assertFolder(fs, folder);
    names = fs.readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return found;
    throw error;
  }
  for (const name of names) {
    const parts = partsOfChunkName(name);
    if (parts === undefined) continue;
    const { transcript, first, born } = parts;
    const chunks = found.get(transcript);
    if (chunks === undefined) found.set(transcript, [{ first, born }]);
    else chunks.push({ first, born });
  }
  for (const chunks of found.values()) chunks.sort((a, b) => a.first - b.first || a.born - b.born);
  return found;
}

export class TranscriptFiles {
  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly key: string,
    private readonly name: string,
  ) {}

  /** In order of their first numbers, the older birth first. */
  chunks(): ChunkId[] {
    return chunksIn(this.fs, this.layout, this.key).get(folderNameForKey(this.name)) ?? [];
  }

  /**
   * The head as the files have it, of a transcript that the live log does not mention, and the revision of the latest commit that
   * they tell of; undefined if there are none.
   * @throws `transcript_damaged`, {@link Incomplete}
   */
  head(): { readonly head: TranscriptHead; readonly revision: number } | undefined {
    const id = this.chunks().at(-1);
    if (id === undefined) return undefined;
    const chunk = this.#open(id);
    try {
      const { header, end } = chunk;
      const item = chunk.last();
      const head = {
        since: header.since,
        cut: header.cut,
        gone: Math.max(header.gone, item?.gone ?? 0),
        last: Math.max(header.last, item?.seq ?? 0),
        total: item?.position ?? header.before,
        first: id.first,
        born: id.born,
        size: end,
      };
      return { head, revision: Math.max(item?.revision ?? 0, id.born) };
    } finally {
      chunk.close();
    }
  }

  /**
   * The same, if no chunk is missing: one that begins with lines of another one is made with a checkpoint only, after those behind it.
   * @returns Undefined, too, where the files are damaged.
   */
  wholeHead(): ReturnType<TranscriptFiles["head"]> {
    try {
      const found = this.head();
      if (found === undefined) return undefined;
      let position: number | undefined;
      for (const id of youngest(this.chunks())) {
        const chunk = this.#open(id);
        try {
          const { before } = chunk.header;
          if (position === undefined ? before > found.head.gone : before !== position) return undefined;
          position = chunk.last()?.position ?? before;
        } finally {
          chunk.close();
        }
      }
      return found;
    } catch (error) {
      if (error instanceof Incomplete || isTranscriptDamaged(error)) return undefined;
      throw error;
    }
  }

  /** Whether they tell of a later commit than a change, or have all that the change appended: it may have been written in part. */
  haveAll({ revision, items }: MentionedChange, inFiles: { readonly revision: number }): boolean {
    if (inFiles.revision !== revision) return inFiles.revision > revision;
    let found = 0;
    for (const _item of this.appendedLast(revision)) if (++found >= items) break;
    return found >= items;
  }

  /** Items at their end that a commit appended, the last one first. */
  *appendedLast(revision: number): Generator<ItemLine, void> {
    for (const id of youngest(this.chunks()).toReversed()) {
      const chunk = this.#open(id);
      try {
        for (const line of chunk.backwards(chunk.end)) {
          const item = chunk.parse(line);
          if (item.revision !== revision) return;
          yield item;
        }
      } finally {
        chunk.close();
      }
    }
  }

  /**
   * Items from a number on, up to the last one. At least that one is there.
   * @param chunks Those that may be read; of several births the youngest is.
   * @param gone Positions up to this one are trimmed away: nothing is said of them.
   */
  *forwards(
    chunks: readonly ReadableChunk[],
    from: number,
    upTo: Pick<LastItem, "position">,
    gone: number,
  ): Generator<ItemLine, void> {
    const readable = youngest(chunks);
    /** Of the item in front of the next chunk, once it is known. */
    let position: number | undefined;
    for (const id of readable.slice(Math.max(0, containing(readable, from)))) {
      const chunk = this.#open(id);
      try {
        const { before } = chunk.header;
        if (position === undefined ? id.first > from && before > gone : before !== position)
          throw new Incomplete(chunk.path, "the file in front of it is missing");
        const start = position === undefined ? find(chunk, id, from) : chunk.body;
        let last = start === chunk.body ? before : undefined;
        for (const line of chunk.forwards(start)) {
          const item = chunk.parse(line);
          // What was asked for from is cut off, and what comes now is what the file took over from the log.
          if (item.position > upTo.position) return;
          // A damaged line may have swallowed the items behind it, which `find` then does not meet. Of trimmed ones nobody asks.
          if (last === undefined && item.seq > from && item.position > gone + 1)
            last = positionInFront(chunk, line.at);
          if (last !== undefined && item.position !== last + 1)
            throw chunk.damage(line.at, "a line is missing there");
          last = item.position;
          if (last > gone) yield item;
          if (last >= upTo.position) return;
        }
        position = last ?? chunk.last()?.position ?? before;
        // Nothing was asked for that is there: numbers behind the last item were used, and cut off.
        if (position >= upTo.position) return;
      } finally {
        chunk.close();
      }
    }
    throw this.missing();
  }

  /** The same backwards, from a number down to the oldest item. */
  *backwards(
    chunks: readonly ReadableChunk[],
    to: number,
    upTo: LastItem,
    gone: number,
  ): Generator<ItemLine, void> {
    const readable = youngest(chunks);
    const last = containing(readable, Math.min(to, upTo.seq));
    const oldest = readable[0];
    if (last < 0 && oldest !== undefined && this.headerOf(oldest).before <= gone) return; // trimmed away, all of it
    /** Of the next item, once it is known. */
    let position = to >= upTo.seq ? upTo.position : undefined;
    for (let index = last; index >= 0; index--) {
      const id = readable[index] as ReadableChunk;
      const chunk = this.#open(id);
      try {
        const endsThere = upTo.atEnd && id.ragged !== true && id.further !== true;
        const whole = index < last || (to >= upTo.seq && endsThere);
        const start = whole ? chunk.end : find(chunk, id, Math.min(to, upTo.seq) + 1);
        if (start === chunk.end) position ??= this.#beforeNext(readable[index + 1], upTo);
        for (const line of chunk.backwards(start)) {
          const item = chunk.parse(line);
          if (position !== undefined && item.position !== position)
            throw new Incomplete(chunk.path, "items behind its lines are missing");
          if (item.position <= gone) return;
          position = item.position - 1;
          yield item;
        }
        if (position !== undefined && position !== chunk.header.before)
          throw new Incomplete(chunk.path, "items behind its lines are missing");
        position = chunk.header.before;
        if (position <= gone) return;
      } finally {
        chunk.close();
      }
    }
    if (position === undefined || position > gone) throw this.missing();
  }

  /**
   * Lines from an item on, for a file that takes them over. One that is damaged goes along as it is: it costs its own item, and keeps
   * neither the others from being copied nor the log from being checkpointed.
   * @param length Of all the lines.
   * @throws `transcript_damaged` where it cannot be told where they begin or end, {@link Incomplete}
   */
  linesFrom(
    chunks: readonly ReadableChunk[],
    from: number,
    upTo: Pick<LastItem, "position">,
    gone: number,
    length: number,
  ): Buffer {
    try {
      return Buffer.concat([...this.forwards(chunks, from, upTo, gone)].flatMap(({ raw }) => [raw, NEWLINE]));
    } catch (error) {
      const lines = isTranscriptDamaged(error) ? this.#bytesFrom(chunks, from, length) : undefined;
      if (lines === undefined) throw error;
      return lines;
    }
  }

  #bytesFrom(chunks: readonly ReadableChunk[], seq: number, length: number): Buffer | undefined {
    const readable = youngest(chunks);
    const id = readable[containing(readable, seq)];
    if (id === undefined) return undefined;
    const chunk = this.#open(id);
    try {
      return chunk.slice(id.first === seq ? chunk.body : find(chunk, id, seq), length);
    } finally {
      chunk.close();
    }
  }

  /** Where the item at a position has its line; undefined if the files do not have it. */
  locate(chunks: readonly ReadableChunk[], position: number): LocatedItem | undefined {
    for (const id of youngest(chunks).toReversed()) {
      const chunk = this.#open(id);
      try {
        const { before } = chunk.header;
        if (before >= position) continue;
        const at = id.ragged === true ? chunk.scan(position, "position") : chunk.find(position, "position");
        for (const line of chunk.forwards(at)) {
          const item = chunk.parse(line);
          const end = at + item.raw.length + 1;
          return item.position === position
            ? { seq: item.seq, position, at, end, chunk: { first: id.first, before, body: chunk.body } }
            : undefined;
        }
        return undefined;
      } finally {
        chunk.close();
      }
    }
    return undefined;
  }

  /** Position of the last item with at most this number; `gone` if there is none. */
  positionUpTo(chunks: readonly ReadableChunk[], seq: number, upTo: LastItem, gone: number): number {
    for (const { position } of this.backwards(chunks, seq, upTo, gone)) return position;
    return gone;
  }

  /** What a chunk's first line says, and its bytes. */
  headerOf(id: ChunkId): { readonly before: number; readonly body: number } {
    const chunk = this.#open(id);
    try {
      return { before: chunk.header.before, body: chunk.body };
    } finally {
      chunk.close();
    }
  }

  /** Position of the last item in front of a chunk. */
  #beforeNext(next: ReadableChunk | undefined, upTo: LastItem): number {
    if (next === undefined) return upTo.position;
    const chunk = this.#open(next);
    try {
      return Math.min(chunk.header.before, upTo.position);
    } finally {
      chunk.close();
    }
  }

  missing(): Incomplete {
    const files = `${this.layout.sessionFolder(this.key)}/${folderNameForKey(this.name)}.*.jsonl`;
    return new Incomplete(files, "a file is missing");
  }

  #open(id: ReadableChunk): ChunkFile {
    const path = this.layout.chunk(this.key, this.name, id);
    try {
      const whose = { key: this.key, transcript: this.name, first: id.first };
      return ChunkFile.open(this.fs, path, { end: id.end, whose });
    } catch (error) {
      if (errnoOf(error) === "ENOENT") throw new Incomplete(path, "the file is missing");
      throw error;
    }
  }
}

/** Of chunks that begin with the same item, the one that was born last. Sorted already. */
function youngest(chunks: readonly ReadableChunk[]): ReadableChunk[] {
  return chunks.filter(({ first }, index) => chunks[index + 1]?.first !== first);
}

/** Index of the chunk that has the item of a number, if there is one; -1 if it is in front of all. */
function containing(chunks: readonly ReadableChunk[], seq: number): number {
  return chunks.findLastIndex(({ first }) => first <= seq);
}

function find(chunk: ChunkFile, { ragged }: ReadableChunk, seq: number): number {
  return ragged === true ? chunk.scan(seq) : chunk.find(seq);
}

/** Position of the last item in front of an offset at which a line begins. */
function positionInFront(chunk: ChunkFile, at: number): number {
  for (const line of chunk.backwards(at)) return chunk.parse(line).position;
  return chunk.header.before;
}
