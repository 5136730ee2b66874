/**
 * Which store a path stands for, and in which of its two forms it is at this instant.
 *
 * A gateway names a store by its legacy file `…/sessions.json`, before and after the migration. Stores are identified by
 * their real path: an agent's folder, or the file itself, may be reached through a symlink, and two names of one store
 * must share a queue, a lock and an open store. A link in place of the file is followed also when it dangles, for that is what
 * a migration makes of an alias: the file it pointed to became a backup.
 *
 * Reads only; nothing is cached, so a migration or a rollback by another process is seen by the next look.
 */
import { dirname, join, resolve } from "node:path";
import { errnoOf } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { STORE_FOLDER } from "../format/layout.js";
import { LegacyPaths } from "../legacy/paths.js";

export interface StoreTarget {
  /** Real path of the legacy file, whether it exists or not; names the store within this process. */
  readonly file: string;
  /** Real path of the folder that holds the file, the store directory, the lock file and the transcripts. */
  readonly folder: string;
  /** Path of the store directory, whether it exists or not. */
  readonly directory: string;
  /** Which directory store is there now; undefined while the legacy file counts. Another value: another store. */
  readonly identity: string | undefined;
}

const LINKS_MAX = 40;

/**
 * @param storePath `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for any other path; the system's own error where a folder on the way cannot be searched.
 */
export function resolveStoreTarget(fs: FileSystem, storePath: string): StoreTarget {
  let paths = new LegacyPaths(storePath);
  for (let links = 0; links < LINKS_MAX; links++) {
    const folder = realFolder(fs, paths.folder);
    const file = join(folder, paths.fileName);
    const directory = join(folder, paths.directoryName);
    const identity = storeIdentity(fs, directory);
    // A directory beside the name counts, and to look for a file that was migrated away would cost more than all the rest.
    const target = identity === undefined ? linkTarget(fs, file) : undefined;
    if (target === undefined) return { file, folder, directory, identity };
    paths = new LegacyPaths(resolve(folder, target));
  }
  throw new TypeError(`${storePath} leads through more than ${LINKS_MAX} symlinks, or in a circle`);
}

/** Whether sessions are in the directory: it is there as soon as its engine room is, for it is renamed into place whole. */
export function storeIdentity(fs: FileSystem, directory: string): string | undefined {
  try {
    const { device, inode } = fs.lstat(`${directory}/${STORE_FOLDER}`);
    return `${device} ${inode}`;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
}

/** The folder's real path, as far as it exists. */
function realFolder(fs: FileSystem, folder: string): string {
  try {
    return fs.realpath(folder);
  } catch (error) {
    const parent = dirname(folder);
    if (errnoOf(error) !== "ENOENT" || parent === folder) throw error;
    return join(realFolder(fs, parent), folder.slice(parent.length));
  }
}

function linkTarget(fs: FileSystem, path: string): string | undefined {
  try {
    return fs.lstat(path).kind === "symlink" ? fs.readlink(path) : undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
}
