/**
 * Goal: a JSON5 text with U+2028 or U+2029 in its strings is read without a word on the console, and means what it meant
 * before; faults are still told at their own place.
 * Method: random JSON5 texts in which the two stand wherever they may, parsed with and without the escapes.
 */
import fc from "fast-check";
import json5 from "json5";
import { afterEach, describe, expect, it, vi } from "vitest";
import { escapeSeparators } from "../../../src/legacy/reading/json5-separators.js";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { FILE, LegacyMachine } from "../legacy-machine.js";

afterEach(() => {
  vi.restoreAllMocks();
});

interface Parsed {
  readonly value?: unknown;
  /** Where the fault is. */
  readonly fault?: number;
  readonly warnings: number;
}

function parsed(text: string): Parsed {
  const warn = vi.spyOn(console, "warn").mockReset().mockReturnValue();
  try {
    return { value: json5.parse(text), warnings: warn.mock.calls.length };
  } catch (error) {
    const { lineNumber, columnNumber } = error as { lineNumber: number; columnNumber: number };
    const lines = text.split("\n").slice(0, lineNumber - 1);
    return {
      fault: lines.join("\n").length + (lines.length > 0 ? 1 : 0) + columnNumber,
      warnings: warn.mock.calls.length,
    };
  }
}

/** @returns How many warnings the text as it is would have led to. */
function expectSame(text: string): number {
  const before = parsed(text);
  const { text: escaped, originalIndex } = escapeSeparators(text);
  const after = parsed(escaped);
  expect(after.warnings).toBe(0);
  expect(after.value).toEqual(before.value);
  expect(after.fault === undefined ? undefined : originalIndex(after.fault)).toBe(before.fault);
  return before.warnings;
}

const SEPARATORS = ["\u2028", "\u2029"];
const IN_STRINGS = ["a", "é🙂", "\\\\", "\\n", "\\u2028", "\\\u2028", "\\\u2029", "\\\n", "\\\r\n"];
const NOT_ENDING_A_STRING = ["//", "/*", "*/", "{", ":"];
const GAPS = ["", " ", "\n", "//'\u2028", '//"\\\n', "/*\"'\u2029\\*/", "/*//*/", "//*\r", "/*/ \u2028'*/"];

const gap = fc.constantFrom(...SEPARATORS, ...GAPS);
const string = fc
  .constantFrom('"', "'")
  .chain((quote) =>
    fc
      .array(
        fc.constantFrom(
          ...SEPARATORS,
          ...IN_STRINGS,
          ...NOT_ENDING_A_STRING,
          `\\${quote}`,
          quote === '"' ? "'" : '"',
        ),
        { maxLength: 6 },
      )
      .map((pieces) => `${quote}${pieces.join("")}${quote}`),
  );
const member = fc
  .tuple(gap, string, gap, fc.oneof(string, fc.constantFrom("1", "[]", "null")), gap)
  .map(([a, key, b, value, c]) => `${a}${key}${b}:${value}${c}`);
const document = fc.array(member, { minLength: 1, maxLength: 4 }).map((members) => `{${members.join()}}`);

describe("a JSON5 text with its separators escaped", () => {
  it("means the same, without a word", () => {
    let warnings = 0;
    fc.assert(
      fc.property(document, (text) => {
        warnings += expectSame(text);
        expect(parsed(text).fault).toBeUndefined();
      }),
      { numRuns: 500 },
    );
    expect(warnings).toBeGreaterThan(100);
  });

  it("has its fault at the same place, wherever it is cut off", () => {
    fc.assert(
      fc.property(document, fc.nat(), (text, at) => void expectSame(text.slice(0, at % text.length))),
      { numRuns: 500 },
    );
  });

  it("is the text itself when it has none", () => {
    const text = "{'a': \"b\", // c\n}";
    expect(escapeSeparators(text).text).toBe(text);
  });
});

describe("a migration of a legacy file with separators says nothing on the console", () => {
  it("when it is JSON5", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, "{'k\u2029': {updatedAt: 1, a: 'x\u2028y\\\u2028z'}, // by hand\u2028}");
    expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
    expect(await machine.sessions()).toEqual({ "k\u2029": { updatedAt: 1, a: "x\u2028yz" } });
    expect(warn).not.toHaveBeenCalled();
  });

  it("when it is damaged: the byte is that of the file", async () => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const machine = new LegacyMachine();
    const text = "{'k': {a: '\u2028\n";
    machine.disk.writeRaw(FILE, text);
    const { error } = await migrateOn(machine.process(), FILE);
    expect(error?.data["offset"]).toBe(Buffer.byteLength(text) - 1);
    expect(warn).not.toHaveBeenCalled();
  });
});
