/**
 * Goal: nothing that a terminal would obey, and nothing that hides text, gets through; everything else does.
 * Method: whole ranges of code points.
 */
import { describe, expect, it } from "vitest";
import { jsonText, visible } from "../../src/cli/visible-text.js";

const range = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)).join("");

const HOSTILE = [
  range(0, 0x1f),
  range(0x7f, 0x9f),
  range(0x2028, 0x202e),
  range(0x2060, 0x206f),
  "\u00ad\u061c\u180e\u200b\u200e\u200f\ufeff\ufff9\u{e0001}\u{e007f}",
].join("");

describe("visible", () => {
  it("escapes every control and every invisible character", () => {
    for (const character of HOSTILE)
      expect(visible(`a${character}b`)).toMatch(/^a(\\u[0-9a-f]{4})+b$|^a\\[nrt]b$/);
    expect(visible("\u001b[31m")).toBe("\\u001b[31m");
    expect(visible("a\nb\tc")).toBe("a\\nb\\tc");
    expect(visible("\ud800x\udc00")).toBe("\\ud800x\\udc00");
  });

  it("leaves all other text alone", () => {
    const text = `${range(0x20, 0x7e)}äöüß 漢字 العربية עברית 👩‍👩‍👧 ${range(0xa0, 0xac)}`;
    expect(visible(text)).toBe(text);
  });
});

describe("jsonText", () => {
  it("parses to the same value, and is safe to show", () => {
    const value = { [HOSTILE]: [HOSTILE, { a: "é漢" }], half: "\ud800" };
    for (const text of [jsonText(value), jsonText(value, 2)]) {
      expect(JSON.parse(text)).toEqual(value);
      expect(visible(text.replaceAll("\n", ""))).toBe(text.replaceAll("\n", ""));
    }
    expect(jsonText({ a: { b: 1 } }, 2)).toBe('{\n  "a": {\n    "b": 1\n  }\n}');
  });
});
