/**
 * Follows the commit log: reads what was appended, decides it line by line, and moves from segment to segment.
 *
 * All of it is synchronous. `catchUp` on an idle log is one `read` of zero bytes, and nothing that it hands to
 * its observer is older than the moment it was called. A tail never writes (invariant I7); at a seal without a
 * successor it is simply at the end.
 *
 *   O1   only newline-terminated lines are decided, by `verdict.ts` alone
 *   O11  live segments are the contiguous run that ends in the highest number; ENOENT means: list again
 *   O12  after a rewind nothing from before survives, except decided fates of own records
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { assertFolder, openRegularFile } from "../fs/regular-file.js";
import { liveRun, segmentNumber, type Layout } from "../format/layout.js";
import { LINE_BYTES_MAX } from "../format/limits.js";
import { parseLogLine, type LogLine, type LogRecord } from "../format/log-line.js";
import type { StoredObject } from "../format/stored-value.js";
import { Segment } from "./segment.js";
import { decide } from "./verdict.js";

/** Told about everything that the log says, in log order, before `catchUp` returns. */
export interface LogObserver {
  /** @param after What each op made of its session, if this process has just composed the record. */
  committed(
    segment: Segment,
    record: LogRecord,
    revision: number,
    after?: readonly (StoredObject | undefined)[],
  ): void;
  /** Reading goes on in the segment behind a sealed one. */
  entered(segment: Segment): void;
  /** A process has checkpointed a segment; its keys no longer need to be remembered. */
  dropped(segment: Segment): void;
  /** This process slept through whole segments: forget everything, reading begins anew. */
  rewound(): void;
  /** A hole that a power cut left ended a segment early. */
  foundHole(segment: Segment): void;
  /** A line that is none: cut short by a full disk or a crash, or damaged later. */
  foundMalformed?(segment: Segment, offset: number, reason: string): void;
}

const REENTERED =
  "a session store was used from inside a function that it calls while it reads its log (the updatedAt option)";
/** After this many new bytes the tail reads again for more; but not for ever, if others write faster than it reads. */
const CHASE_BYTES = 4096;
const CHASES_MAX = 16;
const READ_BYTES = 1024 * 1024;
/** How often listing and opening may disagree before something is wrong with the folder itself. */
const ATTEMPTS_MAX = 200;

export class LogTail {
  /** Live segments as far as this process has read, lowest first; the last one is where it reads. */
  segments: Segment[] = [];
  /** Counts rewinds: what was learnt under another epoch is outdated. */
  epoch = 0;
  /** Bytes of the latest read; shared with the writer, which compares its read-back in place. */
  buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #active: Segment | undefined;
  #deciding = false;
  /** Bytes of all lines that were decided. */
  #decided = 0;

  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly storeId: string,
    private readonly access: "read" | "append",
    private readonly observer: LogObserver,
  ) {}

  /** The segment that this process has read up to. */
  get active(): Segment {
    return this.#active ?? this.rewind();
  }

  /** The same, if there is one; it never reads. */
  get current(): Segment | undefined {
    return this.#active;
  }

  /** Revision of the latest commit that was read. */
  get revision(): number {
    return this.active.ledger.lastRevision;
  }

  /** Reads everything that was appended before this call. One system call when that is nothing. */
  catchUp(): void {
    for (let chase = 0; chase < CHASES_MAX; chase++) {
      const before = this.#decided;
      while (this.advance());
      // Deciding a lot takes so long that more has come: a commit composed now would be overtaken already.
      if (this.#decided - before < CHASE_BYTES) return;
    }
  }

  /**
   * Reads at most one buffer or moves one segment on, so that a long log can be read in slices.
   * @returns Whether there may be more.
   */
  advance(): boolean {
    if (this.#deciding) throw new TypeError(REENTERED);
    const segment = this.#active ?? this.rewind();
    if (segment.ledger.sealed) return this.#enterNext(segment);
    if (segment.oversize !== undefined) return this.#skipOversize(segment);
    const count = this.fill(segment, 0);
    if (count === segment.undecided && count < this.buffer.length) return this.#atEnd(segment);
    return this.decideBuffered(segment, count) || segment.ledger.sealed || this.#atEnd(segment);
  }

  /**
   * Reads on behind the first `filled` bytes of `buffer`, until the buffer is full or the file ends. A read that came
   * back short is not the end: the next one may say that there is a bad sector, and a log cut off there is no answer.
   */
  fill(segment: Segment, filled: number): number {
    const { buffer } = this;
    while (filled < buffer.length) {
      const count = this.fs.read(
        segment.fd,
        buffer,
        filled,
        buffer.length - filled,
        segment.position + filled,
      );
      if (count === 0) break;
      filled += count;
    }
    return filled;
  }

  /**
   * Decides the lines among the first `count` bytes of `buffer`, which were read at the segment's position.
   * @returns Whether the buffer was full, so that there is more to read.
   */
  decideBuffered(segment: Segment, count: number): boolean {
    this.#deciding = true;
    try {
      return this.#decideLines(segment, count);
    } finally {
      this.#deciding = false;
    }
  }

  #decideLines(segment: Segment, count: number): boolean {
    const bytes = count === this.buffer.length ? this.buffer : this.buffer.subarray(0, count);
    let start = 0;
    while (!segment.ledger.sealed) {
      const newline = bytes.indexOf(0x0a, start);
      if (newline < 0) break; // O1
      const line = parseLogLine(bytes, start, newline);
      // An empty line is what two writers leave that both end the same torn one.
      if (line.kind === "malformed" && newline > start) {
        this.observer.foundMalformed?.(segment, segment.position + start, line.reason);
      }
      this.#decide(segment, line);
      start = newline + 1;
    }
    segment.position += start;
    this.#decided += start;
    segment.undecided = segment.ledger.sealed ? 0 : count - start;
    if (segment.ledger.sealed || count < this.buffer.length) return false;
    if (start === 0) this.#growBuffer(segment, count);
    return true;
  }

  #atEnd(segment: Segment): false {
    // The header is published together with the segment's name (O7), so this is damage and not a race.
    if (segment.ledger.firstRevision === undefined) throw damaged(segment, "it has no valid header line");
    return false;
  }

  #decide(segment: Segment, line: LogLine): void {
    if (line.kind === "header" && segment.ledger.firstRevision === undefined)
      this.#checkHeader(segment, line);
    const verdict = decide(segment.ledger, line);
    if (verdict.fate === "committed") this.observer.committed(segment, verdict.record, verdict.revision);
    else if (verdict.fate === "sealed" && verdict.hole) this.observer.foundHole(segment);
  }

  #checkHeader(segment: Segment, line: LogLine & { kind: "header" }): void {
    if (line.header.store !== this.storeId) {
      throw new SessionStoreError(
        "log_foreign",
        `${segment.path} belongs to store ${line.header.store}, not to ${this.storeId}. ` +
          "Two stores were mixed by a copy: restore one of them into an empty folder.",
        { data: { path: segment.path, found: line.header.store, expected: this.storeId } },
      );
    }
    const before = this.segments.at(-2)?.ledger.lastRevision ?? 0;
    if (line.header.firstRevision <= before) throw damaged(segment, "its first revision goes back");
  }

  /** A line does not fit the buffer: make room up to the longest valid line, then skip. */
  #growBuffer(segment: Segment, count: number): void {
    if (this.buffer.length <= LINE_BYTES_MAX) {
      this.buffer = Buffer.allocUnsafeSlow(Math.min(this.buffer.length * 4, LINE_BYTES_MAX + 1));
    } else {
      segment.oversize = { scanned: segment.position + count, hole: this.buffer.includes(0) };
    }
  }

  /** Looks for the end of a line that is too long to be valid, without keeping it. */
  #skipOversize(segment: Segment): boolean {
    const line = segment.oversize;
    if (line === undefined) return true;
    const count = this.fs.read(segment.fd, this.buffer, 0, this.buffer.length, line.scanned);
    const newline = this.buffer.subarray(0, count).indexOf(0x0a);
    const end = newline < 0 ? count : newline;
    line.hole ||= this.buffer.subarray(0, end).includes(0);
    line.scanned += end;
    if (newline < 0) {
      segment.undecided = line.scanned - segment.position;
      return count === this.buffer.length || this.#atEnd(segment);
    }
    if (!line.hole) this.observer.foundMalformed?.(segment, segment.position, "longer than a line may be");
    segment.position = line.scanned + 1;
    segment.undecided = 0;
    segment.oversize = undefined;
    this.#decide(segment, line.hole ? { kind: "hole" } : { kind: "malformed", reason: "too long" });
    return true;
  }

  /** Behind a seal: opens the next segment. False when there is none yet. */
  #enterNext(sealed: Segment): boolean {
    // A hole in place of the header: what the segment's revisions were is lost with it.
    if (sealed.ledger.firstRevision === undefined) throw damaged(sealed, "it has no valid header line");
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const next = this.#open(sealed.number + 1);
      if (next !== undefined) {
        this.segments.push(next);
        this.#active = next;
        this.dropBelow(liveRun(this.listLog())[0] ?? 0);
        this.observer.entered(next);
        return true;
      }
      // "Not made yet" and "already gone" look alike; what else is in the folder tells them apart.
      const numbers = this.listLog();
      const highest = Math.max(0, ...numbers);
      if (highest === sealed.number) return false;
      if (numbers.includes(sealed.number + 1)) continue;
      this.rewind();
      return true;
    }
    throw unstable(this.layout.log);
  }

  /** Forgets everything and begins at the lowest live segment. */
  rewind(): Segment {
    const previous = this.segments;
    this.segments = [];
    this.#active = undefined;
    for (const segment of previous) segment.drop();
    this.epoch++;
    this.observer.rewound();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [lowest] = liveRun(this.listLog());
      if (lowest === undefined) {
        throw new SessionStoreError("log_damaged", `${this.layout.log} has no segment`, {
          data: { path: this.layout.log },
        });
      }
      const segment = this.#open(lowest);
      if (segment === undefined) continue;
      this.segments = [segment];
      this.#active = segment;
      return segment;
    }
    throw unstable(this.layout.log);
  }

  /** Lets go of segments that were checkpointed and unlinked. The one that is read stays. */
  dropBelow(number: number): void {
    while (this.segments.length > 1) {
      const [lowest] = this.segments;
      if (lowest === undefined || lowest.number >= number) return;
      this.segments.shift();
      this.observer.dropped(lowest);
      lowest.drop();
    }
  }

  /** Numbers of the segment files in `log/`, live or not. */
  listLog(): number[] {
    return this.fs
      .readdir(this.layout.log)
      .map(segmentNumber)
      .filter((number) => number !== undefined);
  }

  close(): void {
    for (const segment of this.segments) segment.drop();
    this.segments = [];
    this.#active = undefined;
  }

  #open(number: number): Segment | undefined {
    const { fs, layout } = this;
    const path = layout.segment(number);
    try {
      for (const folder of [layout.store, layout.log]) assertFolder(fs, folder);
      const limits = { bytesMax: Number.MAX_SAFE_INTEGER };
      const { fd, status } = openRegularFile(fs, path, this.access, limits);
      return new Segment(number, path, fd, status, fs);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}

function damaged(segment: Segment, why: string): SessionStoreError {
  return new SessionStoreError(
    "log_damaged",
    `${segment.path} is damaged: ${why}. Nothing was changed; restore this file from a backup.`,
    { data: { path: segment.path, segment: segment.number } },
  );
}

function unstable(path: string): SessionStoreError {
  return new SessionStoreError("log_damaged", `${path} changes faster than it can be listed`, {
    data: { path },
  });
}
