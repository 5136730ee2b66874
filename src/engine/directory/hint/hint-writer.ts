/**
 * Writes hints: now and then, when the log has grown by as much as they cost, and when nothing else is to be done.
 *
 * Nobody waits for one, and nobody needs one: where there is no room, or the staging folder is gone, there is none. It is not
 * made durable either; what a power cut leaves of it, its checksums tell. It goes with its last segment (checkpointer.ts), so that what
 * was deleted does not live on in it.
 *
 * A crash leaves a file in a staging folder, which the fence removes, or an older hint beside a newer one.
 */
import { errnoOf } from "../../../errors.js";
import { ignoreMissing } from "../../../fs/missing.js";
import { openRegularFile } from "../../../fs/regular-file.js";
import { checksumOfLines, type Checksum } from "../../../log/hinted-segment.js";
import type { Segment } from "../../../log/segment.js";
import type { DeadValuesState } from "../dead-values.js";
import type { LogSnapshot, SessionLog } from "../session-log.js";
import { runInSlices } from "../time-slices.js";
import { writeLines } from "../write-lines.js";
import { composeHint, peekHint, type SegmentInHint } from "./hint-file.js";
import type { SessionState } from "../session-table.js";

/** A log that is shorter is read as quickly as a hint. */
const LOG_BYTES_MIN = 64 * 1024;
/** Or such a part of a segment, where those are small. */
const SEGMENT_SHARE = 1 / 64;
/**
 * By so many times of the last hint the log grows before there is another one. While there is other work a hint takes a few per cent of
 * it; at rest, the log behind a hint is read as quickly as the hint.
 */
const GROWTH = { busy: 2, "at rest": 1 / 4 };
const FIRST_LINE_BYTES = 4096;
const CHECKED_BYTES = 256 * 1024;

export interface HintWriterOptions {
  readonly segmentBytes: number;
  /** Whether the room that is left on the disk is for commits, and for the way out. */
  readonly isShort: () => boolean;
  readonly dead: () => DeadValuesState;
}

/** How far the latest hint of any process goes, as far as is known. */
interface Known {
  readonly number: number;
  readonly position: number;
  readonly bytes: number;
}

export class HintWriter {
  readonly #logBytesMin: number;
  #known: Known = { number: 0, position: 0, bytes: 0 };
  /** Checksums of the live segments' first bytes. */
  readonly #checksums = new WeakMap<Segment, Checksum>();

  constructor(
    private readonly log: SessionLog,
    private readonly options: HintWriterOptions,
  ) {
    this.#logBytesMin = Math.min(LOG_BYTES_MIN, options.segmentBytes * SEGMENT_SHARE);
  }

  /** Writes a hint if one is due. */
  async writeIfDue(when: keyof typeof GROWTH): Promise<void> {
    if (!this.isDue(when)) return;
    this.#look(); // another process may have written one
    if (!this.isDue(when)) return;
    try {
      await this.#write();
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
    }
  }

  /** Whether the log has grown enough since the latest hint, as far as this process knows, and there is room for another. */
  isDue(when: keyof typeof GROWTH): boolean {
    if (this.log.options.readOnly || this.log.segments.length === 0 || this.options.isShort()) return false;
    const { number, position } = this.log.active;
    const grown = number === this.#known.number ? position - this.#known.position : position;
    return grown >= Math.max(this.#logBytesMin, GROWTH[when] * this.#known.bytes);
  }

  #look(): void {
    const { fs, layout, storeId } = this.log.options;
    const { number } = this.log.active;
    try {
      const { fd, status } = openRegularFile(fs, layout.hint(number), "read", { bytesMax: Infinity });
      try {
        const bytes = Buffer.alloc(Math.min(status.size, FIRST_LINE_BYTES));
        const count = fs.read(fd, bytes, 0, bytes.length, 0);
        const found = peekHint(bytes.subarray(0, count), storeId);
        if (found !== undefined) this.#known = { ...found, bytes: status.size };
      } finally {
        fs.close(fd);
      }
    } catch {
      // There is none, or none that can be read: this process writes one.
    }
  }

  async #write(): Promise<void> {
    const { fs, layout, runtime, storeId } = this.log.options;
    const snapshot = this.log.snapshot();
    if (snapshot === undefined) return;
    const dead = this.options.dead();
    const letGo = snapshot.segments.map(({ segment }) => segment.hold());
    try {
      const segments = await runInSlices(this.#withChecksums(snapshot), runtime);
      if (segments === undefined) return;
      const last = segments.at(-1) as SegmentInHint<SessionState>;
      const lines = composeHint({ ...snapshot, segments, dead }, storeId);
      const temporary = `${layout.stageFolder(last.ledger.stage)}/${runtime.randomName(8)}`;
      let bytes: number;
      try {
        bytes = await writeLines(fs, runtime, temporary, lines, { sync: false });
        await fs.later.rename(temporary, layout.hint(last.number));
      } catch (error) {
        await ignoreMissing(fs.later.unlink(temporary));
        throw error;
      }
      this.#known = { number: last.number, position: last.position, bytes };
      for (const { number } of segments.slice(0, -1))
        await ignoreMissing(fs.later.unlink(layout.hint(number)));
    } finally {
      for (const close of letGo) close();
    }
  }

  /** Undefined if somebody who begins now reads less than this process has: it was cut off, or damaged meanwhile. */
  *#withChecksums({ segments }: LogSnapshot): Generator<void, SegmentInHint<SessionState>[] | undefined> {
    const { fs } = this.log.options;
    const space = Buffer.allocUnsafe(CHECKED_BYTES);
    const complete: SegmentInHint<SessionState>[] = [];
    for (const { segment, position, lastLineAt, ledger, states } of segments) {
      const before = this.#checksums.get(segment);
      const known = before !== undefined && before.end <= position ? before : undefined;
      const checksum = yield* checksumOfLines(fs, segment.fd, position, space, known);
      if (checksum === undefined) return undefined;
      this.#checksums.set(segment, { end: position, checksum });
      complete.push({ number: segment.number, position, lastLineAt, checksum, ledger, states });
    }
    return complete;
  }
}
