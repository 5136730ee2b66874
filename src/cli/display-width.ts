/**
 * How many columns of a terminal a text takes, and texts cut to columns: most characters take one, those of East Asian
 * writing and emoji two, marks that go on top of others none.
 */

/** Ranges of code points, in hex, that take two columns: Unicode's East_Asian_Width W and F, neighbours joined. */
const WIDE_RANGES = [
  "1100-115f", // Hangul, leading consonants
  "2e80-303e", // radicals, CJK punctuation
  "3041-33ff", // kana, Bopomofo, Hangul compatibility, enclosed CJK
  "3400-4dbf",
  "4e00-a4cf", // CJK, Yi
  "a960-a97f",
  "ac00-d7a3", // Hangul
  "f900-faff",
  "fe10-fe19",
  "fe30-fe6f",
  "ff00-ff60", // full-width forms
  "ffe0-ffe6",
  "16fe0-18dff", // Tangut, Khitan
  "1aff0-1b2ff",
  "20000-3fffd", // CJK extensions
];

const WIDE = new RegExp(
  `^[${WIDE_RANGES.map((range) => range.replace(/[0-9a-f]+/g, "\\u{$&}")).join("")}]`,
  "u",
);
/** Shown as a picture by themselves, or because a variation selector, a skin or a joiner says so. */
const PICTURE =
  /^\p{Emoji_Presentation}|^\p{Extended_Pictographic}.*(?:\u{fe0f}|\u{200d}|\p{Emoji_Modifier})|^[#*\d]\u{fe0f}?\u{20e3}/su;
const MARK = /^[\p{Mn}\p{Me}\p{Cf}]/u;
const PLAIN = /^[\u0020-\u007e]*$/;

let segmenter: Intl.Segmenter | undefined;

/** What a person takes for one character. */
function* charactersOf(text: string): Generator<string, void, undefined> {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  for (const { segment } of segmenter.segment(text)) yield segment;
}

export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of charactersOf(text)) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (PICTURE.test(character) || WIDE.test(character)) return 2;
  return MARK.test(character) ? 0 : 1;
}

const MORE = "…";

/** The text, or its beginning and "…", in at most `columns` columns. */
export function cutEnd(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  return columns < 1 ? "" : takeColumns(charactersOf(text), columns - 1).join("") + MORE;
}

/** The text, or its two ends around "…": keys and paths differ at both. */
export function cutMiddle(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns < 3) return cutEnd(text, columns);
  const all = [...charactersOf(text)];
  const head = takeColumns(all, Math.floor((columns - 1) / 2));
  const room = columns - 1 - displayWidth(head.join(""));
  const tail = takeColumns(all.toReversed(), room).toReversed();
  return head.join("") + MORE + tail.join("");
}

function takeColumns(characters: Iterable<string>, columns: number): string[] {
  const taken: string[] = [];
  let width = 0;
  for (const character of characters) {
    width += characterWidth(character);
    if (width > columns) break;
    taken.push(character);
  }
  return taken;
}
