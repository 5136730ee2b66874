/**
 * Makes the log durable, off the caller's thread, with as few fdatasyncs as possible.
 *
 * Commits that wait at the same time share one fdatasync (group commit): the one that is under way may have
 * started before our append, so our commit takes part in the next one, and commits that come meanwhile join that.
 *
 *   O6  A commit is acknowledged as durable after fdatasync of its segment, and, once per segment and process,
 *       fsync of `log/`: the process that made the segment may have been stopped before it did so. The same holds, once
 *       per process, for the folders that lead to `log/`, up to the one with the store's own name: a migration renames
 *       the whole store into its place.
 *
 *   O15 Behind the sync, and before the acknowledgement, the segment is looked for where the store's path leads:
 *       fdatasync of a file that was removed succeeds as well (store-place.ts).
 *
 * A sync that failed is never repeated: the kernel reports lost pages once and then calls them clean. From then on
 * nothing is acknowledged as durable until the store is opened anew. Whatever else fails here (a folder that could not
 * be opened, for this process had too many files open) says nothing about the disk: the next commit tries again.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { isFailedSync, syncDirectory, syncDirectoryOnTheWay } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";
import type { StorePlace } from "./store-place.js";
import type { Segment } from "./segment.js";

interface Rounds {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

export class LogSyncer {
  /** Why this process no longer gives durable acknowledgements. */
  failure: SessionStoreError | undefined;
  readonly #rounds = new Map<Segment, Rounds>();
  /** Folders with names on the way to the log that may not have been synced yet. */
  #ancestorsToSync: readonly string[];

  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Pick<Layout, "log" | "store" | "root">,
    /** Folder that has the store's own name. */
    parent: string,
    private readonly place: StorePlace,
  ) {
    this.#ancestorsToSync = [layout.store, layout.root, parent];
  }

  /**
   * Resolves when everything appended to the segment before this call is durable, with the segment itself.
   * @throws `durability_unknown` when it could not be synced; and what was found where the log should be: `store_gone`,
   *   `log_damaged`. What that means for commits that were appended is for their committer to say.
   */
  sync(segment: Segment): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    // Closed before its last commit was synced: it was checkpointed, so the files have everything; or the tail
    // rewound, and its caller looks at the epoch.
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
      running: work
        .then(() => this.place.assertInPlace(segment))
        .then(
          () => {
            release();
            if (rounds.next === undefined) this.#rounds.delete(segment);
          },
          (error: unknown) => {
            release();
            this.#rounds.delete(segment);
            throw this.#failed(segment, error);
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
      ...this.#ancestorsToSync.map((path) => syncDirectoryOnTheWay(this.fs, path)),
    ];
    const results = await Promise.allSettled([data, ...folders]);
    const failures = results.flatMap((result) =>
      result.status === "rejected" ? [result.reason as unknown] : [],
    );
    if (failures.length > 0) throw failures.find(isFailedSync) ?? failures[0];
    segment.directorySynced = true;
    this.#ancestorsToSync = [];
  }

  #failed(segment: Segment, cause: unknown): SessionStoreError {
    if (cause instanceof SessionStoreError) return cause; // it says itself what to do
    const final = isFailedSync(cause);
    const next = final
      ? "Check the disk, then close this store and open it again."
      : "The disk did not fail: try again; the next commit makes these durable as well.";
    const error = new SessionStoreError(
      "durability_unknown",
      `${segment.path} could not be synced to the disk. Commits are visible, but a power cut may undo them. ${next}`,
      { data: { path: segment.path, written: true, final }, cause },
    );
    if (final) this.failure ??= error;
    return this.failure ?? error;
  }
}
