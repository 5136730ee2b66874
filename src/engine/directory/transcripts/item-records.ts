/** Items as the live log has them: what JSON.stringify made of each, from memory, or read once more from the record that appended it. */
import { SessionStoreError } from "../../../errors.js";
import { readAt } from "../../../fs/read-at.js";
import { parseLogLines } from "../../../format/log-line.js";
import type { Segment } from "../../../log/segment.js";
import type { SessionLog } from "../session-log.js";
import type { HotItem } from "./hot-transcript.js";
import { Incomplete } from "./transcript-files.js";

/** Most records are shorter than a tenth of it: one read brings many. */
const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export class ItemRecords {
  /** What was read of a segment last: whoever wants one record wants those behind it next. A longer record is not kept. */
  #block: { readonly segment: number; readonly from: number; readonly bytes: Buffer } | undefined;
  /** The record that an item was read from last: a batch is read once. */
  #record:
    | { readonly segment: number; readonly offset: number; readonly items: readonly (readonly string[])[] }
    | undefined;

  constructor(private readonly log: SessionLog) {}

  /** @throws {@link Incomplete} when its segment is gone, `log_damaged` */
  jsonOf({ segment: number, offset, op, index, json: inMemory }: HotItem): string {
    if (inMemory !== undefined) return inMemory;
    if (this.#record?.segment !== number || this.#record.offset !== offset) {
      const segment = this.log.segments.find((live) => live.number === number);
      if (segment === undefined) throw new Incomplete(this.log.options.layout.segment(number), "it is gone");
      const line = this.#lineAt(segment, offset);
      // Where its newline was lost in a power cut, the next line is glued to it.
      const parsed = parseLogLines(line, 0, line.length)[0]?.line;
      if (parsed?.kind !== "record") throw changedLog(segment.path, offset);
      const items = (parsed.record.transcripts ?? []).map(({ a = [] }) => a.map(({ json }) => json));
      this.#record = { segment: number, offset, items };
    }
    const json = this.#record.items[op]?.[index];
    if (json === undefined) throw changedLog(this.log.options.layout.segment(number), offset);
    return json;
  }

  #lineAt(segment: Segment, offset: number): Buffer {
    const found = this.#inBlock(segment.number, offset);
    if (found !== undefined) return found;
    const { fd, position: end } = segment;
    for (let length = BLOCK_BYTES; ; length *= 4) {
      const bytes = readAt(this.log.options.fs, fd, Math.min(length, end - offset), offset);
      if (length === BLOCK_BYTES) this.#block = { segment: segment.number, from: offset, bytes };
      const newline = bytes.indexOf(NEWLINE);
      if (newline >= 0) return bytes.subarray(0, newline);
      if (bytes.length < length) return bytes;
    }
  }

  /** A record that the last read brought whole. */
  #inBlock(segment: number, offset: number): Buffer | undefined {
    if (this.#block?.segment !== segment) return undefined;
    const { from, bytes } = this.#block;
    const newline = offset < from ? -1 : bytes.indexOf(NEWLINE, offset - from);
    return newline < 0 ? undefined : bytes.subarray(offset - from, newline);
  }
}

function changedLog(path: string, offset: number): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${path} has changed at byte ${offset}, behind which this process has read it.`,
    { data: { path, offset } },
  );
}
