/**
 * How much an entry comes to when everything that it refers to is put in its place: what `JSON.stringify` makes of it.
 *
 * Shared values refer to further ones, each as often as it likes, so a few kilobytes can stand for more than any memory
 * holds: a value that has another one twice, which has another one twice, thirty times over. Nothing that a store writes is
 * like that (`entryBytesMax` counts what is shared as often as it occurs), but a file can be. So before the first shared
 * value of an entry is loaded for a reader, the sizes are added up. Each distinct value is looked into once, and values
 * without references not at all: the references to them tell their size. It stops as soon as the sum is too much.
 */
import { SessionStoreError } from "../errors.js";
import { everyReferenceIn } from "./stored-references.js";
import type { BlobReference, StoredValue } from "./stored-value.js";

/** Twice of this does not fit into a string any more. Sixteen times what an entry may have unless told otherwise. */
export const EXPANDED_BYTES_MAX = 256 * 1024 * 1024;
/** An entry has 128 levels, so no honest chain of values is longer; each link is measured, and loaded on the way. */
const LEVELS_MAX = 512;
/** Sizes that are remembered; a handful of bytes each. */
const REMEMBERED_MAX = 100_000;

/** Gets the content of a shared value; undefined if it is not to be had. */
export type LoadContent = (reference: BlobReference) => StoredValue | undefined;

export class Expansion {
  readonly #sizes = new Map<string, number>();
  /** How deep the measuring is in. */
  #level = 0;

  constructor(
    private readonly bytesMax: number,
    private readonly load: LoadContent,
  ) {}

  /**
   * Bytes of a shared value with all that it refers to; Infinity if that is more than the limit, or endless.
   * @param content Where it is at hand.
   */
  bytesOf(reference: BlobReference, content?: StoredValue): number {
    const { hash, bytes, nested } = reference;
    if (!nested) return bytes;
    const known = this.#sizes.get(hash);
    if (known !== undefined) return known;
    if (this.#level >= LEVELS_MAX) return Number.POSITIVE_INFINITY;
    this.#level++;
    try {
      const found = content ?? this.load(reference);
      if (found === undefined) return bytes; // a caller who touches it is told
      const size = this.#sizes.get(hash) ?? this.bytesWithin(found, bytes); // loading it may have measured it
      if (Number.isFinite(size)) this.#remember(hash, size);
      return size;
    } finally {
      this.#level--;
    }
  }

  #remember(hash: string, size: number): void {
    if (this.#sizes.size >= REMEMBERED_MAX) this.#sizes.clear();
    this.#sizes.set(hash, size);
  }

  /** The same of a stored form that takes `ownBytes` by itself. */
  bytesWithin(stored: StoredValue, ownBytes: number): number {
    let total = ownBytes;
    for (const reference of everyReferenceIn(stored)) {
      total += this.bytesOf(reference);
      if (total > this.bytesMax) return Number.POSITIVE_INFINITY;
    }
    return total;
  }

  /** @throws `entry_too_large` if the stored form comes to more than the limit. */
  assertFits(stored: StoredValue, key: string | undefined): void {
    if (Number.isFinite(this.bytesWithin(stored, 0))) return;
    const whose = key === undefined ? "a shared value" : `session ${JSON.stringify(key)}`;
    const limit = this.bytesMax;
    throw new SessionStoreError(
      "entry_too_large",
      `${whose} has shared values in shared values that come to more than ${limit} bytes, which no store writes. Nothing was ` +
        "loaded. Put the session again as a whole, or delete it.",
      { data: { limit, actual: limit + 1, ...(key !== undefined && { key }) } },
    );
  }
}
