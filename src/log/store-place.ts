/**
 * Whether the log still stands where the store's path leads.
 *
 * A process works through open descriptors, and those outlive names: after `rm -rf` of the store, or when a backup was
 * moved to its place, every append and every fdatasync still succeeds, in files that no process will ever find again.
 * So it checks the one thing that all of it hangs on: that the path that was opened leads to the very segment that it
 * has open. One lstat shows that the root, `.store`, `log/` and the segment are what they were.
 *
 *   - Behind every fdatasync, off the caller's thread, before a caller hears that a commit is durable (log-syncer.ts).
 *   - Before any other answer, if the last check is longer ago than {@link PLACE_CHECK_MS}.
 *
 * A segment leaves its name in one way only: a later one exists and the checkpoint has unlinked it; then it is sealed.
 * Every other absence, and any other file in its place, is `store_gone`. Each check asks anew: a store that
 * was moved away for a moment and put back goes on. A check changes nothing, so a crash leaves nothing behind.
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { readRegularFile } from "../fs/regular-file.js";
import { isSameFile, type Identity } from "../fs/status.js";
import { Layout, segmentNumber } from "../format/layout.js";
import { endsAsRead } from "./cut-segment.js";
import type { Segment } from "./segment.js";

/** Answers, and commits that are not synced, rest on a check that is at most this old. */
export const PLACE_CHECK_MS = 1000;

const FORMAT_BYTES_MAX = 64 * 1024;

export interface PlaceOptions {
  readonly fs: FileSystem;
  /** The path that was opened, absolute, with its symlinks: one that leads elsewhere since is news as well. */
  readonly path: string;
  /** The folder that was opened, by way of its descriptor. */
  readonly layout: Layout;
  /** Its identity. */
  readonly root: Identity;
  readonly storeId: string;
  /** Milliseconds on a clock that never goes back. */
  readonly monotonic: () => number;
  /** A segment turned out to be shorter than what was read of it ({@link Segment.cutAt}). */
  readonly onCut: () => void;
}

/** How far this process has read. */
export interface Reading {
  /** Where it reads; undefined between two starts. */
  readonly current: Segment | undefined;
  catchUp(): void;
  /** Finds out which segments there are. */
  listLog(): number[];
}

export class StorePlace {
  /** The store's files by way of its path, as the next process to open it will find them. */
  readonly #named: Layout;
  #checkedAt: number;
  /** The segment that was found to be cut off. */
  #cut: Segment | undefined;

  constructor(
    private readonly options: PlaceOptions,
    private readonly reading: Reading,
  ) {
    this.#named = new Layout(options.path);
    this.#checkedAt = options.monotonic(); // it was just opened
  }

  /**
   * Checks off the caller's thread, behind a sync of this segment.
   * @throws `store_gone`
   */
  async assertInPlace(segment: Segment): Promise<void> {
    const { later } = this.options.fs;
    const { number, position } = segment;
    const status = await later
      .lstat(this.#named.segment(number))
      .catch(absent)
      // The way may have been closed to us since (EACCES): then only the descriptor leads there.
      .catch(() => later.lstat(segment.path).catch(absent));
    this.#judge(segment, status, position);
  }

  /**
   * Checks at once, unless the last check is of this second.
   * @throws `store_gone`
   */
  assertInPlaceIfDue(): void {
    if (this.options.monotonic() - this.#checkedAt <= PLACE_CHECK_MS) return;
    const { current } = this.reading;
    if (current === undefined) this.#assertStoreThere();
    else {
      const status = this.#statusOf(this.#named.segment(current.number), current.path);
      this.#judge(current, status, current.position);
      this.lookIfCut(current);
    }
  }

  /** Looks whether the latest line that was read of a segment is still there; if not, the segment is marked as cut off. */
  lookIfCut(segment: Segment): void {
    if (this.#cut === segment || segment.ledger.sealed || endsAsRead(this.options.fs, segment)) return;
    this.#wasCut(segment, segment.lastLineAt);
  }

  /** What to say of a failure: `store_gone` if it comes from that, otherwise the failure itself. Never throws. */
  explain(error: unknown): unknown {
    if (!mayComeOfAbsence(error)) return error;
    try {
      this.#assertStoreThere();
      const { current } = this.reading;
      if (current !== undefined) this.#assertSegmentThere(current);
    } catch (found) {
      if (isStoreGone(found)) return found;
    }
    return error;
  }

  /** @param position How far the segment had been read before the status was asked for. */
  #judge(segment: Segment, status: FileStatus | undefined, position: number): void {
    if (status === undefined || !isSameFile(status, segment.identity)) {
      this.#checkedAt = Number.NEGATIVE_INFINITY; // once it is gone, every call checks
      this.#assertStoreThere();
      this.#assertSegmentThere(segment);
    } else if (status.size < position) this.#wasCut(segment, status.size);
    this.#checkedAt = this.options.monotonic();
  }

  /** A process that cannot read all of a segment has nothing to add to it. */
  #wasCut(segment: Segment, at: number): void {
    if (segment === this.#cut || segment.damaged) return;
    this.#cut = segment;
    segment.cutAt ??= at;
    this.options.onCut();
  }

  /** The folder that was opened, and in it the store that was. */
  #assertStoreThere(): void {
    const { path, root, storeId, layout } = this.options;
    const status = this.#statusOf(`${path}/.`, `${layout.root}/.`);
    if (status === undefined) throw gone(path, false);
    if (!isSameFile(status, root)) throw gone(path, true);
    const found = this.#storeIdThere();
    if (found === undefined) throw gone(path, false);
    if (found !== storeId) throw gone(path, true);
  }

  /** A segment that has no name any more was checkpointed: a later one is there, and it ends in a seal. */
  #assertSegmentThere(segment: Segment): void {
    const { path } = this.options;
    const { number } = segment;
    const status = this.#statusOf(this.#named.segment(number), segment.path);
    if (status !== undefined) {
      if (isSameFile(status, segment.identity)) return;
      throw gone(path, true);
    }
    const numbers = this.#segmentsThere();
    const highest = Math.max(0, ...numbers);
    if (highest <= number) throw gone(path, highest > 0);
    if (this.reading.current !== segment) return; // read to its seal, or slept through it
    this.reading.listLog(); // of a damaged segment the seal may be what cannot be read
    this.reading.catchUp();
    if (this.reading.current === segment && !segment.ledger.sealed) throw gone(path, true);
  }

  #statusOf(named: string, byDescriptor: string): FileStatus | undefined {
    const { fs } = this.options;
    try {
      return fs.lstat(named);
    } catch (error) {
      if (isAbsence(error)) return undefined;
    }
    try {
      return fs.lstat(byDescriptor);
    } catch (error) {
      return absent(error);
    }
  }

  /** Undefined: there is none. A file that is damaged or cannot be read is no news of where the store is. */
  #storeIdThere(): string | undefined {
    const { fs, storeId } = this.options;
    try {
      const bytes = readRegularFile(fs, this.#named.format, { bytesMax: FORMAT_BYTES_MAX });
      const found: unknown = (JSON.parse(bytes.toString()) as { storeId?: unknown }).storeId;
      return typeof found === "string" ? found : storeId;
    } catch (error) {
      return isAbsence(error) ? undefined : storeId;
    }
  }

  #segmentsThere(): number[] {
    const { fs, layout } = this.options;
    try {
      return numbersIn(fs.readdir(this.#named.log));
    } catch (error) {
      return isAbsence(error) ? [] : numbersIn(fs.readdir(layout.log));
    }
  }
}

export function isStoreGone(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && error.code === "store_gone";
}

/** What calls say in a store that is no longer there, or in whatever stands in its place. */
const OF_ABSENCE: ReadonlySet<string> = new Set([
  "io_error",
  "file_unsafe",
  "format_damaged",
  "log_damaged",
  "log_foreign",
  "store_incomplete",
  "blob_missing",
]);

function mayComeOfAbsence(error: unknown): boolean {
  return error instanceof SessionStoreError ? OF_ABSENCE.has(error.code) : errnoOf(error) !== undefined;
}

function numbersIn(names: readonly string[]): number[] {
  return names.map(segmentNumber).filter((number) => number !== undefined);
}

/** What an lstat says where nothing of ours is. Any other failure says nothing about the store. */
const ABSENCES: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP"]);

function isAbsence(error: unknown): boolean {
  return ABSENCES.has(errnoOf(error) ?? "");
}

function absent(error: unknown): undefined {
  if (!isAbsence(error)) throw error;
}

/** @param replaced Whether another store, or another copy of this one, stands at the path. */
function gone(path: string, replaced: boolean): SessionStoreError {
  const what = replaced
    ? "another folder or another log stands in its place"
    : "it was removed, or moved to another place";
  return new SessionStoreError(
    "store_gone",
    `${path} is no longer the session store that this process has open: ${what}. Nothing is acknowledged or read ` +
      "there any more. Close this store and open it again, or put back what was moved away.",
    { data: { path, replaced, written: false } },
  );
}
