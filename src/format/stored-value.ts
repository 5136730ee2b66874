/**
 * The stored form of an entry: what log lines and entry files carry.
 *
 * It is plain JSON, with two differences from what the caller gave. Field names that start with `$` have one
 * more `$` in front, at every depth; so a single `$` is ours. And a big value is replaced by a reference
 *
 *     { "$blob": "sha256:<64 hex digits>", "bytes": <length>, "nested": 1 }
 *
 * to a blob: the big value's own stored form, serialized, under the SHA-256 of those bytes. `nested` says that the
 * blob contains references itself. An entry as a whole is never a reference.
 *
 * Invariant: `JSON.stringify(JSON.parse(JSON.stringify(stored))) === JSON.stringify(stored)`, on every engine
 * that follows the language standard. The checksum of an entry file depends on it.
 */
import { STORED_DEPTH_MAX } from "./limits.js";

export type StoredValue = null | boolean | number | string | readonly StoredValue[] | StoredObject;

export interface StoredObject {
  readonly [name: string]: StoredValue;
}

/** Names a blob: `hash` is 64 lower-case hex digits, `bytes` the length of its content. */
export interface BlobReference {
  readonly hash: string;
  readonly bytes: number;
  /** The blob's content has references of its own. */
  readonly nested: boolean;
}

const DOLLAR = 36;
const BLOB_HASH = /^sha256:([0-9a-f]{64})$/;

/** Name under which a field is stored. */
export function escapeName(name: string): string {
  return name.charCodeAt(0) === DOLLAR ? `$${name}` : name;
}

/** Inverse of {@link escapeName}. A name with a single `$`, which it never gives, stays what it is. */
export function unescapeName(stored: string): string {
  return stored.charCodeAt(0) === DOLLAR && stored.charCodeAt(1) === DOLLAR ? stored.slice(1) : stored;
}

/** Stored form of a reference. */
export function storedReference(reference: BlobReference): StoredObject {
  const { hash, bytes, nested } = reference;
  const blob = `sha256:${hash}`;
  return Object.freeze(nested ? { $blob: blob, bytes, nested: 1 } : { $blob: blob, bytes });
}

/** Of frozen values: each is asked about several times in an update, and shared by the entries that refer to it. */
const knownReferences = new WeakMap<StoredObject, BlobReference>();

/** The reference that a stored value is, or undefined for any other value. */
export function referenceOf(value: StoredValue): BlobReference | undefined {
  if (typeof value !== "object" || value === null || isStoredArray(value)) return undefined;
  if (!Object.hasOwn(value, "$blob")) return undefined;
  const known = knownReferences.get(value);
  if (known !== undefined) return known;
  const reference = parseReference(value);
  if (reference !== undefined && Object.isFrozen(value)) knownReferences.set(value, reference);
  return reference;
}

function parseReference(value: StoredObject): BlobReference | undefined {
  const { $blob: blob, bytes, nested } = value;
  const hash = typeof blob === "string" ? BLOB_HASH.exec(blob)?.[1] : undefined;
  if (hash === undefined || !isCount(bytes)) return undefined;
  return { hash, bytes, nested: nested === 1 };
}

/** `Array.isArray`, which does not narrow a readonly array away. */
export function isStoredArray(value: StoredObject | readonly StoredValue[]): value is readonly StoredValue[] {
  return Array.isArray(value);
}

/** Whether parsed JSON is an object, neither null nor an array. */
export function isStoredObject(value: StoredValue | undefined): value is StoredObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether parsed JSON is a whole number of zero or more. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * Sets an own field, whatever its name: assigning to `__proto__` would change the prototype instead.
 */
export function setField(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[name] = value;
  }
}

/**
 * Whether a parsed value nests no deeper than `levels`, an object of primitives being one level. Stops at the
 * first branch that is too deep, so it is safe on input of any depth.
 */
export function isWithinDepth(value: StoredValue, levels = STORED_DEPTH_MAX): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (levels === 0) return false;
  if (isStoredArray(value)) {
    for (const item of value) if (!isWithinDepth(item, levels - 1)) return false;
    return true;
  }
  for (const name in value) {
    const field = value[name];
    if (typeof field === "object" && field !== null && !isWithinDepth(field, levels - 1)) return false;
  }
  return true;
}
