/**
 * The JSON of a value that is no entry: an item of a transcript, or what an operation is.
 *
 * The text is what JSON.stringify would give, for values that it does not make something else of (json-semantics.ts); the others are
 * refused. Each property is read once, and the text is made of what was read, so that a getter cannot show one
 * value to the check and another to the file. Limits are enforced on the way down.
 */
import { SessionStoreError } from "../errors.js";
import { limitError } from "./entry-limits.js";
import { flawOf, inexpressible, isInvalidDate, NO_ITEM, pathText, throughToJson } from "./json-semantics.js";
import { jsonOfString, jsonOfValue } from "./json-text.js";
import type { Limits } from "./limits.js";

/**
 * @param list What errors call the list that the item is in, as in `items[3].text`.
 * @throws `item_too_large`, `value_too_deep`, or a `TypeError` for what would come back as something else.
 */
export function itemJson(item: unknown, list: string, index: number, limits: Limits, key: string): string {
  const limit = limits.itemBytesMax;
  const tooLarge = (actual: number): SessionStoreError =>
    new SessionStoreError(
      "item_too_large",
      `${list}[${index}] of session ${JSON.stringify(key)} has ${actual} bytes or more as JSON; at most ${limit} are allowed`,
      { data: { key, index, limit, actual } },
    );
  return new JsonWriter(`${list}[${index}]`, key, limits, { sorted: false, tooLarge }).text(item);
}

/**
 * The same text for values that are equal as JSON: fields in the order of their names.
 * @param what What errors call the value.
 */
export function canonicalJson(value: unknown, what: string, limits: Limits): string {
  const limit = limits.itemBytesMax;
  const tooLarge = (actual: number): SessionStoreError =>
    new SessionStoreError(
      "item_too_large",
      `${what} has ${actual} bytes or more; at most ${limit} are allowed`,
      {
        data: { limit, actual },
      },
    );
  return new JsonWriter(what, undefined, limits, { sorted: true, tooLarge }).text(value);
}

interface Manner {
  readonly sorted: boolean;
  readonly tooLarge: (actual: number) => SessionStoreError;
}

class JsonWriter {
  /** Names of the containers on the way to where the walk is, and the containers themselves. */
  readonly #path: (string | number)[] = [];
  readonly #ancestors: object[] = [];
  /** UTF-16 units so far: never more than bytes. */
  #units = 0;

  constructor(
    private readonly root: string,
    private readonly key: string | undefined,
    private readonly limits: Limits,
    private readonly manner: Manner,
  ) {}

  text(value: unknown): string {
    const text = this.#value(value, "");
    if (text === undefined)
      throw this.#inexpressible([], "is undefined or a hole, which JSON cannot express");
    const limit = this.limits.itemBytesMax;
    const bytes = text.length * 3 <= limit ? 0 : Buffer.byteLength(text);
    if (bytes > limit) throw this.manner.tooLarge(bytes);
    return text;
  }

  /** @returns Undefined for what JSON leaves out of an object. */
  #value(given: unknown, name: string | number): string | undefined {
    const type = typeof given;
    const hasToJson = (type === "object" && given !== null) || type === "bigint" || type === "function";
    const value = hasToJson ? throughToJson(given, name) : given;
    if (value === undefined) return undefined;
    const flaw = isInvalidDate(given) ? "is an invalid Date, which has no text" : flawOf(value);
    if (flaw !== undefined) throw this.#inexpressible(this.#stepsTo(name), flaw);
    if (typeof value === "object" && value !== null) return this.#container(value, name);
    const text = jsonOfValue(value as null | boolean | number | string);
    this.#spend(text.length);
    return text;
  }

  #container(value: object, name: string | number): string {
    if (this.#ancestors.includes(value)) {
      throw this.#inexpressible(this.#stepsTo(name), "refers back to what contains it");
    }
    const level = this.#ancestors.length + 1;
    const { depthMax } = this.limits;
    if (level > depthMax) {
      const where = pathText(this.#stepsTo(name), this.root);
      throw limitError("value_too_deep", where, { limit: depthMax, actual: level }, this.key);
    }
    this.#spend(2);
    this.#ancestors.push(value);
    if (level > 1) this.#path.push(name);
    const text = Array.isArray(value)
      ? this.#items(value as readonly unknown[])
      : this.#fields(value as Readonly<Record<string, unknown>>);
    if (level > 1) this.#path.pop();
    this.#ancestors.pop();
    return text;
  }

  #items(items: readonly unknown[]): string {
    let text = "[";
    for (let index = 0; index < items.length; index++) {
      const item = this.#value(items[index], index);
      if (item === undefined) throw this.#inexpressible(this.#stepsTo(index), NO_ITEM);
      text += index === 0 ? item : `,${item}`;
      if (index > 0) this.#spend(1);
    }
    return `${text}]`;
  }

  #fields(fields: Readonly<Record<string, unknown>>): string {
    const names = Object.keys(fields);
    let text = "";
    for (const name of this.manner.sorted ? names.sort() : names) {
      const given = fields[name];
      if (name === "toJSON" && typeof given === "function") continue; // what it returned is its own business
      const field = this.#value(given, name);
      if (field === undefined) continue;
      text += `${text === "" ? "" : ","}${jsonOfString(name)}:${field}`;
      this.#spend(name.length + 3);
    }
    return `{${text}}`;
  }

  /** Stops the work on what is certainly too large. */
  #spend(units: number): void {
    this.#units += units;
    if (this.#units > this.limits.itemBytesMax) throw this.manner.tooLarge(this.#units);
  }

  #stepsTo(name: string | number): (string | number)[] {
    return this.#ancestors.length === 0 ? [] : [...this.#path, name];
  }

  #inexpressible(steps: readonly (string | number)[], flaw: string): TypeError {
    return inexpressible(pathText(steps, this.root), flaw, this.key);
  }
}
