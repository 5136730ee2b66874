/**
 * Goal: every process writes the same bytes for the same item and knows their number beforehand, people's tools read them, and a line
 * that is not exactly as it was written is damaged.
 * Method: lines spelled out, round trips of any values, and one bit flipped at every place.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32Hex } from "../../src/format/crc32.js";
import {
  chunkHeaderBytes,
  composeChunkHeader,
  composeItemLine,
  isInline,
  itemLineBytes,
  parseChunkHeader,
  parseItemLine,
  peekItemLine,
  PEEK_BYTES,
  type ChunkHeader,
  type ItemHeader,
} from "../../src/format/transcript-lines.js";
import { logItem } from "../../src/format/transcript-op.js";

const HEADER: ChunkHeader = { first: 5, since: 17, cut: 20, last: 9, before: 4, gone: 0 };
const PLAIN: ItemHeader = { seq: 1, revision: 17, time: 1795231551994, position: 1, gone: 0, id: undefined };
const COUNT = fc.nat(Number.MAX_SAFE_INTEGER);

const withoutNewline = (line: Buffer): Buffer => line.subarray(0, -1);

/** The checksum, put where the zeros are. */
function sealed(text: string): Buffer {
  return Buffer.from(text.replace("00000000", crc32Hex(text)));
}

describe("a chunk's first line", () => {
  it("is spelled so", () => {
    const line = composeChunkHeader('a"b', "tool calls", HEADER).toString();
    const zeros =
      '{"$items":{"key":"a\\"b","transcript":"tool calls","first":5,"since":17,"cut":20,"last":9,"before":4,"crc":"00000000"}}';
    expect(line).toBe(`${sealed(zeros).toString()}\n`);
  });

  it("tells of trimmed items where there are such", () => {
    const line = composeChunkHeader("a", "b", { ...HEADER, gone: 3 });
    expect(line.toString()).toContain('"before":4,"gone":3,"crc":"');
    expect(parseChunkHeader(withoutNewline(line))).toEqual({
      key: "a",
      transcript: "b",
      header: { ...HEADER, gone: 3 },
    });
  });

  it("is read back, and its bytes are known beforehand", () => {
    const header = fc.record({
      first: COUNT,
      since: COUNT,
      cut: COUNT,
      last: COUNT,
      before: COUNT,
      gone: COUNT,
    });
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        header,
        (key, transcript, given) => {
          const line = composeChunkHeader(key, transcript, given);
          expect(chunkHeaderBytes(key, transcript, given)).toBe(line.length);
          expect(line.indexOf("\n")).toBe(line.length - 1);
          expect(parseChunkHeader(withoutNewline(line))).toEqual({ key, transcript, header: given });
        },
      ),
    );
  });

  it("is damaged by any bit", () => {
    const line = withoutNewline(composeChunkHeader("key", "main", { ...HEADER, gone: 3 }));
    for (const flipped of flips(line)) expect(parseChunkHeader(flipped)).toBeUndefined();
  });

  it.each([
    ["an item's line", '{"$item":{"key":"k","transcript":"t","crc":"00000000"}}'],
    [
      "members in another order",
      '{"$items":{"transcript":"t","key":"k","first":1,"since":1,"cut":1,"last":0,"before":0,"crc":"00000000"}}',
    ],
    [
      "a member more",
      '{"$items":{"key":"k","transcript":"t","first":1,"since":1,"cut":1,"last":0,"before":0,"gone":0,"crc":"00000000"}}',
    ],
    [
      "one that has something behind it",
      '{"$items":{"key":"k","transcript":"t","first":1,"since":1,"cut":1,"last":0,"before":0,"crc":"00000000"}} ',
    ],
    [
      "a key that is no text",
      '{"$items":{"key":7,"transcript":"t","first":1,"since":1,"cut":1,"last":0,"before":0,"crc":"00000000"}}',
    ],
    [
      "a name that is no text",
      '{"$items":{"key":"k","transcript":null,"first":1,"since":1,"cut":1,"last":0,"before":0,"crc":"00000000"}}',
    ],
    ["no JSON", '{"$items":{"key":"k",,"crc":"00000000"}}'],
    ["one without a checksum", '{"$items":{"key":"k"}}'],
    ["nothing", ""],
  ])("%s is none, though its checksum is right", (_name, text) => {
    expect(parseChunkHeader(sealed(text))).toBeUndefined();
  });
});

describe("an item's line", () => {
  it.each<[string, string, Partial<ItemHeader>, string]>([
    ["an object", '{"role":"user"}', {}, ',"crc":"00000000"},"role":"user"}'],
    ["an empty object", "{}", {}, ',"crc":"00000000"}}'],
    ["a text", '"hi"', {}, ',"crc":"00000000"},"$value":"hi"}'],
    ["an array", "[1,2]", {}, ',"crc":"00000000"},"$value":[1,2]}'],
    ["null", "null", {}, ',"crc":"00000000"},"$value":null}'],
    [
      "an object that could be taken for a header",
      '{"$item":{}}',
      {},
      ',"crc":"00000000"},"$value":{"$item":{}}}',
    ],
    ["an object with a dollar further down", '{"a":{"$b":1}}', {}, ',"crc":"00000000"},"a":{"$b":1}}'],
    ["one with an id", "1", { id: 'u"1' }, ',"id":"u\\"1","crc":"00000000"},"$value":1}'],
    ["one behind a truncation", "1", { position: 0 }, ',"position":0,"crc":"00000000"},"$value":1}'],
    ["one behind trimmed ones", "1", { gone: 4 }, ',"gone":4,"crc":"00000000"},"$value":1}'],
    [
      "one with everything",
      "{}",
      { position: 3, gone: 2, id: "x" },
      ',"position":3,"gone":2,"id":"x","crc":"00000000"}}',
    ],
  ])("of %s is spelled so", (_name, json, given, end) => {
    const line = composeItemLine({ ...PLAIN, ...given }, json);
    const zeros = `{"$item":{"seq":1,"revision":17,"time":1795231551994${end}`;
    expect(line.toString()).toBe(`${sealed(zeros).toString()}\n`);
    expect(JSON.parse(line.toString())).toHaveProperty("$item");
  });

  it("is read back, and its bytes are known beforehand", () => {
    const header = fc.record({
      seq: COUNT,
      revision: COUNT,
      time: COUNT,
      position: COUNT,
      gone: COUNT,
      id: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
    });
    const value = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(fc.constantFrom("$a", "b", "$item"), fc.jsonValue()),
    );
    fc.assert(
      fc.property(header, value, (given, any) => {
        const json = JSON.stringify(any);
        const line = composeItemLine(given, json);
        expect(itemLineBytes(given, logItem(json, given.id))).toBe(line.length);
        expect(line.indexOf("\n")).toBe(line.length - 1);
        const item: unknown = JSON.parse(json);
        const raw = withoutNewline(line);
        const before = Buffer.from(raw);
        expect(parseItemLine(raw)).toEqual({ ...given, item, raw: before });
        expect(raw).toEqual(before); // what was somewhere else for a moment is back
        expect(peekItemLine(line)).toEqual({ seq: given.seq, position: given.position });
      }),
    );
  });

  it("is damaged by any bit", () => {
    const line = withoutNewline(composeItemLine({ ...PLAIN, id: "x" }, '{"text":"é"}'));
    for (const flipped of flips(line)) expect(parseItemLine(flipped)).toBeUndefined();
  });

  it.each([
    ["a chunk's first line", '{"$items":{"seq":1,"crc":"00000000"}}'],
    ["a value that is no JSON", '{"$item":{"seq":1,"revision":1,"time":1,"crc":"00000000"},"$value":}'],
    ["a header that does not end there", '{"$item":{"seq":1,"revision":1,"time":1,"crc":"00000000","a":1}}'],
    ["a header that is no JSON", '{"$item":{"seq":,"crc":"00000000"}}'],
    ["one without a checksum", '{"$item":{"seq":1}}'],
  ])("%s is none, though its checksum is right", (_name, text) => {
    expect(parseItemLine(sealed(text))).toBeUndefined();
  });

  it.each(["é", "\u0001", "x"])("has an id of any length: 200 times %j", (character) => {
    const id = character.repeat(200);
    const line = composeItemLine({ ...PLAIN, id }, '{"text":"é"}');
    expect(parseItemLine(withoutNewline(line))).toMatchObject({ id, item: { text: "é" } });
  });

  it("a checksum in the item is not taken for the line's", () => {
    const line = composeItemLine({ ...PLAIN, id: ',"crc":"x' }, '{"crc":"00000000","$x":1}');
    expect(parseItemLine(withoutNewline(line))).toMatchObject({ id: ',"crc":"x', item: { $x: 1 } });
  });
});

describe("the beginning of a line", () => {
  it("tells number and position, also of a line whose rest is damaged", () => {
    const line = composeItemLine({ ...PLAIN, seq: 8, position: 6 }, '{"text":"long"}');
    line.fill(0, line.length - 8);
    expect(peekItemLine(line)).toEqual({ seq: 8, position: 6 });
  });

  it("has both in as many bytes as are looked at", () => {
    const most = Number.MAX_SAFE_INTEGER;
    const line = composeItemLine(
      { ...PLAIN, seq: most, revision: most, time: most, position: most - 1 },
      "1",
    );
    expect(peekItemLine(line.subarray(0, PEEK_BYTES))).toEqual({ seq: most, position: most - 1 });
  });

  it.each(["", '{"$item":{"seq":', '{"$items":{"seq":1,"revision":1,"time":1,', '{"$item":{"seq":1x,'])(
    "of no item tells nothing: %s",
    (text) => {
      expect(peekItemLine(Buffer.from(text))).toBeUndefined();
    },
  );
});

describe("an item stands inline", () => {
  it.each<[string, boolean]>([
    ["{}", true],
    ['{"a":"$b"}', true],
    ['{"a":{"$b":1}}', true],
    ['{"$a":1}', false],
    ['{"a":1,"$b":1}', false],
    ["[]", false],
    ['"{"', false],
    ["0", false],
  ])("if it is an object without names that begin with a dollar: %s %s", (json, inline) => {
    expect(isInline(json)).toBe(inline);
  });
});

function* flips(line: Buffer): Generator<Buffer> {
  for (let at = 0; at < line.length; at++)
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(line);
      flipped[at] = (line[at] as number) ^ (1 << bit);
      yield flipped;
    }
}
