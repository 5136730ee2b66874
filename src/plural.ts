/** How many of something, in English: "1 entry", "2 entries", "0 sessions". */

/**
 * @param many Default: `one` with an s.
 * @param text The number as it is to be read. Default: its digits.
 */
export function plural(count: number, one: string, many = `${one}s`, text = String(count)): string {
  return `${text} ${count === 1 ? one : many}`;
}

export function entriesOf(count: number): string {
  return plural(count, "entry", "entries");
}
