/** Numbers, times and tables as people read them. */
import { cutMiddle, displayWidth } from "./display-width.js";
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

/** As in "12-14", or "12" of one. */
export function formatRange(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
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
  /** Which column goes first where a terminal is too narrow for all; without a number it stays. */
  readonly dispensable?: number;
}

const GAP = "  ";
/** A column that is cut keeps so much, however narrow the terminal is. */
const COLUMN_WIDTH_MIN = 8;

/**
 * Lines of a table, the titles first, none wider than `columnsMax`: a narrow terminal gets fewer columns, and then what is
 * widest is cut in its middle. Cells are made visible here, so no caller can forget it.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  columnsMax = Number.POSITIVE_INFINITY,
): string[] {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(visible))];
  const widths = columns.map((_, index) =>
    cells.reduce((max, row) => Math.max(max, displayWidth(row[index] ?? "")), 0),
  );
  const shown = shownColumns(columns, widths, columnsMax);
  narrow(widths, shown, columnsMax);
  return cells.map((row) =>
    shown
      .map((index) => {
        const width = widths[index] ?? 0;
        const cell = cutMiddle(row[index] ?? "", width);
        const space = " ".repeat(width - displayWidth(cell));
        return columns[index]?.right === true ? space + cell : cell + space;
      })
      .join(GAP)
      .trimEnd(),
  );
}

/** Indices of the columns for which there is room, those that can be done without left out one after the other. */
function shownColumns(columns: readonly Column[], widths: readonly number[], columnsMax: number): number[] {
  const shown = columns.map((_, index) => index);
  const dispensable = shown
    .filter((index) => columns[index]?.dispensable !== undefined)
    .sort((a, b) => (columns[a]?.dispensable ?? 0) - (columns[b]?.dispensable ?? 0));
  for (const index of dispensable) {
    if (totalWidth(widths, shown) <= columnsMax) break;
    shown.splice(shown.indexOf(index), 1);
  }
  return shown;
}

function totalWidth(widths: readonly number[], shown: readonly number[]): number {
  return shown.reduce((sum, index) => sum + (widths[index] ?? 0), GAP.length * Math.max(shown.length - 1, 0));
}

/** Takes from the widest column what is too much. */
function narrow(widths: number[], shown: readonly number[], columnsMax: number): void {
  for (let excess = totalWidth(widths, shown) - columnsMax; excess > 0;) {
    const widest = shown.reduce((best, index) => ((widths[index] ?? 0) > (widths[best] ?? 0) ? index : best));
    const width = widths[widest] ?? 0;
    const less = Math.min(excess, width - COLUMN_WIDTH_MIN);
    if (less <= 0) return;
    widths[widest] = width - less;
    excess -= less;
  }
}
