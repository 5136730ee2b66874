/** Transcripts of sessions that a gateway itself has removed or reset: its heartbeat, and the clean-up after scheduled runs. */
import { systemHost } from "../../legacy/base/host.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { archiveTranscripts, TranscriptReferences, type ArchiveReason } from "./transcripts.js";

/**
 * Puts transcripts aside, see {@link archiveTranscripts}: `<file>.deleted.<time>` or `<file>.reset.<time>`. What
 * `referencedSessionIds` names stays; so does what is not a `.jsonl` file directly in the store's folder, whatever
 * `restrictToStoreDir` says.
 * @param params.removedSessionFiles For each session its id and, where it has one, its `sessionFile`.
 * @returns The folders in which something was renamed.
 * @throws The system's own error where the folder cannot be read or written.
 */
export async function archiveRemovedSessionTranscripts(params: {
  readonly removedSessionFiles: Iterable<readonly [sessionId: string, sessionFile: string | undefined]>;
  readonly referencedSessionIds: ReadonlySet<string>;
  readonly storePath: string;
  readonly reason: ArchiveReason;
  readonly restrictToStoreDir?: boolean | undefined;
}): Promise<Set<string>> {
  const { folder } = resolveStoreTarget(systemHost.fs, params.storePath);
  const references = new TranscriptReferences();
  for (const sessionId of params.referencedSessionIds) references.add({ sessionId });
  const removed = [...params.removedSessionFiles]
    .filter(([sessionId]) => !params.referencedSessionIds.has(sessionId))
    .map(([sessionId, sessionFile]) =>
      sessionFile === undefined ? { sessionId } : { sessionId, sessionFile },
    );
  const archived = await archiveTranscripts(
    systemHost,
    folder,
    removed,
    async () => references,
    params.reason,
  );
  return new Set(archived.length === 0 ? [] : [folder]);
}
