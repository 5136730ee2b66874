/**
 * Which sessions go, and their removal: from a directory store one by one, each only if it still is as it was when it was
 * judged; from a legacy file in one step under its lock.
 *
 * Several processes may do this at once. They judge alike, so they remove the same sessions, and whoever comes second finds
 * nothing to do. Killed in between, the rest waits for the next time.
 */
import { SessionStoreError } from "../../errors.js";
import type { ListQuery, SessionRecord, SessionStore } from "../../store/types.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import type { Protection } from "./protection.js";
import { TranscriptReferences, type TranscriptOwner } from "./transcripts.js";
import { capEntryCount, isStale, pruneStaleEntries } from "./whole-store.js";

/** So many deletions share one sync of the disk, and the event loop has its turn after them. */
const PAGE_SESSIONS = 200;

export interface RemovedSession extends TranscriptOwner {
  readonly key: string;
  readonly reason: "pruned" | "capped";
}

export interface RemovalLimits {
  /** Sessions last used before this go; `-Infinity`: none. */
  readonly cutoff: number;
  /** `Infinity`: any number. */
  readonly maxEntries: number;
  readonly nowMs: number;
  readonly protection: Protection;
}

/** Removes from a directory store. */
export async function removeFromStore(
  store: SessionStore<SessionEntry>,
  { cutoff, maxEntries, protection }: RemovalLimits,
): Promise<RemovedSession[]> {
  const removed: RemovedSession[] = [];
  const remove = async (
    records: readonly SessionRecord<SessionEntry>[],
    reason: RemovedSession["reason"],
  ) => {
    const outcomes = await Promise.all(records.map((record) => removeUnchanged(store, record)));
    for (const [index, { key, entry }] of records.entries())
      if (outcomes[index] === "removed") removed.push({ ...ownerOf(entry), key, reason });
    return outcomes.filter((outcome) => outcome !== "changed").length;
  };

  if (Number.isFinite(cutoff)) {
    for await (const page of pagesOf(store, { orderBy: "updatedAt", updatedBefore: cutoff })) {
      const old = page.filter(({ key, entry }) => isStale(entry, cutoff) && !protection.covers(key, entry));
      await remove(old, "pruned");
    }
  }
  if ((await store.count()) <= maxEntries) return removed;
  for await (const page of pagesOf(store, { orderBy: "updatedAt" })) {
    // Counted after the page was listed: if another process has capped meanwhile, its removals are counted already, or
    // they are in this page and are found gone. Counted before, newer sessions would go in their place.
    const excess = (await store.count()) - maxEntries;
    if (excess <= 0) break;
    const oldest = page.filter(({ key, entry }) => !protection.covers(key, entry)).slice(0, excess);
    await remove(oldest, "capped");
  }
  return removed;
}

/** Removes from a whole-store object, in place. */
export function removeFromRecord(
  sessions: SessionStoreRecord,
  { cutoff, maxEntries, nowMs, protection }: RemovalLimits,
): RemovedSession[] {
  const removed: RemovedSession[] = [];
  const kept = Object.entries(sessions).filter(([key, entry]) => protection.covers(key, entry));
  const preserveKeys = new Set(kept.map(([key]) => key));
  pruneStaleEntries(sessions, nowMs - cutoff, {
    nowMs,
    preserveKeys,
    onPruned: ({ key, entry }) => removed.push({ ...ownerOf(entry), key, reason: "pruned" }),
  });
  capEntryCount(sessions, maxEntries, {
    nowMs,
    preserveKeys,
    onCapped: ({ key, entry }) => removed.push({ ...ownerOf(entry), key, reason: "capped" }),
  });
  return removed;
}

/** Which transcripts a store's sessions refer to. */
export async function referencesInStore(store: SessionStore<SessionEntry>): Promise<TranscriptReferences> {
  const references = new TranscriptReferences();
  let cursor: string | undefined;
  do {
    const page = await store.list({ limit: PAGE_SESSIONS, cursor });
    for (const { entry } of page.sessions) references.add(entry);
    if (page.damaged !== undefined) references.addUnknown();
    cursor = page.cursor;
  } while (cursor !== undefined);
  return references;
}

export function referencesInRecord(sessions: Readonly<SessionStoreRecord>): TranscriptReferences {
  const references = new TranscriptReferences();
  for (const entry of Object.values(sessions)) references.add(entry);
  return references;
}

async function* pagesOf(
  store: SessionStore<SessionEntry>,
  query: ListQuery,
): AsyncIterable<SessionRecord<SessionEntry>[]> {
  let cursor: string | undefined;
  do {
    const page = await store.list({ ...query, limit: PAGE_SESSIONS, cursor });
    yield page.sessions;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** A session that somebody touched since it was listed has another revision: it is alive. */
async function removeUnchanged(
  store: SessionStore<SessionEntry>,
  { key, revision }: SessionRecord<SessionEntry>,
): Promise<"removed" | "gone" | "changed"> {
  try {
    await store.delete(key, { ifRevision: revision });
    return "removed";
  } catch (error) {
    if (!(error instanceof SessionStoreError) || error.code !== "conflict") throw error;
    return error.data["actual"] === 0 ? "gone" : "changed";
  }
}

function ownerOf(entry: Readonly<SessionEntry> | null): TranscriptOwner {
  const { sessionId = "", sessionFile } = entry ?? {};
  return sessionFile === undefined ? { sessionId } : { sessionId, sessionFile };
}
