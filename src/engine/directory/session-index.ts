/**
 * All sessions in both orders, for listings and counts. Built at the first listing from the catalog and the live
 * log; from then on every commit that is read enters its change, and an order is mended by one linear merge
 * when it is asked for again.
 */
import type { EngineQuery } from "../contract.js";
import { liveRows, type Layer } from "./catalog/layer.js";
import { compareKeys, type CatalogRow } from "./catalog/row.js";
import type { SessionState } from "./session-table.js";
import { sortInSlices } from "./time-slices.js";

/** A session's place in the listing. Replaced, never changed, when the session changes. */
export interface IndexRow {
  readonly key: string;
  readonly revision: number;
  readonly updatedAt: number;
  /** Replaced by a later row, or deleted. */
  dead: boolean;
}

export interface Selection {
  readonly rows: readonly IndexRow[];
  /** `limit` cut the listing short. */
  readonly more: boolean;
}

type Compare = (a: IndexRow, b: IndexRow) => number;

const byUpdatedAt: Compare = (a, b) => a.updatedAt - b.updatedAt || compareKeys(a, b);

/** One order of the rows, made when it is asked for first, and mended lazily. */
class Order {
  #unsorted: readonly IndexRow[] | undefined;
  #sorted: readonly IndexRow[] = [];
  #added: IndexRow[] = [];
  #addedMax = 4096;
  #removed = 0;

  constructor(private readonly compare: Compare) {}

  /** Begins with these rows. @param sorted Whether they are in order. */
  load(rows: readonly IndexRow[], sorted: boolean): void {
    if (sorted) this.#sorted = rows;
    else this.#unsorted = rows;
  }

  /** Sorts the rows that it began with; what changes meanwhile is merged in as ever. */
  *prepare(): Generator<void, void> {
    const unsorted = this.#unsorted;
    if (unsorted === undefined) return;
    const sorted = yield* sortInSlices(unsorted, this.compare);
    if (this.#unsorted === undefined) return; // another listing was faster
    this.#sorted = sorted;
    this.#unsorted = undefined;
  }

  add(row: IndexRow): void {
    this.#added.push(row);
    // It may be long before a listing asks for this order, while one session changes a million times.
    if (this.#added.length < this.#addedMax) return;
    this.#added = this.#added.filter((added) => !added.dead);
    this.#addedMax = 4096 + 2 * this.#added.length; // so that a growing store pays for this once in a while only
  }

  remove(): void {
    this.#removed++;
  }

  rows(): readonly IndexRow[] {
    if (this.#added.length === 0 && this.#removed === 0) return this.#sorted;
    const added = this.#added.filter((row) => !row.dead).sort(this.compare);
    const merged: IndexRow[] = [];
    let next = 0;
    for (const row of this.#sorted) {
      if (row.dead) continue;
      for (
        let other = added[next];
        other !== undefined && this.compare(other, row) < 0;
        other = added[++next]
      ) {
        merged.push(other);
      }
      merged.push(row);
    }
    for (; next < added.length; next++) merged.push(added[next] as IndexRow);
    this.#sorted = merged;
    this.#added = [];
    this.#removed = 0;
    return merged;
  }
}

export class SessionIndex {
  readonly #rows = new Map<string, IndexRow>();
  readonly #byKey = new Order(compareKeys);
  readonly #byUpdatedAt = new Order(byUpdatedAt);

  private constructor(private readonly updatedAtOf: (state: SessionState) => number) {}

  /**
   * @param layers Sessions as of the end of a segment, newest layer first.
   * @param later Latest states of the keys that were changed since; may go on growing while this works.
   */
  static *build(
    layers: readonly Layer[],
    later: ReadonlyMap<string, SessionState>,
    updatedAtOf: (state: SessionState) => number,
  ): Generator<void, SessionIndex> {
    const index = new SessionIndex(updatedAtOf);
    const initial: IndexRow[] = [];
    for (const some of liveRows(layers)) {
      yield;
      for (const { key, revision, updatedAt } of some) {
        const row = { key, revision, updatedAt, dead: false };
        index.#rows.set(key, row);
        initial.push(row);
      }
    }
    index.#byKey.load(initial, true);
    index.#byUpdatedAt.load(initial, false);
    for (const state of later.values()) index.change(state); // no yield: `later` is complete at this instant
    return index;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): IndexRow | undefined {
    return this.#rows.get(key);
  }

  /** Enters a state that the log made. */
  change(state: SessionState): void {
    const before = this.#rows.get(state.key);
    if (before !== undefined) this.#kill(before);
    if (state.stored === undefined) {
      this.#rows.delete(state.key);
      return;
    }
    const updatedAt = this.updatedAtOf(state);
    this.#enter({ key: state.key, revision: state.revision, updatedAt, dead: false });
  }

  /** Enters a session that no row stood for, because its file could not be read until now. */
  find({ key, revision, updatedAt }: Pick<CatalogRow, "key" | "revision" | "updatedAt">): void {
    if (this.#rows.has(key)) return;
    this.#enter({ key, revision, updatedAt, dead: false });
  }

  #enter(row: IndexRow): void {
    this.#rows.set(row.key, row);
    this.#byKey.add(row);
    this.#byUpdatedAt.add(row);
  }

  #kill(row: IndexRow): void {
    row.dead = true;
    this.#byKey.remove();
    this.#byUpdatedAt.remove();
  }

  /** The rows as of the step behind which the order is there. Yields now and then. */
  *select(query: EngineQuery): Generator<void, Selection> {
    const { orderBy, descending, limit, after, prefix } = query;
    const compare = orderBy === "key" ? compareKeys : byUpdatedAt;
    const order = orderBy === "key" ? this.#byKey : this.#byUpdatedAt;
    yield* order.prepare();
    const sorted = order.rows();
    let low = 0;
    let high = sorted.length;
    if (orderBy === "key" && prefix !== "") {
      low = firstWhere(sorted, (row) => row.key >= prefix);
      high = firstWhere(sorted, (row) => row.key >= prefix && !row.key.startsWith(prefix));
    } else if (orderBy === "updatedAt") {
      const { updatedAfter, updatedBefore } = query;
      if (updatedAfter !== undefined) low = firstWhere(sorted, (row) => row.updatedAt > updatedAfter);
      if (updatedBefore !== undefined) high = firstWhere(sorted, (row) => row.updatedAt >= updatedBefore);
    }
    if (after !== undefined) {
      const position = { ...after, revision: 0, dead: false };
      if (descending)
        high = Math.min(
          high,
          firstWhere(sorted, (row) => compare(row, position) >= 0),
        );
      else
        low = Math.max(
          low,
          firstWhere(sorted, (row) => compare(row, position) > 0),
        );
    }
    const rows: IndexRow[] = [];
    for (let step = 0; step < high - low; step++) {
      if (step % 1024 === 1023) yield;
      const row = sorted[descending ? high - 1 - step : low + step] as IndexRow;
      if (!matches(row, query)) continue;
      if (rows.length >= limit) return { rows, more: true };
      rows.push(row);
    }
    return { rows, more: false };
  }

  count(query: EngineQuery): number {
    const { prefix, updatedAfter, updatedBefore } = query;
    if (prefix === "" && updatedAfter === undefined && updatedBefore === undefined) return this.size;
    let count = 0;
    for (const row of this.#rows.values()) if (matches(row, query)) count++;
    return count;
  }
}

function matches(row: IndexRow, { prefix, updatedAfter, updatedBefore }: EngineQuery): boolean {
  if (updatedAfter !== undefined && !(row.updatedAt > updatedAfter)) return false;
  if (updatedBefore !== undefined && !(row.updatedAt < updatedBefore)) return false;
  return prefix === "" || row.key.startsWith(prefix);
}

/** Index of the first row for which a monotone test holds; the length if there is none. */
function firstWhere(rows: readonly IndexRow[], test: (row: IndexRow) => boolean): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(rows[middle] as IndexRow)) high = middle;
    else low = middle + 1;
  }
  return low;
}
