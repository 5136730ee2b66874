/**
 * Makes the log durable, off the caller's thread, with as few fdatasyncs as possible.
 *
 * Commits that wait at the same time share one fdatasync (group commit): the one that is under way may have
 * started before our append, so we take part in the next, and everybody who comes meanwhile joins that.
 *
 *   O6  A commit is acknowledged as durable after fdatasync of its segment, and, once per segment and process,
 *       fsync of `log/`: whoever made the segment may have been stopped before it did so. The same holds, once per
 *       process, for the folders that lead to `log/`, up to the one with the store's own name: a migration renames the
 *       whole store into its place.
 *
 * An fdatasync that failed is never repeated: the kernel reports lost pages once and then calls them clean.
 * From then on nothing is acknowledged as durable until the store is opened anew.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { syncDirectory, syncDirectoryOnTheWay } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";
import type { Segment } from "./segment.js";

interface Rounds {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

export class LogSyncer {
  /** Why this process no longer gives durable acknowledgements. */
  failure: SessionStoreError | undefined;
  readonly #rounds = new Map<Segment, Rounds>();
  /** Folders with names on the way to the log that nobody may have synced yet. */
  #way: readonly string[];

  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Pick<Layout, "log" | "store" | "root">,
    /** Folder that has the store's own name. */
    parent: string,
  ) {
    this.#way = [layout.store, layout.root, parent];
  }

  /**
   * Resolves when everything appended to the segment before this call is durable, with the segment itself.
   * @throws `durability_unknown`
   */
  sync(segment: Segment): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    // Closed before its last commit was synced: it was checkpointed, so the files have everything; or the tail
    // started over, and whoever goes on from here looks at that.
    if (segment.closed) return Promise.resolve();
    const rounds = this.#rounds.get(segment);
    if (rounds === undefined) return this.#start(segment);
    if (rounds.next === undefined) {
      const release = segment.hold(); // it may be checkpointed by others before the round begins
      // A failed round fails the next one as well.
      rounds.next = rounds.running.then(() => this.#start(segment)).finally(release);
    }
    return rounds.next;
  }

  /** Resolves when the syncs that were asked for before are over, whatever became of them. */
  async settled(): Promise<void> {
    const rounds = [...this.#rounds.values()];
    await Promise.allSettled(
      rounds.flatMap(({ running, next }) => (next === undefined ? [running] : [next])),
    );
  }

  #start(segment: Segment): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const release = segment.hold();
    const work = segment.directorySynced
      ? this.fs.later.fdatasync(segment.fd)
      : this.#syncWithFolder(segment);
    const rounds: Rounds = {
      next: undefined,
      running: work.then(
        () => {
          release();
          if (rounds.next === undefined) this.#rounds.delete(segment);
        },
        (error: unknown) => {
          release();
          this.#rounds.delete(segment);
          throw this.#fail(segment, error);
        },
      ),
    };
    this.#rounds.set(segment, rounds);
    return rounds.running;
  }

  /** The first time in a segment: its name in `log/` must be durable as well. */
  async #syncWithFolder(segment: Segment): Promise<void> {
    const data = this.fs.later.fdatasync(segment.fd);
    const folders = [
      syncDirectory(this.fs, this.layout.log),
      ...this.#way.map((path) => syncDirectoryOnTheWay(this.fs, path)),
    ];
    const results = await Promise.allSettled([data, ...folders]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    segment.directorySynced = true;
    this.#way = [];
  }

  #fail(segment: Segment, cause: unknown): SessionStoreError {
    this.failure ??= new SessionStoreError(
      "durability_unknown",
      `${segment.path} could not be synced to the disk. Commits are visible, but a power cut may undo them. ` +
        "Check the disk, then close this store and open it again.",
      { data: { path: segment.path, written: true }, cause },
    );
    return this.failure;
  }
}
