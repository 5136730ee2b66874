/**
 * Retention on a whole-store object, as `loadSessionStore` gives it or `updateSessionStore` passes it to its mutator: old
 * sessions out, the number of sessions capped, and a warning before that hits the active one. Nothing here touches a disk.
 *
 * A limit of 0 or less switches itself off: no number means "remove everything".
 */
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { resolveMaintenanceConfig } from "./config.js";
import type { ListedSession } from "./maintained-store.js";
import { tooMany, tooOld, warningFor, type SessionMaintenanceWarning } from "./policy.js";
import { Protection } from "./protection.js";
import { listed, oldestFirst, rankIn } from "./record-sessions.js";

/** One session that a limit took out of the object. */
export interface RemovedEntry {
  readonly key: string;
  readonly entry: SessionEntry;
}

interface RecordOptions {
  /** Keys to keep whatever their age, in any case. Sessions that are running are kept too. */
  readonly preserveKeys?: ReadonlySet<string> | undefined;
  /** Milliseconds since 1970. Default: now. */
  readonly nowMs?: number | undefined;
  /** Taken for OpenClaw's callers; this module logs nothing. */
  readonly log?: boolean | undefined;
}

export interface PruneOptions extends RecordOptions {
  readonly onPruned?: ((removed: RemovedEntry) => void) | undefined;
}

export interface CapOptions extends RecordOptions {
  readonly onCapped?: ((removed: RemovedEntry) => void) | undefined;
}

/**
 * Removes sessions whose `updatedAt` is longer ago than `maxAgeMs`, in place. A session without one stays: nobody knows how
 * old it is.
 * @param maxAgeMs Default: what `resolveMaintenanceConfig()` says. 0 and less: nothing is removed.
 * @returns How many were removed.
 * @throws `TypeError` if `maxAgeMs` is no number.
 */
export function pruneStaleEntries(
  store: SessionStoreRecord,
  maxAgeMs: number = resolveMaintenanceConfig().pruneAfterMs,
  { preserveKeys = NO_KEYS, nowMs = Date.now(), onPruned }: PruneOptions = {},
): number {
  assertLimit(maxAgeMs, "maxAgeMs");
  if (maxAgeMs <= 0) return 0;
  const protection = new Protection(preserveKeys, nowMs);
  return removeEach(store, tooOld(listed(store), { cutoff: nowMs - maxAgeMs, protection }), onPruned);
}

/**
 * Keeps the `maxEntries` most recently used sessions, in place. Those to be kept anyway count; sessions without `updatedAt` go
 * first.
 * @param maxEntries Default: what `resolveMaintenanceConfig()` says. 0 and less: nothing is removed.
 * @returns How many were removed.
 * @throws `TypeError` if `maxEntries` is no number.
 */
export function capEntryCount(
  store: SessionStoreRecord,
  maxEntries: number = resolveMaintenanceConfig().maxEntries,
  { preserveKeys = NO_KEYS, nowMs = Date.now(), onCapped }: CapOptions = {},
): number {
  assertLimit(maxEntries, "maxEntries");
  const sessions = listed(store);
  const excess = sessions.length - maxEntries;
  if (maxEntries <= 0 || excess <= 0) return 0;
  const protection = new Protection(preserveKeys, nowMs);
  return removeEach(store, tooMany(oldestFirst(sessions), excess, { protection }), onCapped);
}

/** @returns How many. */
function removeEach(
  store: SessionStoreRecord,
  sessions: readonly ListedSession[],
  onRemoved: ((removed: RemovedEntry) => void) | undefined,
): number {
  for (const { key, entry } of sessions) {
    onRemoved?.({ key, entry });
    delete store[key];
  }
  return sessions.length;
}

/**
 * Whether the limits would remove the session that is just being used. Not asked of them is whether it is running.
 * @returns Null if not, or if there is no such session.
 */
export function getActiveSessionMaintenanceWarning(params: {
  readonly store: Readonly<SessionStoreRecord>;
  readonly activeSessionKey: string;
  readonly pruneAfterMs: number;
  readonly maxEntries: number;
  /** Milliseconds since 1970. Default: now. */
  readonly nowMs?: number | undefined;
}): SessionMaintenanceWarning | null {
  const { store, pruneAfterMs, maxEntries, nowMs = Date.now() } = params;
  assertLimit(pruneAfterMs, "pruneAfterMs");
  assertLimit(maxEntries, "maxEntries");
  const active = rankIn(store, params.activeSessionKey);
  if (active === undefined) return null;
  const limits = { pruneAfterMs, maxEntries, nowMs };
  return warningFor(active.key, active.entry, Object.keys(store).length, active.before, limits);
}

const NO_KEYS: ReadonlySet<string> = new Set();

function assertLimit(value: number, name: string): void {
  if (typeof value !== "number" || Number.isNaN(value)) throw new TypeError(`${name} must be a number`);
}
