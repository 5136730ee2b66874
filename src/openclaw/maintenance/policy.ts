/**
 * Which sessions the limits take, and what they would do to the one that is in use. Pure: every path through the retention
 * asks here, for a directory, for a `sessions.json` and for an object in memory.
 */
import { isOlder } from "../../care/retention/age.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type { ListedSession } from "./maintained-store.js";
import { isDurable, type Protection } from "./protection.js";

export interface RemovalLimits {
  /** Sessions last used before this go; `-Infinity`: none. */
  readonly cutoff: number;
  /** `Infinity`: any number. */
  readonly maxEntries: number;
  readonly nowMs: number;
  readonly protection: Protection;
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

/** Those that go for their age. */
export function tooOld(
  sessions: readonly ListedSession[],
  { cutoff, protection }: Pick<RemovalLimits, "cutoff" | "protection">,
): ListedSession[] {
  return sessions.filter(({ key, entry }) => isStale(entry, cutoff) && !protection.covers(key, entry));
}

/** Those that go because there are so many too many. Sessions to be kept anyway count, and stay. */
export function tooMany(
  oldestFirst: readonly ListedSession[],
  excess: number,
  { protection }: Pick<RemovalLimits, "protection">,
): ListedSession[] {
  return oldestFirst.filter(({ key, entry }) => !protection.covers(key, entry)).slice(0, excess);
}

/**
 * Whether the limits would remove the session that is just being used. Not asked of them is whether it is running.
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
  return isOlder(entry?.updatedAt, cutoff);
}

/** Negative if the cap takes `a` before `b`. */
export function compareAge(
  a: Readonly<SessionEntry> | undefined,
  b: Readonly<SessionEntry> | undefined,
): number {
  const [first, second] = [timeForCap(a), timeForCap(b)];
  return first === second ? 0 : first < second ? -1 : 1;
}

function timeForCap(entry: Readonly<SessionEntry> | undefined): number {
  const time: unknown = entry?.updatedAt;
  return typeof time === "number" && !Number.isNaN(time) ? time : Number.NEGATIVE_INFINITY;
}
