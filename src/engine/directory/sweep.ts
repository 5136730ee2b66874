/**
 * Removes what killed or fenced processes leave in a store's folder (F14): unfinished store folders, and empty session
 * folders from between mkdir and rename.
 *
 * No session is in an empty folder, and a process that is about to rename a file into one finds it gone and makes
 * it again. A folder with anything in it, a user's own files for example, is not empty and stays.
 */
import { removeIfEmpty } from "../../fs/remove-if-empty.js";
import { namesIn } from "../../fs/status.js";
import { isSystemName } from "../../format/layout.js";
import { keyFromFolderName, isHashedFolderName } from "../../format/session-key.js";
import type { SessionLog } from "./session-log.js";
import { removeBuildingFolders } from "./store-folder.js";

export async function sweep(log: SessionLog): Promise<void> {
  const { fs, layout } = log.options;
  await removeBuildingFolders(fs, layout);
  for (const name of await fs.later.readdir(layout.root)) {
    if (name.startsWith(".") || isSystemName(name)) continue;
    const key = keyFromFolderName(name);
    if (key === undefined && !isHashedFolderName(name)) continue; // not a folder of ours
    if (key !== undefined && log.known(key)?.stored !== undefined) continue;
    const folder = `${layout.root}/${name}`;
    if ((await namesIn(fs, folder)).length === 0) await removeIfEmpty(fs, folder);
  }
}
