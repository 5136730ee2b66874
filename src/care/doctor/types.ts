/**
 * What a doctor says of a store: types only. Codes are the contract, sentences may get better.
 */
import type { FileSystem } from "../../fs/file-system.js";
import type { Trust } from "../../fs/trusted-path.js";
import type { Runtime } from "../../runtime.js";

/** How much is read. "quick": names, sizes and the smallest files. "default": whatever has a checksum, but values and items. "deep": every byte. */
export type DoctorLevel = "quick" | "default" | "deep";

/**
 * How bad it is.
 *  - "note": nothing is wrong; somebody may want to know.
 *  - "repairable": what is right is known, or nothing of value is harmed: `--fix` brings it back.
 *  - "needs-you": only a person can decide or change it.
 *  - "lost": the content is nowhere that was looked at.
 */
export type Severity = "note" | "repairable" | "needs-you" | "lost";

/** What is found; `docs/doctor.md` has a line for each. */
export type FindingCode =
  | "format_missing"
  | "format_damaged"
  | "format_unsupported"
  | "format_newer_minor"
  | "format_foreign"
  | "store_incomplete"
  | "internal_folder_missing"
  | "path_untrusted"
  | "file_system_unsupported"
  | "file_system_unknown"
  | "disk_nearly_full"
  | "inodes_nearly_out"
  | "mode_wrong"
  | "owner_wrong"
  | "log_missing"
  | "log_unusable"
  | "log_foreign"
  | "log_unreadable"
  | "log_power_cut"
  | "log_line_malformed"
  | "log_torn_tail"
  | "segment_missing"
  | "segment_left_behind"
  | "session_in_doubt"
  | "entry_damaged"
  | "entry_misplaced"
  | "entry_stale"
  | "entry_missing"
  | "entry_unsafe"
  | "entry_ahead"
  | "entry_unlisted"
  | "catalog_damaged"
  | "catalog_missing"
  | "catalog_ahead"
  | "value_missing"
  | "value_damaged"
  | "values_unreferenced"
  | "transcript_damaged"
  | "leftover"
  | "stray_file"
  | "link_found"
  | "second_name"
  | "legacy_came_back"
  | "legacy_unfinished"
  | "mirror_behind"
  | "cloud_folder"
  | "cloud_conflict"
  | "quarantine_kept"
  | "check_failed";

/** One thing that was found. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** The file or folder. */
  readonly path: string;
  /** Byte at which it shows, where there is one. */
  readonly offset?: number;
  /** The session, where it is about one. */
  readonly key?: string;
  /** The transcript of that session. */
  readonly transcript?: string;
  /** The field of that session. */
  readonly field?: string;
  /** SHA-256 of the shared value. */
  readonly hash?: string;
  /** How many bytes it is about. */
  readonly bytes?: number;
  /** What is wrong, as a clause. */
  readonly cause: string;
  /** The exact next command, or the next step as a sentence. */
  readonly next: string;
  /** What `--fix` does about it: beside other processes ("live"), only where the store is alone ("alone"), or nothing. */
  readonly repair?: "live" | "alone";
}

/** How a check went. */
export interface CheckReport {
  readonly name: string;
  readonly level: DoctorLevel;
  readonly milliseconds: number;
  readonly findings: number;
  /** Why it was not done, where it was not. */
  readonly skipped?: string;
}

/** One thing that `--fix` did. */
export interface Action {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Of the finding that it is about. */
  readonly code: FindingCode;
  /** What was done, as a sentence without its subject: "restored from the log". */
  readonly done: string;
  readonly path: string;
  readonly key?: string;
  /** Where the bytes are that were there before. */
  readonly kept?: string;
  /** Something is gone that the store had. */
  readonly lost: boolean;
}

/**
 * - "healthy": nothing is wrong.
 * - "repaired": something was, and is not any more.
 * - "needs-you": somebody has to do something: the findings say what.
 * - "lost": something that the store had is gone: restore it from a backup.
 */
export type Verdict = "healthy" | "repaired" | "needs-you" | "lost";

/** What one examination found. */
export interface DoctorReport {
  /** The store's folder. */
  readonly path: string;
  readonly verdict: Verdict;
  readonly level: DoctorLevel;
  /** Share of sessions and values whose content was read, from 0 to 1. */
  readonly sample: number;
  /** What is wrong, the worst first; notes last. After a fix: what is left. */
  readonly findings: readonly Finding[];
  readonly checks: readonly CheckReport[];
  /** What this run did. */
  readonly actions: readonly Action[];
  /** What earlier runs did, as `.store/doctor.jsonl` has it, oldest first: the last 100. */
  readonly history: readonly Action[];
  /** Sessions that were looked at. */
  readonly sessions: number;
}

export interface DoctorOptions {
  /** Default "default". */
  readonly level?: DoctorLevel | undefined;
  /** Share of sessions and values whose content is read, above 0 and up to 1. Default 1. */
  readonly sample?: number | undefined;
  /** Repairs. Default false: nothing in the store is changed. */
  readonly fix?: boolean | undefined;
  /** No other process has the store open, or will before this is done: with `fix`, everything that can be repaired is. Default false. */
  readonly alone?: boolean | undefined;
  /**
   * Where content is looked for that the store has lost: folders of backups, exports and archives (`….jsonl`, `….jsonl.gz`), folders of
   * copies of this store. Default: none.
   */
  readonly backups?: readonly string[] | undefined;
  /** As for opening. Default "owner". */
  readonly trust?: Trust | undefined;
  /** Gives up between two steps. Rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds between a look that found something and the second one that has to find it too. Default 300. */
  readonly settleMs?: number | undefined;
  /** Hears of each check as it begins. */
  readonly onProgress?: ((check: string) => void) | undefined;
}

/** What the doctor runs on. */
export interface DoctorHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  /** Folders in which backups and exports were unpacked, and what people call them. */
  readonly labels?: ReadonlyMap<string, string>;
}
