/**
 * A file that is always whole: made aside, synced, renamed into its place.
 *
 * A crash leaves the old file or the new one under its name, never a part, and maybe the one aside: put that where something
 * removes it.
 */
import { dirname } from "node:path";
import type { FileSystem } from "./file-system.js";
import { createFile, syncDirectory } from "./regular-file.js";

/**
 * Puts a file with these bytes in the place of whatever file has the name, durably.
 * @param temporary A name that nothing has, on the same file system. It is gone afterwards, also if a call fails.
 */
export async function replaceFile(
  fs: FileSystem,
  temporary: string,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  await createFile(fs, temporary, bytes, { sync: true });
  try {
    await fs.later.rename(temporary, path);
  } catch (error) {
    await fs.later.unlink(temporary).catch(() => {});
    throw error;
  }
  await syncDirectory(fs, dirname(path));
}
