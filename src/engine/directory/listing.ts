/**
 * Listings: which sessions there are, in order, with their entries, all as of one instant.
 *
 * A listing of cold sessions reads the log, then files, then the log again, and is resolved against the second
 * reading (O4): a session that the log does not mention by then had that very file all the time. If the second
 * reading changed the selection, the files that are now missing are read, and so on; changed sessions come
 * with their entries in the log, so this ends. The answer is put together in slices as well, and once more if the log
 * moved on between two; a store that is never at rest gets its answer in one piece in the end.
 *
 * As long as no commit comes, the same question has the same answer: the latest one is kept until then, or until the
 * table lets go of a session.
 *
 * One damaged or missing file costs its own session: the listing goes on without it, names it in its answer, and reports it
 * once as a warning.
 */
import { SessionStoreError, type StoreWarning } from "../../errors.js";
import type { DamagedSession, EngineQuery, EngineScan } from "../contract.js";
import {
  completedCatalog,
  lookUpInCatalog,
  newestCatalog,
  readRow,
  useCatalog,
  type Catalog,
  type CatalogSource,
  type SearchedCatalog,
} from "./catalog-loader.js";
import { MemoryLayer } from "./catalog/layer.js";
import { pageOf } from "./catalog/page.js";
import { DamagedPart } from "./catalog/part-file.js";
import type { Change, NewestRow } from "./catalog/row.js";
import { MISSING } from "./cold-sessions.js";
import { scanInDoubt } from "./listing-in-doubt.js";
import { SessionIndex, type IndexRow } from "./session-index.js";
import type { SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";
import { runInSlices, runNow } from "./time-slices.js";

/** The whole store, by key. */
export const EVERY_SESSION: EngineQuery = {
  prefix: "",
  updatedAfter: undefined,
  updatedBefore: undefined,
  orderBy: "key",
  descending: false,
  limit: Number.POSITIVE_INFINITY,
  after: undefined,
};

/** Other processes would have to overtake this one with a checkpoint in each round to get here. */
const ROUNDS_MAX = 1000;
/** Rounds whose answer is put together in slices; it counts only if the log did not move on meanwhile. */
const SLICED_ROUNDS = 4;
const ROWS_PER_STEP = 256;
/** Sessions, and live changes, for which a page out of the catalog is short enough to be made in one piece. */
const PAGE_ROWS_MAX = 128;
const PAGE_HOT_MAX = 2048;
/** An index pays off from the second listing of a process on; a page out of the catalog may have to be made again. */
const PAGES_MAX = 4;

/** Once this much of catalogs was read for single sessions (some 50 ms of work), an index is made. */
const SEARCHED_BYTES_MAX = 8 * 1024 * 1024;
/** Of more sessions an index is not made for that: it would take longer than a thousand searches. */
const INDEXED_ROWS_MAX = 250_000;

/** What the file of a row said. */
type Loaded = SessionState | DamagedSession;

/** An answer, and what it is the answer to. */
interface Answered {
  readonly query: EngineQuery;
  readonly scan: EngineScan;
}

export class Listing {
  #index: SessionIndex | undefined;
  #answered: Answered | undefined;
  /** States that the log made while an index is being built. */
  readonly #buildings = new Set<Map<string, SessionState>>();
  readonly #reported = new Set<string>();
  /** Damaged files of sessions that the index has no rows of, for it was made from files. */
  #damagedFiles: readonly DamagedSession[] = [];
  #pages = 0;
  #searched: SearchedCatalog = {};
  #searchedBytes = 0;
  #preparing: Promise<void> | undefined;
  #stopped = false;

  constructor(
    private readonly log: SessionLog,
    private readonly source: CatalogSource,
    private readonly onWarning: (warning: StoreWarning) => void,
  ) {
    log.listen({
      changed: (state) => {
        this.#answered = undefined;
        this.#index?.change(state);
        for (const later of this.#buildings) later.set(state.key, state);
      },
      rewound: () => this.#forget(),
      foundGap: () => this.#forget(),
      evicted: () => (this.#answered = undefined),
    });
  }

  #forget(): void {
    this.#answered = undefined;
    this.#index = undefined;
  }

  /** Revision that the index knows of a session, if there is an index. */
  knownRevision(key: string): number | undefined {
    return this.#index?.get(key)?.revision;
  }

  /**
   * Revision of a session that neither the log nor a file mentions: from the index, or from a short search in the
   * catalog. Sessions that are to be made are looked for as well, so a process that makes many gets an index in the
   * background.
   */
  revisionElsewhere(key: string): number | undefined {
    if (this.#index !== undefined) return this.knownRevision(key);
    const { segments, active } = this.log;
    const lowest = segments[0]?.number ?? active.number;
    if (lowest === 1) return undefined; // the log has everything that ever was
    const before = this.source.parts.bytesRead;
    const row = lookUpInCatalog(this.source, lowest - 1, active.number - 1, key, this.#searched);
    this.#searchedBytes += this.source.parts.bytesRead - before;
    if (this.#searchedBytes > SEARCHED_BYTES_MAX && rowsIn(this.#searched.catalog) <= INDEXED_ROWS_MAX)
      this.#preparing ??= this.#prepare();
    return row?.revision;
  }

  /** Makes an index in the background. Should that fail, the next listing says so, or does without. */
  async #prepare(): Promise<void> {
    const { runtime } = this.log.options;
    await runInSlices(this.#untilStopped(this.#indexed()), runtime).catch(() => {});
    this.#searched = {};
    this.#searchedBytes = 0;
    this.#preparing = undefined;
  }

  *#untilStopped(work: Generator<void, unknown>): Generator<void, void> {
    while (!this.#stopped && work.next().done !== true) yield;
  }

  /** Ends what is under way in the background. */
  async close(): Promise<void> {
    this.#stopped = true;
    await this.#preparing;
  }

  *count(query: EngineQuery): Generator<void, number> {
    this.log.catchUp();
    if (this.log.doubts.damagedSegment > 0) return (yield* this.#scanInDoubt(query)).records.length;
    yield* this.#indexed();
    this.log.catchUp(); // an index that was made from files is right as of a reading after them
    return (yield* this.#indexed()).count(query);
  }

  *scan(query: EngineQuery): Generator<void, EngineScan> {
    /** What files said; a row is only ever looked up while it is alive, so nothing in here can be stale. */
    const loaded = new Map<IndexRow, Loaded>();
    const { log } = this;
    const page = this.#pageFromCatalog(query);
    if (page !== undefined) return page;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      log.catchUp();
      if (log.doubts.damagedSegment > 0) return yield* this.#scanInDoubt(query);
      const answered = this.#answered;
      if (answered !== undefined && sameQuery(answered.query, query)) return answered.scan;
      if (this.#index === undefined) {
        yield* this.#indexed();
        continue; // an index that was made from files is right as of a reading after them
      }
      const index = this.#index;
      const { epoch, revision } = log;
      const picking = this.#pick(index, query, loaded);
      const { missing, scan } = round < SLICED_ROUNDS ? yield* picking : runNow(picking);
      if (missing.length === 0) {
        if (log.epoch !== epoch || log.revision !== revision) continue; // the log moved on between two slices
        // Of what could not be read the next listing says so again, or finds it mended.
        if (loaded.size === 0 && scan.damaged === undefined) this.#answered = { query, scan };
        return scan;
      }
      for (const row of missing) {
        yield;
        if (log.epoch !== epoch) break;
        if (!row.dead) this.#load(row, loaded);
      }
    }
    throw this.#overtaken();
  }

  /**
   * A few sessions out of the catalog, the newest or the next by key: what a process wants that has just started. In one piece,
   * for it takes a few milliseconds. A process that asks again and again gets an index.
   * @returns Undefined if the catalog cannot give the answer like this, or anything is odd: then the index does.
   */
  #pageFromCatalog(query: EngineQuery): EngineScan | undefined {
    const { updatedAfter, updatedBefore, limit } = query;
    if (this.#index !== undefined || this.#buildings.size > 0 || limit > PAGE_ROWS_MAX) return undefined;
    if ((updatedAfter ?? updatedBefore) !== undefined || !isInOrderOfCatalog(query)) return undefined;
    const { log } = this;
    const files = new Map<string, SessionState>();
    while (this.#pages < PAGES_MAX) {
      this.#pages++;
      log.catchUp();
      if (log.doubts.damagedSegment > 0) return undefined;
      const { revision, epoch } = log;
      const states = log.hot.size > PAGE_HOT_MAX ? undefined : this.#pageOf(query, files);
      if (states === undefined) return undefined;
      log.catchUp();
      if (log.revision === revision && log.epoch === epoch) return states;
    }
    return undefined;
  }

  #pageOf(query: EngineQuery, files: Map<string, SessionState>): EngineScan | undefined {
    const { segments, active, hot } = this.log;
    const lowest = segments[0]?.number ?? active.number;
    const catalog = newestCatalog(this.source, lowest - 1, active.number - 1);
    if (catalog === undefined || catalog.incomplete) return undefined;
    const live = runNow(MemoryLayer.of([...hot.values()].map((state) => this.#changeOf(state))));
    let page;
    try {
      page = pageOf([live, ...catalog.layers], query);
    } catch (error) {
      if (error instanceof DamagedPart) return undefined; // who uses all of it finds out what it is, and says so
      throw error;
    }
    const records: SessionState[] = [];
    for (const row of page.rows) {
      const state = this.#known(row) ?? files.get(row.key) ?? this.#stateInFile(row);
      if (state?.stored === undefined || state.revision !== row.revision) return undefined;
      files.set(row.key, state);
      records.push(state);
    }
    const last = page.more ? page.rows.at(-1) : undefined;
    return { records, next: last && { key: last.key, updatedAt: last.updatedAt } };
  }

  #changeOf(state: SessionState): Change {
    const { key, revision, stored } = state;
    if (stored === undefined) return { key, revision: undefined };
    return { key, revision, updatedAt: this.source.updatedAtOf(stored), blobs: [] };
  }

  #stateInFile({ key }: NewestRow): SessionState | undefined {
    const file = this.log.cold.readFile(key);
    if (file.status !== "present" || this.log.cold.isAhead(file)) return undefined;
    return this.log.cold.stateOf(key, file);
  }

  /** The index as of the log position; the log must have been read just before. */
  *#indexed(): Generator<void, SessionIndex> {
    let ahead: "log has moved on" | "ignore" = "log has moved on";
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#index !== undefined) return this.#index;
      const { log } = this;
      const { epoch } = log;
      const later = new Map(log.hot);
      this.#buildings.add(later);
      try {
        const { active, segments } = log;
        const lowest = segments[0]?.number ?? active.number;
        const made = yield* useCatalog(
          this.source,
          lowest - 1,
          active.number - 1,
          (catalog) => this.#indexOf(catalog, later),
          ahead,
        );
        if (made === undefined) {
          log.catchUp();
          if (log.active === active) ahead = "ignore"; // it came with a copy of a store in use
          continue;
        }
        if (log.epoch !== epoch) continue;
        this.#index ??= made.index;
        this.#damagedFiles = made.damaged.filter(({ key }) => key === undefined || !later.has(key));
      } finally {
        this.#buildings.delete(later);
      }
    }
    throw this.#overtaken();
  }

  *#indexOf(
    catalog: Catalog,
    later: ReadonlyMap<string, SessionState>,
  ): Generator<void, { index: SessionIndex; damaged: readonly DamagedSession[] }> {
    const unnamed = catalog.incomplete && catalog.damaged === undefined;
    const { layers, damaged = [] } = unnamed ? yield* completedCatalog(this.source, catalog) : catalog;
    return { index: yield* SessionIndex.build(layers, later, (state) => this.updatedAtOf(state)), damaged };
  }

  #overtaken(): SessionStoreError {
    const { root } = this.log.options.layout;
    return new SessionStoreError(
      "io_error",
      `the sessions of ${root} could not be listed: checkpoints of other processes overtook it ${ROUNDS_MAX} times. ` +
        "Try again when they write less.",
      { data: { path: root } },
    );
  }

  updatedAtOf(state: SessionState): number {
    return state.stored === undefined ? 0 : this.source.updatedAtOf(state.stored);
  }

  /** What memory has of a session, unless that came from a file which is older than what was written, or gone. */
  #known(row: NewestRow): SessionState | undefined {
    const state = this.log.known(row.key);
    return state !== undefined && state.revision >= row.revision ? state : undefined;
  }

  #load(row: IndexRow, loaded: Map<IndexRow, Loaded>): void {
    const { key } = row;
    const { log } = this;
    const { epoch } = log;
    const path = this.log.options.layout.entryFile(key);
    const file = this.log.cold.readFile(key);
    if (file.status === "absent") {
      // Either a delete that the next reading of the log tells of, or a person removed the file by hand.
      log.catchUp();
      if (log.epoch !== epoch || row.dead || this.#known(row) !== undefined) return;
      loaded.set(row, { key, path, reason: MISSING, missing: true });
      this.#report(key, path, MISSING, true);
      return;
    }
    if (file.status === "corrupt") {
      const reason = `at byte ${file.offset}: ${file.reason}`;
      loaded.set(row, { key, path: file.path, reason, missing: false });
      this.#report(key, file.path, reason);
      return;
    }
    if (file.revision < row.revision) {
      log.cold.forget(key); // a get may have believed it
      const reason = `it has revision ${file.revision}, but ${row.revision} was written: an old copy was put back`;
      loaded.set(row, { key, path, reason, missing: false });
      this.#report(key, path, reason);
      return;
    }
    const state = this.log.cold.stateOf(key, file);
    loaded.set(row, state);
    if (log.cold.isAhead(file)) log.catchUp(); // O5: believed only if the log still does not know better
    if (log.epoch === epoch && !row.dead) log.cold.learn(state);
  }

  #scanInDoubt(query: EngineQuery): Generator<void, EngineScan> {
    return scanInDoubt(this.log, this.source, query, ({ key, path, reason, missing }) =>
      this.#report(key, path, reason, missing),
    );
  }

  #report(key: string | undefined, path: string, reason: string, missing = false): void {
    if (this.#reported.has(key ?? path)) return;
    this.#reported.add(key ?? path);
    const session = key === undefined ? "Its session" : `Session ${JSON.stringify(key)}`;
    this.onWarning({
      code: "entry_corrupt",
      message:
        `${path} is damaged (${reason}). ${session} is left out of listings; others are not affected. ` +
        "Restore the file from a backup, put the session as a whole, or delete it.",
      data: { key, path, reason, missing },
    });
  }

  /** Damaged files that no row stands for, looked at again: they may have been mended, or written over, since. */
  #damagedWithoutRow(index: SessionIndex, { prefix, after }: EngineQuery): DamagedSession[] {
    if (this.#damagedFiles.length === 0) return [];
    this.#damagedFiles = this.#damagedFiles.filter(({ key, path }) => {
      if (key !== undefined && index.get(key) !== undefined) return false;
      const read = readRow(this.source, path);
      if (typeof read === "object") index.find(read);
      return typeof read === "string";
    });
    if (after !== undefined) return [];
    return this.#damagedFiles.filter(({ key }) => key?.startsWith(prefix) ?? true);
  }

  /** Which sessions match, with their states; and those whose files have to be read first. */
  *#pick(
    index: SessionIndex,
    query: EngineQuery,
    loaded: ReadonlyMap<IndexRow, Loaded>,
  ): Generator<void, { missing: IndexRow[]; scan: EngineScan }> {
    const damaged = this.#damagedWithoutRow(index, query);
    const { rows, more } = yield* index.select(query);
    const missing: IndexRow[] = [];
    const records: SessionState[] = [];
    let steps = 0;
    for (const row of rows) {
      if (++steps % ROWS_PER_STEP === 0) yield;
      const state = this.#known(row) ?? loaded.get(row);
      if (state === undefined) missing.push(row);
      if (state !== undefined && !(state instanceof SessionState)) damaged.push(state);
      if (!(state instanceof SessionState) || state.stored === undefined) continue;
      void state.entry; // decoded here, in slices, and not all at once by the caller who asks for it
      records.push(state);
    }
    const last = rows.at(-1);
    const next = more && last !== undefined ? { key: last.key, updatedAt: last.updatedAt } : undefined;
    return { missing, scan: { records, next, ...(damaged.length > 0 && { damaged }) } };
  }
}

/** Whether the rows of a catalog come in the order of a page, so that the beginning of them is enough. */
function isInOrderOfCatalog({ orderBy, descending, prefix, after }: EngineQuery): boolean {
  return orderBy === "key" ? !descending : descending && prefix === "" && after === undefined;
}

function rowsIn(catalog: Catalog | undefined): number {
  return catalog?.parts.reduce((count, { rows }) => count + rows, 0) ?? 0;
}

function sameQuery(one: EngineQuery, other: EngineQuery): boolean {
  return (
    one.prefix === other.prefix &&
    one.updatedAfter === other.updatedAfter &&
    one.updatedBefore === other.updatedBefore &&
    one.orderBy === other.orderBy &&
    one.descending === other.descending &&
    one.limit === other.limit &&
    one.after?.key === other.after?.key &&
    one.after?.updatedAt === other.after?.updatedAt
  );
}
