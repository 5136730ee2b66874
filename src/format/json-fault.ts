/**
 * Finds where a text stops being JSON. JSON.parse knows, but its message says so only sometimes and differently in each
 * release. Runs only on damaged files; iterative, so that nesting is no danger.
 */

type Expected = "value" | "value or end" | "name" | "name or end" | "colon" | "comma or end";

const STRING_PIECE = /[\x20\x21\x23-\x5b\x5d-\uffff]+/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const SCALAR = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;

/** Index of the first character that cannot be there; the text's length when it ends too early; undefined for JSON. */
export function jsonFault(text: string): number | undefined {
  const open: ("{" | "[")[] = [];
  let expected: Expected = "value";
  let at = skip(SPACE, text, 0);
  while (true) {
    if (expected === "comma or end" && open.length === 0) return at === text.length ? undefined : at;
    const next = step(text, at, expected, open);
    if (typeof next === "number") return next;
    expected = next.expected;
    at = skip(SPACE, text, next.at);
  }
}

/** Takes one token: where it goes on, or where the fault is. */
function step(
  text: string,
  at: number,
  expected: Expected,
  open: ("{" | "[")[],
): { at: number; expected: Expected } | number {
  const character = text[at];
  if (character === undefined) return at;
  switch (expected) {
    case "colon":
      return character === ":" ? { at: at + 1, expected: "value" } : at;
    case "name":
    case "name or end":
      if (character === "}" && expected === "name or end") return close(at, open);
      if (character !== '"') return at;
      return afterString(text, at, "colon");
    case "comma or end":
      if (character === (open.at(-1) === "{" ? "}" : "]")) return close(at, open);
      if (character !== ",") return at;
      return { at: at + 1, expected: open.at(-1) === "{" ? "name" : "value" };
    case "value":
    case "value or end":
      break;
  }
  if (character === "]" && expected === "value or end") return close(at, open);
  if (character === "{" || character === "[") {
    open.push(character);
    return { at: at + 1, expected: character === "{" ? "name or end" : "value or end" };
  }
  if (character === '"') return afterString(text, at, "comma or end");
  const end = skip(SCALAR, text, at);
  return end === at ? at : { at: end, expected: "comma or end" };
}

function close(at: number, open: ("{" | "[")[]): { at: number; expected: Expected } {
  open.pop();
  return { at: at + 1, expected: "comma or end" };
}

function afterString(
  text: string,
  start: number,
  expected: Expected,
): { at: number; expected: Expected } | number {
  let at = start + 1;
  while (text[at] !== '"') {
    const end = skip(text[at] === "\\" ? ESCAPE : STRING_PIECE, text, at);
    if (end === at) return at;
    at = end;
  }
  return { at: at + 1, expected };
}

/** End of the sticky pattern's match at this place, or the place itself. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
