/** Removal of a folder that nothing is in: rmdir looks and removes in one step, so nothing can slip in between. */
import { errnoOf } from "../errors.js";
import type { FileSystem } from "./file-system.js";

/**
 * What rmdir says where there is no empty folder: none at all, one with something in it (POSIX allows two names for that),
 * or no folder.
 */
const NOT_EMPTY: ReadonlySet<string> = new Set(["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"]);

/** Removes a folder if it is empty. What is in it keeps it, and a file or a link in its place stays. */
export async function removeIfEmpty(fs: FileSystem, folder: string): Promise<void> {
  await fs.later.rmdir(folder).catch((error: unknown) => {
    if (!NOT_EMPTY.has(errnoOf(error) ?? "")) throw error;
  });
}
