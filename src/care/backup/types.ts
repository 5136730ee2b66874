/** What the functions of `sessiondir/backup` take and give. Plain data: every report can be printed as JSON. */
import type { ErrorData } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import type { Trust } from "../../fs/trusted-path.js";
import type { Runtime } from "../../runtime.js";

/** The machine, or what tests put in its place. */
export interface BackupHost {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
}

/** Something that stopped nothing, but that the operator should know. */
export interface BackupWarning {
  readonly code:
    | "backup_object_rewritten"
    | "backup_unrecorded"
    | "durability_limited"
    | "entry_corrupt"
    | "blob_missing"
    | "file_unsafe";
  /** One sentence that names the file and the next step. */
  readonly message: string;
  readonly data: ErrorData;
}

/** What all functions of `sessiondir/backup` take. */
export interface BackupOptions {
  /** Who may change the folders that store and backups lie in. Default "owner"; see `OpenOptions.trust`. */
  readonly trust?: Trust | undefined;
  /** Stops the work between two files; what is there already stays as it was. */
  readonly signal?: AbortSignal | undefined;
  /** Hears of what the operator should know, but what stopped nothing. Default: `process.emitWarning`. */
  readonly onWarning?: ((warning: BackupWarning) => void) | undefined;
}

/** What a backup is without, because it could not be read in the store, or is missing there. */
export interface LeftOut {
  /** File or folder in the store, as in `agent%3Amain%3Amain/meta.json`. */
  readonly path: string;
  /** The session that it belongs to, if the store's catalog or log knows it. */
  readonly key?: string;
  /** Why, in a few words. */
  readonly reason: string;
}

/** One backup, as {@link listBackups} and {@link createBackup} tell of it. */
export interface BackupInfo {
  /** Sorts by time: `20261130T191248123Z-1a2b3c`. */
  readonly name: string;
  /** The last commit that it has. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** When it began to count, verified. Milliseconds since 1970. */
  readonly endedAt: number;
  readonly sessions: number;
  /** Files that could not be read in the store, and are missing or damaged in the backup as well. */
  readonly damaged: number;
  /** The first hundred of them; undefined where there are none. */
  readonly leftOut?: readonly LeftOut[];
  readonly files: number;
  /** Of all its files. */
  readonly bytes: number;
  /** That making it wrote to the folder; the rest was there already. */
  readonly writtenBytes: number;
  /** The store's id, and the path that it had. */
  readonly storeId: string;
  readonly store: string;
}

/** A backup in a list. */
export interface ListedBackup extends BackupInfo {
  /** The latest time that it was verified, when it was made included. Milliseconds since 1970. */
  readonly verifiedAt: number;
  /** Whether it was good then. */
  readonly good: boolean;
}

export interface CreateOptions extends BackupOptions {
  /**
   * Whether the folder of backups is made where there is none. Default true. False is for a service: where a disk is not mounted,
   * backups do not go to another one.
   */
  readonly create?: boolean | undefined;
  /** Only say what it would come to; nothing is written, the record included. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface CreateReport extends BackupInfo {
  /** The backups folder. */
  readonly path: string;
  /** Nothing was written: `name` is what it would have been called. */
  readonly dryRun: boolean;
  readonly durationMs: number;
  readonly warnings: readonly BackupWarning[];
}

/** What {@link verifyBackups} found wrong. */
export interface BackupProblem {
  readonly what: "missing" | "damaged" | "unknown";
  /** The file in the backups folder. */
  readonly path: string;
  /** The file of the store that it is, or is a part of, if it is one. */
  readonly file?: string;
  /** Why, in a few words. */
  readonly reason: string;
}

export interface VerifiedBackup {
  readonly name: string;
  readonly revision: number;
  readonly sessions: number;
  /** What it is without since it was made; see {@link BackupInfo}. That is no problem of the backup. */
  readonly leftOut?: readonly LeftOut[];
  readonly files: number;
  readonly bytes: number;
  /** At most 1,000. */
  readonly problems: readonly BackupProblem[];
  readonly problemCount: number;
  /** What was read of a copy that was opened; only where `deep` was asked for and the files are good. */
  readonly deep?: { readonly sessions: number; readonly transcripts: number; readonly items: number };
}

export interface VerifyReport {
  readonly path: string;
  readonly backups: readonly VerifiedBackup[];
  /** Files that are none of ours. */
  readonly unknown: readonly BackupProblem[];
  /** Whether nothing at all is wrong. */
  readonly good: boolean;
  readonly durationMs: number;
}

export interface VerifyOptions extends BackupOptions {
  /** Which one; default all. `"latest"` is the newest. */
  readonly name?: string | undefined;
  /** Also restores each to a scratch folder, opens it, and reads every session, shared value and item. Default false. */
  readonly deep?: boolean | undefined;
  /** Where `deep` restores to: a folder on a local disk. Default: the system's temporary folder. */
  readonly scratch?: string | undefined;
}

export interface RestoreOptions extends BackupOptions {
  /** Which one; default `"latest"`, the newest. */
  readonly name?: string | undefined;
  /** Only look whether it could be restored there: all of it is read. Nothing is written. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface RestoreReport {
  readonly path: string;
  readonly dryRun: boolean;
  /** The new store. */
  readonly store: string;
  readonly name: string;
  readonly revision: number;
  readonly sessions: number;
  /** What the backup is without; see {@link BackupInfo}. */
  readonly leftOut?: readonly LeftOut[];
  readonly files: number;
  readonly bytes: number;
  readonly durationMs: number;
}

/** Which backups {@link pruneBackups} keeps: the union of what each rule keeps. At least one has to be given. */
export interface KeepRules {
  /** The newest so many. */
  readonly last?: number | undefined;
  /** The newest of each of the last so many days that have one (UTC). */
  readonly daily?: number | undefined;
  /** The same with weeks (ISO 8601: they begin on Monday). */
  readonly weekly?: number | undefined;
  /** The same with months. */
  readonly monthly?: number | undefined;
}

export interface PruneOptions extends BackupOptions {
  /** Only say what would go. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface PruneReport {
  readonly path: string;
  readonly dryRun: boolean;
  /** Names, newest first. */
  readonly kept: readonly string[];
  readonly removed: readonly string[];
  /** That became free, or would. */
  readonly freedBytes: number;
  /** Files that no backup needs any more were left, because a backup is being made: the next prune removes them. */
  readonly postponed: boolean;
  readonly durationMs: number;
}

/** One attempt to do something, in `record.jsonl`. */
export interface Attempt {
  /** Milliseconds since 1970, when it began. */
  readonly at: number;
  readonly what: "create" | "verify" | "restore" | "prune";
  /** `killed`: it began, and nothing tells how it ended. */
  readonly outcome: "done" | "failed" | "killed" | "running";
  readonly durationMs?: number;
  /** The backup that it was about. */
  readonly name?: string;
  readonly revision?: number;
  readonly writtenBytes?: number;
  readonly error?: { readonly code: string; readonly message: string };
}
