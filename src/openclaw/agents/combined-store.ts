/**
 * The sessions of all agents in one object, for a gateway's overview. All at once, without a promise, for that is how gateways
 * call it.
 *
 * Nothing is written. Entries are as `loadSessionStore` gives them: the caller's own, and big fields cost nothing until they
 * are touched. Only an entry that two stores have, or whose parent is named in the short form, is made anew.
 */
import { AGENT } from "../../legacy/base/agent-places.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { loadSessionStore } from "../one-store/load-session-store.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import {
  configuredStore,
  defaultAgentId,
  storePathOf,
  type AgentStoreConfig,
  type AgentStoreParams,
} from "./agent-config.js";
import { keyInGateway, parentInGateway } from "./agent-keys.js";
import { findAgentStores, type FoundStores, type SessionStoreTarget } from "./agent-stores.js";

export interface CombinedSessionStore {
  /** The configured path (`session.store`), with `{agentId}` as it stands there; `(multiple)` where none is configured. */
  storePath: string;
  /**
   * By keys that name their agent (`agent:<id>:…`; `global` and `unknown` stay), an agent's main session by its one name. Of
   * two with one key the newer counts.
   */
  store: SessionStoreRecord;
  /** The stores that are in it. */
  readonly targets: readonly SessionStoreTarget[];
  /** Stores that could not be read, and why. Their sessions are missing; all others are there. */
  readonly failures: readonly (SessionStoreTarget & { readonly error: unknown })[];
}

/** Reads one store; throwing or not. */
export type LoadStore = (storePath: string) => Readonly<SessionStoreRecord>;

/**
 * All sessions of all agents; of one configured path without `{agentId}`, those in it. A store that cannot be read costs only
 * its own sessions, and is in `failures`.
 * @param config The gateway's configuration, or the parts of {@link AgentStoreConfig}.
 * @throws `TypeError` for a wrong argument.
 * @example
 * const { store, failures } = loadCombinedSessionStoreForGateway(config);
 */
export function loadCombinedSessionStoreForGateway(
  config: AgentStoreConfig,
  params: AgentStoreParams = {},
): CombinedSessionStore {
  return combineStoresOn(systemHost, config, params, (storePath) => loadSessionStore(storePath));
}

/** The same with a host and a reader of the caller's, for tests. */
export function combineStoresOn(
  host: LegacyHost,
  config: AgentStoreConfig,
  params: AgentStoreParams,
  load: LoadStore,
): CombinedSessionStore {
  const configured = configuredStore(config);
  const isOne = configured !== undefined && !configured.includes(AGENT);
  const found = isOne ? oneStore(config, configured, params) : findAgentStores(host, config, params);
  const targets: SessionStoreTarget[] = [];
  const failures = [...found.failures];
  const store = Object.create(null) as SessionStoreRecord;
  for (const target of found.targets) {
    try {
      const sessions = load(target.storePath);
      for (const [key, entry] of Object.entries(sessions)) add(store, config, target.agentId, key, entry);
      targets.push(target);
    } catch (error) {
      failures.push({ ...target, error });
    }
  }
  const storePath = isOne ? (found.targets[0]?.storePath ?? configured) : (configured ?? "(multiple)");
  return { storePath, store, targets, failures };
}

function oneStore(config: AgentStoreConfig, path: string, params: AgentStoreParams): FoundStores {
  const agentId = defaultAgentId(config);
  return { targets: [{ agentId, storePath: storePathOf(path, agentId, params) }], failures: [] };
}

function add(
  store: SessionStoreRecord,
  config: AgentStoreConfig,
  agentId: string,
  key: string,
  entry: SessionEntry | null,
): void {
  const canonical = keyInGateway(config, agentId, key);
  if (canonical === undefined || entry === null) return;
  const found = store[canonical];
  const joined =
    found === undefined ? entry : isNewer(found, entry) ? { ...entry, ...found } : { ...found, ...entry };
  const spawnedBy = parentInGateway(config, agentId, joined.spawnedBy);
  const isShort = spawnedBy !== undefined && spawnedBy !== joined.spawnedBy;
  store[canonical] = isShort ? { ...joined, spawnedBy } : joined;
}

function isNewer(a: Readonly<SessionEntry>, b: Readonly<SessionEntry>): boolean {
  return (a.updatedAt ?? 0) > (b.updatedAt ?? 0);
}
