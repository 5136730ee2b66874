/**
 * The one place where keys are folded: a gateway's session is the same whichever case its key came in, everywhere else in
 * this library keys are opaque.
 */

/** Trimmed and lower-case; "" for a key of nothing but space, which names no session. */
export function normalizeStoreSessionKey(sessionKey: string): string {
  return sessionKey.trim().toLowerCase();
}
