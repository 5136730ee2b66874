/**
 * Goal: a line says exactly what was written or is malformed, or cannot be read, for any bytes whatever; torn writes are told
 * from damage; and parsing never throws.
 * Method: round trips, a table of malformed lines with good checksums, damage at each byte, and lines glued to each other.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../src/format/crc32.js";
import { LINE_BYTES_MAX, STORED_DEPTH_MAX } from "../../src/format/limits.js";
import {
  composeRecordJson,
  encodeLogLine,
  isTorn,
  parseLogLine,
  parseLogLines,
  type LogLine,
  type LogOp,
  type LogRecord,
} from "../../src/format/log-line.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { logItem } from "../../src/format/transcript-op.js";
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
    const header = { segment: 7, firstRevision: 18001, after: 17950, store: "s", stage: "7-c0ffee42" };
    expect(parseText(JSON.stringify(header))).toEqual({ kind: "header", header });
    expect(parseText('{"seal":8}')).toEqual({ kind: "seal", seal: { seal: 8 } });
    expect(parseText('{"seal":8,"firstRevision":99}')).toEqual({
      kind: "seal",
      seal: { seal: 8, firstRevision: 99 },
    });
    for (const seal of [
      { seal: 8, gap: 120 },
      { seal: 8, gap: 0 },
      { seal: 8, firstRevision: 9, gap: 1 },
    ])
      expect(parseText(JSON.stringify(seal))).toEqual({ kind: "seal", seal });
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
    ["a seal with a gap that is no offset", '{"seal":8,"gap":-1}'],
    ["a seal with a gap that is no offset", '{"seal":8,"gap":"1"}'],
    ["a seal with an unknown member", '{"seal":8,"cut":1}'],
    ["a negative seal", '{"seal":-8}'],
    ["a header without store", '{"segment":7,"firstRevision":1,"after":0,"stage":"x"}'],
    ["a header with more", '{"segment":7,"firstRevision":1,"after":0,"stage":"x","store":"s","y":1}'],
    ["a header with a fraction", '{"segment":7.5,"firstRevision":1,"after":0,"stage":"x","store":"s"}'],
    ["a header with an empty name", '{"segment":7,"firstRevision":1,"after":0,"stage":"","store":"s"}'],
    ["a header of format 1", '{"segment":7,"firstRevision":1,"stage":"x","store":"s"}'],
    [
      "a header whose last commit is its own",
      '{"segment":7,"firstRevision":9,"after":9,"stage":"x","store":"s"}',
    ],
    ["a header after no revision", '{"segment":7,"firstRevision":9,"after":null,"stage":"x","store":"s"}'],
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

  it("cannot read a line that is too long, valid or not", () => {
    const text = `{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"a","s":{"x":"`;
    const room = LINE_BYTES_MAX - 9 - text.length - `"}}]}`.length;
    expect(parseText(`${text}${"x".repeat(room)}"}}]}`).kind).toBe("record");
    expect(parseText(`${text}${"x".repeat(room + 1)}"}}]}`).kind).toBe("unreadable");
  });

  it("says of a line that it cannot read whether there is a NUL byte, as a power cut leaves", () => {
    const line = encodeLogLine(composeRecordJson(good));
    for (const position of [0, 7, 8, 9, 40, line.length - 2]) {
      const holed = Buffer.from(line);
      holed[position] = 0;
      expect(parse(holed)).toMatchObject({ kind: "unreadable", zeros: true });
      holed[position] = 1;
      expect(parse(holed)).toMatchObject({ kind: "unreadable", zeros: false });
    }
    expect(parse(Buffer.from("\0\n"))).toMatchObject({ kind: "unreadable", zeros: true });
    expect(parse(Buffer.from("\n"))).toMatchObject({ kind: "unreadable", zeros: false });
    // Beyond the line is another line.
    expect(parseLogLine(Buffer.from("x\n\0\0"), 0, 1)).toMatchObject({ kind: "unreadable", zeros: false });
  });

  it("finds invalid UTF-8 malformed, even with a good checksum", () => {
    const json = Buffer.from('{"w":"a","n":1,"g":7,"t":1,"ops":[{"k":"aX","b":1}]}');
    json[json.indexOf("X")] = 0xff;
    const line = Buffer.concat([Buffer.from(`${crc32Hex(json)} `), json, Buffer.from("\n")]);
    expect(parse(line)).toEqual({ kind: "malformed", reason: "not UTF-8" });
  });

  it("cannot read a line with any changed bit, nor any piece of it", () => {
    const line = encodeLogLine(composeRecordJson(good));
    for (let position = 0; position < line.length - 1; position++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Buffer.from(line);
        changed[position] = (changed[position] ?? 0) ^ (1 << bit);
        expect(parse(changed).kind).toBe("unreadable");
      }
      expect(parseLogLine(line, 0, position).kind).toBe("unreadable");
      expect(parse(Buffer.concat([line.subarray(0, position + 1), line])).kind).toBe("unreadable");
    }
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(parseLogLine(Buffer.from(bytes), 0, bytes.length).kind).toBe("unreadable");
      }),
    );
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(parseText(json).kind).not.toBe("unreadable");
      }),
    );
  });
});

/** What stands between two newlines, as "kind@offset". */
function pieces(...parts: (Buffer | string)[]): string[] {
  const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const padded = Buffer.concat([Buffer.from("before\n"), bytes, Buffer.from("\nbehind")]);
  const placed = parseLogLines(padded, 7, 7 + bytes.length);
  return placed.map(({ at, line }) => `${line.kind}@${at - 7}`);
}

/** A line without its newline. */
function bare(json: string): Buffer {
  return encodeLogLine(json).subarray(0, -1);
}

const WHOLE = bare(composeRecordJson(good));
const HEADER = bare('{"segment":7,"firstRevision":9,"after":8,"stage":"7-a","store":"s"}');
const SEAL = bare('{"seal":8}');
const LINES: [string, Buffer][] = [
  ["a record", WHOLE],
  ["a header", HEADER],
  ["a seal", SEAL],
];

describe("parseLogLines: lines that are glued to torn writes", () => {
  it.each(LINES)("%s by itself is one line", (_name, line) => {
    expect(pieces(line)).toEqual([expect.stringMatching(/^(record|header|seal)@0$/)]);
  });

  it.each(LINES)(
    "what is left of %s, whatever its length, counts for nothing, and the line behind it counts",
    (_name, torn) => {
      for (let length = 1; length < torn.length; length++) {
        expect(pieces(torn.subarray(0, length), WHOLE), `${length} bytes`).toEqual([`record@${length}`]);
        expect(pieces(torn.subarray(0, length), SEAL), `${length} bytes`).toEqual([`seal@${length}`]);
      }
    },
  );

  it("what cannot be read behind them may have been one line with them: it begins where they do", () => {
    const torn = WHOLE.subarray(0, 40);
    const damaged = Buffer.from(WHOLE);
    damaged[30] = (damaged[30] ?? 0) ^ 1;
    const bytes = Buffer.concat([torn, damaged]);
    expect(parseLogLines(bytes, 0, bytes.length)).toMatchObject([
      { at: 40, from: 0, line: { kind: "unreadable" } },
    ]);
    const whole = Buffer.concat([torn, WHOLE]);
    expect(parseLogLines(whole, 0, whole.length)).toMatchObject([
      { at: 40, from: 0, line: { kind: "record" } },
    ]);
  });

  it("so do several, though of the shortest ones it does not show where they begin", () => {
    const lengths = [...Array.from({ length: 14 }, (_, index) => index + 1), 40, 89, WHOLE.length - 1];
    for (const first of lengths)
      for (const second of lengths)
        for (const third of lengths) {
          const torn = [first, second, third].map((length) => WHOLE.subarray(0, length));
          expect(pieces(...torn, SEAL), `${first}, ${second}, ${third}`).toEqual([
            `seal@${first + second + third}`,
          ]);
        }
  });

  it("a line that lacks only its newline counts at its own place", () => {
    expect(pieces(WHOLE, SEAL)).toEqual(["record@0", `seal@${WHOLE.length}`]);
    expect(pieces("0a1b", WHOLE, WHOLE.subarray(0, 50), SEAL)).toEqual([
      "record@4",
      `seal@${4 + WHOLE.length + 50}`,
    ]);
  });

  it.each(LINES)("%s that lacks only its newline counts, though others were torn behind it", (name, line) => {
    const kind = name.replace(/^an? /, "");
    for (let length = 1; length < SEAL.length; length++) {
      const behind = Buffer.concat([SEAL.subarray(0, length), WHOLE.subarray(0, 13 - Math.min(length, 12))]);
      for (const torn of [SEAL.subarray(0, length), behind]) {
        const at = line.length + torn.length;
        const found = pieces(line, torn, WHOLE);
        expect([found[0], found.at(-1), found.length], `${length}`).toEqual([`${kind}@0`, `record@${at}`, 2]);
        const end = Buffer.concat([line, torn]);
        expect(isTorn(end, 0, end.length), `${length}`).toBe(true);
        expect(pieces("0a1b", line, torn, WHOLE)).toEqual([`${kind}@4`, `record@${at + 4}`]);
      }
    }
  });

  it("behind a complete line more than a few short beginnings are no accident", () => {
    const many = "0a1b2c3d".repeat(8);
    expect(pieces(WHOLE, many.slice(0, 60), SEAL)).toEqual(["record@0", `seal@${WHOLE.length + 60}`]);
    expect(pieces(WHOLE, many, SEAL)).toEqual(["unreadable@0", `seal@${WHOLE.length + 64}`]);
    const end = Buffer.concat([WHOLE, Buffer.from(many)]);
    expect(isTorn(end, 0, end.length)).toBe(false);
  });

  it("a malformed line that lacks only its newline is one", () => {
    expect(pieces(bare('{"seal":-8}'), SEAL)).toEqual(["malformed@0", `seal@${bare('{"seal":-8}').length}`]);
  });

  it("a value that looks like the beginning of a line is none", () => {
    for (const text of [
      '0a1b2c3d {"w',
      "0a1b2c3d {",
      '0a1b2c3d {"',
      '0a1b2c3d {"s":1}',
      '\\0a1b2c3d {\\"w',
    ]) {
      const json = composeRecordJson({
        ...good,
        ops: [{ k: text, s: { [text]: [text, "w", text], [`${text}2`]: text, w: 1 } }],
      });
      const line = bare(json);
      expect(pieces(line)).toEqual(["record@0"]);
      for (let length = 1; length < line.length; length++)
        expect(pieces(line.subarray(0, length), WHOLE), `${text} ${length}`).toEqual([`record@${length}`]);
      const changed = Buffer.from(line);
      changed[line.length - 3] = 0x78;
      expect(pieces(changed), text).toEqual(["unreadable@0"]);
    }
  });

  it.each([
    ["a NUL byte", 0],
    ["a control byte", 0x1f],
  ])("a piece with %s is no torn write", (_name, byte) => {
    for (const position of [0, 8, 9, 10, 40, 89]) {
      const torn = Buffer.from(WHOLE.subarray(0, 90));
      torn[position] = byte;
      expect(pieces(torn, SEAL)).toEqual(["unreadable@0", "seal@90"]);
    }
  });

  it.each([0x00, 0x1f])("a piece with byte %i behind a backslash is no torn write", (byte) => {
    const torn = Buffer.concat([WHOLE.subarray(0, 16), Buffer.from("\\"), Buffer.from([byte])]);
    expect(pieces(torn, SEAL)).toEqual(["unreadable@0", `seal@${torn.length}`]);
  });

  it("a piece that begins like no line is no torn write", () => {
    for (const torn of ["x", "0a1b2c3D", "0a1b2c3d x", "0a1b2c3d  {", "0a1b2c3d [1", "}]}"])
      expect(pieces(torn, SEAL)).toEqual(["unreadable@0", `seal@${torn.length}`]);
  });

  it("a complete line with a wrong checksum, or with something behind it, is no torn write", () => {
    const changed = Buffer.from(WHOLE);
    changed[0] = changed[0] === 0x30 ? 0x31 : 0x30;
    expect(pieces(changed, SEAL)).toEqual(["unreadable@0", `seal@${WHOLE.length}`]);
    expect(pieces(changed, "0a1b", SEAL)).toEqual(["unreadable@0", `seal@${WHOLE.length + 4}`]);
    for (const behind of [" ", "x", "}", "0A1B"])
      expect(pieces(WHOLE, behind, SEAL)).toEqual(["unreadable@0", `seal@${WHOLE.length + behind.length}`]);
  });

  it("what a newline ends is no torn write: nobody ends one", () => {
    for (let length = 1; length < WHOLE.length; length += 3) {
      expect(pieces(WHOLE.subarray(0, length))).toEqual(["unreadable@0"]);
      expect(pieces(WHOLE.subarray(0, 50), WHOLE.subarray(0, length))[0]).toMatch(/^unreadable@/);
    }
    expect(pieces("")).toEqual([]);
  });
});

describe("isTorn: what may stand at the end of a segment", () => {
  const torn = (...parts: (Buffer | string)[]): boolean => {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part)));
    return isTorn(Buffer.concat([Buffer.from("\n"), bytes, Buffer.from("x")]), 1, 1 + bytes.length);
  };

  it("beginnings of lines, and lines that lack only their newline", () => {
    expect(torn()).toBe(true);
    for (let length = 1; length <= WHOLE.length; length++) {
      expect(torn(WHOLE.subarray(0, length))).toBe(true);
      expect(torn(WHOLE.subarray(0, 5), WHOLE.subarray(0, length))).toBe(true);
      expect(torn(WHOLE, WHOLE.subarray(0, length))).toBe(true);
      expect(torn(WHOLE.subarray(0, length), SEAL.subarray(0, 12))).toBe(true);
    }
  });

  it("nothing else", () => {
    const changed = Buffer.from(WHOLE);
    changed[3] = changed[3] === 0x30 ? 0x31 : 0x30;
    expect(torn(changed)).toBe(false);
    expect(torn(WHOLE.subarray(0, 20), changed)).toBe(false);
    expect(torn(changed, WHOLE.subarray(0, 20))).toBe(false);
    expect(torn(Buffer.alloc(5))).toBe(false);
    expect(torn(WHOLE.subarray(0, 20), "\0")).toBe(false);
    expect(torn(WHOLE, "x")).toBe(false);
    expect(torn("xyz")).toBe(false);
  });
});

it("a line is what it says itself, whatever a program has put on Object.prototype", () => {
  const shared: object = Object.prototype;
  for (const name of ["ops", "segment", "seal"])
    Object.defineProperty(shared, name, { value: [], configurable: true });
  try {
    expect(parse(encodeLogLine(composeRecordJson(good))).kind).toBe("record");
    expect(parse(encodeLogLine('{"seal":8}')).kind).toBe("seal");
    const header = '{"segment":1,"firstRevision":1,"after":0,"stage":"1-a","store":"s"}';
    expect(parse(encodeLogLine(header)).kind).toBe("header");
    expect(parse(encodeLogLine("{}")).kind).toBe("malformed");
  } finally {
    for (const name of ["ops", "segment", "seal"]) Reflect.deleteProperty(shared, name);
  }
});

describe("a record with transcripts", () => {
  const HASH = "0123456789abcdef".repeat(4);
  const whole: LogRecord = {
    ...good,
    o: ['pay "now"', HASH],
    transcripts: [
      { k: "set without base", l: "main", h: "none", a: [logItem('{"a":1}', "x")] },
      { k: "set without base", l: "other", b: 7, r: 1 },
      { k: "other key", l: "main", b: 7, v: 3 },
    ],
  };

  it("is spelled so", () => {
    const { ops, transcripts } = whole;
    const json = composeRecordJson({
      ...whole,
      ops: ops.slice(5, 6),
      transcripts: transcripts?.slice(0, 1) ?? [],
    });
    expect(json).toBe(
      `{"w":"0a1b","n":17,"g":7,"t":1795200000000,"o":["pay \\"now\\"","${HASH}"],"ops":[{"k":"e","d":1}],` +
        '"transcripts":[{"k":"set without base","l":"main","h":0,"a":[{"i":"x","v":{"a":1}}]}]}',
    );
  });

  it.each<[string, LogRecord]>([
    ["with everything", whole],
    ["without sessions", { ...whole, ops: [] }],
    ["without an operation", { ...good, transcripts: whole.transcripts ?? [] }],
    ["with an operation only", { ...good, o: ["x", HASH] }],
  ])("is read back: %s", (_name, given) => {
    expect(parseText(composeRecordJson(given))).toEqual({
      kind: "record",
      record: { ...given, ops: reparsed(given).ops },
    });
  });

  it("may check a transcript of a session that it deletes", () => {
    const ops = [{ k: "k", d: 1 }] as const;
    const json = composeRecordJson({ ...good, ops, transcripts: [{ k: "k", l: "main", b: 7, v: 3 }] });
    expect(parseText(json).kind).toBe("record");
  });

  const made = { k: "k", l: "main", b: 7, a: [{ v: 1 }] };
  const text = (members: object): string => JSON.stringify({ w: "w", n: 1, g: 1, t: 1, ops: [], ...members });

  it.each<[string, object, string]>([
    ["no change at all", {}, "a record without ops"],
    ["no change but an operation", { o: ["x", HASH] }, "a record without ops"],
    ["an empty list of transcripts", { transcripts: [] }, "a record without transcripts"],
    ["transcripts that are no list", { transcripts: made }, "a record without transcripts"],
    ["a malformed change", { transcripts: [{ ...made, z: 1 }] }, "an op with an unknown member"],
    ["a transcript twice", { transcripts: [made, { ...made, b: 8 }] }, "a transcript occurs twice"],
    [
      "a change of a transcript of a session that it deletes",
      { ops: [{ k: "k", d: 1 }], transcripts: [made] },
      "a change of a transcript of a deleted session",
    ],
    ["an operation that is a text", { o: "x", transcripts: [made] }, "malformed operation"],
    ["an operation without a hash", { o: ["x"], transcripts: [made] }, "malformed operation"],
    ["an operation with a third part", { o: ["x", HASH, 1], transcripts: [made] }, "malformed operation"],
    ["an operation without a name", { o: ["", HASH], transcripts: [made] }, "malformed operation"],
    ["a short hash", { o: ["x", HASH.slice(1)], transcripts: [made] }, "malformed operation"],
    ["a hash in capitals", { o: ["x", HASH.toUpperCase()], transcripts: [made] }, "malformed operation"],
    ["an unknown member", { z: 1, transcripts: [made] }, "malformed record"],
  ])("is malformed with %s", (_name, members, reason) => {
    expect(parseText(text(members))).toEqual({ kind: "malformed", reason });
  });
});

describe("a header that says when a chunk is full", () => {
  const header = { segment: 3, firstRevision: 9, after: 8, stage: "3-a", store: "s" };

  it("is read back", () => {
    const given = { ...header, chunk: 900 };
    expect(parseText(JSON.stringify(given))).toEqual({ kind: "header", header: given });
  });

  it.each([
    ["a text", "900"],
    ["a fraction", 0.5],
    ["a negative number", -1],
    ["null", null],
  ])("is malformed with %s", (_name, chunk) => {
    expect(parseText(JSON.stringify({ ...header, chunk })).kind).toBe("malformed");
  });

  it("or something else is malformed", () => {
    expect(parseText(JSON.stringify({ ...header, other: 900 })).kind).toBe("malformed");
    expect(parseText(JSON.stringify({ ...header, chunk: 900, other: 1 })).kind).toBe("malformed");
  });
});
