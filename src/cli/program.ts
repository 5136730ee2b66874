/**
 * Runs one command and says how it ended. Every failure passes through here and nowhere else: one line on stderr (JSON with
 * `--json`) and an exit code; nothing is ever thrown at the user.
 *
 * An interruption is answered before the command has heard of it, and the command is not waited for longer than the
 * grace: whatever it is in the middle of may be cut off (interruption.ts).
 */
import { isCommanderError, makeProgram, usageMessage } from "./command-line.js";
import { EXIT, reportOf, usageError, type ExitCode } from "./failure.js";
import { Interrupted, Interruption } from "./interruption.js";
import type { Invocation } from "./invocation.js";
import { Terminal } from "./terminal.js";

/** How long a command may take to let go: long enough to remove a half-built folder, and short for a person. */
const GRACE_MS = 1000;

/** How a run ended. */
export interface Ending {
  readonly exitCode: ExitCode;
  /** The command was given up: what it still waits for must not keep the process alive. */
  readonly abandoned: boolean;
}

/** Runs the program with the arguments after its name; resolves when all is written. */
export async function run(args: readonly string[]): Promise<Ending> {
  const interruption = new Interruption();
  const { signal } = interruption;
  const terminal = await Terminal.open({
    json: hasFlag(args, "--json"),
    quiet: hasFlag(args, "--quiet", "-q"),
    signal,
  });
  const invocation: Invocation = {
    terminal,
    signal,
    servers: new Map(),
    doing: "starting",
    afterwards: () => "Nothing is half done; run the same command again.",
    finishMs: undefined,
    withoutInterruption: (work) => interruption.hold(work),
    exitCode: EXIT.ok,
  };
  let outputError: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") outputError ??= error;
    terminal.closed = true;
    if (!signal.aborted) interruption.stop(new Interrupted("reader"));
  });
  process.stderr.on("error", () => {}); // nobody listens; the work is worth doing all the same
  const crashed = (error: unknown): void => process.exit(report(invocation, error, args));
  process.on("uncaughtException", crashed);

  const grace = graceOf(invocation);
  const ended = await Promise.race([runCommand(invocation, args), grace.over]);
  grace.end();
  let exitCode = ended ?? (isReader(signal) ? EXIT.ok : EXIT.interrupted);
  await terminal.written();
  if (outputError !== undefined) {
    const message = `the output could not be written: ${outputError.message}. What was to be done may be done.`;
    terminal.fail("output_failed", message, { errno: outputError.code }, EXIT.failure);
    exitCode = EXIT.failure;
  }
  terminal.erase();
  process.off("uncaughtException", crashed);
  interruption.release();
  return { exitCode, abandoned: ended === undefined };
}

/**
 * Answers an interruption at once. `over` resolves with nothing when the command is not waited for any more; `end` is for a command
 * that has ended, so that the process does not live on until then.
 */
function graceOf(invocation: Invocation): { readonly over: Promise<undefined>; end(): void } {
  const { signal } = invocation;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => {
      if (!isReader(signal) && invocation.finishMs === undefined) sayInterrupted(invocation);
      timer = setTimeout(resolve, invocation.finishMs ?? GRACE_MS, undefined);
    });
  });
  return { over, end: () => clearTimeout(timer) };
}

async function runCommand(invocation: Invocation, args: readonly string[]): Promise<ExitCode> {
  const { signal } = invocation;
  try {
    const program = await makeProgram(invocation);
    if (args.length === 0) throw usageError("which command? Try sessiondir --help");
    await program.parseAsync([...args], { from: "user" });
    // It was too late to stop it; but interrupted is what the user was told.
    const told = signal.aborted && !isReader(signal) && invocation.finishMs === undefined;
    return told ? EXIT.interrupted : invocation.exitCode;
  } catch (error) {
    return report(invocation, error, args);
  }
}

function isReader({ reason }: AbortSignal): boolean {
  return reason instanceof Interrupted && reason.by === "reader";
}

function sayInterrupted({ terminal, doing, afterwards }: Invocation): void {
  const message = `interrupted while ${doing}. ${afterwards()}`;
  terminal.fail("interrupted", message, { doing }, EXIT.interrupted);
}

/** Says what went wrong, once; the exit code. */
function report(invocation: Invocation, error: unknown, args: readonly string[]): ExitCode {
  const { terminal, signal, finishMs } = invocation;
  if (signal.aborted && isReader(signal)) return EXIT.ok;
  if (signal.aborted && (finishMs === undefined || error instanceof Interrupted)) return EXIT.interrupted;
  if (isCommanderError(error)) {
    if (error.exitCode === 0) return EXIT.ok; // --help was printed
    const usage = reportOf(usageError(usageMessage(error, args)));
    terminal.fail(usage.code, usage.message, usage.data, usage.exitCode);
    return usage.exitCode;
  }
  const { code, message, data, exitCode } = reportOf(error);
  terminal.fail(code, message, data, exitCode);
  return exitCode;
}

/** Before commander has read anything, because that may fail as well. */
function hasFlag(args: readonly string[], ...names: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).some((arg) => names.includes(arg));
}
