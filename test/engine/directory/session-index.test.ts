/**
 * Goal: listings select and count what a plain filter and sort would, in either order, however the sessions change
 * in between.
 * Method: generated sessions, changes and queries, compared with the obvious implementation.
 */
import { expect, it, vi } from "vitest";
import type { EngineQuery } from "../../../src/engine/contract.js";
import { MemoryLayer } from "../../../src/engine/directory/catalog/layer.js";
import { SessionIndex } from "../../../src/engine/directory/session-index.js";
import { SessionState } from "../../../src/engine/directory/session-table.js";
import { runNow } from "../../../src/engine/directory/time-slices.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";

interface Row {
  readonly key: string;
  readonly revision: number;
  readonly updatedAt: number;
}

const KEYS = ["a", "a:", "a:1", "a:2", "a:\uffff", "a;", "b", "B", "é", "👍", "__proto__", "", " "].flatMap(
  (prefix) => Array.from({ length: 6 }, (_, index) => `${prefix}/${index}`),
);
const PREFIXES = ["", "a", "a:", "a:\uffff", "b/", "é", "👍", "__proto__/", "zz", "\ud83d"];

const stateOf = (key: string, revision: number, updatedAt: number | undefined): SessionState =>
  new SessionState(key, revision, 0, updatedAt === undefined ? undefined : { updatedAt }, (stored) => stored);
const updatedAtOf = (state: SessionState): number => Number(state.stored?.["updatedAt"] ?? 0);

function compare(orderBy: EngineQuery["orderBy"]): (a: Row, b: Row) => number {
  const byKey = (a: Row, b: Row): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  return orderBy === "key" ? byKey : (a, b) => a.updatedAt - b.updatedAt || byKey(a, b);
}

function selectPlainly(rows: readonly Row[], query: EngineQuery): { rows: Row[]; more: boolean } {
  const { prefix, updatedAfter, updatedBefore, orderBy, descending, limit, after } = query;
  const order = compare(orderBy);
  const sorted = rows
    .filter((row) => row.key.startsWith(prefix))
    .filter((row) => updatedAfter === undefined || row.updatedAt > updatedAfter)
    .filter((row) => updatedBefore === undefined || row.updatedAt < updatedBefore)
    .toSorted(descending ? (a, b) => order(b, a) : order)
    .filter((row) => {
      if (after === undefined) return true;
      const position = order(row, { ...after, revision: 0 });
      return descending ? position < 0 : position > 0;
    });
  return { rows: sorted.slice(0, limit), more: sorted.length > limit };
}

it.each(Array.from({ length: 12 }, (_, seed) => seed))(
  "select and count agree with the plain way (seed %i)",
  (seed) => {
    const random = seededRandom(seed + 1);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
    const time = (): number => Math.floor(random() * 12);
    const model = new Map<string, Row>();
    for (const key of KEYS) if (random() < 0.5) model.set(key, { key, revision: 1, updatedAt: time() });
    const rows = [...model.values()].map((row) => ({ ...row, blobs: [] }));
    const before = runNow(MemoryLayer.of(rows));
    const later = new Map<string, SessionState>();
    let revision = 1;
    const change = (apply: (state: SessionState) => void): void => {
      const key = pick(KEYS);
      const updatedAt = random() < 0.3 ? undefined : time();
      revision += 1;
      if (updatedAt === undefined) model.delete(key);
      else model.set(key, { key, revision, updatedAt });
      apply(stateOf(key, revision, updatedAt));
    };
    for (let count = 0; count < 5; count++) change((state) => void later.set(state.key, state));
    const index = runNow(SessionIndex.build([before], later, updatedAtOf));

    for (let round = 0; round < 300; round++) {
      if (random() < 0.6) change((state) => index.change(state));
      const query: EngineQuery = {
        prefix: pick(PREFIXES),
        updatedAfter: random() < 0.3 ? time() : undefined,
        updatedBefore: random() < 0.3 ? time() : undefined,
        orderBy: pick(["key", "updatedAt"]),
        descending: random() < 0.5,
        limit: pick([1, 3, 10, Infinity]),
        after: random() < 0.4 ? { key: pick(KEYS), updatedAt: time() } : undefined,
      };
      const expected = selectPlainly([...model.values()], query);
      const found = runNow(index.select(query));
      expect(found.rows.map(({ key, revision: at }) => [key, at])).toEqual(
        expected.rows.map(({ key, revision: at }) => [key, at]),
      );
      expect(found.more).toBe(expected.more);
      expect(found.rows.every((row) => !row.dead)).toBe(true);
      expect(index.size).toBe(model.size);
      const all = { ...query, limit: Infinity, after: undefined };
      expect(index.count(query)).toBe(selectPlainly([...model.values()], all).rows.length);
    }
  },
);

it("a session whose file could be read at last is in both orders, unless the log was faster", () => {
  const row = (key: string, revision: number) => ({ key, revision, updatedAt: 1, blobs: [] });
  const before = runNow(MemoryLayer.of([row("a", 1)]));
  const index = runNow(SessionIndex.build([before], new Map(), updatedAtOf));
  index.find(row("b", 1));
  index.change(stateOf("c", 9, 9));
  index.find(row("c", 1));
  expect(index.size).toBe(3);
  expect(index.get("c")?.revision).toBe(9);
  for (const orderBy of ["key", "updatedAt"] as const) {
    const query = { prefix: "", updatedAfter: undefined, updatedBefore: undefined, descending: false };
    const found = runNow(index.select({ ...query, orderBy, limit: Infinity, after: undefined }));
    expect(found.rows.map(({ key }) => key)).toEqual(["a", "b", "c"]);
  }
});

it("a session that changes for ever, while nobody lists, does not pile up", () => {
  const index = runNow(SessionIndex.build([], new Map(), updatedAtOf));
  const before = process.memoryUsage().heapUsed;
  for (let revision = 1; revision <= 300_000; revision++) index.change(stateOf("a", revision, revision));
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1024 ** 2);
  expect(index.size).toBe(1);
});

it("an index that nobody asks does not look through all its rows at every new session", () => {
  const index = runNow(SessionIndex.build([], new Map(), () => 0));
  let looks = 0;
  const session = (number: number): SessionState =>
    ({
      key: `k${number}`,
      revision: number,
      get stored() {
        looks++;
        return {};
      },
    }) as unknown as SessionState;
  const filter = vi.spyOn(Array.prototype, "filter");
  for (let number = 1; number <= 50_000; number++) index.change(session(number));
  const filtered = filter.mock.contexts.reduce((sum: number, rows) => sum + (rows as unknown[]).length, 0);
  filter.mockRestore();
  expect(looks).toBeGreaterThan(0);
  expect(filtered).toBeGreaterThan(0);
  expect(filtered).toBeLessThan(500_000); // quadratic would be a hundred times that
});
