/**
 * A store that is still a `sessions.json`, as old gateways have it: every change reads the file, and writes all of it, under
 * the lock that they honour too.
 *
 * A migration may happen at any instant, by a process that does not know this lock. The invariants that nothing gets lost by:
 *  - The file is only replaced while there is no directory: looked at under the lock, right before the rename.
 *  - Should the directory have come in between those two calls, what was written is merged into it before the lock is let go.
 *  - Nobody in this layer writes to a directory that is new to it while somebody holds the lock (open-stores.ts).
 *
 * So a change that was acknowledged is in the file that the migration reads, or in the directory.
 */
import { asStoreError, errnoOf, SessionStoreError, type SessionStoreErrorCode } from "../../errors.js";
import { dirname } from "node:path";
import { syncDirectory } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import type { LegacyWarning, MigrationReport } from "../../legacy/base/types.js";
import { migrateTogether } from "../directory/migration.js";
import type { KeyQueue } from "../../store/key-queue.js";
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import {
  MigrationSignal,
  StoreMovedSignal,
  type Compute,
  type StoreBackend,
  type UpdateRules,
} from "./store-backend.js";
import type { StoreSnapshot } from "./snapshot.js";
import { storeIdentity } from "../base/store-target.js";
import type { SessionChange } from "./change.js";
import { StoreView } from "./view.js";
import { LegacyLock, lockPathOf } from "./legacy-lock.js";
import { SessionFile } from "./session-file.js";

export interface FileBackendOptions {
  /** Those who write a file in this process take turns, by its path: the lock file is for other processes. */
  readonly turns: KeyQueue;
  /** Asked for each update. `migrateFirst`: the store is to be migrated rather than written. */
  readonly settings: () => { readonly migrateFirst: boolean; readonly lockWaitMsMax: number };
  /** Hears of entries that are no sessions. Default: nobody does. */
  readonly onWarning?: ((warning: LegacyWarning) => void) | undefined;
  /** Called with the lock held, when a directory has got what the file had: these sessions were removed from the file. */
  readonly removeFromDirectory: (keys: readonly string[]) => Promise<void>;
}

/** Each but the first means that the lock was broken. */
const ATTEMPTS_MAX = 20;

export class FileBackend implements StoreBackend {
  readonly #file: SessionFile;

  /** @param path Real path of the legacy file. */
  constructor(
    private readonly host: LegacyHost,
    path: string,
    private readonly options: FileBackendOptions,
  ) {
    this.#file = new SessionFile(host, path, options.onWarning);
  }

  /** Whether the last reading found a file. */
  get isThere(): boolean {
    return this.#file.isThere;
  }

  snapshot(options?: { readonly skipCache?: boolean }): StoreSnapshot {
    return this.#file.read(options).snapshot;
  }

  readOne(key: string): Readonly<SessionEntry> | undefined {
    return this.snapshot().get(key)?.entry;
  }

  async updateAll<R>(
    mutate: (view: StoreView) => R | Promise<R>,
    rules: UpdateRules,
  ): Promise<{ readonly result: R; readonly wrote: boolean }> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const done = await this.withLock((lock) => this.#attempt(lock, mutate, rules));
      if (done !== undefined) return done;
    }
    const { file } = this.#file.paths;
    throw new SessionStoreError(
      "legacy_changing",
      `${file} was changed by others, without its lock or after breaking it, in each of ${ATTEMPTS_MAX} attempts to write it. ` +
        "Nothing was written. Stop the gateway that does so, or migrate the store.",
      { data: { path: file, attempts: ATTEMPTS_MAX } },
    );
  }

  /** @returns Undefined when the lock was lost meanwhile: nothing was changed. */
  async #attempt<R>(
    lock: LegacyLock,
    mutate: (view: StoreView) => R | Promise<R>,
    rules: UpdateRules,
  ): Promise<{ readonly result: R; readonly wrote: boolean } | undefined> {
    this.#assertNotMoved();
    const content = this.#file.read({ skipCache: true });
    const view = StoreView.lazy(content.snapshot);
    const result = await mutate(view);
    const changes = view.changes(rules);
    if (changes.length === 0) return { result, wrote: false };
    if (this.options.settings().migrateFirst) throw new MigrationSignal();
    const mayReplace = (): boolean => lock.isHeld() && this.#isHere();
    if (!(await this.#file.write(content, changes, mayReplace))) {
      this.#assertNotMoved();
      return undefined;
    }
    await this.#mergeIfMoved(changes);
    return { result, wrote: true };
  }

  async updateOne(
    key: string,
    compute: Compute,
  ): Promise<{ readonly entry: Readonly<SessionEntry> | undefined; readonly wrote: boolean }> {
    const { result, wrote } = await this.updateAll(async (view) => {
      const next = await compute(view.get(key));
      if (next !== undefined) view.set(key, next);
      return view.get(key);
    }, {});
    return { entry: result, wrote };
  }

  /** Waits for the turn in this process, then for the lock. */
  async withLock<R>(run: (lock: LegacyLock) => Promise<R>): Promise<R> {
    const { folder, file } = this.#file.paths;
    const { turns, settings } = this.options;
    await turns.enter(file);
    try {
      await makeFolder(this.host, folder);
      const lock = await LegacyLock.acquire(this.host, file, settings().lockWaitMsMax);
      try {
        return await run(lock);
      } finally {
        lock.release();
      }
    } catch (error) {
      throw asStoreError(error, `update ${file}`);
    } finally {
      turns.leave(file);
    }
  }

  /** Settles when whoever held the lock before this call has let it go. */
  async waitForWriters(): Promise<void> {
    const lock = lockPathOf(this.#file.paths.file);
    if ((await statusOf(this.host.fs, lock)) !== undefined) await this.withLock(async () => {});
  }

  #isHere(): boolean {
    return storeIdentity(this.host.fs, this.#file.paths.directory) === undefined;
  }

  #assertNotMoved(): void {
    if (!this.#isHere()) throw new StoreMovedSignal();
  }

  /** A directory came while we wrote: the migration may have read the file before, and nobody has written to it yet. */
  async #mergeIfMoved(changes: readonly SessionChange[]): Promise<void> {
    if (this.#isHere()) return;
    const report = await migrateTogether(this.host, this.#file.paths.file, {
      normalizeKey: normalizeStoreSessionKey,
    });
    if (report.error !== undefined) throw failedMigration(report);
    // A session that is missing from a file is not removed by a merge.
    const removed = changes.filter(({ kind }) => kind === "delete").map(({ key }) => key);
    if (removed.length > 0) await this.options.removeFromDirectory(removed);
  }
}

/** What a migration that this layer needed says in its report, as an error. */
export function failedMigration({ outcome, path, error }: MigrationReport): SessionStoreError {
  const code: SessionStoreErrorCode = error?.code ?? "legacy_invalid";
  const message =
    error?.message ??
    `none of the entries of ${path} is a session, so it was left as it is. Restore a backup, or remove what is no session.`;
  return new SessionStoreError(code, message, { data: { path, outcome } });
}

async function makeFolder(host: LegacyHost, folder: string): Promise<void> {
  const { fs } = host;
  if ((await statusOf(fs, folder)) !== undefined) return;
  const parent = dirname(folder);
  if (parent !== folder) await makeFolder(host, parent);
  await fs.later.mkdir(folder).catch((error: unknown) => {
    if (errnoOf(error) !== "EEXIST") throw error;
  });
  await syncDirectory(fs, parent);
}
