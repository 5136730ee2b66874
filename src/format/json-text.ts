/** Writes single JSON values faster than JSON.stringify, whose call alone costs more than most names and numbers. */
import type { StoredValue } from "./stored-value.js";

/** Strings whose JSON is the string itself in quotes. */
export const NEEDS_NO_ESCAPE = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
/** A longer string is left to the native code, which is faster at scanning. */
const SCANNED_UNITS_MAX = 128;

/** Same text as JSON.stringify. */
export function jsonOfString(text: string): string {
  return text.length <= SCANNED_UNITS_MAX && NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Same text as JSON.stringify. */
export function jsonOfValue(value: StoredValue): string {
  if (typeof value === "string") return jsonOfString(value);
  if (typeof value === "object" && value !== null) return JSON.stringify(value);
  return value === 0 ? "0" : String(value); // negative zero has no sign in JSON
}
