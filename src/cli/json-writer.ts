/**
 * JSON in portions: the text of `JSON.stringify`, escaped for a terminal, without ever being in memory as a whole.
 *
 * An entry of a few hundred bytes may stand for gigabytes of JSON: shared values in shared values. A program that
 * prints one takes a portion at a time, so that a reader sets the pace and a signal ends it between two of them.
 */
import { jsonText } from "./visible-text.js";

/** Characters of a portion, about. What fails within the first has printed nothing. */
const PORTION_CHARACTERS = 512 * 1024;

interface Frame {
  readonly holder: object;
  /** Of objects; arrays go by number. */
  readonly names: readonly string[] | undefined;
  readonly length: number;
  next: number;
  /** Something was written, so that a comma comes first. */
  begun: boolean;
}

/** Portions of the JSON of a value that consists of JSON values; undefined in objects is left out. */
export function* jsonPortions(value: unknown, indent = 0): Generator<string, void, undefined> {
  const frames: Frame[] = [];
  let text = begin(value, frames);
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    if (text.length >= PORTION_CHARACTERS) {
      yield text;
      text = "";
    }
    if (frame.next === frame.length) {
      frames.pop();
      if (frame.begun) text += lineBreak(indent, frames.length);
      text += frame.names === undefined ? "]" : "}";
      continue;
    }
    const name = frame.names?.[frame.next];
    const item = (frame.holder as Record<string, unknown>)[name ?? frame.next];
    frame.next += 1;
    if (item === undefined && name !== undefined) continue;
    text += (frame.begun ? "," : "") + lineBreak(indent, frames.length);
    frame.begun = true;
    if (name !== undefined) text += jsonText(name) + (indent > 0 ? ": " : ":");
    text += begin(item, frames);
  }
  yield text;
}

/** All of a plain value; the opening bracket of what has parts, which then is the top frame. */
function begin(value: unknown, frames: Frame[]): string {
  if (typeof value !== "object" || value === null) return jsonText(value ?? null);
  const names = Array.isArray(value) ? undefined : Object.keys(value);
  const length = names?.length ?? (value as unknown[]).length;
  frames.push({ holder: value, names, length, next: 0, begun: false });
  return names === undefined ? "[" : "{";
}

function lineBreak(indent: number, depth: number): string {
  return indent > 0 ? `\n${" ".repeat(indent * depth)}` : "";
}
