/** Where replies to a session go, asked by its key alone: for what a gateway sends by itself, a reminder or a result. */
import { deliveryContextFromSession } from "../entry/delivery-context.js";
import type { DeliveryContext } from "../entry/session-entry.js";
import { loadSessionStore, resolveSessionStoreEntry } from "../one-store/load-session-store.js";
import { normalizeStoreSessionKey, splitThread } from "../base/session-key.js";
import {
  configuredStore,
  defaultAgentId,
  normalizeAgentId,
  storePathOf,
  type AgentStoreConfig,
  type AgentStoreParams,
} from "./agent-config.js";
import { keyInGateway } from "./agent-keys.js";
import { resolveAllAgentSessionStoreTargetsSync } from "./agent-stores.js";

export interface DeliveryInfo {
  /** With a channel and an address; undefined where nobody knows them. */
  deliveryContext: (DeliveryContext & { threadId?: string | undefined }) | undefined;
  /** The thread that the key names. */
  threadId: string | undefined;
}

const NONE: DeliveryInfo = { deliveryContext: undefined, threadId: undefined };
/** A topic's key says where it is, as a thread's does. */
const TOPIC = /^(?<base>.*:telegram:(?:group|channel|direct|dm):.+):topic:(?<topic>[^:]+)$/i;

/**
 * Looks the session up in its agent's stores; a thread that has no address of its own has that of its conversation. Best
 * effort: stores that cannot be read do not answer.
 * @param options.cfg The gateway's configuration. Default: one that says nothing.
 */
export function extractDeliveryInfo(
  sessionKey: string | undefined,
  options: AgentStoreParams & { readonly cfg?: AgentStoreConfig | undefined } = {},
): DeliveryInfo {
  const { cfg = {}, ...params } = options;
  const key = normalizeStoreSessionKey(sessionKey ?? "");
  if (key === "") return NONE;
  const { base, threadId } = threadIn(key);
  for (const wanted of new Set([key, base])) {
    const deliveryContext = contextOf(cfg, params, wanted);
    if (deliveryContext !== undefined) return { deliveryContext, threadId };
  }
  return { deliveryContext: undefined, threadId };
}

function threadIn(key: string): ReturnType<typeof splitThread> {
  const { base, topic } = TOPIC.exec(key)?.groups ?? {};
  return base === undefined ? splitThread(key) : { base, threadId: topic };
}

function contextOf(
  config: AgentStoreConfig,
  params: AgentStoreParams,
  sessionKey: string,
): DeliveryInfo["deliveryContext"] {
  const agent = /^agent:([^:]+):/.exec(sessionKey)?.[1];
  const agentId = agent === undefined ? defaultAgentId(config) : normalizeAgentId(agent);
  const keys = new Set([keyInGateway(config, agentId, sessionKey) ?? sessionKey, sessionKey]);
  const paths = new Set([storePathOf(configuredStore(config), agentId, params)]);
  for (const target of resolveAllAgentSessionStoreTargetsSync(config, params))
    if (target.agentId === agentId) paths.add(target.storePath);
  for (const path of paths) {
    for (const key of keys) {
      const context = contextIn(path, key);
      if (context?.channel === undefined || context.to === undefined) continue;
      const { threadId, ...route } = context;
      return threadId === undefined ? route : { ...route, threadId: String(threadId) };
    }
  }
  return undefined;
}

function contextIn(storePath: string, sessionKey: string): DeliveryContext | undefined {
  try {
    const store = loadSessionStore(storePath);
    return deliveryContextFromSession(resolveSessionStoreEntry({ store, sessionKey }).existing);
  } catch {
    return undefined;
  }
}
