/**
 * U+2028 and U+2029 in the strings of a JSON5 text, as escapes. JSON and JSON5 allow both as they are, but the parser of JSON5
 * prints a warning to the console for each of them, and a library must not print. The value stays the same.
 *
 * Only strings are changed: elsewhere the two are spaces, the ends of comments or, behind a backslash, the end of a line
 * that goes on in the next one.
 */

/** What begins a string or a comment, and for each of them what is of interest until its end. */
const BEGINNINGS = /["']|\/\/|\/\*/g;
const STRINGS: Record<string, RegExp> = { '"': /\\[^]|["\u2028\u2029]/g, "'": /\\[^]|['\u2028\u2029]/g };
const COMMENTS: Record<string, RegExp> = { "//": /[\n\r\u2028\u2029]/g, "/*": /\*\//g };
const ESCAPES: Record<string, string> = { "\u2028": "\\u2028", "\u2029": "\\u2029" };
const LONGER_BY_CHARS = 5;

export interface EscapedText {
  readonly text: string;
  /** Where in the original text something stands that is at `index` in the escaped one. */
  readonly originalIndex: (index: number) => number;
}

export function escapeSeparators(original: string): EscapedText {
  const pieces: string[] = [];
  /** Where each escape ends in the new text. */
  const ends: number[] = [];
  let copied = 0;
  let pattern = BEGINNINGS;
  for (let at = 0; ;) {
    pattern.lastIndex = at;
    const found = pattern.exec(original);
    if (found === null) break;
    const [token] = found;
    at = pattern.lastIndex;
    if (pattern === BEGINNINGS) pattern = STRINGS[token] ?? COMMENTS[token] ?? BEGINNINGS;
    else if (STRINGS[token] === pattern || Object.values(COMMENTS).includes(pattern)) pattern = BEGINNINGS;
    else {
      const escape = ESCAPES[token];
      if (escape === undefined) continue; // an escape already
      pieces.push(original.slice(copied, found.index), escape);
      copied = at;
      ends.push(at + LONGER_BY_CHARS * (ends.length + 1));
    }
  }
  return {
    text: pieces.join("") + original.slice(copied),
    originalIndex: (index) => index - LONGER_BY_CHARS * ends.filter((end) => end <= index).length,
  };
}
