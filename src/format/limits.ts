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
  /** Nesting of objects and arrays, the entry included. Default and most 128; code `value_too_deep`. */
  readonly depthMax: number;
}

export const DEFAULT_LIMITS: Limits = {
  keyBytesMax: 1024,
  entryBytesMax: 16 * 1024 * 1024,
  recordBytesMax: 1024 * 1024,
  blobBytesMax: 64 * 1024 * 1024,
  depthMax: 128,
};

/** Objects, arrays and strings of this many serialized bytes are stored once and shared. */
export const BLOB_THRESHOLD_BYTES = 4096;

/** Size at which the active log segment is sealed. */
export const SEGMENT_BYTES = 4 * 1024 * 1024;

/**
 * A longer log line is malformed for every reader, so it is a constant of format 1 and not an option. Sixteen times
 * the room of one entry: a transaction may change several.
 */
export const LINE_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Deepest stored form of an entry, the entry itself being level 1. A deeper one in a log line or an entry file is
 * malformed for every reader, so it is a constant of format 1 too: `depthMax` above it has no effect. It keeps every
 * walk over stored values far from the end of the stack.
 */
export const STORED_DEPTH_MAX = 132;
