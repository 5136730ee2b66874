/**
 * Keeps the bytes of a damaged entry file before its session is written or removed: `.store/quarantine/` gets a copy.
 *
 * A copy and not a rename, because a process may be suspended between its look and its step for a day: a late copy
 * is one file too many at worst, a late rename would take a good file away (I5). The copy comes by way of
 * a staging folder, like every file, and is durable before the original may go.
 *
 * A file that says nothing, or nothing that the log does not say as well, is not kept: a power cut leaves empty and torn
 * files of sessions that the log has, and no person should have to look at those.
 *
 * A crash leaves a temp file in a staging folder (the fence removes it), or the copy beside its original: the next
 * process that writes the session makes the same copy under the same name, for the name has the content's checksum. A name
 * that something else has (a copy that was cut short, a file with the same checksum, a folder) gets a number.
 */
import { errnoOf, SessionStoreError, type StoreWarning } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { createFile, readRegularFile, syncDirectory } from "../fs/regular-file.js";
import { crc32Hex } from "../format/crc32.js";
import { endsWithinHeader, revisionInHeader } from "../format/entry-document.js";
import type { Layout } from "../format/layout.js";
import { folderNameForKey } from "../format/session-key.js";

/** What tells a file that its owner may miss from one that holds nothing of value. */
export interface DamagePolicy {
  /** Whether the log has what a file of this revision had. */
  readonly isInLog: (revision: number) => boolean;
  /** Whether a session's file may have this revision: the log has that or a later one, or has let go of the session. */
  readonly isOvertaken: (key: string, revision: number) => boolean;
  readonly onWarning: (warning: StoreWarning) => void;
}

/** A damaged entry file and, where they could be read, its bytes. */
export interface DamagedFile {
  readonly path: string;
  readonly reason: string;
  readonly bytes?: Buffer | undefined;
}

/**
 * Copies a damaged file into the quarantine, if its content could be of use to its owner.
 * @param temporary A free name in a staging folder.
 * @returns `"fenced"` when the staging folder is gone.
 */
export async function keepDamagedFile(
  fs: FileSystem,
  layout: Layout,
  policy: DamagePolicy,
  key: string,
  file: DamagedFile,
  temporary: string,
): Promise<"done" | "fenced"> {
  const { bytes } = file;
  if (bytes === undefined || bytes.length === 0) return "done";
  const revision = revisionInHeader(bytes);
  // What a power cut tears is a file that the log has: it has NUL bytes in place of its beginning, or ends within it.
  const torn = bytes.includes(0) || endsWithinHeader(bytes);
  if (revision === undefined ? torn : policy.isInLog(revision)) return "done";
  return keepFile(fs, layout, policy, key, { ...file, bytes }, temporary);
}

/** Copies an entry file into the quarantine, durably. */
export async function keepFile(
  fs: FileSystem,
  layout: Layout,
  policy: DamagePolicy,
  key: string,
  { path, reason, bytes }: DamagedFile & { readonly bytes: Buffer },
  temporary: string,
): Promise<"done" | "fenced"> {
  const { kept, known } = placeFor(
    fs,
    `${layout.quarantine}/${folderNameForKey(key)}.${crc32Hex(bytes)}`,
    bytes,
  );
  if (!known) {
    try {
      await createFile(fs, temporary, bytes, { sync: true });
      await fs.later.rename(temporary, kept);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "fenced";
      throw error;
    }
  }
  await syncDirectory(fs, layout.quarantine);
  if (known) return "done";
  policy.onWarning({
    code: "entry_quarantined",
    message:
      `${path} was damaged (${reason}) and its session was written or deleted since; the damaged file was kept as ` +
      `${kept}. Look whether it has something that is missed, then remove it.`,
    data: { key, path, kept, reason },
  });
  return "done";
}

/** A file that is larger than any entry is none of ours, and too much to copy. */
export function isTooLarge(error: unknown): boolean {
  return error instanceof SessionStoreError && error.data["actual"] !== undefined;
}

/** The first name that is free, or that has these very bytes already. */
function placeFor(fs: FileSystem, name: string, bytes: Buffer): { kept: string; known: boolean } {
  for (let number = 1; ; number++) {
    const kept = number === 1 ? `${name}.json` : `${name}.${number}.json`;
    const there = contentAt(fs, kept, bytes.length);
    if (there === "nothing" || (there !== "other" && there.equals(bytes)))
      return { kept, known: there !== "nothing" };
  }
}

/** A file that is larger, or none, is something other than the copy. */
function contentAt(fs: FileSystem, path: string, bytesMax: number): Buffer | "nothing" | "other" {
  try {
    return readRegularFile(fs, path, { bytesMax });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "nothing";
    if (error instanceof SessionStoreError && error.code === "file_unsafe") return "other";
    throw error;
  }
}
