/**
 * One segment of the commit log as this process knows it: an open descriptor, how far it was decided, and
 * what the decided lines add up to.
 *
 * The descriptor outlives the file's name. It is closed when the segment was dropped AND no call uses it any
 * more: an fdatasync on the thread pool must never meet a descriptor number that was closed and given to
 * another file.
 */
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { newLedger, type SegmentLedger } from "./segment-ledger.js";

export class Segment {
  /** Bytes of decided lines; the next line starts here. */
  position = 0;
  /** Where the latest decided line begins. */
  lastLineAt = 0;
  /** Bytes behind `position` that were read and have no newline yet. */
  undecided = 0;
  /** A line longer than any valid one is skipped, not kept: how far it was scanned, and whether it has a NUL. */
  oversize: { scanned: number; zeros: boolean } | undefined;
  /** Size that the file was found to have although this process had read more of it: something cut it off. */
  cutAt: number | undefined;
  /** It is followed, and its seal could not be read, or is in the wrong place: where it ended is not known. */
  endUnknown = false;
  /** There are NUL bytes among the first ones that cannot be read. */
  zeros = false;
  /** This process has fsynced `log/` since the segment came into being (ordering rule O6). */
  directorySynced = false;

  #users = 0;
  #dropped = false;
  #closed = false;

  constructor(
    readonly number: number,
    readonly path: string,
    readonly fd: number,
    /** As it was when it was opened. */
    readonly identity: Pick<FileStatus, "inode" | "device" | "links" | "modifiedAt">,
    private readonly fs: FileSystem,
    readonly ledger: SegmentLedger = newLedger(number),
  ) {}

  /** Revision of the segment's first byte. Only for a segment whose header was read. */
  get firstRevision(): number {
    return this.ledger.firstRevision ?? Number.MAX_SAFE_INTEGER;
  }

  /** Least revision of the next segment's first byte. Only for a segment that was read to its seal. */
  get nextFirstRevision(): number {
    return Math.max(this.firstRevision + this.position, this.ledger.wantedFirstRevision);
  }

  /** Ends a segment that has no seal, at the last byte that was read. */
  end(): void {
    this.position = this.oversize?.scanned ?? this.position + this.undecided;
    this.undecided = 0;
    this.ledger.sealed = true;
  }

  /** Ends a segment of which the seal cannot be read, and another one follows. */
  endSomewhere(): void {
    this.ledger.sealed = true;
    this.endUnknown = true;
  }

  /** Forgets what was found behind bytes that this process had read: it is not what stood there. */
  forgetBehind(position: number): void {
    this.position = position;
    this.undecided = 0;
    this.ledger.gap = undefined;
    this.ledger.behind.clear();
    this.ledger.transcriptsBehind.clear();
  }

  /** There are bytes that this process cannot read, so it decides nothing behind them. */
  get damaged(): boolean {
    return this.ledger.gap !== undefined;
  }

  /** The descriptor is gone: the segment was checkpointed and let go of, or the store was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Keeps the descriptor open until the function that it returns was called. Only for a segment that is not closed. */
  hold(): () => void {
    this.#users++;
    return () => {
      this.#users--;
      this.#closeIfIdle();
    };
  }

  drop(): void {
    this.#dropped = true;
    this.#closeIfIdle();
  }

  #closeIfIdle(): void {
    if (!this.#dropped || this.#users > 0 || this.#closed) return;
    this.#closed = true;
    try {
      this.fs.close(this.fd);
    } catch {
      // The descriptor is gone even so, and what became of the data is fdatasync's to tell.
    }
  }
}
