/**
 * Where a legacy store really is: one rule for symlinks, for every function that takes the path of a `NAME.json`.
 *
 *   1. Links on the way to the file are followed, so that its folder is a real one: everything around the file is made,
 *      renamed and synced there.
 *   2. If there is a store `NAME.d` in that folder, the path means that one.
 *   3. Otherwise a link in the place of `NAME.json` is followed, and the same is looked at again where it leads, also
 *      when nothing is there: a migration makes a backup of the file and leaves the link dangling.
 *
 * Reads only; nothing is cached, so a migration or a rollback by another process is seen by the next look.
 */
import { dirname, extname, basename, isAbsolute, join } from "node:path";
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { isAbsent, unlessAbsent } from "../fs/missing.js";
import { statusNow } from "../fs/status.js";
import { STORE_FOLDER } from "../format/layout.js";

export interface LegacyPlace {
  /** Real path of the folder that holds the file, the store and the backups. */
  readonly folder: string;
  /** `NAME`: the file is `NAME.json`, the store `NAME.d`. */
  readonly name: string;
  /** Which store is there now; undefined while the legacy file is what counts. Another value: another store. */
  readonly identity: string | undefined;
}

const LINKS_MAX = 40;

/**
 * @param file Absolute path of the legacy file, whether it is there or not.
 * @throws `file_unsafe` for links in a circle, and for a link to a name that does not end in `.json`; the system's own
 *   error where a folder on the way cannot be searched.
 */
export function findLegacyPlace(fs: FileSystem, file: string): LegacyPlace {
  let path = file;
  for (let links = 0; links < LINKS_MAX; links++) {
    const folder = realFolder(fs, dirname(path), file);
    const name = basename(path, ".json");
    const identity = storeIdentity(fs, join(folder, `${name}.d`));
    // A store beside the name counts, and to look for a file that was migrated away would cost more than all the rest.
    const target = identity === undefined ? linkTarget(fs, join(folder, `${name}.json`)) : undefined;
    if (target === undefined) return { folder, name, identity };
    // Not `resolve`, which would take `link/..` for nothing.
    path = isAbsolute(target) ? target : `${folder}/${target}`;
    if (extname(path) !== ".json") throw notALegacyName(file, path);
  }
  throw inACircle(file);
}

/**
 * Whether sessions are in the directory: it is there as soon as its internal folder is, for it is renamed into place
 * whole.
 */
export function storeIdentity(fs: FileSystem, directory: string): string | undefined {
  const status = statusNow(fs, `${directory}/${STORE_FOLDER}`);
  return status && `${status.device} ${status.inode}`;
}

/** The folder's real path, as far as it exists. */
function realFolder(fs: FileSystem, folder: string, file: string): string {
  try {
    return fs.realpath(folder);
  } catch (error) {
    if (errnoOf(error) === "ELOOP") throw inACircle(file);
    const parent = dirname(folder);
    if (!isAbsent(error) || parent === folder) throw error;
    return join(realFolder(fs, parent, file), basename(folder));
  }
}

function linkTarget(fs: FileSystem, path: string): string | undefined {
  return unlessAbsent(() => (fs.lstat(path).kind === "symlink" ? fs.readlink(path) : undefined));
}

function inACircle(path: string): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} leads through more than ${LINKS_MAX} symlinks, or in a circle: give the path of the real file.`,
    { data: { path, kind: "symlink" } },
  );
}

function notALegacyName(path: string, target: string): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} is a symlink to ${target}, whose name does not end in .json, so a store has no place beside it: rename the ` +
      "file, or put it where the link is.",
    { data: { path, target, kind: "symlink" } },
  );
}
