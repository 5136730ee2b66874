/**
 * Numbers that stand in a legacy file and cannot be kept as they stand there. An old gateway cannot keep them either, so
 * they become what it would have made of them, and a person is told:
 *
 *     1e999, and in JSON5 Infinity and NaN     it reads a number that JSON does not have, and writes null     null here
 *     12345678901234567890                     it reads the nearest double, and writes that one               the same here
 *
 * JSON.parse does not tell. So text in which such a number may be is looked through once more, outside of its strings; all
 * other text costs one search.
 */
import { randomBytes } from "node:crypto";
import { setField } from "../../format/stored-value.js";
import type { LegacyWarning } from "../base/types.js";

export interface OddNumber {
  /** Where it is in its entry. */
  readonly path: readonly string[];
  /** As it stands there. */
  readonly text: string;
  readonly becomes: "null" | "rounded";
}

const NONE: readonly OddNumber[] = [];
/** Up to 15 digits and two of the exponent are always kept; in a string this is rare enough. */
const SUSPECT = /[:,[\s]-?(?:[\d.]{16,}|[\d.]+[eE][+-]?\d{3,})/;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const QUOTE = '"';
/** Entries that nest deeper are refused anyway. */
const LEVELS_MAX = 1000;

/**
 * `JSON.parse`, with null for what no session can hold.
 * @throws SyntaxError
 */
export function parseJson(text: string): { readonly value: unknown; readonly odd: readonly OddNumber[] } {
  const value: unknown = JSON.parse(text);
  if (!SUSPECT.test(text)) return { value, odd: NONE };
  const mark = randomBytes(9).toString("base64url");
  const marked = outsideStrings(text, (token) => (isKept(token) ? token : `"${mark}${token}"`));
  const odd: OddNumber[] = [];
  collectMarked(JSON.parse(marked), value, { mark, odd, path: [] });
  return { value, odd };
}

/** Numbers that JSON does not have, in a value of another parser; they become null. */
export function withoutNonFinite(value: unknown): readonly OddNumber[] {
  const odd: OddNumber[] = [];
  dropNonFinite(value, odd, []);
  return odd;
}

function outsideStrings(text: string, replace: (token: string) => string): string {
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    const quote = text.indexOf(QUOTE, at);
    const end = quote < 0 ? text.length : quote;
    pieces.push(text.slice(at, end).replace(NUMBER, replace));
    at = quote < 0 ? end : stringEnd(text, quote);
    pieces.push(text.slice(end, at));
  }
  return pieces.join("");
}

/** Index behind the closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    at = text.indexOf(QUOTE, at);
    let backslashes = 0;
    while (text[at - backslashes - 1] === "\\") backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
}

interface Collecting {
  readonly mark: string;
  readonly odd: OddNumber[];
  readonly path: readonly string[];
}

/** Walks both values side by side: where the marked one has a mark, the other one has the number. */
function collectMarked(marked: unknown, value: unknown, { mark, odd, path }: Collecting): void {
  if (typeof marked !== "object" || marked === null || path.length > LEVELS_MAX) return;
  for (const [name, child] of Object.entries(marked)) {
    const own = value as Record<string, unknown>;
    const at = [...path, name];
    if (typeof child !== "string" || !child.startsWith(mark)) {
      collectMarked(child, own[name], { mark, odd, path: at });
      continue;
    }
    const text = child.slice(mark.length);
    const finite = Number.isFinite(Number(text));
    if (!finite) setField(own, name, null);
    odd.push({ path: at, text, becomes: finite ? "rounded" : "null" });
  }
}

function dropNonFinite(value: unknown, odd: OddNumber[], path: readonly string[]): void {
  if (typeof value !== "object" || value === null || path.length > LEVELS_MAX) return;
  for (const [name, child] of Object.entries(value)) {
    if (typeof child === "number" && !Number.isFinite(child)) {
      setField(value as Record<string, unknown>, name, null);
      odd.push({ path: [...path, name], text: String(child), becomes: "null" });
    } else dropNonFinite(child, odd, [...path, name]);
  }
}

/** Whether the double that JSON.parse makes of it is written out as the same number. */
function isKept(token: string): boolean {
  const number = Number(token);
  return Number.isFinite(number) && decimal(token) === decimal(String(number));
}

/** Digits without zeros around them, and the power of ten of the last one: the same for two spellings of one number. */
function decimal(token: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(token) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const significant = digits.replace(/0+$/, "");
  if (significant === "") return "0";
  const power = Number(exponent) - fraction.length + (digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}

/** Named in a warning; the others are counted. */
const NAMED_MAX = 10;
const TEXT_CHARS_MAX = 40;

interface Found {
  count: number;
  readonly named: { readonly key: string; readonly field: string; readonly text: string }[];
}

/** The odd numbers of a source, as warnings that name key and field. */
export class OddNumbersFound {
  readonly #found: Record<OddNumber["becomes"], Found> = {
    null: { count: 0, named: [] },
    rounded: { count: 0, named: [] },
  };

  constructor(private readonly path: string) {}

  note(key: string, odd: readonly OddNumber[]): void {
    for (const { path, text, becomes } of odd) {
      const found = this.#found[becomes];
      found.count++;
      if (found.named.length >= NAMED_MAX) continue;
      const short = text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text;
      found.named.push({ key, field: path.join("."), text: short });
    }
  }

  warnings(): LegacyWarning[] {
    const warnings: LegacyWarning[] = [];
    const add = (code: LegacyWarning["code"], found: Found, what: string): void => {
      const [first] = found.named;
      if (first === undefined) return;
      const names = found.named.map(({ key, field, text }) => `${JSON.stringify(key)} ${field} = ${text}`);
      const more = found.count > names.length ? ` and ${found.count - names.length} more` : "";
      const message = `${this.path}: ${found.count} numbers ${what}: ${names.join(", ")}${more}.`;
      warnings.push({ code, message, data: { path: this.path, numbers: found.count, ...first } });
    };
    add(
      "number_not_finite",
      this.#found.null,
      "are beyond what JSON can hold once it was read, and are null now, as an old gateway would have written them",
    );
    add("number_rounded", this.#found.rounded, "have more digits than are kept, and were rounded");
    return warnings;
  }
}
