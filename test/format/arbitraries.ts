/** Values for property tests of the format: JSON of every kind, with the names and strings that break things. */
import fc from "fast-check";

/** Names that are special to the language, to the format or to nobody. */
export const hostileNames = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "toJSON",
  "hasOwnProperty",
  "$",
  "$$",
  "$blob",
  "$$blob",
  "$session",
  "",
  "0",
  "10",
  "2",
  "-1",
  "a.b",
  "\ud800",
  "é",
  "e\u0301",
  "\u2028",
  "😀",
] as const;

export const name = fc.oneof(
  fc.constantFrom(...hostileNames),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: "binary", maxLength: 6 }),
);

/** Any string, lone surrogates included. */
export const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 10 })
    .map((units) => String.fromCharCode(...units)),
  // Long enough to become a blob at the small thresholds that the tests use.
  fc.nat({ max: 400 }).map((length) => "long ".repeat(length / 5)),
);

/** What a fast-check dictionary is, but with own fields of any name, `__proto__` included. */
export function objectOf(value: fc.Arbitrary<unknown>, maxKeys = 6): fc.Arbitrary<Record<string, unknown>> {
  return fc.array(fc.tuple(name, value), { maxLength: maxKeys }).map((fields) => {
    const object: Record<string, unknown> = {};
    for (const [key, field] of fields) define(object, key, field);
    return object;
  });
}

export function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Any value that JSON can express. */
export const json: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.oneof(
      text,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(tie("value"), { maxLength: 5 }),
    objectOf(tie("value")),
  ),
})).value;

/** An entry as callers give it: an object of JSON values. */
export const entry = objectOf(json, 10);

/** A deep copy that shares nothing, as another process has it. */
export function reparsed<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
