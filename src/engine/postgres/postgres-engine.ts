/**
 * The engine over PostgreSQL: several hosts, one store.
 *
 * A commit is decided under locks on its sessions' rows and gets its revision from one counter row, which it holds until it
 * counts: so revisions are given in the order in which commits can be seen. A read is never older than its call, unless that
 * allows it; reads of many callers share statements.
 */
import type {
  CommitOptions,
  CommitOutcome,
  Engine,
  EngineChange,
  EngineItem,
  EngineItemQuery,
  EngineOp,
  EnginePage,
  EngineQuery,
  EngineRecord,
  EngineScan,
  EngineStats,
  EngineTranscript,
  MaybePromise,
  Operation,
  ReadOptions,
  StatsOptions,
} from "../contract.js";
import { operationMismatch, type StoreWarning } from "../../errors.js";
import type { Limits } from "../../format/limits.js";
import type { Runtime } from "../../runtime.js";
import { CommitQueue } from "./commit-queue.js";
import { Feed, gone, type ChangesOptions } from "./feed.js";
import { FreshReads } from "./fresh-reads.js";
import { Hints } from "./hints.js";
import { Housekeeping } from "./housekeeping.js";
import { behindPrefix, fromKeyText, toKeyText } from "./key-text.js";
import { KnownHistory } from "./known-history.js";
import type { Place } from "./place.js";
import { prepare, type PreparedOp } from "./prepared-op.js";
import { RecordCache } from "./record-cache.js";
import { loadValues, sharedIn, sharedOf } from "./shared-values.js";
import { asServerError, type Server } from "./server.js";
import type { Row, Rows, Sql, Value } from "./sql.js";

export interface PostgresEngineOptions {
  readonly server: Server;
  readonly place: Place;
  readonly limits: Limits;
  readonly updatedAt: (entry: object) => number | undefined;
  /** How much of entries is kept in memory, in bytes of JSON. */
  readonly cacheBytes: number;
  /** Fields of an entry whose JSON is at least that long are kept once for all sessions. */
  readonly blobThresholdBytes: number;
  readonly unavailableMs: number;
  readonly pollMs: number;
  /** Revisions that a watch can go back at least. */
  readonly historyRevisions: number;
  readonly readOnly: boolean;
  /** Whether this process tells others of commits, and listens to them. */
  readonly hints: boolean;
  readonly onWarning: (warning: StoreWarning) => void;
  readonly runtime: Runtime;
}

/** A listing that fails so often in a row has a session that cannot be read. */
const SCANS_MAX = 5;
/** Bytes of items that one page may have, unless its first item alone has more. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

export class PostgresEngine implements Engine {
  readonly #sql: Sql = { query: (text, values = []) => this.#query(text, values) };
  readonly #cache: RecordCache;
  readonly #reads: FreshReads;
  readonly #queue: CommitQueue;
  readonly #feed: Feed;
  readonly #housekeeping: Housekeeping;
  readonly #history: KnownHistory;
  readonly #hints: Hints | undefined;
  /** Revisions from which watches begin: what is committed later than they were asked for must be behind them. */
  readonly #beginnings = new Set<Promise<number>>();

  constructor(private readonly options: PostgresEngineOptions) {
    const { server, place, limits, runtime, updatedAt, unavailableMs, pollMs, cacheBytes } = options;
    this.#cache = new RecordCache(cacheBytes);
    const cache = this.#cache;
    const updatedAtOf = (entry: object): number => {
      const time = updatedAt(entry);
      return time !== undefined && Number.isFinite(time) ? time : 0;
    };
    const { readOnly, hints, onWarning } = this.options;
    const onRewound = (): void => {
      cache.clear();
      this.#feed.wake();
    };
    const history = new KnownHistory({ place, readOnly, onWarning, onRewound });
    this.#history = history;
    server.greet = (sql) => history.compare(sql);
    this.#reads = new FreshReads({ server, place, cache, history, runtime });
    const onWaiting = (): void => this.#hints?.listen();
    this.#feed = new Feed({ server, place, cache, history, runtime, pollMs, onWaiting });
    const onHint = (): void => this.#feed.wake();
    this.#hints = hints ? new Hints({ server, place, runtime, onHint }) : undefined;
    const { historyRevisions } = options;
    this.#housekeeping = new Housekeeping({ server, place, historyRevisions });
    const onCommitted = (commits: number, last: number | undefined, batch: string): void => {
      if (last !== undefined) {
        history.saw(last, batch);
        this.#hints?.send();
      }
      this.#feed.wake();
      this.#housekeeping.committed(commits);
    };
    const commits = { place, cache, limits, updatedAtOf, thresholdBytes: this.options.blobThresholdBytes };
    const before = (): Promise<unknown> => Promise.allSettled(this.#beginnings);
    this.#queue = new CommitQueue({ ...commits, server, runtime, unavailableMs, before, onCommitted });
  }

  read(key: string, { staleOkMs = 0 }: ReadOptions = {}): MaybePromise<EngineRecord | undefined> {
    if (staleOkMs === 0) return this.#reads.read(key);
    const time = this.options.runtime.monotonic() - staleOkMs;
    return this.#cache.since(key, time) ?? this.#reads.readSince(key, time);
  }

  recall(key: string): EngineRecord | undefined {
    return this.#cache.guess(key);
  }

  async scan(query: EngineQuery, attempt = 1): Promise<EngineScan> {
    const { schema, store } = this.options.place;
    const conditions = new Conditions(store, query);
    const { orderBy, descending, after, limit } = query;
    const order = orderBy === "key" ? ["s.key"] : ["s.updated_at", "s.key"];
    if (after !== undefined) {
      const position = orderBy === "key" ? [toKeyText(after.key)] : [after.updatedAt, toKeyText(after.key)];
      const [from] = [position.map((value) => conditions.value(value)).join(", ")];
      conditions.add(`(${order.join(", ")}) ${descending ? "<" : ">"} (${from})`);
    }
    const by = order.map((column) => column + (descending ? " desc" : "")).join(", ");
    // First which sessions: their changes are looked up for these alone.
    const rows = await this.#query(
      `select s.key, s.rev, s.updated_at, s.modified_at, l.val, l.refs from (
select s.key, s.rev, s.updated_at, s.modified_at from ${schema}.session s
where ${conditions.text} order by ${by}${Number.isFinite(limit) ? ` limit ${Math.trunc(limit) + 1}` : ""}) s
join ${schema}.log l on l.store = $1 and l.rev = s.rev and l.key = s.key and l.kind = 'put' order by ${by}`,
      conditions.values,
      "planned",
    );
    const page = rows.length > limit ? rows.slice(0, limit) : rows;
    const valueOf = await loadValues(this.#sql, this.options.place, page, (hash) =>
      this.#cache.valueOf(hash),
    );
    const lacking = page.find(({ refs }) =>
      [...sharedOf(refs).values()].some(({ hash }) => valueOf(hash) === undefined),
    );
    // Housekeeping has removed a value together with the change that had it: the session is at another one now.
    if (lacking !== undefined && attempt < SCANS_MAX) return this.scan(query, attempt + 1);
    const last = page.at(-1);
    return {
      records: page.map((row) => this.#recordOf(row, valueOf)),
      next:
        page.length < rows.length && last !== undefined
          ? { key: fromKeyText(String(last["key"])), updatedAt: Number(last["updated_at"]) }
          : undefined,
    };
  }

  async count(query: EngineQuery): Promise<number> {
    const { schema, store } = this.options.place;
    const conditions = new Conditions(store, query);
    const [row] = await this.#query(
      `select count(*) as sessions from ${schema}.session s where ${conditions.text}`,
      conditions.values,
      "planned",
    );
    return Number(row?.["sessions"]);
  }

  async commit(ops: readonly EngineOp[], options: CommitOptions = {}): Promise<CommitOutcome> {
    const { limits, runtime } = this.options;
    const time = Math.trunc(runtime.now());
    const at = runtime.monotonic();
    const prepared = ops.map((op) => prepare(op, limits, this.options.blobThresholdBytes));
    const outcome = await this.#queue.add({ ops: prepared, options, time });
    if (outcome.status === "conflict") this.#cache.guessedWrong(outcome.key, runtime.monotonic());
    if (outcome.status === "committed") this.#keep(prepared, outcome, at);
    return outcome;
  }

  async operation({ id, hash }: Operation): Promise<number | undefined> {
    const { schema, store } = this.options.place;
    const [row] = await this.#query(
      `select hash, rev from ${schema}.operation where store = $1 and id = $2`,
      [store, toKeyText(id)],
    );
    if (row === undefined) return undefined;
    if (row["hash"] !== hash) throw operationMismatch(id, Number(row["rev"]));
    return Number(row["rev"]);
  }

  async transcript(key: string, name: string): Promise<EngineTranscript | undefined> {
    const { schema, store } = this.options.place;
    const [row] = await this.#query(
      `select last, length, since, cut from ${schema}.transcript where store = $1 and key = $2 and name = $3`,
      [store, toKeyText(key), toKeyText(name)],
    );
    return row && infoOf(row);
  }

  async transcripts(key: string): Promise<readonly string[]> {
    const { schema, store } = this.options.place;
    const rows = await this.#query(
      `select name from ${schema}.transcript where store = $1 and key = $2 order by name`,
      [store, toKeyText(key)],
    );
    return rows.map(({ name }) => fromKeyText(String(name)));
  }

  async transcriptKeys(): Promise<readonly string[]> {
    const { schema, store } = this.options.place;
    const rows = await this.#query(
      `select distinct key from ${schema}.transcript where store = $1 order by key`,
      [store],
    );
    return rows.map(({ key }) => fromKeyText(String(key)));
  }

  async itemIds(key: string, name: string, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { schema, store } = this.options.place;
    const rows = await this.#query(
      `select i.id, i.seq from ${schema}.transcript t
join ${schema}.item i on i.store = t.store and i.since = t.since and i.ord = t.ord and i.id = any($4::text[])
where t.store = $1 and t.key = $2 and t.name = $3`,
      [store, toKeyText(key), toKeyText(name), ids.map(toKeyText)],
    );
    return new Map(rows.map(({ id, seq }) => [fromKeyText(String(id)), Number(seq)]));
  }

  async items(key: string, name: string, query: EngineItemQuery): Promise<EnginePage> {
    const { schema, store } = this.options.place;
    const { from = 1, to = Number.MAX_SAFE_INTEGER, limit, backwards } = query;
    const direction = backwards ? "desc" : "asc";
    const rows = await this.#query(
      `with t as (select since, ord, last, length, cut from ${schema}.transcript where store = $1 and key = $2 and name = $3),
i as (select i.seq, i.id, i.rev, i.time, i.val from t join ${schema}.item i
  on i.store = $1 and i.since = t.since and i.ord = t.ord and i.seq between $4 and $5
  order by i.seq ${direction} limit $6),
w as (select i.*, sum(octet_length(i.val)) over (order by i.seq ${direction}) - octet_length(i.val) as before from i)
select t.since, t.last, t.length, t.cut, w.seq, w.id, w.rev, w.time, case when w.before < $7 then w.val end as val
from t left join w on true order by w.seq ${direction}`,
      [store, toKeyText(key), toKeyText(name), from, to, Math.min(limit, 1_000_000) + 1, PAGE_BYTES_MAX],
    );
    const [first] = rows;
    if (first === undefined) return { items: [], more: false, transcript: undefined };
    const found = first["seq"] === null ? [] : rows;
    const page = found.filter(({ val }, index) => val !== null && index < limit);
    return { items: page.map(itemOf), more: page.length < found.length, transcript: infoOf(first) };
  }

  async revision(): Promise<number> {
    const { schema, store } = this.options.place;
    const known = this.#history.now();
    const [row] = await this.#query(`select rev from ${schema}.store where id = $1`, [store]);
    if (row === undefined) throw gone(this.options.place);
    this.#history.sawHead(Number(row["rev"]), known);
    return Number(row["rev"]);
  }

  changes(options: ChangesOptions): AsyncIterable<EngineChange> {
    const now = this.revision();
    this.#beginnings.add(now);
    const begun = (): void => void this.#beginnings.delete(now);
    now.then(begun, begun);
    return this.#feed.changes(options, now);
  }

  async stats({ transcripts }: StatsOptions = {}): Promise<EngineStats> {
    const { schema, store } = this.options.place;
    const [row] = await this.#query(
      `select s.rev, (select count(*) from ${schema}.session where store = $1 and present) as sessions
from ${schema}.store s where s.id = $1`,
      [store],
    );
    if (row === undefined) throw gone(this.options.place);
    const sessions = Number(row["sessions"]);
    const stats = { engine: "postgres", sessions, revision: Number(row["rev"]) } as const;
    if (transcripts !== true) return stats;
    const [sums] = await this.#query(
      `select count(*) as count, coalesce(sum(t.length), 0)::bigint as items, coalesce(sum(
  (select sum(octet_length(i.val)) from ${schema}.item i where i.store = t.store and i.since = t.since and i.ord = t.ord)), 0)::bigint as bytes
from ${schema}.transcript t where t.store = $1`,
      [store],
    );
    const { count, items, bytes } = sums as Row;
    return {
      ...stats,
      transcripts: { count: Number(count), items: Number(items), bytes: Number(bytes), damaged: 0 },
    };
  }

  async flush(): Promise<void> {
    // Nothing waits to be written: a commit is in the database when it is answered.
  }

  async close(): Promise<void> {
    this.#feed.close();
    await this.#queue.settled();
    await this.#hints?.close();
    await this.#housekeeping.close();
    await this.options.server.close();
  }

  #keep(
    ops: readonly PreparedOp[],
    { records, revision }: Extract<CommitOutcome, { status: "committed" }>,
    at: number,
  ): void {
    for (const [index, op] of ops.entries()) {
      const record = records[index];
      if (record === undefined) {
        if (op.kind === "delete" && (this.#cache.latest(op.key)?.revision ?? revision) < revision)
          this.#cache.forget(op.key);
        continue;
      }
      const bytes = op.kind === "set" ? op.json.length : ownBytesOf(record);
      this.#cache.put(record, bytes, { head: revision, at });
    }
  }

  async #query(text: string, values: readonly Value[], planned?: "planned"): Promise<Rows> {
    try {
      return await this.options.server.query(text, values, planned);
    } catch (error) {
      throw asServerError(error);
    }
  }

  #recordOf(row: Row, valueOf: (hash: string) => unknown): EngineRecord {
    const key = fromKeyText(String(row["key"]));
    const [revision, modifiedAt] = [Number(row["rev"]), Number(row["modified_at"])];
    const json = String(row["val"]);
    return this.#cache.take({ key, revision, modifiedAt, json, shared: sharedOf(row["refs"]), valueOf });
  }
}

/** What every listing asks of a session, as SQL; $1 is the store. */
class Conditions {
  readonly values: Value[];
  text = "s.store = $1 and s.present";

  constructor(store: number, { prefix, updatedAfter, updatedBefore }: EngineQuery) {
    this.values = [store];
    if (prefix !== "")
      this.add(`s.key >= ${this.value(toKeyText(prefix))} and s.key < ${this.value(behindPrefix(prefix))}`);
    if (updatedAfter !== undefined) this.add(`s.updated_at > ${this.value(updatedAfter)}`);
    if (updatedBefore !== undefined) this.add(`s.updated_at < ${this.value(updatedBefore)}`);
  }

  add(condition: string): void {
    this.text += ` and ${condition}`;
  }

  value(value: Value): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** Of its JSON, without what is shared. */
function ownBytesOf(record: EngineRecord): number {
  const shared = sharedIn(record);
  return JSON.stringify(record.entry, (name, value: unknown) => (shared.has(name) ? null : value)).length;
}

function infoOf({ last, length, since, cut }: Row): EngineTranscript {
  return { last: Number(last), length: Number(length), since: Number(since), cut: Number(cut) };
}

function itemOf({ seq, id, rev, time, val }: Row): EngineItem {
  const item: unknown = JSON.parse(String(val));
  const named = id === null || id === undefined ? {} : { id: fromKeyText(String(id)) };
  return { seq: Number(seq), item, ...named, revision: Number(rev), time: Number(time) };
}
