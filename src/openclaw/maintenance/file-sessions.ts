/** A `sessions.json` as the retention sees it: all of it at once, and whatever goes from it goes in one step, under its lock. */
import type { ListQuery } from "../../store/types.js";
import type { SessionStoreRecord } from "../entry/session-entry.js";
import type { MaintainedStore, RankedSession, RemovalWork, SessionPage } from "./maintained-store.js";
import { isStale } from "./policy.js";
import { rankIn, RecordSessions } from "./record-sessions.js";

/** How a legacy file is read and written. */
export interface FileAccess {
  read(): Promise<Readonly<SessionStoreRecord>>;
  /** Reads the file, lets it be changed in place, writes it if it was; all under the file's lock. */
  update<R>(change: (sessions: SessionStoreRecord) => Promise<R>): Promise<R>;
  /** Another value: what `read` gives may be another. */
  version(): Promise<unknown>;
}

export class FileSessions implements MaintainedStore {
  constructor(private readonly file: FileAccess) {}

  version(): Promise<unknown> {
    return this.file.version();
  }

  async count(): Promise<number> {
    return Object.keys(await this.file.read()).length;
  }

  async countStale(cutoff: number): Promise<number> {
    return Object.values(await this.file.read()).filter((entry) => isStale(entry, cutoff)).length;
  }

  async rank(key: string): Promise<RankedSession | undefined> {
    return rankIn(await this.file.read(), key);
  }

  async *pages(query: Pick<ListQuery, "orderBy" | "updatedBefore">): AsyncIterable<SessionPage> {
    yield* new RecordSessions(await this.file.read()).pages(query);
  }

  async removing<Removed>(work: RemovalWork<Removed>): Promise<readonly Removed[]> {
    // The lock of a file, and reading it anew, are only for when there is something to remove.
    if ((await work(new RecordSessions({ ...(await this.file.read()) }))).length === 0) return [];
    return this.file.update((sessions) => work(new RecordSessions(sessions)));
  }
}
