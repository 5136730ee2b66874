/**
 * Sessions that the limits take are removed, from a store of either backend, and the transcripts that the others refer to are
 * looked up.
 */
import type { SessionEntry } from "../entry/session-entry.js";
import type { ListedSession, MaintainedSessions } from "./maintained-store.js";
import { tooMany, tooOld, type RemovalLimits } from "./policy.js";
import { TranscriptReferences, type TranscriptOwner } from "./transcripts.js";

export interface RemovedSession extends TranscriptOwner {
  readonly key: string;
  readonly reason: "pruned" | "capped";
}

/** First those that are too old; of the others, the oldest, as long as there are too many. */
export async function removeByLimits(
  sessions: MaintainedSessions,
  limits: RemovalLimits,
): Promise<readonly RemovedSession[]> {
  const { cutoff, maxEntries } = limits;
  const removed: RemovedSession[] = [];
  const remove = async (
    chosen: readonly ListedSession[],
    reason: RemovedSession["reason"],
  ): Promise<void> => {
    const outcomes = await sessions.remove(chosen);
    for (const [index, { key, entry }] of chosen.entries())
      if (outcomes[index] === "removed") removed.push({ ...ownerOf(entry), key, reason });
  };

  if (Number.isFinite(cutoff)) {
    for await (const page of sessions.pages({ orderBy: "updatedAt", updatedBefore: cutoff }))
      await remove(tooOld(page.sessions, limits), "pruned");
  }
  if ((await sessions.count()) <= maxEntries) return removed;
  for await (const page of sessions.pages({ orderBy: "updatedAt" })) {
    // Counted after the page was listed: if another process has capped meanwhile, its removals are counted already, or
    // they are in this page and are found gone. Counted before, newer sessions would go in their place.
    const excess = (await sessions.count()) - maxEntries;
    if (excess <= 0) break;
    await remove(tooMany(page.sessions, excess, limits), "capped");
  }
  return removed;
}

/** Which transcripts the sessions that are there refer to. */
export async function referencesOf(
  sessions: Pick<MaintainedSessions, "pages">,
): Promise<TranscriptReferences> {
  const references = new TranscriptReferences();
  // By key: a session whose time is put back while it is listed must not be missed.
  for await (const page of sessions.pages({ orderBy: "key" })) {
    for (const { entry } of page.sessions) references.add(entry);
    if (page.damaged) references.addUnknown();
  }
  return references;
}

function ownerOf(entry: Readonly<SessionEntry> | null): TranscriptOwner {
  const { sessionId = "", sessionFile } = entry ?? {};
  return sessionFile === undefined ? { sessionId } : { sessionId, sessionFile };
}
