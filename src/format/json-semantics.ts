/** How JSON.stringify looks at a value, piece by piece, and how errors name where it stands. */
import { types } from "node:util";

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** What the value's `toJSON` returns; without one, the value itself. */
export function throughToJson(value: unknown, name: string | number): unknown {
  const { toJSON } = value as { readonly toJSON?: unknown };
  return typeof toJSON === "function" ? (toJSON.call(value, String(name)) as unknown) : value;
}

/** Whether it is one of `new Number(1)`, `new String("")`, `new Boolean(true)` and `Object(1n)`. */
export function isBoxed(value: object): boolean {
  return types.isBoxedPrimitive(value) && !types.isSymbolObject(value);
}

/** The primitive in the box. */
export function unboxed(box: object): unknown {
  if (types.isNumberObject(box)) return Number(box);
  if (types.isStringObject(box)) return String(box);
  if (types.isBooleanObject(box)) return Boolean.prototype.valueOf.call(box);
  return BigInt.prototype.valueOf.call(box);
}

/** As in `entry.origin.labels[3]`. */
export function pathText(steps: readonly (string | number)[]): string {
  let text = "entry";
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
