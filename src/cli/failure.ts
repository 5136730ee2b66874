/**
 * How the program fails: every way has an exit code, a code for programs and one line for people.
 *
 *     0    done
 *     1    it failed; the message says why and what to do
 *     2    the command line is wrong; nothing was touched
 *     3    somebody has to look: something is damaged, refused or not known for sure
 *     130  interrupted (Ctrl-C, SIGTERM); run the same command again
 */
import {
  asStoreError,
  nextStepOf,
  SessionStoreError,
  type ErrorData,
  type SessionStoreErrorCode,
} from "../errors.js";

export const EXIT = { ok: 0, failure: 1, usage: 2, needsPerson: 3, interrupted: 130 } as const;

/** For the help and the man page. */
export const EXIT_MEANINGS: readonly (readonly [code: ExitCode, short: string, long: string])[] = [
  [EXIT.ok, "done", "Done."],
  [EXIT.failure, "failed", "Failed; the message says why and what to do."],
  [EXIT.usage, "wrong command line", "The command line is wrong; nothing was touched."],
  [
    EXIT.needsPerson,
    "somebody has to look",
    "Something is damaged, refused or not known for sure, and somebody has to look. What could be done was done.",
  ],
  [
    EXIT.interrupted,
    "interrupted",
    "Interrupted by Ctrl-C or SIGTERM. Nothing is half done; the same command goes on from there.",
  ],
];

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure of the command line's own. `message` is one line and ends with the next step. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: string;
  readonly exitCode: ExitCode;
  readonly data: ErrorData;

  constructor(code: string, message: string, options: { exitCode?: ExitCode; data?: ErrorData } = {}) {
    super(message);
    this.code = code;
    this.exitCode = options.exitCode ?? EXIT.failure;
    this.data = options.data ?? {};
  }
}

/** The command line is wrong. */
export function usageError(message: string, data?: ErrorData): CliError {
  return new CliError("usage", message, { exitCode: EXIT.usage, ...(data !== undefined && { data }) });
}

/** Runs what throws a `TypeError` only for wrong arguments, and the arguments come from the command line. */
export async function asUsage<R>(work: () => R | Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TypeError) throw usageError(error.message);
    throw error;
  }
}

/** Codes that trying again does not mend: somebody has to look at the files, the folder or the other program. */
const NEEDS_PERSON: ReadonlySet<SessionStoreErrorCode> = new Set<SessionStoreErrorCode>([
  "format_unsupported",
  "format_damaged",
  "store_incomplete",
  "path_untrusted",
  "file_unsafe",
  "entry_corrupt",
  "session_damaged",
  "transcript_damaged",
  "log_damaged",
  "log_foreign",
  "blob_missing",
  "blob_corrupt",
  "durability_unknown",
  "commit_unknown",
  "export_invalid",
  "legacy_invalid",
  "legacy_mismatch",
  "backup_damaged",
  "retention_stopped",
  "archive_damaged",
  "copy_differs",
]);

/** Exit code of a library error. */
export function exitCodeOf(code: SessionStoreErrorCode): ExitCode {
  return NEEDS_PERSON.has(code) ? EXIT.needsPerson : EXIT.failure;
}

const NOT_ALLOWED =
  "Run it as the user that the gateway runs as, or see who owns the path and what its modes are (ls -ld).";

/** What to do about refusals of the operating system that a user can do something about. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ["EACCES", NOT_ALLOWED],
  ["EPERM", NOT_ALLOWED],
  [
    "ERR_ACCESS_DENIED",
    "Node's permission model forbids it: start node with --allow-fs-read and, to write, --allow-fs-write for the store's folder.",
  ],
  ["ELOOP", "Symbolic links on the path lead in a circle: check them."],
  ["ENAMETOOLONG", "The path, or a name in it, is longer than the file system takes: check it."],
  ["EMFILE", "This process may not open more files: raise the limit (ulimit -n)."],
  ["EISDIR", "It is a folder and not a file: check the path."],
  [
    "EROFS",
    "The file system is mounted read-only: only ls, get, watch, stats, export, inspect, doctor, backup create and --dry-run work there.",
  ],
  ["ENOTDIR", "A part of the path is a file and not a folder: check it."],
]);

/** The message of a failed system call, and what to do about it, in place of what the library says to programs. */
export function withAdvice(message: string, data: ErrorData): string {
  const { errno } = data;
  if (typeof errno !== "string") return message;
  const advice = ADVICE.get(errno);
  return advice === undefined ? message : `${message.replace(` ${nextStepOf(errno)}`, "")} ${advice}`;
}

/** Relative paths mean nothing where there is no current folder. */
function isGoneFolder(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown as NodeJS.ErrnoException).syscall === "uv_cwd";
}

/** What is printed about a failure, and how the program ends. */
export interface Report {
  readonly code: string;
  readonly message: string;
  readonly data: ErrorData;
  readonly exitCode: ExitCode;
}

/** Whatever was thrown, as a report. Interruptions are the caller's to recognise. */
export function reportOf(thrown: unknown): Report {
  if (thrown instanceof CliError) {
    const { code, message, data, exitCode } = thrown;
    return { code, message, data, exitCode };
  }
  if (isGoneFolder(thrown)) {
    const message = "the current folder was removed: cd to one that is there, and run the command again.";
    return { code: "folder_gone", message, data: {}, exitCode: EXIT.failure };
  }
  const error = asStoreError(thrown, "go on");
  if (error instanceof SessionStoreError) {
    const { code, message, data } = error;
    return { code, message: withAdvice(message, data), data, exitCode: exitCodeOf(code) };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    code: "unexpected",
    message: `this should not happen, please report it with this text: ${text.replace(/\s*\n\s*/g, " | ")}`,
    data: {},
    exitCode: EXIT.failure,
  };
}
