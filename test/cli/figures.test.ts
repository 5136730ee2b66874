/** Goal: numbers, times and tables read as people expect. Method: values at the edges of each unit. */
import { describe, expect, it } from "vitest";
import {
  DAY_MS,
  formatAge,
  formatBytes,
  formatCount,
  formatShare,
  formatTime,
  HOUR_MS,
  tableLines,
} from "../../src/cli/figures.js";

describe("figures", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [80_100_000, "80.1 MB"],
    [5.6e9, "5.6 GB"],
    [3e16, "30000.0 TB"],
  ])("%d bytes are %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [-5, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [HOUR_MS, "1 h"],
    [2 * DAY_MS - 1, "47 h"],
    [2 * DAY_MS, "2 d"],
    [5000 * DAY_MS, "5,000 d"],
  ])("an age of %d ms is %s", (age, text) => expect(formatAge(age)).toBe(text));

  it("counts, shares and times", () => {
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([formatShare(1, 3), formatShare(0, 0)]).toEqual(["33.3 %", "-"]);
    expect(formatTime(0)).toBe("1970-01-01T00:00:00Z");
    expect([Number.NaN, 9e15, -9e15].map(formatTime)).toEqual([undefined, undefined, undefined]);
  });
});

describe("tableLines", () => {
  it("aligns, and makes cells visible", () => {
    const columns = [{ title: "KEY" }, { title: "N", right: true }, { title: "LAST" }];
    expect(
      tableLines(columns, [
        ["a\u001b", "10", ""],
        ["äöü", "7", "x"],
      ]),
    ).toEqual(["KEY       N  LAST", "a\\u001b  10", "äöü       7  x"]);
  });
});
