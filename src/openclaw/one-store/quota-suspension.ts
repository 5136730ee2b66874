/**
 * Sessions that wait because a model's quota is used up (`quotaSuspension`, since May 2026): after a while they may go on, and
 * later the note is removed.
 */
import type { SessionEntry } from "../entry/session-entry.js";
import { updateSessionStore } from "./update-session-store.js";

const TTL_MS = 30 * 60 * 1000;

export interface QuotaSuspensionReport {
  /** Sessions that may go on from now on, and the lanes that a gateway had stopped for them. */
  resumed: { sessionKey: string; laneId: string }[];
  /** How many notes were removed. */
  cleared: number;
}

/**
 * Looks at every suspended session of a store: from `expectedResumeBy` on (or `ttlMs` after it was suspended) its state becomes
 * "resuming", and another `ttlMs` later the note goes. Nothing is written, and no store is made, where there is nothing to do.
 * @param params.now Milliseconds since 1970. Default: now.
 * @param params.ttlMs Milliseconds. Default: half an hour.
 * @throws As `updateSessionStore`.
 */
export async function runQuotaSuspensionMaintenance(params: {
  readonly storePath: string;
  readonly now?: number | undefined;
  readonly ttlMs?: number | undefined;
  readonly log?: boolean | undefined;
}): Promise<QuotaSuspensionReport> {
  const { storePath, now = Date.now(), ttlMs = TTL_MS } = params;
  return updateSessionStore(
    storePath,
    (store) => {
      const report: QuotaSuspensionReport = { resumed: [], cleared: 0 };
      for (const [sessionKey, entry] of Object.entries(store)) look(sessionKey, entry, now, ttlMs, report);
      return report;
    },
    { skipMaintenance: true },
  );
}

function look(
  sessionKey: string,
  entry: SessionEntry,
  now: number,
  ttlMs: number,
  report: QuotaSuspensionReport,
): void {
  const suspension = entry.quotaSuspension;
  if (suspension === undefined || suspension === null) return;
  const resumeAt = suspension.expectedResumeBy ?? suspension.suspendedAt + ttlMs;
  if (now >= resumeAt + ttlMs) {
    delete entry.quotaSuspension;
    report.cleared++;
  } else if (suspension.state === "suspended" && now >= resumeAt) {
    entry.quotaSuspension = { ...suspension, state: "resuming" };
    report.resumed.push({ sessionKey, laneId: suspension.laneId ?? "" });
  }
}
