/**
 * Goal: a catalog is read back as it was written or not at all, and a merge gives what a sort from scratch gives.
 * Method: a catalog of several blocks is cut and damaged at every byte; merges of generated rows are compared with
 * a model.
 */
import { describe, expect, it } from "vitest";
import {
  compareRows,
  composeCatalog,
  mergeRows,
  parseCatalog,
  type Catalog,
  type CatalogRow,
} from "../../../src/engine/directory/catalog.js";
import { runNow } from "../../../src/engine/directory/time-slices.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { logLine } from "./sandbox.js";

const STORE = "c0ffee";
const HASHES = ["a", "b", "c"].map((digit) => digit.repeat(64));

function rowsOf(count: number, random: () => number): CatalogRow[] {
  const rows = Array.from({ length: count }, (_, index) => ({
    key: `session ${index}`,
    revision: index + 1,
    updatedAt: Math.floor(random() * 50),
    blobs: HASHES.filter(() => random() < 0.2).map((hash) => (random() < 0.5 ? hash : `${hash}+`)),
  }));
  return rows.sort(compareRows);
}

/** Of segment 6, with this many sessions of chance. */
function catalogOf(sessions: number, seed: number): Catalog {
  const rows = rowsOf(sessions, seededRandom(seed));
  return { segment: 6, revision: 9, next: 12, rows, incomplete: false };
}

const compose = (catalog: Catalog): Buffer => runNow(composeCatalog(catalog, STORE));
const parse = (bytes: Buffer, segment = 6, store = STORE): Catalog | undefined =>
  runNow(parseCatalog(bytes, segment, store));

describe("the file", () => {
  it.each([0, 1, 255, 256, 257, 1000])("of %i sessions is read back as it was", (count) => {
    for (const incomplete of [false, true]) {
      const catalog = { ...catalogOf(count, count), incomplete };
      expect(parse(compose(catalog))).toEqual(catalog);
    }
  });

  it("is text: a line for 256 sessions, the newest first, each hash once a line", () => {
    const lines = compose(catalogOf(600, 1)).toString().split("\n");
    expect(lines).toHaveLength(1 + 3 + 1 + 1);
    expect(JSON.parse(lines[0]!.slice(9))).toEqual({
      catalog: 6,
      store: STORE,
      revision: 9,
      next: 12,
      sessions: 600,
      incomplete: false,
    });
    const block = JSON.parse(lines[1]!.slice(9)) as { rows: unknown[][]; blobs: string[] };
    expect(block.rows).toHaveLength(256);
    expect(block.rows[0]?.[2]).toBe(49);
    expect(new Set(block.blobs).size).toBe(block.blobs.length);
  });

  it("of another store or segment is not this one", () => {
    const bytes = compose(catalogOf(3, 2));
    expect(parse(bytes, 7)).toBeUndefined();
    expect(parse(bytes, 6, "c0ffef")).toBeUndefined();
  });

  it("cut, prolonged or changed at any byte is refused", () => {
    const bytes = compose(catalogOf(300, 3));
    for (let index = 0; index < bytes.length; index += 1 + (index % 13)) {
      expect(parse(bytes.subarray(0, index)), `cut at ${index}`).toBeUndefined();
      const changed = Buffer.from(bytes);
      changed[index] = changed[index]! ^ (1 << (index % 7));
      expect(parse(changed), `changed at ${index}`).toBeUndefined();
    }
    expect(parse(Buffer.concat([bytes, Buffer.from("\n")]))).toBeUndefined();
    expect(parse(Buffer.concat([bytes, bytes]))).toBeUndefined();
    expect(parse(bytes)).toBeDefined();
  });

  it("without a line in the middle is refused, though every line is whole", () => {
    const bytes = compose(catalogOf(600, 4));
    const lines = bytes.toString().split("\n");
    for (const missing of [0, 1, 2, 3, 4]) {
      const text = lines.toSpliced(missing, 1).join("\n");
      expect(parse(Buffer.from(text)), `without line ${missing}`).toBeUndefined();
    }
  });

  it.each([
    ["rows that are none", { rows: {}, blobs: [] }],
    ["a row that is none", { rows: [5], blobs: [] }],
    ["no blobs", { rows: [] }],
    ["a key that is a number", { rows: [[1, 1, 1]], blobs: [] }],
    ["a revision that is a fraction", { rows: [["a", 1.5, 1]], blobs: [] }],
    ["no time", { rows: [["a", 1]], blobs: [] }],
    ["an index out of range", { rows: [["a", 1, 1, [1]]], blobs: ["x"] }],
    ["an index that is a name", { rows: [["a", 1, 1, ["length"]]], blobs: ["x"] }],
    ["indexes that are none", { rows: [["a", 1, 1, 0]], blobs: ["x"] }],
    ["a blob that is a number", { rows: [["a", 1, 1, [0]]], blobs: [7] }],
  ])("with %s, under valid checksums, is refused", (_what, block) => {
    const header = { catalog: 6, store: STORE, revision: 9, sessions: 1, incomplete: false };
    const lines = [logLine(header), logLine(block), logLine({ end: 6, sessions: 1 })];
    expect(parse(Buffer.concat(lines))).toBeUndefined();
  });
});

describe("a merge", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "is what a sort from scratch gives (seed %i)",
    (seed) => {
      const random = seededRandom(seed + 100);
      const previous = rowsOf(Math.floor(random() * 700), random);
      const changed = new Map<string, CatalogRow | undefined>();
      for (let index = 0; index < 60; index++) {
        const key = `session ${Math.floor(random() * 800)}`;
        const row = { key, revision: 5000 + index, updatedAt: Math.floor(random() * 60), blobs: [] };
        changed.set(key, random() < 0.3 ? undefined : row);
      }
      const model = new Map(previous.map((row) => [row.key, row]));
      for (const [key, row] of changed) {
        if (row === undefined) model.delete(key);
        else model.set(key, row);
      }
      const expected = [...model.values()].sort(compareRows);
      expect(runNow(mergeRows(previous, changed))).toEqual(expected);
    },
  );
});
