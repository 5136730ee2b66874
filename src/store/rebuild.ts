/**
 * The way back for a store that has lost its `.store` folder.
 */
import { asStoreError } from "../errors.js";
import { rebuildDirectory, type RebuildReport } from "../engine/directory/rebuild.js";
import type { FileSystem } from "../fs/file-system.js";
import type { Trust } from "../fs/trusted-path.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { systemRuntime, type Runtime } from "../runtime.js";
import {
  optionalBoolean,
  optionalOneOf,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "./arguments.js";
import { storeDirectoryOf } from "./target.js";

export type { RebuildReport };

export interface RebuildStoreOptions {
  /** Only reads, and says what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Gives up between two sessions; a later rebuild goes on. Rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** As for opening. Default "owner". */
  readonly trust?: Trust | undefined;
}

const NAMES: ReadonlySet<string> = new Set(["dryRun", "signal", "trust"]);

/**
 * Makes a store from its session folders alone, where opening it fails with `store_incomplete`. Nothing is removed; what cannot be
 * read, is there twice, or lacks its shared values is in the report. Where `.store` is there, nothing is done.
 * @param target As for `openDirectoryStore`.
 * @throws `store_not_found`, `path_untrusted`, `file_system_unsupported`, `io_error`, `disk_full`; a `TypeError` for a wrong option.
 * @example
 * const { sessions, damaged, missingValues } = await rebuildDirectoryStore("sessions.d");
 */
export function rebuildDirectoryStore(target: string, options?: RebuildStoreOptions): Promise<RebuildReport> {
  return rebuildDirectoryStoreOn(nodeFileSystem, systemRuntime, target, options);
}

/** For tests: {@link rebuildDirectoryStore} on a file system and a clock of the caller's. */
export async function rebuildDirectoryStoreOn(
  fileSystem: FileSystem,
  runtime: Runtime,
  target: string,
  options: RebuildStoreOptions = {},
): Promise<RebuildReport> {
  requireObject(options, "options");
  requireKnownNames(options, "rebuildDirectoryStore", NAMES);
  const path = storeDirectoryOf(target);
  const dryRun = optionalBoolean(options.dryRun, "options.dryRun") ?? false;
  const signal = optionalSignal(options.signal, "options.signal");
  const trust = optionalOneOf(options.trust, "options.trust", ["owner", "group"]) ?? "owner";
  try {
    return await rebuildDirectory({ fs: fileSystem, runtime, path, dryRun, signal, trust }, ownUpdatedAt);
  } catch (error) {
    throw asStoreError(error, `rebuild the session store ${path}`);
  }
}

function ownUpdatedAt(entry: object): number | undefined {
  const { updatedAt } = entry as { readonly updatedAt?: unknown };
  return typeof updatedAt === "number" ? updatedAt : undefined;
}
