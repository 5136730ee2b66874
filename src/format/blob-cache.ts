/**
 * Big values that were loaded or written lately, by the hash of their content.
 *
 * Two sessions that share a blob share one object, for as long as anybody has it: the cache holds a bounded
 * number of bytes strongly, the most recently used ones, and whatever else is still in use weakly. Strings
 * cannot be held weakly; an evicted one is loaded again.
 */
import type { BlobReference, StoredObject, StoredValue } from "./stored-value.js";

export interface CachedBlob {
  readonly reference: BlobReference;
  /** Stored form of the reference. */
  readonly stored: StoredObject;
  /** Stored form of the big value itself. */
  readonly content: StoredValue;
  /** What callers see: deeply frozen. */
  readonly value: unknown;
  /** Bytes of the blob and of every blob that it refers to, as far as known. */
  readonly totalBytes: number;
}

/** Serialized bytes that are held strongly unless told otherwise. */
const BLOB_CACHE_BYTES = 32 * 1024 * 1024;

export class BlobCache {
  /** Oldest use first. */
  readonly #strong = new Map<string, CachedBlob>();
  readonly #weak = new Map<string, WeakRef<object>>();
  readonly #byValue = new WeakMap<object, CachedBlob>();
  readonly #forgotten = new FinalizationRegistry<string>((hash) => {
    if (this.#weak.get(hash)?.deref() === undefined) this.#weak.delete(hash);
  });
  #latest: CachedBlob | undefined;
  #bytes = 0;

  constructor(private readonly capacityBytes = BLOB_CACHE_BYTES) {}

  /** Serialized bytes that are held strongly. */
  get bytes(): number {
    return this.#bytes;
  }

  get(hash: string): CachedBlob | undefined {
    if (this.#latest?.reference.hash === hash) return this.#latest;
    const strong = this.#strong.get(hash);
    if (strong !== undefined) {
      this.#strong.delete(hash);
      this.#strong.set(hash, strong);
      this.#latest = strong;
      return strong;
    }
    const value = this.#weak.get(hash)?.deref();
    const blob = value === undefined ? undefined : this.#byValue.get(value);
    if (blob !== undefined) this.#hold(blob);
    return blob;
  }

  /** The blob that an object is the value of, if it came from here. */
  ofValue(value: object): CachedBlob | undefined {
    return this.#byValue.get(value);
  }

  /** Enters a blob that {@link get} did not have. */
  add(blob: CachedBlob): void {
    const { value, reference } = blob;
    if (typeof value === "object" && value !== null) {
      this.#byValue.set(value, blob);
      this.#weak.set(reference.hash, new WeakRef(value));
      this.#forgotten.register(value, reference.hash);
    }
    this.#hold(blob);
  }

  #hold(blob: CachedBlob): void {
    this.#strong.set(blob.reference.hash, blob);
    this.#bytes += blob.reference.bytes;
    this.#latest = blob;
    for (const [hash, oldest] of this.#strong) {
      if (this.#bytes <= this.capacityBytes) return;
      this.#strong.delete(hash);
      this.#bytes -= oldest.reference.bytes;
      if (oldest === this.#latest) this.#latest = undefined;
    }
  }
}
