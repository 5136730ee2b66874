/** What becomes of a session: the difference between what a store has and what a caller made of it. Pure. */
import { changedFields, storableEntry } from "../entry/copy.js";
import { timeOf } from "../entry/merge.js";
import { normalizeEntry, putInOrder } from "../entry/normalization.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type { SessionSource, StoredSession } from "./snapshot.js";

/** Every stored key in `replaces` goes; the canonical key is written where that says so. */
export type SessionChange =
  /** Everything of a session that was not there, or not under its canonical key. */
  | {
      readonly kind: "put";
      readonly key: string;
      readonly entry: Readonly<SessionEntry>;
      readonly replaces: StoredKeys;
    }
  /** These fields, undefined for those to be removed; `entry` is the whole of it. */
  | {
      readonly kind: "patch";
      readonly key: string;
      readonly fields: ReadonlyMap<string, unknown>;
      readonly entry: Readonly<SessionEntry>;
      readonly replaces: StoredKeys;
    }
  | { readonly kind: "delete"; readonly key: string; readonly replaces: StoredKeys };

type StoredKeys = readonly string[];

export interface ChangeRules {
  /** Canonical keys of sessions that may lose their `acp`; all others keep it when an entry comes without. */
  readonly mayDropAcp?: ReadonlySet<string> | "all" | undefined;
  /** Take `updatedAt` as it is given, even if it is earlier than before. */
  readonly mayTurnBack?: boolean | undefined;
}

type Seen = Pick<SessionSource, "get" | "allOf" | "damage">;

/** What it takes to bring a session from where the snapshot has it to `entry`. */
export function changeOf(
  key: string,
  seen: Seen,
  entry: SessionEntry | undefined,
  rules: ChangeRules,
): SessionChange | undefined {
  const session = seen.get(key);
  const all = seen.allOf(key).map((stored) => stored.key);
  const others = all.filter((stored) => stored !== key);
  if (entry === undefined) {
    if (session !== undefined) return { kind: "delete", key, replaces: all };
    return seen.damage(key) === undefined ? undefined : { kind: "delete", key, replaces: [key] };
  }
  if (session === undefined) {
    return { kind: "put", key, entry: storableEntry(putInOrder(entry)), replaces: others };
  }
  const before = normalizeEntry(session.entry);
  const wanted = held(before, entry, key, rules);
  if (changedFields(before, wanted) === undefined) return undefined;
  const next = putInOrder(wanted);
  if (session.key !== key) return { kind: "put", key, entry: storableEntry(next), replaces: others };
  const fields = changedFields(session.entry, next) ?? new Map<string, unknown>();
  return { kind: "patch", key, fields, entry: next, replaces: others };
}

/**
 * The entry with what may not get lost: ACP metadata, and the time that it was last used. An earlier time is that of a caller
 * who has held the entry for a while; 0 is none, but how a gateway says that the next message begins afresh.
 */
function held(
  before: Readonly<SessionEntry>,
  entry: SessionEntry,
  key: string,
  rules: ChangeRules,
): SessionEntry {
  const mayDropAcp = rules.mayDropAcp === "all" || rules.mayDropAcp?.has(key) === true;
  const keepsAcp = before.acp !== undefined && (entry.acp ?? undefined) === undefined && !mayDropAcp;
  const isEarlier = entry.updatedAt !== 0 && timeOf(entry) < timeOf(before);
  const keepsTime = rules.mayTurnBack !== true && isEarlier;
  if (!keepsAcp && !keepsTime) return entry;
  const next = storableEntry(entry);
  if (keepsAcp) next.acp = before.acp!;
  if (keepsTime) next.updatedAt = before.updatedAt;
  return next;
}

/** What is seen of one session alone. */
export function alone(session: StoredSession | undefined): Seen {
  return {
    get: () => session,
    allOf: () => (session === undefined ? [] : [session]),
    damage: () => undefined,
  };
}
