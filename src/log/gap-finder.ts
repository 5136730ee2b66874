/**
 * What a process makes of a segment that it cannot read, or that is not what it has read: where a gap begins, and whether
 * other processes went on without what stands there.
 *
 * A gap is entered in the segment's ledger, once; behind it `verdict.ts` decides nothing (rule 6), and the observer is
 * told. A contradiction ends the process's use of the log: others have gone on from less than it has read, and a caller
 * may have been told of the rest. Nothing here writes.
 */
import type { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import type { LogHeader, LogLine } from "../format/log-line.js";
import { mentionRest, unreadRecord } from "./cut-segment.js";
import { contradicted, damaged } from "./log-failures.js";
import type { Segment } from "./segment.js";
import { settle } from "./verdict.js";

export interface GapObserver {
  /** Where a segment begins whose header cannot be read, if anything else says it. */
  beginningOf?(segment: Segment): { readonly firstRevision: number; readonly after: number } | undefined;
  /** How many bytes of a segment were durable, so that they must be there; 0 if nothing says it. */
  durableBytes?(segment: Segment): number;
  /** Bytes that cannot be read, the first ones in the segment: behind them this process decides nothing. */
  foundGap?(segment: Segment, offset: number, reason: string): void;
}

export class GapFinder {
  /** Others went on from less than this process has read. It must not. */
  #contradiction: SessionStoreError | undefined;

  constructor(
    private readonly fs: FileSystem,
    private readonly observer: GapObserver,
    /** Name of this process's own writer, whose records it knows even where it has not read them. */
    private readonly writer: string,
  ) {}

  /** Enters a gap that begins at an offset. */
  found(segment: Segment, offset: number, reason: string, zeros: boolean): void {
    segment.ledger.gap = offset;
    segment.zeros = zeros;
    this.observer.foundGap?.(segment, offset, reason);
  }

  /** The ledger has a gap that it had not before, if it has one. */
  foundBySeal(segment: Segment, reason: string): void {
    const { gap } = segment.ledger;
    if (gap !== undefined) this.found(segment, gap, reason, false);
  }

  /** Of a line that is not decided, which is no gap behind another one: a gap begins with it, or with a commit that it builds on. */
  foundByLine(segment: Segment, line: LogLine, from: number): void {
    const offset = segment.ledger.gap ?? from;
    const { reason, zeros } =
      line.kind === "unreadable"
        ? line
        : { reason: offset < from ? "a commit of it is not there" : "it belongs elsewhere", zeros: false };
    this.found(segment, offset, reason, zeros);
  }

  /**
   * The first line is no header, so that is damaged. What else says where the segment begins is believed, but nothing behind it.
   * @throws `log_damaged` while nothing says it. A checkpoint of another process may say it later, so until then no line is passed
   *   over: the sessions that it mentions would be forgotten.
   */
  beginWithoutHeader(segment: Segment, zeros: boolean): void {
    const beginning = this.observer.beginningOf?.(segment);
    if (beginning === undefined) throw damaged(segment, "it has no valid header line");
    const { ledger } = segment;
    ledger.firstRevision = beginning.firstRevision;
    ledger.after = beginning.after;
    ledger.lastRevision = beginning.after;
    this.found(segment, 0, "it has no valid header line", zeros);
  }

  /** Of a segment that was read to its end: whether all is there that was durable. */
  lookForDurable(segment: Segment): void {
    const durable = this.observer.durableBytes?.(segment) ?? 0;
    if (segment.damaged || segment.position >= durable) return;
    const end = segment.position + segment.undecided;
    const reason = end < durable ? `it was cut off at byte ${end}` : "its end is damaged";
    this.found(segment, segment.position, reason, false);
  }

  /** Another segment follows, so this one had a seal: it is in bytes that cannot be read, or was cut off. */
  endWithoutSeal(segment: Segment): void {
    segment.endSomewhere();
    if (segment.ledger.gap === undefined) this.found(segment, segment.position, "its seal is missing", false);
  }

  /**
   * Settles what a segment left open, with the header of the next one.
   * @throws `log_damaged` if the header takes back what this process has decided.
   */
  settle(sealed: Segment, header: LogHeader): void {
    if (header.firstRevision <= sealed.ledger.lastRevision)
      this.contradict(sealed, Math.max(0, header.firstRevision - sealed.firstRevision));
    const known = sealed.damaged;
    if (!settle(sealed.ledger, header))
      this.contradict(sealed, Math.max(0, header.after + 1 - sealed.firstRevision)); // before anything of the next one counts
    if (known || !sealed.damaged) return;
    mentionRest(this.fs, sealed, header.after);
    this.foundBySeal(sealed, "a commit of it is not there");
  }

  /**
   * Where others went on without what this process has read, if the next line does not follow that. It need not where the
   * segment was cut off, and the file is longer again: then the line cannot be read, or is not the next one of its writer.
   */
  unreadBefore(segment: Segment, line: LogLine): number | undefined {
    if (segment.damaged || segment.position === 0) return undefined;
    if (line.kind === "record") {
      const { w, n } = line.record;
      if (n <= (segment.ledger.numbers.get(w) ?? 0) + 1) return undefined;
    } else if (line.kind !== "unreadable") return undefined;
    return unreadRecord(this.fs, segment, this.writer);
  }

  /**
   * Of a segment that was cut off: others have not gone on from what was left.
   * @throws `log_damaged` if they have. Then this process must not.
   */
  assertAllRead(segment: Segment): void {
    const unread = unreadRecord(this.fs, segment, this.writer);
    if (unread !== undefined) this.contradict(segment, unread);
  }

  /**
   * Others went on without what this process has read behind an offset.
   * @throws `log_damaged`, now and from now on.
   */
  contradict(segment: Segment, offset: number): never {
    this.#contradiction = contradicted(segment, offset);
    throw this.#contradiction;
  }

  /** @throws `log_damaged` if others were found to have gone on without what this process has read. */
  assertNotContradicted(): void {
    if (this.#contradiction !== undefined) throw this.#contradiction;
  }
}
