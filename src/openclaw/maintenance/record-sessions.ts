/** The sessions of a whole-store object as the retention sees them. The object is nobody else's while it works on it. */
import type { ListQuery } from "../../store/types.js";
import { timeOf } from "../entry/merge.js";
import type { SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import type {
  ListedSession,
  MaintainedSessions,
  RankedSession,
  RemovalOutcome,
  SessionPage,
} from "./maintained-store.js";
import { compareAge } from "./policy.js";

export class RecordSessions implements MaintainedSessions {
  /** @param sessions Changed in place by `remove`. */
  constructor(private readonly sessions: SessionStoreRecord) {}

  count(): Promise<number> {
    return Promise.resolve(Object.keys(this.sessions).length);
  }

  /** All at once: the object is in memory anyway. */
  async *pages({
    orderBy,
    updatedBefore = Infinity,
  }: Pick<ListQuery, "orderBy" | "updatedBefore">): AsyncIterable<SessionPage> {
    const sessions = listed(this.sessions).filter(({ entry }) => timeOf(entry) < updatedBefore);
    yield { sessions: orderBy === "updatedAt" ? oldestFirst(sessions) : sessions, damaged: false };
  }

  remove(sessions: readonly ListedSession[]): Promise<RemovalOutcome[]> {
    for (const { key } of sessions) delete this.sessions[key];
    return Promise.resolve(sessions.map(() => "removed"));
  }
}

/** In the order of the object. */
export function listed(sessions: Readonly<SessionStoreRecord>): ListedSession[] {
  return Object.entries(sessions).map(([key, entry]) => ({ key, entry, revision: 0 }));
}

/** Of two that were used at the same time the later one in the object goes first. */
export function oldestFirst(sessions: readonly ListedSession[]): ListedSession[] {
  return sessions.toReversed().sort((a, b) => compareAge(a.entry, b.entry));
}

/** A session by a key in any case; the key as it stands in the object counts before the same one in another case. */
export function rankIn(
  sessions: Readonly<SessionStoreRecord>,
  given: string,
): (RankedSession & { readonly key: string }) | undefined {
  const keys = Object.keys(sessions);
  const wanted = normalizeStoreSessionKey(given);
  const key =
    keys.find((candidate) => candidate === given.trim()) ??
    keys.find((candidate) => normalizeStoreSessionKey(candidate) === wanted);
  const entry = key === undefined ? undefined : sessions[key];
  if (key === undefined || entry === undefined) return undefined;
  const position = keys.indexOf(key);
  const before = keys.filter((other, index) => {
    const order = compareAge(sessions[other], entry);
    return order > 0 || (order === 0 && index < position);
  });
  return { key, entry, before: before.length };
}
