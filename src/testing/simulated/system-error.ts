/** Errors that look exactly like those that Node makes of a failed system call. */
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";

/** The call that an error is about; a `SimulatedCall` is one. */
export interface FailedCall {
  /** Name of the port's method. */
  readonly name: string;
  /** Its arguments: leading strings are the paths that the error names. */
  readonly args: readonly unknown[];
}

/** Where the port's name differs from what Node reports as `syscall`. */
const SYSCALLS: Readonly<Record<string, string>> = {
  readdir: "scandir",
  fileSystemType: "statfs",
  room: "statfs",
};
/** Calls that name two paths. */
const TWO_PATHS: ReadonlySet<string> = new Set(["rename", "link"]);

const NUMBERS: Readonly<Record<string, number | undefined>> = constants.errno;
const MESSAGES: ReadonlyMap<number, readonly [name: string, message: string]> = getSystemErrorMap();

/**
 * Makes the error that Node would throw.
 * @param code As in `"ENOSPC"`.
 * @param call Which call failed; its paths and its name go into the error.
 */
export function systemError(code: string, call: FailedCall): NodeJS.ErrnoException {
  const errno = -(NUMBERS[code] ?? 0);
  const syscall = SYSCALLS[call.name] ?? call.name;
  const [first, second] = call.args;
  let message = `${code}: ${MESSAGES.get(errno)?.[1] ?? "unknown error"}, ${syscall}`;
  const error = new Error(message) as NodeJS.ErrnoException & { dest?: string };
  error.errno = errno;
  error.code = code;
  error.syscall = syscall;
  if (typeof first === "string") {
    error.path = first;
    message += ` '${first}'`;
    if (TWO_PATHS.has(call.name) && typeof second === "string") {
      error.dest = second;
      message += ` -> '${second}'`;
    }
    error.message = message;
  }
  return error;
}
