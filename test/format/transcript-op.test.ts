/**
 * Goal: a change of a transcript is written in one way, and what is not exactly so is malformed for every process.
 * Method: ops spelled out and read back, and a table of ops that are wrong in one place.
 */
import { describe, expect, it } from "vitest";
import { ID_BYTES_MAX, STORED_DEPTH_MAX, TRANSCRIPT_NAME_MAX } from "../../src/format/limits.js";
import type { StoredValue } from "../../src/format/stored-value.js";
import {
  changesTranscript,
  composeTranscriptOp,
  logItem,
  parseTranscriptOp,
  type TranscriptOp,
} from "../../src/format/transcript-op.js";

const HEAD = { since: 1, cut: 2, gone: 3, last: 9, total: 7, first: 8, born: 6, size: 500 };
const RECUT = { of: 6, keep: 5, first: 3, before: 2, n: 3, body: 90 };

describe("an op", () => {
  it.each<[string, TranscriptOp, string]>([
    ["a check", { k: "k", l: "l", b: 5, v: 3 }, '{"k":"k","l":"l","b":5,"v":3}'],
    [
      "the first one in a segment",
      { k: "k", l: "l", h: HEAD, e: 2 },
      '{"k":"k","l":"l","h":[1,2,3,9,7,8,6,500],"e":2}',
    ],
    ["the first one of a transcript", { k: "k", l: "l", h: "none", c: 0 }, '{"k":"k","l":"l","h":0,"c":0}'],
    [
      "an append",
      { k: 'k"', l: "tool calls", b: 0, a: [logItem('{"role":"user"}', "u-1"), logItem("null", undefined)] },
      '{"k":"k\\"","l":"tool calls","b":0,"a":[{"i":"u-1","v":{"role":"user"}},{"v":null}]}',
    ],
    ["a removal", { k: "k", l: "l", b: 5, r: 1 }, '{"k":"k","l":"l","b":5,"r":1}'],
    ["a trim by position", { k: "k", l: "l", b: 5, e: 2, g: 4 }, '{"k":"k","l":"l","b":5,"e":2,"g":4}'],
    ["a trim by length", { k: "k", l: "l", b: 5, m: 4 }, '{"k":"k","l":"l","b":5,"m":4}'],
    [
      "everything at once",
      { k: "k", l: "l", b: 5, e: 2, v: 9, c: 4, x: RECUT, a: [logItem("1", "i")], g: 3 },
      '{"k":"k","l":"l","b":5,"e":2,"v":9,"c":4,"x":[6,5,3,2,3,90],"a":[{"i":"i","v":1}],"g":3}',
    ],
    [
      "a removal that begins anew",
      { k: "k", l: "l", b: 5, r: 1, a: [logItem("1", undefined)], m: 1 },
      '{"k":"k","l":"l","b":5,"r":1,"a":[{"v":1}],"m":1}',
    ],
    [
      "a recut that keeps nothing",
      { k: "k", l: "l", b: 5, e: 2, x: { ...RECUT, n: 0, body: 0 } },
      '{"k":"k","l":"l","b":5,"e":2,"x":[6,5,3,2,0,0]}',
    ],
  ])("%s is spelled so, and read back", (_name, op, json) => {
    expect(composeTranscriptOp(op)).toBe(json);
    expect(parseTranscriptOp(JSON.parse(json) as StoredValue)).toEqual(op);
  });

  it("knows an item's bytes and whether its members stand in its line", () => {
    expect(logItem('{"é":1}', "i")).toEqual({ json: '{"é":1}', bytes: 8, inline: true, id: "i" });
    expect(logItem('{"$a":1}', undefined)).toMatchObject({ inline: false });
  });

  it.each<[boolean, Partial<TranscriptOp>]>([
    [false, {}],
    [false, { e: 1, v: 1, c: 1 }],
    [true, { r: 1 }],
    [true, { x: RECUT }],
    [true, { a: [logItem("1", undefined)] }],
    [true, { g: 1 }],
    [true, { m: 1 }],
  ])("changes a transcript: %s for %o", (changes, members) => {
    expect(changesTranscript({ k: "k", l: "l", b: 1, ...members })).toBe(changes);
  });
});

describe("names and ids may be as long as they may be", () => {
  it.each([
    ["name", { k: "k", l: "l".repeat(TRANSCRIPT_NAME_MAX), b: 1 }],
    ["id", { k: "k", l: "l", b: 1, a: [{ i: "i".repeat(ID_BYTES_MAX), v: 1 }] }],
  ])("%s", (_name, op) => {
    expect(typeof parseTranscriptOp(op)).toBe("object");
  });
});

const good = { k: "k", l: "l", b: 5 };
const recut = (...members: StoredValue[]): StoredValue => ({ ...good, e: 2, x: members });
const items = (...given: StoredValue[]): StoredValue => ({ ...good, a: given });

describe("malformed is", () => {
  it.each<[string, StoredValue, string]>([
    ["no object", [1], "an op is not an object"],
    ["an unknown member", { ...good, z: 1 }, "an op with an unknown member"],
    ["no key", { l: "l", b: 5 }, "malformed key"],
    ["an empty key", { ...good, k: "" }, "malformed key"],
    ["half a character in a key", { ...good, k: "\ud800" }, "malformed key"],
    ["no name", { k: "k", b: 5 }, "malformed name of a transcript"],
    ["an empty name", { ...good, l: "" }, "malformed name of a transcript"],
    ["half a character in a name", { ...good, l: "\udc00" }, "malformed name of a transcript"],
    ["a long name", { ...good, l: "l".repeat(TRANSCRIPT_NAME_MAX + 1) }, "malformed name of a transcript"],
    ...["b", "e", "v", "c", "g", "m"].flatMap((name): [string, StoredValue, string][] => [
      [`a text as ${name}`, { ...good, e: 1, [name]: "1" }, "malformed number"],
      [`a fraction as ${name}`, { ...good, e: 1, [name]: 0.5 }, "malformed number"],
      [`null as ${name}`, { ...good, e: 1, [name]: null }, "malformed number"],
    ]),
    ["a malformed head", { k: "k", l: "l", h: [1] }, "malformed head"],
    ["null as a head", { k: "k", l: "l", h: null }, "malformed head"],
    ["neither head nor base", { k: "k", l: "l" }, "an op with both or neither of head and base"],
    ["head and base", { ...good, h: 0 }, "an op with both or neither of head and base"],
    ["a removal of 0", { ...good, r: 0 }, "malformed removal"],
    ["a removal of true", { ...good, r: true }, "malformed removal"],
    ["a recut that is an object", { ...good, e: 2, x: {} }, "malformed recut"],
    ["a recut of five numbers", recut(6, 5, 3, 2, 3), "malformed recut"],
    ["a recut of seven numbers", recut(6, 5, 3, 2, 3, 90, 1), "malformed recut"],
    ["a recut with a text", recut(6, 5, 3, 2, 3, "90"), "malformed recut"],
    ["a recut of items without bytes", recut(6, 5, 3, 2, 3, 0), "malformed recut"],
    ["a recut of bytes without items", recut(6, 5, 3, 2, 0, 90), "malformed recut"],
    ["a recut that names no cut", { ...good, x: [6, 5, 3, 2, 3, 90] }, "a recut of what is unknown"],
    [
      "a recut of what is removed",
      { ...good, e: 2, r: 1, x: [6, 5, 3, 2, 3, 90] },
      "a recut of what is unknown",
    ],
    ["a trim by position that names no cut", { ...good, g: 4 }, "malformed trim"],
    ["a trim in both ways", { ...good, e: 2, g: 4, m: 4 }, "malformed trim"],
    ["items that are no array", { ...good, a: {} }, "no items to append"],
    ["no items", items(), "no items to append"],
    ["an item that is no object", items(1), "malformed item"],
    ["an item without a value", items({ i: "i" }), "malformed item"],
    ["an item with an unknown member", items({ v: 1, z: 1 }), "malformed item"],
    ["an item with an id and an unknown member", items({ i: "i", v: 1, z: 1 }), "malformed item"],
    ["an empty id", items({ i: "", v: 1 }), "malformed item id"],
    ["an id that is no text", items({ i: 7, v: 1 }), "malformed item id"],
    ["half a character in an id", items({ i: "\ud800", v: 1 }), "malformed item id"],
    ["a long id", items({ i: "é".repeat(ID_BYTES_MAX / 2) + "i", v: 1 }), "malformed item id"],
    ["a deep item", items({ v: nested(STORED_DEPTH_MAX + 1) }), "an item that nests too deep"],
  ])("%s", (_name, value, reason) => {
    expect(parseTranscriptOp(value)).toBe(reason);
  });
});

function nested(depth: number): StoredValue {
  let value: StoredValue = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}
