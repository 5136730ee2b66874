/** Makes names in a folder of backups durable, where its file system can: a mounted bucket cannot, and that is said. */
import { errnoOf } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { syncDirectory } from "../../fs/regular-file.js";

/** What file systems answer that cannot sync a folder, or do not let it be opened for that. */
const CANNOT: ReadonlySet<string> = new Set([
  "EINVAL",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EISDIR",
  "EPERM",
  "EACCES",
]);

/** @returns Whether the names are durable now. */
export async function syncFolder(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await syncDirectory(fs, path);
    return fs.guarantees.directorySync;
  } catch (error) {
    if (CANNOT.has(errnoOf(error) ?? "")) return false;
    throw error;
  }
}
