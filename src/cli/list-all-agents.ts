/**
 * `ls --all-agents`: the sessions of every agent in a state directory as one listing. An agent whose store cannot be read
 * is named on stderr, the others are listed, and the program ends with 3.
 */
import type { DamagedSession, ListQuery, SessionRecord } from "../store/types.js";
import { agentsWithSessions, warnOfAgent, type AgentStore } from "./agent-stores.js";
import { isLogDamaged, warnOfHidden } from "./damaged-log.js";
import { CliError, reportOf } from "./failure.js";
import type { Invocation, StoreOptions } from "./invocation.js";
import { printListing, type ListingRow } from "./listing.js";
import { withStore, type Entry } from "./open-store.js";
import { SessionFilter, type FilterOptions } from "./session-filter.js";
import { resolveStateDirectory } from "./store-target.js";

interface Options extends StoreOptions, FilterOptions {
  readonly prefix?: string;
  readonly order: "key" | "updatedAt";
  readonly descending?: true;
  readonly limit?: number;
}

/** What the JSON says of each agent's store. */
interface StoreSeen {
  readonly agent: string;
  readonly store: string;
  readonly revision?: number;
  /** Sessions that cannot be read, if there are any. */
  readonly damaged?: readonly DamagedSession[];
  readonly error?: { readonly code: string; readonly message: string };
}

export async function listAllAgents(invocation: Invocation, options: Options): Promise<void> {
  const stateDirectory = resolveStateDirectory(options.stateDir);
  const { readable, unreadable } = agentsWithSessions(stateDirectory);
  if (readable.length + unreadable.length === 0) {
    throw new CliError(
      "store_not_found",
      `no agent has sessions below ${stateDirectory}. Say where they are: --state-dir PATH.`,
      { data: { path: stateDirectory } },
    );
  }
  const stores: StoreSeen[] = [];
  const rows: ListingRow[] = [];
  let hidesSome = false;
  const leaveOut = (one: AgentStore, error: unknown): void => {
    const { code, message } = reportOf(error);
    stores.push({ agent: one.agent, store: one.path, error: { code, message } });
    warnOfAgent(invocation, one, error);
  };
  for (const one of unreadable) leaveOut(one, one.error);
  for (const one of readable) {
    invocation.signal.throwIfAborted();
    try {
      const { records, hides, ...seen } = await sessionsOf(invocation, one, options);
      stores.push({ agent: one.agent, store: one.path, ...seen });
      for (const record of records) rows.push({ record, agent: one.agent });
      hidesSome ||= hides;
    } catch (error) {
      invocation.signal.throwIfAborted();
      leaveOut(one, error);
    }
  }
  rows.sort(orderOf(options));
  const { limit = rows.length } = options;
  stores.sort((a, b) => compare(a.agent, b.agent));
  await printListing(invocation, {
    head: { stateDirectory, stores },
    rows: rows.slice(0, limit),
    tail: {},
    where: stateDirectory,
    hidesSome: async () => hidesSome,
  });
  if (rows.length > limit) invocation.terminal.say("there are more: raise --limit, or list one --agent");
}

interface SessionsSeen extends Pick<StoreSeen, "revision" | "damaged"> {
  readonly records: readonly SessionRecord<Entry>[];
  /** There may be sessions that cannot be read. */
  readonly hides: boolean;
}

function sessionsOf(invocation: Invocation, { path }: AgentStore, options: Options): Promise<SessionsSeen> {
  const { prefix, order: orderBy, descending, limit } = options;
  const filter = SessionFilter.of(invocation, options);
  return withStore(invocation, path, {}, async (store) => {
    const query: ListQuery = {
      prefix,
      orderBy,
      descending,
      limit: limit === undefined ? undefined : limit + 1,
    };
    const revision = await store.revision();
    const { sessions, damaged } = await (filter?.list(store, query) ?? store.list(query));
    warnOfHidden(invocation, path, damaged);
    const hides = damaged !== undefined || (sessions.length === 0 && (await isLogDamaged(store)));
    return { revision, records: sessions, hides, ...(damaged !== undefined && { damaged }) };
  });
}

/** That of the store's own listing, then by agent. */
function orderOf({ order, descending }: Options): (a: ListingRow, b: ListingRow) => number {
  const direction = descending === true ? -1 : 1;
  const time = ({ record }: ListingRow): number => {
    const { updatedAt } = record.entry;
    return typeof updatedAt === "number" && Number.isFinite(updatedAt) ? updatedAt : 0;
  };
  return (a, b) => {
    const byTime = order === "updatedAt" ? time(a) - time(b) : 0;
    const byName = compare(a.record.key, b.record.key) || compare(a.agent ?? "", b.agent ?? "");
    return direction * (byTime || byName);
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
