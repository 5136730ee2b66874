/**
 * Goal: JSON that is given on the command line is kept to the last digit, or refused with the field and what to do.
 * Method: the parser of `put` and `patch` on numbers of every spelling; the verbs' own tests show that they use it.
 */
import { expect, it } from "vitest";
import { parseObject } from "../../src/cli/read-input.js";

it.each([
  "9007199254740991",
  "9007199254740992",
  "-9007199254740994",
  "12345678901234568000000",
  "1e22",
  "0.30000000000000004",
  "0.1000000000000000055511151231257827",
  "1700000000000.00000000000001",
  "0e999",
])("takes the number %s", (text) =>
  expect(parseObject(`{"a":[{"b":${text}}]}`, "--data")).toEqual({ a: [{ b: Number(text) }] }),
);

it.each([
  ["9007199254740993", "would become 9007199254740992"],
  ["-12345678901234567890", "would become -12345678901234567000"],
  ["12345678901234567890.5", "would become 12345678901234567000"],
  ["1e309", "is too large for JSON"],
])("refuses %s", (text, why) => {
  expect(() => parseObject(`{"a":[{"b c":${text}}]}`, "--data")).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringContaining(`a[0]."b c" in --data is ${text}, which ${why}`) as string,
      data: { field: 'a[0]."b c"', number: text },
    }),
  );
});

it("does not look into strings", () =>
  expect(parseObject('{"12345678901234567890":"[12345678901234567890]"}', "--data")).toEqual({
    "12345678901234567890": "[12345678901234567890]",
  }));
