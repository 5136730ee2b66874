/**
 * A chunk of a transcript, opened to be read: lines forwards and backwards, and where an item's line is.
 *
 * Nothing here reads a whole chunk. The end of a transcript is read from the end of its last chunk; an item in the middle is found by
 * halving, for sequence numbers grow along the file. Only the first `end` bytes count: behind them may be what a commit wrote that
 * the reader has not read yet.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { readAt } from "../fs/read-at.js";
import { openRegularFile } from "../fs/regular-file.js";
import {
  PEEK_BYTES,
  parseChunkHeader,
  parseItemLine,
  peekItemLine,
  type ChunkHeader,
  type ItemLine,
} from "../format/transcript-lines.js";

const NEWLINE = 0x0a;
/** A header line has a key and a name as JSON: some KB at most. */
const HEADER_BYTES = 16 * 1024;
const BLOCK_BYTES = 64 * 1024;
/** Between bounds as near as this, lines are read one after the other. */
const NEAR_BYTES = 16 * 1024;

export interface FoundLine {
  /** Offset of its first byte. */
  readonly at: number;
  /** Without its newline. */
  readonly bytes: Buffer;
}

/** What a chunk's first line must say. */
export interface Whose {
  readonly key: string;
  readonly transcript: string;
  readonly first: number;
}

export class ChunkFile {
  #header: { readonly key: string; readonly transcript: string; readonly header: ChunkHeader } | undefined;
  /** Offset of the first item's line. */
  #body = 0;

  private constructor(
    private readonly fs: FileSystem,
    readonly path: string,
    private readonly fd: number,
    /** Bytes that count. */
    readonly end: number,
    private readonly expected: Whose | undefined,
  ) {}

  /**
   * @param options.end Bytes that count; default all.
   * @param options.whose What its first line must say: a file that a person has put there is another one's.
   * @throws The system's ENOENT if there is none, `file_unsafe`.
   */
  static open(
    fs: FileSystem,
    path: string,
    { end, whose }: { readonly end?: number | undefined; readonly whose?: Whose } = {},
  ): ChunkFile {
    const { fd, status } = openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER });
    return new ChunkFile(fs, path, fd, Math.min(status.size, end ?? status.size), whose);
  }

  close(): void {
    this.fs.close(this.fd);
  }

  /** @throws `transcript_damaged` */
  get header(): ChunkHeader {
    return this.#whose().header;
  }

  /** Key of the session, as its first line has it. */
  get key(): string {
    return this.#whose().key;
  }

  /** Name of the transcript, as its first line has it. */
  get transcript(): string {
    return this.#whose().transcript;
  }

  get body(): number {
    this.#whose();
    return this.#body;
  }

  #whose(): { readonly key: string; readonly transcript: string; readonly header: ChunkHeader } {
    if (this.#header !== undefined) return this.#header;
    const bytes = this.#read(0, Math.min(this.end, HEADER_BYTES));
    const newline = bytes.indexOf(NEWLINE);
    const parsed = newline < 0 ? undefined : parseChunkHeader(bytes.subarray(0, newline));
    if (parsed === undefined) throw this.damage(0, "its first line is damaged");
    if (this.expected !== undefined && !isOf(this.expected, parsed))
      throw this.damage(
        0,
        `it is a file of transcript ${JSON.stringify(parsed.transcript)} of session ${JSON.stringify(parsed.key)}`,
      );
    this.#body = newline + 1;
    this.#header = parsed;
    return parsed;
  }

  /** Lines from an offset on, at which one begins. */
  *forwards(from: number, end = this.end): Generator<FoundLine, void> {
    let start = from;
    let length = BLOCK_BYTES;
    while (start < end) {
      const bytes = this.#read(start, Math.min(length, end - start));
      let at = 0;
      for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, at)) {
        yield { at: start + at, bytes: bytes.subarray(at, newline) };
        at = newline + 1;
      }
      if (at === 0 && (bytes.length < length || start + length >= end))
        throw this.damage(start, "its last line has no end");
      length = at === 0 ? length * 4 : BLOCK_BYTES;
      start += at;
    }
  }

  /** Lines in front of an offset at which one begins, the last one first. */
  *backwards(end: number): Generator<FoundLine, void> {
    const { body } = this;
    let stop = end;
    let length = BLOCK_BYTES;
    while (stop > body) {
      const from = Math.max(body, stop - length);
      const bytes = this.#read(from, stop - from);
      if (bytes.at(-1) !== NEWLINE) throw this.damage(stop, "its last line has no end");
      let last = bytes.length;
      while (last > 0) {
        const before = last < 2 ? -1 : bytes.lastIndexOf(NEWLINE, last - 2);
        if (before < 0 && from > body) break;
        yield { at: from + before + 1, bytes: bytes.subarray(before + 1, last - 1) };
        last = before + 1;
      }
      length = last === bytes.length ? length * 4 : BLOCK_BYTES;
      stop = from + last;
    }
  }

  /**
   * Offset of the first line whose item has at least this number, or stands at least at this position; `end` if there is none. A line
   * that does not begin as one is passed over: it costs what it had, and not those behind it.
   */
  find(wanted: number, by: "seq" | "position" = "seq"): number {
    let low = this.body;
    let high = this.end;
    while (high - low > NEAR_BYTES) {
      const middle = this.#peekFrom((low + high) >> 1, high);
      if (middle === undefined) break;
      if (middle[by] < wanted) low = middle.at;
      else high = middle.at;
    }
    for (const { at, bytes } of this.forwards(low, high))
      if ((peekItemLine(bytes)?.[by] ?? 0) >= wanted) return at;
    return high;
  }

  /** The same as {@link find}, line by line from the beginning: it meets nothing behind what it looks for. */
  scan(wanted: number, by: "seq" | "position" = "seq"): number {
    for (const line of this.forwards(this.body)) if (this.parse(line)[by] >= wanted) return line.at;
    return this.end;
  }

  /** @throws `transcript_damaged` */
  parse({ at, bytes }: FoundLine): ItemLine {
    return parseItemLine(bytes) ?? this.#throwDamage(at, "the checksum of a line does not match");
  }

  /** The last line that counts; undefined if there is no item. */
  last(): ItemLine | undefined {
    for (const line of this.backwards(this.end)) return this.parse(line);
    return undefined;
  }

  /** Of the items that can be read, whatever else is damaged. */
  latestRevision(): number {
    for (const { bytes } of this.backwards(this.end)) {
      const item = parseItemLine(bytes);
      if (item !== undefined) return item.revision; // they grow along the file
    }
    return 0;
  }

  /** So many bytes of lines, whatever is among them; undefined: no line ends there. */
  slice(from: number, length: number): Buffer | undefined {
    if (from + length > this.end) return undefined;
    const bytes = this.#read(from, length);
    return bytes.at(-1) === NEWLINE ? bytes : undefined;
  }

  /** The first line that begins as an item does, at `from` or behind it; undefined if there is none in front of `high`. */
  #peekFrom(from: number, high: number): { at: number; seq: number; position: number } | undefined {
    for (let at = this.#lineStart(from, high); at < high; at = this.#lineStart(at + 1, high)) {
      const found = peekItemLine(this.#read(at, Math.min(PEEK_BYTES, this.end - at)));
      if (found !== undefined) return { at, ...found };
    }
    return undefined;
  }

  /** Where the first line begins at `from` or behind it; `high` if none does in front of that. */
  #lineStart(from: number, high: number): number {
    for (let start = from - 1; start < high;) {
      const bytes = this.#read(start, Math.min(PEEK_BYTES * 8, high - start));
      const newline = bytes.indexOf(NEWLINE);
      if (newline >= 0) return start + newline + 1;
      start += bytes.length;
    }
    return high;
  }

  #read(from: number, length: number): Buffer {
    const bytes = readAt(this.fs, this.fd, length, from);
    if (bytes.length < length) throw this.damage(from + bytes.length, "it ends too early");
    return bytes;
  }

  damage(offset: number, reason: string): SessionStoreError {
    return damagedTranscript(this.path, offset, reason);
  }

  #throwDamage(offset: number, reason: string): never {
    throw this.damage(offset, reason);
  }
}

function isOf(
  { key, transcript, first }: Whose,
  found: { readonly key: string; readonly transcript: string; readonly header: ChunkHeader },
): boolean {
  return found.key === key && found.transcript === transcript && found.header.first === first;
}

export function damagedTranscript(path: string, offset: number, reason: string): SessionStoreError {
  return new SessionStoreError(
    "transcript_damaged",
    `${path} is damaged at byte ${offset} (${reason}), and the log no longer has what stood there. The transcript's other items can be ` +
      "read by their numbers. Restore the file from a backup, or truncate or remove the transcript.",
    { data: { path, offset, reason } },
  );
}
