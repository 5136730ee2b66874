/** What the legacy functions run on: the machine, or what tests put in its place. */
import type { FileSystem } from "../../fs/file-system.js";
import { STORE_FOLDER } from "../../format/layout.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import { exists, statusNow } from "../../fs/status.js";
import type { LegacyWarning } from "./types.js";
import { systemRuntime, type Runtime } from "../../runtime.js";

export interface LegacyHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
}

export const systemHost: LegacyHost = { fs: nodeFileSystem, runtime: systemRuntime };

/** Which file it is and in which state, without reading it; "none" where there is none. */
export function stampNow({ fs }: LegacyHost, path: string): string {
  const status = statusNow(fs, path);
  return status === undefined ? "none" : `${status.kind} ${status.inode} ${status.size} ${status.modifiedAt}`;
}

/** For plans: the first of these folders in which this user may not make or rename anything. */
export function writeWarning({ fs }: LegacyHost, folders: readonly string[]): LegacyWarning | undefined {
  const path = folders.find((folder) => !fs.mayWrite(folder));
  if (path === undefined) return undefined;
  const message = `This user may not write in ${path}, so only the plan works. Run it as the user that the gateway runs as.`;
  return { code: "folder_not_writable", message, data: { path } };
}

/** Whether a folder is a store. */
export function isStore({ fs }: LegacyHost, directory: string): Promise<boolean> {
  return exists(fs, `${directory}/${STORE_FOLDER}`);
}
