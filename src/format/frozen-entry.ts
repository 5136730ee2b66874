/**
 * Entries as engines without files keep them: what `JSON.parse(JSON.stringify(entry))` would be, deeply frozen; what that would
 * make something else of is refused (see format/json-semantics.ts).
 *
 * Written out instead of calling JSON, for two reasons: parts that this module froze earlier are kept as they are, so that an
 * unchanged big value stays the same object from revision to revision; and depth is checked on the way down, so
 * that a cycle is a typed error and not a stack overflow.
 */
import { SessionStoreError } from "../errors.js";
import { flawOf, inexpressible, isInvalidDate, NO_ITEM, pathText, throughToJson } from "./json-semantics.js";
import { setField } from "./stored-value.js";

/** Levels of nesting in everything made here: the proof that a value is ours, and how deep it goes. */
const frozenDepths = new WeakMap<object, number>();

/**
 * A frozen copy of an entry.
 * @param key Named in errors.
 * @throws `value_too_deep`, or a `TypeError` for what would come back as something else.
 */
export function freezeEntry(entry: object, depthMax: number, key?: string): object {
  return new Freezing(depthMax, key).entry(entry);
}

class Freezing {
  readonly #path: (string | number)[] = [];

  constructor(
    private readonly depthMax: number,
    private readonly key: string | undefined,
  ) {}

  entry(entry: object): object {
    const frozen = this.#value("", entry);
    if (typeof frozen !== "object" || frozen === null || Array.isArray(frozen)) {
      throw new TypeError("entry must be an object, and stay one when its toJSON is called");
    }
    return frozen;
  }

  #value(name: string | number, given: unknown): unknown {
    const value = plainOf(name, given);
    const flaw = isInvalidDate(given) ? "is an invalid Date, which has no text" : flawOf(value);
    if (flaw !== undefined) throw inexpressible(pathText(this.#path), flaw, this.key);
    if (typeof value === "object" && value !== null) return this.#container(value);
    return typeof value === "number" ? value + 0 : value; // JSON has no -0
  }

  #container(value: object): object {
    const known = frozenDepths.get(value);
    const levelsLeft = this.depthMax - this.#path.length;
    if (levelsLeft < (known ?? 1)) {
      throw new SessionStoreError(
        "value_too_deep",
        `the entry has more than ${this.depthMax} levels of objects and arrays inside each other`,
        { data: { limit: this.depthMax, actual: this.depthMax - levelsLeft + (known ?? 1) } },
      );
    }
    if (known !== undefined) return value;
    const copy = Array.isArray(value) ? this.#items(value as readonly unknown[]) : this.#fields(value);
    frozenDepths.set(copy, 1 + deepest(copy));
    return Object.freeze(copy);
  }

  #items(items: readonly unknown[]): unknown[] {
    return Array.from(items, (item, index) => {
      this.#path.push(index);
      const frozen = this.#value(index, item);
      if (frozen === undefined) throw inexpressible(pathText(this.#path), NO_ITEM, this.key);
      this.#path.pop();
      return frozen;
    });
  }

  #fields(value: object): object {
    const copy: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(value)) {
      if (name === "toJSON" && typeof item === "function") continue; // what it returned is its own business
      this.#path.push(name);
      const frozen = this.#value(name, item);
      this.#path.pop();
      if (frozen !== undefined) setField(copy, name, frozen);
    }
    return copy;
  }
}

function deepest(copy: object): number {
  let depth = 0;
  for (const item of Object.values(copy) as unknown[]) {
    if (typeof item === "object" && item !== null) depth = Math.max(depth, frozenDepths.get(item) ?? 0);
  }
  return depth;
}

function plainOf(name: string | number, value: unknown): unknown {
  const type = typeof value;
  return (type === "object" && value !== null) || type === "bigint" || type === "function"
    ? throughToJson(value, name)
    : value;
}
