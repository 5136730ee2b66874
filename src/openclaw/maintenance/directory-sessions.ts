/**
 * A directory store as the retention sees it: listed page by page, each session removed by a commit of its own, and only if it
 * still is as it was when it was listed.
 *
 * Several processes may do this at once. They judge alike, so they remove the same sessions, and whoever comes second finds
 * nothing to do. Killed in between, the rest waits for the next time.
 */
import { SessionStoreError } from "../../errors.js";
import type { ListQuery, SessionStore } from "../../store/types.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type {
  ListedSession,
  MaintainedSessions,
  MaintainedStore,
  RankedSession,
  RemovalOutcome,
  RemovalWork,
  SessionPage,
} from "./maintained-store.js";

/** So many deletions share one sync of the disk, and the event loop has its turn after them. */
const PAGE_SESSIONS = 200;

export class DirectorySessions implements MaintainedStore, MaintainedSessions {
  constructor(private readonly store: SessionStore<SessionEntry>) {}

  version(): Promise<number> {
    return this.store.revision();
  }

  count(): Promise<number> {
    return this.store.count();
  }

  countStale(cutoff: number): Promise<number> {
    // No updatedAt counts as 0, and those two have no age.
    return this.store.count({ updatedAfter: 0, updatedBefore: cutoff });
  }

  async rank(key: string): Promise<RankedSession | undefined> {
    const entry = await this.store.get(key);
    if (entry === undefined) return undefined;
    return { entry, before: await this.store.count({ updatedAfter: entry.updatedAt ?? 0 }) };
  }

  async *pages(query: Pick<ListQuery, "orderBy" | "updatedBefore">): AsyncIterable<SessionPage> {
    let cursor: string | undefined;
    do {
      const page = await this.store.list({ ...query, limit: PAGE_SESSIONS, cursor });
      yield { sessions: page.sessions, damaged: page.damaged !== undefined };
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  remove(sessions: readonly ListedSession[]): Promise<RemovalOutcome[]> {
    return Promise.all(sessions.map((session) => this.#removeUnchanged(session)));
  }

  removing<Removed>(work: RemovalWork<Removed>): Promise<readonly Removed[]> {
    return work(this);
  }

  /** A session that somebody touched since it was listed has another revision: it is alive. */
  async #removeUnchanged({ key, revision }: ListedSession): Promise<RemovalOutcome> {
    try {
      await this.store.delete(key, { ifRevision: revision });
      return "removed";
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "conflict") throw error;
      return error.data["actual"] === 0 ? "gone" : "changed";
    }
  }
}
