/**
 * Stored values that need no translation, and what is known of their size.
 *
 * An object or array is *plain* when neither it nor anything in it has a name that starts with `$`: no escaped
 * field and no reference. Its stored form and the entry that callers see are then one and the same frozen object.
 * Nearly all are plain, and recognising them by identity is what makes an update cost no more than the fields it
 * touches.
 *
 * That an object is plain depends on nothing but the object, so one table serves all stores. Everything in the
 * table is deeply frozen, and so are its parts, each of them in the table too.
 */
import { NEEDS_NO_ESCAPE } from "./json-text.js";
import { isStoredArray, type StoredObject, type StoredValue } from "./stored-value.js";

/** An upper bound on serialized bytes, and the levels of nesting. A primitive has height 0. */
export interface Measure {
  readonly bound: number;
  readonly height: number;
}

/** Measure of other frozen parts, packed likewise. */
const otherMeasures = new WeakMap<object, number>();
/** Plain object to its measure packed into one number (a hundred thousand sessions have many); 0: not measured yet. */
const plainParts = new WeakMap<object, number>();
const HEIGHT_RANGE = 256;

/** Longest string whose size is estimated: beyond it, one scan is worth the better bound. */
const ESTIMATED_UNITS_MAX = 24;
/** A UTF-16 unit takes at most six bytes: `\u001f`. */
export const UNIT_BYTES_MAX = 6;
/** Longest number that JSON writes: -1.2345678901234567e-300. */
export const NUMBER_BYTES_MAX = 25;
/** `false` and a comma. */
export const LITERAL_BYTES_MAX = 5;

export function isPlain(value: object): boolean {
  return plainParts.has(value);
}

/** Enters a deeply frozen object whose parts are entered already. */
export function enterPlain(value: object, measure?: Measure): void {
  plainParts.set(value, measure === undefined ? 0 : pack(measure));
}

/** Measure of a stored value, remembered if it is frozen. Never descends into a reference's blob. */
export function measureStored(value: StoredValue): Measure {
  if (typeof value !== "object" || value === null) return { bound: primitiveBound(value), height: 0 };
  const inPlain = plainParts.get(value);
  const packed = inPlain ?? otherMeasures.get(value) ?? 0;
  if (packed > 0) return { bound: Math.floor(packed / HEIGHT_RANGE), height: packed % HEIGHT_RANGE };
  const measure = isStoredArray(value) ? measureArray(value) : measureObject(value);
  if (inPlain !== undefined) plainParts.set(value, pack(measure));
  else if (Object.isFrozen(value)) otherMeasures.set(value, pack(measure));
  return measure;
}

/**
 * About what a stored value serializes to, found without looking into long strings: more, or less by what has to be escaped in
 * those that stand in it directly.
 */
export function estimatedBytes(value: StoredValue): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null || isStoredArray(value)) return measureStored(value).bound;
  let bytes = 2;
  for (const name of Object.keys(value)) {
    const field = value[name] as StoredValue;
    bytes += stringBound(name) + 2;
    bytes += typeof field === "string" ? field.length + 2 : measureStored(field).bound;
  }
  return bytes;
}

function measureArray(value: readonly StoredValue[]): Measure {
  let bound = 2;
  let height = 0;
  for (const item of value) {
    const measure = measureStored(item);
    bound += measure.bound + 1;
    if (measure.height > height) height = measure.height;
  }
  return { bound, height: height + 1 };
}

function measureObject(value: StoredObject): Measure {
  let bound = 2;
  let height = 0;
  for (const name of Object.keys(value)) {
    const field = value[name] as StoredValue;
    bound += stringBound(name) + 2;
    if (typeof field === "object" && field !== null) {
      const measure = measureStored(field);
      bound += measure.bound;
      if (measure.height > height) height = measure.height;
    } else {
      bound += primitiveBound(field);
    }
  }
  return { bound, height: height + 1 };
}

function primitiveBound(value: null | boolean | number | string): number {
  if (typeof value === "string") return stringBound(value);
  return typeof value === "number" ? NUMBER_BYTES_MAX : LITERAL_BYTES_MAX;
}

/** At least the bytes of the string in JSON, and exactly those when it is long and has nothing special in it. */
export function stringBound(text: string): number {
  if (text.length > ESTIMATED_UNITS_MAX && NEEDS_NO_ESCAPE.test(text)) return text.length + 2;
  return text.length * UNIT_BYTES_MAX + 2;
}

/** Exact bytes of a stored value in a log line. The value must not nest deeper than stored forms may. */
export function serializedBytes(value: StoredValue): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function pack({ bound, height }: Measure): number {
  return bound * HEIGHT_RANGE + height;
}
