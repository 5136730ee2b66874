/** What encoding an entry gives. */
import type { BlobReference, StoredObject } from "./stored-value.js";

export interface Encoded {
  /** Deeply frozen, and not shared with the caller. */
  readonly stored: StoredObject;
  /** Every blob that `stored` refers to, each once. */
  readonly references: readonly BlobReference[];
  /**
   * Content of the blobs that were serialized here, blobs inside blobs included, by hash. A reference that was
   * recognised, or that the base has at the same place, is not among them: its file exists, unless the commit that
   * should have written it failed. `EntryCodec.cachedBlob` has the content then.
   */
  readonly newBlobs: ReadonlyMap<string, Buffer>;
}

export interface EncodedFields extends Encoded {
  /** Stored names of the fields to remove. */
  readonly unset: readonly string[];
}
