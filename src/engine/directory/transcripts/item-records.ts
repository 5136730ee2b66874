/**
 * Items as the live log has them: what JSON.stringify made of each, from memory, or read once more from the record that appended it.
 *
 * A flush asks for one item after the other, in the order of the log: what was read of it last is kept, so that records that stand
 * beside each other are one read. The bytes of a segment do not change, and the checksum of a record is looked at again all the same.
 */
import { SessionStoreError } from "../../../errors.js";
import { readAt } from "../../../fs/read-at.js";
import { parseLogLine } from "../../../format/log-line.js";
import type { Segment } from "../../../log/segment.js";
import type { SessionLog } from "../session-log.js";
import type { HotItem } from "./hot-transcript.js";
import { Incomplete } from "./transcript-files.js";

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

interface Block {
  /** Not its descriptor, whose number another segment may have later. */
  readonly segment: Segment;
  /** Offset of its first byte. */
  readonly from: number;
  readonly bytes: Buffer;
}

export class ItemRecords {
  /** What was read of a segment last. */
  #block: Block | undefined;
  /** The record that an item was read from last: a batch is parsed once. */
  #record:
    | { readonly segment: number; readonly offset: number; readonly items: readonly (readonly string[])[] }
    | undefined;

  constructor(private readonly log: SessionLog) {
    log.listen({ rewound: () => this.#forget(), wasCut: () => this.#forget() });
  }

  /** @throws {@link Incomplete} when its segment is gone, `log_damaged` */
  jsonOf({ segment: number, offset, op, index, json: inMemory }: HotItem): string {
    if (inMemory !== undefined) return inMemory;
    if (this.#record?.segment !== number || this.#record.offset !== offset) {
      const segment = this.log.segments.find((live) => live.number === number);
      if (segment === undefined) throw new Incomplete(this.log.options.layout.segment(number), "it is gone");
      const line = this.#lineAt(segment, offset);
      const parsed = parseLogLine(line, 0, line.length);
      if (parsed.kind !== "record") throw changedLog(segment.path, offset);
      const items = (parsed.record.transcripts ?? []).map(({ a = [] }) => a.map(({ json }) => json));
      this.#record = { segment: number, offset, items };
    }
    const json = this.#record.items[op]?.[index];
    if (json === undefined) throw changedLog(this.log.options.layout.segment(number), offset);
    return json;
  }

  #lineAt(segment: Segment, offset: number): Buffer {
    for (let length = BLOCK_BYTES; ; length *= 4) {
      const { from, bytes } = this.#blockAt(segment, offset, Math.min(length, segment.position - offset));
      const newline = bytes.indexOf(NEWLINE, offset - from);
      if (newline >= 0) return bytes.subarray(offset - from, newline);
      this.#block = undefined; // it ends within the record
      if (from === offset && bytes.length < length) return bytes;
    }
  }

  /** Bytes of a segment from an offset on, as many as were asked for or what was read last. */
  #blockAt(segment: Segment, offset: number, length: number): Block {
    const last = this.#block;
    if (last?.segment === segment && offset >= last.from && offset < last.from + last.bytes.length)
      return last;
    const bytes = readAt(this.log.options.fs, segment.fd, length, offset);
    return (this.#block = { segment, from: offset, bytes });
  }

  #forget(): void {
    this.#block = undefined;
    this.#record = undefined;
  }
}

function changedLog(path: string, offset: number): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${path} has changed at byte ${offset}, behind which this process has read it.`,
    { data: { path, offset } },
  );
}
