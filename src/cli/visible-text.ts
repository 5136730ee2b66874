/**
 * Stored text as it may be shown: keys and values come from strangers, and a terminal obeys what it is sent.
 *
 * Whatever could move the cursor, change the colour, set the title, answer for the user or turn the direction of
 * writing becomes an escape that can be read. This is done on every output and not only on a terminal, because
 * what goes into a file today is looked at on a terminal tomorrow.
 */

/** Ranges of code points, in hex: what moves, hides or turns text, and never is text itself. */
const INVISIBLE_RANGES = [
  "0-1f", // C0 controls: escape, bell, line feed, …
  "7f-9f", // delete and the C1 controls: 9b begins a command like escape and a bracket do
  "ad-ad", // soft hyphen
  "61c-61c", // marks of direction, here and below
  "180e-180e",
  "200b-200b", // zero-width space; the joiners beside it belong to scripts and emoji
  "200e-200f",
  "2028-202e", // separators of lines and paragraphs, overrides of direction
  "2060-206f",
  "d800-dfff", // half a character
  "feff-feff",
  "fff9-fffb",
  "e0000-e007f", // tags
];

const INVISIBLE = new RegExp(
  `[${INVISIBLE_RANGES.map((range) => range.replace(/[0-9a-f]+/g, "\\u{$&}")).join("")}]`,
  "gu",
);

/** One line of text in which nothing is executed and nothing is hidden. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, escaped);
}

/**
 * JSON that is also safe on a terminal. `JSON.stringify` escapes the first 32 characters only; 0x9b, for one, begins
 * a command as well. Such characters occur only inside of strings, so the escapes change nothing for a parser.
 */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent);
  if (indent === undefined) return text.replace(INVISIBLE, escaped);
  // Line breaks between the fields are ours.
  return text.replace(INVISIBLE, (character) => (character === "\n" ? character : escaped(character)));
}

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escaped(character: string): string {
  const short = SHORT[character];
  if (short !== undefined) return short;
  let text = "";
  for (let unit = 0; unit < character.length; unit++) {
    text += `\\u${character.charCodeAt(unit).toString(16).padStart(4, "0")}`;
  }
  return text;
}
