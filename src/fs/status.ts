/**
 * What is at a path: looks that change nothing, take what is absent (`missing.ts`) for an answer, and never follow a link
 * at the last name. Each is one system call. Names that end in `Now` block; what has no such name waits off the thread.
 */
import type { FileStatus, FileSystem } from "./file-system.js";
import { isAbsent, unlessAbsent } from "./missing.js";

/** Which file it is, under whatever name, while it lives. */
export type Identity = Pick<FileStatus, "inode" | "device">;

export function isSameFile(one: Identity, other: Identity): boolean {
  return one.inode === other.inode && one.device === other.device;
}

/** Status of a name itself, or undefined where there is nothing. */
export async function statusOf(fs: FileSystem, path: string): Promise<FileStatus | undefined> {
  try {
    return await fs.later.lstat(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** The blocking form of {@link statusOf}. */
export function statusNow(fs: FileSystem, path: string): FileStatus | undefined {
  return unlessAbsent(() => fs.lstat(path));
}

/** Whether anything has this name, a link that leads nowhere included. */
export async function exists(fs: FileSystem, path: string): Promise<boolean> {
  return (await statusOf(fs, path)) !== undefined;
}

/** The blocking form of {@link exists}. */
export function existsNow(fs: FileSystem, path: string): boolean {
  return statusNow(fs, path) !== undefined;
}

/** Names in a folder, sorted; none where there is no folder. */
export async function namesIn(fs: FileSystem, folder: string): Promise<string[]> {
  try {
    return (await fs.later.readdir(folder)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}

/** The blocking form of {@link namesIn}. */
export function namesInNow(fs: FileSystem, folder: string): string[] {
  return unlessAbsent(() => fs.readdir(folder).sort()) ?? [];
}
