/** The commands, their options and what their arguments are, read off commander: for completion and the man page. */
import type { Command } from "commander";
import { examplesOf } from "./invocation.js";

export interface OptionInfo {
  /** As in `-q, --quiet`. */
  readonly flags: string;
  readonly long: string;
  readonly short: string | undefined;
  /** The name in angle brackets; undefined for a switch. */
  readonly value: string | undefined;
  readonly description: string;
}

export interface CommandInfo {
  readonly name: string;
  /** As in `get [options] <key>`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly OptionInfo[];
  /** Names of the arguments in order: key, store, changes, shell. */
  readonly arguments: readonly string[];
  readonly examples: readonly string[];
}

/** Every command that is not hidden, in the order of the help. */
export function commandTree(program: Command): CommandInfo[] {
  const help = program.createHelp();
  return help.visibleCommands(program).map((command) => ({
    name: command.name(),
    usage: `${command.name()} ${command.usage()}`,
    description: command.description(),
    options: optionsOf(command),
    arguments: command.registeredArguments.map((argument) => argument.name()),
    examples: examplesOf(command),
  }));
}

export function optionsOf(command: Command): OptionInfo[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ flags, long, short, description }) => ({
      flags,
      long: long ?? flags,
      short,
      value: /<([^>]+)>/.exec(flags)?.[1],
      description,
    }));
}
