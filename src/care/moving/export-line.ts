/**
 * The lines of an export, as they are written and read: docs/moving.md is the page for whoever writes another reader.
 *
 * A file is a header, then session after session, then an end. A session is a line with its record and the lengths of its
 * transcripts, then for each transcript a line and one line an item, so that nothing has to be held that is larger than an item or an
 * entry. A file without its end was cut.
 */

/** What the first line must say. */
export const EXPORT_FORMAT = "sessiondir-export";
/** Grows when a reader of today would misread a file. */
export const EXPORT_VERSION = 1;

/**
 * Longest line that is read: the largest entry or item (16 MiB), twice for a writer that escapes more than this one does, and what
 * stands around it.
 */
export const LINE_BYTES_MAX = 33 * 1024 * 1024;

/** The most transcripts that the line of a session may name: what they are called has to be in memory. */
export const TRANSCRIPTS_MAX = 10_000;

/** A transcript as the line of its session announces it. */
export interface TranscriptSummary {
  readonly name: string;
  /** Items that follow. */
  readonly length: number;
  /** Highest number that was used in it, at least its length. */
  readonly last: number;
}

export interface HeaderLine {
  readonly type: "header";
  readonly format: typeof EXPORT_FORMAT;
  readonly version: typeof EXPORT_VERSION;
  /** What the exported store is called; for people. */
  readonly store?: string;
  /** Of the store right before the first session was read. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

export interface EndLine {
  readonly type: "end";
  readonly sessions: number;
  readonly transcripts: number;
  readonly items: number;
  readonly values: number;
  /** Sessions that could not be read, and are not in the file. */
  readonly damaged: number;
  /** Of all bytes in front of this line. */
  readonly sha256: string;
}
