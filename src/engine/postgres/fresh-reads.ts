/**
 * Reads of single sessions that share statements.
 *
 * One statement is under way; whoever reads meanwhile waits for the next one, and it serves all of them. A read is only ever
 * answered by a statement that was **sent after the read began**: one that was under way already may have looked before a commit that
 * the reader knows of. The statement is told which revision is kept of each session, and gives only those that have another.
 *
 * A statement that takes long, on a connection that died without a word, holds nobody up: after a moment the next one goes out on
 * another connection.
 */
import { SessionStoreError } from "../../errors.js";
import type { Runtime } from "../../runtime.js";
import type { EngineRecord } from "../contract.js";
import type { KnownHistory } from "./known-history.js";
import { fromKeyText, toKeyText } from "./key-text.js";
import type { Place } from "./place.js";
import type { Overtaken, RecordCache, Seen } from "./record-cache.js";
import { loadValues, missing, sharedOf } from "./shared-values.js";
import { asServerError, type Server } from "./server.js";
import type { Row, Rows, Value } from "./sql.js";

export interface FreshReadsOptions {
  readonly server: Server;
  readonly place: Place;
  readonly cache: RecordCache;
  readonly history: KnownHistory;
  readonly runtime: Runtime;
}

type Found = EngineRecord | undefined;

interface Reader {
  readonly promise: Promise<Found>;
  readonly resolve: (found: Found) => void;
  readonly reject: (error: unknown) => void;
}

/** Since when, by the monotonic clock. */
interface CatchingUp {
  readonly at: number;
  readonly done: Promise<void>;
}

interface Answer {
  readonly row: Row | undefined;
  readonly held: EngineRecord | undefined;
  readonly valueOf: (hash: string) => unknown;
}

/** Sessions that one statement reads. */
const KEYS_MAX = 500;
/** Bytes of JSON that it gives, unless the first session alone has more; the others are read again. */
const BYTES_MAX = 16 * 1024 * 1024;
/** How long a statement may hold up those who wait for the next one. */
const PATIENCE_MS = 50;
/** Statements that are under way at the same time, when they take that long. */
const RUNNING_MAX = 3;
/** Changes of others up to which it is cheaper to take them out than to begin anew. */
const CHANGES_MAX = 1000;

export class FreshReads {
  readonly #waiting = new Map<string, Reader>();
  /** Sessions whose values were not there when they were looked for, and the revision. */
  readonly #lacking = new Map<string, number>();
  #running = 0;
  #patience: { cancel(): void } | undefined;
  #catchingUp: CatchingUp | undefined;

  constructor(private readonly options: FreshReadsOptions) {}

  /** The latest state of a session, of no moment before this call. */
  read(key: string): Promise<Found> {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return waiting.promise;
    const reader = readerOf();
    this.#waiting.set(key, reader);
    this.#begin();
    return reader.promise;
  }

  /** The state of a session as it was at `time` of the monotonic clock, or later. */
  async readSince(key: string, time: number): Promise<Found> {
    const { cache } = this.options;
    if (cache.isCovered(key)) {
      await this.#catchUp(time);
      const record = cache.since(key, time);
      if (record !== undefined) return record;
    }
    return this.read(key);
  }

  #begin(): void {
    if (this.#running === 0) return void this.#run();
    this.#patience ??= this.options.runtime.setTimer(() => {
      this.#patience = undefined;
      if (this.#waiting.size > 0 && this.#running < RUNNING_MAX) void this.#run();
    }, PATIENCE_MS);
  }

  async #run(): Promise<void> {
    this.#running++;
    const taken = new Map<string, Reader>();
    try {
      await this.#ask(taken);
    } catch (error) {
      for (const { reject } of taken.values()) reject(asServerError(error));
      // Whoever came too late for a connection that there was none of has waited as long as the others.
      if (taken.size === 0) this.#rejectAll(asServerError(error));
    }
    this.#running--;
    this.#patience?.cancel();
    this.#patience = undefined;
    if (this.#waiting.size > 0) this.#begin();
  }

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  async #ask(taken: Map<string, Reader>): Promise<void> {
    const { server, cache, runtime, history } = this.options;
    const held = new Map<string, EngineRecord>();
    let at = 0;
    let known = history.now();
    const rows = await server.query(() => {
      // Here, when there is a connection: whoever came until now is before the statement.
      for (const [key, reader] of this.#waiting) {
        if (taken.size === KEYS_MAX) break;
        taken.set(key, reader);
        this.#waiting.delete(key);
        const known = cache.latest(key);
        if (known !== undefined) held.set(key, known);
      }
      at = runtime.monotonic();
      known = history.now();
      return this.#statement([...taken.keys()], held);
    });
    if (rows[0] !== undefined) history.sawHead(Number(rows[0]["head"]), known);
    const valueOf = await loadValues(server, this.options.place, rows, (hash) => cache.valueOf(hash));
    const seen: Seen = { head: Number(rows[0]?.["head"] ?? 0), at };
    const changed = new Map(rows.map((row) => [Number(row["n"]), row]));
    let n = 0;
    for (const [key, reader] of taken) {
      const row = changed.get(++n);
      try {
        this.#answer(
          key,
          reader,
          { row, held: held.get(key), valueOf },
          rows.length === 0 ? undefined : seen,
        );
      } catch (error) {
        reader.reject(error);
      }
    }
  }

  #answer(
    key: string,
    { resolve, reject }: Reader,
    { row, held, valueOf }: Answer,
    seen: Seen | undefined,
  ): void {
    const { cache } = this.options;
    if (seen === undefined) return resolve(undefined); // the store is gone
    if (row === undefined) {
      if (held !== undefined) {
        cache.wouldBeRight(key);
        cache.confirm(held, seen);
      }
      return resolve(held);
    }
    if (row["rev"] === null) {
      if (cache.latest(key) === held) cache.forget(key);
      return resolve(undefined);
    }
    if (row["bytes"] === null) throw incomplete(key, Number(row["rev"]));
    if (row["val"] === null) return void this.read(key).then(resolve, reject);
    const revision = Number(row["rev"]);
    const shared = sharedOf(row["refs"]);
    const gone = [...shared.values()].find(({ hash }) => valueOf(hash) === undefined);
    if (gone !== undefined) {
      // With the change, by housekeeping, since the statement: then the session is at another one now.
      if (this.#lacking.get(key) === revision) throw missing(gone.hash, key);
      this.#lacking.set(key, revision);
      return void this.read(key)
        .finally(() => this.#lacking.delete(key))
        .then(resolve, reject);
    }
    const json = String(row["val"]);
    resolve(
      cache.take({ key, revision, modifiedAt: Number(row["modified_at"]), json, shared, valueOf }, seen),
    );
  }

  #statement(keys: readonly string[], held: ReadonlyMap<string, EngineRecord>): [string, readonly Value[]] {
    const { schema, store } = this.options.place;
    const [only] = keys;
    if (keys.length === 1 && only !== undefined)
      return [
        `select c.rev as head, r.* from ${schema}.store c left join (
select 1 as n, s.rev, s.modified_at, octet_length(l.val) as bytes, l.val, l.refs from (select $2::text as key) i
left join ${schema}.session s on s.store = $1 and s.key = i.key and s.present
left join ${schema}.log l on l.store = $1 and l.rev = s.rev and l.key = i.key and l.kind = 'put'
where s.rev is distinct from $3::bigint) r on true where c.id = $1`,
        [store, toKeyText(only), held.get(only)?.revision ?? null],
      ];
    return [
      `select c.rev as head, r.n, r.rev, r.modified_at, r.bytes, case when r.upto - r.bytes < $4 then r.val end as val, r.refs
from ${schema}.store c left join (
select i.n, s.rev, s.modified_at, octet_length(l.val) as bytes, l.val, l.refs, sum(octet_length(l.val)) over (order by i.n) as upto
from unnest($2::text[], $3::bigint[]) with ordinality as i(key, known, n)
left join ${schema}.session s on s.store = $1 and s.key = i.key and s.present
left join ${schema}.log l on l.store = $1 and l.rev = s.rev and l.key = i.key and l.kind = 'put'
where s.rev is distinct from i.known) r on true where c.id = $1 order by r.n`,
      [store, keys.map(toKeyText), keys.map((key) => held.get(key)?.revision ?? null), BYTES_MAX],
    ];
  }

  /** Takes out of the cache what others have changed, as of `time` or later. */
  async #catchUp(time: number): Promise<void> {
    while ((this.options.cache.position?.at ?? -Infinity) < time) {
      const running = (this.#catchingUp ??= this.#startCatchingUp());
      await running.done;
      if (running.at >= time) return;
    }
  }

  #startCatchingUp(): CatchingUp {
    const at = this.options.runtime.monotonic();
    const over = (): void => void (this.#catchingUp = undefined);
    return { at, done: this.#takeOut(at).finally(over) };
  }

  async #takeOut(at: number): Promise<void> {
    const { server, place, cache, history } = this.options;
    const { schema, store } = place;
    const known = history.now();
    const position = cache.position;
    if (position === undefined) return;
    let rows: Rows;
    try {
      rows = await server.query(
        `with c as (select rev, floor from ${schema}.store where id = $1),
p as (select rev, key from ${schema}.log where store = $1 and rev > $2 and kind <> 'transcript' order by rev, ord limit $3)
select c.rev as head, c.floor, p.rev, p.key from c left join p on true`,
        [store, position.head, CHANGES_MAX + 1],
      );
    } catch (error) {
      throw asServerError(error);
    }
    const [first] = rows;
    if (first === undefined) return cache.clear(); // the store is gone
    history.sawHead(Number(first["head"]), known);
    if (cache.position !== position) return; // it was cleared meanwhile
    const all = rows.length <= CHANGES_MAX && Number(first["floor"]) <= position.head;
    const changes = rows.filter(({ rev }) => rev !== null).map(overtaken);
    cache.advance({ head: Number(first["head"]), at }, all ? changes : undefined);
  }
}

function overtaken({ key, rev }: Row): Overtaken {
  return { key: fromKeyText(String(key)), revision: Number(rev) };
}

function readerOf(): Reader {
  let resolve!: Reader["resolve"];
  let reject!: Reader["reject"];
  const promise = new Promise<Found>((one, other) => {
    resolve = one;
    reject = other;
  });
  return { promise, resolve, reject };
}

/** The row of the session names a change that the log does not have. */
function incomplete(key: string, revision: number): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `session ${JSON.stringify(key)} is at revision ${revision}, and the log in the database has no such change: somebody removed ` +
      "it by hand. Put the session again, or delete it.",
    { data: { key, revision } },
  );
}
