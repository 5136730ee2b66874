/**
 * The folders that the store keeps to itself: `.store` and what is in it.
 *
 * Every open refuses a link at the last name of a path, but the system follows links on the way there. So before
 * anything is read, written or removed by way of one of these folders, one lstat each shows that they are
 * folders themselves. No other user can swap them afterwards (see fs/trusted-path.ts); what this finds are the
 * mistakes of people and tools: a folder moved to another disk, a copy that made links.
 */
import type { FileSystem } from "../fs/file-system.js";
import { unlessMissing } from "../fs/missing.js";
import { assertFolder } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";

/** Throws `file_unsafe` if one of the folders is something else. A missing one leads nowhere, so it passes. */
export function assertInternalFolder(fs: FileSystem, layout: Layout): void {
  for (const folder of internalFolders(layout)) assertFolderIfAny(fs, folder);
}

/** The folders in the order in which they can be made. */
export function internalFolders(layout: Layout): readonly string[] {
  return [layout.store, layout.log, layout.stage, layout.blobs, layout.trash, layout.quarantine];
}

/** The same for one folder. */
export function assertFolderIfAny(fs: FileSystem, folder: string): void {
  unlessMissing(() => assertFolder(fs, folder));
}
