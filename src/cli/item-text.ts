/**
 * Items of a transcript as they are printed: a line for people, or one line of JSON with all of it.
 *
 * What a line says of an item is read from fields that agent frameworks use, and nothing is known for sure: who said it (`role`,
 * `type`), and a text in it. An item without any of these is shown as JSON.
 */
import type { Item } from "../store/transcript-types.js";
import { cutEnd } from "./display-width.js";
import { formatTime } from "./figures.js";
import type { Terminal } from "./terminal.js";
import { jsonText, visible } from "./visible-text.js";

/** On a narrow terminal the date is left out, as by `watch`. */
const FULL_COLUMNS_MIN = 72;
/** In a file or pipe, which take any width: a line is for people to read, `--json` has all of it. */
const TEXT_CHARACTERS_MAX = 500;
const SEQ_COLUMNS = 6;
const ROLE_COLUMNS = 9;
const ROLE_COLUMNS_MAX = 24;

/** Prints one item, at the pace of its reader. */
export async function printItem(terminal: Terminal, item: Item<unknown>): Promise<void> {
  if (!terminal.json) return terminal.line(itemLine(item, terminal.dataColumns));
  const { seq, id, revision, time, item: value } = item;
  return terminal.result({ seq, ...(id !== undefined && { id }), revision, time, item: value });
}

/** As in "    12  2026-01-01T00:00:00Z  user       hi there". */
export function itemLine({ seq, time, item }: Item<unknown>, columnsMax: number): string {
  const full = formatTime(time) ?? "-".padEnd("2026-01-01T00:00:00Z".length);
  const shown = columnsMax < FULL_COLUMNS_MIN ? full.slice(-"00:00:00Z".length) : full;
  const role = cutEnd(visible(roleOf(item)), ROLE_COLUMNS_MAX).padEnd(ROLE_COLUMNS);
  const text = visible(textOf(item).slice(0, TEXT_CHARACTERS_MAX));
  return cutEnd(`${String(seq).padStart(SEQ_COLUMNS)}  ${shown}  ${role}  ${text}`.trimEnd(), columnsMax);
}

function roleOf(item: unknown): string {
  return textAt(item, "role") ?? textAt(fieldOf(item, "message"), "role") ?? textAt(item, "type") ?? "-";
}

function textOf(item: unknown): string {
  if (typeof item === "string") return item;
  const message = fieldOf(item, "message");
  for (const holder of [item, message])
    for (const name of ["text", "content", "summary"]) {
      const text = wordsOf(fieldOf(holder, name));
      if (text !== undefined) return text;
    }
  return typeof message === "string" ? message : beginningOf(item);
}

/** A text, or the texts of the parts that it is made of, as frameworks write contents. */
function wordsOf(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content) || content.length === 0) return undefined;
  const words = content.slice(0, TEXT_CHARACTERS_MAX).map((part: unknown) => {
    if (typeof part === "string") return part;
    return textAt(part, "text") ?? `[${textAt(part, "name") ?? textAt(part, "type") ?? "…"}]`;
  });
  return words.join(" ");
}

/** JSON of an item, which may be large: only of its first fields. */
function beginningOf(item: unknown): string {
  if (typeof item !== "object" || item === null) return jsonText(item);
  const isArray = Array.isArray(item);
  let text = "";
  for (const name of Object.keys(item)) {
    if (text.length > TEXT_CHARACTERS_MAX) break;
    const value: unknown = (item as Record<string, unknown>)[name];
    const isLarge = typeof value === "object" && value !== null;
    const shown = isLarge ? (Array.isArray(value) ? "[…]" : "{…}") : jsonText(beginningOfText(value));
    text += `${text === "" ? "" : ","}${isArray ? "" : `${jsonText(name)}:`}${shown}`;
  }
  return isArray ? `[${text}]` : `{${text}}`;
}

function beginningOfText(value: unknown): unknown {
  return typeof value === "string" ? value.slice(0, TEXT_CHARACTERS_MAX) : value;
}

function textAt(holder: unknown, name: string): string | undefined {
  const value = fieldOf(holder, name);
  return typeof value === "string" ? value : undefined;
}

function fieldOf(holder: unknown, name: string): unknown {
  if (typeof holder !== "object" || holder === null || Array.isArray(holder)) return undefined;
  return Object.getOwnPropertyDescriptor(holder, name)?.value as unknown;
}
