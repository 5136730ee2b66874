/**
 * Goal: the JSON of an item is exactly that of JSON.stringify, or an error; and the content of an operation has one text.
 * Method: random JSON values against JSON.stringify; each way to be refused, with the place that the error names.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_LIMITS } from "../../src/format/limits.js";
import { canonicalJson, itemJson } from "../../src/format/value-json.js";

const json = (item: unknown): string => itemJson(item, "items", 0, DEFAULT_LIMITS, "a");

test("the text is that of JSON.stringify, for every JSON value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(json(value)).toBe(JSON.stringify(value));
    }),
  );
});

test("toJSON, -0, undefined fields and __proto__ mean what they mean to JSON", () => {
  const item = { when: new Date(0), gone: undefined, zero: -0, own: { toJSON: (name: string) => [name] } };
  expect(json(item)).toBe(JSON.stringify(item));
  const hostile: unknown = JSON.parse('{"__proto__":{"x":1},"toJSON":2}');
  expect(json(hostile)).toBe('{"__proto__":{"x":1},"toJSON":2}');
  expect(json("\ud800")).toBe(JSON.stringify("\ud800"));
});

test("what is shared is no cycle, what is a cycle is refused", () => {
  const shared = { n: 1 };
  expect(json([shared, { shared }])).toBe('[{"n":1},{"shared":{"n":1}}]');
  const cycle: unknown[] = [];
  cycle.push({ back: cycle });
  expect(() => json(cycle)).toThrow(/items\[0\]\[0\]\.back of session "a" refers back/);
});

test("an endless toJSON ends at the depth limit", () => {
  const endless: object = { toJSON: () => ({ endless }) };
  expect(() => json(endless)).toThrow(expect.objectContaining({ code: "value_too_deep" }));
});

describe("the limit of bytes", () => {
  const limits = { ...DEFAULT_LIMITS, itemBytesMax: 40 };
  const within = (item: unknown): string => itemJson(item, "items", 3, limits, "a");

  test("is that of UTF-8, to the byte", () => {
    for (const fits of [
      "x".repeat(38),
      "ä".repeat(19),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ])
      expect(Buffer.byteLength(within(fits))).toBeLessThanOrEqual(40);
    for (const [item, actual] of [
      ["x".repeat(39), 41],
      ["ä".repeat(20), 42],
    ] as const) {
      expect(() => within(item)).toThrow(
        expect.objectContaining({ code: "item_too_large", data: { key: "a", index: 3, limit: 40, actual } }),
      );
    }
  });

  test("never refuses what fits, never takes what does not", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const bytes = Buffer.byteLength(JSON.stringify(value));
        if (bytes <= 40) expect(within(value)).toBe(JSON.stringify(value));
        else expect(() => within(value)).toThrow(expect.objectContaining({ code: "item_too_large" }));
      }),
    );
  });
});

test("canonical text does not depend on the order of fields, and on nothing else", () => {
  const text = (value: unknown): string => canonicalJson(value, "content", DEFAULT_LIMITS);
  expect(text({ b: [1, { d: 1, c: 2 }], a: "x" })).toBe('{"a":"x","b":[1,{"c":2,"d":1}]}');
  expect(text({ a: "x", b: [1, { c: 2, d: 1 }] })).toBe(text({ b: [1, { d: 1, c: 2 }], a: "x" }));
  expect(text([1, 2])).not.toBe(text([2, 1]));
  expect(() => text({ f: [Number.NaN] })).toThrow(/^content\.f\[0\] is NaN/);
});
