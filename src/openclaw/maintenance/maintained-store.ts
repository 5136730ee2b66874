/**
 * What the retention asks of a store and does to it, the same for a directory and for a `sessions.json`. So which sessions go
 * is decided once (policy.ts), removing them is written once (removal.ts), and there is one report (session-maintenance.ts).
 */
import type { ListQuery } from "../../store/types.js";
import type { SessionEntry } from "../entry/session-entry.js";

/** A session as it was when it was listed. */
export interface ListedSession {
  readonly key: string;
  readonly entry: Readonly<SessionEntry>;
  /** Which state of it this is; 0 in a legacy file, where the lock decides. */
  readonly revision: number;
}

/** A part of a listing: bounded, so that the event loop has its turn between two of them. */
export interface SessionPage {
  readonly sessions: readonly ListedSession[];
  /** In this part of the listing are sessions that cannot be read. */
  readonly damaged: boolean;
}

/** What became of a session that was to be removed; "changed": somebody touched it since it was listed, so it is alive. */
export type RemovalOutcome = "removed" | "gone" | "changed";

/** Sessions that can be counted, listed and removed. */
export interface MaintainedSessions {
  count(): Promise<number>;
  /** In `updatedAt` order those come first that a cap removes first. */
  pages(query: Pick<ListQuery, "orderBy" | "updatedBefore">): AsyncIterable<SessionPage>;
  /** @returns One outcome for each. */
  remove(sessions: readonly ListedSession[]): Promise<readonly RemovalOutcome[]>;
}

/** A session, and how many others a cap would keep before it. */
export interface RankedSession {
  readonly entry: Readonly<SessionEntry>;
  readonly before: number;
}

export interface MaintainedStore extends Pick<MaintainedSessions, "count" | "pages"> {
  /** How many are too old, those included that are to be kept anyway; see `isStale` in policy.ts. */
  countStale(cutoff: number): Promise<number>;
  /** Another value after every commit. */
  version(): Promise<unknown>;
  /** @param key Canonical. */
  rank(key: string): Promise<RankedSession | undefined>;
  /**
   * Runs work that removes sessions; it is run again when it has to begin anew, so it may have no other effects.
   * @returns What it returned when it counted.
   */
  removing<Removed>(work: RemovalWork<Removed>): Promise<readonly Removed[]>;
}

/** @returns What was removed. */
export type RemovalWork<Removed> = (sessions: MaintainedSessions) => Promise<readonly Removed[]>;
