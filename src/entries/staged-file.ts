/**
 * Reads files that came to their place by a rename out of a staging folder, or out of the trash.
 *
 * A power cut may keep both names of such a rename where the file system does not log it as one step. Then the file
 * has a second link, like one that somebody planted to change it from outside; but that link is in our own hands, so
 * the file is good. Its second name goes when its staging folder is fenced, or the trash emptied.
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { readRegularFile, type RegularFileLimits } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";

/** Like `readRegularFile`, for a file that may have more names among the store's own staged and discarded files. */
export function readStagedFile(
  fs: FileSystem,
  layout: Layout,
  path: string,
  limits: RegularFileLimits,
): Buffer {
  for (let linksMax = limits.linksMax ?? 1, attempt = 1; ; attempt++) {
    try {
      return readRegularFile(fs, path, { ...limits, linksMax });
    } catch (error) {
      const { links } = error instanceof SessionStoreError ? error.data : {};
      if (typeof links !== "number" || attempt >= ATTEMPTS_MAX) throw error;
      const status = fs.lstat(path);
      if (hasOnlyOwnNames(fs, layout, status)) linksMax = status.links;
      // A name that went while we looked for it is no name from outside.
      else if (isSame(status, fs.lstat(path))) throw error;
    }
  }
}

/** Names come and go while others discard a shared value, or fence a staging folder; not for ever. */
const ATTEMPTS_MAX = 20;

function isSame(before: FileStatus, after: FileStatus): boolean {
  return before.inode === after.inode && before.links === after.links;
}

/** Whether all names of a file, but for one, are in staging folders or in the trash. */
export function hasOnlyOwnNames(fs: FileSystem, layout: Layout, file: FileStatus): boolean {
  if (file.links <= 1) return true;
  const stages = namesIn(fs, layout.stage).map((name) => layout.stageFolder(name));
  let names = 1;
  for (const folder of [...stages, layout.trash]) {
    for (const name of namesIn(fs, folder)) if (isFile(fs, `${folder}/${name}`, file)) names++;
  }
  return file.links <= names;
}

function namesIn(fs: FileSystem, folder: string): string[] {
  try {
    return fs.readdir(folder);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return []; // fenced meanwhile, or not one of ours
    throw error;
  }
}

function isFile(fs: FileSystem, path: string, file: FileStatus): boolean {
  try {
    const { inode, device } = fs.lstat(path);
    return inode === file.inode && device === file.device;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
