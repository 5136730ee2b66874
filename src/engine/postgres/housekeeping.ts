/**
 * Removes what nobody can ask for any more: states that later ones replaced and that are too old to be watched for, names of
 * operations beyond those that a store must remember, items of transcripts that are gone, and rows of sessions that are.
 *
 * Any process may do it at any time, one at a time for a store. First the floor of what can be watched for rises, in a
 * transaction of its own; then rows go, a part in each transaction, and in the same one it is written down how far that is: a
 * process that is killed leaves the rest to the next one.
 */
import { OPERATIONS_KEPT } from "../contract.js";
import type { Place } from "./place.js";
import { isBroken, type Lent, type Server } from "./server.js";

export interface HousekeepingOptions {
  readonly server: Server;
  readonly place: Place;
  /** Revisions that a watch can go back at least. */
  readonly historyRevisions: number;
}

/** Commits of this process between two looks. */
const COMMITS_BETWEEN_MAX = 500;
/** Revisions whose rows go in one transaction. */
const REVISIONS_AT_ONCE = 1000;
/** Shared values that go in one transaction. */
const VALUES_AT_ONCE = 200;
/** What one statement has seen another one is to see anew. */
const BEGIN = "begin isolation level read committed";
/** Items that go in one transaction. */
const ITEMS_AT_ONCE = 5000;

export class Housekeeping {
  #commits = 0;
  #running: Promise<void> | undefined;
  #closed = false;
  /** Whether values may be without a use: after uses were removed, and in the beginning, for others may have left some. */
  #mayBeUnused = true;

  constructor(private readonly options: HousekeepingOptions) {}

  /** So many commits were made by this process. */
  committed(commits: number): void {
    this.#commits += commits;
    if (this.#commits < Math.min(COMMITS_BETWEEN_MAX, this.options.historyRevisions)) return;
    if (this.#running !== undefined || this.#closed) return;
    this.#commits = 0;
    this.#running = this.#tidy()
      .catch(() => {}) // nobody waits for it, and the next one does it as well
      .finally(() => (this.#running = undefined));
  }

  /** Resolves when nothing is being removed. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #tidy(): Promise<void> {
    const { server } = this.options;
    const lent = await server.lend();
    let broken = true;
    try {
      await this.#raiseFloor(lent);
      while (!this.#closed && (await this.#sweepLog(lent)));
      while (!this.#closed && (await this.#sweepItems(lent)));
      let from = this.#mayBeUnused ? "" : undefined;
      while (!this.#closed && from !== undefined) from = await this.#sweepValues(lent, from);
      if (from === undefined) this.#mayBeUnused = false;
      if (!this.#closed) await this.#forgetOperations(lent);
      broken = false;
    } catch (error) {
      broken = isBroken(error) || !(await hasRolledBack(lent));
      throw error;
    } finally {
      lent.release(broken);
    }
  }

  async #raiseFloor(sql: Lent): Promise<void> {
    const { place, historyRevisions } = this.options;
    await sql.query(
      `update ${place.schema}.store set floor = rev - $2::bigint where id = $1 and rev - $2::bigint > floor`,
      [place.store, historyRevisions],
    );
  }

  /** @returns Whether there is more. */
  async #sweepLog(sql: Lent): Promise<boolean> {
    const { schema, store } = this.options.place;
    await sql.query(BEGIN);
    const [row] = await sql.query(
      `select w.log as swept, s.floor from ${schema}.sweep w join ${schema}.store s on s.id = w.store
where w.store = $1 for update of w skip locked`,
      [store],
    );
    const swept = Number(row?.["swept"] ?? 0);
    const floor = Number(row?.["floor"] ?? 0);
    if (row === undefined || swept >= floor) {
      await sql.query("rollback");
      return false;
    }
    const range = [store, swept, Math.min(floor, swept + REVISIONS_AT_ONCE)];
    // What a change in this range replaced.
    const [unused] = await sql.query(
      `with gone as (delete from ${schema}.log l using ${schema}.log n where n.store = $1 and n.rev > $2 and n.rev <= $3 and n.base > 0
and l.store = $1 and l.rev = n.base and l.key = n.key and l.kind = 'put' returning l.rev, l.key, l.refs),
uses as (delete from ${schema}.value_use u using gone g where g.refs is not null and u.store = $1 and u.rev = g.rev and u.key = g.key
returning 1)
select count(*) as uses from uses`,
      range,
    );
    if (Number(unused?.["uses"]) > 0) this.#mayBeUnused = true;
    await sql.query(
      `delete from ${schema}.session s using ${schema}.log n where n.store = $1 and n.rev > $2 and n.rev <= $3
and n.kind = 'delete' and s.store = $1 and s.key = n.key and s.rev = n.rev and not s.present
and not exists (select 1 from ${schema}.transcript t where t.store = $1 and t.key = s.key)`,
      range,
    );
    await sql.query(
      `delete from ${schema}.log where store = $1 and rev > $2 and rev <= $3 and kind <> 'put'`,
      range,
    );
    await sql.query(`update ${schema}.sweep set log = $3 where store = $1 and log = $2`, range);
    await sql.query("commit");
    return true;
  }

  /** @returns Whether there is more. */
  async #sweepItems(sql: Lent): Promise<boolean> {
    const { schema, store } = this.options.place;
    await sql.query(BEGIN);
    const [life] = await sql.query(
      `select since, ord from ${schema}.garbage where store = $1 limit 1 for update skip locked`,
      [store],
    );
    if (life === undefined) {
      await sql.query("rollback");
      return false;
    }
    const place = [store, Number(life["since"]), Number(life["ord"])];
    const [removed] = await sql.query(
      `with i as (select seq from ${schema}.item where store = $1 and since = $2 and ord = $3 order by seq limit ${ITEMS_AT_ONCE}),
d as (delete from ${schema}.item t using i where t.store = $1 and t.since = $2 and t.ord = $3 and t.seq = i.seq returning 1)
select count(*) as items from d`,
      place,
    );
    if (Number(removed?.["items"]) < ITEMS_AT_ONCE)
      await sql.query(`delete from ${schema}.garbage where store = $1 and since = $2 and ord = $3`, place);
    await sql.query("commit");
    return true;
  }

  /**
   * Rule 4 of shared-values.ts.
   * @param from Values in front of it were looked at.
   * @returns Where to go on; undefined: that was all.
   */
  async #sweepValues(sql: Lent, from: string): Promise<string | undefined> {
    const { schema, store } = this.options.place;
    const unused = `not exists (select 1 from ${schema}.value_use u where u.store = v.store and u.hash = v.hash)`;
    await sql.query(BEGIN);
    const rows = await sql.query(
      `select v.hash from ${schema}.value v where v.store = $1 and v.hash > $2 and ${unused}
order by v.hash limit ${VALUES_AT_ONCE} for update of v skip locked`,
      [store, from],
    );
    const hashes = rows.map(({ hash }) => String(hash));
    if (hashes.length > 0)
      await sql.query(
        `delete from ${schema}.value v where v.store = $1 and v.hash = any($2::text[]) and ${unused}`,
        [store, hashes],
      );
    await sql.query("commit");
    return hashes.length === VALUES_AT_ONCE ? hashes.at(-1) : undefined;
  }

  async #forgetOperations(sql: Lent): Promise<void> {
    const { schema, store } = this.options.place;
    await sql.query(
      `delete from ${schema}.operation where store = $1 and rev <= (
select rev from ${schema}.operation where store = $1 order by rev desc offset ${OPERATIONS_KEPT} limit 1)`,
      [store],
    );
  }
}

async function hasRolledBack(sql: Lent): Promise<boolean> {
  try {
    await sql.query("rollback");
    return true;
  } catch {
    return false;
  }
}
