/**
 * Goal: frozen copies are what JSON.parse(JSON.stringify(value)) gives, or that would not be equal to the value and is
 * refused. Method: random values against JSON itself.
 */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EntryCodec } from "../../src/format/entry-codec.js";
import { DEFAULT_LIMITS } from "../../src/format/limits.js";
import { freezeEntry } from "../../src/format/frozen-entry.js";

const anything = fc.anything({
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withSparseArray: true,
  stringUnit: "binary",
  key: fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString", "$blob")),
});

const CODEC = {
  thresholdBytes: 1_000_000,
  loadBlob: () => {
    throw new Error("there are no blobs");
  },
};

function backFromJson(entry: object): unknown {
  try {
    return JSON.parse(JSON.stringify(entry));
  } catch {
    return undefined;
  }
}

describe("freezeEntry", () => {
  test("agrees with JSON and with the codec of files, and refuses exactly what would come back different", () => {
    const { limits, thresholdBytes, loadBlob } = { ...CODEC, limits: { ...DEFAULT_LIMITS, depthMax: 100 } };
    const codec = new EntryCodec({ limits, thresholdBytes, loadBlob });
    let refused = 0;
    fc.assert(
      fc.property(anything, (value) => {
        const entry = { value };
        let frozen: object;
        try {
          frozen = freezeEntry(entry, 100, "k");
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          expect(() => codec.encode(entry, undefined, "k")).toThrow((error as Error).message);
          expect(isDeepStrictEqual(backFromJson(entry), entry)).toBe(false);
          refused++;
          return;
        }
        expect(JSON.stringify(frozen)).toBe(JSON.stringify(entry));
        expect(JSON.stringify(codec.decode(codec.encode(entry).stored))).toBe(JSON.stringify(entry));
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  test("keeps what it froze before, and counts its depth", () => {
    const first = freezeEntry({ big: { a: { b: [1] } } }, 10) as { big: object };
    const second = freezeEntry({ big: first.big, turns: 1 }, 10) as { big: object };
    expect(second.big).toBe(first.big);
    expect(() => freezeEntry({ one: { two: first } }, 5)).toThrow(
      expect.objectContaining({ code: "value_too_deep", data: { limit: 5, actual: 6 } }),
    );
    expect(freezeEntry({ one: { two: first } }, 6)).toEqual({ one: { two: { big: { a: { b: [1] } } } } });
  });

  test("a cycle is a typed error", () => {
    const cycle: Record<string, unknown> = {};
    cycle["self"] = [cycle];
    expect(() => freezeEntry(cycle, 128)).toThrow(expect.objectContaining({ code: "value_too_deep" }));
  });
});
