/**
 * Goal: a difference, applied, gives the other entry, and the same text in every process. Method: properties over
 * pairs of entries, one derived from the other.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalJson } from "../../src/format/equal-json.js";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import { setField, type StoredObject } from "../../src/format/stored-value.js";
import { entry, name, reparsed } from "./arbitraries.js";

const stored = entry.map((value) => reparsed(value) as StoredObject);

/** An entry and one made of it: some fields gone, some changed, some new. */
const related = fc
  .tuple(stored, stored, fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }))
  .map(([base, more, keep]): [StoredObject, StoredObject] => {
    const next: Record<string, unknown> = {};
    for (const [index, field] of Object.keys(more).entries())
      if (index % 2 === 0) setField(next, field, more[field]);
    for (const [index, field] of Object.keys(base).entries()) {
      if (keep[index % 10] === true)
        setField(next, field, index % 3 === 0 ? reparsed(base[field]) : base[field]);
    }
    for (const field of Object.keys(more)) setField(next, field, more[field]);
    return [base, next as StoredObject];
  });

describe("applyPatch", () => {
  it("keeps the order of fields and appends new ones", () => {
    const base = { c: 1, a: 2, b: 3 };
    expect(JSON.stringify(applyPatch(base, { d: 4, a: 5 }, ["c", "missing"]))).toBe('{"a":5,"b":3,"d":4}');
    expect(JSON.stringify(applyPatch(base, { d: 4, a: 5 }, []))).toBe('{"c":1,"a":5,"b":3,"d":4}');
    expect(base).toEqual({ c: 1, a: 2, b: 3 });
  });

  it("removes after it has set", () => {
    expect(applyPatch({ a: 1 }, { a: 2, b: 3 }, ["b", "a"])).toEqual({});
    expect(applyPatch({}, { b: 3 }, ["b"])).toEqual({});
  });

  it("gives a frozen object that shares the values", () => {
    const value = { x: 1 };
    const next = applyPatch({ value }, { y: 1 }, []);
    expect(Object.isFrozen(next)).toBe(true);
    expect(next["value"]).toBe(value);
  });

  it("takes __proto__ for an ordinary field", () => {
    const set = JSON.parse('{"__proto__":{"polluted":1}}') as StoredObject;
    for (const unset of [[], ["x"]]) {
      const next = applyPatch({ x: 1 }, set, unset);
      expect(Object.getPrototypeOf(next)).toBe(Object.prototype);
      expect(Object.keys(next)).toContain("__proto__");
      expect(Object.keys(applyPatch(next, {}, ["__proto__"]))).not.toContain("__proto__");
      expect(JSON.stringify(applyPatch(next, { z: 1 }, []))).toContain('"__proto__":{"polluted":1}');
    }
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  it("gives the same text in every process", () => {
    fc.assert(
      fc.property(stored, stored, fc.array(name), (base, set, unset) => {
        const here = applyPatch(base, set, unset);
        const there = applyPatch(reparsed(base), reparsed(set), [...unset]);
        expect(JSON.stringify(there)).toBe(JSON.stringify(here));
        expect(JSON.stringify(reparsed(here))).toBe(JSON.stringify(here));
      }),
      { numRuns: 500 },
    );
  });
});

describe("diffStored", () => {
  it("finds nothing between equals, whatever their order", () => {
    const base = { a: 1, b: { c: [1, { d: null }] } };
    expect(diffStored(base, base)).toBeUndefined();
    expect(diffStored(base, reparsed(base))).toBeUndefined();
    expect(diffStored(base, { b: { c: [1, { d: null }] }, a: 1 })).toBeUndefined();
  });

  it("names the fields that differ", () => {
    expect(diffStored({ a: 1, b: 2, c: 3 }, { c: 4, a: 1, d: 5 })).toEqual({
      set: { c: 4, d: 5 },
      unset: ["b"],
    });
    expect(diffStored({ a: 1 }, {})).toEqual({ set: {}, unset: ["a"] });
    expect(diffStored({}, { a: null })).toEqual({ set: { a: null }, unset: [] });
    expect(diffStored({ a: [1, 2] }, { a: [1, 2, 3] })).toEqual({ set: { a: [1, 2, 3] }, unset: [] });
    expect(diffStored({ a: [] }, { a: {} })).toEqual({ set: { a: {} }, unset: [] });
    expect(diffStored({ a: {} }, { a: null })).toEqual({ set: { a: null }, unset: [] });
  });

  it("is not misled by inherited properties", () => {
    expect(diffStored({}, { constructor: 1, toString: "x" })).toMatchObject({ unset: [] });
    expect(diffStored({ toString: 1 }, { valueOf: 1 })).toEqual({ set: { valueOf: 1 }, unset: ["toString"] });
    const proto = JSON.parse('{"__proto__":{}}') as StoredObject;
    expect(Object.keys(diffStored({}, proto)?.set ?? {})).toEqual(["__proto__"]);
    expect(diffStored(proto, {})?.unset).toEqual(["__proto__"]);
    expect(diffStored(proto, reparsed(proto))).toBeUndefined();
  });

  it("gives what makes one of the other", () => {
    fc.assert(
      fc.property(fc.oneof(related, fc.tuple(stored, stored)), ([base, next]) => {
        const difference = diffStored(base, next);
        expect(difference === undefined).toBe(equalJson(base, next));
        if (difference === undefined) return;
        const patched = applyPatch(base, difference.set, difference.unset);
        expect(equalJson(patched, next)).toBe(true);
        expect(diffStored(patched, next)).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });
});
