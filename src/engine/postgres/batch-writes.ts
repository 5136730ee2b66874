/**
 * What a batch writes: rows gathered commit by commit, and the one statement that gives them their revisions and stores them.
 *
 * The counter is taken last, and let go by the commit right behind: until then nobody has waited for it.
 */
import type { Sql, Value } from "./sql.js";
import type { BatchRevision, TranscriptLife, TranscriptRow } from "./locked-rows.js";
import { toKeyText } from "./key-text.js";

export type ChangeKind = "put" | "delete" | "transcript";

interface LogRow {
  readonly n: number;
  readonly key: string;
  readonly kind: ChangeKind;
  /** The record's revision before; 0: there was none. */
  readonly base: BatchRevision;
  readonly time: number;
  readonly val: string | null;
  /** Fields of `val` that are shared. */
  readonly refs: string | null;
}

/** A value that a record of this batch has. */
interface UseRow {
  readonly hash: string;
  readonly n: number;
  readonly key: string;
}

interface NewItemRow extends TranscriptLife {
  readonly seq: number;
  readonly id: string | undefined;
  readonly n: number;
  readonly time: number;
  readonly json: string;
}

/** Items that go: of one life of a transcript, these numbers, both inclusive. */
interface ItemRange extends TranscriptLife {
  readonly from: number;
  readonly to: number;
}

/** A session that has a record of this revision. */
export interface AssumedSession {
  readonly key: string;
  readonly revision: number;
}

interface SessionWrite {
  readonly n: number;
  readonly present: boolean;
  readonly updatedAt: number;
  readonly modifiedAt: number;
}

export class BatchWrites {
  /** Commits so far. */
  commits = 0;
  readonly #log: LogRow[] = [];
  readonly #sessions = new Map<string, SessionWrite>();
  readonly #transcripts = new Map<string, { key: string; name: string; row: TranscriptRow | undefined }>();
  #items: NewItemRow[] = [];
  readonly #removed: ItemRange[] = [];
  readonly #garbage: TranscriptLife[] = [];
  readonly #uses: UseRow[] = [];
  readonly #covered = new Set<string>();
  readonly #wanted = new Map<string, () => string>();
  readonly #operations: { id: string; hash: string; n: number }[] = [];

  change(row: LogRow): void {
    this.#log.push(row);
  }

  /** This shared value is there, and stays until this batch counts. */
  covered(hash: string): void {
    this.#covered.add(hash);
  }

  /** A record of this batch has this shared value. */
  use(hash: string, json: () => string, n: number, key: string): void {
    this.#uses.push({ hash, n, key });
    if (!this.#covered.has(hash)) this.#wanted.set(hash, json);
  }

  /** Shared values that have to be there, and locked, before this is sent; their JSON. */
  get wanted(): ReadonlyMap<string, () => string> {
    return this.#wanted;
  }

  session(key: string, write: SessionWrite): void {
    this.#sessions.set(key, write);
  }

  transcript(key: string, name: string, row: TranscriptRow | undefined): void {
    this.#transcripts.set(`${key.length} ${key}${name}`, { key, name, row });
  }

  item(row: NewItemRow): void {
    this.#items.push(row);
  }

  removeItems(range: ItemRange): void {
    this.#removed.push(range);
  }

  /** Of the items that this batch adds, those with lower numbers go again. */
  keepItemsFrom({ since, ord }: TranscriptLife, low: number): void {
    this.#items = this.#items.filter((item) => item.since !== since || item.ord !== ord || item.seq >= low);
  }

  /** All items of a life that is over. They are removed later. */
  discard(life: TranscriptLife): void {
    this.#garbage.push(life);
  }

  /** A session that is changed, if any is. */
  get changed(): string | undefined {
    return this.#sessions.keys().next().value;
  }

  operation(id: string, hash: string, n: number): void {
    this.#operations.push({ id, hash, n });
  }

  /**
   * Sends everything, without waiting.
   * @returns Resolves to the revision before the first of this batch; to undefined if the store is gone, and nothing was written.
   */
  async send(sql: Sql, schema: string, store: number, batch: string): Promise<number | undefined> {
    const removal = this.#removed.length === 0 ? undefined : this.#sendRemoval(sql, schema, store);
    const { text, values } = this.#statement(schema, store, batch, []);
    const [[row]] = await Promise.all([sql.query(text, values), removal]);
    return row === undefined ? undefined : Number(row["base"]);
  }

  /**
   * The same as one statement that locks the rows itself, and writes nothing unless each is as it is assumed to be.
   * @returns Undefined: nothing was written.
   */
  async sendIf(
    assumed: readonly AssumedSession[],
    sql: Sql,
    schema: string,
    store: number,
    batch: string,
  ): Promise<number | undefined> {
    const { text, values } = this.#statement(schema, store, batch, assumed);
    const [row] = await sql.query(text, values);
    return row === undefined ? undefined : Number(row["base"]);
  }

  /** Before the rest: what comes may have the ids of what goes. */
  #sendRemoval(sql: Sql, schema: string, store: number): Promise<unknown> {
    const text = `delete from ${schema}.item i using unnest($2::bigint[], $3::int[], $4::bigint[], $5::bigint[]) as g(since, ord, low, high)
where i.store = $1 and i.since = g.since and i.ord = g.ord and i.seq between g.low and g.high`;
    return sql.query(text, [
      store,
      this.#removed.map(({ since }) => since),
      this.#removed.map(({ ord }) => ord),
      this.#removed.map(({ from }) => from),
      this.#removed.map(({ to }) => to),
    ]);
  }

  #statement(
    schema: string,
    store: number,
    batch: string,
    assumed: readonly AssumedSession[],
  ): { text: string; values: Value[] } {
    const parts = new Statement(store, batch, this.commits);
    let condition = "";
    if (assumed.length > 0) {
      const i = parts.rows("key text, rev bigint", [
        assumed.map(({ key }) => toKeyText(key)),
        assumed.map(({ revision }) => revision),
      ]);
      parts.with(
        `hit as materialized (select s.key from ${schema}.session s, ${i} where s.store = $1 and s.key = i.key ` +
          "and s.rev = i.rev and s.present order by s.key for update of s)",
      );
      condition = ` and (select count(*) from hit) = ${parts.value(assumed.length)}::bigint`;
    }
    parts.with(
      `tick as (update ${schema}.store set rev = rev + $3 where id = $1${condition} returning rev - $3 as base)`,
    );
    this.#addLog(parts, schema);
    this.#addUses(parts, schema);
    this.#addSessions(parts, schema);
    this.#addTranscripts(parts, schema);
    this.#addItems(parts, schema);
    if (this.#operations.length > 0) {
      const i = parts.rows("id text, hash text, n int", [
        this.#operations.map(({ id }) => toKeyText(id)),
        this.#operations.map(({ hash }) => hash),
        this.#operations.map(({ n }) => n),
      ]);
      parts.with(
        `operations as (insert into ${schema}.operation (store, id, hash, rev) select $1, i.id, i.hash, t.base + i.n from tick t, ${i})`,
      );
    }
    return { text: `with ${parts.text} select base, $2::text as batch from tick`, values: parts.values };
  }

  #addLog(parts: Statement, schema: string): void {
    const rows = this.#log;
    if (rows.length === 0) return;
    const ords: number[] = [];
    for (const [index, { n }] of rows.entries())
      ords.push(rows[index - 1]?.n === n ? (ords[index - 1] ?? 0) + 1 : 0);
    const refs = rows.some((row) => row.refs !== null);
    const i = parts.rows(
      `n int, ord int, key text, kind text, base bigint, time bigint, val text${refs ? ", refs text" : ""}`,
      [
        rows.map(({ n }) => n),
        ords,
        rows.map(({ key }) => toKeyText(key)),
        rows.map(({ kind }) => kind),
        rows.map(({ base }) => base),
        rows.map(({ time }) => time),
        rows.map(({ val }) => val),
        ...(refs ? [rows.map((row) => row.refs)] : []),
      ],
    );
    parts.with(
      `log as (insert into ${schema}.log (store, rev, ord, key, kind, base, batch, time, val${refs ? ", refs" : ""}) ` +
        `select $1, t.base + i.n, i.ord, i.key, i.kind, ${settled("i.base")}, $2::text, i.time, i.val${refs ? ", i.refs" : ""} from tick t, ${i})`,
    );
  }

  #addUses(parts: Statement, schema: string): void {
    const rows = this.#uses;
    if (rows.length === 0) return;
    const i = parts.rows("hash text, n int, key text", [
      rows.map(({ hash }) => hash),
      rows.map(({ n }) => n),
      rows.map(({ key }) => toKeyText(key)),
    ]);
    parts.with(
      `uses as (insert into ${schema}.value_use (store, hash, rev, key) select $1, i.hash, t.base + i.n, i.key from tick t, ${i} ` +
        "on conflict do nothing)",
    );
  }

  #addSessions(parts: Statement, schema: string): void {
    const rows = [...this.#sessions];
    if (rows.length === 0) return;
    const i = parts.rows("key text, n int, present bool, updated_at float8, modified_at bigint", [
      rows.map(([key]) => toKeyText(key)),
      rows.map(([, { n }]) => n),
      rows.map(([, { present }]) => present),
      rows.map(([, { updatedAt }]) => updatedAt),
      rows.map(([, { modifiedAt }]) => modifiedAt),
    ]);
    parts.with(
      `sessions as (update ${schema}.session s set rev = t.base + i.n, present = i.present, updated_at = i.updated_at, ` +
        `modified_at = i.modified_at from tick t, ${i} where s.store = $1 and s.key = i.key)`,
    );
  }

  #addTranscripts(parts: Statement, schema: string): void {
    const all = [...this.#transcripts.values()];
    const gone = all.filter(({ row }) => row === undefined);
    if (gone.length > 0) {
      const i = parts.rows("key text, name text", [
        gone.map(({ key }) => toKeyText(key)),
        gone.map(({ name }) => toKeyText(name)),
      ]);
      parts.with(
        `gone as (delete from ${schema}.transcript s using ${i} where s.store = $1 and s.key = i.key and s.name = i.name)`,
      );
    }
    const kept = all.filter((one): one is typeof one & { row: TranscriptRow } => one.row !== undefined);
    if (kept.length > 0) {
      const i = parts.rows(
        "key text, name text, since bigint, ord int, low bigint, last bigint, length bigint, cut bigint",
        [
          kept.map(({ key }) => toKeyText(key)),
          kept.map(({ name }) => toKeyText(name)),
          kept.map(({ row }) => row.since),
          kept.map(({ row }) => row.ord),
          kept.map(({ row }) => row.low),
          kept.map(({ row }) => row.last),
          kept.map(({ row }) => row.length),
          kept.map(({ row }) => row.cut),
        ],
      );
      parts.with(
        `transcripts as (insert into ${schema}.transcript (store, key, name, since, ord, low, last, length, cut) ` +
          `select $1, i.key, i.name, ${settled("i.since")}, i.ord, i.low, i.last, i.length, ${settled("i.cut")} from tick t, ${i} ` +
          "on conflict (store, key, name) do update set since = excluded.since, ord = excluded.ord, low = excluded.low, " +
          "last = excluded.last, length = excluded.length, cut = excluded.cut)",
      );
    }
    if (this.#garbage.length > 0) {
      const i = parts.rows("since bigint, ord int", [
        this.#garbage.map(({ since }) => since),
        this.#garbage.map(({ ord }) => ord),
      ]);
      parts.with(
        `garbage as (insert into ${schema}.garbage (store, since, ord) select $1, ${settled("i.since")}, i.ord from tick t, ${i} ` +
          "on conflict do nothing)",
      );
    }
  }

  #addItems(parts: Statement, schema: string): void {
    const rows = this.#items;
    if (rows.length === 0) return;
    const i = parts.rows("since bigint, ord int, seq bigint, id text, n int, time bigint, val text", [
      rows.map(({ since }) => since),
      rows.map(({ ord }) => ord),
      rows.map(({ seq }) => seq),
      rows.map(({ id }) => (id === undefined ? null : toKeyText(id))),
      rows.map(({ n }) => n),
      rows.map(({ time }) => time),
      rows.map(({ json }) => json),
    ]);
    parts.with(
      `items as (insert into ${schema}.item (store, since, ord, seq, id, rev, time, val) ` +
        `select $1, ${settled("i.since")}, i.ord, i.seq, i.id, t.base + i.n, i.time, i.val from tick t, ${i})`,
    );
  }
}

/** What `revisionOf` is in TypeScript. */
function settled(column: string): string {
  return `case when ${column} < 0 then t.base - ${column} else ${column} end`;
}

/** Text and parameters of the statement: $1 is the store, $2 the batch, $3 how many commits it has. */
class Statement {
  readonly values: Value[];
  text = "";

  constructor(store: number, batch: string, commits: number) {
    this.values = [store, batch, commits];
  }

  with(part: string): void {
    this.text += (this.text === "" ? "" : ",\n") + part;
  }

  value(value: Value): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }

  /** Rows that come as one array a column; the text stands where a table may. */
  rows(columns: string, arrays: readonly (readonly (string | number | boolean | null)[])[]): string {
    const names = columns.split(", ").map((column) => column.split(" "));
    const parameters = arrays.map((array, index) => {
      return `${this.value(array)}::${names[index]?.[1] ?? "text"}[]`;
    });
    return `unnest(${parameters.join(", ")}) as i(${names.map(([name]) => name).join(", ")})`;
  }
}
