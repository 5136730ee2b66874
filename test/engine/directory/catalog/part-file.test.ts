/**
 * Goal: a part is read back as it was written, in both orders and by single keys, or not at all; and who wants little of it
 * reads little.
 * Method: parts of generated rows, whole and damaged at every byte, read by everything that reads parts; lines that have a right
 * checksum and a wrong shape.
 */
import { describe, expect, it } from "vitest";
import { DamagedPart } from "../../../../src/engine/directory/catalog/part-file.js";
import {
  compareKeys,
  compareRows,
  isRow,
  type Change,
} from "../../../../src/engine/directory/catalog/row.js";
import { seededRandom } from "../../../../src/testing/seeded-random.js";
import { logLine } from "../sandbox.js";
import { compose, flat, keyOf, layerOf, read, rowsOf, STORE_ID, type Composed } from "./making.js";

/** With a deletion for every seventh session. */
function changesOf(count: number, seed: number): Change[] {
  return rowsOf(count, seededRandom(seed)).map((row, index) =>
    index % 7 === 3 ? { key: row.key, revision: undefined } : row,
  );
}

const placeIn = (changes: readonly Change[]) =>
  changes.filter(isRow).map(({ key, revision, updatedAt }) => ({ key, revision, updatedAt }));

/** What everything that reads parts says of one. */
function readings(composed: Composed): (() => unknown)[] {
  const keys = [keyOf(0), keyOf(150), keyOf(299), "a", "z"];
  return [
    () => flat(read(composed).file.byKey()),
    () => flat(read(composed).file.newest()),
    () => flat(read(composed).file.byKey(keyOf(140))),
    ...keys.map((key) => () => read(composed).file.find(key)),
  ];
}

describe("a part", () => {
  it.each([0, 1, 127, 128, 129, 1000])("of %i changes is read back as it was", (count) => {
    const changes = changesOf(count, count).sort(compareKeys);
    const composed = compose([layerOf(changes)]);
    const { file } = read(composed);
    expect(composed.part.bytes).toBe(composed.bytes.length);
    expect(flat(file.byKey())).toEqual(changes);
    expect(flat(file.newest())).toEqual(placeIn(changes).sort(compareRows));
    for (const change of changes) expect(file.find(change.key)).toEqual(change);
    for (const key of ["", "session 0000005", "z"]) expect(file.find(key)).toBeUndefined();
    for (const from of ["", "a", keyOf(0), keyOf(127), keyOf(128), `${keyOf(300)} `, "z"])
      expect(flat(file.byKey(from)), from).toEqual(changes.filter(({ key }) => key >= from));
  });

  it("without older ones has no deletions", () => {
    const changes = changesOf(300, 1);
    const composed = compose([layerOf(changes)], { oldest: true });
    expect(composed.part).toMatchObject({ rows: changes.filter(isRow).length, deleted: 0 });
    expect(flat(read(composed).file.byKey())).toEqual(changes.filter(isRow));
  });

  it("is text: each hash once a line, the rows in two orders, and where each line begins", () => {
    const { bytes, part } = compose([layerOf(changesOf(300, 2))]);
    const lines = bytes.toString().split("\n");
    const values = lines.slice(0, -1).map((line) => JSON.parse(line.slice(9)) as Record<string, unknown>);
    expect(values[0]).toEqual({ part: "6-00ff", store: STORE_ID });
    expect(values.slice(1, 4).map(({ rows }) => (rows as unknown[]).length)).toEqual([128, 128, 44]);
    const blobs = values[1]!["blobs"] as string[];
    expect(new Set(blobs).size).toBe(blobs.length);
    expect(Object.keys(values[4]!)).toEqual(["newest"]);
    expect(values.at(-1)).toMatchObject({ end: "6-00ff" });
    for (const [key, offset] of values.at(-1)!["index"] as [string, number][])
      expect(bytes.toString("utf8", offset + 9)).toMatch(`{"rows":[["${key}"`);
    expect(bytes.toString("utf8", part.newest + 9)).toMatch(/^\{"newest"/);
    expect(bytes.toString("utf8", part.index + 9)).toMatch(/^\{"index"/);
  });

  it("of 50,000 sessions: a page of either order, or one session, costs a few lines", () => {
    const composed = compose([layerOf(rowsOf(50_000, seededRandom(3)))]);
    const page = read(composed);
    page.file.newest().next();
    page.file.byKey().next();
    expect(page.bytesRead()).toBeLessThanOrEqual(2 * 16 * 1024);
    const one = read(composed);
    one.file.find(keyOf(30_000));
    const withIndex = one.bytesRead();
    expect(withIndex).toBeLessThan(composed.bytes.length / 100);
    one.file.find(keyOf(40_000));
    expect(one.bytesRead() - withIndex).toBeLessThan(16 * 1024);
    one.file.find(keyOf(40_001));
    expect(one.bytesRead() - withIndex).toBeLessThan(16 * 1024);
  });
});

describe("a damaged part", () => {
  it("changed or cut at any byte gives what it had, or nothing", () => {
    const composed = compose([layerOf(changesOf(300, 4))]);
    const whole = readings(composed).map((reading) => reading());
    const noticed = whole.map(() => 0);
    let tried = 0;
    for (let index = 0; index < composed.bytes.length; index += 1 + (index % 41)) {
      const changed = Buffer.from(composed.bytes);
      changed[index] = changed[index]! ^ (1 << (index % 7));
      for (const bytes of [changed, composed.bytes.subarray(0, index)]) {
        tried++;
        for (const [number, reading] of readings({ ...composed, bytes }).entries()) {
          try {
            expect(reading(), `reading ${number}, byte ${index}`).toEqual(whole[number]);
          } catch (error) {
            if (!(error instanceof DamagedPart)) throw error;
            noticed[number]!++;
          }
        }
      }
    }
    for (const count of noticed) expect(count).toBeGreaterThan(tried / 4);
  });

  it("without a line, with one twice, or with two that changed places is noticed by who reads all", () => {
    const composed = compose([layerOf(changesOf(600, 5))]);
    const lines = composed.bytes.toString().split("\n").slice(0, -1);
    const { newest } = composed.part;
    const isByKey = (number: number): boolean => lines.slice(0, number + 1).join("\n").length < newest;
    for (let number = 1; number < lines.length - 1; number++) {
      const others = [lines.toSpliced(number, 1), lines.toSpliced(number, 0, lines[number]!)];
      if (number > 1) others.push(lines.toSpliced(number - 1, 2, lines[number]!, lines[number - 1]!));
      for (const [how, other] of others.entries()) {
        const bytes = Buffer.from(`${other.join("\n")}\n`);
        const shift = bytes.length - composed.bytes.length;
        // The catalog says where the orders begin, so with these places moved every line is where it could be.
        const part = { ...composed.part, bytes: bytes.length, index: composed.part.index + shift };
        if (isByKey(number)) part.newest += shift;
        const { file } = read({ bytes, part });
        expect(() => [flat(file.byKey()), flat(file.newest())], `${how}: line ${number}`).toThrow(
          DamagedPart,
        );
      }
    }
  });

  it("with the lines of another part is noticed", () => {
    const composed = compose([layerOf(changesOf(300, 6))]);
    const other = { ...composed.part, name: "7-00ff" };
    const { file } = read({ ...composed, part: other });
    expect(() => flat(file.byKey())).toThrow(DamagedPart);
    expect(() => file.find(keyOf(1))).toThrow(DamagedPart);
  });

  it("that has fewer rows than the catalog says is noticed by who reads all", () => {
    const composed = compose([layerOf(changesOf(300, 7))]);
    for (const wrong of [{ rows: composed.part.rows + 1 }, { rows: composed.part.rows - 1 }]) {
      const { file } = read({ ...composed, part: { ...composed.part, ...wrong } });
      expect(() => flat(file.byKey())).toThrow(DamagedPart);
      expect(() => flat(file.newest())).toThrow(DamagedPart);
    }
    const more = read({ ...composed, part: { ...composed.part, deleted: composed.part.deleted + 1 } });
    expect(() => flat(more.file.byKey())).toThrow(DamagedPart);
  });

  it.each([
    ["rows that are none", { rows: {}, blobs: [] }],
    ["a row that is none", { rows: [5], blobs: [] }],
    ["an empty row", { rows: [[]], blobs: [] }],
    ["no blobs", { rows: [] }],
    ["a key that is a number", { rows: [[1, 1, 1]], blobs: [] }],
    ["a deletion of a number", { rows: [[1]], blobs: [] }],
    ["a revision that is a fraction", { rows: [["a", 1.5, 1]], blobs: [] }],
    ["a negative revision", { rows: [["a", -1, 1]], blobs: [] }],
    ["no time", { rows: [["a", 1]], blobs: [] }],
    ["an index out of range", { rows: [["a", 1, 1, [1]]], blobs: ["x"] }],
    ["an index that is a name", { rows: [["a", 1, 1, ["length"]]], blobs: ["x"] }],
    ["indexes that are none", { rows: [["a", 1, 1, 0]], blobs: ["x"] }],
    ["a blob that is a number", { rows: [["a", 1, 1, [0]]], blobs: [7] }],
    ["a text", "rows"],
    ["nothing", null],
  ])("%s, under valid checksums, are refused", (_what, line) => {
    const header = logLine({ part: "6-00ff", store: STORE_ID });
    const rows = logLine(line);
    const newest = header.length + rows.length;
    const index = logLine({ index: [["a", header.length]], end: "6-00ff" });
    const bytes = Buffer.concat([header, rows, index]);
    const part = { name: "6-00ff", rows: 1, deleted: 0, bytes: bytes.length, newest, index: newest };
    const { file } = read({ bytes, part });
    expect(() => flat(file.byKey())).toThrow(DamagedPart);
    expect(() => file.find("a")).toThrow(DamagedPart);
  });

  it.each([
    ["no index", { end: "6-00ff" }],
    ["an index that is none", { index: 7, end: "6-00ff" }],
    ["an entry that is none", { index: [7], end: "6-00ff" }],
    ["keys out of order", { index: [["b", 50], ["a", 60]], end: "6-00ff" }], // prettier-ignore
    ["offsets out of order", { index: [["a", 60], ["b", 50]], end: "6-00ff" }], // prettier-ignore
    ["an offset that is none", { index: [["a", "50"]], end: "6-00ff" }],
    ["an offset that leads out of the rows", { index: [["a", 100_000]], end: "6-00ff" }],
    ["the key of another line", { index: [["A", 0]], end: "6-00ff" }],
  ])("an index with %s, under a valid checksum, is refused", (_what, line) => {
    const header = logLine({ part: "6-00ff", store: STORE_ID });
    const rows = logLine({ rows: [["a", 1, 1]], blobs: [] });
    const newest = header.length + rows.length;
    const values = JSON.parse(JSON.stringify(line).replace('["A",0]', `["A",${header.length}]`)) as object;
    const index = logLine(values);
    const bytes = Buffer.concat([header, rows, index]);
    const part = { name: "6-00ff", rows: 1, deleted: 0, bytes: bytes.length, newest, index: newest };
    expect(() => read({ bytes, part }).file.find("a")).toThrow(DamagedPart);
  });
});
