/**
 * Reads the command line, runs one command and says how it ended. Every failure passes through here and nowhere else:
 * one line on stderr (JSON with `--json`) and an exit code.
 */
import type { Command, CommanderError } from "commander";
import { EXIT, reportOf, usageError, type ExitCode } from "./failure.js";
import { addFlush } from "./commands/flush.js";
import { addGet } from "./commands/get.js";
import { addInspect } from "./commands/inspect.js";
import { addLs } from "./commands/ls.js";
import { addMigrate } from "./commands/migrate.js";
import { addMirror } from "./commands/mirror.js";
import { addPatch } from "./commands/patch.js";
import { addPut } from "./commands/put.js";
import { addRebuild } from "./commands/rebuild.js";
import { addRm } from "./commands/rm.js";
import { addRollback } from "./commands/rollback.js";
import { addStats } from "./commands/stats.js";
import { addWatch } from "./commands/watch.js";
import { Interrupted, Interruption } from "./interruption.js";
import type { Invocation, StoreOptions } from "./invocation.js";
import { Terminal } from "./terminal.js";
import { VERSION } from "./version.js";

const COMMANDS = [
  addLs,
  addGet,
  addPut,
  addPatch,
  addRm,
  addWatch,
  addStats,
  addFlush,
  addRebuild,
  addInspect,
  addMigrate,
  addRollback,
  addMirror,
];

/** Runs the program with the arguments after its name; resolves with the exit code when all is written. */
export async function run(args: readonly string[]): Promise<ExitCode> {
  const interruption = new Interruption();
  const terminal = await Terminal.open(wantsJson(args));
  const invocation: Invocation = { terminal, signal: interruption.signal, exitCode: EXIT.ok };
  let outputError: NodeJS.ErrnoException | undefined;
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") outputError ??= error;
    terminal.closed = true;
    interruption.stop(new Interrupted("reader"));
  });
  process.stderr.on("error", () => {}); // nobody listens; the work is worth doing all the same
  let exitCode = await runCommand(invocation, args);
  await terminal.written();
  if (outputError !== undefined) {
    const message = `the output could not be written: ${outputError.message}. What was to be done may be done.`;
    terminal.fail("output_failed", message, { errno: outputError.code }, EXIT.failure);
    exitCode = EXIT.failure;
  }
  terminal.erase();
  interruption.release();
  return exitCode;
}

async function runCommand(invocation: Invocation, args: readonly string[]): Promise<ExitCode> {
  try {
    const program = await makeProgram(invocation);
    if (args.length === 0) throw usageError("which command? Try sessiondir --help");
    await program.parseAsync([...args], { from: "user" });
    return invocation.exitCode;
  } catch (error) {
    return report(invocation, error, args[0] ?? "");
  }
}

function report({ terminal, signal }: Invocation, error: unknown, command: string): ExitCode {
  const reason: unknown = signal.reason;
  if (signal.aborted && reason instanceof Interrupted) {
    if (reason.by === "reader") return EXIT.ok;
    terminal.fail(
      "interrupted",
      "interrupted. Nothing is half done; run the same command again.",
      {},
      EXIT.interrupted,
    );
    return EXIT.interrupted;
  }
  if (isCommanderError(error)) {
    if (error.exitCode === 0) return EXIT.ok; // --help was printed
    const usage = reportOf(usageError(usageMessage(error, command)));
    terminal.fail(usage.code, usage.message, usage.data, usage.exitCode);
    return usage.exitCode;
  }
  const { code, message, data, exitCode } = reportOf(error);
  terminal.fail(code, message, data, exitCode);
  return exitCode;
}

async function makeProgram(invocation: Invocation): Promise<Command> {
  const { Command: Program } = await import("commander");
  const program = new Program("sessiondir")
    .description("Looks into session stores, changes them, and brings sessions.json files over and back.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // reported with all other failures
    .showSuggestionAfterError()
    .addHelpText(
      "after",
      [
        "",
        "Examples:",
        "  $ sessiondir ls --store /var/lib/gateway/sessions.d --order updatedAt --descending --limit 20",
        "  $ sessiondir get agent:main:main --store /var/lib/gateway/sessions.d",
        "  $ sessiondir stats --state-dir ~/.openclaw --agent main",
        "  $ sessiondir migrate --state-dir ~/.openclaw --dry-run",
        "",
        "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 somebody has to look, 130 interrupted.",
      ].join("\n"),
    );
  for (const add of COMMANDS) add(program, invocation);
  program.hook("preAction", (_program, command) => {
    const { trust } = command.opts<StoreOptions>();
    if (trust !== undefined) invocation.trust = trust;
  });
  return program;
}

/** Before commander has read anything, because that may fail as well. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return (end === -1 ? args : args.slice(0, end)).includes("--json");
}

function isCommanderError(error: unknown): error is CommanderError {
  return error instanceof Error && "exitCode" in error && error.name === "CommanderError";
}

/** Commander's sentence on one line, without its own "error:", and with the next step. */
function usageMessage({ message }: CommanderError, command: string): string {
  const text = message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  if (text.includes("Did you mean")) return text;
  const help = /^[a-z]+$/.test(command) ? `${command} --help` : "--help";
  return `${text.replace(/\.$/, "")}. See sessiondir ${help}`;
}
