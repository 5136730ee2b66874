/**
 * A session as of one instant: its record, and what its transcripts are.
 *
 * The items themselves are read afterwards, page by page. Appends do not disturb that, for they are behind what the snapshot has;
 * whether anything else was done to a transcript meanwhile tells `isStill`.
 */
import { SessionStoreError } from "../../errors.js";
import type { SessionRecord } from "../../store/types.js";
import type { TranscriptInfo } from "../../store/transcript-types.js";
import type { AnyStore } from "./options.js";

/** How often a session may be cut while it is read: whoever cuts more often than it can be read has to be stopped. */
export const CUTS_MAX = 10;

/** Damage of one session, which does not stop the others. */
const DAMAGE: ReadonlySet<string> = new Set([
  "entry_corrupt",
  "session_damaged",
  "transcript_damaged",
  "blob_missing",
  "blob_corrupt",
  "file_unsafe",
]);

export interface SessionSnapshot {
  readonly key: string;
  readonly record: SessionRecord<object> | undefined;
  /** By name, sorted. */
  readonly transcripts: ReadonlyMap<string, TranscriptInfo>;
}

/** @returns Undefined if there is neither a record nor a transcript. */
export async function takeSnapshot(
  store: AnyStore,
  key: string,
  signal?: AbortSignal,
): Promise<SessionSnapshot | undefined> {
  return store.transact(
    async (tx) => {
      const record = (await tx.read(key)) as SessionRecord<object> | undefined;
      const transcripts = new Map<string, TranscriptInfo>();
      for (const name of await tx.transcripts(key)) {
        const info = await tx.transcript(key, name);
        if (info !== undefined) transcripts.set(name, info);
      }
      if (record === undefined && transcripts.size === 0) return undefined;
      return { key: record?.key ?? key, record, transcripts };
    },
    { signal },
  );
}

/** Whether items that were read up to the snapshot's last one are those of the snapshot, if there are as many. */
export function isStill(then: TranscriptInfo, now: TranscriptInfo | undefined): boolean {
  return now !== undefined && now.revision === then.revision && now.cut === then.cut;
}

/** Whether a session cannot be read, and others can. */
export function isDamaged(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && DAMAGE.has(error.code);
}

/** A session that was cut again and again while it was read. @param next What happened to it, and what to do. */
export function alwaysCut(key: string, next: string): SessionStoreError {
  const cut = `the transcripts of session ${JSON.stringify(key)} were cut by another process ${CUTS_MAX} times while they were`;
  return new SessionStoreError("conflict", `${cut} ${next}`, { data: { key } });
}
