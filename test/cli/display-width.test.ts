/** Goal: tables keep their columns whatever the text, and fit the terminal. Method: texts of known widths, narrow tables. */
import { describe, expect, it } from "vitest";
import { cutEnd, cutMiddle, displayWidth } from "../../src/cli/display-width.js";
import { tableLines } from "../../src/cli/figures.js";

describe("displayWidth", () => {
  it.each([
    ["plain", 5],
    ["äöü", 3],
    ["a\u0308", 1],
    ["日本語", 6],
    ["한국", 4],
    ["\u{1f600}", 2],
    ["\u{1f468}\u200d\u{1f469}\u200d\u{1f467}", 2],
    ["\u{1f1e9}\u{1f1ea}", 2],
    ["\u2764\ufe0f", 2],
    ["\u2764", 1],
  ])("%s takes %i columns", (text, width) => expect(displayWidth(text)).toBe(width));

  it("is never exceeded by what is cut", () => {
    for (const text of ["agent:main:telegram:direct:james", "日本語".repeat(9), "\u{1f600}a".repeat(20)]) {
      for (let columns = 0; columns < 40; columns++) {
        expect(displayWidth(cutMiddle(text, columns))).toBeLessThanOrEqual(columns);
        expect(displayWidth(cutEnd(text, columns))).toBeLessThanOrEqual(columns);
      }
    }
    expect(cutMiddle("agent:main:james", 9)).toBe("agen…ames");
  });
});

describe("a table on a narrow terminal", () => {
  const columns = [{ title: "KEY" }, { title: "AGE", right: true }, { title: "MODEL", dispensable: 1 }];
  const rows = [
    ["agent:main:telegram:direct:james", "3 h", "large"],
    ["agent:main:日本語", "4 d", "\u{1f600}"],
  ];

  it.each([80, 44, 40, 20])("fits %i columns", (columnsMax) => {
    for (const line of tableLines(columns, rows, columnsMax)) {
      expect(displayWidth(line)).toBeLessThanOrEqual(columnsMax);
    }
  });

  it("loses what can be done without first, and cuts the widest then", () => {
    expect(tableLines(columns, rows, 40)[1]).toBe("agent:main:telegram:direct:james  3 h");
    expect(tableLines(columns, rows, 20)[1]).toBe("agent:m…t:james  3 h");
  });

  it("keeps wide characters in line", () => {
    const [head = "", , wide = ""] = tableLines(columns, rows, 80);
    expect(displayWidth(wide.slice(0, wide.indexOf("4 d")))).toBe(head.indexOf("AGE"));
  });
});
