/**
 * Entries that callers may change, made from entries that everybody shares.
 *
 * A copy has the scalars at once; a field that holds an object is copied, whole, when it is first touched. So an entry whose
 * 81 KB of skills nobody looks at costs as much as one without. A field that was not touched is known to be unchanged without
 * being looked into, and goes back into the store as the shared value that it is.
 *
 * To callers a copy is an ordinary object: `JSON.stringify`, spread, `Object.entries`, `structuredClone` and `delete` see
 * its fields. Only `Object.getOwnPropertyDescriptor` can tell a field that was not touched yet.
 */
import { equalJson } from "../../format/equal-json.js";
import type { SessionEntry } from "./session-entry.js";

type Fields = Record<string, unknown>;

/** Getters of fields that were not touched, and whose fields they stand for. */
const untouched = new WeakMap<object, Readonly<Fields>>();
let copies = 0;

/** How many entries were copied so far in this process: for tests, and for whoever wonders what a mutator costs. */
export function copiedEntryCount(): number {
  return copies;
}

/** A copy of a shared entry that is the caller's own. */
export function copyEntry(shared: Readonly<SessionEntry>): SessionEntry {
  copies++;
  const copy: Fields = {};
  for (const name of Object.keys(shared)) {
    const descriptor = Object.getOwnPropertyDescriptor(shared, name);
    if (descriptor?.get === undefined && !isObject(descriptor?.value)) define(copy, name, descriptor?.value);
    else defineLazy(copy, name, shared);
  }
  return copy as SessionEntry;
}

/**
 * What it takes to get from one entry to another: fields to set, and with undefined those to remove.
 * @param before A shared entry. @param after Any entry, probably a copy of it, perhaps changed.
 * @returns Undefined if they have the same JSON, the order of fields aside.
 */
export function changedFields(
  before: Readonly<SessionEntry>,
  after: Readonly<SessionEntry>,
): Map<string, unknown> | undefined {
  const fields = new Map<string, unknown>();
  for (const name of Object.keys(after)) {
    if (sharedFor(after, name) === before) continue;
    const value: unknown = after[name];
    if (!equalJson(value, Object.hasOwn(before, name) ? before[name] : undefined)) fields.set(name, value);
  }
  for (const name of Object.keys(before)) {
    if (before[name] !== undefined && !Object.hasOwn(after, name)) fields.set(name, undefined);
  }
  return fields.size === 0 ? undefined : fields;
}

/** The entry as it can be stored: what was not touched is the shared value itself, and is recognised by the store. */
export function storableEntry(entry: Readonly<SessionEntry>): SessionEntry {
  const fields: Fields = {};
  for (const name of Object.keys(entry)) {
    define(fields, name, (sharedFor(entry, name) ?? entry)[name]);
  }
  return fields as SessionEntry;
}

/** A field to look at, and not to keep or change: looking at it does not count as touching it. */
export function peek(entry: Readonly<SessionEntry>, name: string): unknown {
  return (sharedFor(entry, name) ?? entry)[name];
}

/** Everything inside a value, so that nothing is shared with it. */
function copyValue(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (Array.isArray(value)) return value.map(copyValue);
  const copy: Fields = {};
  for (const name of Object.keys(value)) define(copy, name, copyValue(value[name]));
  return copy;
}

function defineLazy(copy: Fields, name: string, shared: Readonly<Fields>): void {
  let value: unknown;
  let known = false;
  const get = (): unknown => {
    if (!known) {
      known = true;
      value = copyValue(shared[name]);
      untouched.delete(get);
    }
    return value;
  };
  const set = (given: unknown): void => {
    known = true;
    value = given;
    untouched.delete(get);
  };
  untouched.set(get, shared);
  Object.defineProperty(copy, name, { get, set, enumerable: true, configurable: true });
}

/** Whose field a copy's field still is; undefined once it was touched. */
function sharedFor(entry: Readonly<Fields>, name: string): Readonly<Fields> | undefined {
  const getter: unknown = Reflect.get(Object.getOwnPropertyDescriptor(entry, name) ?? {}, "get");
  return typeof getter === "function" ? untouched.get(getter) : undefined;
}

/** "__proto__" is a field like any other. */
function define(target: Fields, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else target[name] = value;
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}
