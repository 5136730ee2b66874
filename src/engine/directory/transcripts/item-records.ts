/** Items as the live log has them: what JSON.stringify made of each, from memory, or read once more from the record that appended it. */
import { SessionStoreError } from "../../../errors.js";
import { readAt } from "../../../fs/read-at.js";
import { parseLogLine } from "../../../format/log-line.js";
import type { Segment } from "../../../log/segment.js";
import type { SessionLog } from "../session-log.js";
import type { HotItem } from "./hot-transcript.js";
import { Incomplete } from "./transcript-files.js";

const RECORD_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

export class ItemRecords {
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
      const parsed = parseLogLine(line, 0, line.length);
      if (parsed.kind !== "record") throw changedLog(segment.path, offset);
      const items = (parsed.record.transcripts ?? []).map(({ a = [] }) => a.map(({ json }) => json));
      this.#record = { segment: number, offset, items };
    }
    const json = this.#record.items[op]?.[index];
    if (json === undefined) throw changedLog(this.log.options.layout.segment(number), offset);
    return json;
  }

  #lineAt({ fd, position: end }: Segment, offset: number): Buffer {
    for (let length = RECORD_BYTES; ; length *= 4) {
      const bytes = readAt(this.log.options.fs, fd, Math.min(length, end - offset), offset);
      const newline = bytes.indexOf(NEWLINE);
      if (newline >= 0) return bytes.subarray(0, newline);
      if (bytes.length < length) return bytes;
    }
  }
}

function changedLog(path: string, offset: number): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${path} has changed at byte ${offset}, behind which this process has read it.`,
    { data: { path, offset } },
  );
}
