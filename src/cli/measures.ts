/** Times and sizes as people write them on a command line. */
import { parseByteCount, parseTimeSpan } from "../measures.js";
import { usageError } from "./failure.js";

/** A parser of commander's for a span of time, as in `30d`: milliseconds. */
export function timeSpan(option: string): (text: string) => number {
  return (text) => {
    const ms = parseTimeSpan(text);
    if (ms !== undefined) return ms;
    throw usageError(
      `${option} must be a number with s, m, h, d or w behind it, as in 30d, not ${JSON.stringify(text)}`,
    );
  };
}

/** A parser of commander's for a size, as in `1.5MB`: bytes. */
export function byteCount(option: string): (text: string) => number {
  return (text) => {
    const bytes = parseByteCount(text);
    if (bytes !== undefined) return bytes;
    throw usageError(
      `${option} must be a size in bytes, kB, MB or GB, as in 1.5MB, not ${JSON.stringify(text)}`,
    );
  };
}
