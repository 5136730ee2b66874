/**
 * CRC-32 as the store writes it: eight lower-case hex digits.
 *
 * It finds damage, not malice: every changed bit and every burst of up to 32 bits is noticed for certain, and
 * anything else with a probability of all but one in four thousand million.
 */
import { crc32 } from "node:zlib";

/** Number of hex digits of a checksum. */
export const CRC_DIGITS = 8;

const HEX_OF_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0"),
);

/**
 * Checksum of bytes, or of a text's UTF-8, as eight lower-case hex digits.
 * @param before Numeric checksum of what precedes the bytes; see {@link crc32Number}.
 */
export function crc32Hex(bytes: Uint8Array | string, before = 0): string {
  return hexOf(crc32(bytes, before));
}

/** The checksum as a number, to be handed on when bytes are checked piece by piece. */
export function crc32Number(bytes: Uint8Array | string, before = 0): number {
  return crc32(bytes, before);
}

/** Writes a checksum's digits. */
export function writeHex(bytes: Uint8Array, crc: number, start = 0): void {
  for (let at = start + CRC_DIGITS - 1, rest = crc; at >= start; at--, rest >>>= 4) {
    const digit = rest & 0xf;
    bytes[at] = digit + (digit < 10 ? DIGIT_0 : LETTER_A - 10);
  }
}

/** The number that eight lower-case hex digits stand for; -1 if they are something else. */
export function readHex(bytes: Uint8Array, start: number): number {
  let crc = 0;
  for (let at = start; at < start + CRC_DIGITS; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= DIGIT_0 && byte <= DIGIT_0 + 9) crc = crc * 16 + byte - DIGIT_0;
    else if (byte >= LETTER_A && byte < LETTER_A + 6) crc = crc * 16 + byte - LETTER_A + 10;
    else return -1;
  }
  return crc;
}

const DIGIT_0 = 0x30;
const LETTER_A = 0x61;

// A table is eight times as fast as toString(16) and padStart, and this runs at each commit.
function hexOf(crc: number): string {
  return (
    (HEX_OF_BYTE[crc >>> 24] ?? "") +
    (HEX_OF_BYTE[(crc >>> 16) & 0xff] ?? "") +
    (HEX_OF_BYTE[(crc >>> 8) & 0xff] ?? "") +
    (HEX_OF_BYTE[crc & 0xff] ?? "")
  );
}
