/**
 * The folders that the store keeps to itself: `.store` and what is in it.
 *
 * Every open refuses a link at the last name of a path, but the system follows links on the way there. So before
 * anything is read, written or removed by way of one of these folders, one lstat each shows that they are
 * folders themselves. No other user can swap them afterwards (see fs/trusted-path.ts); what this finds are the
 * mistakes of people and tools: a folder moved to another disk, a copy that made links.
 */
import { SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { unlessMissing } from "../fs/missing.js";
import { assertFolder } from "../fs/regular-file.js";
import { existsNow } from "../fs/status.js";
import type { Layout } from "../format/layout.js";

/** Throws `file_unsafe` if one of the folders is something else. A missing one leads nowhere, so it passes. */
export function assertInternalFolder(fs: FileSystem, layout: Layout): void {
  for (const folder of internalFolders(layout)) assertFolderIfAny(fs, folder);
}

/** The folders in the order in which they can be made. */
export function internalFolders(layout: Layout): readonly string[] {
  return [layout.store, layout.log, layout.stage, layout.blobs, layout.trash, layout.quarantine];
}

/**
 * `store_incomplete` for the first of the folders that is not there, undefined while all are: asked when a call found
 * nothing where these folders lead. No process of ours ever removes one.
 */
export function missingInternalFolder(fs: FileSystem, layout: Layout): SessionStoreError | undefined {
  const path = internalFolders(layout).find((folder) => !existsNow(fs, folder));
  if (path === undefined) return undefined;
  return new SessionStoreError(
    "store_incomplete",
    `${path} is not there: it was removed, or moved away, while the store was open. Put it back. If it is gone for good, ` +
      "close the store and open it again, which makes the folder anew, empty. If it does not open, move .store away and make " +
      "a store of the session folders alone: sessiondir rebuild.",
    { data: { path } },
  );
}

/** Throws `file_unsafe` if this one folder is something else. */
export function assertFolderIfAny(fs: FileSystem, folder: string): void {
  unlessMissing(() => assertFolder(fs, folder));
}
