/** Goal: the checksum is the well-known CRC-32, eight lower-case digits, whole or piece by piece. */
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { crc32Hex, crc32Number } from "../../src/format/crc32.js";

describe("crc32Hex", () => {
  it("gives the published check values", () => {
    expect(crc32Hex("123456789")).toBe("cbf43926");
    expect(crc32Hex("")).toBe("00000000");
    expect(crc32Hex(Buffer.from("a"))).toBe("e8b7be43");
  });

  it("keeps leading zeros and takes text as UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 50 }), (text) => {
        const expected = crc32(Buffer.from(text)).toString(16).padStart(8, "0");
        expect(crc32Hex(text)).toBe(expected);
        expect(crc32Hex(Buffer.from(text))).toBe(expected);
      }),
    );
  });

  it("can be computed in pieces", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (head, tail) => {
        expect(crc32Hex(tail, crc32Number(head))).toBe(crc32Hex(Buffer.concat([head, tail])));
      }),
    );
  });
});
