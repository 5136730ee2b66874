/**
 * Goal: a head in a record says eight numbers and no more, and one that no transcript can have is malformed.
 * Method: round trips, and a table of heads that are wrong in one place.
 */
import { describe, expect, it } from "vitest";
import { composeHead, lengthOf, parseHead, type TranscriptHead } from "../../src/format/transcript-head.js";
import type { StoredValue } from "../../src/format/stored-value.js";

const HEAD: TranscriptHead = { since: 1, cut: 2, gone: 3, last: 9, total: 7, first: 8, born: 6, size: 500 };

describe("a head", () => {
  it("stands in a record as its numbers, in order", () => {
    expect(composeHead(HEAD)).toBe("[1,2,3,9,7,8,6,500]");
    expect(parseHead(JSON.parse(composeHead(HEAD)) as StoredValue)).toEqual(HEAD);
  });

  it("is 0 where there is no transcript", () => {
    expect(composeHead(undefined)).toBe("0");
    expect(parseHead(0)).toBe("none");
  });

  it("has as many items as came and were not trimmed", () => {
    expect(lengthOf(HEAD)).toBe(4);
  });

  it.each<[string, StoredValue]>([
    ["an emptied one whose last chunk is still to get its first item", [1, 2, 7, 9, 7, 10, 6, 500]],
    ["one of which nothing was cut", [1, 1, 0, 9, 9, 1, 1, 500]],
  ])("may be %s", (_name, value) => {
    expect(composeHead(parseHead(value) as TranscriptHead)).toBe(JSON.stringify(value));
  });

  it.each<[string, StoredValue | undefined]>([
    ["nothing", undefined],
    ["null", null],
    ["1", 1],
    ["false", false],
    ["a text", "0"],
    ["an object", { since: 1 }],
    ["a number too few", [1, 2, 3, 9, 7, 8, 6]],
    ["a number too many", [1, 2, 3, 9, 7, 8, 6, 500, 0]],
    ["a negative number", [1, 2, -3, 9, 7, 8, 6, 500]],
    ["a fraction", [1, 2, 3, 9, 7, 8, 6, 500.5]],
    ["a text in it", [1, 2, 3, 9, 7, 8, 6, "500"]],
    ["more trimmed than came", [1, 2, 8, 9, 7, 8, 6, 500]],
    ["more items than numbers", [1, 2, 3, 9, 10, 8, 6, 500]],
    ["cut before it was made", [3, 2, 3, 9, 7, 8, 6, 500]],
    ["a last chunk behind the next item", [1, 2, 3, 9, 7, 11, 6, 500]],
  ])("%s is none", (_name, value) => {
    expect(parseHead(value)).toBeUndefined();
  });
});
