/**
 * Appends a record to the active segment and finds out what the log made of it.
 *
 * One `write`, one `read` back. If the bytes that came back are the bytes that went out, no other writer was in between
 * and the record is decided without parsing anything. Otherwise the lines of others are decided first, as
 * in every process, until our own turns up or the end of the file shows that it is void.
 *
 *   O2  One record is one append under a new number. It is composed again only after this one was DECIDED
 *       void. If the tail is torn, the write starts with a newline.
 *   O3  The caller composed the record in this very turn of the event loop: no `await` between its state and
 *       this append.
 *
 * A crash in the middle leaves a torn last line, which is malformed as soon as the next writer ends it with a newline.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import {
  composeRecordJson,
  encodeLogLine,
  logLineBytesMax,
  writeLogLine,
  type LogRecord,
} from "../format/log-line.js";
import { LINE_BYTES_MAX } from "../format/limits.js";
import type { StoredObject } from "../format/stored-value.js";
import type { LogObserver, LogTail } from "./log-tail.js";
import type { Segment } from "./segment.js";
import { decide } from "./verdict.js";

const NEWLINE = Buffer.from("\n");
/** A seal can be glued to torn bytes again and again only while others keep tearing lines. */
const SEAL_ATTEMPTS_MAX = 20;
const LINE_SPACE_BYTES = 16 * 1024;

export class LogWriter {
  /** Revision of our record `#awaited`, once it was seen to commit. */
  #awaited = 0;
  #awaitedRevision = 0;
  #number = 0;
  readonly #space = Buffer.allocUnsafeSlow(LINE_SPACE_BYTES);

  constructor(
    private readonly fs: FileSystem,
    private readonly tail: LogTail,
    private readonly observer: LogObserver,
    /** Random for every open store; `(writerId, number)` names a record. */
    readonly writerId: string,
  ) {}

  /** Number for the next record; every attempt takes a new one (O2). */
  nextNumber(): number {
    return ++this.#number;
  }

  /** To be called for every committed record, so that our own is recognised among others. */
  saw(record: LogRecord, revision: number): void {
    if (record.n === this.#awaited && record.w === this.writerId) this.#awaitedRevision = revision;
  }

  /**
   * Appends a record of this writer to a segment that was read to its end.
   * @param after What each op makes of its session if the record commits and no other writer was in between.
   * @param onWritten Called once the whole line is in the file, before it is known what becomes of it: what takes
   *   long, such as a sync, can begin while the line is read back.
   * @returns The revision it committed as, or undefined if it is void: compose it again.
   * @throws The failure of the system call when it certainly does not count, `commit_unknown` when it may.
   */
  append(
    segment: Segment,
    record: LogRecord,
    after: readonly (StoredObject | undefined)[],
    onWritten?: () => void,
  ): number | undefined {
    const line = this.#compose(record);
    if (line.length > LINE_BYTES_MAX) {
      throw new SessionStoreError(
        "record_too_large",
        `a commit of ${record.ops.length} sessions takes ${line.length} bytes, more than the ${LINE_BYTES_MAX} ` +
          "that one record may have. Split it into several commits.",
        { data: { limit: LINE_BYTES_MAX, actual: line.length } },
      );
    }
    const torn = segment.undecided > 0;
    const bytes = torn ? Buffer.concat([NEWLINE, line]) : line;
    let written = 0;
    let failure: unknown;
    try {
      written = this.fs.write(segment.fd, bytes, 0, bytes.length);
    } catch (error) {
      failure = error;
    }
    if (written === bytes.length) onWritten?.();
    try {
      const { buffer } = this.tail;
      const count = this.fs.read(segment.fd, buffer, 0, buffer.length, segment.position);
      if (!torn && written === line.length && count === written && line.compare(buffer, 0, count) === 0) {
        return this.#decideOwn(segment, record, after, count);
      }
      this.#awaited = record.n;
      this.#awaitedRevision = 0;
      this.#readOn(segment, this.tail.fill(segment, count));
    } catch (error) {
      throw this.#unknown(segment, error);
    }
    if (written === bytes.length || this.#awaitedRevision > 0) return this.#awaitedRevision || undefined;
    return this.#endTornLine(segment, line, failure);
  }

  /** The record's line; good until the next one is composed. */
  #compose(record: LogRecord): Buffer {
    const json = composeRecordJson(record);
    const bytesMax = logLineBytesMax(json);
    // Nearly every line has room in the same few pages, which saves an allocation a commit.
    const space = bytesMax <= LINE_SPACE_BYTES ? this.#space : Buffer.allocUnsafe(bytesMax);
    return space.subarray(0, writeLogLine(space, json));
  }

  /** The fast path: our line is the only news, so its fate needs no parsing. */
  #decideOwn(
    segment: Segment,
    record: LogRecord,
    after: readonly (StoredObject | undefined)[],
    count: number,
  ): number | undefined {
    const verdict = decide(segment.ledger, { kind: "record", record });
    segment.position += count;
    if (verdict.fate !== "committed") return undefined;
    this.observer.committed(segment, record, verdict.revision, after);
    return verdict.revision;
  }

  #readOn(segment: Segment, count: number): void {
    let more = this.tail.decideBuffered(segment, count);
    while (more && !segment.ledger.sealed) more = this.tail.advance();
  }

  /**
   * The write was cut short or refused. The log decides, not the error code: end the torn line and look again.
   * A prefix of a record can never commit, so without a newline only a complete record leaves doubt.
   */
  #endTornLine(segment: Segment, line: Buffer, failure: unknown): number | undefined {
    const error: unknown = failure ?? cutShort(segment.path);
    if (segment.undecided > 0 && !segment.ledger.sealed) {
      const complete = segment.undecided >= line.length - 1;
      try {
        this.fs.write(segment.fd, NEWLINE, 0, 1);
      } catch {
        if (complete) throw this.#unknown(segment, error);
      }
      try {
        this.#readOn(segment, this.tail.fill(segment, 0));
      } catch (readError) {
        throw this.#unknown(segment, readError);
      }
      if (this.#awaitedRevision > 0) return this.#awaitedRevision;
    }
    throw error; // the layer that asked for the commit says which session it was
  }

  #unknown(segment: Segment, cause: unknown): SessionStoreError {
    return new SessionStoreError(
      "commit_unknown",
      `a record was appended to ${segment.path}, but it could not be read back: it may or may not count. ` +
        "Read the session before trying again.",
      { data: { path: segment.path }, cause },
    );
  }

  /**
   * Ends a segment that was read to its end.
   * @param firstRevision First revision that the next segment must at least have; 0 for the natural one.
   */
  seal(segment: Segment, firstRevision = 0): void {
    const seal = { seal: segment.number + 1, ...(firstRevision > 0 && { firstRevision }) };
    const line = encodeLogLine(JSON.stringify(seal));
    for (let attempt = 0; attempt < SEAL_ATTEMPTS_MAX && !segment.ledger.sealed; attempt++) {
      const bytes = segment.undecided > 0 ? Buffer.concat([NEWLINE, line]) : line;
      this.fs.write(segment.fd, bytes, 0, bytes.length);
      while (!segment.ledger.sealed && this.tail.active === segment && this.tail.advance());
    }
  }
}

function cutShort(path: string): NodeJS.ErrnoException {
  // A short write on a local disk means that it ran full in the middle; the next write would say so.
  return Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), {
    code: "ENOSPC",
    syscall: "write",
    path,
  });
}
