/**
 * Opens the store that a command works on, and closes it whatever happens.
 *
 * Commands that read open it `readOnly`: they touch nothing on disk. No command makes a store by accident: one that
 * writes looks first whether there is one, and only `--create` may make it. What is not there is explained with what
 * is there instead: a sessions.json that was never migrated, a folder too high.
 */
import { basename, dirname, join } from "node:path";
import { asStoreError, SessionStoreError } from "../errors.js";
import { STORE_FOLDER } from "../format/layout.js";
import { openDirectoryStore } from "../store/open.js";
import type { DirectorySessionStore } from "../store/types.js";
import { asUsage, CliError, EXIT } from "./failure.js";
import type { Invocation } from "./invocation.js";
import { exists } from "./store-target.js";

export type Entry = Record<string, unknown>;
export type Store = DirectorySessionStore<Entry>;

export interface OpenMode {
  readonly write?: boolean;
  /** Make the store if there is none. */
  readonly create?: boolean;
}

/** Runs `use` on the open store. */
export async function withStore<R>(
  { terminal }: Invocation,
  path: string,
  mode: OpenMode,
  use: (store: Store) => Promise<R>,
): Promise<R> {
  const store = await open(path, mode, (code, message, data) => terminal.warn(code, message, data));
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function open(
  path: string,
  { write = false, create = false }: OpenMode,
  warn: (code: string, message: string, data: SessionStoreError["data"]) => void,
): Promise<Store> {
  if (write) assertMayOpen(path, create);
  try {
    return await asUsage(() =>
      openDirectoryStore<Entry>(path, {
        readOnly: !write,
        onWarning: ({ code, message, data }) => warn(code, message, data),
      }),
    );
  } catch (error) {
    if (error instanceof SessionStoreError && error.code === "store_not_found") throw missingStore(path);
    throw error;
  }
}

/** @throws when there is no store, unless it may be made. */
export function assertMayOpen(path: string, create: boolean): void {
  if (hasStore(path)) return;
  const legacy = legacyFileOf(path);
  // A new, empty store would hide the sessions that are in the file.
  if (!create || legacy !== undefined) throw missingStore(path);
}

/** Whether there is a store, as far as one look can tell; what is wrong with it shows when it is opened. */
export function hasStore(path: string): boolean {
  try {
    return exists(join(path, STORE_FOLDER));
  } catch (error) {
    throw asStoreError(error, `look for a session store at ${path}`);
  }
}

function missingStore(path: string): CliError {
  const legacy = legacyFileOf(path);
  if (legacy !== undefined) {
    return new CliError(
      "not_migrated",
      `there is no session store at ${path} yet, its sessions are in ${legacy}. ` +
        `Bring them over: sessiondir migrate --store ${legacy}`,
      { exitCode: EXIT.needsPerson, data: { path, legacy } },
    );
  }
  const below = join(path, "sessions.d");
  const advice = hasStore(below)
    ? `Did you mean ${below}?`
    : exists(join(path, "sessions.json"))
      ? `Did you mean ${join(path, "sessions.json")}?`
      : "Check --store; sessiondir put KEY --create makes a new one.";
  return new CliError("store_not_found", `there is no session store at ${path}. ${advice}`, { data: { path } });
}

/** The `NAME.json` that a store at `NAME.d` stands for, if it is there. */
function legacyFileOf(path: string): string | undefined {
  const name = basename(path);
  if (!name.endsWith(".d")) return undefined;
  const file = join(dirname(path), `${name.slice(0, -".d".length)}.json`);
  return exists(file) ? file : undefined;
}
