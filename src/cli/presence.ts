/** What is there: looks at the file system that change nothing, and take what is absent for an answer. */
import { errnoOf } from "../errors.js";
import { nodeFileSystem as fs } from "../fs/node-file-system.js";

/** Names in a folder in order; none where there is no folder. */
export function namesIn(path: string): string[] {
  try {
    return fs.readdir(path).sort();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

export function exists(path: string): boolean {
  try {
    fs.lstat(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

function isAbsence(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR" || errno === "ELOOP" || errno === "ENAMETOOLONG";
}
