/** Numbers, times and tables as people read them. */
import { visible } from "./visible-text.js";

const UNITS = ["kB", "MB", "GB", "TB"] as const;

/** As in "80.1 MB"; a kB has 1,000 bytes, as in most reports of store sizes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.95 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit] ?? ""}`;
}

/** As in "1,234,567", whatever the locale. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** As in "3 h"; "0 s" for times in the future, which other clocks make. */
export function formatAge(ageMs: number): string {
  const age = Math.max(ageMs, 0);
  if (age < MINUTE_MS) return `${Math.floor(age / 1000)} s`;
  if (age < HOUR_MS) return `${Math.floor(age / MINUTE_MS)} min`;
  if (age < 2 * DAY_MS) return `${Math.floor(age / HOUR_MS)} h`;
  return `${formatCount(Math.floor(age / DAY_MS))} d`;
}

/** How far a date can be from 1970 on either side, in milliseconds: beyond it `toISOString` throws. */
const TIME_MAX = 8.64e15;

/** ISO 8601 in UTC without the milliseconds, or undefined for what is no time. */
export function formatTime(time: number): string | undefined {
  if (!Number.isFinite(time) || Math.abs(time) > TIME_MAX) return undefined;
  return new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
}

/** As in "12.3 %". */
export function formatShare(part: number, whole: number): string {
  return whole === 0 ? "-" : `${((part / whole) * 100).toFixed(1)} %`;
}

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/**
 * Lines of a table, the titles first. Cells are made visible here, so no caller can forget it.
 */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(visible))];
  const widths = columns.map((_, index) =>
    cells.reduce((max, row) => Math.max(max, lengthOf(row[index])), 0),
  );
  return cells.map((row) =>
    columns
      .map(({ right = false }, index) => {
        const cell = row[index] ?? "";
        const space = " ".repeat((widths[index] ?? 0) - lengthOf(cell));
        return right ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd(),
  );
}

function lengthOf(cell = ""): number {
  return Array.from(cell).length;
}
