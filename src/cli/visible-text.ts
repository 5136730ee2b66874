/**
 * Stored text as it may be shown: keys and values come from strangers, and a terminal obeys what it is sent.
 *
 * Whatever could move the cursor, change the colour, set the title, answer for the user or turn the direction of
 * writing becomes an escape that can be read. This is done on every output and not only on a terminal, because
 * what goes into a file today is looked at on a terminal tomorrow.
 */

/** Control characters, line separators, marks of direction and other signs that cannot be seen. */
// oxlint-disable-next-line no-control-regex -- these are what it is about
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

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
