/** Goal: portions together are what `JSON.stringify` writes, and a bomb costs no memory. Method: values, and one bomb. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonPortions } from "../../src/cli/json-writer.js";
import { jsonText } from "../../src/cli/visible-text.js";

describe("jsonPortions", () => {
  it("is the JSON of any value, on one line and indented", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2), (value, indent) => {
        expect([...jsonPortions(value, indent)].join("")).toBe(jsonText(value, indent || undefined));
      }),
    );
  });

  it("comes in portions of which each is short, also of values within values", () => {
    let value: unknown = "x".repeat(1000);
    for (let depth = 0; depth < 60; depth++) value = { a: value, b: value }; // 2^60 times the text
    const portions = jsonPortions(value, 2);
    for (let count = 0; count < 5; count++) {
      expect((portions.next().value ?? "").length).toBeLessThan(1024 * 1024);
    }
  });
});
