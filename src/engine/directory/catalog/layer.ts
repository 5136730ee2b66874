/**
 * Layers of a catalog: each has what some segments made of the sessions that they changed. A newer layer's row or
 * deletion of a key stands over what older ones have of it.
 *
 * What is here goes through layers in slices, a line of each at a time, so it does not matter how many rows there are.
 */
import { sortInSlices } from "../time-slices.js";
import {
  compareKeys,
  compareRows,
  isRow,
  ROWS_PER_LINE,
  type CatalogRow,
  type Change,
  type NewestRow,
} from "./row.js";

export interface Layer {
  /** Rows and deletions by key, some at a time. @param from The first key. Default: from the beginning on. */
  byKey(from?: string): Iterator<readonly Change[], void>;
  /** Rows, newest first, some at a time. */
  newest(): Iterator<readonly NewestRow[], void>;
  /** What the layer has of a session. */
  find(key: string): Change | undefined;
}

/** What is in memory, as a layer. */
export class MemoryLayer implements Layer {
  private constructor(
    private readonly changes: readonly Change[],
    private readonly rows: readonly CatalogRow[],
  ) {}

  /** @param changes Of different sessions, in any order. */
  static *of(changes: readonly Change[]): Generator<void, MemoryLayer> {
    const rows = yield* sortInSlices(changes.filter(isRow), compareRows);
    return new MemoryLayer(yield* sortInSlices(changes, compareKeys), rows);
  }

  get size(): number {
    return this.changes.length;
  }

  *byKey(from = ""): Generator<readonly Change[], void> {
    yield* inLines(this.changes, from === "" ? 0 : placeOf(this.changes, from));
  }

  *newest(): Generator<readonly NewestRow[], void> {
    yield* inLines(this.rows, 0);
  }

  find(key: string): Change | undefined {
    return findIn(this.changes, key);
  }
}

function* inLines<T>(items: readonly T[], first: number): Generator<readonly T[], void> {
  for (let start = first; start < items.length; start += ROWS_PER_LINE)
    yield items.slice(start, start + ROWS_PER_LINE);
}

/** Place of the first one that does not come before a key, where they are ordered by key. */
export function placeOf(changes: readonly { readonly key: string }[], key: string): number {
  let low = 0;
  let high = changes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((changes[middle] as Change).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function findIn(changes: readonly Change[], key: string): Change | undefined {
  const change = changes[placeOf(changes, key)];
  return change?.key === key ? change : undefined;
}

/** Stands in front of an item of a layer. */
class Cursor<T> {
  current: T | undefined;
  #line: readonly T[] = [];
  #next = 0;

  constructor(private readonly lines: Iterator<readonly T[], void>) {
    this.advance();
  }

  advance(): void {
    while (this.#next >= this.#line.length) {
      const line = this.lines.next();
      if (line.done === true) {
        this.current = undefined;
        return;
      }
      this.#line = line.value;
      this.#next = 0;
    }
    this.current = this.#line[this.#next++];
  }
}

export interface Merging {
  /** The first key. Default: from the beginning on. */
  readonly from?: string;
  /** Hears of each change that a newer layer stands over. */
  readonly onOverridden?: (layer: number, key: string) => void;
}

/** The latest change of each session, by key, some at a time. @param layers Newest first. */
export function* merged(layers: readonly Layer[], merging: Merging = {}): Generator<readonly Change[], void> {
  const cursors = layers.map((layer) => new Cursor(layer.byKey(merging.from)));
  let some: Change[] = [];
  for (;;) {
    let first: Change | undefined;
    for (const { current } of cursors)
      if (current !== undefined && (first === undefined || current.key < first.key)) first = current;
    if (first === undefined) break;
    const { key } = first;
    let isLatest = true;
    for (const [number, cursor] of cursors.entries()) {
      if (cursor.current?.key !== key) continue;
      if (!isLatest) merging.onOverridden?.(number, key);
      isLatest = false;
      cursor.advance();
    }
    some.push(first);
    if (some.length < ROWS_PER_LINE) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}

/** The sessions that there are, by key, some at a time. */
export function* liveRows(layers: readonly Layer[], from = ""): Generator<readonly CatalogRow[], void> {
  for (const changes of merged(layers, { from })) yield changes.filter(isRow);
}

/**
 * The sessions that there are, newest first, some at a time.
 * @param isOverridden Whether a newer layer has the session as well.
 * @param atOnce How many at a time.
 */
export function* newestRows(
  layers: readonly Layer[],
  isOverridden: (layer: number, key: string) => boolean,
  atOnce = ROWS_PER_LINE,
): Generator<readonly NewestRow[], void> {
  const cursors = layers.map((layer) => new Cursor(layer.newest()));
  let some: NewestRow[] = [];
  for (;;) {
    let next: { row: NewestRow; layer: number } | undefined;
    for (const [layer, { current: row }] of cursors.entries())
      if (row !== undefined && (next === undefined || compareRows(row, next.row) < 0)) next = { row, layer };
    if (next === undefined) break;
    cursors[next.layer]?.advance();
    if (!isOverridden(next.layer, next.row.key)) some.push(next.row);
    if (some.length < atOnce) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}

/** Whether a layer that is newer than this one has the session. */
export function isIn(layers: readonly Layer[], newerThan: number, key: string): boolean {
  for (let number = 0; number < newerThan; number++) if (layers[number]?.find(key) !== undefined) return true;
  return false;
}
