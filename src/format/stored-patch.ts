/**
 * Differences between stored entries, by top-level field. Pure functions of JSON: every process that applies the
 * same patches to the same entry gets the same text, the order of fields included.
 */
import { equalJson } from "./equal-json.js";
import { setField, type StoredObject, type StoredValue } from "./stored-value.js";

export interface StoredPatch {
  /** Fields to set. */
  readonly set: StoredObject;
  /** Names of fields to remove. */
  readonly unset: readonly string[];
}

/**
 * A new frozen entry with the fields of `set` set and then those of `unset` removed. Fields that stay keep their
 * place, new ones come last.
 */
export function applyPatch(stored: StoredObject, set: StoredObject, unset: readonly string[]): StoredObject {
  const next: Record<string, unknown> = unset.some((name) => Object.hasOwn(stored, name))
    ? without(stored, unset)
    : { ...stored };
  for (const name of Object.keys(set)) {
    if (unset.length === 0 || !unset.includes(name)) setField(next, name, set[name]);
  }
  return Object.freeze(next) as StoredObject;
}

// `delete` would make the copy a slow object for good.
function without(stored: StoredObject, unset: readonly string[]): Record<string, unknown> {
  const dropped = new Set(unset);
  const next: Record<string, unknown> = {};
  for (const name of Object.keys(stored)) if (!dropped.has(name)) setField(next, name, stored[name]);
  return next;
}

/** What makes `next` out of `base`; undefined when they are equal. The order of fields makes no difference. */
export function diffStored(base: StoredObject, next: StoredObject): StoredPatch | undefined {
  if (base === next) return undefined;
  const set: Record<string, unknown> = {};
  const unset: string[] = [];
  let added = 0;
  let changes = 0;
  const nextNames = Object.keys(next);
  for (const name of nextNames) {
    const value = next[name] as StoredValue;
    // An inherited property is never equal to a stored value, so this needs no look at who owns it.
    if (base[name] === value) continue;
    if (!Object.hasOwn(base, name)) added++;
    else if (equalJson(base[name], value)) continue;
    setField(set, name, value);
    changes++;
  }
  const baseNames = Object.keys(base);
  if (baseNames.length !== nextNames.length - added) {
    for (const name of baseNames) if (!Object.hasOwn(next, name)) unset.push(name);
  }
  return changes === 0 && unset.length === 0 ? undefined : { set: set as StoredObject, unset };
}
