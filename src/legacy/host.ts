/** What the legacy functions run on: the machine, or what tests put in its place. */
import { errnoOf } from "../errors.js";
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { STORE_FOLDER } from "../format/layout.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import type { LegacyWarning } from "./types.js";
import { systemRuntime, type Runtime } from "../runtime.js";

export interface LegacyHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
}

export const systemHost: LegacyHost = { fs: nodeFileSystem, runtime: systemRuntime };

/** Status of a name itself, or undefined where there is nothing. */
export async function statusOf(fs: FileSystem, path: string): Promise<FileStatus | undefined> {
  try {
    return await fs.later.lstat(path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Which file it is and in which state, without reading it; "none" where there is none. */
export function stampNow({ fs }: LegacyHost, path: string): string {
  try {
    return stamp(fs.lstat(path));
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return "none";
    throw error;
  }
}

function stamp({ kind, inode, size, modifiedAt }: FileStatus): string {
  return `${kind} ${inode} ${size} ${modifiedAt}`;
}

/** Names in a folder; none where there is no folder. */
export async function namesIn(fs: FileSystem, path: string): Promise<string[]> {
  try {
    return (await fs.later.readdir(path)).sort();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return [];
    throw error;
  }
}

/** For plans: the first of these folders in which this user may not make or rename anything. */
export function writeWarning({ fs }: LegacyHost, folders: readonly string[]): LegacyWarning | undefined {
  const path = folders.find((folder) => !fs.mayWrite(folder));
  if (path === undefined) return undefined;
  const message = `This user may not write in ${path}, so only the plan works. Run it as the user that the gateway runs as.`;
  return { code: "folder_not_writable", message, data: { path } };
}

/** Whether a folder is a store. */
export async function isStore({ fs }: LegacyHost, directory: string): Promise<boolean> {
  return (await statusOf(fs, `${directory}/${STORE_FOLDER}`)) !== undefined;
}
