/**
 * Opens the store that a command works on, and closes it whatever happens.
 *
 * Commands that read open it `readOnly`: they touch nothing on disk. No command makes a store by accident: one that
 * writes looks first whether there is one, and only `--create` may make it. What is not there is explained with what
 * is there instead: a sessions.json that was never migrated, a folder too high.
 */
import { basename, dirname, join } from "node:path";
import { asStoreError, SessionStoreError, type StoreWarning } from "../errors.js";
import type { Trust } from "../fs/trusted-path.js";
import { STORE_FOLDER } from "../format/layout.js";
import { shellQuoted } from "../legacy/base/paths.js";
import { openDirectoryStore } from "../store/open.js";
import type { DirectorySessionStore, SessionStore } from "../store/types.js";
import { foundElsewhere } from "./agent-stores.js";
import { asUsage, CliError, EXIT } from "./failure.js";
import { needsPerson, type Invocation } from "./invocation.js";
import { exists } from "./presence.js";
import { isServer } from "./server-target.js";

export type Entry = Record<string, unknown>;
export type Store = SessionStore<Entry>;
export type DirectoryStore = DirectorySessionStore<Entry>;

export interface OpenMode {
  readonly write?: boolean;
  /** Make the store if there is none. */
  readonly create?: boolean;
  /** The session that is meant: if the store is not there, another agent may have it. */
  readonly key?: string;
  /** No other process has the store open: a damaged log is mended. */
  readonly soleProcess?: boolean;
  /** How much of sessions is kept in memory; for commands that meet each session once. Default: the library's. */
  readonly cacheBytes?: number;
  /** Whether the command tells of a warning itself: then it is not printed, and the exit code is the command's to set. */
  readonly tells?: (warning: StoreWarning) => boolean;
}

/** Warnings that do not go away by themselves: the command does its work and ends with 3. */
const DAMAGE: ReadonlySet<StoreWarning["code"]> = new Set([
  "entry_corrupt",
  "log_gap",
  "log_replaced",
  "session_guessed",
  "transcript_damaged",
  "transcript_guessed",
  "transcript_quarantined",
  "blob_missing",
] satisfies StoreWarning["code"][]);

/** Runs `use` on the open store, in a directory or a database. */
export async function withStore<R>(
  invocation: Invocation,
  path: string,
  mode: OpenMode,
  use: (store: Store) => Promise<R>,
): Promise<R> {
  if (!isServer(path)) return withDirectoryStore(invocation, path, mode, use);
  const { openServer } = await import("./open-server.js");
  invocation.doing = `connecting to ${path}`;
  const { write = false, create = false, cacheBytes } = mode;
  const store = await openServer(invocation, path, { write, create, cacheBytes });
  return useAndClose(invocation, path, mode, store, use);
}

/** The same for a store in a directory. */
export async function withDirectoryStore<R>(
  invocation: Invocation,
  path: string,
  mode: OpenMode,
  use: (store: DirectoryStore) => Promise<R>,
): Promise<R> {
  invocation.doing = `opening ${path}`;
  const store = await open(path, { ...mode, trust: invocation.trust }, (warning) => {
    if (mode.tells?.(warning) === true) return;
    const { code, message, data } = warning;
    if (DAMAGE.has(code)) needsPerson(invocation);
    invocation.terminal.warn(code, message, data);
  });
  return useAndClose(invocation, path, mode, store, use);
}

async function useAndClose<S extends Store, R>(
  invocation: Invocation,
  path: string,
  mode: OpenMode,
  store: S,
  use: (store: S) => Promise<R>,
): Promise<R> {
  invocation.doing = mode.write === true ? `writing to ${path}` : `reading ${path}`;
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function open(
  path: string,
  {
    write = false,
    create = false,
    key,
    trust,
    soleProcess,
    cacheBytes,
  }: OpenMode & { readonly trust: Trust | undefined },
  onWarning: (warning: StoreWarning) => void,
): Promise<DirectoryStore> {
  try {
    if (write && create) assertMayOpen(path, create);
    return await asUsage(() =>
      openDirectoryStore<Entry>(path, {
        readOnly: !write,
        create,
        trust,
        soleProcess,
        onWarning,
        ...(cacheBytes !== undefined && { cacheBytes }),
      }),
    );
  } catch (error) {
    const missing = missingStoreOf(error, path);
    if (missing === undefined) throw error;
    const elsewhere = key === undefined ? undefined : await foundElsewhere(path, key);
    throw elsewhere === undefined ? missing : withNextStep(missing, elsewhere);
  }
}

/** The error, or a better one with what is there instead of the store. */
export function asMissingStore(error: unknown, path: string): unknown {
  return missingStoreOf(error, path) ?? error;
}

/** The error with what is there instead of the store; undefined when it is about something else. */
function missingStoreOf(error: unknown, path: string): CliError | undefined {
  if (error instanceof CliError && error.code === "store_not_found") return error;
  if (!(error instanceof SessionStoreError)) return undefined;
  if (error.code === "store_not_found") return missingStore(path);
  const isNear = nearby(path) !== undefined || exists(join(path, "agents"));
  return error.code === "not_a_store" && isNear ? missingStore(path) : undefined;
}

/** The error's first sentence, with a better next step. */
function withNextStep({ code, message, exitCode, data }: CliError, next: string): CliError {
  return new CliError(code, `${message.replace(/ Check --store;.*$/, "")} ${next}`, { exitCode, data });
}

/**
 * Whether a command that may make the store is going to; looked at before a person types an entry in vain.
 * @throws when there is no store, unless it may be made.
 */
export async function makesStore(invocation: Invocation, path: string, create: boolean): Promise<boolean> {
  if (isServer(path)) {
    const { hasServerStore } = await import("./open-server.js");
    return create && !(await hasServerStore(invocation, path));
  }
  assertMayOpen(path, create);
  return create && !hasStore(path);
}

/** @throws when there is no store, unless it may be made. */
export function assertMayOpen(path: string, create: boolean): void {
  if (hasStore(path)) return;
  const legacy = legacyFileOf(path);
  // A new, empty store would hide the sessions that are in the file.
  if (!create || legacy !== undefined) throw missingStore(path);
}

/** Whether there is a store, as far as one look can tell; what is wrong with it shows when it is opened. */
function hasStore(path: string): boolean {
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
        `Bring them over: sessiondir migrate --store ${shellQuoted(legacy)}`,
      { exitCode: EXIT.needsPerson, data: { path, legacy } },
    );
  }
  const near = nearby(path);
  const advice =
    near !== undefined
      ? `Did you mean ${shellQuoted(near)}?`
      : exists(join(path, "agents"))
        ? `It is a state directory: did you mean --state-dir ${shellQuoted(path)}?`
        : "Check --store; sessiondir put KEY --create makes a new one.";
  const message = `there is no session store at ${path}. ${advice}`;
  return new CliError("store_not_found", message, { data: { path } });
}

/** What is in a folder that was given in place of the store in it. */
function nearby(path: string): string | undefined {
  const store = join(path, "sessions.d");
  const legacy = join(path, "sessions.json");
  return hasStore(store) ? store : exists(legacy) ? legacy : undefined;
}

/** The `NAME.json` that a store at `NAME.d` stands for, if it is there. */
function legacyFileOf(path: string): string | undefined {
  const name = basename(path);
  if (!name.endsWith(".d")) return undefined;
  const file = join(dirname(path), `${name.slice(0, -".d".length)}.json`);
  return exists(file) ? file : undefined;
}
