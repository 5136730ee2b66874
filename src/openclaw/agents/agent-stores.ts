/**
 * The session stores of all agents: whose they are and where, migrated or not.
 *
 * A store is listed once, by its real path, however many names lead to it. Those of the configuration are listed, and those
 * found in `agents/<agent>/sessions/` below the state directory and beside the configured ones; what leads out of such an
 * `agents` folder through a symlink is not, unless the configuration names it. Where OpenClaw looks for a file
 * `sessions.json`, this module looks for the store: after a migration only its directory is there.
 *
 * Reads only, all at once: gateways ask from synchronous code. A folder that cannot be searched costs what is in it, nothing
 * else.
 */
import { join, sep } from "node:path";
import { errnoOf } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { isAbsent } from "../../fs/missing.js";
import { statusNow } from "../../fs/status.js";
import {
  AGENT,
  agentsFolderIn,
  agentTemplate,
  fileOfAgent,
  placeOfAgent,
} from "../../legacy/base/agent-places.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { sessionStoreSettings } from "../base/settings.js";
import { resolveStoreTarget } from "../base/store-target.js";
import {
  configuredAgentIds,
  configuredStore,
  DEFAULT_AGENT,
  defaultAgentId,
  normalizeAgentId,
  stateDirectory,
  storePathOf,
  type AgentStoreConfig,
  type AgentStoreParams,
} from "./agent-config.js";

export interface SessionStoreTarget {
  /** Lower-case. */
  agentId: string;
  /** Path of the legacy file `…/NAME.json`; after a migration only `…/NAME.d` beside it is there. */
  storePath: string;
}

/** Which stores a command is about: `openclaw sessions --agent …`. */
export interface SessionStoreSelection {
  /** One store, by its path or template. Not together with the other two. */
  readonly store?: string | undefined;
  /** The store of one agent that is configured. */
  readonly agent?: string | undefined;
  /** The stores of all agents that are configured. */
  readonly allAgents?: boolean | undefined;
}

/**
 * The stores of every agent that is configured or has one, each once, the configured ones first. A configured path that is
 * not one of OpenClaw's own places (`agents/<agent>/sessions/sessions.json`) and has no `{agentId}` is listed also where
 * nothing is yet.
 * @param config The gateway's configuration, or the parts of {@link AgentStoreConfig}.
 * @throws `TypeError` for a wrong argument.
 * @example
 * for (const { agentId, storePath } of resolveAllAgentSessionStoreTargetsSync(config)) console.log(agentId, storePath);
 */
export function resolveAllAgentSessionStoreTargetsSync(
  config: AgentStoreConfig,
  params: AgentStoreParams = {},
): SessionStoreTarget[] {
  const { targets, failures } = findAgentStores(systemHost, config, params);
  failures.forEach(tellOfFailure);
  return targets;
}

/** {@link resolveAllAgentSessionStoreTargetsSync} for callers that await it: OpenClaw has both. */
export async function resolveAllAgentSessionStoreTargets(
  config: AgentStoreConfig,
  params: AgentStoreParams = {},
): Promise<SessionStoreTarget[]> {
  return resolveAllAgentSessionStoreTargetsSync(config, params);
}

/**
 * The stores that a command is about, whether anything is there or not: of the default agent, unless the selection says
 * otherwise.
 * @throws `Error` for options that exclude each other, or an agent that is not configured; commands show its message.
 * @example
 * resolveSessionStoreTargets(config, { agent: "work" }); // [{ agentId: "work", storePath: "…/agents/work/sessions/sessions.json" }]
 */
export function resolveSessionStoreTargets(
  config: AgentStoreConfig,
  selection: SessionStoreSelection,
  params: AgentStoreParams = {},
): SessionStoreTarget[] {
  const { allAgents = false } = selection;
  const [store, agent] = [selection.store?.trim() ?? "", selection.agent?.trim() ?? ""];
  if (agent !== "" && allAgents) throw new Error("--agent and --all-agents cannot be used together");
  if (store !== "" && (agent !== "" || allAgents))
    throw new Error("--store cannot be used together with --agent or --all-agents");
  const target = (agentId: string, path = configuredStore(config)): SessionStoreTarget => ({
    agentId,
    storePath: storePathOf(path, agentId, params),
  });
  if (store !== "") return [target(defaultAgentId(config), store)];
  const known = configuredAgentIds(config);
  if (allAgents) return eachOnce([...known].map((agentId) => target(agentId)));
  if (agent === "") return [target(defaultAgentId(config))];
  if (!known.has(normalizeAgentId(agent)))
    throw new Error(
      `Unknown agent id ${JSON.stringify(agent)}: \`openclaw agents list\` shows those that are configured`,
    );
  return [target(normalizeAgentId(agent))];
}

/** What is found, on a host of the caller's. */
export interface FoundStores {
  readonly targets: SessionStoreTarget[];
  /** Places that cannot be searched, so that nobody knows whether there is a store. */
  readonly failures: (SessionStoreTarget & { readonly error: unknown })[];
}

export function findAgentStores(
  { fs }: LegacyHost,
  config: AgentStoreConfig,
  params: AgentStoreParams,
): FoundStores {
  const targets: SessionStoreTarget[] = [];
  const failures: FoundStores["failures"] = [];
  const look = (agent: string, path: string, isListed: (file: string, isThere: boolean) => boolean): void => {
    const agentId = normalizeAgentId(agent);
    try {
      const { file, identity } = resolveStoreTarget(fs, path);
      if (isListed(file, identity !== undefined || isFile(fs, file)))
        targets.push({ agentId, storePath: file });
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      failures.push({ agentId, storePath: path, error });
    }
  };
  const configured = configuredStore(config);
  const isTemplate = configured?.includes(AGENT) === true;
  const agentsFolders = new Set<string>();
  for (const agentId of configuredAgentIds(config)) {
    const path = storePathOf(configured, agentId, params);
    const folder = agentsFolderOf(path);
    if (folder !== undefined) agentsFolders.add(folder);
    const isOwner = configured === undefined || isTemplate || agentId === defaultAgentId(config);
    // A path that the owner chose counts even if nothing is there yet.
    const isChosen = !isTemplate && folder === undefined;
    if (isOwner) look(agentId, path, (_, isThere) => isThere || isChosen);
  }
  // Agents that are not configured any more, or not yet, have stores too.
  if (configured !== undefined && isTemplate) {
    const template = storePathOf(configured, AGENT, params);
    const { folder, agentsIn } = agentTemplate(template);
    for (const agent of agentsIn(namesIn(fs, folder)))
      look(agent, template.replaceAll(AGENT, agent), (_, isThere) => isThere);
  }
  for (const folder of agentsFolders.add(agentsFolderIn(stateDirectory(params)))) {
    const root = realPathOr(fs, folder);
    for (const name of namesIn(fs, folder, failures)) {
      // A link to another agent's folder is that agent's; one to anywhere else was not named by the owner.
      if (kindOf(fs, join(folder, name)) === "symlink") continue;
      const path = fileOfAgent(folder, name);
      if (isNoAgent(name)) {
        look(name, path, (_, isThere) => {
          if (isThere) tellOfFolder(name, path);
          return false;
        });
        continue;
      }
      look(name, path, (file, isThere) => isThere && file.startsWith(root + sep));
    }
  }
  return { targets: eachOnce(targets), failures: eachOnce(failures) };
}

/** A name of which nothing is left: it must not pass for the default agent's. */
function isNoAgent(name: string): boolean {
  return normalizeAgentId(name) === DEFAULT_AGENT && name.toLowerCase() !== DEFAULT_AGENT;
}

function tellOfFolder(name: string, path: string): void {
  const message =
    `${path} was left alone: ${JSON.stringify(name)} is no agent's name. Rename the folder to the agent's id, in ` +
    "a-z, 0-9, _ and -.";
  sessionStoreSettings().onWarning({ code: "source_unreadable", message, data: { path, name } });
}

function tellOfFailure({ agentId, storePath, error }: FoundStores["failures"][number]): void {
  const reason = error instanceof Error ? error.message : String(error);
  const message = `${storePath} cannot be searched for sessions and is left out: ${reason}`;
  sessionStoreSettings().onWarning({
    code: "source_unreadable",
    message,
    data: { path: storePath, agent: agentId },
  });
}

function eachOnce<T extends SessionStoreTarget>(targets: readonly T[]): T[] {
  const found = new Map<string, T>();
  for (const target of targets) if (!found.has(target.storePath)) found.set(target.storePath, target);
  return [...found.values()];
}

/** The `agents` folder of one of OpenClaw's own places; undefined for any other path. */
function agentsFolderOf(storePath: string): string | undefined {
  const place = placeOfAgent(storePath);
  return place?.name === "sessions.json" ? place.agentsFolder : undefined;
}

/** @param failures Where a folder that is there but cannot be read is noted. */
function namesIn(fs: FileSystem, folder: string, failures: FoundStores["failures"] = []): string[] {
  try {
    return fs.readdir(folder).sort();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    if (!isAbsent(error)) failures.push({ agentId: DEFAULT_AGENT, storePath: folder, error });
    return [];
  }
}

function isFile(fs: FileSystem, path: string): boolean {
  return kindOf(fs, path) === "file";
}

function kindOf(fs: FileSystem, path: string): string | undefined {
  return statusNow(fs, path)?.kind;
}

function realPathOr(fs: FileSystem, path: string): string {
  try {
    return fs.realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return path;
  }
}
