/**
 * The way to the server: which host takes writes, connections to it, and what a failure means.
 *
 * Of several hosts the first that answers and may be written to is used until it fails; then the others have their turn. A
 * connection that failed is thrown away, because nobody knows what it still carries.
 */
import type { Client, ClientConfig, Pool, PoolClient } from "pg";
import { SessionStoreError } from "../../errors.js";
import type { Runtime } from "../../runtime.js";
import { sqlStateOf } from "./schema.js";
import type { Row, Rows, Sql, Value } from "./sql.js";

/** What is used of the package `pg`. */
export interface PgModule {
  readonly Client: new (config: ClientConfig) => Client;
  readonly Pool: new (config: ClientConfig & { max: number; pipeline: boolean }) => Pool;
}

export interface ServerOptions {
  readonly pg: PgModule;
  /** Each host by itself, with all that is needed to connect. */
  readonly hosts: readonly ClientConfig[];
  /** The same for people, without anything secret. */
  readonly where: string;
  /** The caller's own connections, instead. */
  readonly pool: Pool | undefined;
  readonly readOnly: boolean;
  /** Connections at most. */
  readonly connectionsMax: number;
  /** How long a statement may take before its connection is given up, in milliseconds. */
  readonly timeoutMs: number;
  /** How long calls wait for a server that can be written to, in milliseconds. */
  readonly unavailableMs: number;
  readonly runtime: Runtime;
}

/** What is done with a connection before it is used for the first time. */
export type Greet = (sql: Sql) => Promise<void>;

/** A process of the server: its number may be another one's later, but not with this beginning. */
export interface Backend {
  readonly pid: number;
  readonly since: string;
}

export type Statement = readonly [text: string, values: readonly Value[]];

/** A connection for a while. */
export interface Lent extends Sql {
  /** The server process at its other end; undefined behind a pooler that may change it. */
  readonly backend: Backend | undefined;
  /** Gives it back, or throws it away. */
  release(broken: boolean): void;
}

const KEEP_ALIVE_MS = 10_000;
/** Far more than there are texts of statements. */
const NAMES_MAX = 500;
const PAUSE_MS = 50;
const PAUSE_MS_MAX = 1000;

/**
 * Every statement goes by an index, and is planned once a connection: planning them again costs more than running them, and a plan
 * that was made for empty tables is not to read them from end to end when they are not empty any more. Servers that are not
 * PostgreSQL know other settings.
 */
const SETTINGS = `select set_config(name, case name when 'plan_cache_mode' then 'force_generic_plan' else 'off' end, false)
from pg_settings where name in ('plan_cache_mode', 'enable_seqscan', 'enable_hashjoin', 'enable_mergejoin')`;

/** Values as they come: whole numbers and reals as numbers, booleans as such, everything else as text. */
const PARSERS: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [16, (text) => text === "t"],
  [20, Number],
  [21, Number],
  [23, Number],
  [700, Number],
  [701, Number],
]);
const AS_TEXT = (text: string): string => text;
const TYPES = { getTypeParser: (oid: number) => PARSERS.get(oid) ?? AS_TEXT } as const;

export class Server {
  #pool: Pool | undefined;
  #host = 0;
  #closed = false;
  #greet: Greet | undefined;
  readonly #checked = new WeakMap<object, Backend>();
  readonly #names = new Map<string, string>();
  /** Calls that have, or wait for, a connection. */
  readonly #lent = new Set<Promise<unknown>>();

  constructor(private readonly options: ServerOptions) {}

  /**
   * Rows of one statement that changes nothing. It is sent again if its connection breaks.
   * @param statement Its text, or what gives text and values at the moment when it is sent.
   * @param planned Which way is good depends on its values: it is planned for them.
   */
  query(
    statement: string | (() => Statement),
    values: readonly Value[] = [],
    planned?: "planned",
  ): Promise<Rows> {
    if (this.#closed) return Promise.reject(new Error("the connections were closed"));
    const made = typeof statement === "string" ? (): Statement => [statement, values] : statement;
    const rows = this.#query(made, planned !== undefined && this.options.pool === undefined);
    this.#lent.add(rows);
    const over = (): void => void this.#lent.delete(rows);
    rows.then(over, over);
    return rows;
  }

  async #query(statement: () => Statement, planned: boolean): Promise<Rows> {
    const { runtime, unavailableMs } = this.options;
    const end = runtime.monotonic() + unavailableMs;
    for (;;) {
      const lent = await this.lend();
      try {
        const [text, values] = statement();
        const asked = planned ? askPlanned(lent, text, values) : lent.query(text, values);
        const rows = await asked;
        lent.release(false);
        return rows;
      } catch (error) {
        lent.release(isBroken(error));
        if (isReadOnlyServer(error)) this.#rotate();
        if (!isTransient(error) || this.#closed || runtime.monotonic() > end) throw error;
      }
    }
  }

  /** @throws `server_unavailable` when there is none within the time that the options give. */
  async lend(): Promise<Lent> {
    const { runtime, unavailableMs } = this.options;
    const end = runtime.monotonic() + unavailableMs;
    for (let pause = PAUSE_MS; ; pause = Math.min(PAUSE_MS_MAX, pause * 2)) {
      for (let host = 0; host < Math.max(1, this.options.hosts.length); host++) {
        try {
          return await this.#lendOf(this.#poolOfNow());
        } catch (error) {
          if (this.options.pool?.ending === true) throw this.#unavailable(error);
          if (!isTransient(error) && !isReadOnlyServer(error)) throw this.#refused(error);
          if (this.#closed || runtime.monotonic() > end) throw this.#unavailable(error);
          this.#rotate();
        }
      }
      await runtime.sleep(pause * (0.5 + runtime.random()));
    }
  }

  /** For connections from now on. */
  set greet(greet: Greet) {
    this.#greet = greet;
  }

  /** A connection of one's own, to the host that is in use. Not with the caller's connections. */
  async connectAlone(): Promise<Client> {
    const { pg, timeoutMs } = this.options;
    const client = new pg.Client({ ...this.#hostOfNow(), connectionTimeoutMillis: timeoutMs });
    client.on("error", ignore);
    await client.connect();
    return client;
  }

  #hostOfNow(): ClientConfig {
    return {
      ...this.options.hosts[this.#host],
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    };
  }

  /** Waits for the queries that are under way: a pool that has ended forgets who waits for a connection. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#lent);
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end();
  }

  #poolOfNow(): Pool {
    const { pg, pool, connectionsMax, timeoutMs } = this.options;
    if (pool !== undefined) return pool;
    if (this.#pool === undefined) {
      // A server that takes the connection and says nothing is as good as none; one that died without a word is noticed.
      const config = { ...this.#hostOfNow(), connectionTimeoutMillis: timeoutMs };
      this.#pool = new pg.Pool({ ...config, max: connectionsMax, pipeline: true });
      this.#pool.on("error", ignore); // of a connection that nobody used: the next one is made anew
      this.#pool.on("connect", listen);
    }
    return this.#pool;
  }

  #rotate(): void {
    const { hosts, pool } = this.options;
    if (pool !== undefined || hosts.length < 2) return;
    this.#host = (this.#host + 1) % hosts.length;
    const left = this.#pool;
    this.#pool = undefined;
    void left?.end().catch(() => {});
  }

  async #lendOf(pool: Pool): Promise<Lent> {
    const client = await pool.connect();
    try {
      if (!this.#checked.has(client)) {
        if (this.options.pool !== undefined) listen(client);
        await this.#check(client);
      }
    } catch (error) {
      client.release(true);
      throw error;
    }
    return this.#lentOf(client);
  }

  async #check(client: PoolClient): Promise<void> {
    const sql = this.#sqlOn(client);
    const [row] = await sql.query(
      "select current_setting('transaction_read_only') as read_only, current_setting('server_encoding') as encoding, " +
        "pid, backend_start::text as since from pg_stat_activity where pid = pg_backend_pid()",
    );
    if (row?.["read_only"] === "on" && !this.options.readOnly) throw new ReadOnlyServer();
    if (row?.["encoding"] !== "UTF8")
      throw new SessionStoreError(
        "server_refused",
        `the database has the encoding ${String(row?.["encoding"])}; sessions need UTF8. Make a database with it.`,
        { data: { encoding: String(row?.["encoding"]) } },
      );
    if (this.options.pool === undefined) await sql.query(SETTINGS);
    await this.#greet?.(sql);
    this.#checked.set(client, { pid: Number(row["pid"]), since: String(row["since"]) });
  }

  /**
   * Statements with parameters are planned once a connection, by a name for their text; not on connections of the caller's, which
   * may go through a pooler that knows no such names.
   */
  #nameOf(text: string, values: readonly Value[]): string | undefined {
    if (this.options.pool !== undefined || values.length === 0) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined || this.#names.size === NAMES_MAX) return known;
    const name = `sessiondir_${this.#names.size}`;
    this.#names.set(text, name);
    return name;
  }

  #sqlOn(client: Client | PoolClient): Sql {
    const { timeoutMs, pool } = this.options;
    const send = async (text: string, values: readonly Value[] = []): Promise<Rows> => {
      const name = this.#nameOf(text, values);
      const config = { name, text, values: values as unknown[], types: TYPES, query_timeout: timeoutMs };
      const { rows, command } = await client.query<Row>(config as { text: string; values: unknown[] });
      // What a transaction that failed answers to `commit`, and it is no error.
      if (command === "ROLLBACK" && text === "commit") throw new RolledBack();
      return rows;
    };
    if (pool === undefined) return { query: send };
    // The caller's connections need not take a statement before the former is answered.
    let former: Promise<unknown> = Promise.resolve();
    return {
      query: (text, values) => {
        const rows = former.then(() => send(text, values));
        former = rows.catch((error: unknown) => {
          if (isBroken(error)) throw error;
        });
        former.catch(ignore);
        return rows;
      },
    };
  }

  #lentOf(client: PoolClient): Lent {
    const sql = this.#sqlOn(client);
    return {
      backend: this.options.pool === undefined ? this.#checked.get(client) : undefined,
      query: (text, values) => sql.query(text, values),
      release: (broken) => client.release(broken),
    };
  }

  #unavailable(cause: unknown): SessionStoreError {
    const { where, unavailableMs } = this.options;
    const why = isReadOnlyServer(cause) ? "none of them takes writes" : messageOf(cause);
    return new SessionStoreError(
      "server_unavailable",
      `no PostgreSQL server could be used within ${unavailableMs / 1000} s (${where}): ${why}. ` +
        "Nothing was changed by this call: check that the server runs and can be reached, then try again.",
      { data: { hosts: where, sqlState: sqlStateOf(cause) }, cause },
    );
  }

  #refused(error: unknown): unknown {
    const sqlState = sqlStateOf(error);
    if (error instanceof SessionStoreError || sqlState === undefined) return error;
    return asServerError(error);
  }
}

/** All three go together, and are waited for. */
async function askPlanned(lent: Lent, text: string, values: readonly Value[]): Promise<Rows> {
  const set = lent.query("set plan_cache_mode = force_custom_plan");
  const rows = lent.query(text, values);
  const back = lent.query("set plan_cache_mode = force_generic_plan");
  const [, asked] = await Promise.allSettled([set, rows, back]);
  if (asked.status === "rejected") throw asked.reason as Error;
  return asked.value;
}

function ignore(): void {
  // Whoever uses the connection is told by the statement that fails.
}

/** A connection that fails between two statements would end the process if nobody listened. Many stores may share it. */
function listen(client: PoolClient): void {
  if (!client.listeners("error").includes(ignore)) client.on("error", ignore);
}

/** A standby, or a server that was told to take no writes. */
class ReadOnlyServer extends Error {
  readonly code = "25006";
}

/** The transaction did not count, and may be run again. */
export class RolledBack extends Error {
  readonly code = "40000";
}

const READ_ONLY_TRANSACTION = "25006";

export function isReadOnlyServer(error: unknown): boolean {
  return sqlStateOf(error) === READ_ONLY_TRANSACTION;
}

/** Classes and codes of failures that pass: connection, not accepting, shutting down, out of time, too many clients. */
const TRANSIENT = /^(?:08|57P0[1-5]|57014|53300)/;
/** Nothing was changed, and the same may be tried again at once: rolled back, serialization, deadlock. */
const AGAIN = /^40/;

/** Whether the server was not there, or went away. */
export function isTransient(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  return sqlState === undefined ? isBroken(error) : TRANSIENT.test(sqlState);
}

/** Whether the transaction was undone because of others. */
export function isToBeRepeated(error: unknown): boolean {
  return AGAIN.test(sqlStateOf(error) ?? "");
}

const OF_THE_CONNECTION =
  /connection|timeout|timed out|socket|ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOST|ENET|closed/i;

/** Whether the connection cannot be used again: anything but an answer of the server. */
export function isBroken(error: unknown): boolean {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return /^(?:08|57P)/.test(sqlState);
  if (error instanceof SessionStoreError || error instanceof TypeError) return false;
  return OF_THE_CONNECTION.test(`${messageOf(error)} ${String((error as { code?: unknown } | null)?.code)}`);
}

export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** What a person does about what the server refused. */
const NEXT_STEPS: ReadonlyMap<string, string> = new Map([
  ["28", "Check the user name and the password."],
  ["3D", "Make the database, or name another one."],
  ["42501", "Give the role these rights, or have what `schemaSql` gives run by one that has them."],
  ["53100", "The server's disk is full: make room, then try again."],
  ["53200", "The server has no memory left for it."],
]);

function lost(cause: unknown): SessionStoreError {
  return new SessionStoreError(
    "server_unavailable",
    `the PostgreSQL server did not answer: ${messageOf(cause)}. Nothing was changed by this call: check that the server runs, ` +
      "and that nobody holds its locks, then try again.",
    { data: {}, cause },
  );
}

/** A refusal of the server as the error that callers see. */
export function asServerError(error: unknown): unknown {
  const sqlState = sqlStateOf(error);
  if (error instanceof SessionStoreError) return error;
  if (sqlState === undefined) return isBroken(error) ? lost(error) : error;
  const step =
    NEXT_STEPS.get(sqlState) ?? NEXT_STEPS.get(sqlState.slice(0, 2)) ?? "The server's log says more.";
  if (sqlState === "54000")
    return new SessionStoreError(
      "key_too_long",
      `the key, with the transcript's name, is longer than an index of the database can have: ${messageOf(error)}`,
      { data: { sqlState }, cause: error },
    );
  return new SessionStoreError(
    sqlState === "53100" ? "disk_full" : TRANSIENT.test(sqlState) ? "server_unavailable" : "server_refused",
    `the PostgreSQL server refused: ${messageOf(error)} (${sqlState}). ${step}`,
    { data: { sqlState }, cause: error },
  );
}
