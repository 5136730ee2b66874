/** Times and sizes as people write them, on a command line or in a file of rules. Pure. */

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

const TIMES: ReadonlyMap<string, number> = new Map([
  ["s", 1000],
  ["m", MINUTE_MS],
  ["h", 60 * MINUTE_MS],
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

/** Milliseconds of a number with s, m, h, d or w behind it; undefined for anything else. */
export function parseTimeSpan(text: string): number | undefined {
  const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text) ?? [];
  const ms = Number(count) * (TIMES.get(unit) ?? Number.NaN);
  return count !== "" && Number.isSafeInteger(Math.round(ms)) ? ms : undefined;
}

/** Bytes of a number with B, kB, MB, KiB, … behind it, or none of them; undefined for anything else. */
export function parseByteCount(text: string): number | undefined {
  const [, count = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(count) * (SIZES.get(unit.toUpperCase()) ?? Number.NaN);
  return count !== "" && Number.isSafeInteger(Math.round(bytes)) ? bytes : undefined;
}
