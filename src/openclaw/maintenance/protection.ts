/**
 * Which sessions no limit removes. Pure.
 *
 * Conversations that other people are in last: a group of last year is still there, and its people expect to be known. What
 * a gateway makes for its own purposes (subagents, scheduled runs, heartbeats) has no such protection, wherever it came from.
 */
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey, splitThread } from "../base/session-key.js";
import { sessionStoreSettings } from "../base/settings.js";

/**
 * How long a session counts as running after its last sign of life. A gateway that was killed leaves "running" behind for
 * ever; without an end such sessions could never be removed.
 */
const RUNNING_MS_MAX = 24 * 3600 * 1000;

/** Keys without their agent, in lower case. */
const SYNTHETIC = /^(?:subagent|acp|cron|hook|node):|^heartbeat$|:heartbeat(?::|$)/;
const DURABLE = /^[^:]+:(?:group|channel):.|^telegram:(?:direct|dm):.+:topic:[^:]+$/;
const DURABLE_CHAT_TYPES: ReadonlySet<unknown> = new Set(["group", "channel", "thread"]);

/**
 * Whether a session is a conversation that lasts: a group, a channel, a thread or a topic. Since May 2026 these are never
 * removed for their age or number, see `release` in `configureSessionStores`.
 */
export function isProtectedSessionMaintenanceEntry(
  sessionKey: string,
  entry: Readonly<SessionEntry> | undefined,
): boolean {
  const rest = sessionKey
    .trim()
    .toLowerCase()
    .replace(/^agent:[^:]+:/, "");
  if (SYNTHETIC.test(rest)) return false;
  if (splitThread(sessionKey).threadId !== undefined || DURABLE.test(rest)) return true;
  const chatType: unknown = entry?.chatType ?? entry?.origin?.chatType;
  return typeof chatType === "string" && DURABLE_CHAT_TYPES.has(chatType.trim().toLowerCase());
}

/** The same for those who follow the configured release. */
export function isDurable(sessionKey: string, entry: Readonly<SessionEntry> | undefined): boolean {
  return sessionStoreSettings().release !== "2026.4" && isProtectedSessionMaintenanceEntry(sessionKey, entry);
}

export class Protection {
  readonly #keys = new Set<string>();

  /** @param keys Sessions to keep whatever their age, in any case: the active one, and those that the owner named. */
  constructor(
    keys: Iterable<string | undefined>,
    private readonly now: number,
  ) {
    for (const key of keys) if (key !== undefined) this.#keys.add(normalizeStoreSessionKey(key));
  }

  covers(key: string, entry: Readonly<SessionEntry> | undefined): boolean {
    return this.#keys.has(normalizeStoreSessionKey(key)) || this.#isRunning(entry) || isDurable(key, entry);
  }

  #isRunning(entry: Readonly<SessionEntry> | undefined): boolean {
    if (entry?.status !== "running" && entry?.acp?.state !== "running") return false;
    const signs = [entry.updatedAt, entry.startedAt, entry.acp?.lastActivityAt];
    const latest = Math.max(...signs.map((time) => (typeof time === "number" ? time : 0)));
    return latest > this.now - RUNNING_MS_MAX;
  }
}
