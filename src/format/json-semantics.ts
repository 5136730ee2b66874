/**
 * What a value means in JSON, piece by piece, and how errors name where it stands.
 *
 * Values mean what JSON.stringify takes them to mean, with one difference: what it would silently make something else of is
 * refused. So what comes back equals what was put, except for what a `toJSON` says (a Date is its text), for fields that are
 * undefined (they are left out), and for -0 (it is 0).
 */
import { types } from "node:util";

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** What the value's `toJSON` returns; without one, the value itself. */
export function throughToJson(value: unknown, name: string | number): unknown {
  const { toJSON } = value as { readonly toJSON?: unknown };
  return typeof toJSON === "function" ? (toJSON.call(value, String(name)) as unknown) : value;
}

/** Why a value, whose `toJSON` was called, would come back as something else: a clause; undefined if it would not. */
export function flawOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : `is ${value}, which JSON would turn into null`;
    case "bigint":
      return "is a BigInt, which JSON cannot express";
    case "function":
    case "symbol":
      return `is a ${typeof value}, which JSON would leave out`;
    case "object":
      return value === null || isPlainContainer(value) ? undefined : foreignFlaw(value);
    default:
      return undefined;
  }
}

/** An array, or an object that is nothing but its fields. One of another realm has a root of its own as prototype. */
export function isPlainContainer(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && !types.isModuleNamespaceObject(value);
}

function foreignFlaw(value: object): string {
  const { constructor } = value as { readonly constructor?: { readonly name?: unknown } };
  const name = typeof constructor === "function" ? constructor.name : "an object with a prototype";
  return `is an instance of ${name}, which would come back as a plain object; give it a toJSON, or copy its fields`;
}

/** What stands at the place of an item that JSON would turn into null. */
export const NO_ITEM = "is undefined or a hole, which JSON would turn into null";

/** `toJSON` of an invalid date gives null, without a word. */
export function isInvalidDate(value: unknown): boolean {
  return types.isDate(value) && Number.isNaN(Date.prototype.valueOf.call(value));
}

/** @param where As {@link pathText} gives it. */
export function inexpressible(where: string, flaw: string, key: string | undefined): TypeError {
  return new TypeError(`${where}${key === undefined ? "" : ` of session ${JSON.stringify(key)}`} ${flaw}`);
}

/** As in `entry.origin.labels[3]`. */
export function pathText(steps: readonly (string | number)[], root = "entry"): string {
  let text = root;
  for (const step of steps) {
    if (typeof step === "number") text += `[${step}]`;
    else text += IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** What a value is, with its article. */
export function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
