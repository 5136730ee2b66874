/**
 * The one place where keys are folded: a gateway's session is the same whichever case its key came in, everywhere else in
 * this library keys are opaque.
 *
 * Two channels have addresses in which case counts: rooms of Matrix, and groups of Signal. Up to April 2026 OpenClaw folded those
 * too, so two rooms could be one session; since then it keeps them. A session that was stored under the folded key is found by
 * `resolveSessionStoreEntry`, see `foldedAlias`.
 */
import { sessionStoreSettings } from "./settings.js";

/** Up to the end of the group's id, which has no colon. */
const SIGNAL = /(?:^|:)signal:group:(?<id>[^:]+)/gi;
/** Up to the end, with the thread's id but for its marker. */
const MATRIX = /^(?:agent:[^:]+:)?matrix:(?:channel|group):(?<id>.+)$/is;
const THREAD = /^(?<before>.*)(?<marker>:thread:)(?<thread>.*)$/is;

/** Trimmed and lower-case, but for what {@link isCaseSensitive}; "" for a key of nothing but space, which names no session. */
export function normalizeStoreSessionKey(sessionKey: string): string {
  const key = sessionKey.trim();
  const folded = key.toLowerCase();
  if (key === folded || sessionStoreSettings().release === "2026.4") return folded;
  // Lower case has as many characters as upper case in all but a few scripts; where it has not, no key has these channels.
  if (folded.length !== key.length) return folded;
  const matrix = MATRIX.exec(key)?.groups?.["id"];
  if (matrix !== undefined) {
    const head = folded.slice(0, key.length - matrix.length);
    const { before = matrix, marker = "", thread = "" } = THREAD.exec(matrix)?.groups ?? {};
    return head + before + marker.toLowerCase() + thread;
  }
  let normalized = "";
  for (const match of key.matchAll(SIGNAL)) {
    const id = match.groups?.["id"] ?? "";
    const end = match.index + match[0].length;
    normalized += folded.slice(normalized.length, end - id.length) + id;
  }
  return normalized + folded.slice(normalized.length);
}

/**
 * The key that a session has if it was stored by an OpenClaw that folded everything; undefined where that is the key itself.
 */
export function foldedAlias(normalizedKey: string): string | undefined {
  const folded = normalizedKey.toLowerCase();
  return folded === normalizedKey ? undefined : folded;
}

/** Of two Matrix rooms that differ in case, both may have been stored under one folded key: whose it is has to be proved. */
export function needsProof(normalizedKey: string): boolean {
  return MATRIX.test(normalizedKey);
}

/** A key without its thread, and the thread. */
export function splitThread(sessionKey: string): {
  readonly base: string;
  readonly threadId: string | undefined;
} {
  const key = sessionKey.trim();
  const { before, thread } = THREAD.exec(key)?.groups ?? {};
  return { base: before ?? key, threadId: thread?.trim() || undefined };
}
