/**
 * Goal: several parts give what one would: the latest of each session, in both orders, on pages from any place; and a part
 * that is made of some of them stands for them.
 * Method: layers of generated changes and deletions, in memory and as parts, compared with a model; how parts grow, counted.
 */
import { describe, expect, it } from "vitest";
import { partsToMerge } from "../../../../src/engine/directory/catalog/compose-part.js";
import { liveRows, merged, type Layer } from "../../../../src/engine/directory/catalog/layer.js";
import type { Part } from "../../../../src/engine/directory/catalog/manifest.js";
import { pageOf } from "../../../../src/engine/directory/catalog/page.js";
import {
  compareRows,
  isRow,
  type CatalogRow,
  type Change,
} from "../../../../src/engine/directory/catalog/row.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { compose, flat, keyOf, layerOf, read, rowOf } from "./making.js";

/** Newest first. */
function changesOf(random: () => number): Change[][] {
  let revision = 1;
  return Array.from({ length: 1 + Math.floor(random() * 5) }, () => {
    const changes = new Map<string, Change>();
    for (let count = Math.floor(random() * 400); count > 0; count--) {
      const key = keyOf(Math.floor(random() * 600));
      const gone = random() < 0.3;
      changes.set(key, gone ? { key, revision: undefined } : rowOf(key, revision++, random));
    }
    return [...changes.values()];
  }).reverse();
}

function modelOf(layers: readonly (readonly Change[])[]): CatalogRow[] {
  const model = new Map<string, Change>();
  for (const changes of layers.toReversed()) for (const change of changes) model.set(change.key, change);
  return [...model.values()].filter(isRow).sort((a, b) => (a.key < b.key ? -1 : 1));
}

const query = { prefix: "", updatedAfter: undefined, updatedBefore: undefined, after: undefined };
const keys = (rows: readonly { key: string }[]): string[] => rows.map(({ key }) => key);
const seeds = Array.from({ length: 25 }, (_, seed) => seed);

describe.each(seeds)("layers of chance (seed %i)", (seed) => {
  const random = seededRandom(seed + 100);
  const changes = changesOf(random);
  const model = modelOf(changes);
  const layers: Layer[] = changes.map((some) =>
    random() < 0.5 ? layerOf(some) : read(compose([layerOf(some)])).file,
  );

  it("have the latest of each session", () => {
    expect(flat(liveRows(layers))).toEqual(model);
    expect(flat(liveRows(layers, keyOf(300)))).toEqual(model.filter(({ key }) => key >= keyOf(300)));
  });

  it("give pages in both orders, from any place", () => {
    const newest = model.toSorted(compareRows);
    for (const limit of [1, 10, 100, 1000]) {
      const page = pageOf(layers, { ...query, orderBy: "updatedAt", descending: true, limit });
      expect(keys(page.rows)).toEqual(keys(newest.slice(0, limit)));
      expect(page.more).toBe(newest.length > limit);
      for (const prefix of ["", "session 0001", "session 00059", "t"]) {
        for (const after of [undefined, keyOf(120), keyOf(599), "a"]) {
          const place = after === undefined ? undefined : { key: after, updatedAt: 0 };
          const found = pageOf(layers, {
            ...query,
            orderBy: "key",
            descending: false,
            limit,
            prefix,
            after: place,
          });
          const all = model.filter(
            ({ key }) => key.startsWith(prefix) && (after === undefined || key > after),
          );
          expect(keys(found.rows), `${prefix} behind ${after}`).toEqual(keys(all.slice(0, limit)));
          expect(found.more, `${prefix} behind ${after}`).toBe(all.length > limit);
        }
      }
    }
  });

  it("are as before when neighbours of them are made one part, the newest or all", () => {
    for (let taken = 1; taken <= layers.length; taken++) {
      const oldest = taken === layers.length;
      const { file } = read(compose(layers.slice(0, taken), { oldest }));
      const fewer = [file, ...layers.slice(taken)];
      expect(flat(liveRows(fewer))).toEqual(model);
      expect(flat(merged(fewer)).every((change) => !oldest || isRow(change))).toBe(true);
      const page = pageOf(fewer, { ...query, orderBy: "updatedAt", descending: true, limit: 1000 });
      expect(keys(page.rows)).toEqual(keys(model.toSorted(compareRows)));
    }
  });
});

describe("how parts grow", () => {
  const ROOM = 1e12;
  const partOf = (changes: number): Part => ({
    name: "1-0",
    rows: changes,
    deleted: 0,
    bytes: 0,
    newest: 0,
    index: 0,
  });
  const sizes = (parts: readonly Part[]): number => parts.reduce((sum, { rows }) => sum + rows, 0);

  it.each([
    [1, 20_000],
    [700, 3000],
  ])(
    "with %i changes at a time, over a million sessions: few parts, and little is written again",
    (some, times) => {
      let parts: Part[] = [partOf(1_000_000)];
      let written = 0;
      let most = 0;
      for (let time = 0; time < times; time++) {
        const taken = partsToMerge(some, parts, ROOM);
        const size = some + sizes(parts.slice(0, taken));
        parts = [partOf(size), ...parts.slice(taken)];
        written += size;
        most = Math.max(most, parts.length);
      }
      expect(most).toBeLessThanOrEqual(14);
      expect(written / (some * times)).toBeLessThan(30);
    },
  );

  it("without room they are left as they are, but not for ever", () => {
    const parts = Array.from({ length: 99 }, () => ({ ...partOf(10), bytes: 1000 }));
    expect(partsToMerge(1, parts, 0)).toBe(0);
    expect(partsToMerge(1, parts, 24_000)).toBe(3);
    expect(partsToMerge(1, [...parts, parts[0]!], 0)).toBe(100);
  });

  it("a store that begins with nothing is one part for long, and deletions count as what they are: changes", () => {
    expect(partsToMerge(1, [], ROOM)).toBe(0);
    expect(partsToMerge(1, [partOf(32)], ROOM)).toBe(1);
    expect(partsToMerge(1, [partOf(33)], ROOM)).toBe(0);
    expect(partsToMerge(1, [{ ...partOf(20), deleted: 13 }], ROOM)).toBe(0);
    expect(partsToMerge(20, [partOf(40), partOf(120)], ROOM)).toBe(2);
    expect(partsToMerge(20, [partOf(40), partOf(121)], ROOM)).toBe(1);
  });
});
