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

// A table is eight times as fast as toString(16) and padStart, and this runs at each commit.
function hexOf(crc: number): string {
  return (
    (HEX_OF_BYTE[crc >>> 24] ?? "") +
    (HEX_OF_BYTE[(crc >>> 16) & 0xff] ?? "") +
    (HEX_OF_BYTE[(crc >>> 8) & 0xff] ?? "") +
    (HEX_OF_BYTE[crc & 0xff] ?? "")
  );
}
