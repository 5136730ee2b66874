/** A line of one of the store's own files: a checksum, a space, and JSON, as in the log. What it must have, its reader knows. */
import { CRC_DIGITS, crc32Number, readHex } from "./crc32.js";

const SPACE = 0x20;

export type LineValue = Readonly<Record<string, unknown>>;

/** The object of a line, without its newline; undefined unless its checksum holds. Never throws. */
export function lineValue(line: Buffer): LineValue | undefined {
  const json = line.subarray(CRC_DIGITS + 1);
  if (line[CRC_DIGITS] !== SPACE || readHex(line, 0) !== crc32Number(json)) return undefined;
  try {
    const value = JSON.parse(json.toString()) as unknown;
    return typeof value === "object" && value !== null ? (value as LineValue) : undefined;
  } catch {
    return undefined;
  }
}
