/**
 * Session keys with their agent in front, as a gateway shows them: `agent:<id>:…`. An agent's main session has several
 * names (`main`, the configured `mainKey`, both with the agent's id or with the one that was the default in former days); they
 * are one session. Pure.
 */
import { normalizeStoreSessionKey } from "../base/session-key.js";
import {
  configuredAgentIds,
  DEFAULT_AGENT,
  defaultAgentId,
  normalizeAgentId,
  type AgentStoreConfig,
} from "./agent-config.js";

/** Keys that belong to no agent. */
const SHARED: ReadonlySet<string> = new Set(["global", "unknown"]);

/**
 * The key that a gateway shows for a session of an agent's store.
 * @returns Undefined for a blank key, which names no session.
 */
export function keyInGateway(
  config: AgentStoreConfig,
  storeAgentId: string,
  key: string,
): string | undefined {
  const named = withAgent(storeAgentId, key);
  if (named === undefined || SHARED.has(named)) return named;
  const parsed = parseAgentKey(named);
  if (parsed === undefined) return named;
  const isOrphan =
    parsed.agentId === DEFAULT_AGENT &&
    !configuredAgentIds(config).has(DEFAULT_AGENT) &&
    normalizeAgentId(storeAgentId) === defaultAgentId(config) &&
    (parsed.rest === "main" || parsed.rest === mainKeyOf(config));
  // "main" was the default agent once; where no agent has this name any more, its main session is the default agent's.
  if (isOrphan) return mainSession(config, defaultAgentId(config));
  return withoutAlias(config, parsed.agentId, named);
}

/** The same for the session that another one was spawned by. */
export function parentInGateway(
  config: AgentStoreConfig,
  storeAgentId: string,
  key: unknown,
): string | undefined {
  const named = typeof key === "string" ? withAgent(storeAgentId, key) : undefined;
  if (named === undefined || SHARED.has(named)) return named;
  return withoutAlias(config, parseAgentKey(named)?.agentId ?? storeAgentId, named);
}

function withAgent(agentId: string, key: string): string | undefined {
  const normalized = normalizeStoreSessionKey(key);
  if (normalized === "") return undefined;
  if (SHARED.has(normalized) || normalized.startsWith("agent:")) return normalized;
  return normalizeStoreSessionKey(`agent:${normalizeAgentId(agentId)}:${key.trim()}`);
}

function withoutAlias(config: AgentStoreConfig, agentId: string, key: string): string {
  const mainKey = mainKeyOf(config);
  const names = [agentId, DEFAULT_AGENT].flatMap((id) => [
    `agent:${normalizeAgentId(id)}:main`,
    `agent:${normalizeAgentId(id)}:${mainKey}`,
  ]);
  return names.includes(key) ? mainSession(config, agentId) : key;
}

function mainSession(config: AgentStoreConfig, agentId: string): string {
  return config.session?.scope === "global"
    ? "global"
    : `agent:${normalizeAgentId(agentId)}:${mainKeyOf(config)}`;
}

function mainKeyOf({ session }: AgentStoreConfig): string {
  return session?.mainKey?.trim().toLowerCase() || "main";
}

function parseAgentKey(key: string): { readonly agentId: string; readonly rest: string } | undefined {
  const [, agentId, rest] = /^agent:([^:]+):(.+)$/.exec(key) ?? [];
  return agentId === undefined || rest === undefined ? undefined : { agentId, rest };
}
