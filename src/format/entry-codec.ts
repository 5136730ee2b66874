/**
 * Translates between entries as callers give and see them and their stored form (see stored-value.ts).
 *
 * One codec serves one store: it remembers which objects it handed out, so that what comes back unchanged is
 * recognised by identity, costs nothing, and does not load the big values in it. Objects that callers pass in are
 * copied, never frozen, changed or kept.
 */
import { BlobCache } from "./blob-cache.js";
import { EntryDecoder, type LoadBlob } from "./decode-entry.js";
import { EXPANDED_BYTES_MAX } from "./expansion.js";
import { Encoding, type EncodingRules } from "./encode-entry.js";
import type { Encoded, EncodedFields } from "./encoded.js";
import { STORED_DEPTH_MAX, type Limits } from "./limits.js";
import { UNIT_BYTES_MAX } from "./plain-parts.js";
import type { BlobReference, StoredObject } from "./stored-value.js";

export type { Encoded, EncodedFields, LoadBlob };

export interface EntryCodecOptions {
  /** Objects, arrays and strings of this many serialized bytes become blobs. */
  readonly thresholdBytes: number;
  /**
   * What an entry may serialize to with big values in it that no file has yet (see `encode`). Default 16 times the
   * threshold.
   */
  readonly inlineBytesMax?: number | undefined;
  readonly limits: Limits;
  /** Reads a blob the first time that it is touched. */
  readonly loadBlob: LoadBlob;
  /** Serialized bytes of big values kept in memory. Default 32 MiB. */
  readonly cacheBytes?: number;
}

/** 64 KiB at the default threshold: about what one more file costs in an append. */
const INLINE_THRESHOLDS = 16;

export class EntryCodec {
  readonly #cache: BlobCache;
  readonly #decoder: EntryDecoder;
  readonly #rules: EncodingRules;

  constructor(options: EntryCodecOptions) {
    const { limits } = options;
    this.#cache = new BlobCache(options.cacheBytes);
    // What others stored with higher limits than ours is to be read, up to a size that no entry is meant to have.
    const expandedBytesMax = Math.max(EXPANDED_BYTES_MAX, limits.entryBytesMax);
    this.#decoder = new EntryDecoder(this.#cache, options.loadBlob, expandedBytesMax);
    this.#rules = {
      thresholdBytes: options.thresholdBytes,
      inlineBytesMax: Math.min(
        options.inlineBytesMax ?? INLINE_THRESHOLDS * options.thresholdBytes,
        // Whatever has to be escaped in it: what stays inline makes no entry too large for a record.
        Math.floor(limits.recordBytesMax / UNIT_BYTES_MAX),
      ),
      lately: new Set(),
      limits: { ...limits, depthMax: Math.min(limits.depthMax, STORED_DEPTH_MAX) },
      cache: this.#cache,
      decoder: this.#decoder,
    };
  }

  /**
   * Stored form of an entry, with the meaning that JSON.stringify gives to values.
   * @param base Stored form that the entry was probably derived from: big strings that it refers to are
   *   recognised.
   * @param key Named in errors.
   * @param fresh Whether no file has the base yet. Then a big value that takes the place of one in the base stays
   *   inline, if the entry remains below `inlineBytesMax`: it may be replaced in its turn before it is worth a file.
   * @throws TypeError for what JSON cannot express, or a limit's typed error.
   */
  encode(entry: object, base?: StoredObject, key?: string, fresh = false): Encoded {
    return new Encoding(this.#rules, base, key, fresh).encodeEntry(entry);
  }

  /**
   * Stored form of fields to be set in an entry; a field that JSON would leave out is to be removed. With a
   * `base` the limits are checked for the patched entry, otherwise for the fields alone.
   */
  encodeFields(fields: object, base?: StoredObject, key?: string, fresh = false): EncodedFields {
    return new Encoding(this.#rules, base, key, fresh).encodeFields(fields);
  }

  /**
   * The entry, deeply frozen: the same object each time for the same stored object. Big values load when touched; the first
   * touch throws `entry_too_large` if all of them come to more than any entry may (see expansion.ts).
   * @param key Named in that error.
   */
  decode(stored: StoredObject, key?: string): object {
    return this.#decoder.decode(stored, key);
  }

  /** Every blob that a stored entry refers to, each once; remembered for the stored object. */
  referencesOf(stored: StoredObject): readonly BlobReference[] {
    return this.#decoder.referencesOf(stored);
  }

  /** Content of a blob that is still in memory: mends a store that has lost the blob's file. */
  cachedBlob(reference: BlobReference): Buffer | undefined {
    const blob = this.#cache.get(reference.hash);
    return blob === undefined ? undefined : Buffer.from(JSON.stringify(blob.content));
  }
}
