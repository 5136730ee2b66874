/**
 * What a gateway's configuration says about agents and their stores. Pure, apart from looking for the home directory and
 * for the state directory in it.
 */
import { join, resolve } from "node:path";
import { errnoOf } from "../../errors.js";
import { nodeFileSystem as fs } from "../../fs/node-file-system.js";
import { AGENT, agentsFolderIn, fileOfAgent } from "../../legacy/base/agent-places.js";
import { homeDirectory, withHome } from "../../home.js";
import { requireObject } from "../../store/arguments.js";

/** The parts of a gateway's configuration that say where sessions are; the rest is not looked at. */
export interface AgentStoreConfig {
  readonly session?:
    | {
        /** A path, or a template with `{agentId}`; a leading `~` is the home directory. Default: below the state directory. */
        readonly store?: string | undefined;
        /** "global": all direct chats of all agents are one session, `global`. Default "per-sender". */
        readonly scope?: "per-sender" | "global" | undefined;
        /** What the main session of an agent is called: `agent:<id>:<mainKey>`. Default "main". */
        readonly mainKey?: string | undefined;
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
  /** Default: `$OPENCLAW_STATE_DIR`, then `.openclaw` in the home directory, or `.clawdbot` while there is only that. */
  readonly stateDir?: string | undefined;
  /** Default: `process.env`. `OPENCLAW_HOME`, then `HOME`, name the home directory. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export const DEFAULT_AGENT = "main";
const ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/**
 * An agent's id as keys and paths have it: lower-case, at most 64 of `a-z 0-9 _ -`, what is not becomes `-`.
 * A blank one is "main".
 */
export function normalizeAgentId(id: string | null | undefined): string {
  const lower = (id ?? "").trim().toLowerCase();
  if (ID.test(lower)) return lower;
  const plain = lower.replaceAll(/[^a-z0-9_-]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return plain.slice(0, 64) || DEFAULT_AGENT;
}

export function defaultAgentId({ agents }: AgentStoreConfig): string {
  const list = agents?.list ?? [];
  const chosen = list.find((agent) => agent.default === true) ?? list[0];
  return normalizeAgentId(chosen?.id ?? DEFAULT_AGENT);
}

/** In the order of the configuration. */
export function configuredAgentIds(config: AgentStoreConfig): Set<string> {
  requireObject(config, "config");
  const ids = new Set((config.agents?.list ?? []).map(({ id }) => normalizeAgentId(id)));
  return ids.size === 0 ? new Set([DEFAULT_AGENT]) : ids;
}

/** The configured path of a store (`session.store`); undefined for OpenClaw's own place below the state directory. */
export function configuredStore({ session }: AgentStoreConfig): string | undefined {
  return session?.store?.trim() || undefined;
}

/** Where a store is to be: the configured path with this agent in it, or the agent's place below the state directory. */
export function storePathOf(store: string | undefined, agentId: string, params: AgentStoreParams): string {
  if (store === undefined) return fileOfAgent(agentsFolderIn(stateDirectory(params)), agentId);
  return resolve(withHome(store.trim().replaceAll(AGENT, agentId), environmentOf(params)));
}

/** As gateways look for it: the place of an older name counts for as long as the new one is not there. */
export function stateDirectory(params: AgentStoreParams): string {
  const given = params.stateDir ?? environmentOf(params)["OPENCLAW_STATE_DIR"]?.trim();
  if (given) return resolve(withHome(given, environmentOf(params)));
  const [place, old] = [".openclaw", ".clawdbot"].map((name) =>
    join(homeDirectory(environmentOf(params)), name),
  ) as [string, string];
  return isThere(old) && !isThere(place) ? old : place;
}

function isThere(path: string): boolean {
  try {
    fs.lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function environmentOf({ env = process.env }: AgentStoreParams): NonNullable<AgentStoreParams["env"]> {
  return env;
}
