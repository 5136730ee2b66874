/** Changing a whole store, as gateways do it: a function that gets all sessions, or an object that has all of them. */
import { isPlainContainer } from "../../format/json-semantics.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import type { StoreBackend } from "../backend/store-backend.js";
import { updateStore, type AfterWriting } from "../access/store-access.js";
import type { SessionChange } from "../backend/change.js";
import { viewOf, type StoreView } from "../backend/view.js";
import {
  configuredMaintenance,
  resolveMaintenanceConfig,
  type SessionMaintenanceLimits,
} from "../maintenance/config.js";

export interface SaveSessionStoreOptions {
  /** Do not look after the store this time: no pruning, no cap. Default false. */
  readonly skipMaintenance?: boolean | undefined;
  /** The session that this is about: never removed, and the one that `onWarn` is about. */
  readonly activeSessionKey?: string | undefined;
  /** Sessions that may lose their `acp`. All others keep it, even if the mutator puts an entry in their place without. */
  readonly allowDropAcpMetaSessionKeys?: readonly string[] | undefined;
  /** "warn" mode: the active session is one that would be removed, were it not active. */
  readonly onWarn?: AfterWriting["onWarn"];
  /** Hears of each run of the maintenance. */
  readonly onMaintenanceApplied?: AfterWriting["onMaintenanceApplied"];
  /** Default: what `configureSessionMaintenance` was told. */
  readonly maintenanceConfig?: SessionMaintenanceLimits | undefined;
  /**
   * Parts of it that differ this time. Maintenance that is asked for by hand: it runs now, whenever it ran last, also if
   * nothing was written and if `configureSessionMaintenance` was not called (then with its defaults).
   * @throws What goes wrong in it, if nothing was written.
   */
  readonly maintenanceOverride?: Partial<SessionMaintenanceLimits> | undefined;
  /** Taken for OpenClaw's callers, as are the next two: what did not change is not written, and there is no cache to own. */
  readonly skipSerializeForUnchangedStore?: boolean | undefined;
  readonly takeCacheOwnership?: boolean | undefined;
  readonly singleEntryPersistence?: SingleEntryPersistence | undefined;
}

interface SingleEntryPersistence {
  readonly sessionKey: string;
  readonly entry: SessionEntry;
}

export interface UpdateSessionStoreOptions<T> extends SaveSessionStoreOptions {
  /** Asked with the mutator's result: if true, nothing is written, whatever was changed in the object. */
  readonly skipSaveWhenResult?: ((result: T) => boolean) | undefined;
  /** Taken for OpenClaw's callers: only what changed is written. */
  readonly resolveSingleEntryPersistence?:
    ((result: T) => SingleEntryPersistence | null | undefined) | undefined;
}

/** The mutator's result, when nothing is to be written: not an error, but the way out. */
class NotToBeSaved<T> extends Error {
  constructor(readonly result: T) {
    super();
  }
}

/**
 * Changes any number of sessions, all or nothing. The mutator sees every commit that was made before it began, and changes
 * the object in place; what it changed is written, field by field, and nothing else. If it changed nothing, nothing
 * is written, and a `sessions.json` is not migrated.
 *
 * **The mutator is called again**, on the fresh state, when another process was faster: the entries that it touched, read or
 * written, are compared in the very commit. (Of entries that it only read, the first 512; any others right before the commit.)
 * While it runs, two entries may be of different instants; no result of such a mixture is returned or written. So it should have no effects of its own but on the object, and may
 * be asynchronous. Mutators of one process take turns, so one that awaits `updateSessionStore` of the same store waits for
 * itself, as it always did. On a `sessions.json` that was not migrated it holds the lock, which counts for 30 s.
 *
 * `updatedAt` does not go back: an entry that comes with an earlier one keeps the one it had.
 * @returns What the mutator returned.
 * @throws `conflict` after 100 attempts; `legacy_locked`, `legacy_invalid`, `legacy_changing` on a `sessions.json`; what writing
 *   throws; whatever the mutator throws, with nothing written.
 * @example
 * await updateSessionStore(storePath, (store) => {
 *   const entry = store["agent:main:main"];
 *   if (entry) entry.thinkingLevel = "high";
 * });
 */
export async function updateSessionStore<T>(
  storePath: string,
  mutator: (store: SessionStoreRecord) => T | Promise<T>,
  options: UpdateSessionStoreOptions<T> = {},
): Promise<T> {
  const mayDropAcp = new Set((options.allowDropAcpMetaSessionKeys ?? []).map(normalizeStoreSessionKey));
  const { skipSaveWhenResult } = options;
  const mutate = async (view: StoreView): Promise<T> => {
    const result = await mutator(view.store);
    if (skipSaveWhenResult?.(result) === true) throw new NotToBeSaved(result);
    return result;
  };
  try {
    const update = (backend: StoreBackend) =>
      backend.updateAll(skipSaveWhenResult === undefined ? (view) => mutator(view.store) : mutate, {
        mayDropAcp,
      });
    return (await updateStore(storePath, update, afterWriting(options))).result;
  } catch (error) {
    if (error instanceof NotToBeSaved) return error.result as T;
    throw error;
  }
}

/**
 * Writes an object of sessions, all or nothing.
 *
 * An object from {@link loadSessionStore}: what was changed in it is brought into the store, field by field, and what
 * others did meanwhile stays. An object of the caller's own is the whole store: sessions that it has not are removed, and
 * those that others added meanwhile with them. Prefer `updateSessionStore`.
 * @throws As {@link updateSessionStore}; `TypeError` for anything but a plain object.
 */
export async function saveSessionStore(
  storePath: string,
  store: SessionStoreRecord,
  options: SaveSessionStoreOptions = {},
): Promise<void> {
  const given = viewOf(store);
  if (given === undefined) assertWhole(store);
  const mayDropAcp = new Set((options.allowDropAcpMetaSessionKeys ?? []).map(normalizeStoreSessionKey));
  if (given !== undefined) {
    const changes = given.changes({ mayDropAcp });
    const bring = (view: StoreView): void => changes.forEach((change) => bringIn(view, change));
    const rules = { mayDropAcp, compared: "written" } as const;
    await updateStore(storePath, (backend) => backend.updateAll(bring, rules), afterWriting(options));
    return;
  }
  const rules = { mayDropAcp: "all", mayTurnBack: true, compared: "written" } as const;
  await updateStore(
    storePath,
    (backend) => backend.updateAll((view) => replaceAll(view, store), rules),
    afterWriting(options),
  );
}

/** What has no sessions of its own would remove all of them: a Map, or a promise that nobody awaited. */
function assertWhole(store: unknown): void {
  if (typeof store === "object" && store !== null && !Array.isArray(store) && isPlainContainer(store)) return;
  throw new TypeError("store must be an object with a session under each key; no session was changed");
}

function bringIn(view: StoreView, change: SessionChange): void {
  if (change.kind === "delete") return view.delete(change.key);
  const current = change.kind === "patch" ? view.get(change.key) : undefined;
  if (change.kind === "put" || current === undefined) return view.set(change.key, change.entry);
  for (const [name, value] of change.fields) {
    if (value === undefined) delete current[name];
    else current[name] = value;
  }
}

function replaceAll(view: StoreView, store: SessionStoreRecord): void {
  const given = new Map<string, string[]>();
  for (const key of Object.keys(store)) {
    const canonical = normalizeStoreSessionKey(key);
    given.set(canonical, [...(given.get(canonical) ?? []), key]);
  }
  for (const key of view.keys()) if (!given.has(key)) view.delete(key);
  for (const [canonical, keys] of given) {
    const newest = keys.reduce((best, key) => (newerFirst(store, canonical, key, best) ? key : best));
    view.set(canonical, store[newest]);
  }
}

function newerFirst(store: SessionStoreRecord, canonical: string, key: string, best: string): boolean {
  const difference = (store[key]?.updatedAt ?? 0) - (store[best]?.updatedAt ?? 0);
  return difference > 0 || (difference === 0 && key === canonical);
}

function afterWriting(options: SaveSessionStoreOptions): AfterWriting {
  const { skipMaintenance, activeSessionKey, onWarn, onMaintenanceApplied } = options;
  const { maintenanceConfig, maintenanceOverride } = options;
  const force = maintenanceOverride !== undefined;
  const asked = force ? resolveMaintenanceConfig() : configuredMaintenance();
  const base = maintenanceConfig ?? asked;
  const config = base === undefined ? undefined : { ...base, ...maintenanceOverride };
  return { skipMaintenance, activeSessionKey, onWarn, onMaintenanceApplied, config, force };
}
