/**
 * Makes the log durable, off the caller's thread, with as few fdatasyncs as possible.
 *
 * Commits that wait at the same time share one fdatasync (group commit): the one that is under way may have
 * started before our append, so we take part in the next, and everybody who comes meanwhile joins that.
 *
 *   O6  A commit is acknowledged as durable after fdatasync of its segment, and, once per segment and process,
 *       fsync of `log/`: whoever made the segment may have been stopped before it did so.
 *
 * An fdatasync that failed is never repeated: the kernel reports lost pages once and then calls them clean.
 * From then on nothing is acknowledged as durable until the store is opened anew.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { syncDirectory } from "../fs/regular-file.js";
import type { Segment } from "./segment.js";

interface Rounds {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

export class LogSyncer {
  /** Why this process no longer gives durable acknowledgements. */
  failure: SessionStoreError | undefined;
  readonly #rounds = new Map<Segment, Rounds>();

  constructor(
    private readonly fs: FileSystem,
    private readonly logPath: string,
  ) {}

  /**
   * Resolves when everything appended to the segment before this call is durable, with the segment itself.
   * @throws `durability_unknown`
   */
  sync(segment: Segment): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const rounds = this.#rounds.get(segment);
    if (rounds === undefined) return this.#start(segment);
    rounds.next ??= rounds.running.then(
      () => this.#start(segment),
      () => Promise.reject(this.failure ?? new Error("the previous round failed without a reason")),
    );
    return rounds.next;
  }

  #start(segment: Segment): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const rounds: Rounds = { running: this.#syncOnce(segment), next: undefined };
    this.#rounds.set(segment, rounds);
    const finished = (): void => {
      if (rounds.next === undefined) this.#rounds.delete(segment);
    };
    rounds.running.then(finished, finished);
    return rounds.running;
  }

  async #syncOnce(segment: Segment): Promise<void> {
    try {
      await segment.using(async (fd) => {
        const directory = segment.directorySynced ? undefined : syncDirectory(this.fs, this.logPath);
        const [data, entry] = await Promise.allSettled([this.fs.later.fdatasync(fd), directory]);
        if (data.status === "rejected") throw data.reason;
        if (entry.status === "rejected") throw entry.reason;
        segment.directorySynced = true;
      });
    } catch (error) {
      this.failure ??= new SessionStoreError(
        "durability_unknown",
        `${segment.path} could not be synced to the disk. Commits are visible, but a power cut may undo them. ` +
          "Check the disk, then close this store and open it again.",
        { data: { path: segment.path }, cause: error },
      );
      throw this.failure;
    }
  }
}
