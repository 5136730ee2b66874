/** The sessions of an agent that is deleted. */
import { AGENT } from "../../legacy/base/agent-places.js";
import { updateSessionStore } from "../one-store/update-session-store.js";
import {
  configuredStore,
  defaultAgentId,
  normalizeAgentId,
  storePathOf,
  type AgentStoreConfig,
  type AgentStoreParams,
} from "./agent-config.js";
import { keyInGateway } from "./agent-keys.js";
import { sessionStoreSettings } from "../base/settings.js";

/**
 * Removes the sessions of one agent from its store, which others may share; those of no agent (`global`) stay, and so do
 * transcripts. What goes wrong is a warning (`configureSessionStores({ onWarning })`), for the agent is to be deleted anyway.
 * @example
 * await purgeAgentSessionStoreEntries(config, "work");
 */
export async function purgeAgentSessionStoreEntries(
  config: AgentStoreConfig,
  agentId: string,
  params: AgentStoreParams = {},
): Promise<void> {
  const agent = normalizeAgentId(agentId);
  const configured = configuredStore(config);
  const storeAgent = configured === undefined || configured.includes(AGENT) ? agent : defaultAgentId(config);
  const storePath = storePathOf(configured, agent, params);
  try {
    await updateSessionStore(storePath, (store) => {
      for (const key of Object.keys(store))
        if (keyInGateway(config, storeAgent, key)?.startsWith(`agent:${agent}:`) === true) delete store[key];
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `the sessions of the agent ${agent} stay in ${storePath}: ${reason}`;
    sessionStoreSettings().onWarning({ code: "maintenance_failed", message, data: { path: storePath } });
  }
}
