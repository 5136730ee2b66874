/** Reading: a whole store, one session, a summary. All at once, without a promise, for that is how gateways call them. */
import { timeOf } from "../entry/merge.js";
import { normalizeEntry } from "../entry/normalization.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { textOf, threadOf } from "../entry/delivery-context.js";
import { foldedAlias, needsProof, normalizeStoreSessionKey, splitThread } from "../base/session-key.js";
import { readStore } from "../access/store-access.js";
import { StoreView, viewOf } from "../backend/view.js";
import { configuredMaintenance, type SessionMaintenanceLimits } from "../maintenance/config.js";
import { capEntryCount, pruneStaleEntries } from "../maintenance/whole-store.js";

export interface LoadSessionStoreOptions {
  /**
   * For a `sessions.json` that was not migrated: read it even if it looks unchanged. A directory store has no such cache: it
   * is always asked. Default false.
   */
  readonly skipCache?: boolean | undefined;
  /**
   * False: a lazy object, which costs microseconds however many sessions there are, and which `structuredClone` does not
   * take; in all else it is as the other, and as much the caller's own. Default true.
   */
  readonly clone?: boolean | undefined;
  /**
   * Take sessions that are too old or too many out of the object, in "enforce" mode; not out of the store, unless the
   * object is saved. Default false.
   */
  readonly runMaintenance?: boolean | undefined;
  /** Limits for that. Default: what `configureSessionMaintenance` was told, or else none. */
  readonly maintenanceConfig?: SessionMaintenanceLimits | undefined;
}

/** What a heartbeat wants to know of a session. */
export interface SessionStoreSummaryEntry {
  readonly lastChannel: string | undefined;
  readonly lastTo: string | undefined;
  readonly updatedAt: number | undefined;
}

/**
 * Every session of a store, as of now: all commits of all processes that were made before the call.
 *
 * The object is the caller's own, an ordinary one without a prototype. Its entries are copied when they are touched, so loading
 * costs 0.2 ms for 650 sessions, however large they are; and whatever is changed in it stays there until it is given to
 * {@link saveSessionStore}. Its keys are canonical; {@link resolveSessionStoreEntry} finds a session by a key in any case.
 * A session that is damaged is not in it, and a warning names it.
 * @param storePath `…/sessions.json`, before and after the migration. No file and no directory: no sessions.
 * @throws `legacy_invalid` for a file that cannot be understood, where old gateways went on without sessions; `store_not_found`
 *   for a directory that has lost its log, until an asynchronous call has mended it.
 * @example
 * for (const [key, entry] of Object.entries(loadSessionStore(storePath))) console.log(key, entry.lastChannel);
 */
export function loadSessionStore(
  storePath: string,
  {
    skipCache = false,
    clone = true,
    runMaintenance = false,
    maintenanceConfig,
  }: LoadSessionStoreOptions = {},
): SessionStoreRecord {
  const snapshot = readStore(storePath, (backend) => backend.snapshot({ skipCache }));
  const { store } = clone ? StoreView.of(snapshot) : StoreView.lazy(snapshot);
  const limits = runMaintenance ? (maintenanceConfig ?? configuredMaintenance()) : undefined;
  if (limits?.mode === "enforce") {
    const preserveKeys = new Set(limits.preserveKeys);
    pruneStaleEntries(store, limits.pruneAfterMs, { preserveKeys });
    capEntryCount(store, limits.maxEntries, { preserveKeys });
  }
  return store;
}

/**
 * Every session of a store for a look at it. Best effort: a store that cannot be read has none. What is changed in the object
 * cannot be saved.
 */
export function readSessionStoreReadOnly(storePath: string): Record<string, SessionEntry | undefined> {
  try {
    return { ...loadSessionStore(storePath) };
  } catch {
    return {};
  }
}

/**
 * Where replies to each session went and when it was last used. Best effort: a store that cannot be read has no sessions.
 */
export function loadSessionStoreSummary(storePath: string): Record<string, SessionStoreSummaryEntry> {
  const summary = Object.create(null) as Record<string, SessionStoreSummaryEntry>;
  try {
    const snapshot = readStore(storePath, (backend) => backend.snapshot());
    for (const key of snapshot.keys()) {
      const { lastChannel, lastTo, updatedAt } = normalizeEntry(snapshot.get(key)!.entry);
      summary[key] = { lastChannel, lastTo, updatedAt };
    }
  } catch {
    return summary;
  }
  return summary;
}

/**
 * When a session was last used, in milliseconds since 1970. Best effort: undefined for a blank key, a session that is not
 * there, and a store that cannot be read.
 */
export function readSessionUpdatedAt(params: {
  readonly storePath: string;
  readonly sessionKey: string;
}): number | undefined {
  try {
    const key = normalizeStoreSessionKey(params.sessionKey);
    if (key === "") return undefined;
    const alias = foldedAlias(key);
    const updatedAt = timeOf(
      alias === undefined
        ? readStore(params.storePath, (backend) => backend.readOne(key))
        : resolveSessionStoreEntry({ store: loadSessionStore(params.storePath), sessionKey: key }).existing,
    );
    return updatedAt === 0 ? undefined : updatedAt;
  } catch {
    return undefined;
  }
}

/**
 * Finds a session in a whole-store object by a key in any case.
 * @returns `existing`: of all cases of the key, the entry with the newest `updatedAt`. `legacyKeys`: the other cases that the
 *   object has; in what `loadSessionStore` and `updateSessionStore` give, at most the folded form of a key in which case
 *   counts, for all others are one session already.
 */
export function resolveSessionStoreEntry(params: {
  readonly store: SessionStoreRecord;
  readonly sessionKey: string;
}): { normalizedKey: string; existing: SessionEntry | undefined; legacyKeys: string[] } {
  const { store } = params;
  const normalizedKey = normalizeStoreSessionKey(params.sessionKey);
  const view = viewOf(store);
  const at = (key: string): SessionEntry | undefined =>
    view === undefined ? (Object.hasOwn(store, key) ? store[key] : undefined) : view.get(key);
  let existing = at(normalizedKey);
  const legacyKeys: string[] = [];
  const take = (key: string): void => {
    const entry = at(key);
    legacyKeys.push(key);
    // Where two rooms may share a folded key, an entry under the room's own key is the room's.
    if (existing !== undefined && needsProof(normalizedKey)) return;
    if (existing === undefined || timeOf(entry) > timeOf(existing)) existing = entry;
  };
  const alias = foldedAlias(normalizedKey);
  if (alias !== undefined && isFoldedEntry(at(alias), normalizedKey)) take(alias);
  if (view !== undefined) return { normalizedKey, existing, legacyKeys };
  for (const key of Object.keys(store)) {
    if (key !== normalizedKey && key !== alias && normalizeStoreSessionKey(key) === normalizedKey) take(key);
  }
  return { normalizedKey, existing, legacyKeys };
}

/** Whether an entry that is stored under the folded key is this session's: its address, which nobody folds, says so. */
function isFoldedEntry(entry: Readonly<SessionEntry> | undefined, normalizedKey: string): boolean {
  if (entry === undefined || entry === null) return false;
  if (!needsProof(normalizedKey)) return true;
  const { base, threadId } = splitThread(normalizedKey);
  const { deliveryContext, lastTo, origin, groupId } = entry;
  const addresses = [deliveryContext?.to, lastTo, origin?.nativeChannelId, origin?.to, groupId]
    .map((address) => textOf(address)?.replace(/^[^!#]*(?=[!#])/, ""))
    .filter((address) => address !== undefined);
  if (!addresses.some((address) => base.includes(address))) return false;
  return threadId === undefined || String(threadOf(entry) ?? "") === threadId;
}
