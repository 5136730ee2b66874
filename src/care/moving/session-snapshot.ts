/**
 * A session as of one instant: its record, and what its transcripts are.
 *
 * The items themselves are read afterwards, page by page. Appends do not disturb that, for they are behind what the snapshot has;
 * whether anything else was done to a transcript meanwhile tells `isStill`.
 */
import type { SessionRecord } from "../../store/types.js";
import type { TranscriptInfo } from "../../store/transcript-types.js";
import type { AnyStore } from "./options.js";

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
