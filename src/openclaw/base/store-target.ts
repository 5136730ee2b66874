/**
 * Which store a path stands for, and in which of its two backends it is at this instant.
 *
 * A gateway names a store by its legacy file `…/sessions.json`, before and after the migration. Stores are identified by
 * their real path: an agent's folder, or the file itself, may be reached through a symlink, and two names of one store
 * must share a queue, a lock and an open store. Which links are followed is the rule of src/store/legacy-place.ts.
 *
 * Reads only; nothing is cached, so a migration or a rollback by another process is seen by the next look.
 */
import { join } from "node:path";
import type { FileSystem } from "../../fs/file-system.js";
import { LegacyPaths } from "../../legacy/base/paths.js";
import { findLegacyPlace } from "../../store/legacy-place.js";

export { storeIdentity } from "../../store/legacy-place.js";

export interface StoreTarget {
  /** Real path of the legacy file, whether it exists or not; names the store within this process. */
  readonly file: string;
  /** Real path of the folder that holds the file, the store directory, the lock file and the transcripts. */
  readonly folder: string;
  /** Path of the store directory, whether it exists or not. */
  readonly directory: string;
  /** Which directory store is there now; undefined while the legacy file is authoritative. Another value: another store. */
  readonly identity: string | undefined;
}

/**
 * @param storePath `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for any other path; `file_unsafe` for links in a circle, or to a name that does not end in `.json`;
 *   the system's own error where a folder on the way cannot be searched.
 */
export function resolveStoreTarget(fs: FileSystem, storePath: string): StoreTarget {
  const { folder, name, identity } = findLegacyPlace(fs, new LegacyPaths(storePath).file);
  return { file: join(folder, `${name}.json`), folder, directory: join(folder, `${name}.d`), identity };
}
