/**
 * The sessions of all agents in one object, for a gateway's overview.
 *
 * Nothing is written. Entries are as `loadSessionStore` gives them: the caller's own, and big fields cost nothing until they
 * are touched. Only an entry that two stores have, or whose parent is named in the short form, is made anew.
 */
import { systemHost, type LegacyHost } from "../../legacy/host.js";
import { loadSessionStore } from "../load-session-store.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../session-key.js";
import {
  normalizeAgentId,
  resolveTargetsOn,
  type AgentStoreConfig,
  type AgentStoreParams,
  type SessionStoreTarget,
} from "./agent-stores.js";

export interface CombinedSessionStore {
  /** The store's path if there is one, `(multiple)` otherwise. */
  readonly storePath: string;
  /** By keys that name their agent (`agent:<id>:…`; `global` and `unknown` stay). Of two with one key the newer counts. */
  readonly store: SessionStoreRecord;
  /** The stores that are in it. */
  readonly targets: readonly SessionStoreTarget[];
  /** Stores that could not be read, and why. Their sessions are missing; all others are there. */
  readonly failures: readonly (SessionStoreTarget & { readonly error: unknown })[];
}

/** Reads one store; sync or not, throwing or not. */
export type LoadStore = (
  storePath: string,
) => Readonly<SessionStoreRecord> | Promise<Readonly<SessionStoreRecord>>;

/**
 * All sessions of all agents. Where OpenClaw's function of this name is synchronous, this one is to be awaited: it looks
 * into folders. A store that cannot be read costs only its own sessions, and is in `failures`.
 * @param config The gateway's configuration, or the parts of {@link AgentStoreConfig}.
 * @throws `TypeError` for a wrong argument; the system's own error where a folder cannot be read.
 * @example
 * const { store, failures } = await loadCombinedSessionStoreForGateway(config);
 */
export function loadCombinedSessionStoreForGateway(
  config: AgentStoreConfig = {},
  params: AgentStoreParams = {},
): Promise<CombinedSessionStore> {
  return combineStoresOn(systemHost, config, params, (storePath) => loadSessionStore(storePath));
}

/** The same with a host and a reader of the caller's, for tests. */
export async function combineStoresOn(
  host: LegacyHost,
  config: AgentStoreConfig,
  params: AgentStoreParams,
  load: LoadStore,
): Promise<CombinedSessionStore> {
  const targets: SessionStoreTarget[] = [];
  const failures: (SessionStoreTarget & { error: unknown })[] = [];
  const store = Object.create(null) as SessionStoreRecord;
  const all = await resolveTargetsOn(host, config, params);
  for (const target of all) {
    try {
      const sessions = await load(target.storePath);
      for (const [key, entry] of Object.entries(sessions)) add(store, target.agentId, key, entry);
      targets.push(target);
    } catch (error) {
      failures.push({ ...target, error });
    }
  }
  const [only] = all;
  const storePath = only !== undefined && all.length === 1 ? only.storePath : "(multiple)";
  return { storePath, store, targets, failures };
}

function add(store: SessionStoreRecord, agentId: string, key: string, entry: SessionEntry | null): void {
  const canonical = keyOfAgent(agentId, key);
  if (canonical === undefined || entry === null) return;
  const found = store[canonical];
  const joined =
    found === undefined ? entry : isNewer(found, entry) ? { ...entry, ...found } : { ...found, ...entry };
  const parent = joined.spawnedBy;
  const spawnedBy = typeof parent === "string" ? keyOfAgent(agentId, parent) : undefined;
  const isShort = spawnedBy !== undefined && spawnedBy !== parent;
  store[canonical] = isShort ? { ...joined, spawnedBy } : joined;
}

function isNewer(a: Readonly<SessionEntry>, b: Readonly<SessionEntry>): boolean {
  return (a.updatedAt ?? 0) > (b.updatedAt ?? 0);
}

/** A key with its agent in front; undefined for a blank one. */
function keyOfAgent(agentId: string, key: string): string | undefined {
  const normalized = normalizeStoreSessionKey(key);
  if (normalized === "") return undefined;
  if (normalized === "global" || normalized === "unknown" || normalized.startsWith("agent:"))
    return normalized;
  return `agent:${normalizeAgentId(agentId)}:${normalized}`;
}
