/** Which sessions no limit removes. Pure. */
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../session-key.js";

/**
 * How long a session counts as running after its last sign of life. A gateway that was killed leaves "running" behind for
 * ever; without an end such sessions could never be removed.
 */
const RUNNING_MS_MAX = 24 * 3600 * 1000;

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
    return this.#keys.has(normalizeStoreSessionKey(key)) || this.#isRunning(entry);
  }

  #isRunning(entry: Readonly<SessionEntry> | undefined): boolean {
    if (entry?.status !== "running" && entry?.acp?.state !== "running") return false;
    const signs = [entry.updatedAt, entry.startedAt, entry.acp?.lastActivityAt];
    const latest = Math.max(...signs.map((time) => (typeof time === "number" ? time : 0)));
    return latest > this.now - RUNNING_MS_MAX;
  }
}
