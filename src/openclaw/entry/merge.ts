/** What an entry is after somebody's patch: the rules for `sessionId`, `updatedAt` and the model. */
import { randomUUID } from "node:crypto";
import { textOf } from "./delivery-context.js";
import { sessionStoreSettings } from "../base/settings.js";
import type { SessionEntry } from "./session-entry.js";

/** How a patch counts: as a use of the session, or as something that became known about it. */
export interface MergeSessionEntryOptions {
  /** Default "touch-activity". */
  readonly policy?: "touch-activity" | "preserve-activity" | undefined;
  /** Milliseconds since 1970. Default: now. */
  readonly now?: number | undefined;
}

/**
 * The session was used: `updatedAt` becomes now, or stays where it is if that is later.
 * A session without an id gets one; another model without a provider does not keep the old one's provider. A session that is
 * new, or has another id than before, began now: `sessionStartedAt` (releases since May 2026).
 */
export function mergeSessionEntry(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
): SessionEntry {
  return mergeSessionEntryWithPolicy(existing, patch);
}

/** Something became known about the session, nobody used it: `updatedAt` stays, unless the session is new. */
export function mergeSessionEntryPreserveActivity(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
): SessionEntry {
  return mergeSessionEntryWithPolicy(existing, patch, { policy: "preserve-activity" });
}

/** Both of them, by name. */
export function mergeSessionEntryWithPolicy(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
  { policy = "touch-activity", now = Date.now() }: MergeSessionEntryOptions = {},
): SessionEntry {
  const updatedAt =
    policy === "preserve-activity" && existing !== undefined
      ? (existing.updatedAt ?? patch.updatedAt ?? now)
      : Math.max(timeOf(existing), timeOf(patch), now);
  return merged(existing, patch, updatedAt);
}

/** When a session was last used; 0 for never. */
export function timeOf(entry: Readonly<Partial<SessionEntry>> | undefined): number {
  const time: unknown = entry?.updatedAt;
  return typeof time === "number" && Number.isFinite(time) ? time : 0;
}

function merged(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
  updatedAt: number,
): SessionEntry {
  const sessionId = patch.sessionId ?? existing?.sessionId ?? randomUUID();
  const next: SessionEntry = { ...existing, ...patch, sessionId, updatedAt };
  const begins = existing?.sessionId !== sessionId && patch.sessionStartedAt === undefined;
  if (begins && sessionStoreSettings().release !== "2026.4") next.sessionStartedAt = updatedAt;
  const model = textOf(next.model);
  const switched = model !== textOf(existing?.model) && !Object.hasOwn(patch, "modelProvider");
  const provider = textOf(next.modelProvider);
  if (model === undefined) delete next.model;
  else next.model = model;
  if (model === undefined || provider === undefined || (existing !== undefined && switched))
    delete next.modelProvider;
  else next.modelProvider = provider;
  return next;
}
