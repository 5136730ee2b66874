/**
 * Changes in the order of their commits: rows of the log above a revision, read page by page, and looked for again when something
 * may have come.
 *
 * The counter and the rows are of one snapshot, and a commit takes its revision under a lock that it holds until it counts: who
 * sees a revision sees all in front of it. So there is never a gap.
 */
import { SessionStoreError } from "../../errors.js";
import type { Runtime } from "../../runtime.js";
import type { EngineChange, TranscriptChange } from "../contract.js";
import { behindPrefix, fromKeyText, toKeyText } from "./key-text.js";
import type { KnownHistory } from "./known-history.js";
import type { Place } from "./place.js";
import type { RecordCache } from "./record-cache.js";
import { loadValues, missing, portionsOf, sharedOf } from "./shared-values.js";
import { asServerError, type Server } from "./server.js";
import type { Row, Rows, Sql, Value } from "./sql.js";

export interface FeedOptions {
  readonly server: Server;
  readonly place: Place;
  readonly cache: RecordCache;
  readonly history: KnownHistory;
  /** Somebody waits for changes. */
  readonly onWaiting: () => void;
  readonly runtime: Runtime;
  /** How often changes of other processes are looked for, in milliseconds. */
  readonly pollMs: number;
}

export interface ChangesOptions {
  readonly since: number | undefined;
  readonly prefix: string;
  readonly signal: AbortSignal | undefined;
}

/** Rows that are read at once. */
const PAGE = 500;
/** Bytes that these may have, unless the first alone has more. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;

export class Feed {
  readonly #wakers = new Set<() => void>();
  readonly #sql: Sql = { query: (text, values = []) => this.#query(text, values) };
  #closed = false;

  constructor(private readonly options: FeedOptions) {}

  /** @param now The revision as of the call. */
  changes(options: ChangesOptions, now: Promise<number>): AsyncIterable<EngineChange> {
    now.catch(() => {}); // whoever iterates is told
    return this.#follow(options, now);
  }

  /** Something was committed: who waits looks at once. */
  wake(): void {
    for (const wake of this.#wakers) wake();
  }

  close(): void {
    this.#closed = true;
    this.wake();
  }

  async *#follow(
    { since, prefix, signal }: ChangesOptions,
    now: Promise<number>,
  ): AsyncGenerator<EngineChange> {
    const stopped = (): boolean => this.#closed || signal?.aborted === true;
    if (stopped()) return;
    const { history } = this.options;
    const { era } = history.now();
    const latest = await now;
    if (since !== undefined && since > latest) throw unknown(since, latest);
    let position = since ?? latest;
    while (!stopped()) {
      const rewound = history.rewoundSince(era);
      if (rewound !== undefined) throw rewound;
      const { rows, head } = await this.#page(position, prefix);
      let index = 0;
      for (const portion of portionsOf(rows)) {
        const valueOf = await this.#valuesOf(portion);
        for (const row of portion) {
          if (stopped()) return;
          const change = this.#changeOf(row, row["rev"] !== rows[++index]?.["rev"], valueOf);
          if (change === undefined) throw await this.#lacking(row, prefix);
          const over = history.rewoundSince(era);
          if (over !== undefined) throw over;
          yield change;
        }
      }
      const reached = Number(rows.at(-1)?.["rev"] ?? head);
      position = rows.length === 0 ? head : reached;
      if (rows.length === 0 && !stopped()) await this.#news(signal);
    }
  }

  /** The next commits, whole. `head`: everything up to there is among them, or is of other sessions. */
  async #page(since: number, prefix: string): Promise<{ rows: Rows; head: number }> {
    const { schema, store } = this.options.place;
    const columns = "l.rev, l.ord, l.key, l.kind, l.time, l.val, l.refs, l.batch";
    const within = "l.key >= $3 and l.key < $4";
    const bounds = [toKeyText(prefix), behindPrefix(prefix)];
    const { history } = this.options;
    const known = history.now();
    const found = await this.#query(
      `with c as (select rev, floor from ${schema}.store where id = $1),
p as (select ${columns} from ${schema}.log l where l.store = $1 and l.rev > $2 and ${within} order by l.rev, l.ord limit ${PAGE}),
w as (select p.*, count(*) over () as there, sum(coalesce(octet_length(p.val), 0)) over (order by p.rev, p.ord)
  - coalesce(octet_length(p.val), 0) as before from p),
l as (select * from w where before < $5)
select c.rev as head, c.floor, l.* from c left join l on true order by l.rev, l.ord`,
      [store, since, ...bounds, PAGE_BYTES_MAX],
    );
    const [first] = found;
    if (first === undefined) throw gone(this.options.place);
    const head = Number(first["head"]);
    history.sawHead(head, known);
    for (const { rev, batch } of found) if (rev !== null) history.saw(Number(rev), String(batch));
    const rewound = history.rewoundSince(known.era);
    if (rewound !== undefined) throw rewound;
    if (head < since) return { rows: [], head: since }; // a standby that is behind the one before it
    if (Number(first["floor"]) > since) throw tooOld(since, Number(first["floor"]), head);
    if (first["rev"] === null) return { rows: [], head };
    if (found.length < PAGE && found.length === first["there"]) return { rows: found, head };
    // The last commit may go on behind the page.
    const { rev: last, ord } = found.at(-1) as Row;
    const rest = await this.#query(
      `select s.floor, ${columns} from ${schema}.store s left join ${schema}.log l
  on l.store = s.id and l.rev = $2 and l.ord > $5 and ${within} where s.id = $1 order by l.ord`,
      [store, Number(last), ...bounds, Number(ord)],
    );
    // Meanwhile it may have become too old, and some of it may be gone.
    const floor = Number(rest[0]?.["floor"] ?? 0);
    if (floor >= Number(last)) throw tooOld(since, floor, head);
    return { rows: [...found, ...rest.filter(({ rev }) => rev !== null)], head };
  }

  #valuesOf(rows: Rows): Promise<(hash: string) => unknown> {
    const { place, cache } = this.options;
    return loadValues(this.#sql, place, rows, (hash) => cache.valueOf(hash));
  }

  /** A value of a change is gone. */
  async #lacking(row: Row, prefix: string): Promise<unknown> {
    try {
      // With its change, by housekeeping: that has become too old meanwhile, and this says so.
      await this.#page(Number(row["rev"]) - 1, prefix);
    } catch (error) {
      return error;
    }
    const [{ hash } = { hash: "" }] = [...sharedOf(row["refs"]).values()];
    return missing(hash, fromKeyText(String(row["key"])));
  }

  async #query(text: string, values: readonly Value[]): Promise<Rows> {
    try {
      return await this.options.server.query(text, values);
    } catch (error) {
      throw asServerError(error);
    }
  }

  /** Undefined: a value that it needs is not there. */
  #changeOf(row: Row, last: boolean, valueOf: (hash: string) => unknown): EngineChange | undefined {
    const key = fromKeyText(String(row["key"]));
    const revision = Number(row["rev"]);
    const modifiedAt = Number(row["time"]);
    const change = { key, revision, modifiedAt, last };
    const val = String(row["val"]);
    if (row["kind"] === "delete") return { ...change, kind: "delete" };
    if (row["kind"] === "transcript")
      return { ...change, kind: "transcript", transcript: JSON.parse(val) as TranscriptChange };
    const shared = sharedOf(row["refs"]);
    if ([...shared.values()].some(({ hash }) => valueOf(hash) === undefined)) return undefined;
    const found = { key, revision, modifiedAt, json: val, shared, valueOf };
    return { ...change, kind: "put", record: this.options.cache.take(found) };
  }

  /** Resolves when it is time to look again. */
  #news(signal: AbortSignal | undefined): Promise<void> {
    const { runtime, pollMs, onWaiting } = this.options;
    onWaiting();
    const letGo = runtime.keepAlive(); // a consumer waits for news
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wakers.delete(wake);
        signal?.removeEventListener("abort", wake);
        timer.cancel();
        letGo();
        resolve();
      };
      const timer = runtime.setTimer(wake, pollMs);
      this.#wakers.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
      if (this.#closed || signal?.aborted === true) wake();
    });
  }
}

function unknown(since: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_unknown",
    `the store has never had revision ${since}; it is at ${revision}. It was restored to an older state, or this is ` +
      `another store: list the sessions, then watch since ${revision}, the revision from before the listing.`,
    { data: { since, revision } },
  );
}

function tooOld(since: number, floor: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_too_old",
    `the changes after revision ${since} are gone, up to revision ${floor}: list the sessions, then watch since ` +
      `${revision}, the revision from before the listing.`,
    { data: { since, revision } },
  );
}

export function gone({ schema, name }: Place): SessionStoreError {
  return new SessionStoreError(
    "store_gone",
    `the store ${name} is no longer in schema ${schema}: it was removed. Open it again to make a new one.`,
    { data: { schema, store: name } },
  );
}
