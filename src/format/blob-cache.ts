/**
 * Big values that were loaded or written lately, by the hash of their content.
 *
 * Two sessions that share a blob share one object, for as long as a caller has it: the cache holds a bounded
 * number of bytes strongly, those that are used again and again, and whatever else is still in use weakly. Strings
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

interface Held {
  readonly blob: CachedBlob;
  /** Was used since the room ran out last time: gets a second chance. */
  touched: boolean;
}

/** Serialized bytes that are held strongly unless told otherwise. */
const BLOB_CACHE_BYTES = 32 * 1024 * 1024;

export class BlobCache {
  /** Oldest first. */
  readonly #strong = new Map<string, Held>();
  readonly #weak = new Map<string, WeakRef<object>>();
  readonly #byValue = new WeakMap<object, CachedBlob>();
  readonly #forgotten = new FinalizationRegistry<string>((hash) => {
    if (this.#weak.get(hash)?.deref() === undefined) this.#weak.delete(hash);
  });
  #bytes = 0;

  constructor(private readonly capacityBytes = BLOB_CACHE_BYTES) {}

  /** Serialized bytes that are held strongly. */
  get bytes(): number {
    return this.#bytes;
  }

  get(hash: string): CachedBlob | undefined {
    const strong = this.#strong.get(hash);
    if (strong !== undefined) {
      strong.touched = true;
      return strong.blob;
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
    this.#strong.set(blob.reference.hash, { blob, touched: false });
    this.#bytes += blob.reference.bytes;
    if (this.#bytes > this.capacityBytes) this.#evict();
  }

  /** Oldest first; what was used since the last time goes to the end once. */
  #evict(): void {
    for (const [hash, held] of this.#strong) {
      if (this.#bytes <= this.capacityBytes) return;
      this.#strong.delete(hash);
      if (held.touched) {
        held.touched = false;
        this.#strong.set(hash, held);
      } else {
        this.#bytes -= held.blob.reference.bytes;
      }
    }
  }
}
