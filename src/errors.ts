/**
 * The one error class of the library, and its closed union of codes.
 *
 * Codes are the contract, messages are free to improve. A wrong argument (not a string, not an object, an
 * empty key) is a `TypeError`, because no state of the world makes it right. Everything else that can go wrong
 * is a {@link SessionStoreError}: its message names the file, key or option and says what to do next.
 */

/** Every way in which a session store can refuse or fail. `docs/errors.md` has a paragraph for each. */
export type SessionStoreErrorCode =
  /** Another writer changed the session first: `ifRevision` did not hold, or retries ran out. */
  | "conflict"
  /** `patch` of a session that does not exist. */
  | "not_found"
  /** The store was closed. */
  | "closed"
  /** A write on a store opened with `readOnly`. */
  | "read_only"
  /** There is no store, and `readOnly` or `create: false` forbid to make one. */
  | "store_not_found"
  /** `…/NAME.json` was given, and its sessions are still in that file: a new store would hide them. */
  | "not_migrated"
  /** The folder holds something, but not a session store. */
  | "not_a_store"
  /** There are folders of sessions, but the store's own `.store` folder, or a folder in it, is gone. */
  | "store_incomplete"
  /** The store has another format: a later one, or one of a development build. */
  | "format_unsupported"
  /** `.store/format.json` is missing or unreadable beside an existing log. */
  | "format_damaged"
  /** A folder on the way to the store could be changed by another user. */
  | "path_untrusted"
  /** The file system cannot append atomically (NFS, SMB, 9p, …). */
  | "file_system_unsupported"
  /** A symlink, FIFO, device, folder or file that is too large stands where a regular file of ours should. */
  | "file_unsafe"
  /** A session's `meta.json` is damaged or missing, and the log no longer has the session. */
  | "entry_corrupt"
  /** The latest state of a session is behind bytes of the log that cannot be read, and no file has it. */
  | "session_damaged"
  /** A file of a transcript is damaged or missing, and the log no longer has its items. */
  | "transcript_damaged"
  /** The commit log has no usable segment, or so much of it cannot be read that a change cannot build on it. */
  | "log_damaged"
  /** A log segment belongs to another store. */
  | "log_foreign"
  /** A shared big value is gone, or its content does not match its name. */
  | "blob_missing"
  | "blob_corrupt"
  /** Limits; `data.limit` and `data.actual` carry the numbers. */
  | "key_too_long"
  | "entry_too_large"
  | "record_too_large"
  | "blob_too_large"
  | "value_too_deep"
  | "item_too_large"
  | "transcript_name_too_long"
  | "id_too_long"
  /** A session that would be made is there already; `data.key`. */
  | "session_exists"
  /** A file is no export, or it is cut or damaged; `data.reason` and `data.line` say where it shows. */
  | "export_invalid"
  /** A file that would be made is there already, or one that is to be read is not; `data.path`. */
  | "file_exists"
  | "file_not_found"
  /** The operation's id was committed before, with another content. */
  | "operation_mismatch"
  /** `watch({ since })` asked for revisions that the log no longer has: list, then start at `data.revision`. */
  | "revision_too_old"
  /** `watch({ since })` named a revision that the store never had: it was restored, or is another one. */
  | "revision_unknown"
  /** The database lost commits that this process knew: a failover, or a backup that was put back. `data.known`, `data.revision`. */
  | "history_rewound"
  /** The disk or the quota is full; the old state is intact. */
  | "disk_full"
  /** The operating system refused a call; `data.errno`, `data.syscall` and `data.path` say which. */
  | "io_error"
  /**
   * fdatasync failed. With `data.written` the commit is visible to every process, but a power cut may undo it; without,
   * it was refused and nothing was written. Durable commits are refused until the store is opened anew.
   */
  | "durability_unknown"
  /**
   * The store is no longer where it was opened: removed, moved away, or replaced (`data.replaced`). With `data.written`
   * the commit is in files that have no name there any more.
   */
  | "store_gone"
  /** A write was cut short and could not be completed: the commit may or may not count. Never retried. */
  | "commit_unknown"
  /** No PostgreSQL server that takes writes could be reached, or it went away; nothing was changed. */
  | "server_unavailable"
  /** A package that only this part needs is not installed; `data.package`. */
  | "package_missing"
  /** The PostgreSQL server refused a statement: rights, authentication, encoding; `data.sqlState` says which. */
  | "server_refused"
  /** Somebody has the lease, and the time to wait is over; `data.owner`, `data.token`. Nothing was changed. */
  | "lease_held"
  /** Somebody else has taken the lease since, or it was given back: nothing was written. */
  | "lease_lost"
  /** Sessions are not copied into this store, or not from that one; `data.reason` says why. Nothing was changed. */
  | "copy_refused"
  /** A copy is not the same as its source; `data.key` is one session that differs. */
  | "copy_differs"
  /** A legacy file or layout cannot be read; `data.offset` is the byte at which it shows. */
  | "legacy_invalid"
  /** A legacy file was written again and again while it was being read. */
  | "legacy_changing"
  /** An old gateway, or another process, holds the lock of a legacy file; `data.lock` and `data.pid` say which. */
  | "legacy_locked"
  /** What was built does not have the content of what it was built from; it was thrown away. */
  | "legacy_mismatch"
  /** There is no folder of backups at that path, or no backup of that name in it. */
  | "backup_not_found"
  /** A place for backups, or for what is restored, that is taken: it holds other things, or belongs to another store. */
  | "backup_place"
  /** A file of a backup is missing, or is not what it was made as. */
  | "backup_damaged"
  /** The store went on faster than it could be copied, again and again; no backup was made. */
  | "backup_overtaken"
  /** A file of retention rules cannot be read, or says something that no rule can mean; `data.path`, `data.member`. */
  | "policy_invalid"
  /** A plan removes more than may go at once, or what time it is cannot be believed; nothing was removed. `data.reason`. */
  | "retention_stopped"
  /** There is no archive at that path. */
  | "archive_not_found"
  /** A place for an archive that is taken: it holds other things, or the archive of another store. */
  | "archive_place"
  /** What was written to an archive cannot be read back; the sessions are still in the store. */
  | "archive_damaged";

/** What an error is about. Values are JSON, so that `toJSON` can be logged as it is. */
export type ErrorData = Readonly<Record<string, string | number | boolean | undefined>>;

/** Thrown by every function of the library, except for wrong arguments (`TypeError`) and aborted signals. */
export class SessionStoreError extends Error {
  override readonly name = "SessionStoreError";
  /** Which failure this is; stable across releases. */
  readonly code: SessionStoreErrorCode;
  /** The file, key, option or numbers that the message names. */
  readonly data: ErrorData;

  constructor(
    code: SessionStoreErrorCode,
    message: string,
    options: { data?: ErrorData; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.data = options.data ?? {};
  }

  toJSON(): { name: string; code: SessionStoreErrorCode; message: string; data: ErrorData } {
    return { name: this.name, code: this.code, message: this.message, data: this.data };
  }
}

/** The system's own name of a failed call (`"ENOENT"`), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}

const DAMAGED: ReadonlySet<string> = new Set(["entry_corrupt", "session_damaged"]);

/** Whether a session is there and cannot be read, so that only what needs no base can be done to it. */
export function isSessionDamaged(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && DAMAGED.has(error.code);
}

export function isTranscriptDamaged(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && error.code === "transcript_damaged";
}

/** Whether what is known of a session may have been overtaken by a change that cannot be read: nothing can build on it. */
export function isInDoubt(error: unknown): boolean {
  return (
    error instanceof SessionStoreError && error.code === "log_damaged" && error.data["key"] !== undefined
  );
}

const DISK_FULL = new Set(["ENOSPC", "EDQUOT"]);

/** Whether something failed because the disk, or this user's quota, is full. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof SessionStoreError
    ? error.code === "disk_full"
    : DISK_FULL.has(errnoOf(error) ?? "");
}

/** What a person does about a failed call, where its name tells. */
const NEXT_STEPS: ReadonlyMap<string, string> = new Map([
  ["EACCES", "Check who owns it and its mode, then try again."],
  ["EPERM", "Check who owns it and its mode, then try again."],
  ["EROFS", "The file system is mounted read-only: mount it for writing, or open the store with readOnly."],
  ["EMFILE", "This process has too many open files: raise its limit (ulimit -n), then try again."],
  ["ENFILE", "The system has too many open files: close some, then try again."],
  ["ENOENT", "Check that the path is right and still there."],
  ["ENOTDIR", "Check that the path is right and still there."],
]);

/** What {@link asStoreError} tells a person to do about a failed call. */
export function nextStepOf(errno: string): string {
  return NEXT_STEPS.get(errno) ?? "Check the disk, then try again.";
}

/**
 * Turns a failed system call into a {@link SessionStoreError}; anything else passes through unchanged.
 * @param doing What was being attempted, as in "could not <doing>".
 */
export function asStoreError(error: unknown, doing: string): unknown {
  if (error instanceof SessionStoreError || !(error instanceof Error)) return error;
  const { code: errno, syscall, path } = asSystemCall(error);
  if (errno === undefined || syscall === undefined) return error;
  const where = path === undefined ? "" : ` (${path})`;
  const full = DISK_FULL.has(errno);
  const advice = full
    ? "Nothing was changed: free some space and try again."
    : `The stored state is unchanged. ${nextStepOf(errno)}`;
  return new SessionStoreError(
    full ? "disk_full" : "io_error",
    `could not ${doing}: ${syscall} failed with ${errno}${where}. ${advice}`,
    { data: { errno, syscall, path }, cause: error },
  );
}

/** Node's permission model refuses before the system is asked; its errors have other fields for the same things. */
function asSystemCall(
  error: NodeJS.ErrnoException,
): Pick<NodeJS.ErrnoException, "code" | "syscall" | "path"> {
  if (error.code !== "ERR_ACCESS_DENIED") return error;
  const { permission, resource } = error as { permission?: string; resource?: string };
  return {
    code: error.code,
    syscall: permission ?? "permission",
    ...(resource !== undefined && { path: resource }),
  };
}

/** Refuses an operation whose id was committed before with another content, as this revision. */
export function operationMismatch(id: string, revision: number): SessionStoreError {
  return new SessionStoreError(
    "operation_mismatch",
    `operation ${JSON.stringify(id)} was committed before, as revision ${revision}, with another content. Nothing was ` +
      "written: give a new operation a new id.",
    { data: { operation: id, revision } },
  );
}

/** Refuses a write on a store that was opened with `readOnly`. @param doing As in "could not <doing>". */
export function readOnlyError(doing: string): SessionStoreError {
  return new SessionStoreError(
    "read_only",
    `could not ${doing}: the session store was opened with readOnly. Open it without to write.`,
  );
}

/** Something that the owner of a store should know, but that stopped nothing. */
export interface StoreWarning {
  readonly code:
    | "entry_corrupt"
    | "entry_quarantined"
    | "blob_missing"
    | "log_gap"
    | "log_line_malformed"
    | "log_mended"
    | "session_guessed"
    | "transcript_damaged"
    | "transcript_guessed"
    | "transcript_quarantined"
    | "segment_garbage"
    | "log_replaced"
    | "log_shared"
    | "catalog_rebuilt"
    | "checkpoint_failed"
    | "flush_failed"
    | "history_rewound"
    | "watch_polling"
    | "watch_failed"
    | "format_newer_minor"
    | "durability_limited"
    | "file_system_unknown";
  /** One sentence that names the file or key and the next step. */
  readonly message: string;
  readonly data: ErrorData;
}
