/** The transcripts that a session has beside its record, for commands that are about the record. */
import { SessionStoreError, type SessionStoreErrorCode } from "../errors.js";
import type { Store } from "./open-store.js";

const UNKNOWN: ReadonlySet<SessionStoreErrorCode> = new Set<SessionStoreErrorCode>([
  "session_damaged",
  "transcript_damaged",
  "log_damaged",
]);

/** Their names; none where damage hides them. */
export async function transcriptsBeside(store: Store, key: string): Promise<readonly string[]> {
  try {
    return await store.transcripts(key);
  } catch (error) {
    if (error instanceof SessionStoreError && UNKNOWN.has(error.code)) return [];
    throw error;
  }
}
