/**
 * Which store is meant: from the options, the environment and what is there. Only looks; nothing is made here.
 *
 *     1. --store, or the argument
 *     2. --state-dir, --agent
 *     3. $SESSIONDIR_STORE
 *     4. $OPENCLAW_STATE_DIR
 *     5. ./sessions.d, or the folder one stands in if it is a store
 *     6. .openclaw in $OPENCLAW_HOME, or in the home directory
 *
 * What was said goes before what was found. Where nothing was said on the command line, a person is told what was used.
 */
import { join, resolve } from "node:path";
import { asStoreError } from "../errors.js";
import { nodeFileSystem as fs } from "../fs/node-file-system.js";
import { findLegacyPlace } from "../store/legacy-place.js";
import { homeDirectory } from "../home.js";
import { STORE_FOLDER } from "../format/layout.js";
import { parseTarget } from "../store/target.js";
import { agentsWithSessions, storeOfAgent, warnOfAgent } from "./agent-stores.js";
import { asUsage, CliError, usageError } from "./failure.js";
import type { Invocation, StoreOptions } from "./invocation.js";
import { exists } from "./presence.js";
import { isServer, nameServer } from "./server-target.js";

export interface TargetOptions {
  /** Its agent decides when several agents have a store and `--agent` is not given. */
  readonly key?: string;
  /** Whether a store in the current folder is meant when nothing else is said. Default true. */
  readonly here?: boolean;
  /** Whether the command takes `--all-agents`. Default false. */
  readonly allAgents?: boolean;
}

/** The store that is meant: its directory, or what a store in a database is called without a password. */
export async function resolveStore(
  invocation: Invocation,
  options: StoreOptions,
  { key, here = true, allAgents = false }: TargetOptions = {},
): Promise<string> {
  const { store, stateDir, agent } = options;
  if (store !== undefined) {
    if (stateDir !== undefined)
      throw usageError("--store and --state-dir both say where the store is; give one");
    if (agent !== undefined) throw usageError("--agent belongs to --state-dir; --store is one store already");
    return storeAt(invocation, store);
  }
  const found = stateDir === undefined && agent === undefined ? foundStore(here) : undefined;
  if (found === undefined) return inStateDirectory(invocation, options, key, allAgents);
  const path = await storeAt(invocation, found.store);
  if (invocation.terminal.interactive) invocation.terminal.say(`store: ${path} (${found.because})`);
  return path;
}

/** A store that the command line does not name. */
function foundStore(here: boolean): { store: string; because: string } | undefined {
  const { SESSIONDIR_STORE, OPENCLAW_STATE_DIR } = process.env;
  if (SESSIONDIR_STORE) return { store: SESSIONDIR_STORE, because: "$SESSIONDIR_STORE" };
  if (!here || OPENCLAW_STATE_DIR) return undefined;
  if (exists("sessions.d")) return { store: "sessions.d", because: "found in this folder" };
  // A store's own files are in there, and a folder of any name may be one.
  if (exists(join(STORE_FOLDER, "format.json"))) return { store: ".", because: "this folder" };
  return undefined;
}

/** Whether `$SESSIONDIR_STORE` says which store is meant, because nothing on the command line does. */
export function environmentNamesStore({ store, stateDir, agent }: StoreOptions): boolean {
  return (
    store === undefined && stateDir === undefined && agent === undefined && !!process.env["SESSIONDIR_STORE"]
  );
}

async function storeAt(invocation: Invocation, store: string): Promise<string> {
  if (isServer(store)) return nameServer(invocation, store);
  const target = await asUsage(() => parseTarget(store));
  if (target.kind === "memory")
    throw usageError("memory: is a store of another process; give the path of a folder, or postgres://…");
  return target.legacyFile === undefined ? target.path : storeOf(target.legacyFile);
}

/** The store of a legacy file; symlinks to the file, or on the way to it, are followed. */
function storeOf(legacyFile: string): string {
  try {
    const { folder, name } = findLegacyPlace(fs, legacyFile);
    return join(folder, `${name}.d`);
  } catch (error) {
    throw asStoreError(error, `find ${legacyFile}`);
  }
}

/** `--state-dir`, then `$OPENCLAW_STATE_DIR`, then `~/.openclaw`; absolute. */
export function resolveStateDirectory(stateDir: string | undefined): string {
  const { OPENCLAW_STATE_DIR } = process.env;
  if (stateDir === "") throw usageError("--state-dir must not be empty");
  return resolve(stateDir ?? (OPENCLAW_STATE_DIR || join(knownHome(), ".openclaw")));
}

/** @throws a usage error where the system knows of no home: it has to be said where the sessions are. */
function knownHome(): string {
  try {
    return homeDirectory();
  } catch {
    throw usageError("there is no home directory ($HOME is not set): give --store or --state-dir");
  }
}

function inStateDirectory(
  invocation: Invocation,
  { stateDir, agent }: StoreOptions,
  key: string | undefined,
  allAgents: boolean,
): string {
  const stateDirectory = resolveStateDirectory(stateDir);
  if (agent !== undefined && !isPlainName(agent)) {
    throw usageError(`--agent must be the name of a folder, not ${JSON.stringify(agent)}`);
  }
  const ofKey = /^agent:([^:]+):/.exec(key ?? "")?.[1];
  const named = agent ?? (ofKey !== undefined && isPlainName(ofKey) ? ofKey : undefined);
  if (named !== undefined) return storeOfAgent(stateDirectory, named);

  const { readable, unreadable } = agentsWithSessions(stateDirectory);
  const [only, ...others] = readable;
  if (others.length > 0) {
    const agents = readable.map((one) => one.agent);
    throw usageError(
      `${agents.length} agents have sessions below ${stateDirectory}; choose one with --agent${allAgents ? ", or all with --all-agents" : ""}: ${agents.join(", ")}`,
      { path: stateDirectory, agents: agents.join(",") },
    );
  }
  for (const one of unreadable) warnOfAgent(invocation, one, one.error);
  if (only !== undefined) return only.path;
  throw new CliError(
    "store_not_found",
    `no agent has sessions below ${stateDirectory}. Say where the store is: --store PATH or --state-dir PATH.`,
    { data: { path: stateDirectory } },
  );
}

function isPlainName(name: string): boolean {
  return name !== "" && !name.startsWith(".") && !/[/\\\0]/.test(name);
}
