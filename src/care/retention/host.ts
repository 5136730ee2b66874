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

/** So long may work go on before others have their turn; what is done between two looks comes on top. */
const SLICE_MS = 8;

/** Turns of the event loop for others, in work that would not wait by itself. */
export class Turns {
  #since: number;

  constructor(private readonly runtime: Runtime) {
    this.#since = runtime.monotonic();
  }

  /** Call it often: it waits only when a slice is over. */
  async give(): Promise<void> {
    if (this.runtime.monotonic() - this.#since < SLICE_MS) return;
    await this.runtime.yieldToEventLoop();
    this.#since = this.runtime.monotonic();
  }
}
