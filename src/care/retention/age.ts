/**
 * What a session's own time says of its age. Files have times too, which a copy or a restore makes new: they decide nothing. Pure.
 */

/** Times before this are no milliseconds since 1970: somebody wrote seconds, or 0 for "none". */
const TIME_MIN = Date.UTC(2000, 0, 1);
/** How far the clocks of two machines may be apart. */
const CLOCKS_APART_MS = 24 * 3600 * 1000;

/** Whether a time is known, and earlier. 0 is no time: gateways write it for "begin afresh with the next message". */
export function isOlder(time: unknown, cutoff: number): boolean {
  return typeof time === "number" && time !== 0 && time < cutoff;
}

/**
 * What a value says as a time:
 *  - `time`: milliseconds since 1970 that can be believed
 *  - `none`: it is no time
 *  - `unbelievable`: before the year 2000, as seconds taken for milliseconds are
 *  - `future`: later than now, by more than clocks may differ
 */
export type ReadTime =
  { readonly kind: "time"; readonly time: number } | { readonly kind: "none" | "unbelievable" | "future" };

export function readTime(value: unknown, now: number): ReadTime {
  if (typeof value !== "number" || !Number.isFinite(value) || value === 0) return { kind: "none" };
  if (value < TIME_MIN) return { kind: "unbelievable" };
  return value > now + CLOCKS_APART_MS ? { kind: "future" } : { kind: "time", time: value };
}

const ISO_TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** A time in a field: milliseconds since 1970, or ISO 8601 with its zone (a date alone is its beginning in UTC). Undefined: neither. */
export function fieldTime(value: unknown): number | undefined {
  const time = typeof value === "string" ? (isDay(value) ? Date.parse(value) : Number.NaN) : value;
  return typeof time === "number" && time >= TIME_MIN && Number.isFinite(time) ? time : undefined;
}

/** Whether the day is one of the calendar: `Date.parse` makes the 3rd of March of the 31st of February. */
function isDay(text: string): boolean {
  if (!ISO_TIME.test(text)) return false;
  const day = text.slice(0, "2026-11-30".length);
  const time = Date.parse(day);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(day);
}
