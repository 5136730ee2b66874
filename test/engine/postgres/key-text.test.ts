/**
 * Goal: key texts go into the database and come back as the same keys, and sort by their bytes as keys do.
 * Method: random keys of characters from all regions, and at the borders of what has to move.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { behindPrefix, fromKeyText, toKeyText } from "../../../src/engine/postgres/key-text.js";

const BORDERS = [
  "\0",
  "\u0001",
  "\u0002",
  "\ud7ff",
  "\ue000",
  "\uffff",
  "\u{10000}",
  "\u{1f600}",
  "\u{10ffff}",
  "a",
];
const key = fc
  .array(fc.oneof(fc.constantFrom(...BORDERS), fc.string({ unit: "binary", maxLength: 1 })), { maxLength: 6 })
  .map((parts) => parts.join(""));

const byBytes = (one: string, other: string): number =>
  Math.sign(Buffer.compare(Buffer.from(one), Buffer.from(other)));
const byUnits = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

describe("a key text", () => {
  it("comes back as its key", () => {
    fc.assert(
      fc.property(key, (text) => {
        expect(fromKeyText(toKeyText(text))).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it("sorts by bytes as its key does by UTF-16 code units", () => {
    const same = (one: string, other: string): void => {
      expect(byBytes(toKeyText(one), toKeyText(other))).toBe(byUnits(one, other));
    };
    fc.assert(fc.property(key, key, same), { numRuns: 5000 });
  });

  it("has no NUL, which the database would refuse, and no half of a character", () => {
    const isText = (text: string): void => {
      expect(toKeyText(text)).not.toContain("\0");
      expect(Buffer.from(toKeyText(text)).toString()).toBe(toKeyText(text));
    };
    fc.assert(fc.property(key, isText), { numRuns: 2000 });
  });

  it("of a key with a prefix is between the prefix and what is behind it", () => {
    const isWithin = (prefix: string, rest: string): void => {
      const text = toKeyText(prefix + rest);
      expect(byBytes(text, toKeyText(prefix))).toBeGreaterThanOrEqual(0);
      expect(byBytes(text, behindPrefix(prefix))).toBe(-1);
    };
    fc.assert(fc.property(key, key, isWithin), { numRuns: 2000 });
    const isOutside = (prefix: string, other: string): void => {
      if (other.startsWith(prefix)) return;
      const text = toKeyText(other);
      expect(byBytes(text, toKeyText(prefix)) < 0 || byBytes(text, behindPrefix(prefix)) > 0).toBe(true);
    };
    fc.assert(fc.property(key, key, isOutside), { numRuns: 2000 });
  });

  it("is the key itself where nothing has to move", () => {
    for (const plain of ["agent:main:telegram:42", "größe", "日本語", "a b\tc"])
      expect(toKeyText(plain)).toBe(plain);
  });
});
