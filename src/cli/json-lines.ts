/**
 * JSON Lines that come in, one JSON value a line, of files and streams of any length: one piece and one line are in memory.
 *
 * A line that is too long is not kept, only counted. Blank lines are nothing. What a line is not good for is said as a clause, for the
 * caller to name the line and decide whether to go on.
 */
import { isUtf8 } from "node:buffer";
import { linesIn as linesUpTo, type InputLine } from "../care/moving/input-lines.js";
import { SessionStoreError } from "../errors.js";
import { jsonFault } from "../format/json-fault.js";
import { DEFAULT_LIMITS } from "../format/limits.js";
import { itemJson } from "../format/value-json.js";
import { inexactNumber } from "./read-input.js";

/** The largest item as it stands in a line. */
const LINE_BYTES_MAX = DEFAULT_LIMITS.itemBytesMax;
const BYTE_ORDER_MARK = "\ufeff";

export type { InputLine };

/** The lines that each piece of the input completes. */
export function linesIn(pieces: AsyncIterable<Buffer>): AsyncGenerator<readonly InputLine[], void> {
  return linesUpTo(pieces, LINE_BYTES_MAX);
}

/** What a line says; `fault` is what is wrong with it, as in "is not JSON: …". */
export type ReadLine =
  | { readonly kind: "item"; readonly item: unknown }
  | { readonly kind: "blank" }
  | { readonly kind: "bad"; readonly fault: string };

/** @param key Of the session that the item is for. */
export function readLine({ number, bytes, length, ended }: InputLine, key: string): ReadLine {
  if (bytes === undefined)
    return bad(`has ${length} bytes; at most ${LINE_BYTES_MAX} are allowed, the limit of an item`);
  if (!isUtf8(bytes)) return bad("is not UTF-8: convert it first, with iconv for example");
  const whole = bytes.toString("utf8");
  const text = number === 1 && whole.startsWith(BYTE_ORDER_MARK) ? whole.slice(1) : whole;
  if (text.trim() === "") return { kind: "blank" };
  let item: unknown;
  try {
    item = JSON.parse(text);
  } catch {
    const at = jsonFault(text) ?? text.length;
    if (at < text.trimEnd().length)
      return bad(`is not JSON: found ${JSON.stringify(text[at])} at column ${at + 1}`);
    return bad(ended ? "is not JSON: it ends too early" : "is torn: it ends too early, without a line break");
  }
  // Of a number without a line break nobody knows whether it goes on.
  if (!ended && typeof item === "number") return bad("is torn: it has no line break");
  const inexact = inexactNumber(text);
  if (inexact !== undefined) {
    const { name, number: digits, becomes } = inexact;
    return bad(
      `has ${name === "" ? "a number" : name} with ${digits}, which ${becomes}: write it as a string`,
    );
  }
  return refusalOf(item, key) ?? { kind: "item", item };
}

/** What a store would say of the item. */
function refusalOf(item: unknown, key: string): ReadLine | undefined {
  try {
    itemJson(item, "item", 0, DEFAULT_LIMITS, key);
    return undefined;
  } catch (error) {
    if (!(error instanceof SessionStoreError)) throw error;
    const { limit } = error.data;
    if (error.code === "value_too_deep") return bad(`is nested deeper than ${String(limit)} levels`);
    return bad(`has more than ${String(limit)} bytes as JSON`);
  }
}

function bad(fault: string): ReadLine {
  return { kind: "bad", fault };
}
