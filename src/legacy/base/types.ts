/**
 * What the legacy functions take and give: options and reports.
 *
 * A report tells everything that happened, so that nobody has to look into the store to believe it. What concerns the
 * world (a damaged file, a full disk) is in the report; thrown are only a wrong argument (`TypeError`) and the reason
 * of a signal that was aborted.
 */
import type { ErrorData, SessionStoreErrorCode } from "../../errors.js";
import type { Limits } from "../../format/limits.js";
import type { Trust } from "../../fs/trusted-path.js";

export interface LegacyOptions {
  /** Applied to every key that comes in. Must be what the gateway gives to `openSessionStore`. Default: keys as they are. */
  readonly normalizeKey?: ((key: string) => string) | undefined;
  /** When a session was last used; decides which of two versions is newer. Default: `entry.updatedAt`; none counts as 0. */
  readonly updatedAt?: ((entry: object) => number | undefined) | undefined;
  /** Limits that differ from the store's defaults. */
  readonly limits?: Partial<Limits> | undefined;
  /** Who may change the folders that the store lies in, see `openSessionStore`. Default "owner". */
  readonly trust?: Trust | undefined;
  /** Largest file that is tried as JSON5 when it is not JSON, in bytes; it is parsed in one piece. Default 32 MiB. */
  readonly json5BytesMax?: number | undefined;
  /**
   * Take a file that does not look like sessions: more of it would be refused than kept, or most of what would be kept has
   * neither a `sessionId` nor an `updatedAt`. Default false: such a file is `legacy_invalid`, and stays where it is.
   */
  readonly force?: boolean | undefined;
  /** Hears of the work as it goes on, at most a few times for each MiB. */
  readonly onProgress?: ((progress: LegacyProgress) => void) | undefined;
  /** Gives up: the call rejects with the signal's reason, and everything is as it was, or as if it had been killed. */
  readonly signal?: AbortSignal | undefined;
}

export interface ChangingOptions extends LegacyOptions {
  /** Find out what would happen, with everything read and checked and nothing changed. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface MigrationOptions extends ChangingOptions {
  /**
   * Write `NAME.json` from the store once more when it counts, for programs that know nothing of the store. It is a copy as of
   * that moment: `startMirror` keeps it in step. Default false.
   */
  readonly mirror?: boolean | undefined;
}

export interface LegacyProgress {
  readonly phase: "reading" | "verifying" | "syncing" | "merging" | "writing" | "backing_up";
  /** The store that is being worked on: its `…/NAME.json`. */
  readonly path: string;
  /** Work done and all of it, in bytes of the phase (files, when syncing). */
  readonly done: number;
  readonly total: number;
  /** Entries seen in this phase. */
  readonly entries: number;
}

/** Why an entry was not taken. */
export type RefusalReason =
  /** The value is null. */
  | "null_entry"
  /** The value is an array, a string, a number or a boolean. */
  | "not_an_object"
  /** No store can keep such a key: empty, or half a character in it. */
  | "key_invalid"
  /** `normalizeKey` threw. */
  | "key_not_normalized"
  /** A file of an older layout, and nothing says which session it is. */
  | "key_unknown"
  /** A file of an older layout that cannot be read as JSON. */
  | "file_invalid"
  /** The store itself cannot read it any more. A mirror or rollback keeps the last copy that can be found. */
  | "session_damaged"
  /** The store's limits; the codes of its errors. */
  | "key_too_long"
  | "entry_too_large"
  | "record_too_large"
  | "blob_too_large"
  | "value_too_deep";

export interface Refusal {
  /** As it stands in the source; a file's name where the key is not known. */
  readonly key: string;
  readonly reason: RefusalReason;
  /** One sentence for people. */
  readonly message: string;
}

/** Something that a person should know. */
export interface LegacyWarning {
  readonly code:
    | "entries_refused"
    | "duplicate_keys"
    | "source_json5"
    | "source_not_utf8"
    | "source_zero_bytes"
    | "source_unreadable"
    | "source_still_written"
    | "store_won"
    | "foreign_merged"
    | "foreign_missing"
    | "key_ambiguous"
    | "leftover_removed"
    | "durability_limited"
    | "late_commits"
    | "mirror_failed"
    | "link_outside"
    | "number_not_finite"
    | "number_rounded"
    | "sessions_damaged"
    | "file_moved"
    | "folder_unreadable"
    | "folder_not_writable"
    | "older_place";
  readonly message: string;
  readonly data: ErrorData;
}

export type LegacyLayout =
  /** One `NAME.json` with all sessions. */
  | "sessions_json"
  /** `NAME.d/<key with -- for :>/meta.json`. */
  | "dashed_folders"
  /** `NAME.d/<percent-encoded key>.json`. */
  | "encoded_files"
  /** `NAME.d/entries/session-<base64url>.json` and `session-hash-<sha256>.json`, with `state.json`. */
  | "hashed_entries"
  /** `<sessionId>.meta.json` beside `NAME.json`. */
  | "meta_sidecars"
  /** A session store of this library. */
  | "session_store";

export interface LegacyFailure {
  readonly code: SessionStoreErrorCode;
  readonly message: string;
  readonly data: ErrorData;
}

/** Entries of the source, by what became of them: read = kept + merged + unchanged + refused. */
export interface EntryCounts {
  readonly read: number;
  /** Now in the store as the source has them. */
  readonly kept: number;
  /** Left out for a newer version of the same session, from the source itself or from the store. */
  readonly merged: number;
  /** Already in the store, just so. */
  readonly unchanged: number;
  readonly refused: number;
}

export type MigrationOutcome =
  "migrated" | "merged" | "already_directory" | "skipped_empty" | "skipped_invalid" | "missing" | "failed";

export interface Report {
  /** The legacy file, whether it is there or not. */
  readonly path: string;
  /** The store's directory. */
  readonly directory: string;
  /** This is what would happen; nothing was changed. */
  readonly dryRun: boolean;
  /** What was found where entries came from. */
  readonly layouts: readonly LegacyLayout[];
  readonly entries: EntryCounts;
  /** At most 1,000; `entries.refused` counts all. */
  readonly refusals: readonly Refusal[];
  /** Bytes of the files that are replaced, and of those that replace them. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Where the source is now; more than one for a layout of many files. */
  readonly backups: readonly string[];
  readonly warnings: readonly LegacyWarning[];
  /** Present when the outcome is `failed` or `skipped_invalid`. */
  readonly error?: LegacyFailure;
  /** The command that comes next, or undefined when nothing is left to do. */
  readonly next?: string;
  readonly durationMs: number;
}

export interface MigrationReport extends Report {
  readonly outcome: MigrationOutcome;
  /** The copy that was written for programs that know nothing of the store, if it was asked for. */
  readonly mirror?: string;
}

export interface RollbackReport extends Report {
  readonly outcome: "rolled_back" | "already_legacy" | "missing" | "skipped_invalid" | "failed";
  /** SHA-256 of the `NAME.json` that was written, in hex. */
  readonly sha256?: string;
}

/** What {@link inspectLegacyStore} finds; nothing was changed. */
export interface InspectionReport {
  readonly path: string;
  readonly directory: string;
  /** Which side is authoritative today. */
  readonly authority: "file" | "directory" | "none";
  readonly layouts: readonly LegacyLayout[];
  /** What `migrateLegacyStore` would say. */
  readonly outcome: MigrationOutcome;
  readonly entries: EntryCounts;
  readonly refusals: readonly Refusal[];
  readonly bytes: number;
  /** SHA-256 of `NAME.json` in hex, if it was read. */
  readonly sha256?: string;
  /** Sessions in the store that can be read, if there is one. */
  readonly sessions?: number;
  /** Sessions in the store that cannot be read; `refusals` and a warning `sessions_damaged` name them. */
  readonly damaged?: number;
  /** Backups and leftovers of earlier runs, by name. */
  readonly backups: readonly string[];
  readonly leftovers: readonly string[];
  readonly warnings: readonly LegacyWarning[];
  readonly error?: LegacyFailure;
  readonly next?: string;
}
