/**
 * Leaves a log segment that a copy of the store shares.
 *
 * The log is the one file that is changed in place. A copy of the store that was made of hard links shares its active
 * segment, would go on changing with it, and would write to it if it were opened. So a segment that has had a second
 * name for a while is sealed, and the log goes on in one that belongs to this store alone. A process that ends before
 * that, such as a command, seals at once if the segment had been at rest for so long when the process came.
 *
 * A crash before the seal leaves the segment to the next process that looks; the seal itself is one append.
 */
import { existsNow } from "../../fs/status.js";
import { stagedPath } from "../../log/next-segment.js";
import type { Segment } from "../../log/segment.js";
import type { SessionLog } from "./session-log.js";

/** A segment has two names for a moment when it is made; some file systems report a name for a second after it went. */
const SECOND_NAME_MS = 2000;
/** At least this long between two seals for that reason, should a file system count names in a way of its own. */
const SECOND_NAME_REST_MS = 60_000;

export class SharedSegmentWatch {
  /** The active segment, if it had a second name, and since when. */
  #shared: { readonly segment: Segment; readonly since: number } | undefined;
  #sealedAt = Number.NEGATIVE_INFINITY;

  /** @param sealed Called when this process has sealed a segment. */
  constructor(
    private readonly log: SessionLog,
    private readonly sealed: () => void,
  ) {}

  /** In the background. Seals at the second look at the earliest: the first may have met the segment being made. */
  async leaveIfShared(): Promise<void> {
    const { fs, runtime } = this.log.options;
    const segment = this.log.active;
    const letGo = segment.hold();
    const { links } = await fs.later.fstat(segment.fd).finally(letGo);
    const now = runtime.monotonic();
    if (links <= 1) this.#shared = undefined;
    else if (this.#shared?.segment !== segment) this.#shared = { segment, since: now };
    else if (now - this.#shared.since >= SECOND_NAME_MS && now - this.#sealedAt >= SECOND_NAME_REST_MS) {
      if (this.log.active === segment && !segment.ledger.sealed) this.#seal(segment, links);
    }
  }

  /** Before the first commit: what a short-lived process writes, or deletes, must not happen in the copy as well. */
  leaveAtOnceIfShared(): void {
    const { fs, runtime, layout } = this.log.options;
    const segment = this.log.active;
    const { links, modifiedAt } = segment.identity;
    if (links <= 1 || segment.ledger.sealed || runtime.now() - modifiedAt < SECOND_NAME_MS) return;
    try {
      if (existsNow(fs, stagedPath(layout, segment.ledger.stage))) return; // a crash left this second name
      this.#seal(segment, links);
    } catch {
      // Opening does not fail for that, on a full disk say; the look in the background comes as well.
    }
  }

  #seal(segment: Segment, links: number): void {
    const { runtime, onWarning } = this.log.options;
    const { path } = segment;
    this.#shared = undefined;
    this.#sealedAt = runtime.monotonic();
    this.log.end.seal(segment);
    const message =
      `${path} has ${links} names: a copy made of hard links shares it. The log goes on in a new segment, so that the ` +
      "copy stays as it is from now on. For a backup that is complete, copy the files with all processes stopped, or " +
      "take a snapshot of the file system.";
    onWarning({ code: "log_shared", message, data: { path, links } });
    this.sealed();
  }
}
