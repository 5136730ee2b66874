/** Limits on what a store accepts. Each has an error code of its own; all sizes are bytes of UTF-8 JSON. */
export interface Limits {
  /** Length of a session key. Default 1024; code `key_too_long`. */
  readonly keyBytesMax: number;
  /** A whole entry, shared big values included. Default 16 MiB; code `entry_too_large`. */
  readonly entryBytesMax: number;
  /** What is left of one entry in a log record once its big values are taken out. Default 1 MiB; code `record_too_large`. */
  readonly recordBytesMax: number;
  /** One shared big value. Default 64 MiB; code `blob_too_large`. */
  readonly blobBytesMax: number;
  /** One item of a transcript. Default 16 MiB; code `item_too_large`. */
  readonly itemBytesMax: number;
  /** Nesting of objects and arrays, the entry or item included. Default and most 128; code `value_too_deep`. */
  readonly depthMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  keyBytesMax: 1024,
  entryBytesMax: 16 * 1024 * 1024,
  recordBytesMax: 1024 * 1024,
  blobBytesMax: 64 * 1024 * 1024,
  itemBytesMax: 16 * 1024 * 1024,
  depthMax: 128,
};

/** Longest id of an item or operation: bytes of UTF-8, the same in all processes. */
export const ID_BYTES_MAX = 200;
/** Longest name of a transcript: characters as a string counts them (UTF-16 units), the same in all processes. */
export const TRANSCRIPT_NAME_MAX = 200;

/** Objects, arrays and strings of this many serialized bytes are stored once and shared. */
export const BLOB_THRESHOLD_BYTES = 4096;

/** Size at which the active log segment is sealed. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;

/**
 * A longer log line is malformed for every reader, so it is a constant of the format and not an option: room for the largest
 * item, and for what stands around it. A transaction may change several entries, or append several items.
 */
export const LINE_BYTES_MAX = 17 * 1024 * 1024;

/**
 * Deepest stored form of an entry, the entry itself being level 1. A deeper one in a log line or an entry file is
 * malformed for every reader, so it is a constant of the format too: `depthMax` above it has no effect. It keeps every
 * walk over stored values far from the end of the stack.
 */
export const STORED_DEPTH_MAX = 132;
