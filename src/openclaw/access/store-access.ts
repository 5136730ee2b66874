/**
 * From a path to the store behind it, in the backend that it has at this moment.
 *
 * Backends change: a migration may come between the look and the use, by any process. A read that saw the file looks once more
 * whether there is a directory by now; a write is refused by the backend that has gone, with nothing changed, and is run on
 * the other one.
 */
import { SessionStoreError } from "../../errors.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import { migrateTogether } from "../directory/migration.js";
import { failedMigration } from "../backend/file-backend.js";
import { DirectorySessions } from "../maintenance/directory-sessions.js";
import { FileSessions } from "../maintenance/file-sessions.js";
import type { MaintainedStore } from "../maintenance/maintained-store.js";
import type { MaintainOptions } from "../maintenance/session-maintenance.js";
import { assertMaintenanceConfig } from "../maintenance/config.js";
import { openStores, type OpenStores } from "./open-stores.js";
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { sessionStoreSettings, type MaintenanceWarning } from "../base/settings.js";
import { MigrationSignal, StoreMovedSignal, type StoreBackend } from "../backend/store-backend.js";
import { resolveStoreTarget, type StoreTarget } from "../base/store-target.js";
import { StoreView } from "../backend/view.js";

/** Every round but the last means that the store was migrated, or rolled back, while we looked. */
const ROUNDS_MAX = 8;

/** How a store is looked after once something was written. */
export interface AfterWriting extends Omit<MaintainOptions, "storePath"> {
  /** Not this time. Default false. */
  readonly skipMaintenance?: boolean | undefined;
}

/** Reads at once. */
export function readStore<R>(storePath: string, read: (backend: StoreBackend) => R, stores = openStores): R {
  const { fs } = stores.host;
  for (let round = 1; ; round++) {
    const target = resolveStoreTarget(fs, storePath);
    if (target.identity !== undefined) return read(stores.directoryNow(target).backend);
    const backend = stores.file(target);
    const hasMoved = (): boolean =>
      round < ROUNDS_MAX && resolveStoreTarget(fs, storePath).identity !== undefined;
    try {
      const result = read(backend);
      // A file that is there was what counted when the call began; one that is not may just have become a directory.
      if (backend.isThere || !hasMoved()) return result;
    } catch (error) {
      if (!hasMoved()) throw error;
    }
  }
}

/**
 * Runs an update on the backend that counts, and looks after the store if something was written, or if that was asked for.
 * @throws What the update throws; and what goes wrong in a maintenance that was asked for by hand, if nothing was written.
 */
export async function updateStore<R extends { readonly wrote: boolean }>(
  storePath: string,
  update: (backend: StoreBackend) => Promise<R>,
  after: AfterWriting,
  stores = openStores,
): Promise<R> {
  if (after.config !== undefined) assertMaintenanceConfig(after.config); // before anything is written
  const { result, target } = await stores.running.track(storePath, () =>
    onCurrentBackend(storePath, update, stores),
  );
  const byHand = after.force === true && !result.wrote;
  if (after.skipMaintenance === true || !(result.wrote || byHand)) return result;
  const failures: unknown[] = [];
  try {
    await lookAfter(target, { ...after, onError: (error) => failures.push(error) }, stores);
  } catch (error) {
    failures.push(error);
  }
  if (byHand && failures.length > 0) throw failures[0];
  for (const error of failures) tellOfFailure(target, error);
  return result;
}

/** The update counts, whatever became of the housekeeping. */
function tellOfFailure({ file }: StoreTarget, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `${file} was updated, but looking after it failed and will be tried again: ${reason}`;
  sessionStoreSettings().onWarning({ code: "maintenance_failed", message, data: { path: file } });
}

async function onCurrentBackend<R>(
  storePath: string,
  update: (backend: StoreBackend) => Promise<R>,
  stores: OpenStores,
): Promise<{ readonly result: R; readonly target: StoreTarget }> {
  let migrates = sessionStoreSettings().migrate === "on-open";
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const target = resolveStoreTarget(stores.host.fs, storePath);
    try {
      if (target.identity !== undefined) {
        const { backend } = await stores.directoryToWrite(target);
        return { result: await update(backend), target };
      }
      const isMigrated = migrates && (await migrateIfPossible(target, stores));
      if (!isMigrated) return { result: await update(stores.file(target)), target };
    } catch (error) {
      if (error instanceof MigrationSignal) migrates = true;
      else if (!(error instanceof StoreMovedSignal)) throw error;
    }
  }
  throw new SessionStoreError(
    "legacy_changing",
    `${storePath} was migrated and rolled back ${ROUNDS_MAX} times while it was to be written. Nothing was written.`,
    { data: { path: storePath, attempts: ROUNDS_MAX } },
  );
}

/**
 * A migration that was not asked for at this very moment must never be what stops a gateway: where it fails, the file goes on
 * being used, the owner hears why, and it is tried again later.
 * @returns False while it is postponed.
 */
async function migrateIfPossible(target: StoreTarget, stores: OpenStores): Promise<boolean> {
  if (stores.postponed.covers(target.file)) return false;
  try {
    await migrate(target, stores);
    return true;
  } catch (error) {
    const code = error instanceof SessionStoreError ? error.code : undefined;
    // Whoever holds the lock, or is migrating, keeps us from the file as well.
    if (error instanceof TypeError || code === "legacy_locked" || code === "legacy_changing") throw error;
    stores.postponed.add(target.file, error, (warning) => sessionStoreSettings().onWarning(warning));
    return false;
  }
}

/** Makes the store a directory, with the lock held that every writer of the file takes. */
async function migrate(target: StoreTarget, stores: OpenStores): Promise<void> {
  const { host } = stores;
  const backend = stores.file(target);
  await backend.withLock(async () => {
    const report = await migrateTogether(host, target.file, { normalizeKey: normalizeStoreSessionKey });
    if (report.outcome === "failed" || report.outcome === "skipped_invalid") throw failedMigration(report);
    if (report.outcome !== "missing" && report.outcome !== "skipped_empty") return;
    const { trust } = sessionStoreSettings();
    backend.snapshot({ skipCache: true }); // a file of no bytes at all is not an empty store
    await (
      await openDirectoryStoreOn<SessionEntry>(host.fs, host.runtime, target.directory, { trust })
    ).close();
  });
}

async function lookAfter(target: StoreTarget, after: AfterWriting, stores: OpenStores): Promise<void> {
  const { skipMaintenance: _, ...given } = after;
  const onWarning = (warning: MaintenanceWarning): void => sessionStoreSettings().onWarning(warning);
  const options = stores.ownerWarnings.added(target.file, given, onWarning);
  await stores.maintenance.maintain(maintainedStore(target, stores), options);
}

function maintainedStore(target: StoreTarget, stores: OpenStores): MaintainedStore {
  if (target.identity !== undefined) return new DirectorySessions(stores.directoryNow(target).store);
  const { file } = target;
  return new FileSessions({
    read: async () => readStore(file, (backend) => StoreView.of(backend.snapshot()).store, stores),
    version: async () => readStore(file, (backend) => backend.snapshot(), stores),
    update: async (change) => {
      const run = (backend: StoreBackend) => backend.updateAll((view) => change(view.store), {});
      return (await onCurrentBackend(file, run, stores)).result.result;
    },
  });
}
