/**
 * Counts all transcripts of a store: how many, their items, and the bytes of their files.
 *
 * Nothing keeps these numbers: a counter would be one more thing to be in step with every commit of every process. So the folders of
 * all sessions are read, and of each transcript the end of its last file. Not as of one instant: each transcript is as of when the
 * count came to it. One that cannot be read is counted as damaged, and does not stop the others.
 */
import { SessionStoreError, type SessionStoreErrorCode } from "../../../errors.js";
import { ChunkFile } from "../../../entries/chunk-file.js";
import { unlessMissing } from "../../../fs/missing.js";
import { isSystemName, partsOfChunkName } from "../../../format/layout.js";
import { folderNameForKey, isHashedFolderName, keyFromFolderName } from "../../../format/session-key.js";
import { lengthOf } from "../../../format/transcript-head.js";
import type { TranscriptStats } from "../../contract.js";
import type { SessionLog } from "../session-log.js";
import { chunksIn } from "./transcript-files.js";
import type { TranscriptReader } from "./transcript-reader.js";

/** What is wrong with one session or transcript, and not with the store. */
const DAMAGE: ReadonlySet<SessionStoreErrorCode> = new Set<SessionStoreErrorCode>([
  "transcript_damaged",
  "session_damaged",
  "log_damaged",
  "file_unsafe",
]);

type Count = { -readonly [Name in keyof TranscriptStats]: TranscriptStats[Name] };

/** @param folders Names in the store's folder. */
export function* countTranscripts(
  log: SessionLog,
  reader: TranscriptReader,
  folders: readonly string[],
): Generator<void, TranscriptStats> {
  const count: Count = { count: 0, items: 0, bytes: 0, damaged: 0 };
  const hot = new Map([...log.transcripts.all()].map(({ key }) => [folderNameForKey(key), key]));
  for (const folder of new Set([...folders, ...hot.keys()])) {
    yield;
    orDamaged(count, () => {
      const key = hot.get(folder) ?? keyOf(log, folder);
      if (key !== undefined) countSession(count, log, reader, key);
    });
  }
  return count;
}

/**
 * Keys of all sessions that may have transcripts: of each folder, and of each transcript in the log. What is in a folder is looked at only
 * where its name does not tell the key.
 * @param folders Names in the store's folder.
 */
export function* keysOfTranscripts(log: SessionLog, folders: readonly string[]): Generator<void, string[]> {
  const keys = new Set([...log.transcripts.all()].map(({ key }) => key));
  for (const folder of folders) {
    yield;
    const key = keyOf(log, folder);
    if (key !== undefined) keys.add(key);
  }
  return [...keys];
}

function countSession(count: Count, log: SessionLog, reader: TranscriptReader, key: string): void {
  const { fs, layout } = log.options;
  for (const [encoded, chunks] of chunksIn(fs, layout, key))
    for (const id of chunks) {
      // A file may be removed meanwhile.
      const status = unlessMissing(() => fs.lstat(layout.chunkOf(key, encoded, id)));
      count.bytes += status?.size ?? 0;
    }
  for (const name of reader.names(key))
    orDamaged(count, () => {
      const { head } = reader.state(key, name);
      if (head === undefined) return; // removed since
      count.count += 1;
      count.items += lengthOf(head);
    });
}

/** The key of a session's folder; undefined for what is none, and for one with a hashed name in which nothing tells it. */
function keyOf(log: SessionLog, folder: string): string | undefined {
  if (folder.startsWith(".") || isSystemName(folder)) return undefined;
  const key = keyFromFolderName(folder);
  if (key === undefined && !isHashedFolderName(folder)) return undefined;
  const { fs, layout } = log.options;
  const path = `${layout.root}/${folder}`;
  if (unlessMissing(() => fs.lstat(path))?.kind !== "directory") return undefined;
  return key ?? keyWithin(log, path);
}

/** The key as a file of a transcript has it. */
function keyWithin({ options: { fs } }: SessionLog, path: string): string | undefined {
  const names = unlessMissing(() => fs.readdir(path));
  const name = names?.find((candidate) => partsOfChunkName(candidate) !== undefined);
  const chunk = name && unlessMissing(() => ChunkFile.open(fs, `${path}/${name}`));
  if (!chunk) return undefined;
  try {
    return chunk.key;
  } finally {
    chunk.close();
  }
}

function orDamaged(count: Count, work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof SessionStoreError) || !DAMAGE.has(error.code)) throw error;
    count.damaged += 1;
  }
}
