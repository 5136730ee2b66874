/** Goal: exactly what JSON.parse refuses has a fault, at the first character that cannot be there. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonFault } from "../../src/format/json-fault.js";

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("jsonFault", () => {
  it.each([
    ["", 0],
    ["hello", 0],
    ["{", 1],
    ['{"a"', 4],
    ['{"a":1,}', 7],
    ['{"a":1 "b":2}', 7],
    ["[1,]", 3],
    ["[1}", 2],
    ["{]", 1],
    ['"a\nb"', 2],
    ['"a\\x"', 2],
    ['"\\u12g4"', 1],
    ['"open', 5],
    ["01", 1],
    ["1.", 1],
    ["nul", 0],
    ["{} x", 3],
    ["[[[[", 4],
  ])("finds the fault of %j at %i", (text, at) => {
    expect(jsonFault(text)).toBe(at);
    expect(isJson(text)).toBe(false);
  });

  it("agrees with JSON.parse about any text", () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 4 }),
        fc.nat(),
        fc.constantFrom("", ",", '"', "}", "]", ":", "x", "\\", " ", "0"),
        (json, place, insert) => {
          const at = place % (json.length + 1);
          const inserted = json.slice(0, at) + insert + json.slice(at);
          const removed = json.slice(0, at) + json.slice(at + 1);
          for (const text of [json, ` \n${json}\t`, inserted, removed, json.slice(0, at)]) {
            expect(jsonFault(text) === undefined).toBe(isJson(text));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("survives any depth and length", () => {
    expect(jsonFault("[".repeat(1_000_000) + "]".repeat(1_000_000))).toBeUndefined();
    expect(jsonFault(`"${"x".repeat(5_000_000)}"`)).toBeUndefined();
    expect(jsonFault(`"${"\\n".repeat(1_000_000)}`)).toBe(2_000_001);
  });
});
