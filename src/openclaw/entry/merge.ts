/** What an entry is after somebody's patch: the rules for `sessionId`, `updatedAt` and the model. */
import { randomUUID } from "node:crypto";
import { textOf } from "./delivery-context.js";
import type { SessionEntry } from "./session-entry.js";

/**
 * The session was used: `updatedAt` becomes now, or stays where it is if that is later.
 * A session without an id gets one; another model without a provider does not keep the old one's provider.
 */
export function mergeSessionEntry(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
): SessionEntry {
  const updatedAt = Math.max(timeOf(existing), timeOf(patch), Date.now());
  return merged(existing, patch, updatedAt);
}

/** Something became known about the session, nobody used it: `updatedAt` stays, unless the session is new. */
export function mergeSessionEntryPreserveActivity(
  existing: Readonly<SessionEntry> | undefined,
  patch: Readonly<Partial<SessionEntry>>,
): SessionEntry {
  if (existing === undefined) return mergeSessionEntry(existing, patch);
  return merged(existing, patch, existing.updatedAt ?? patch.updatedAt ?? Date.now());
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
