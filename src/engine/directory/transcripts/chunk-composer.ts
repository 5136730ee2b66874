/**
 * Composes the lines of chunk files from the live log: those that go into one that is there, or a whole one, with what it takes over
 * from an older one. Every process composes the same bytes. Nothing is written, so that a crash leaves nothing.
 */
import { isSameChunk } from "../../../format/transcript-head.js";
import { composeChunkHeader, writeItemLine } from "../../../format/transcript-lines.js";
import type { SessionLog } from "../session-log.js";
import type { HotChunk, HotItem, HotTranscript } from "./hot-transcript.js";
import type { ItemRecords } from "./item-records.js";
import { Incomplete, TranscriptFiles } from "./transcript-files.js";

export class ChunkComposer {
  constructor(
    private readonly log: SessionLog,
    private readonly records: ItemRecords,
  ) {}

  /**
   * A chunk that the live log began.
   * @param last Lines go up to this number: the log is durable up to there.
   * @returns Undefined if what it begins with is not there.
   */
  whole(hot: HotTranscript, chunk: HotChunk, last: number): Buffer | undefined {
    const parts = [headerOf(hot, chunk)];
    if (chunk.recut !== undefined) {
      const body = this.#bodyOf(hot, chunk.recut);
      if (body === undefined) return undefined;
      parts.push(body);
    }
    const behind = (chunk.recut?.before ?? 0) + (chunk.recut?.n ?? 0);
    const items: HotItem[] = [];
    // They stand one behind the other, and those of a hundred chunks may be there.
    for (let at = hot.items.findLastIndex(({ seq }) => seq < chunk.first) + 1; at < hot.items.length; at++) {
      const item = hot.items[at] as HotItem;
      if (item.seq > last || !isSameChunk(item.chunk, chunk)) break;
      if (item.position > behind) items.push(item);
    }
    return Buffer.concat([...parts, this.linesOf(items)]);
  }

  /** Lines that a chunk takes over from an older one: from files, and from the live log. */
  #bodyOf(
    hot: HotTranscript,
    { first, before, n, body }: NonNullable<HotChunk["recut"]>,
  ): Buffer | undefined {
    if (n === 0) return Buffer.alloc(0);
    const { fs, layout } = this.log.options;
    const own = this.linesOf(hot.items.filter(({ position }) => position > before && position <= before + n));
    const last = hot.lastInFiles?.position ?? 0;
    if (last <= before) return own.length === body ? own : undefined;
    const files = new TranscriptFiles(fs, layout, hot.key, hot.name);
    const upTo = { position: Math.min(last, before + n) };
    try {
      const chunks = hot.readable(files.chunks(), this.log.revision);
      const bytes = Buffer.concat([files.linesFrom(chunks, first, upTo, before, body - own.length), own]);
      return bytes.length === body ? bytes : undefined;
    } catch (error) {
      if (error instanceof Incomplete) return undefined;
      throw error;
    }
  }

  /** The lines of items, one behind the other. */
  linesOf(items: readonly HotItem[]): Buffer {
    const lines = Buffer.allocUnsafe(items.reduce((sum, { bytes }) => sum + bytes, 0));
    let end = 0;
    for (const item of items) end = writeItemLine(lines, end, item, this.records.jsonOf(item));
    return lines;
  }
}

/** What is composed and compared without a turn of the event loop in between: a millisecond or two. */
const BATCH_BYTES = 256 * 1024;

/** As many items at a time as have so many bytes of lines together, and at least one. */
export function* inBatches(items: readonly HotItem[]): Generator<readonly HotItem[], void> {
  let start = 0;
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    if (bytes > 0 && bytes + item.bytes > BATCH_BYTES) {
      yield items.slice(start, index);
      start = index;
      bytes = 0;
    }
    bytes += item.bytes;
  }
  if (bytes > 0) yield items.slice(start);
}

export function headerOf(hot: HotTranscript, { header }: HotChunk): Buffer {
  return composeChunkHeader(hot.key, hot.name, header);
}
