/**
 * From the stored form to the entry that callers see.
 *
 * The entry is deeply frozen and shared by all callers who ask. A part without any name that starts with `$` is
 * its own stored form (see plain-parts.ts); any other part gets a translated twin, in which names have lost their
 * escape and a reference has become a getter that loads the big value when it is touched. The twin and its stored
 * form know each other, so the same stored object always gives the same entry, and an entry that
 * comes back is recognised without being looked into.
 *
 * Loaded values are remembered by the blob cache and not by the entry, or a listing that was kept would keep
 * every big value that was ever looked at.
 */
import { SessionStoreError } from "../errors.js";
import type { BlobCache, CachedBlob } from "./blob-cache.js";
import { enterPlain, isPlain } from "./plain-parts.js";
import { Expansion, EXPANDED_BYTES_MAX } from "./expansion.js";
import { everyReferenceIn, referencesIn } from "./stored-references.js";
import {
  isStoredArray,
  isWithinDepth,
  referenceOf,
  setField,
  storedReference,
  unescapeName,
  type BlobReference,
  type StoredObject,
  type StoredValue,
} from "./stored-value.js";

/** Gets the content of a blob, verified against its name, or throws a typed error. */
export type LoadBlob = (reference: BlobReference) => Buffer;

/** A part of an entry whose stored form is another object. */
export interface TranslatedPart {
  readonly stored: StoredObject | readonly StoredValue[];
  readonly decoded: object;
  /** Found out when first needed. */
  references: readonly BlobReference[] | undefined;
  /** The whole that it was first seen in. */
  readonly whole: Whole;
}

/** An entry, or the content of a shared value. */
interface Whole {
  readonly key: string | undefined;
  /** Until it was made sure that it does not come to too much: see expansion.ts. */
  unmeasured: StoredValue | undefined;
}

/**
 * Where a translated part keeps its stored form for its getters. A property rather than a closure, so that all
 * entries of one shape share their getters and with them their hidden class: five times less memory, and eight
 * times as fast to spread. And rather than a table, so that a getter also works behind a proxy. It is not
 * enumerable, so that copies and comparisons do not see it.
 */
const STORED = Symbol("stored");

export class EntryDecoder {
  /** Translated parts by their stored form. */
  readonly #translated = new WeakMap<object, TranslatedPart>();
  readonly #getters = new Map<string, PropertyDescriptor>();
  readonly #expansion: Expansion;
  /** What is being decoded. */
  #whole: Whole = { key: undefined, unmeasured: undefined };

  constructor(
    private readonly cache: BlobCache,
    private readonly loadBlob: LoadBlob,
    expandedBytesMax = EXPANDED_BYTES_MAX,
  ) {
    this.#expansion = new Expansion(expandedBytesMax, (reference) => this.#contentOf(reference));
  }

  /**
   * The entry of a stored form that nests no deeper than stored forms may. A plain one is not entered among the plain
   * parts: there is a new one with each update, hardly any ever comes back as a whole, and entering it is a tenth of
   * the update.
   * @param key Named in errors.
   */
  decode(stored: StoredObject, key?: string): object {
    const known = this.#translated.get(stored);
    if (known !== undefined) return known.decoded;
    this.#whole = { key, unmeasured: stored };
    const plain = this.#decodeFields(stored);
    Object.freeze(stored);
    return plain ? stored : this.#translate(stored);
  }

  /** The translated part that an object is, if it came from here. */
  partOf(value: object): TranslatedPart | undefined {
    const stored = (value as Twin)[STORED];
    const part = stored === undefined ? undefined : this.#translated.get(stored);
    // Copies and proxies can have the property too, and fields that differ.
    return part?.decoded === value ? part : undefined;
  }

  /** References in a stored value, remembered if it was ever decoded. */
  referencesOf(stored: StoredObject | readonly StoredValue[]): readonly BlobReference[] {
    const part = this.#translated.get(stored);
    return part === undefined ? referencesIn(stored) : (part.references ??= referencesIn(stored));
  }

  /** What callers see of a blob's content. */
  decodeContent(content: StoredValue): unknown {
    this.#whole = { key: undefined, unmeasured: content };
    return this.#decodeValue(content);
  }

  /** What callers see of any stored value but a reference. */
  #decodeValue(value: StoredValue): unknown {
    if (typeof value !== "object" || value === null || isPlain(value)) return value;
    return this.#decodeContainer(value);
  }

  /** The big value behind a reference. */
  load(reference: BlobReference): CachedBlob {
    const cached = this.cache.get(reference.hash);
    if (cached !== undefined) return cached;
    const content = parseBlob(this.loadBlob(reference), reference);
    // The code that measures an entry trusts the mark.
    if (!reference.nested && everyReferenceIn(content).length > 0)
      throw blobCorrupt(reference.hash, "refers to others, and the reference to it does not say so");
    const blob: CachedBlob = {
      reference,
      stored: storedReference(reference),
      content,
      value: this.decodeContent(content),
      totalBytes: Math.min(this.#expansion.bytesOf(reference, content), Number.MAX_SAFE_INTEGER),
    };
    this.cache.add(blob);
    return blob;
  }

  /** Undefined for a blob that cannot be loaded. */
  #contentOf(reference: BlobReference): StoredValue | undefined {
    try {
      return this.load(reference).content;
    } catch (error) {
      if (error instanceof SessionStoreError) return undefined;
      throw error;
    }
  }

  #decodeContainer(stored: StoredObject | readonly StoredValue[]): object {
    const known = this.#translated.get(stored);
    if (known !== undefined) return known.decoded;
    const plain = isStoredArray(stored) ? this.#decodeItems(stored) : this.#decodeFields(stored);
    Object.freeze(stored);
    if (plain) {
      enterPlain(stored);
      return stored;
    }
    return this.#translate(stored);
  }

  #translate(stored: StoredObject | readonly StoredValue[]): object {
    const decoded = isStoredArray(stored) ? this.#translateArray(stored) : this.#translateObject(stored);
    this.#translated.set(stored, { stored, decoded, references: undefined, whole: this.#whole });
    return decoded;
  }

  /** Decodes what is inside; whether all of it is plain. */
  #decodeItems(stored: readonly StoredValue[]): boolean {
    let plain = true;
    for (const item of stored) if (!this.#decodeWithin(item)) plain = false;
    return plain;
  }

  #decodeFields(stored: StoredObject): boolean {
    let plain = true;
    for (const name of Object.keys(stored)) {
      if (name.startsWith("$")) plain = false;
      const field = stored[name];
      if (typeof field === "object" && !this.#decodeWithin(field)) plain = false;
    }
    return plain;
  }

  #decodeWithin(value: StoredValue): boolean {
    if (typeof value !== "object" || value === null || isPlain(value)) return true;
    if (this.#translated.has(value)) return false;
    if (referenceOf(value) !== undefined) {
      Object.freeze(value);
      return false;
    }
    return this.#decodeContainer(value) === value;
  }

  #translateArray(stored: readonly StoredValue[]): object {
    const decoded: unknown[] = [];
    for (let index = 0; index < stored.length; index++) {
      const item = stored[index] as StoredValue;
      if (referenceOf(item) === undefined) decoded.push(this.#decodeValue(item));
      else Object.defineProperty(decoded, index, this.#getter(String(index)));
    }
    return sealTwin(decoded, stored);
  }

  #translateObject(stored: StoredObject): object {
    const decoded: Record<string, unknown> = {};
    for (const name of Object.keys(stored)) {
      const field = stored[name] as StoredValue;
      if (typeof field !== "object") setField(decoded, unescapeName(name), field);
      else if (referenceOf(field) === undefined) {
        setField(decoded, unescapeName(name), this.#decodeValue(field));
      } else Object.defineProperty(decoded, unescapeName(name), this.#getter(name));
    }
    return sealTwin(decoded, stored);
  }

  /** The getter of every field with this stored name. */
  #getter(name: string): PropertyDescriptor {
    let descriptor = this.#getters.get(name);
    if (descriptor === undefined) {
      const load = (holder: Twin): unknown => this.#loadField(holder, name);
      descriptor = {
        get(this: Twin) {
          return load(this);
        },
        enumerable: true,
        configurable: true,
      };
      // Names come from the data, so there may be any number; the table saves memory and must not cost it.
      if (this.#getters.size >= GETTERS_MAX) this.#getters.clear();
      this.#getters.set(name, descriptor);
    }
    return descriptor;
  }

  #loadField(holder: Twin, name: string): unknown {
    const stored = holder[STORED];
    const reference = stored === undefined ? undefined : referenceOf(stored[name] as StoredValue);
    if (stored === undefined || reference === undefined)
      throw new TypeError(`the getter of "${name}" belongs to a session's entry`);
    this.#measure(stored);
    return this.load(reference).value;
  }

  /** Before the first shared value of a whole is loaded. */
  #measure(stored: StoredObject): void {
    const whole = this.#translated.get(stored)?.whole;
    if (whole?.unmeasured === undefined) return;
    this.#expansion.assertFits(whole.unmeasured, whole.key);
    whole.unmeasured = undefined;
  }
}

const GETTERS_MAX = 1000;

interface Twin {
  readonly [STORED]?: StoredObject;
}

function sealTwin(decoded: object, stored: StoredObject | readonly StoredValue[]): object {
  Object.defineProperty(decoded, STORED, { value: stored });
  return Object.freeze(decoded);
}

/** The hash proves that these are the bytes that were written, not that a store wrote them. */
function parseBlob(bytes: Buffer, { hash }: BlobReference): StoredValue {
  let content: unknown;
  try {
    content = JSON.parse(bytes.toString());
  } catch (cause) {
    throw blobCorrupt(hash, "is not JSON", cause);
  }
  if (!isWithinDepth(content as StoredValue)) throw blobCorrupt(hash, "nests too deep");
  return content as StoredValue;
}

function blobCorrupt(hash: string, flaw: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("blob_corrupt", `the shared value ${hash} ${flaw}`, { data: { hash }, cause });
}
