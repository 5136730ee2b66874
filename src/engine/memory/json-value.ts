/**
 * Entries as the memory engine keeps them: what `JSON.parse(JSON.stringify(entry))` would be, deeply frozen.
 *
 * Written out instead of calling JSON, for two reasons: parts that this module froze earlier are kept as they are, so that an
 * unchanged big value stays the same object from revision to revision; and depth is checked on the way down, so
 * that a cycle is a typed error and not a stack overflow.
 */
import { types } from "node:util";
import { SessionStoreError } from "../../errors.js";
import { setField } from "../../format/stored-value.js";

/** Levels of nesting in everything made here: the proof that a value is ours, and how deep it goes. */
const frozenDepths = new WeakMap<object, number>();

/** A frozen copy of an entry. @throws `value_too_deep`, or a `TypeError` for what JSON cannot express as an object. */
export function freezeEntry(entry: object, depthMax: number): object {
  const frozen = freezeValue("", entry, depthMax, depthMax);
  if (typeof frozen !== "object" || frozen === null || Array.isArray(frozen)) {
    throw new TypeError("entry must be an object, and stay one when its toJSON is called");
  }
  return frozen;
}

function freezeValue(name: string, given: unknown, levelsLeft: number, depthMax: number): unknown {
  const value = unbox(plainOf(name, given));
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      // JSON has neither NaN nor -0.
      return Number.isFinite(value) ? value + 0 : null;
    case "bigint":
      throw new TypeError(`field ${JSON.stringify(name)} is a BigInt, which JSON cannot express`);
    case "object":
      return value === null ? null : freezeObject(value, levelsLeft, depthMax);
    default:
      return undefined;
  }
}

function freezeObject(value: object, levelsLeft: number, depthMax: number): object {
  const known = frozenDepths.get(value);
  if (levelsLeft < (known ?? 1)) {
    const actual = depthMax - levelsLeft + (known ?? 1);
    throw new SessionStoreError(
      "value_too_deep",
      `the entry has more than ${depthMax} levels of objects and arrays inside each other`,
      { data: { limit: depthMax, actual } },
    );
  }
  if (known !== undefined) return value;
  const copy: object = Array.isArray(value)
    ? Array.from(value, (item, index) => freezeValue(String(index), item, levelsLeft - 1, depthMax) ?? null)
    : freezeFields(value, levelsLeft, depthMax);
  frozenDepths.set(copy, 1 + deepest(copy));
  return Object.freeze(copy);
}

function freezeFields(value: object, levelsLeft: number, depthMax: number): object {
  const copy: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    const frozen = freezeValue(name, item, levelsLeft - 1, depthMax);
    if (frozen !== undefined) setField(copy, name, frozen);
  }
  return copy;
}

function deepest(copy: object): number {
  let depth = 0;
  for (const item of Object.values(copy) as unknown[]) {
    if (typeof item === "object" && item !== null) depth = Math.max(depth, frozenDepths.get(item) ?? 0);
  }
  return depth;
}

function plainOf(name: string, value: unknown): unknown {
  if ((typeof value !== "object" || value === null) && typeof value !== "bigint") return value;
  const { toJSON } = value as { toJSON?: unknown };
  return typeof toJSON === "function" ? (toJSON.call(value, name) as unknown) : value;
}

function unbox(value: unknown): unknown {
  return types.isBoxedPrimitive(value) ? value.valueOf() : value;
}

/** Deep equality of frozen values; the order of fields does not count, the order of items does. */
export function sameValue(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every(
    (name) =>
      Object.hasOwn(other, name) &&
      sameValue((one as Record<string, unknown>)[name], (other as Record<string, unknown>)[name]),
  );
}
