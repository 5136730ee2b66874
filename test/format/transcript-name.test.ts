/**
 * Goal: names that fit a file name and ids are taken, all others refused by the right kind of error.
 * Method: both sides of each limit, counted in encoded bytes.
 */
import { describe, expect, test } from "vitest";
import { assertId, assertTranscriptName } from "../../src/format/transcript-name.js";

describe("names", () => {
  test.each([
    "main",
    "x".repeat(200),
    "X".repeat(200),
    "ä".repeat(200),
    "😀".repeat(100),
    "..",
    " ",
    "__proto__",
  ])("%s is one", (name) => {
    expect(() => assertTranscriptName(name, "a")).not.toThrow();
  });

  test.each(["x".repeat(201), "😀".repeat(101)])("%s is too long", (name) => {
    expect(() => assertTranscriptName(name, "a")).toThrow(
      expect.objectContaining({
        code: "transcript_name_too_long",
        data: { key: "a", transcript: name, limit: 200, actual: name.length },
      }),
    );
  });

  test.each([undefined, null, 7, "", "\udc00"])("%s is a TypeError", (name) => {
    expect(() => assertTranscriptName(name, "a")).toThrow(TypeError);
  });
});

describe("ids", () => {
  test("have 1 to 200 bytes of UTF-8", () => {
    for (const id of ["x", "x".repeat(200), "ä".repeat(100), "😀".repeat(50)])
      expect(() => assertId(id, "ids[0]")).not.toThrow();
    for (const [id, actual] of [
      ["x".repeat(201), 201],
      ["ä".repeat(101), 202],
    ] as const) {
      expect(() => assertId(id, "ids[0]")).toThrow(
        expect.objectContaining({ code: "id_too_long", data: { id, limit: 200, actual } }),
      );
    }
    for (const id of [undefined, null, 7, "", "\ud800"])
      expect(() => assertId(id, "ids[0]")).toThrow(/^ids\[0\] /);
  });
});
