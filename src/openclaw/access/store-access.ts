/**
 * From a path to the store behind it, in the form that it has at this moment.
 *
 * Forms change: a migration may come between the look and the use, by any process. A read that saw the file looks once more
 * whether there is a directory by now; a write is refused by the form that has gone, with nothing changed, and is run on
 * the other one.
 */
import { SessionStoreError } from "../../errors.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import { migrateTogether } from "../directory/migration.js";
import { failedMigration } from "../legacy-file/file-form.js";
import { maintainSessionStore, type MaintainOptions } from "../maintenance/apply.js";
import { assertMaintenanceConfig } from "../maintenance/config.js";
import { openStores, type OpenStores } from "./open-stores.js";
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../session-key.js";
import { sessionStoreSettings } from "../settings.js";
import { MigrationWanted, StoreMoved, type StoreForm } from "../form/store-form.js";
import { resolveStoreTarget, type StoreTarget } from "../store-target.js";
import { StoreView } from "../form/view.js";

/** Every round but the last means that the store was migrated, or rolled back, while we looked. */
const ROUNDS_MAX = 8;

/** How a store is looked after once something was written. */
export interface AfterWriting extends Omit<MaintainOptions, "storePath"> {
  /** Not this time. Default false. */
  readonly skipMaintenance?: boolean | undefined;
}

/** Reads at once. */
export function readStore<R>(storePath: string, read: (form: StoreForm) => R, stores = openStores): R {
  const { fs } = stores.host;
  for (let round = 1; ; round++) {
    const target = resolveStoreTarget(fs, storePath);
    if (target.identity !== undefined) return read(stores.directoryNow(target).form);
    const form = stores.file(target);
    const hasMoved = (): boolean =>
      round < ROUNDS_MAX && resolveStoreTarget(fs, storePath).identity !== undefined;
    try {
      const result = read(form);
      // A file that is there was what counted when the call began; one that is not may just have become a directory.
      if (form.isThere || !hasMoved()) return result;
    } catch (error) {
      if (!hasMoved()) throw error;
    }
  }
}

/** Runs an update on the form that counts, and looks after the store if something was written. */
export async function updateStore<R extends { readonly wrote: boolean }>(
  storePath: string,
  update: (form: StoreForm) => Promise<R>,
  after: AfterWriting,
  stores = openStores,
): Promise<R> {
  if (after.config !== undefined) assertMaintenanceConfig(after.config); // before anything is written
  const { result, target } = await onCurrentForm(storePath, update, stores);
  if (!result.wrote || after.skipMaintenance === true) return result;
  try {
    await lookAfter(target, after, stores);
  } catch (error) {
    // The update counts, whatever became of the housekeeping.
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${target.file} was updated, but looking after it failed and will be tried again: ${reason}`;
    sessionStoreSettings().onWarning({ code: "maintenance_failed", message, data: { path: target.file } });
  }
  return result;
}

async function onCurrentForm<R>(
  storePath: string,
  update: (form: StoreForm) => Promise<R>,
  stores: OpenStores,
): Promise<{ readonly result: R; readonly target: StoreTarget }> {
  let migrates = sessionStoreSettings().migrate === "on-open";
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const target = resolveStoreTarget(stores.host.fs, storePath);
    try {
      if (target.identity !== undefined) {
        const { form } = await stores.directoryToWrite(target);
        return { result: await update(form), target };
      }
      if (!migrates) return { result: await update(stores.file(target)), target };
      await migrate(target, stores);
    } catch (error) {
      if (error instanceof MigrationWanted) migrates = true;
      else if (!(error instanceof StoreMoved)) throw error;
    }
  }
  throw new SessionStoreError(
    "legacy_changing",
    `${storePath} was migrated and rolled back ${ROUNDS_MAX} times while it was to be written. Nothing was written.`,
    { data: { path: storePath, attempts: ROUNDS_MAX } },
  );
}

/** Makes the store a directory, with the lock held that every writer of the file takes. */
async function migrate(target: StoreTarget, stores: OpenStores): Promise<void> {
  const { host } = stores;
  const form = stores.file(target);
  await form.withLock(async () => {
    const receipt = await migrateTogether(host, target.file, { normalizeKey: normalizeStoreSessionKey });
    if (receipt.outcome === "failed" || receipt.outcome === "skipped_invalid") throw failedMigration(receipt);
    if (receipt.outcome !== "missing" && receipt.outcome !== "skipped_empty") return;
    form.snapshot({ skipCache: true }); // a file of no bytes at all is not an empty store
    await (await openDirectoryStoreOn<SessionEntry>(host.fs, host.runtime, target.directory)).close();
  });
}

async function lookAfter(target: StoreTarget, after: AfterWriting, stores: OpenStores): Promise<void> {
  const { skipMaintenance: _, ...options } = after;
  const { file } = target;
  if (target.identity !== undefined) {
    const { store } = stores.directoryNow(target);
    await maintainSessionStore({ kind: "directory", store }, { ...options, storePath: file });
    return;
  }
  await maintainSessionStore(
    {
      kind: "legacy",
      read: async () => readStore(file, (form) => new StoreView(form.snapshot()).store, stores),
      update: async (change) => {
        const run = (form: StoreForm) => form.updateAll((view) => change(view.store), {});
        return (await onCurrentForm(file, run, stores)).result.result;
      },
    },
    { ...options, storePath: file },
  );
}
