/**
 * Appends a record to the active segment and finds out what the log made of it.
 *
 * One `write`, one `read` back. If the bytes that came back are the bytes that went out, no other writer was in between
 * and the record is decided without parsing anything. Otherwise the lines of others are decided first, as
 * in every process, until our own turns up or the end of the file shows that it is void.
 *
 *   O2  One record is one append under a new number. It is composed again only after this one was DECIDED
 *       void. To a torn tail it is glued: nobody ends a torn line, so that it can be told from damage.
 *   O3  The caller composed the record in this very turn of the event loop: no `await` between its state and
 *       this append.
 *
 * A crash in the middle leaves a torn last line, to which the next line is glued.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import {
  composeRecordJson,
  encodeLogLine,
  logLineBytesMax,
  writeLogLine,
  type LogRecord,
  type LogSeal,
} from "../format/log-line.js";
import { LINE_BYTES_MAX } from "../format/limits.js";
import type { StoredObject } from "../format/stored-value.js";
import { bytesOf, readAnew } from "./cut-segment.js";
import { cutOff } from "./log-failures.js";
import type { LogObserver, LogTail } from "./log-tail.js";
import type { Segment } from "./segment.js";
import { decide, type Committed } from "./verdict.js";

const NEWLINE = Buffer.from("\n");
/** A seal can be torn again and again only while the disk keeps running full. */
const SEAL_ATTEMPTS_MAX = 20;
const LINE_SPACE_BYTES = 16 * 1024;

/** What a seal says besides the number of the next segment. */
export type SealToWrite = Omit<LogSeal, "seal">;

export class LogWriter {
  /** Number of the record of ours that others came in front of, and what became of it, once it was seen to commit. */
  #awaited = 0;
  #commit: Committed | undefined;
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
  saw(commit: Committed): void {
    const { n, w } = commit.record;
    if (n === this.#awaited && w === this.writerId) this.#commit = commit;
  }

  /**
   * Appends a record of this writer to a segment that was read to its end.
   * @param after What each op makes of its session if the record commits and no other writer was in between.
   * @param onWritten Called once the whole line is in the file, before it is known what becomes of it: what takes
   *   long, such as a sync, can begin while the line is read back.
   * @returns What it committed as, or undefined if it is void: compose it again.
   * @throws The failure of the system call when it certainly does not count, `commit_unknown` when it may.
   */
  append(
    segment: Segment,
    record: LogRecord,
    after: readonly (StoredObject | undefined)[],
    onWritten?: () => void,
  ): Committed | undefined {
    const line = this.#compose(record);
    if (line.length > LINE_BYTES_MAX) {
      throw new SessionStoreError(
        "record_too_large",
        `a commit of ${record.ops.length} sessions takes ${line.length} bytes, more than the ${LINE_BYTES_MAX} ` +
          "that one record may have. Split it into several commits.",
        { data: { limit: LINE_BYTES_MAX, actual: line.length } },
      );
    }
    const { position } = segment;
    let written = 0;
    let failure: unknown;
    try {
      written = this.fs.write(segment.fd, line, 0, line.length);
    } catch (error) {
      failure = error;
    }
    if (written === line.length) onWritten?.();
    try {
      const { buffer } = this.tail;
      const count = this.fs.read(segment.fd, buffer, 0, buffer.length, segment.position);
      // Behind torn bytes more comes back: those too.
      if (written === line.length && count === written && line.compare(buffer, 0, count) === 0) {
        return this.#decideOwn(segment, record, after, count);
      }
      this.#awaited = record.n;
      this.#commit = undefined;
      const found = this.tail.fill(segment, count);
      if (found > 0) this.#readOn(segment, found);
      if (segment.damaged || (found === 0 && written > 0)) this.#assertNotCut(segment, position, written);
    } catch (error) {
      throw this.#unknown(segment, error);
    }
    if (this.#commit !== undefined) return this.#commit;
    // Behind a gap nothing is decided, one's own records neither.
    if (segment.damaged) throw this.#unknown(segment, failure ?? unreadable(segment));
    return written === line.length ? undefined : this.#endOwnLine(segment, line, failure);
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
  ): Committed | undefined {
    const verdict = decide(
      segment.ledger,
      { kind: "record", record },
      segment.position,
      segment.position + count,
    );
    segment.lastLineAt = segment.position;
    segment.position += count;
    if (verdict.fate !== "committed") return undefined;
    this.observer.committed(segment, verdict, after);
    return verdict;
  }

  #readOn(segment: Segment, count: number): void {
    let more = this.tail.decideBuffered(segment, count);
    while (more && !segment.ledger.sealed) more = this.tail.advance();
  }

  /**
   * The write was cut short or refused. The log decides, not the error code: if only the newline is missing, it is appended,
   * and we look again. A shorter beginning of a record can never commit: whoever appends next glues a line to it.
   */
  #endOwnLine(segment: Segment, line: Buffer, failure: unknown): Committed | undefined {
    const error: unknown = failure ?? cutShort(segment.path);
    if (segment.undecided >= line.length - 1 && !segment.ledger.sealed) {
      try {
        const tail = this.tail.undecided(segment);
        const from = tail.indexOf(line.subarray(0, -1));
        // Behind it another write was torn: our line counts as soon as a whole one is glued to that.
        if (from >= 0 && from < tail.length - line.length + 1) throw error;
        if (from >= 0) {
          this.fs.write(segment.fd, NEWLINE, 0, 1);
          this.#readOn(segment, this.tail.fill(segment, 0));
        }
      } catch (readError) {
        throw this.#unknown(segment, failure ?? readError);
      }
      if (this.#commit !== undefined) return this.#commit;
      if (segment.damaged) throw this.#unknown(segment, error);
    }
    throw error; // the layer that asked for the commit says which session it was
  }

  /**
   * What cannot be read behind our own position may be our own record, in a place that it never was written for: then the log
   * was cut off before that. We know what stood there.
   */
  #assertNotCut(segment: Segment, position: number, written: number): void {
    const { size } = this.fs.fstat(segment.fd);
    if (size >= position + written) return;
    segment.forgetBehind(position);
    segment.cutAt = size - written;
    throw cutOff(segment);
  }

  #unknown(segment: Segment, cause: unknown): SessionStoreError {
    const typed = cause instanceof SessionStoreError ? cause : undefined;
    return new SessionStoreError(
      "commit_unknown",
      `a record was appended to ${segment.path}, but it could not be read back: it may or may not count. ` +
        `${typed === undefined ? "" : `${typed.message} `}Read the session before trying again.`,
      { data: { ...typed?.data, path: segment.path, reason: typed?.code }, cause },
    );
  }

  /**
   * Ends a segment that was read to its end, or as far as it can be read.
   * @param seal.firstRevision First revision that the next segment must at least have; left out for the natural one.
   * @param seal.gap Where this process met bytes that it cannot read.
   */
  seal(segment: Segment, seal: SealToWrite = {}): void {
    const { size } = this.fs.fstat(segment.fd);
    if (size < segment.position) segment.cutAt ??= size;
    if (segment.cutAt !== undefined) return this.sealCut(segment); // a seal like others would say that it is whole
    for (let attempt = 0; attempt < SEAL_ATTEMPTS_MAX && !segment.ledger.sealed; attempt++) {
      const bytes = this.#composeSeal(segment, seal);
      this.fs.write(segment.fd, bytes, 0, bytes.length);
      while (!segment.ledger.sealed && this.tail.active === segment && this.tail.advance());
    }
  }

  /** The seal's line, and newlines in front of it where it must not be glued to what stands there. */
  #composeSeal(segment: Segment, seal: SealToWrite): Buffer {
    const line = encodeLogLine(JSON.stringify({ seal: segment.number + 1, ...seal }));
    if (seal.bytes !== undefined) {
      // Who had read what was cut off looks for the seal only behind that.
      const missing = seal.bytes - this.fs.fstat(segment.fd).size;
      return Buffer.concat([Buffer.alloc(Math.max(1, missing), NEWLINE), line]);
    }
    // Glued to what is no beginning of a line, the seal itself could not be read.
    const ended = segment.undecided === 0 || this.tail.isTornAtEnd(segment);
    return ended ? line : Buffer.concat([NEWLINE, line]);
  }

  /**
   * Ends a segment that was cut off behind what this process has read of it, so that nobody takes what is left for all there
   * was; it goes on in the next one with what it knows.
   * @throws `log_damaged` if others have gone on from what is left: then this process must not.
   */
  sealCut(segment: Segment): void {
    this.tail.assertAllRead(segment);
    const gap = bytesOf(this.fs, segment).lastIndexOf(NEWLINE) + 1;
    const firstRevision = segment.nextFirstRevision;
    const line = this.#composeSeal(segment, { firstRevision, gap, bytes: segment.position });
    this.fs.write(segment.fd, line, 0, line.length);
    this.tail.assertAllRead(segment); // somebody may have been in between
    const left = readAnew(this.fs, segment);
    if (!left.sealed) throw cutOff(segment);
    segment.ledger.sealed = true;
    segment.ledger.sealedGap = left.sealedGap ?? gap;
    segment.ledger.sealedBytes = left.sealedBytes ?? segment.position;
    segment.ledger.wantedFirstRevision = Math.max(firstRevision, left.wantedFirstRevision);
  }
}

function unreadable({ path, number, ledger }: Segment): SessionStoreError {
  return new SessionStoreError("log_damaged", `${path} cannot be read from byte ${ledger.gap} on.`, {
    data: { path, segment: number, offset: ledger.gap },
  });
}

function cutShort(path: string): NodeJS.ErrnoException {
  // A short write on a local disk means that it ran full in the middle; the next write would say so.
  return Object.assign(new Error(`ENOSPC: no space left on device, write '${path}'`), {
    code: "ENOSPC",
    syscall: "write",
    path,
  });
}
