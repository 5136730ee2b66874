// @ts-check
/** Plain text for people: headings, aligned tables, units. Colours only where somebody looks and wants them. */

const coloured = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== "dumb";
const paint = (/** @type {number} */ code) => (/** @type {string} */ text) =>
  coloured ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);

/** @param {string} [text] */
export function say(text = "") {
  process.stdout.write(`${text}\n`);
}

/** @param {string} title */
export function heading(title) {
  say();
  say(bold(title));
}

/**
 * First column to the left, the others to the right.
 * @param {readonly (readonly string[])[]} rows The first one is the header.
 */
export function table(rows) {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  for (const [index, row] of rows.entries()) {
    const cells = widths.map((width, column) => {
      const cell = row[column] ?? "";
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    const line = `  ${cells.join("   ")}`.trimEnd();
    say(index === 0 ? dim(line) : line);
  }
}

/** @param {number} value */
export function count(value) {
  return Math.round(value).toLocaleString("en-US");
}

/** @param {number} microseconds */
export function duration(microseconds) {
  if (microseconds < 10) return `${microseconds.toFixed(1)} µs`;
  if (microseconds < 1_000) return `${microseconds.toFixed(0)} µs`;
  if (microseconds < 10_000) return `${(microseconds / 1_000).toFixed(1)} ms`;
  if (microseconds < 1_000_000) return `${(microseconds / 1_000).toFixed(0)} ms`;
  return `${(microseconds / 1_000_000).toFixed(1)} s`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 10_000) return `${count(bytes)} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(0)} KB`;
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 2 : 1)} MB`;
}

/**
 * @param {readonly number[]} sorted
 * @param {number} share 0.5 is the median.
 */
export function quantile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
