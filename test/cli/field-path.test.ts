/** Goal: paths mean what docs/cli.md says, and a wrong one is shown where it is wrong. Method: paths, there and back. */
import { describe, expect, it } from "vitest";
import { changeFields } from "../../src/cli/field-change.js";
import { formatFieldPath, hasStep, parseAssignment, parseFieldPath } from "../../src/cli/field-path.js";

const names = (text: string): string[] => parseFieldPath(text, "--field").map(({ name }) => name);

describe("parseFieldPath", () => {
  it.each([
    ["usage.total", ["usage", "total"]],
    ["messages[0].text", ["messages", "0", "text"]],
    ["messages.0.text", ["messages", "0", "text"]],
    ['"usage.total"', ["usage.total"]],
    ['labels["a b"].x', ["labels", "a b", "x"]],
    ['["a.b"]', ["a.b"]],
    ["usage\\.total", ["usage.total"]],
    ["a\\\u{1f600}", ["a\u{1f600}"]],
    ['""', [""]],
    ["__proto__.constructor", ["__proto__", "constructor"]],
    ['"\\u0041\\""', ['A"']],
  ])("%s", (text, expected) => {
    expect(names(text)).toEqual(expected);
    // What is written for a path is a path to the same place.
    expect(names(formatFieldPath(parseFieldPath(text, "--field")))).toEqual(expected);
  });

  it.each([
    ["", 1],
    ["a..b", 3],
    ["a.", 3],
    [".a", 1],
    ["a[x]", 3],
    ["a[01]", 3],
    ["a[0", 4],
    ['a."b', 3],
    ['"a"b', 4],
    ["a]", 2],
    ["\u{1f600}..b", 3],
    ["a\\", 2],
    ["a=b", 2],
  ])("%j is wrong at character %i", (text, character) => {
    expect(() => parseFieldPath(text, "--field")).toThrow(
      expect.objectContaining({
        code: "field_path_invalid",
        exitCode: 2,
        data: { option: "--field", path: text, character },
      }) as Error,
    );
  });

  it("of an assignment ends at the first = outside of quotes", () => {
    const [path, value] = parseAssignment('"a=b".c=d=e', "the change") ?? [];
    expect([path?.map(({ name }) => name), value]).toEqual([["a=b", "c"], "d=e"]);
    expect(parseAssignment("word", "the change")).toBeUndefined();
  });
});

describe("hasStep", () => {
  it("follows only what is the value's own", () => {
    const has = (value: unknown, text: string): boolean => hasStep(value, parseFieldPath(text, "x")[0]);
    expect(has({}, "__proto__")).toBe(false);
    expect(has(JSON.parse('{"__proto__":1}'), "__proto__")).toBe(true);
    expect(has([1], "length")).toBe(false);
    expect(has([1], "[0]")).toBe(true);
    expect(has([1], "[1]")).toBe(false);
    expect(has({ 0: 1 }, "[0]")).toBe(false);
    expect(has("text", "length")).toBe(false);
  });
});

describe("changeFields", () => {
  const change = (entry: object, text: string, value: unknown): unknown =>
    changeFields(entry as Record<string, unknown>, [{ path: parseFieldPath(text, "x"), value }], "k").fields;

  it.each([
    [{ usage: { total: 1, in: 2 } }, "usage.total", 9, { usage: { total: 9, in: 2 } }],
    [{}, "usage.total", 9, { usage: { total: 9 } }],
    [{}, '"usage.total"', 9, { "usage.total": 9 }],
    [{ list: [1, 2] }, "list[1]", 9, { list: [1, 9] }],
    [{ list: [1, 2] }, "list[2]", 9, { list: [1, 2, 9] }],
    [{}, "list[0].a", 9, { list: [{ a: 9 }] }],
    [{ list: [1, 2] }, "list[0]", undefined, { list: [2] }],
    [{ a: { b: 1, c: 2 } }, "a.b", undefined, { a: { c: 2 } }],
    [{ a: 1 }, "a", undefined, { a: undefined }],
    [{ a: { b: 1 } }, "a.x.y", undefined, {}],
    [{ a: 1 }, "a", 1, {}],
  ])("%j with %s", (entry, text, value, expected) => {
    const before = JSON.stringify(entry);
    expect(change(entry, text, value)).toEqual(expected);
    expect(JSON.stringify(entry)).toBe(before);
  });

  it("makes __proto__ a field like any other", () => {
    const fields = change({}, "a.__proto__.x", 1);
    expect(JSON.stringify(fields)).toBe('{"a":{"__proto__":{"x":1}}}');
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  it.each([
    [{ a: "text" }, "a.b"],
    [{ a: null }, "a.b"],
    [{ a: [1] }, "a[2]"],
    [{ a: [1] }, "a.b"],
    [{ a: {} }, "a[0]"],
  ])("%j refuses %s: it would lose what is there", (entry, text) => {
    expect(() => change(entry, text, 1)).toThrow(
      expect.objectContaining({ code: "field_not_found" }) as Error,
    );
  });
});
