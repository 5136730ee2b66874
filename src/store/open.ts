/**
 * The way in: from a path or URL to a store.
 */
import { join } from "node:path";
import { openDirectoryEngine, openDirectoryEngineNow } from "../engine/directory/directory-engine.js";
import { createMemoryEngine } from "../engine/memory/memory-engine.js";
import type { FileSystem } from "../fs/file-system.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { systemRuntime, type Runtime } from "../runtime.js";
import { asStoreError, SessionStoreError } from "../errors.js";
import { readRegularFile } from "../fs/regular-file.js";
import { existsNow } from "../fs/status.js";
import { findLegacyPlace } from "./legacy-place.js";
import { resolveOptions, type OpenOptions, type ResolvedOptions } from "./options.js";
import { createDirectorySessionStore, createSessionStore } from "./session-store.js";
import { parseTarget, type StoreTarget } from "./target.js";
import type { DirectorySessionStore, SessionStore, UntypedEntry } from "./types.js";

/**
 * Opens a session store, and creates it where there is none.
 * @param target A store directory; a legacy file `…/NAME.json`, which stands for `…/NAME.d`; or `memory:`, a new
 *   store that only this process sees and that is gone when closed.
 * @typeParam T What an entry is. Default {@link UntypedEntry}: any fields, each of which has to be looked at before it is used.
 *   It is a promise of the caller's: nothing checks it against what is stored.
 * @throws `TypeError` for a wrong target or option, `postgres://` included: that is for `sessiondir/postgres`.
 *   `not_migrated` where the legacy file was given and still has the sessions. `store_not_found`, `not_a_store`, `format_unsupported`, `format_damaged`, `path_untrusted`,
 *   `file_system_unsupported`, `log_damaged`, `log_foreign`, `io_error`, `disk_full`.
 * @example
 * const store = await openSessionStore<Session>("/var/lib/gateway/sessions.d");
 * await store.update("agent:main:main", (entry) => entry && { ...entry, updatedAt: Date.now() });
 */
export async function openSessionStore<T extends object = UntypedEntry>(
  target: string,
  options?: OpenOptions<T>,
): Promise<SessionStore<T>> {
  const parsed = parseTarget(target);
  const resolved = resolveOptions(options);
  if (parsed.kind === "directory") return openOn<T>(nodeFileSystem, systemRuntime, parsed, resolved);
  return createSessionStore<T>(createMemoryEngine(resolved), resolved);
}

/**
 * Like {@link openSessionStore} for a directory; the store also answers synchronously.
 * @throws `TypeError` also for `memory:`.
 * @example
 * const store = await openDirectoryStore<Session>("sessions.d");
 * const entry = store.getSync("agent:main:main");
 */
export async function openDirectoryStore<T extends object = UntypedEntry>(
  target: string,
  options?: OpenOptions<T>,
): Promise<DirectorySessionStore<T>> {
  return openDirectoryStoreOn<T>(nodeFileSystem, systemRuntime, target, options);
}

/**
 * Like {@link openDirectoryStore} for a store that exists, at once: for callers that cannot wait. A log that is long
 * is read in one piece.
 * @throws `store_not_found` where {@link openDirectoryStore} would make a store, or give a store a new log; otherwise
 *   what that throws.
 * @example
 * const store = openDirectoryStoreSync<Session>("sessions.d");
 */
export function openDirectoryStoreSync<T extends object = UntypedEntry>(
  target: string,
  options?: OpenOptions<T>,
): DirectorySessionStore<T> {
  return openDirectoryStoreSyncOn<T>(nodeFileSystem, systemRuntime, target, options);
}

/** For tests: {@link openDirectoryStoreSync} on a file system and a clock of the caller's. */
export function openDirectoryStoreSyncOn<T extends object = UntypedEntry>(
  fileSystem: FileSystem,
  runtime: Runtime,
  target: string,
  options?: OpenOptions<T>,
): DirectorySessionStore<T> {
  const directory = directoryOf(target);
  let { path } = directory;
  const { normalizeKey, ...resolved } = resolveOptions(options);
  try {
    path = storePathOf(fileSystem, directory);
    const engine = openDirectoryEngineNow({ ...resolved, path, fileSystem, runtime });
    if (engine !== undefined) {
      return createDirectorySessionStore<T>(engine, { ...resolved, normalizeKey, runtime });
    }
  } catch (error) {
    throw asStoreError(error, `open the session store ${path}`);
  }
  throw new SessionStoreError(
    "store_not_found",
    `there is no session store at ${path} that could be opened at once. Check the path, or open it with ` +
      "openDirectoryStore, which makes a store, and a log for one that has lost its own.",
    { data: { path } },
  );
}

/**
 * For tests, published through `sessiondir/testing`: a directory store on a file system and a clock of the
 * caller's. On a simulated file system the path must be absolute.
 * @param reserveBytes Room that the store keeps for getting out of a full disk. Default 256 KiB; a simulated disk that is
 *   copied and looked at all the time is faster with less.
 */
export async function openDirectoryStoreOn<T extends object = UntypedEntry>(
  fileSystem: FileSystem,
  runtime: Runtime,
  target: string,
  options?: OpenOptions<T>,
  reserveBytes?: number,
): Promise<DirectorySessionStore<T>> {
  return openOn<T>(fileSystem, runtime, directoryOf(target), resolveOptions(options), reserveBytes);
}

function directoryOf(target: string): DirectoryTarget {
  const parsed = parseTarget(target);
  if (parsed.kind === "directory") return parsed;
  throw new TypeError('target must be the path of a directory store, not "memory:"');
}

async function openOn<T extends object>(
  fileSystem: FileSystem,
  runtime: Runtime,
  target: DirectoryTarget,
  resolved: ResolvedOptions,
  reserveBytes?: number,
): Promise<DirectorySessionStore<T>> {
  let { path } = target;
  const { normalizeKey, ...engineOptions } = resolved;
  try {
    path = storePathOf(fileSystem, target);
    const own = reserveBytes === undefined ? {} : { reserveBytes };
    const engine = await openDirectoryEngine({ ...engineOptions, ...own, path, fileSystem, runtime });
    return createDirectorySessionStore<T>(engine, { ...resolved, normalizeKey, runtime });
  } catch (error) {
    throw asStoreError(error, `open the session store ${path}`);
  }
}

type DirectoryTarget = StoreTarget & { kind: "directory" };

/** A file that was never used: nothing, or no session. */
const EMPTY_FILE = /^\s*(\{\s*\})?\s*$/;
const EMPTY_FILE_BYTES_MAX = 64;

/**
 * The store's folder; symlinks to a legacy file are followed first, so that every name of a file means the same store.
 * @throws `not_migrated` where the file has sessions: a new, empty store would count from then on, and hide them.
 */
function storePathOf(fs: FileSystem, target: DirectoryTarget): string {
  if (target.legacyFile === undefined) return target.path;
  const { folder, name, identity } = findLegacyPlace(fs, target.legacyFile);
  const path = join(folder, `${name}.d`);
  const legacyFile = join(folder, `${name}.json`);
  if (identity !== undefined || !existsNow(fs, legacyFile) || isEmpty(fs, legacyFile)) return path;
  throw new SessionStoreError(
    "not_migrated",
    `there is no session store at ${path} yet, its sessions are in ${legacyFile}. Bring them over with migrateLegacyStore, ` +
      "or on the command line with sessiondir migrate; for a new store beside the file, give the path of the directory.",
    { data: { path, legacyFile } },
  );
}

function isEmpty(fs: FileSystem, path: string): boolean {
  try {
    return EMPTY_FILE.test(readRegularFile(fs, path, { bytesMax: EMPTY_FILE_BYTES_MAX }).toString());
  } catch (error) {
    if (error instanceof SessionStoreError) return false; // larger, or no regular file: a gateway's sessions
    throw error;
  }
}
