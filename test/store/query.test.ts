/**
 * Goal: defaults are filled in, wrong options are named, and a cursor is good for its own query only.
 * Method: cursors over every kind of query, used with every other; random positions round-trip.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeCursor, normalizeQuery } from "../../src/store/query.js";
import type { ListQuery } from "../../src/store/types.js";

const QUERIES: ListQuery[] = [
  {},
  { prefix: "a" },
  { prefix: "a,undefined" },
  { updatedAfter: 1 },
  { updatedBefore: 1 },
  { updatedAfter: 0 },
  { updatedAfter: -Infinity },
  { orderBy: "updatedAt" },
  { descending: true },
  { orderBy: "updatedAt", descending: true },
];

describe("normalizeQuery", () => {
  test("defaults", () => {
    const everything = {
      prefix: "",
      updatedAfter: undefined,
      updatedBefore: undefined,
      orderBy: "key",
      descending: false,
      limit: Infinity,
      after: undefined,
    };
    expect(normalizeQuery(undefined)).toEqual(everything);
    expect(normalizeQuery({})).toEqual(everything);
    expect(normalizeQuery({ limit: 3, prefix: "x" })).toEqual({ ...everything, limit: 3, prefix: "x" });
  });

  test("a cursor of one query is refused by every other", () => {
    for (const [one, query] of QUERIES.entries()) {
      const cursor = encodeCursor({ key: "k", updatedAt: 5 }, normalizeQuery(query));
      for (const [other, given] of QUERIES.entries()) {
        const use = () => normalizeQuery({ ...given, cursor });
        if (one === other) expect(use().after).toEqual({ key: "k", updatedAt: 5 });
        else expect(use).toThrow(TypeError);
      }
    }
  });

  test("the size of a page and spelt-out defaults do not matter to a cursor", () => {
    const cursor = encodeCursor({ key: "k", updatedAt: 0 }, normalizeQuery({ limit: 1 }));
    const same = normalizeQuery({ limit: 9, prefix: "", orderBy: "key", descending: false, cursor });
    expect(same.after?.key).toBe("k");
  });

  test("every position round-trips, in characters that need no escaping in a URL", () => {
    const query = normalizeQuery({});
    const position = fc.record({
      key: fc.string({ unit: "binary", minLength: 1 }),
      updatedAt: fc.double({ noNaN: true, noDefaultInfinity: true }).map((time) => time + 0),
    });
    fc.assert(
      fc.property(position, (after) => {
        const cursor = encodeCursor(after, query);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(normalizeQuery({ cursor }).after).toEqual(after);
      }),
    );
  });
});
