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
import { isTorn, parseLogLines, type LogLine } from "../format/log-line.js";
import type { StoredObject } from "../format/stored-value.js";
import { mentionRest, sealOfCut } from "./cut-segment.js";
import { GapFinder, type GapObserver } from "./gap-finder.js";
import { beginsAsHinted, type HintedSegment } from "./hinted-segment.js";
import { unstable } from "./log-failures.js";
import { Segment } from "./segment.js";
import type { SegmentLedger } from "./segment-ledger.js";
import { decide, type Committed } from "./verdict.js";

/** Told about everything that the log says, in log order, before `catchUp` returns. */
export interface LogObserver extends GapObserver {
  /** @param after What each op made of its session, if this process has just composed the record. */
  committed(segment: Segment, commit: Committed, after?: readonly (StoredObject | undefined)[]): void;
  /** The segment's seal was read. */
  sealed?(segment: Segment): void;
  /** Reading goes on in the segment behind a sealed one. */
  entered(segment: Segment): void;
  /** A process has checkpointed a segment; its keys no longer need to be remembered. */
  dropped(segment: Segment): void;
  /** This process slept through whole segments: forget everything, reading begins anew. */
  rewound(): void;
  /** A line that was written so and counts for nothing. */
  foundMalformed?(segment: Segment, offset: number, reason: string): void;
}

const REENTERED =
  "a session store was used from inside a function that it calls while it reads its log (the updatedAt option)";
/** After this many new bytes the tail reads again for more; but not for ever, if others write faster than it reads. */
const CHASE_BYTES = 4096;
const CHASES_MAX = 16;
const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
/** How often listing and opening may disagree before something is wrong with the folder itself. */
const ATTEMPTS_MAX = 200;
/** Behind what was torn a writer appends one line more; if that would be longer than this, it makes it a seal. */
export const TORN_BYTES_MAX = 2 * LINE_BYTES_MAX;

export class LogTail {
  /** Live segments as far as this process has read, lowest first; the last one is where it reads. */
  segments: Segment[] = [];
  /** Counts rewinds: what was learnt under another epoch is outdated. */
  epoch = 0;
  /** Bytes of the latest read; shared with the writer, which compares its read-back in place. */
  buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  #active: Segment | undefined;
  #deciding = false;
  readonly #gaps: GapFinder;
  /** Of the segments that were seen to be there. */
  #highest = 0;
  /** Bytes of all lines that were decided. */
  #decided = 0;

  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly storeId: string,
    private readonly access: "read" | "append",
    private readonly observer: LogObserver,
    /** Name of this process's own writer, whose records it knows even where it has not read them. */
    writer = "",
  ) {
    this.#gaps = new GapFinder(fs, observer, writer);
  }

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
    this.#gaps.assertNotContradicted();
    const segment = this.#active ?? this.rewind();
    if (segment.ledger.sealed) return this.#enterNext(segment);
    if (segment.cutAt !== undefined) return this.#endCut(segment);
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
      const newline = bytes.indexOf(NEWLINE, start);
      if (newline < 0) break; // O1
      for (const { at, from, line } of parseLogLines(bytes, start, newline)) {
        if (at === 0 && !this.#follows(segment, line)) return true;
        const end = segment.position + newline + 1;
        this.#decide(segment, line, end, segment.position + at, segment.position + from);
      }
      segment.lastLineAt = segment.position + start;
      start = newline + 1;
    }
    segment.position += start;
    this.#decided += start;
    segment.undecided = segment.ledger.sealed ? 0 : count - start;
    if (segment.ledger.sealed && segment.damaged) mentionRest(this.fs, segment);
    if (segment.ledger.sealed || count < this.buffer.length) return false;
    if (start === 0) this.#growBuffer(segment, count);
    return true;
  }

  /**
   * Whether the next line follows what this process has read.
   * @throws `log_damaged` if not, for a process that writes: others went on without what it has read.
   */
  #follows(segment: Segment, line: LogLine): boolean {
    const unread = this.#gaps.unreadBefore(segment, line);
    if (unread === undefined) return true;
    if (this.access === "append") this.#gaps.contradict(segment, unread);
    this.rewind();
    return false;
  }

  /**
   * Of a segment that was cut off: others have not gone on from what was left.
   * @throws `log_damaged` if they have. Then this process must not.
   */
  assertAllRead(segment: Segment): void {
    this.#gaps.assertAllRead(segment);
  }

  #atEnd(segment: Segment): boolean {
    // The header is published together with the segment's name (O7), so this is damage and not a race.
    if (segment.ledger.firstRevision === undefined)
      this.#gaps.beginWithoutHeader(segment, this.#hasZerosAtEnd(segment));
    this.#gaps.lookForDurable(segment);
    if (!this.isFollowed(segment)) {
      if (segment.undecided === 0 && !segment.damaged) return false;
      // What cannot be read may have been its seal. If so, read once more: its end may have come just before the list.
      this.listLog();
      return this.isFollowed(segment);
    }
    // It was followed before we read it, so its seal must be here: it is in bytes that cannot be read, or was cut off.
    if (!segment.damaged && this.#endCut(segment)) return true;
    this.#gaps.endWithoutSeal(segment);
    return true;
  }

  /** @returns Whether another process has ended the segment where it was cut off. */
  #endCut(segment: Segment): boolean {
    const seal = sealOfCut(this.fs, segment);
    if (seal !== undefined) this.#decide(segment, seal, segment.position, segment.position);
    return segment.ledger.sealed;
  }

  /** Whether another segment was seen to follow. */
  isFollowed({ number }: Segment): boolean {
    return number < this.#highest;
  }

  /** What was read behind the last newline. */
  undecided(segment: Segment): Buffer {
    return this.buffer.subarray(0, this.fill(segment, 0));
  }

  /**
   * Whether what stands behind the last newline are torn writes, to which a line may be glued. If not, it is a gap, and
   * entered as one.
   */
  isTornAtEnd(segment: Segment): boolean {
    if (segment.undecided === 0) return true;
    if (segment.oversize !== undefined) return false;
    const bytes = this.undecided(segment);
    if (bytes.includes(NEWLINE)) return true; // others have gone on, and whoever reads on decides it
    return isTorn(bytes, 0, bytes.length);
  }

  /** Bytes at the end that are no torn write: from there on this process decides nothing. */
  gapAtEnd(segment: Segment): void {
    if (segment.ledger.gap !== undefined) return;
    const reason = "it does not end with the beginning of a line";
    this.#gaps.found(segment, segment.position, reason, this.#hasZerosAtEnd(segment));
  }

  #hasZerosAtEnd(segment: Segment): boolean {
    return segment.oversize?.zeros ?? this.undecided(segment).includes(0);
  }

  #decide(segment: Segment, line: LogLine, end: number, offset: number, from = offset): void {
    if (segment.ledger.firstRevision === undefined) {
      const isHeader = line.kind === "header" && line.header.segment === segment.number && offset === 0;
      if (isHeader) this.#checkHeader(segment, line);
      else this.#gaps.beginWithoutHeader(segment, line.kind === "unreadable" && line.zeros);
    }
    const { gap } = segment.ledger;
    const verdict = decide(segment.ledger, line, offset, end, from);
    if (verdict.fate === "committed") this.observer.committed(segment, verdict);
    else if (verdict.fate === "sealed") {
      if (gap === undefined) this.#gaps.foundBySeal(segment, "it was cut off there");
      if (segment.ledger.sealedBytes !== undefined && !segment.damaged) this.#gaps.assertAllRead(segment);
      this.observer.sealed?.(segment);
    } else if (line.kind === "malformed") this.observer.foundMalformed?.(segment, offset, line.reason);
    else if (verdict.fate === "undecided" && gap === undefined) this.#gaps.foundByLine(segment, line, from);
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
    const before = this.segments.at(-2);
    if (before === undefined) return;
    this.#gaps.settle(before, line.header);
    this.observer.sealed?.(before);
  }

  /** What has no newline yet does not fit the buffer: make room up to the most that may stand there, then skip. */
  #growBuffer(segment: Segment, count: number): void {
    if (this.buffer.length <= TORN_BYTES_MAX) {
      this.buffer = Buffer.allocUnsafeSlow(Math.min(this.buffer.length * 4, TORN_BYTES_MAX + 1));
    } else {
      segment.oversize = { scanned: segment.position + count, zeros: this.buffer.includes(0) };
    }
  }

  /** Looks for the end of a line that is too long to be valid, without keeping it. */
  #skipOversize(segment: Segment): boolean {
    const line = segment.oversize;
    if (line === undefined) return true;
    const count = this.fs.read(segment.fd, this.buffer, 0, this.buffer.length, line.scanned);
    const newline = this.buffer.subarray(0, count).indexOf(NEWLINE);
    const end = newline < 0 ? count : newline;
    line.zeros ||= this.buffer.subarray(0, end).includes(0);
    line.scanned += end;
    if (newline < 0) {
      segment.undecided = line.scanned - segment.position;
      return count === this.buffer.length || this.#atEnd(segment);
    }
    const reason = "longer than a line may be";
    const behind = line.scanned + 1;
    this.#decide(segment, { kind: "unreadable", reason, zeros: line.zeros }, behind, segment.position);
    segment.position = behind;
    segment.undecided = 0;
    segment.oversize = undefined;
    return true;
  }

  /** Behind a seal: opens the next segment. False when there is none yet. */
  #enterNext(sealed: Segment): boolean {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const next = this.#open(sealed.number + 1);
      if (next !== undefined) {
        this.segments.push(next);
        this.#active = next;
        this.dropCheckpointed();
        this.observer.entered(next);
        return true;
      }
      // "Not made yet" and "already gone" look alike; what else is in the folder tells them apart.
      const numbers = this.listLog();
      const highest = Math.max(0, ...numbers);
      if (highest === sealed.number) {
        this.#lookBehindLastSeal(sealed);
        return false;
      }
      if (numbers.includes(sealed.number + 1)) continue;
      this.rewind();
      return true;
    }
    throw unstable(this.layout.log);
  }

  /** A seal in front of bytes that were durable is a block in a place that is not its own. */
  #lookBehindLastSeal(sealed: Segment): void {
    if (sealed.damaged || sealed.position >= (this.observer.durableBytes?.(sealed) ?? 0)) return;
    mentionRest(this.fs, sealed);
    this.#gaps.found(sealed, sealed.position, "it was sealed in front of its end", false);
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

  /**
   * Begins where another process had come to, if the live log still begins with the bytes that it had read (H1).
   * @param hinted Lowest first; those in front of the live log count for nothing.
   * @returns Whether it does. If not, nothing has happened: reading begins with the lowest live segment.
   */
  *resume(hinted: readonly HintedSegment[]): Generator<void, boolean> {
    const live = liveRun(this.listLog());
    const wanted = hinted.filter(({ number }) => number >= (live[0] ?? 0));
    if (wanted.length === 0 || !wanted.every(({ number }, index) => number === live[index])) return false;
    const segments: Segment[] = [];
    let same = true;
    try {
      for (const known of wanted) {
        const segment: Segment | undefined = same ? this.#open(known.number, known.ledger) : undefined;
        if (segment !== undefined) segments.push(segment);
        same &&= segment !== undefined && (yield* beginsAsHinted(this.fs, segment, known, this.buffer));
      }
    } catch (error) {
      same = false;
      throw error;
    } finally {
      if (!same) for (const segment of segments) segment.drop();
    }
    if (same) {
      this.segments = segments;
      this.#active = segments.at(-1);
    }
    return same;
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

  /** The same for all that other processes have checkpointed, too: it lists the log. */
  dropCheckpointed(): void {
    this.dropBelow(liveRun(this.listLog())[0] ?? 0);
  }

  /** Numbers of the segment files in `log/`, live or not. */
  listLog(): number[] {
    const numbers = this.fs
      .readdir(this.layout.log)
      .map(segmentNumber)
      .filter((number) => number !== undefined);
    this.#highest = Math.max(0, ...numbers);
    return numbers;
  }

  close(): void {
    for (const segment of this.segments) segment.drop();
    this.segments = [];
    this.#active = undefined;
  }

  #open(number: number, ledger?: SegmentLedger): Segment | undefined {
    const { fs, layout } = this;
    const path = layout.segment(number);
    try {
      for (const folder of [layout.store, layout.log]) assertFolder(fs, folder);
      const { fd, status } = openRegularFile(fs, path, this.access, { bytesMax: Number.MAX_SAFE_INTEGER });
      return new Segment(number, path, fd, status, fs, ledger);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}
