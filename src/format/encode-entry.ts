/**
 * From an entry as a caller gives it to the stored form: one {@link Encoding} for one entry or one set of fields.
 *
 * Values mean what JSON.stringify takes them to mean, and what it would make something else of is refused (see
 * json-semantics.ts). Three things come on top. Parts that this store handed out are recognised by identity and neither looked into nor
 * loaded. Values that serialize to `thresholdBytes` or more become blobs, children first; but one that takes the place
 * of another big value, before any file had that one, stays inline (see `#mayStay`). Limits are enforced on the way
 * down, so that no input costs more than they allow, or runs out of stack.
 *
 * Sizes are tracked as upper bounds, which cost next to nothing; only a bound that reaches a limit is replaced
 * by the exact number. What a limit's error reports is exact or, where the work was stopped early, a lower bound.
 */
import { createHash } from "node:crypto";
import type { BlobCache, CachedBlob } from "./blob-cache.js";
import type { EntryDecoder } from "./decode-entry.js";
import type { Encoded, EncodedFields } from "./encoded.js";
import { assertFitsLimits, fitsLimits, limitError } from "./entry-limits.js";
import {
  describeType,
  flawOf,
  inexpressible,
  isInvalidDate,
  isPlainContainer,
  NO_ITEM,
  pathText,
  throughToJson,
} from "./json-semantics.js";
import type { Limits } from "./limits.js";
import {
  enterPlain,
  estimatedBytes,
  isPlain,
  measureStored,
  LITERAL_BYTES_MAX,
  NUMBER_BYTES_MAX,
  UNIT_BYTES_MAX,
  serializedBytes,
  stringBound,
} from "./plain-parts.js";
import { applyPatch } from "./stored-patch.js";
import { referencesIn, uniqueReferences } from "./stored-references.js";
import {
  escapeName,
  isStoredArray,
  referenceOf,
  setField,
  storedReference,
  type BlobReference,
  type StoredObject,
  type StoredValue,
} from "./stored-value.js";

/** What all encodings of one store have in common. */
export interface EncodingRules {
  readonly thresholdBytes: number;
  /** What an entry may serialize to with big values that stay inline, but for what has to be escaped in them. */
  readonly inlineBytesMax: number;
  /** Hashes of some values that stayed inline lately. */
  readonly lately: Set<string>;
  readonly limits: Limits;
  readonly cache: BlobCache;
  readonly decoder: EntryDecoder;
}

const NO_BLOBS: ReadonlyMap<string, Buffer> = new Map();
const NO_NAMES: readonly string[] = Object.freeze([]);
/** `{"$blob":"sha256:<64>","bytes":<16 digits>,"nested":1}`, rounded up. */
const REFERENCE_BYTES_MAX = 128;
/** So many hashes are remembered. */
const LATELY_MAX = 1000;
/** A bound is never more than this many times the size: a number of one digit counts as 25 bytes and a comma. */
const OVERESTIMATE_MAX = 13;

export class Encoding {
  /** References in the order of appearance, with repetitions; those inside a blob leave when it is made. */
  readonly #references: BlobReference[] = [];
  #newBlobs: Map<string, Buffer> | undefined;
  /** Names of the containers on the way from the entry to where the walk is, and the containers themselves. */
  readonly #path: (string | number)[] = [];
  readonly #ancestors: object[] = [];
  /** Bytes that the input certainly serializes to, as far as it was seen. */
  #spent = 0;
  /** Bytes of big values that stay inline, less those that they take the place of. */
  #inlinedBytes = 0;
  /** Counts what makes a container other than plain: escaped names and references. */
  #special = 0;
  /** Measure of the value that was encoded last. */
  #bound = 0;
  #height = 0;

  constructor(
    private readonly rules: EncodingRules,
    private readonly base: StoredObject | undefined,
    private readonly key: string | undefined,
    /** Whether no file has the base yet. */
    private readonly fresh: boolean,
  ) {}

  encodeEntry(entry: object): Encoded {
    const stored = this.#recogniseEntry(entry) ?? this.#copyEntry(entry, undefined);
    this.#assertFits(stored, this.#bound, this.#references);
    return this.#result(stored);
  }

  encodeFields(fields: object): EncodedFields {
    const unset: string[] = [];
    const stored = this.#recogniseEntry(fields) ?? this.#copyEntry(fields, unset);
    const { base } = this;
    const { decoder, limits } = this.rules;
    if (base === undefined) {
      this.#assertFits(stored, this.#bound, this.#references);
    } else {
      const bound = this.#bound + measureStored(base).bound;
      const references = [...this.#references, ...decoder.referencesOf(base)];
      if (!fitsLimits(bound, this.#totalBytes(references), limits)) {
        const patched = applyPatch(base, stored, unset);
        this.#assertFits(patched, bound, referencesIn(patched));
      }
    }
    return { ...this.#result(stored), unset: unset.length === 0 ? NO_NAMES : unset };
  }

  #result(stored: StoredObject): Encoded {
    const references = uniqueReferences(this.#references);
    return { stored, references, newBlobs: this.#newBlobs ?? NO_BLOBS };
  }

  /** An entry that this store handed out. */
  #recogniseEntry(entry: object): StoredObject | undefined {
    if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
      throw new TypeError(`an entry must be an object, not ${describeType(entry)}`);
    }
    const { decoder } = this.rules;
    const stored = (isPlain(entry) ? entry : decoder.partOf(entry)?.stored) as StoredObject | undefined;
    if (stored === undefined) return undefined;
    if (stored !== entry) this.#references.push(...decoder.referencesOf(stored));
    this.#bound = measureStored(stored).bound;
    return stored;
  }

  /** @param unset Takes the stored names of fields that JSON leaves out. */
  #copyEntry(entry: object, unset: string[] | undefined): StoredObject {
    const source = throughToJson(entry, "");
    if (typeof source !== "object" || source === null || Array.isArray(source)) {
      throw new TypeError(`an entry must be an object, and its toJSON returned ${describeType(source)}`);
    }
    if (!isPlainContainer(source)) throw inexpressible("entry", flawOf(source) ?? "", this.key);
    this.#ancestors.push(entry, source);
    const copy = this.#copyFields(source as Record<string, unknown>, 1, this.base, unset);
    return Object.freeze(copy);
  }

  /**
   * Stored form of a value, or undefined for one that JSON leaves out. Leaves its measure in `#bound` and
   * `#height`.
   * @param level What the value's level of nesting is if it is a container.
   * @param base Stored value at the same place in the base.
   */
  #value(
    value: unknown,
    name: string | number,
    level: number,
    base: StoredValue | undefined,
  ): StoredValue | undefined {
    switch (typeof value) {
      case "string":
        return this.#string(value, name, base);
      case "number":
        this.#measured(NUMBER_BYTES_MAX, 1);
        if (!Number.isFinite(value)) throw this.#inexpressible(name, flawOf(value) ?? "");
        return value === 0 ? 0 : value; // no negative zero
      case "boolean":
        this.#measured(LITERAL_BYTES_MAX, 4);
        return value;
      case "object":
        if (value !== null) return this.#container(value, name, level, base);
        this.#measured(LITERAL_BYTES_MAX, 4);
        return null;
      case "bigint":
      case "function": {
        const replaced = throughToJson(value, name);
        if (replaced !== value) return this.#afterToJson(replaced, name, level, base);
        if (name === "toJSON" && typeof value === "function") return undefined; // what it returned is its own business
        throw this.#inexpressible(name, flawOf(value) ?? "");
      }
      case "symbol":
        throw this.#inexpressible(name, flawOf(value) ?? "");
      default:
        return undefined;
    }
  }

  #measured(bound: number, spent: number): void {
    this.#bound = bound;
    this.#height = 0;
    this.#spend(spent);
  }

  /** Stops the work on an entry that is certainly too large. */
  #spend(bytes: number): void {
    this.#spent += bytes;
    const limit = this.rules.limits.entryBytesMax;
    if (this.#spent > limit)
      throw limitError("entry_too_large", "entry", { limit, actual: this.#spent }, this.key);
  }

  #string(text: string, name: string | number, base: StoredValue | undefined): StoredValue {
    const same = text === base;
    // A long one is not looked into: it is serialized, or was there before.
    const long = text.length >= this.rules.thresholdBytes;
    const bound = long ? text.length * UNIT_BYTES_MAX + 2 : stringBound(text);
    this.#measured(bound, text.length + 2);
    if (same || bound < this.rules.thresholdBytes) return text;
    // Strings have no identity; the loaded value of the base is the next best thing, and saves the hash.
    const known = base === undefined ? undefined : referenceOf(base);
    const loaded = known === undefined ? undefined : this.rules.cache.get(known.hash);
    if (loaded !== undefined && loaded.value === text) return this.#refer(loaded);
    const json = JSON.stringify(text);
    return this.#blobOr(text, json, { name, mark: this.#references.length, base }) ?? text;
  }

  #container(
    value: object,
    name: string | number,
    level: number,
    base: StoredValue | undefined,
  ): StoredValue | undefined {
    const known = this.#recognise(value, name, level, base);
    if (known !== undefined) return known;
    const replaced = throughToJson(value, name);
    if (replaced === value) return this.#copy(value, name, level, base);
    if (isInvalidDate(value)) throw this.#inexpressible(name, "is an invalid Date, which has no text");
    return this.#afterToJson(replaced, name, level, base);
  }

  /** What `toJSON` returned is taken as it is: its own `toJSON` is not called. */
  #afterToJson(
    value: unknown,
    name: string | number,
    level: number,
    base: StoredValue | undefined,
  ): StoredValue | undefined {
    if (typeof value === "object" && value !== null) {
      return this.#recognise(value, name, level, base) ?? this.#copy(value, name, level, base);
    }
    if (typeof value === "function" || typeof value === "bigint")
      throw this.#inexpressible(name, flawOf(value) ?? "");
    return this.#value(value, name, level, base);
  }

  /** A part that this store handed out. */
  #recognise(
    value: object,
    name: string | number,
    level: number,
    base: StoredValue | undefined,
  ): StoredValue | undefined {
    const { cache, decoder, limits, thresholdBytes } = this.rules;
    const blob = cache.ofValue(value);
    if (blob !== undefined) {
      this.#spend(blob.totalBytes);
      return this.#refer(blob);
    }
    const plain = isPlain(value);
    const stored = (plain ? value : decoder.partOf(value)?.stored) as StoredObject | undefined;
    if (stored === undefined) return undefined;
    const mark = this.#references.length;
    if (!plain) {
      this.#special++;
      this.#references.push(...decoder.referencesOf(stored));
    }
    const { bound, height } = measureStored(stored);
    this.#spend(Math.floor(bound / OVERESTIMATE_MAX));
    if (level + height - 1 > limits.depthMax) throw this.#tooDeep(name, level + height - 1);
    if (bound < thresholdBytes || stored === base) {
      this.#bound = bound;
      this.#height = height;
      return stored;
    }
    const made = this.#blobOr(stored, JSON.stringify(stored), { name, mark, base });
    if (made !== undefined) return made;
    // Now that the exact size is known, it need not be found out again.
    if (plain) enterPlain(stored, { bound: this.#bound, height });
    this.#height = height;
    return stored;
  }

  #copy(
    source: object,
    name: string | number,
    level: number,
    base: StoredValue | undefined,
  ): StoredValue | undefined {
    if (!isPlainContainer(source)) throw this.#inexpressible(name, flawOf(source) ?? "");
    if (this.#ancestors.includes(source)) throw this.#inexpressible(name, "refers back to what contains it");
    if (level > this.rules.limits.depthMax) throw this.#tooDeep(name, level);
    this.#path.push(name);
    this.#ancestors.push(source);
    const mark = this.#references.length;
    const special = this.#special;
    const inner = base === undefined || referenceOf(base) !== undefined ? undefined : base;
    const content = Array.isArray(source)
      ? this.#copyItems(source as readonly unknown[], level, inner)
      : this.#copyFields(source as Record<string, unknown>, level, inner, undefined);
    this.#path.pop();
    this.#ancestors.pop();
    const copy = Object.freeze(content) as StoredObject | readonly StoredValue[];
    const height = this.#height;
    const plain = special === this.#special;
    if (plain) enterPlain(copy, { bound: this.#bound, height });
    if (this.#bound < this.rules.thresholdBytes) return copy;
    const made = this.#blobOr(copy, JSON.stringify(copy), { name, mark, base });
    if (made !== undefined) return made;
    if (plain) enterPlain(copy, { bound: this.#bound, height });
    this.#height = height;
    return copy;
  }

  #copyItems(source: readonly unknown[], level: number, base: StoredValue | undefined): StoredValue[] {
    const items: StoredValue[] = [];
    const bases = typeof base === "object" && base !== null && isStoredArray(base) ? base : undefined;
    let bound = 2;
    let height = 0;
    this.#spend(1);
    for (let index = 0; index < source.length; index++) {
      const item = this.#value(source[index], index, level + 1, bases?.[index]);
      if (item === undefined) throw this.#inexpressible(index, NO_ITEM);
      items.push(item);
      this.#spend(1);
      bound += this.#bound + 1;
      if (this.#height > height) height = this.#height;
    }
    this.#bound = bound;
    this.#height = height + 1;
    return items;
  }

  #copyFields(
    source: Record<string, unknown>,
    level: number,
    base: StoredValue | undefined,
    unset: string[] | undefined,
  ): Record<string, StoredValue> {
    const fields: Record<string, StoredValue> = {};
    const bases = typeof base === "object" && base !== null && !isStoredArray(base) ? base : undefined;
    let bound = 2;
    let height = 0;
    this.#spend(1);
    for (const name of Object.keys(source)) {
      const storedName = escapeName(name);
      if (storedName !== name) this.#special++;
      const field = this.#value(source[name], name, level + 1, bases?.[storedName]);
      if (field === undefined) {
        unset?.push(storedName);
        continue;
      }
      setField(fields, storedName, field);
      this.#spend(name.length + 4);
      bound += stringBound(storedName) + 2 + this.#bound;
      if (this.#height > height) height = this.#height;
    }
    this.#bound = bound;
    this.#height = height + 1;
    return fields;
  }

  /** Makes a blob of a value that is large enough and may not stay inline; otherwise undefined, and `#bound` is exact. */
  #blobOr(content: StoredValue, json: string, place: Place): StoredObject | undefined {
    const bytes = Buffer.byteLength(json);
    const { cache, decoder, limits, thresholdBytes } = this.rules;
    this.#bound = bytes;
    if (bytes < thresholdBytes) return undefined;
    if (bytes > limits.blobBytesMax) {
      const numbers = { limit: limits.blobBytesMax, actual: bytes };
      throw limitError("blob_too_large", this.#where(place.name), numbers, this.key);
    }
    const base = place.base === undefined ? undefined : referenceOf(place.base);
    if (base === undefined && isSame(place.base, json)) return undefined;
    const buffer = Buffer.from(json);
    const hash = createHash("sha256").update(buffer).digest("hex");
    let blob = cache.get(hash);
    if (blob === undefined && base?.hash !== hash && this.#mayStay(place.base, bytes, hash)) return undefined;
    const inner = this.#references.splice(place.mark);
    if (base?.hash !== hash) (this.#newBlobs ??= new Map()).set(hash, buffer);
    if (blob === undefined) {
      const reference = { hash, bytes, nested: inner.length > 0 };
      blob = {
        reference,
        stored: storedReference(reference),
        content,
        value: decoder.decodeContent(content),
        totalBytes: bytes + this.#totalBytes(inner),
      };
      cache.add(blob);
    }
    return this.#refer(blob);
  }

  /**
   * A big value that takes the place of another one which no file has yet goes the same way soon, as like as not: it
   * stays in the log, and costs no file of its own. Unless another session has it too: then it is one that is shared.
   */
  #mayStay(replaced: StoredValue | undefined, bytes: number, hash: string): boolean {
    const { base } = this;
    if (!this.fresh || replaced === undefined || base === undefined) return false;
    const { inlineBytesMax, lately, thresholdBytes } = this.rules;
    const inline = referenceOf(replaced) === undefined;
    const before = inline ? estimatedBytes(replaced) : 0;
    const more = this.#inlinedBytes + bytes - before;
    if ((inline && before < thresholdBytes) || estimatedBytes(base) + more > inlineBytesMax) return false;
    if (lately.has(hash)) return false;
    lately.add(hash);
    if (lately.size > LATELY_MAX) lately.clear();
    this.#inlinedBytes = more;
    return true;
  }

  #refer(blob: CachedBlob): StoredObject {
    this.#references.push(blob.reference);
    this.#special++;
    this.#bound = REFERENCE_BYTES_MAX;
    this.#height = 1;
    return blob.stored;
  }

  #totalBytes(references: readonly BlobReference[]): number {
    let total = 0;
    for (const { hash, bytes } of references) total += this.rules.cache.get(hash)?.totalBytes ?? bytes;
    return total;
  }

  #assertFits(stored: StoredObject, bound: number, references: readonly BlobReference[]): void {
    const { limits } = this.rules;
    const blobBytes = this.#totalBytes(references);
    if (fitsLimits(bound, blobBytes, limits)) return;
    assertFitsLimits(serializedBytes(stored), blobBytes, limits, this.key);
  }

  #tooDeep(name: string | number, levels: number): Error {
    const numbers = { limit: this.rules.limits.depthMax, actual: levels };
    return limitError("value_too_deep", this.#where(name), numbers, this.key);
  }

  #inexpressible(name: string | number, flaw: string): TypeError {
    return inexpressible(this.#where(name), flaw, this.key);
  }

  #where(name: string | number): string {
    return pathText([...this.#path, name]);
  }
}

/** Where a blob is being made. */
interface Place {
  readonly name: string | number;
  /** Length of the list of references before the value was entered. */
  readonly mark: number;
  /** What the base has at the same place. */
  readonly base: StoredValue | undefined;
}

/** Whether a big value of the base that stayed inline is the one that this is the text of. */
function isSame(inBase: StoredValue | undefined, json: string): boolean {
  return typeof inBase === "object" && inBase !== null && JSON.stringify(inBase) === json;
}
