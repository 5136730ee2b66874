/** What every command has from the program that runs it. */
import type { Command } from "commander";
import type { Trust } from "../fs/trusted-path.js";
import { EXIT, usageError, type ExitCode } from "./failure.js";
import type { ServerTarget } from "./server-target.js";
import { withoutPasswords } from "../postgres/secrets.js";
import type { Terminal } from "./terminal.js";

export interface Invocation {
  readonly terminal: Terminal;
  /** Aborts on Ctrl-C, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
  /** Of `--trust`, once the command line is read. */
  trust?: Trust;
  /** Stores in databases that the command line names, by what they are called without a password (server-target.ts). */
  readonly servers: Map<string, ServerTarget>;
  /** What is going on, as in "reading /x/sessions.json": a person who interrupts it is told. */
  doing: string;
  /** What a person does who has interrupted it. Default: the same command again. */
  afterwards: () => string;
  /**
   * For a command that ends by Ctrl-C as a rule: how many milliseconds it has to finish; it says itself that it does.
   * Default undefined: the interruption is reported, and the program ends.
   */
  finishMs: number | undefined;
  /** Runs what has the terminal for itself, as an editor has: Ctrl-C is a key there. */
  readonly withoutInterruption: <R>(work: () => Promise<R>) => Promise<R>;
  /** How the program ends when the command returns. Default 0. */
  exitCode: ExitCode;
}

/** Options that say which store is meant. */
export interface StoreOptions {
  readonly store?: string;
  readonly stateDir?: string;
  readonly agent?: string;
  readonly trust?: Trust;
}

/** `--store`, `--state-dir`, `--agent`, `--trust` and `--json`, the same for every command on one store. */
export function addStoreOptions(command: Command): Command {
  command
    .option(
      "--store <path>",
      "the store's folder, the sessions.json that it stands for, or a postgres:// URL (default: $SESSIONDIR_STORE, or what is found)",
    )
    .option(
      "--state-dir <path>",
      "a gateway's state directory (default: $OPENCLAW_STATE_DIR, then ~/.openclaw)",
    )
    .option("--agent <id>", "whose store in the state directory (default: the key's agent, or the only one)");
  return addCommonOptions(command);
}

/** `--trust`, `--json` and `--quiet`, of commands that are not on a store, too. */
export function addCommonOptions(command: Command): Command {
  return command
    .option(
      "--trust <who>",
      "who may change the folders of the store: owner, or group (all members of their groups, for shared volumes)",
      trustOf,
      "owner",
    )
    .option("--json", "print JSON; errors and warnings become JSON on stderr")
    .option("-q, --quiet", "print what was asked for, warnings and errors, and nothing else");
}

/** The store as an argument, for commands whose first argument is not a key. */
export function addStoreArgument(command: Command): Command {
  return command.argument("[store]", "the same as --store");
}

/** The options with the store that was given as an argument. */
export function withStoreArgument<O extends StoreOptions>(options: O, store: string | undefined): O {
  if (store === undefined) return options;
  if (options.store !== undefined)
    throw usageError(
      `the store is given twice: ${withoutPasswords(store)} and --store ${withoutPasswords(options.store)}`,
    );
  return { ...options, store };
}

const EXAMPLES = new WeakMap<Command, readonly string[]>();

/** Arguments of a command that were given to {@link addExamples}. */
export function examplesOf(command: Command): readonly string[] {
  return EXAMPLES.get(command) ?? [];
}

function trustOf(text: string): Trust {
  if (text === "owner" || text === "group") return text;
  throw usageError(`--trust must be owner or group, not ${JSON.stringify(text)}`);
}

/** `--help` ends with these. */
export function addExamples(command: Command, ...examples: readonly string[]): Command {
  EXAMPLES.set(command, examples);
  const lines = examples.map((example) => `  $ sessiondir ${example}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** A parser of commander's for whole numbers. */
export function wholeNumber(option: string, min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      throw usageError(`${option} must be a whole number of at least ${min}, not ${JSON.stringify(text)}`);
    }
    return value;
  };
}

/** The command found something that a person has to look at; it goes on nevertheless. */
export function needsPerson(invocation: Invocation): void {
  if (invocation.exitCode !== EXIT.failure) invocation.exitCode = EXIT.needsPerson;
}
