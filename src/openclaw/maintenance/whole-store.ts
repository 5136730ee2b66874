/**
 * Retention on a whole-store object, as `loadSessionStore` gives it or `updateSessionStore` passes it to its mutator: old
 * sessions out, the number of sessions capped, and a warning before that hits the active one. Nothing here touches a disk.
 *
 * A limit of 0 or less switches itself off: no number means "remove everything".
 */
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { resolveMaintenanceConfig } from "./config.js";
import { isDurable, Protection } from "./protection.js";

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

/** What a limit would do to the active session if it were not kept. */
export interface SessionMaintenanceWarning {
  readonly activeSessionKey: string;
  readonly activeUpdatedAt?: number | undefined;
  readonly totalEntries: number;
  readonly pruneAfterMs: number;
  readonly maxEntries: number;
  readonly wouldPrune: boolean;
  readonly wouldCap: boolean;
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
  let pruned = 0;
  for (const [key, entry] of Object.entries(store)) {
    if (!isStale(entry, nowMs - maxAgeMs) || protection.covers(key, entry)) continue;
    onPruned?.({ key, entry });
    delete store[key];
    pruned++;
  }
  return pruned;
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
  const entries = Object.entries(store);
  let excess = entries.length - maxEntries;
  if (maxEntries <= 0 || excess <= 0) return 0;
  const protection = new Protection(preserveKeys, nowMs);
  let capped = 0;
  // Of two that were used at the same time the later one in the object goes first.
  for (const [key, entry] of entries.reverse().sort(([, a], [, b]) => compareAge(a, b))) {
    if (excess <= 0) break;
    if (protection.covers(key, entry)) continue;
    onCapped?.({ key, entry });
    delete store[key];
    excess--;
    capped++;
  }
  return capped;
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
  const keys = Object.keys(store);
  const wanted = normalizeStoreSessionKey(params.activeSessionKey);
  const activeSessionKey =
    keys.find((key) => key === params.activeSessionKey.trim()) ??
    keys.find((key) => normalizeStoreSessionKey(key) === wanted);
  const active = activeSessionKey === undefined ? undefined : store[activeSessionKey];
  if (activeSessionKey === undefined || active === undefined) return null;
  const position = keys.indexOf(activeSessionKey);
  const before = keys.filter((key, index) => {
    const order = compareAge(store[key], active);
    return order > 0 || (order === 0 && index < position);
  });
  return warningFor(activeSessionKey, active, keys.length, before.length, {
    pruneAfterMs,
    maxEntries,
    nowMs,
  });
}

/**
 * The warning, from figures.
 * @param before How many sessions would be kept before this one.
 */
export function warningFor(
  activeSessionKey: string,
  active: Readonly<SessionEntry>,
  totalEntries: number,
  before: number,
  limits: { readonly pruneAfterMs: number; readonly maxEntries: number; readonly nowMs: number },
): SessionMaintenanceWarning | null {
  const { pruneAfterMs, maxEntries, nowMs } = limits;
  if (isDurable(activeSessionKey, active)) return null;
  const wouldPrune = pruneAfterMs > 0 && isStale(active, nowMs - pruneAfterMs);
  const wouldCap = maxEntries > 0 && before >= maxEntries;
  if (!wouldPrune && !wouldCap) return null;
  const activeUpdatedAt = active.updatedAt;
  return {
    activeSessionKey,
    activeUpdatedAt,
    totalEntries,
    pruneAfterMs,
    maxEntries,
    wouldPrune,
    wouldCap,
  };
}

/**
 * Whether the session is known to be older. A damaged entry (null, a text) is not a session, and has no age; nor has one with
 * 0, of which a gateway has said that the next message is to begin afresh: its settings are still wanted.
 */
export function isStale(entry: Readonly<SessionEntry> | undefined, cutoff: number): boolean {
  const time: unknown = entry?.updatedAt;
  return typeof time === "number" && time !== 0 && time < cutoff;
}

const NO_KEYS: ReadonlySet<string> = new Set();

/** Negative if the cap takes `a` before `b`. */
function compareAge(a: Readonly<SessionEntry> | undefined, b: Readonly<SessionEntry> | undefined): number {
  const [first, second] = [timeForCap(a), timeForCap(b)];
  return first === second ? 0 : first < second ? -1 : 1;
}

function timeForCap(entry: Readonly<SessionEntry> | undefined): number {
  const time: unknown = entry?.updatedAt;
  return typeof time === "number" && !Number.isNaN(time) ? time : Number.NEGATIVE_INFINITY;
}

function assertLimit(value: number, name: string): void {
  if (typeof value !== "number" || Number.isNaN(value)) throw new TypeError(`${name} must be a number`);
}
