/** What the retention runs on: the machine, or what tests put in its place. */
import { asStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { nodeFileSystem } from "../../fs/node-file-system.js";
import { systemRuntime, type Runtime } from "../../runtime.js";

export interface RetentionHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
}

export const SYSTEM: RetentionHost = { fs: nodeFileSystem, runtime: systemRuntime };

/** Refusals of the system as errors of the store's. @param doing As in "could not <doing>". */
export async function told<R>(doing: string, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    throw asStoreError(error, doing);
  }
}
