/**
 * One batch: commits that wait together become one transaction. It locks the rows of their sessions in the order of their keys,
 * reads what the commits have to be decided on, decides them one after the other, takes as many revisions as there are that
 * count, and writes all of it.
 *
 * Locks are taken in one order by everybody: sessions by key, then the counter. Everything before the deciding is sent without
 * waiting for answers, and so is everything behind it: two round trips.
 */
import { isBroken, type Lent } from "./server.js";
import { BatchWrites, type AssumedSession } from "./batch-writes.js";
import { decide, hasGaps, type Boundaries, type Deciding, type Decision, type Waiting } from "./decide.js";
import { gone } from "./feed.js";
import { fromKeyText, toKeyText } from "./key-text.js";
import { LockedRows } from "./locked-rows.js";
import { loadValues, sharedIn, sharedOf } from "./shared-values.js";
import { lockValues } from "./value-locks.js";
import type { RecordCache } from "./record-cache.js";
import type { Place } from "./place.js";
import type { Rows } from "./sql.js";
import type { EngineRecord, TranscriptOp } from "../contract.js";

export interface BatchOptions {
  readonly place: Place;
  readonly cache: RecordCache;
  readonly limits: Deciding["limits"];
  readonly thresholdBytes: number;
  readonly updatedAtOf: Deciding["updatedAtOf"];
}

/** What a transaction came to. */
export type Ended =
  | { readonly kind: "done"; readonly base: number; readonly decisions: readonly Decided[] }
  /** Nothing was written: a row was removed under its lock, or others were in the way. */
  | { readonly kind: "again" }
  /** It was to be committed, and the answer did not come. */
  | {
      readonly kind: "unknown";
      readonly decisions: readonly Decided[];
      readonly commits: number;
      readonly trace: Trace;
      readonly cause: unknown;
    };

/** How to find out whether a batch was applied, beside its name in the log, which housekeeping may have removed. */
export interface Trace {
  /** All revisions of the batch are higher: while the floor is not above it, the log is complete. */
  readonly since: number;
  /** A session of which that was the revision, and will not be when the batch was applied. */
  readonly key: string | undefined;
}

/** Of one commit: its answer, or what it alone is refused for. */
export type Decided = { readonly decision: Decision } | { readonly error: unknown };

export class Batch {
  readonly #keys: readonly string[];
  readonly #rows = new LockedRows();
  readonly #writes = new BatchWrites();
  /** Records whose entries were not asked for, because the cache had them: it may let go of them before the answer. */
  readonly #held = new Map<string, EngineRecord>();

  /** A revision of the store from before this batch's. */
  #before = 0;

  constructor(
    /** In the log with every change of the batch: tells whether it was applied. */
    readonly name: string,
    readonly commits: readonly Waiting[],
    private readonly options: BatchOptions,
  ) {
    this.#keys = [...new Set(commits.flatMap(({ ops }) => ops.map(({ key }) => key)))];
  }

  /**
   * The short way, one statement, for commits that only build on records that this process has: they are decided on those, and
   * the statement writes nothing unless all of them are still what the database has.
   * @returns Undefined if the long way is to be gone.
   */
  async runAssumed(sql: Lent): Promise<Ended | undefined> {
    const { place, cache } = this.options;
    const assumed = new Map<string, AssumedSession>();
    for (const { ops, options } of this.commits) {
      if (options.operation !== undefined) return undefined;
      for (const op of ops) {
        if (op.kind === "transcript" || op.kind === "delete" || (op.base ?? 0) === 0) return undefined;
        const { key, base: revision = 0 } = op;
        const record = cache.at(key, revision);
        if (record === undefined) return undefined;
        const { entry, modifiedAt } = record;
        if (!assumed.has(key))
          this.#rows.setSession(key, {
            revision,
            present: true,
            updatedAt: 0,
            modifiedAt,
            entry,
            shared: sharedIn(record),
          });
        assumed.set(key, { key, revision });
      }
    }
    const decisions = this.#decideAll(new Map(), new Map());
    const { commits } = this.#writes;
    // Without anything to write nobody would ask whether what they were decided on is still so.
    if (commits === 0) return undefined;
    if (this.#writes.wanted.size > 0) return undefined; // somebody else may be removing these values
    try {
      const base = await this.#writes.sendIf(
        [...assumed.values()],
        sql,
        place.schema,
        place.store,
        this.name,
      );
      return base === undefined ? undefined : { kind: "done", base, decisions };
    } catch (cause) {
      if (!isBroken(cause)) throw cause;
      const key = this.#writes.changed;
      const since = (key === undefined ? undefined : assumed.get(key)?.revision) ?? 0;
      return { kind: "unknown", decisions, commits, trace: { since, key }, cause };
    }
  }

  /** Commits that got a revision, or will. */
  get written(): number {
    return this.#writes.commits;
  }

  #decideAll(operations: Deciding["operations"], boundaries: Deciding["boundaries"]): Decided[] {
    const { limits, thresholdBytes, updatedAtOf } = this.options;
    const shared = { rows: this.#rows, writes: this.#writes, limits, thresholdBytes, updatedAtOf };
    const deciding = { ...shared, operations, boundaries };
    return this.commits.map((waiting): Decided => {
      try {
        return { decision: decide(waiting, deciding) };
      } catch (error) {
        return { error };
      }
    });
  }

  /** @throws if it is certain that nothing was written, and another attempt would end in the same way. */
  async run(sql: Lent): Promise<Ended> {
    const { place } = this.options;
    const operations = await this.#lock(sql);
    if (operations === undefined) {
      await sql.query("rollback");
      return { kind: "again" };
    }
    const decisions = this.#decideAll(operations, await this.#boundaries(sql));
    if (this.#writes.commits === 0) {
      await sql.query("rollback");
      return { kind: "done", base: 0, decisions };
    }
    if (!(await lockValues(sql, place, this.#writes.wanted))) {
      await sql.query("rollback");
      return { kind: "again" };
    }
    const base = this.#writes.send(sql, place.schema, place.store, this.name);
    const committed = sql.query("commit");
    committed.catch(() => {});
    try {
      const known = await base;
      await committed;
      if (known === undefined) throw gone(place);
      return { kind: "done", base: known, decisions };
    } catch (cause) {
      if (!isBroken(cause)) throw cause;
      const trace = { since: this.#before, key: undefined };
      return { kind: "unknown", decisions, commits: this.#writes.commits, trace, cause };
    }
  }

  /** @returns The operations that were committed before; undefined: a session has no row to lock any more. */
  async #lock(sql: Lent): Promise<Deciding["operations"] | undefined> {
    const { schema, store, timeoutMs } = this.options.place;
    const keys = this.#keys.map(toKeyText).sort(byBytes);
    const limit = Math.ceil(timeoutMs);
    const answers = await allOf([
      sql.query(
        `begin isolation level read committed; set local statement_timeout = ${limit}; set local lock_timeout = ${limit}; ` +
          `set local idle_in_transaction_session_timeout = ${limit}`,
      ),
      sql.query(
        `insert into ${schema}.session (store, key, rev, present, updated_at, modified_at)
select $1, i.key, 0, false, 0, 0 from unnest($2::text[]) as i(key) order by i.key collate "C" on conflict do nothing`,
        [store, keys],
      ),
      sql.query(
        `select key, rev, present, updated_at, modified_at from ${schema}.session
where store = $1 and key = any($2::text[]) order by key for update`,
        [store, keys],
      ),
      this.#askEntries(sql),
      this.#askTranscripts(sql),
      this.#askIds(sql),
      this.#askOperations(sql),
      sql.query(`select rev from ${schema}.store where id = $1`, [store]),
    ]);
    const [, , sessions = [], entries = [], transcripts = [], ids = [], operations = [], counter = []] =
      answers;
    this.#before = Number(counter[0]?.["rev"] ?? 0);
    if (sessions.length < keys.length) return undefined;
    this.#takeSessions(
      sessions,
      entries,
      await loadValues(sql, this.options.place, entries, this.#keptValue),
    );
    for (const row of transcripts) {
      const { since, ord, low, last, length, cut } = row as unknown as Record<string, number>;
      const numbers = { since: since!, ord: ord!, low: low!, last: last!, length: length!, cut: cut! };
      this.#rows.setTranscript(textOf(row["key"]), textOf(row["name"]), numbers);
    }
    for (const { since, ord, id, seq } of ids)
      this.#rows.ids({ since: Number(since), ord: Number(ord) }).set(textOf(id), Number(seq));
    return new Map(
      operations.map(({ id, hash, rev }) => [textOf(id), { hash: String(hash), revision: Number(rev) }]),
    );
  }

  readonly #keptValue = (hash: string): unknown => this.options.cache.valueOf(hash);

  #takeSessions(sessions: Rows, entries: Rows, valueOf: (hash: string) => unknown): void {
    const found = new Map(entries.map((row) => [textOf(row["key"]), row]));
    for (const row of sessions) {
      const key = textOf(row["key"]);
      const revision = Number(row["rev"]);
      const stored = found.get(key);
      const times = { updatedAt: Number(row["updated_at"]), modifiedAt: Number(row["modified_at"]) };
      const present = row["present"] === true;
      const { cache } = this.options;
      const held = this.#held.get(key);
      const known =
        present && stored !== undefined
          ? cache.take({
              key,
              revision,
              modifiedAt: times.modifiedAt,
              json: String(stored["val"]),
              shared: sharedOf(stored["refs"]),
              valueOf,
            })
          : held?.revision === revision
            ? held
            : cache.at(key, revision);
      const record = present ? known : undefined;
      this.#rows.setSession(key, {
        revision,
        present,
        ...times,
        entry: record?.entry,
        shared: sharedIn(record),
      });
    }
  }

  /** Entries that a commit needs to be decided, or to be answered. */
  async #askEntries(sql: Lent): Promise<Rows> {
    const { schema, store } = this.options.place;
    const wanted = new Set<string>();
    for (const { ops, options } of this.commits)
      for (const { kind, key } of ops)
        if (kind === "patch" || kind === "check" || (kind === "set" && options.skipUnchanged === true))
          wanted.add(key);
    if (wanted.size === 0) return [];
    const keys = [...wanted];
    for (const key of keys) {
      const record = this.options.cache.latest(key);
      if (record !== undefined) this.#held.set(key, record);
    }
    return sql.query(
      `select s.key, l.val, l.refs from unnest($2::text[], $3::bigint[]) as i(key, known)
join ${schema}.session s on s.store = $1 and s.key = i.key and s.present and s.rev <> i.known
join ${schema}.log l on l.store = $1 and l.rev = s.rev and l.key = s.key and l.kind = 'put'`,
      [store, keys.map(toKeyText), keys.map((key) => this.#held.get(key)?.revision ?? 0)],
    );
  }

  async #askTranscripts(sql: Lent): Promise<Rows> {
    const { schema, store } = this.options.place;
    const whole: string[] = [];
    const named: { key: string; name: string }[] = [];
    for (const op of this.commits.flatMap(({ ops }) => ops)) {
      if (op.kind === "delete") whole.push(toKeyText(op.key));
      else if (op.kind === "transcript")
        named.push({ key: toKeyText(op.key), name: toKeyText(op.transcript) });
    }
    if (whole.length === 0 && named.length === 0) return [];
    return sql.query(
      `select key, name, since, ord, low, last, length, cut from ${schema}.transcript
where store = $1 and (key = any($2::text[]) or (key, name) in (select * from unnest($3::text[], $4::text[])))`,
      [store, whole, named.map(({ key }) => key), named.map(({ name }) => name)],
    );
  }

  /** Which of the ids that are given are there. */
  async #askIds(sql: Lent): Promise<Rows> {
    const { schema, store } = this.options.place;
    const wanted: { key: string; name: string; id: string }[] = [];
    for (const op of this.commits.flatMap(({ ops }) => ops)) {
      if (op.kind !== "transcript") continue;
      for (const { id } of op.items ?? [])
        if (id !== undefined)
          wanted.push({ key: toKeyText(op.key), name: toKeyText(op.transcript), id: toKeyText(id) });
    }
    if (wanted.length === 0) return [];
    return sql.query(
      `select i.since, i.ord, i.id, i.seq from unnest($2::text[], $3::text[], $4::text[]) as w(key, name, id)
join ${schema}.transcript t on t.store = $1 and t.key = w.key and t.name = w.name
join ${schema}.item i on i.store = $1 and i.since = t.since and i.ord = t.ord and i.id = w.id`,
      [store, wanted.map(({ key }) => key), wanted.map(({ name }) => name), wanted.map(({ id }) => id)],
    );
  }

  async #askOperations(sql: Lent): Promise<Rows> {
    const { schema, store } = this.options.place;
    const ids = this.commits.flatMap(({ options: { operation } }) =>
      operation ? [toKeyText(operation.id)] : [],
    );
    if (ids.length === 0) return [];
    return sql.query(
      `select id, hash, rev from ${schema}.operation where store = $1 and id = any($2::text[])`,
      [store, ids],
    );
  }

  /** For ops that remove items from a transcript whose numbers have gaps: where the cut is, only the items tell. */
  async #boundaries(sql: Lent): Promise<ReadonlyMap<TranscriptOp, Boundaries>> {
    const found = new Map<TranscriptOp, Boundaries>();
    for (const op of this.commits.flatMap(({ ops }) => ops)) {
      if (op.kind !== "transcript" || op.remove !== undefined) continue;
      if (op.truncate === undefined && op.trim === undefined) continue;
      const row = this.#rows.transcript(op.key, op.transcript);
      if (row !== undefined && hasGaps(row)) found.set(op, await this.#boundariesOf(sql, op));
    }
    return found;
  }

  async #boundariesOf(sql: Lent, op: TranscriptOp): Promise<Boundaries> {
    const { schema, store } = this.options.place;
    const row = this.#rows.transcript(op.key, op.transcript)!;
    const items = await sql.query(
      `select seq from ${schema}.item where store = $1 and since = $2 and ord = $3 order by seq`,
      [store, row.since, row.ord],
    );
    const seqs = items.map(({ seq }) => Number(seq));
    const { truncate } = op;
    const kept =
      truncate === undefined
        ? seqs
        : seqs.filter((seq, index) =>
            "length" in truncate ? index < truncate.length : seq <= truncate.afterSeq,
          );
    return { kept: kept.length, keptLast: kept.at(-1) ?? 0, oldest: kept };
  }
}

/** As the database orders key texts. */
function byBytes(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

function textOf(value: unknown): string {
  return fromKeyText(String(value));
}

/** All of them, or the first failure; the others are waited for, so that the connection is at rest. */
async function allOf(answers: readonly Promise<Rows>[]): Promise<Rows[]> {
  const settled = await Promise.allSettled(answers);
  const failed = settled.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason as Error;
  return settled.map((one) => (one.status === "fulfilled" ? one.value : []));
}
