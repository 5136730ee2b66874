/** The way in to a store in a PostgreSQL database. */
import type { ClientConfig, Pool } from "pg";
import { SessionStoreError } from "../errors.js";
import type { Place } from "../engine/postgres/place.js";
import { PostgresEngine } from "../engine/postgres/postgres-engine.js";
import { assertSchema, assertSchemaName, findSchema, installSchema } from "../engine/postgres/schema.js";
import { asServerError, Server, type Lent, type PgModule } from "../engine/postgres/server.js";
import { isWellFormed } from "../format/session-key.js";
import { systemRuntime } from "../runtime.js";
import {
  kindOf,
  optionalBoolean,
  optionalInteger,
  requireKnownNames,
  requireObject,
} from "../store/arguments.js";
import { resolveOptions, type OpenOptions } from "../store/options.js";
import { createSessionStore } from "../store/session-store.js";
import type { SessionStore, UntypedEntry } from "../store/types.js";
import { hostsOf, namesOfHosts } from "./hosts.js";
import { withPasswordFile } from "./password-file.js";
import { withService } from "./service-file.js";

/** Options of {@link openPostgresStore}. Those of {@link OpenOptions} that are not about files mean what they mean there. */
export interface PostgresStoreOptions<T extends object> extends Pick<
  OpenOptions<T>,
  | "readOnly"
  | "create"
  | "normalizeKey"
  | "updatedAt"
  | "limits"
  | "cacheBytes"
  | "blobThresholdBytes"
  | "onWarning"
> {
  /**
   * `postgres://user:password@host:5432/database`. Several hosts, separated by commas, are tried in turn: the one that takes
   * writes is used. What it leaves out comes from a connection service (`?service=NAME`, `PGSERVICE`) and from the environment
   * (`PGHOST`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, …). Default: these alone.
   */
  readonly connectionString?: string | undefined;
  /** Connections of the caller's, from the package `pg`, instead; they stay open when the store is closed. */
  readonly pool?: Pool | undefined;
  /** Of the tables: lower-case letters, digits and underscores. Default "sessiondir". */
  readonly schema?: string | undefined;
  /** Name of the store in these tables: 1 to 200 characters. Default "main". */
  readonly store?: string | undefined;
  /** Connections at most. Default 4. Not with `pool`. */
  readonly connections?: number | undefined;
  /** How long a statement may take, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** How long calls wait for a server that can be reached and takes writes, in milliseconds. Default 30,000. */
  readonly unavailableMs?: number | undefined;
  /** How often a watch looks for changes of other processes, in milliseconds. Default 200. */
  readonly pollMs?: number | undefined;
  /**
   * What `get` and `read` may be too old, in milliseconds by this process's clock: then most are answered from memory. Each call
   * can say something else. Default 0: never older than the call.
   */
  readonly staleOkMs?: number | undefined;
  /**
   * Whether stores tell each other of commits, by LISTEN and NOTIFY outside of transactions, so that a watch need not wait for
   * `pollMs`. It takes one connection more while there is a watch. Not with `pool`, which may be one that cannot. Default true.
   */
  readonly hints?: boolean | undefined;
  /** Revisions that `watch({ since })` can go back at least; what they replaced is kept for it. Default 10,000. */
  readonly historyRevisions?: number | undefined;
}

const OWN = [
  "connectionString",
  "pool",
  "schema",
  "store",
  "connections",
  "timeoutMs",
  "unavailableMs",
  "pollMs",
  "staleOkMs",
  "hints",
  "historyRevisions",
] as const;
const SHARED = [
  "readOnly",
  "create",
  "normalizeKey",
  "updatedAt",
  "limits",
  "cacheBytes",
  "blobThresholdBytes",
  "onWarning",
] as const;
const NAMES: ReadonlySet<string> = new Set<keyof PostgresStoreOptions<object>>([...OWN, ...SHARED]);

const CONNECTIONS = 4;
const TIMEOUT_MS = 30_000;
const UNAVAILABLE_MS = 30_000;
const POLL_MS = 200;
const HISTORY_REVISIONS = 10_000;
const STORE_NAME_MAX = 200;
/** Highest number of a store: of the type integer. */
const STORE_NUMBERS = 2 ** 31 - 1;
const ATTEMPTS_MAX = 20;

/**
 * Opens a session store in a PostgreSQL database, and makes it, with its tables, where there is none. Needs the package `pg`.
 * @typeParam T What an entry is, as with `openSessionStore`.
 * @throws `TypeError` for a wrong option. `store_not_found` (with `create: false` or `readOnly`), `format_unsupported`,
 *   `server_unavailable`, `server_refused`, `package_missing`.
 * @example
 * import { openPostgresStore } from "sessiondir/postgres";
 * const store = await openPostgresStore({ connectionString: "postgres://gateway@db/agents" });
 * await store.update("agent:main:main", (entry) => entry && { ...entry, updatedAt: Date.now() });
 */
export async function openPostgresStore<T extends object = UntypedEntry>(
  options: PostgresStoreOptions<T> = {},
): Promise<SessionStore<T>> {
  requireObject(options, "options");
  requireKnownNames(options, "a PostgreSQL store", NAMES);
  const { connectionString, pool, schema = "sessiondir", store = "main" } = options;
  if (connectionString !== undefined && pool !== undefined)
    throw new TypeError("options.connectionString and options.pool exclude each other");
  if (connectionString !== undefined && typeof connectionString !== "string")
    throw new TypeError(`options.connectionString must be a string, not ${kindOf(connectionString)}`);
  assertSchemaName(schema);
  if (typeof store !== "string" || store === "" || store.length > STORE_NAME_MAX || !isText(store))
    throw new TypeError(
      `options.store must be a name of 1 to ${STORE_NAME_MAX} characters, without U+0000 and lone surrogates`,
    );
  const shared = Object.fromEntries(SHARED.map((name) => [name, options[name]]));
  const resolved = resolveOptions<T>(shared);
  const { readOnly, create, limits, updatedAt, cacheBytes, blobThresholdBytes, normalizeKey, onWarning } =
    resolved;
  const timeoutMs = optionalInteger(options.timeoutMs, "options.timeoutMs", 1) ?? TIMEOUT_MS;
  const unavailableMs = optionalInteger(options.unavailableMs, "options.unavailableMs", 0) ?? UNAVAILABLE_MS;
  const pollMs = optionalInteger(options.pollMs, "options.pollMs", 1) ?? POLL_MS;
  const hints = optionalBoolean(options.hints, "options.hints") ?? true;
  const staleOkMs = optionalInteger(options.staleOkMs, "options.staleOkMs", 0) ?? 0;
  const connectionsMax = optionalInteger(options.connections, "options.connections", 1) ?? CONNECTIONS;
  const historyRevisions =
    optionalInteger(options.historyRevisions, "options.historyRevisions", 1) ?? HISTORY_REVISIONS;
  const runtime = systemRuntime;
  const url = pool === undefined ? withService(connectionString) : undefined;
  const server = new Server({
    pg: await loadPg(),
    hosts: pool === undefined ? connectionsOf(url) : hostsOf(undefined),
    where: namesOfHosts(url),
    pool,
    readOnly,
    connectionsMax,
    timeoutMs,
    unavailableMs,
    runtime,
  });
  try {
    const place = await findPlace(server, {
      schema,
      name: store,
      timeoutMs,
      readOnly,
      mayMake: create && !readOnly,
    });
    const engine = new PostgresEngine({
      server,
      place,
      limits,
      updatedAt,
      cacheBytes,
      blobThresholdBytes,
      unavailableMs,
      pollMs,
      historyRevisions,
      readOnly,
      hints: hints && pool === undefined,
      onWarning,
      runtime,
    });
    return createSessionStore<T>(engine, { readOnly, normalizeKey, limits, runtime, staleOkMs });
  } catch (error) {
    await server.close();
    throw asOpeningError(error);
  }
}

/** How to get to each host, with what the environment adds. */
export function connectionsOf(url: string | undefined): ClientConfig[] {
  return hostsOf(url).map((config) => withPasswordFile(config));
}

/** What the driver itself refuses, before there is an answer of the server's, is no bug of the caller's either. */
export function asOpeningError(error: unknown): unknown {
  const told = asServerError(error);
  if (!(told instanceof Error) || told instanceof SessionStoreError || told instanceof TypeError) return told;
  const why = /password must be|no password/i.test(told.message)
    ? "the PostgreSQL server asks for a password, and none was given: set PGPASSWORD or PGPASSFILE (a file that nobody else may read), or name a service that has one."
    : `no connection to the PostgreSQL server could be made: ${told.message}. Check the address and what it says about TLS.`;
  return new SessionStoreError("server_refused", why, { data: {}, cause: error });
}

/** Others would be another name in the database than here, or none. */
function isText(name: string): boolean {
  return isWellFormed(name) && !name.includes("\0");
}

export async function loadPg(): Promise<PgModule> {
  try {
    return await import("pg");
  } catch (cause) {
    throw new SessionStoreError(
      "package_missing",
      "a store in PostgreSQL needs the package pg, which is not installed: npm install pg@8",
      { data: { package: "pg" }, cause },
    );
  }
}

interface Wanted {
  readonly schema: string;
  readonly name: string;
  readonly timeoutMs: number;
  readonly readOnly: boolean;
  readonly mayMake: boolean;
}

async function findPlace(server: Server, wanted: Wanted): Promise<Place> {
  const { schema, name, timeoutMs, readOnly, mayMake } = wanted;
  const lent = await server.lend();
  let failed = true;
  try {
    let found = await findSchema(lent, schema);
    if (found === undefined && mayMake) {
      await installSchema(lent, schema, (ms) => systemRuntime.sleep(ms));
      found = await findSchema(lent, schema);
    }
    if (found === undefined) throw notFound(schema, name);
    assertSchema(found, schema, readOnly);
    const row = await findOrMakeStore(lent, wanted, mayMake);
    failed = false;
    return { schema, name, timeoutMs, ...row };
  } finally {
    lent.release(failed);
  }
}

/**
 * Others may make the same store, or another one with the same number, at the same moment. The number is drawn by lot: one that a
 * store had before, which was removed by hand, would come with that store's rows, and with its writers.
 */
async function findOrMakeStore(
  sql: Lent,
  { schema, name }: Wanted,
  mayMake: boolean,
): Promise<Pick<Place, "store" | "history">> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const [row] = await sql.query(`select id, history from ${schema}.store where name = $1`, [name]);
    if (row !== undefined) return { store: Number(row["id"]), history: String(row["history"]) };
    if (!mayMake) throw notFound(schema, name);
    await sql.query(
      `with made as (insert into ${schema}.store (id, name, history, rev, floor, created_at)
values ($4::int, $1, $2, 0, 0, $3::bigint) on conflict do nothing returning id)
insert into ${schema}.sweep (store, log) select id, 0 from made`,
      [
        name,
        systemRuntime.randomName(16),
        Math.trunc(systemRuntime.now()),
        1 + Math.trunc(systemRuntime.random() * STORE_NUMBERS),
      ],
    );
  }
  throw notFound(schema, name);
}

function notFound(schema: string, name: string): SessionStoreError {
  return new SessionStoreError(
    "store_not_found",
    `there is no session store ${JSON.stringify(name)} in schema ${schema} of this database. Check the names; where readOnly or ` +
      "create: false is given, no store is made.",
    { data: { schema, store: name } },
  );
}
