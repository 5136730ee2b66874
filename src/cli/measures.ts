/** Times and sizes as people write them on a command line. */
import { usageError } from "./failure.js";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "./figures.js";

const TIMES: ReadonlyMap<string, number> = new Map([
  ["s", 1000],
  ["m", MINUTE_MS],
  ["h", HOUR_MS],
  ["d", DAY_MS],
  ["w", 7 * DAY_MS],
]);

/** A kB has 1,000 bytes here as in what is printed; a KiB 1,024. */
const SIZES: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
  ["KIB", 2 ** 10],
  ["MIB", 2 ** 20],
  ["GIB", 2 ** 30],
  ["TIB", 2 ** 40],
]);

/** A parser of commander's for a span of time, as in `30d`: milliseconds. */
export function timeSpan(option: string): (text: string) => number {
  return (text) => {
    const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text) ?? [];
    const ms = Number(count) * (TIMES.get(unit) ?? Number.NaN);
    if (count !== "" && Number.isSafeInteger(Math.round(ms))) return ms;
    throw usageError(
      `${option} must be a number with s, m, h, d or w behind it, as in 30d, not ${JSON.stringify(text)}`,
    );
  };
}

/** A parser of commander's for a size, as in `1.5MB`: bytes. */
export function byteCount(option: string): (text: string) => number {
  return (text) => {
    const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? [];
    const bytes = Number(count) * (SIZES.get(unit.toUpperCase()) ?? Number.NaN);
    if (count !== "" && Number.isSafeInteger(Math.round(bytes))) return bytes;
    throw usageError(
      `${option} must be a size in bytes, kB, MB or GB, as in 1.5MB, not ${JSON.stringify(text)}`,
    );
  };
}
