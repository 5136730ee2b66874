/** What is in an archive, read file by file and member by member; one session is in memory. Nothing is written. */
import { asStoreError, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { isMissing } from "../../fs/missing.js";
import { openRegularFile } from "../../fs/regular-file.js";
import { throwIfAborted } from "../../store/retry.js";
import { readExport } from "../moving/read-export.js";
import { filesOf, type ArchiveFolder } from "./archive-folder.js";
import { membersIn, piecesOf, withoutTornHeader, type MemberRange } from "./members.js";
import type { RetentionWarning } from "./record.js";

/** A session as it was archived once. */
export interface ArchivedSession {
  readonly key: string;
  /** That it had in the store. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly archivedAt: number;
  /** As its entry has it; undefined: no number. */
  readonly updatedAt: number | undefined;
  readonly transcripts: number;
  readonly items: number;
  /** The file that has it. */
  readonly file: string;
}

/** Where it is. */
export interface ArchivedPlace extends ArchivedSession {
  readonly member: MemberRange;
}

/**
 * Sessions of an archive, oldest file first. A member counts when it is whole: of one that was cut off by a kill all sessions are still
 * in the store.
 * @param key Of this session alone.
 * @param warn Hears of members that are damaged.
 */
export async function* archivedSessions(
  fs: FileSystem,
  folder: ArchiveFolder,
  {
    key,
    signal,
    warn,
  }: {
    readonly key: string | undefined;
    readonly signal: AbortSignal | undefined;
    readonly warn: (warning: RetentionWarning) => void;
  },
): AsyncGenerator<ArchivedPlace, void> {
  for (const { name } of filesOf(fs, folder)) {
    const path = `${folder.path}/${name}`;
    const opened = openIfThere(fs, path);
    if (opened === undefined) continue; // its time had come meanwhile
    try {
      for await (const member of membersIn(fs, opened.fd, opened.size)) {
        throwIfAborted(signal);
        const isLast = member.end === opened.size;
        const read = (range: MemberRange): Promise<ArchivedPlace[] | SessionStoreError> =>
          sessionsOf(fs, opened.fd, path, range, key).catch(asFault);
        let found = await read(member);
        const shorter =
          isLast && !Array.isArray(found) ? withoutTornHeader(fs, opened.fd, member) : undefined;
        if (shorter !== undefined) found = await read(shorter);
        if (Array.isArray(found)) yield* found;
        else if (!isLast || found.data["reason"] !== "cut") warn(damaged(path, member, found));
      }
    } finally {
      fs.close(opened.fd);
    }
  }
}

async function sessionsOf(
  fs: FileSystem,
  fd: number,
  file: string,
  member: MemberRange,
  wanted: string | undefined,
): Promise<ArchivedPlace[]> {
  const found: ArchivedPlace[] = [];
  let archivedAt = 0;
  let current: ArchivedPlace | undefined;
  let items = 0;
  for await (const event of readExport(piecesOf(fs, fd, member.start, member.end))) {
    if (event.kind === "header") archivedAt = event.time ?? 0;
    else if (event.kind === "session") {
      const { key, entry, transcripts, revision = 0 } = event.session;
      items = 0;
      const updatedAt = entry === undefined ? undefined : (entry as { updatedAt?: unknown }).updatedAt;
      current =
        wanted !== undefined && key !== wanted
          ? undefined
          : {
              key,
              revision,
              archivedAt,
              updatedAt: typeof updatedAt === "number" ? updatedAt : undefined,
              transcripts: transcripts.length,
              items: 0,
              file,
              member,
            };
    } else if (event.kind === "item") items += 1;
    else if (event.kind === "abandon") current = undefined;
    else if (event.kind === "sessionEnd" && current !== undefined) found.push({ ...current, items });
  }
  return found;
}

/** What is wrong with a member; everything else is thrown. */
function asFault(error: unknown): SessionStoreError {
  if (error instanceof SessionStoreError && error.code === "export_invalid") return error;
  throw asStoreError(error, "read the archive");
}

/** Reads the file from its path again: a caller may wait in between. @returns Undefined if it is gone. */
export function openIfThere(
  fs: FileSystem,
  path: string,
): { readonly fd: number; readonly size: number } | undefined {
  try {
    const { fd, status } = openRegularFile(fs, path, "read", { bytesMax: Number.MAX_SAFE_INTEGER });
    return { fd, size: status.size };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function damaged(path: string, { start }: MemberRange, fault: SessionStoreError): RetentionWarning {
  return {
    code: "archive_damaged",
    message: `a part of ${path} at byte ${start} cannot be read, and its sessions are left out: get the file from a backup. (${fault.message})`,
    data: { path, offset: start },
  };
}
