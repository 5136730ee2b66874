/**
 * Goal: values are equal exactly when JSON makes the same of them, the order of fields aside; where that is not known they
 * are different. Method: random values against the text of JSON with sorted names; the values that JSON does not have.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalJson } from "../../src/format/equal-json.js";
import { json } from "./arbitraries.js";

/** The JSON of a value with the fields in order, in a form in which `__proto__` is a name like any other. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return ["array", ...value.map(canonical)];
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return ["object", ...fields.map(([name, inner]) => [name, canonical(inner)])];
}

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, inner]) => [name, reversed(inner)]),
  );
}

describe("values of JSON", () => {
  it("are equal when their text is, the order of fields aside", () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const [left, right] = [one, other].map((value) => JSON.parse(JSON.stringify(value)) as unknown);
        const same = JSON.stringify(canonical(left)) === JSON.stringify(canonical(right));
        expect(equalJson(left, right)).toBe(same);
        expect(equalJson(left, reversed(left))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [[], {}],
    [{}, []],
    [null, {}],
    [[null], []],
    [{ a: 1 }, { a: 1, b: 1 }],
    [{ a: 1, b: 1 }, { a: 1 }],
    [{ a: 1 }, { b: 1 }],
    [{ toString: 1 }, {}],
    [JSON.parse('{"__proto__":{}}'), {}],
    [{}, JSON.parse('{"__proto__":{}}')],
    [
      [1, 2],
      [2, 1],
    ],
    [{ a: { b: [1] } }, { a: { b: [2] } }],
    [1, "1"],
  ])("are different: %j and %j", (one, other) => expect(equalJson(one, other)).toBe(false));
});

describe("what JSON does not have", () => {
  it("counts a field that is undefined for none, in either of the two", () => {
    expect(equalJson({ a: 1, b: undefined }, { a: 1 })).toBe(true);
    expect(equalJson({ a: 1 }, { a: 1, b: undefined })).toBe(true);
    expect(equalJson({ a: undefined }, { b: undefined })).toBe(true);
    expect(equalJson({ a: 1, b: undefined }, { a: 1, c: 2 })).toBe(false);
  });

  it("never takes a list with an undefined item for a shorter one", () => {
    expect(equalJson([1, undefined], [1])).toBe(false);
    expect(equalJson([1], [1, undefined])).toBe(false);
  });

  it("does not know what a toJSON would say", () => {
    expect(equalJson(new Date(0), new Date(0))).toBe(false);
    expect(equalJson({}, new Date(0))).toBe(false);
    expect(equalJson({ at: { toJSON: "a text" } }, { at: { toJSON: "a text" } })).toBe(true);
  });

  it("finds NaN equal to itself", () => expect(equalJson({ a: Number.NaN }, { a: Number.NaN })).toBe(true));
});
