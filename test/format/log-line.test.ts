/**
 * Goal: a line says exactly what was written or is malformed, for any bytes whatever, and parsing never throws.
 * Method: round trips, a table of malformed lines with good checksums, and damage at each byte.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../src/format/crc32.js";
import { LINE_BYTES_MAX, STORED_DEPTH_MAX } from "../../src/format/limits.js";
import {
  composeRecordJson,
  encodeLogLine,
  parseLogLine,
  type LogLine,
  type LogOp,
  type LogRecord,
} from "../../src/format/log-line.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { entry, reparsed } from "./arbitraries.js";

function parse(line: Buffer): LogLine {
  return parseLogLine(line, 0, line.length - 1);
}

/** The line that a text with a good checksum makes. */
function parseText(json: string): LogLine {
  return parse(encodeLogLine(json));
}

function record(...ops: object[]): string {
  return JSON.stringify({ w: "0a1b", n: 17, g: 7, t: 1795200000000, ops });
}

const good: LogRecord = {
  w: "0a1b",
  n: 17,
  g: 7,
  t: 1795200000000,
  ops: [
    { k: "agent:main:main", b: 0, s: { a: 1, "é\ud800": ["x", null] } },
    { k: "set without base", s: {} },
    { k: "__proto__", b: 12, p: { c: false }, u: ["__proto__", "b"] },
    { k: "p", b: 12, p: {} },
    { k: "d", b: 3, d: 1 },
    { k: "e", d: 1 },
    { k: "check", b: 0 },
  ],
};

describe("encodeLogLine", () => {
  it("puts checksum and space in front and a newline behind", () => {
    expect(encodeLogLine('{"seal":8}').toString()).toBe(`${crc32Hex('{"seal":8}')} {"seal":8}\n`);
    expect(encodeLogLine('{"a":"é😀"}').toString()).toBe(`${crc32Hex('{"a":"é😀"}')} {"a":"é😀"}\n`);
  });
});

describe("composeRecordJson", () => {
  it("is what JSON.stringify gives for members in their order", () => {
    expect(composeRecordJson(good)).toBe(JSON.stringify(good));
    const shuffled = { ops: [{ p: {}, b: 1, k: 'q"\n' }], t: 4, g: 3, n: 2, w: "w" } satisfies LogRecord;
    expect(composeRecordJson(shuffled)).toBe(
      '{"w":"w","n":2,"g":3,"t":4,"ops":[{"k":"q\\"\\n","b":1,"p":{}}]}',
    );
  });

  it("leaves out names to remove when there are none", () => {
    expect(composeRecordJson({ ...good, ops: [{ k: "a", b: 1, p: {}, u: [] }] })).not.toContain('"u"');
  });
});

describe("parseLogLine", () => {
  it("reads a record back", () => {
    expect(parseText(composeRecordJson(good))).toEqual({ kind: "record", record: reparsed(good) });
  });

  it("reads a line in the middle of a buffer", () => {
    const line = encodeLogLine(composeRecordJson(good));
    const buffer = Buffer.concat([Buffer.from("\0before\n"), line, Buffer.from("after\0")]);
    expect(parseLogLine(buffer, 8, 8 + line.length - 1).kind).toBe("record");
  });

  it("reads headers and seals", () => {
    const header = { segment: 7, firstRevision: 18001, store: "s", stage: "7-c0ffee42" };
    expect(parseText(JSON.stringify(header))).toEqual({ kind: "header", header });
    expect(parseText('{"seal":8}')).toEqual({ kind: "seal", seal: { seal: 8 } });
    expect(parseText('{"seal":8,"firstRevision":99}')).toEqual({
      kind: "seal",
      seal: { seal: 8, firstRevision: 99 },
    });
  });

  it("takes records of any entries", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, unit: "binary" }), { minLength: 1, maxLength: 4 }),
        entry,
        (keys, s) => {
          const ops: LogOp[] = keys.map((k, index) =>
            index % 2 === 0
              ? { k, s: s as StoredObject }
              : { k, b: 1 + index, p: s as StoredObject, u: ["$x"] },
          );
          const composed = composeRecordJson({ ...good, ops });
          const line = parseText(composed);
          expect(line.kind).toBe("record");
          if (line.kind === "record") expect(composeRecordJson(line.record)).toBe(composed);
        },
      ),
    );
  });

  it("leaves the prototype alone", () => {
    const line = parseText(record({ k: "a", s: JSON.parse('{"__proto__":{"polluted":1}}') as object }));
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(line.kind === "record" && Object.keys(line.record.ops[0]?.s ?? {})).toEqual(["__proto__"]);
  });

  it.each([
    ["an empty text", ""],
    ["no JSON", "{"],
    ["trailing garbage", '{"seal":8} x'],
    ["a byte order mark", '\ufeff{"seal":8}'],
    ["null", "null"],
    ["an array", "[]"],
    ["a number", "1"],
    ["an empty object", "{}"],
    ["an unknown kind", '{"truncate":8}'],
    ["a seal of text", '{"seal":"8"}'],
    ["a seal with more", '{"seal":8,"x":1}'],
    ["a seal with null", '{"seal":8,"firstRevision":null}'],
    ["a negative seal", '{"seal":-8}'],
    ["a header without store", '{"segment":7,"firstRevision":1,"stage":"x"}'],
    ["a header with more", '{"segment":7,"firstRevision":1,"stage":"x","store":"s","y":1}'],
    ["a header with a fraction", '{"segment":7.5,"firstRevision":1,"stage":"x","store":"s"}'],
    ["a header with an empty name", '{"segment":7,"firstRevision":1,"stage":"","store":"s"}'],
    ["no ops", record()],
    ["ops that are no array", '{"w":"a","n":1,"g":7,"t":1,"ops":{}}'],
    ["an unknown member of a record", '{"w":"a","n":1,"g":7,"t":1,"x":1,"ops":[{"k":"a","b":1}]}'],
    ["a record without writer", '{"n":1,"g":7,"t":1,"ops":[{"k":"a","b":1}]}'],
    ["a record with __proto__", '{"__proto__":{"w":"a"},"n":1,"g":7,"t":1,"ops":[{"k":"a","b":1}]}'],
    ["a negative n", '{"w":"a","n":-1,"g":7,"t":1,"ops":[{"k":"a","b":1}]}'],
    ["a huge n", '{"w":"a","n":1e300,"g":7,"t":1,"ops":[{"k":"a","b":1}]}'],
    ["a fraction of time", '{"w":"a","n":1,"g":7,"t":1.5,"ops":[{"k":"a","b":1}]}'],
    ["an op of null", '{"w":"a","n":1,"g":7,"t":1,"ops":[null]}'],
    ["an op that is an array", '{"w":"a","n":1,"g":7,"t":1,"ops":[[]]}'],
    ["an op without key", record({ b: 1 })],
    ["an empty key", record({ k: "", b: 1 })],
    ["a key that is no string", record({ k: 1, b: 1 })],
    ["a key of half a character", record({ k: "\ud800", b: 1 })],
    ["an unknown member of an op", record({ k: "a", b: 1, x: 1 })],
    ["a negative base", record({ k: "a", b: -1 })],
    ["a base that is a fraction", record({ k: "a", b: 1.5 })],
    ["a base beyond exact integers", '{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"a","b":9007199254740992}]}'],
    ["a set of an array", record({ k: "a", s: [] })],
    ["a set of null", record({ k: "a", s: null })],
    ["a patch of a string", record({ k: "a", b: 1, p: "x" })],
    ["a patch without base", record({ k: "a", p: {} })],
    ["a patch with base 0", record({ k: "a", b: 0, p: {} })],
    ["a check without base", record({ k: "a" })],
    ["a delete of 2", record({ k: "a", d: 2 })],
    ["set and delete", record({ k: "a", s: {}, d: 1 })],
    ["set and patch", record({ k: "a", b: 1, s: {}, p: {} })],
    ["names without patch", record({ k: "a", b: 1, u: ["x"] })],
    ["names with set", record({ k: "a", b: 1, s: {}, u: ["x"] })],
    ["names that are no strings", record({ k: "a", b: 1, p: {}, u: [1] })],
    ["names that are no array", record({ k: "a", b: 1, p: {}, u: "x" })],
    ["a key that occurs twice", record({ k: "a", b: 1 }, { k: "b", d: 1 }, { k: "a", s: {} })],
  ])("finds malformed: %s", (_, json) => {
    expect(parseText(json)).toEqual({ kind: "malformed", reason: expect.any(String) });
  });

  it("finds an entry that nests too deep malformed, and survives any depth", () => {
    const nest = (levels: number): string => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
    const line = (levels: number): LogLine =>
      parseText(`{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"a","s":${nest(levels)}}]}`);
    expect(line(STORED_DEPTH_MAX).kind).toBe("record");
    expect(line(STORED_DEPTH_MAX + 1)).toEqual({ kind: "malformed", reason: "an entry that nests too deep" });
    expect(line(100_000).kind).toBe("malformed");
    expect(parseText("[".repeat(1_000_000)).kind).toBe("malformed");
    expect(parseText("[".repeat(1_000_000) + "]".repeat(1_000_000)).kind).toBe("malformed");
  });

  it("finds a line malformed that is too long, valid or not", () => {
    const text = `{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"a","s":{"x":"`;
    const room = LINE_BYTES_MAX - 9 - text.length - `"}}]}`.length;
    expect(parseText(`${text}${"x".repeat(room)}"}}]}`).kind).toBe("record");
    expect(parseText(`${text}${"x".repeat(room + 1)}"}}]}`).kind).toBe("malformed");
  });

  it("calls any line with a NUL byte a hole", () => {
    const line = encodeLogLine(composeRecordJson(good));
    for (const position of [0, 7, 8, 9, 40, line.length - 2]) {
      const holed = Buffer.from(line);
      holed[position] = 0;
      expect(parse(holed)).toEqual({ kind: "hole" });
    }
    expect(parse(Buffer.from("\0\n"))).toEqual({ kind: "hole" });
    expect(parse(encodeLogLine('{"seal":"\0"}'))).toEqual({ kind: "hole" });
    // Beyond the line is another line.
    expect(parseLogLine(Buffer.from("x\n\0\0"), 0, 1).kind).toBe("malformed");
  });

  it("finds invalid UTF-8 malformed, even with a good checksum", () => {
    const json = Buffer.from('{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"aX","b":1}]}');
    json[json.indexOf("X")] = 0xff;
    const line = Buffer.concat([Buffer.from(`${crc32Hex(json)} `), json, Buffer.from("\n")]);
    expect(parse(line)).toEqual({ kind: "malformed", reason: "not UTF-8" });
  });

  it("notices each changed bit, each cut and each glued line", () => {
    const line = encodeLogLine(composeRecordJson(good));
    for (let position = 0; position < line.length - 1; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(line);
        changed[position] = (changed[position] ?? 0) ^ (1 << bit);
        expect(["malformed", "hole"]).toContain(parse(changed).kind);
      }
      expect(parseLogLine(line, 0, position).kind).toBe("malformed");
      expect(parse(Buffer.concat([line.subarray(0, position + 1), line])).kind).toBe(
        position < line.length ? "malformed" : "record",
      );
    }
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(["malformed", "hole"]).toContain(parseLogLine(Buffer.from(bytes), 0, bytes.length).kind);
      }),
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(parseText(json)).toHaveProperty("kind");
      }),
    );
  });
});

it("a line is what it says itself, whatever a program has put on Object.prototype", () => {
  const shared: object = Object.prototype;
  for (const name of ["ops", "segment", "seal"])
    Object.defineProperty(shared, name, { value: [], configurable: true });
  try {
    expect(parse(encodeLogLine(composeRecordJson(good))).kind).toBe("record");
    expect(parse(encodeLogLine('{"seal":8}')).kind).toBe("seal");
    expect(parse(encodeLogLine('{"segment":1,"firstRevision":1,"stage":"1-a","store":"s"}')).kind).toBe(
      "header",
    );
    expect(parse(encodeLogLine("{}")).kind).toBe("malformed");
  } finally {
    for (const name of ["ops", "segment", "seal"]) Reflect.deleteProperty(shared, name);
  }
});
