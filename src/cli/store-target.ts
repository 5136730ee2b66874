/**
 * From `--store`, `--state-dir` and `--agent` to the folder of one store. Only looks; nothing is made here.
 */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { asStoreError, errnoOf } from "../errors.js";
import { nodeFileSystem as fs } from "../fs/node-file-system.js";
import { findLegacyPlace } from "../store/legacy-place.js";
import { parseTarget } from "../store/target.js";
import { asUsage, CliError, usageError } from "./failure.js";
import type { StoreOptions } from "./invocation.js";

/**
 * The store directory that the options mean.
 * @param key Its agent decides when several agents have a store and `--agent` is not given.
 */
export async function resolveStore(options: StoreOptions, key?: string): Promise<string> {
  const { store, stateDir, agent } = options;
  if (store === undefined) return storeOfAgent(resolveStateDirectory(stateDir), agent, key);
  if (stateDir !== undefined)
    throw usageError("--store and --state-dir both say where the store is; give one");
  if (agent !== undefined) throw usageError("--agent belongs to --state-dir; --store is one store already");
  const target = await asUsage(() => parseTarget(store));
  if (target.kind === "memory")
    throw usageError("memory: is a store of another process; give the path of a folder");
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
  return resolve(stateDir ?? (OPENCLAW_STATE_DIR || join(homedir(), ".openclaw")));
}

function storeOfAgent(stateDirectory: string, agent: string | undefined, key: string | undefined): string {
  if (agent !== undefined && !isPlainName(agent)) {
    throw usageError(`--agent must be the name of a folder, not ${JSON.stringify(agent)}`);
  }
  const ofKey = /^agent:([^:]+):/.exec(key ?? "")?.[1];
  if (agent !== undefined) return directoryOf(stateDirectory, agent);
  const agents = namesIn(join(stateDirectory, "agents")).filter((name) => hasSessions(stateDirectory, name));
  // Whoever renamed an agent's folder did not rename the keys in its store.
  if (ofKey !== undefined && (agents.includes(ofKey) || (isPlainName(ofKey) && agents.length === 0)))
    return directoryOf(stateDirectory, ofKey);
  const [only, ...others] = agents;
  if (only === undefined) {
    throw new CliError(
      "store_not_found",
      `no agent has sessions below ${stateDirectory}. Say where the store is: --store PATH or --state-dir PATH.`,
      { data: { path: stateDirectory } },
    );
  }
  if (others.length > 0) {
    throw usageError(
      `${agents.length} agents have sessions below ${stateDirectory}; choose one with --agent: ${agents.join(", ")}`,
      { path: stateDirectory, agents: agents.join(",") },
    );
  }
  return directoryOf(stateDirectory, only);
}

/** A folder for sessions in which something is: a store, or a sessions.json that can become one. */
function hasSessions(stateDirectory: string, agent: string): boolean {
  const folder = join(stateDirectory, "agents", agent, "sessions");
  try {
    return exists(join(folder, "sessions.d")) || exists(join(folder, "sessions.json"));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return true; // a folder that cannot be searched is no reason to choose another one, and stops no other
  }
}

function directoryOf(stateDirectory: string, agent: string): string {
  return storeOf(join(stateDirectory, "agents", agent, "sessions", "sessions.json"));
}

function isPlainName(name: string): boolean {
  return name !== "" && !name.startsWith(".") && !/[/\\\0]/.test(name);
}

/** Names in a folder in order; none where there is no folder. */
export function namesIn(path: string): string[] {
  try {
    return fs.readdir(path).sort();
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

export function exists(path: string): boolean {
  try {
    fs.lstat(path);
    return true;
  } catch (error) {
    if (isAbsence(error)) return false;
    throw error;
  }
}

function isAbsence(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === "ENOENT" || errno === "ENOTDIR";
}
