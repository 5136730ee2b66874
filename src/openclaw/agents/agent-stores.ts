/**
 * The session stores of all agents: whose they are and where, migrated or not.
 *
 * A store is listed once, by its real path, however many names lead to it. Those of the configuration are listed, and those
 * found in `agents/<agent>/sessions/` below the state directory; what leads out of the state directory through a symlink
 * is not, unless the configuration names it. Reads only.
 *
 * What cannot be looked at costs its own stores and no others: a warning of the process (`onWarning`) names it, and so it does
 * a folder whose name is no agent's.
 */
import { homedir } from "node:os";
import { join, resolve, sep } from "node:path";
import { errnoOf, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { systemHost, type LegacyHost } from "../../legacy/host.js";
import { findStores } from "../../legacy/state-directory.js";
import type { LegacyWarning } from "../../legacy/types.js";
import { sessionStoreSettings } from "../settings.js";
import { resolveStoreTarget } from "../store-target.js";

/** The parts of a gateway's configuration that say where stores are; the rest is not looked at. */
export interface AgentStoreConfig {
  readonly session?:
    | {
        /** A path, or a template with `{agentId}`; a leading `~` is the home directory. Default: below the state directory. */
        readonly store?: string | undefined;
      }
    | undefined;
  readonly agents?:
    | {
        readonly list?:
          readonly { readonly id: string; readonly default?: boolean | undefined }[] | undefined;
      }
    | undefined;
}

export interface AgentStoreParams {
  /** Default: `$OPENCLAW_STATE_DIR`, then `~/.openclaw`, or `~/.clawdbot` while there is only that. */
  readonly stateDir?: string | undefined;
  /** Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface SessionStoreTarget {
  /** Lower-case. */
  readonly agentId: string;
  /** Real path of the legacy file `…/NAME.json`; after a migration only `…/NAME.d` beside it is there. */
  readonly storePath: string;
}

const AGENT = "{agentId}";
const DEFAULT_AGENT = "main";
const ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/**
 * The stores of every agent that is configured or has one, each once, the configured ones first. A configured path without
 * `{agentId}` is listed also where nothing is yet.
 * @param config The gateway's configuration, or the parts of {@link AgentStoreConfig}.
 * @throws `TypeError` for a wrong argument.
 * @example
 * for (const { agentId, storePath } of await resolveAllAgentSessionStoreTargets(config)) console.log(agentId, storePath);
 */
export function resolveAllAgentSessionStoreTargets(
  config: AgentStoreConfig = {},
  params: AgentStoreParams = {},
): Promise<SessionStoreTarget[]> {
  return resolveTargetsOn(systemHost, config, params);
}

/** The same on a host of the caller's. */
export async function resolveTargetsOn(
  host: LegacyHost,
  config: AgentStoreConfig,
  { stateDir, env = process.env }: AgentStoreParams,
): Promise<SessionStoreTarget[]> {
  const state = resolve(withHome(stateDir ?? stateDirectoryOf(host.fs, env)));
  const configured = config.session?.store?.trim();
  const template = configured ? resolve(withHome(configured)) : undefined;
  const found = new Map<string, SessionStoreTarget>();
  const add = (agentId: string, storePath: string): void => {
    if (!found.has(storePath)) found.set(storePath, { agentId, storePath });
  };
  const addFolder = (name: string, storePath: string): void => {
    const agentId = agentOfFolder(name);
    if (agentId !== undefined) add(agentId, storePath);
    else if (!found.has(storePath)) tell(noAgent(name, storePath));
  };

  if (template?.includes(AGENT) === true) {
    for (const agentId of configuredAgentIds(config)) {
      const path = presentStore(host, template.replaceAll(AGENT, agentId));
      if (path !== undefined) add(agentId, path);
    }
    // Agents that are not configured any more, or not yet, have stores too.
    const pattern = agentPattern(host.fs, template);
    const { targets, warnings } = await findStores(host, state, [template]);
    warnings.forEach(tell);
    for (const path of targets) {
      const agent = pattern.exec(path)?.groups?.["agent"];
      if (agent !== undefined) addFolder(agent, path);
    }
  } else if (template !== undefined) {
    add(defaultAgentId(config), resolveStoreTarget(host.fs, template).file);
  }
  const { targets, warnings } = await findStores(host, state, []);
  if (template?.includes(AGENT) !== true) warnings.forEach(tell);
  for (const path of targets) {
    const agent = path.split(sep).at(-3);
    if (agent !== undefined) addFolder(agent, path);
  }
  return [...found.values()];
}

/**
 * An agent's id as keys and paths have it: lower-case, at most 64 of `a-z 0-9 _ -`, what is not becomes `-`.
 * A blank one is "main".
 */
export function normalizeAgentId(id: string): string {
  const lower = id.trim().toLowerCase();
  if (ID.test(lower)) return lower;
  const plain = lower.replaceAll(/[^a-z0-9_-]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return plain.slice(0, 64) || DEFAULT_AGENT;
}

/** The agent of a folder; none for a name of which nothing is left: it must not pass for the default agent's. */
function agentOfFolder(name: string): string | undefined {
  const id = normalizeAgentId(name);
  return id === DEFAULT_AGENT && name.trim().toLowerCase() !== DEFAULT_AGENT ? undefined : id;
}

function noAgent(name: string, path: string): LegacyWarning {
  const message =
    `${path} was left alone: ${JSON.stringify(name)} is no agent's name. Rename the folder to the agent's id, in ` +
    "a-z, 0-9, _ and -.";
  return { code: "source_unreadable", message, data: { path, name } };
}

function tell(warning: LegacyWarning): void {
  sessionStoreSettings().onWarning(warning);
}

export function defaultAgentId({ agents }: AgentStoreConfig): string {
  const list = agents?.list ?? [];
  const chosen = list.find((agent) => agent.default === true) ?? list[0];
  return normalizeAgentId(chosen?.id ?? DEFAULT_AGENT);
}

function configuredAgentIds({ agents }: AgentStoreConfig): Set<string> {
  const ids = new Set((agents?.list ?? []).map(({ id }) => normalizeAgentId(id)));
  return ids.size === 0 ? new Set([DEFAULT_AGENT]) : ids;
}

/** Real path of a store that is there; undefined for an agent that has none yet, or whose store cannot be looked at. */
function presentStore({ fs }: LegacyHost, path: string): string | undefined {
  try {
    const { file, identity } = resolveStoreTarget(fs, path);
    if (identity !== undefined) return file;
    return fs.lstat(file).kind === "file" ? file : undefined;
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof SessionStoreError)) throw error;
    return undefined; // findStores names it
  }
}

/** Matches the real paths that a template stands for, with the agent as a group; a template may name it more than once. */
function agentPattern(fs: FileSystem, template: string): RegExp {
  const [before = "", ...rest] = template.split(AGENT);
  const folder = before.slice(0, before.lastIndexOf(sep));
  const real = `${realPathOr(fs, folder)}${before.slice(folder.length)}`;
  const tail = rest.map(quoted).join("\\k<agent>");
  return new RegExp(`^${quoted(real)}(?<agent>[^${quoted(sep)}]+)${tail}$`);
}

function realPathOr(fs: FileSystem, path: string): string {
  try {
    return fs.realpath(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return path;
  }
}

function quoted(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** As the gateways look for it: the old place counts for as long as the new one is not there. */
function stateDirectoryOf(fs: FileSystem, env: NonNullable<AgentStoreParams["env"]>): string {
  const given = env["OPENCLAW_STATE_DIR"]?.trim();
  if (given) return given;
  const [place, old] = [join(homedir(), ".openclaw"), join(homedir(), ".clawdbot")];
  return isThere(fs, old) && !isThere(fs, place) ? old : place;
}

function isThere(fs: FileSystem, path: string): boolean {
  try {
    fs.lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function withHome(path: string): string {
  return path === "~" || path.startsWith(`~${sep}`) ? join(homedir(), path.slice(1)) : path;
}
