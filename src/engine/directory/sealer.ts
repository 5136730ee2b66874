/**
 * When the active segment is sealed: once it is full, or once enough became dead in it, and checkpoints keep up.
 *
 * A file costs as much as twenty commits, so a full segment stays open while the one before it is checkpointed, and for a
 * few times as long as that takes: then it has several changes of each session, and the checkpoint writes one file. But it
 * must be read by every process that opens the store, so its growth has an end.
 *
 * The check at each commit is arithmetic. Nothing here throws: the commit that made a segment full counts.
 */
import { isDiskFull } from "../../errors.js";
import type { Segment } from "../../log/segment.js";
import type { Timer } from "../../runtime.js";
import type { DeadValues } from "./dead-values.js";
import type { SessionLog } from "./session-log.js";
import type { Space } from "./space.js";

/** A process writes files, and checkpoints segments, for about one part of its time in this many. */
export const REST = 4;
/** A segment of this many times its full size is sealed in any case. */
const FULL_TIMES_MAX = 16;
/** The same for dead bytes. These fill disks, so the factor is smaller. */
const DEAD_TIMES_MAX = 4;
/** While the active segment is full, the process checks this often whether others have checkpointed the one before. */
const CHECK_AGAIN_MS = 50;
/** What failed (because of a full disk, say) is tried again after this time. */
export const RETRY_MS = 5000;

export interface SealerHooks {
  readonly setTimer: (work: () => void, ms: number) => Timer;
  /** This process has sealed a segment: the one before can be checkpointed. */
  readonly sealed: () => void;
  /** There was no room for a seal. */
  readonly full: () => void;
}

export class Sealer {
  /** How long the last checkpoint of this process took. */
  checkpointMs = 0;
  /** When the active segment was entered, on the monotonic clock. */
  #enteredAt: number;
  /** Before this time commits need not check whether the active segment should be sealed. */
  #notBefore = 0;
  #timer: Timer | undefined;

  constructor(
    private readonly log: SessionLog,
    private readonly space: Space,
    private readonly dead: DeadValues,
    private readonly hooks: SealerHooks,
  ) {
    this.#enteredAt = log.options.runtime.monotonic();
  }

  entered(): void {
    this.#enteredAt = this.log.options.runtime.monotonic();
  }

  close(): void {
    this.#timer?.cancel();
  }

  /** Seals a full segment, unless checkpoints would not keep up; then a timer checks again. */
  sealIfDue(segment: Segment): void {
    const { space, dead } = this;
    if (segment.position < space.logBytesMax && dead.inSegment < space.deadBytesMax) return;
    const now = this.log.options.runtime.monotonic();
    const tooFull =
      segment.position >= FULL_TIMES_MAX * space.logBytesMax ||
      dead.inSegment >= DEAD_TIMES_MAX * space.deadBytesMax;
    if (now < this.#notBefore && !tooFull) return;
    let waitMs = CHECK_AGAIN_MS;
    try {
      waitMs = tooFull ? 0 : this.#sealInMs(now);
      if (waitMs === 0) this.#seal(segment);
    } catch (error) {
      waitMs = RETRY_MS;
      this.#couldNotSeal(segment.path, error);
    }
    if (waitMs === 0) return;
    this.#notBefore = now + waitMs;
    this.checkAgainIn(waitMs); // there may be no further commit that would check
  }

  checkAgainIn(ms: number): void {
    this.#timer ??= this.hooks.setTimer(() => {
      this.#timer = undefined;
      try {
        const { active } = this.log; // this may rewind the log, and read it
        if (!active.ledger.sealed) this.sealIfDue(active);
      } catch (error) {
        this.#couldNotSeal(this.log.options.layout.log, error);
        this.checkAgainIn(RETRY_MS);
      }
    }, ms);
  }

  /** Milliseconds until it makes sense to check again; 0: now is the time. */
  #sealInMs(now: number): number {
    const restMs = this.#enteredAt + REST * this.checkpointMs - now;
    if (restMs > 0) return restMs;
    if (this.log.segments.length > 1) this.log.dropCheckpointed();
    return this.log.segments.length > 1 ? CHECK_AGAIN_MS : 0;
  }

  #seal(segment: Segment): void {
    this.log.end.seal(segment);
    this.hooks.sealed();
  }

  #couldNotSeal(path: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${path} could not be sealed and will be tried again: ${reason}`;
    this.log.options.onWarning({ code: "checkpoint_failed", message, data: { path } });
    if (isDiskFull(error)) this.hooks.full();
  }
}
