/** Durations and sizes as people write them in a configuration: `30d`, `1d12h`, `10mb`. Pure. */

const SECOND = 1000;
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", SECOND],
  ["m", 60 * SECOND],
  ["h", 3600 * SECOND],
  ["d", 24 * 3600 * SECOND],
  ["w", 7 * 24 * 3600 * SECOND],
]);

const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["b", 1],
  ["k", 1024],
  ["kb", 1024],
  ["m", 1024 ** 2],
  ["mb", 1024 ** 2],
  ["g", 1024 ** 3],
  ["gb", 1024 ** 3],
  ["t", 1024 ** 4],
  ["tb", 1024 ** 4],
]);

/**
 * Milliseconds of `30d`, `1.5h` or `1d12h`; a bare number counts in `bareUnit`.
 * @returns Undefined for anything else, for 0, and for what no number can hold.
 */
export function parseDurationMs(value: unknown, bareUnit: "ms" | "d"): number | undefined {
  return parse(value, UNIT_MS, bareUnit);
}

/** Bytes of `10mb`, `1.5g` or a bare number; 1 kB is 1024 bytes. @returns Undefined for anything else, and for 0. */
export function parseByteSize(value: unknown): number | undefined {
  return parse(value, UNIT_BYTES, "b");
}

function parse(value: unknown, units: ReadonlyMap<string, number>, bareUnit: string): number | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const given = String(value).trim().toLowerCase();
  const text = /^\d+(?:\.\d+)?$/.test(given) ? `${given}${bareUnit}` : given;
  const part = /(\d+(?:\.\d+)?) *([a-z]+) */y;
  let total = 0;
  while (part.lastIndex < text.length) {
    const [, number, unit = ""] = part.exec(text) ?? [];
    if (number === undefined) return undefined;
    total += Number(number) * (units.get(unit) ?? Number.NaN);
  }
  const whole = Math.round(total);
  return Number.isSafeInteger(whole) && whole > 0 ? whole : undefined;
}
