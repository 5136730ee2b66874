/**
 * The stores that this process uses: each opened once, however many functions and paths lead to it.
 *
 * A store is known by its directory's real path and by what lies there: after a rollback, or when somebody put another
 * store in its place, the old one is closed and the new one opened. Nothing here keeps the process alive; a process that
 * just ends loses nothing, for commits do not need a close.
 */
import { SessionStoreError } from "../../errors.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { startMirrorOn, type Mirror } from "../../legacy/back/mirror.js";
import { KeyQueue } from "../../store/key-queue.js";
import { openDirectoryStoreOn, openDirectoryStoreSyncOn } from "../../store/open.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { waitForMigration } from "./settle-migration.js";
import { PostponedMigrations } from "./postponed-migrations.js";
import { RunningUpdates } from "./running-updates.js";
import { DirectoryBackend } from "../backend/directory-backend.js";
import { FileBackend } from "../backend/file-backend.js";
import type { SessionEntry } from "../entry/session-entry.js";
import { OwnerWarnings } from "../maintenance/owner-warnings.js";
import { SessionMaintenance } from "../maintenance/session-maintenance.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { sessionStoreSettings, type ResolvedSettings } from "../base/settings.js";
import type { StoreTarget } from "../base/store-target.js";

/** A directory store of this process. */
export interface OpenStore {
  readonly store: DirectorySessionStore<SessionEntry>;
  readonly backend: DirectoryBackend;
  readonly identity: string;
  /** Settles when writing may begin: whoever was writing the legacy file when the directory came has finished. */
  readyToWrite: Promise<void> | undefined;
  mirror: Promise<Mirror | undefined> | undefined;
}

export class OpenStores {
  /** By the directory's real path. */
  readonly #directories = new Map<string, OpenStore>();
  /** By the legacy file's real path. */
  readonly #files = new Map<string, FileBackend>();
  readonly #closing = new Set<Promise<void>>();
  readonly #fileTurns = new KeyQueue();

  readonly postponed: PostponedMigrations;
  readonly maintenance: SessionMaintenance;
  readonly ownerWarnings = new OwnerWarnings();
  readonly running = new RunningUpdates();

  constructor(readonly host: LegacyHost) {
    this.postponed = new PostponedMigrations(host.runtime);
    this.maintenance = new SessionMaintenance(host);
  }

  /**
   * The directory store at a target that has one, at once.
   * @throws `store_not_found` for a store that has lost its log: an asynchronous call gives it a new one. And what opening throws.
   */
  directoryNow({ directory, identity }: StoreTarget): OpenStore {
    const known = this.#directories.get(directory);
    if (known !== undefined && known.identity === identity) return known;
    if (known !== undefined) this.#letGo(directory, known);
    const store = this.#open(directory);
    const backend = new DirectoryBackend(store, this.host.runtime);
    const opened = { store, backend, identity: identity ?? "", readyToWrite: undefined, mirror: undefined };
    this.#directories.set(directory, opened);
    return opened;
  }

  /** The same for a call that is going to write; the store is made if there is none. */
  async directoryToWrite(target: StoreTarget): Promise<OpenStore> {
    const opened = await this.#directoryWithLog(target);
    opened.readyToWrite ??= waitForMigration(
      this.host,
      target.file,
      this.file(target),
      sessionStoreSettings(),
    );
    try {
      await opened.readyToWrite;
    } catch (error) {
      opened.readyToWrite = undefined; // the next call waits again
      throw error;
    }
    this.#mirror(target, opened);
    return opened;
  }

  /** The legacy file at a target that has no directory. */
  file({ file, directory }: StoreTarget): FileBackend {
    let backend = this.#files.get(file);
    if (backend === undefined) {
      backend = new FileBackend(this.host, file, {
        turns: this.#fileTurns,
        settings: () => {
          const { migrate, lockWaitMsMax } = sessionStoreSettings();
          return { migrateFirst: migrate === "on-write" && !this.postponed.covers(file), lockWaitMsMax };
        },
        onWarning: (warning) => sessionStoreSettings().onWarning(warning),
        removeFromDirectory: async (keys) => {
          const { fs, runtime } = this.host;
          const { trust } = sessionStoreSettings();
          const store = await openDirectoryStoreOn<SessionEntry>(fs, runtime, directory, { trust });
          for (const key of keys) await store.delete(key);
          await store.close();
        },
      });
      this.#files.set(file, backend);
    }
    return backend;
  }

  /** The next call reads the legacy file anew. */
  forgetFile({ file }: StoreTarget): void {
    this.#files.delete(file);
  }

  /** Lets go of everything: waits for what runs, brings mirrors in step, closes files. The next call opens anew. */
  async close(): Promise<void> {
    for (const [directory, opened] of this.#directories) this.#letGo(directory, opened);
    this.#files.clear();
    this.postponed.clear();
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }

  #letGo(directory: string, opened: OpenStore): void {
    this.#directories.delete(directory);
    const closing = (async () => {
      try {
        await (await opened.mirror)?.stop();
      } finally {
        await opened.store.close();
      }
    })();
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing)).catch(() => {});
  }

  async #directoryWithLog(target: StoreTarget): Promise<OpenStore> {
    try {
      return this.directoryNow(target);
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "store_not_found") throw error;
      const { fs, runtime } = this.host;
      const { trust } = sessionStoreSettings();
      await (await openDirectoryStoreOn<SessionEntry>(fs, runtime, target.directory, { trust })).close();
      return this.directoryNow(target);
    }
  }

  #open(directory: string): DirectorySessionStore<SessionEntry> {
    const { durability, trust, onWarning } = sessionStoreSettings();
    const { fs, runtime } = this.host;
    return openDirectoryStoreSyncOn<SessionEntry>(fs, runtime, directory, { durability, trust, onWarning });
  }

  #mirror({ file }: StoreTarget, opened: OpenStore): void {
    if (!sessionStoreSettings().mirror || opened.mirror !== undefined) return;
    const { onWarning, trust }: ResolvedSettings = sessionStoreSettings();
    const normalizeKey = normalizeStoreSessionKey;
    const starting = startMirrorOn(this.host, file, { normalizeKey, trust, onWarning });
    opened.mirror = starting.catch((error: unknown) => {
      opened.mirror = undefined; // the next write tries again
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${file} could not be mirrored and will be tried again: ${reason}`;
      onWarning({ code: "mirror_failed", message, data: { path: file } });
      return undefined;
    });
  }
}

/** The stores of this process. */
export const openStores = new OpenStores(systemHost);

/**
 * Closes every store that this process has opened: running calls end first, mirrors are brought in step. For tests, and for
 * a gateway that shuts down with a mirror; otherwise a process may just end. Calls that come later open again.
 */
export function closeSessionStores(): Promise<void> {
  return openStores.close();
}
