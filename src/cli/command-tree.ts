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
  /** As it is typed: `get`, `transcript ls`. */
  readonly name: string;
  /** As in `get [options] <key>`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly OptionInfo[];
  /** Names of the arguments in order: key, store, changes, shell. */
  readonly arguments: readonly string[];
  readonly examples: readonly string[];
  /** Of a group: its commands. Otherwise none. */
  readonly commands: readonly CommandInfo[];
}

/** Every command that is not hidden, in the order of the help. */
export function commandTree(program: Command): CommandInfo[] {
  return commandsOf(program, "");
}

/** Every command that does something: those of groups in the place of these. */
export function runnable(tree: readonly CommandInfo[]): CommandInfo[] {
  return tree.flatMap((command) => (command.commands.length > 0 ? runnable(command.commands) : [command]));
}

/** @param prefix What is typed in front of their names. */
function commandsOf(parent: Command, prefix: string): CommandInfo[] {
  return parent
    .createHelp()
    .visibleCommands(parent)
    .map((command) => {
      const name = prefix + command.name();
      return {
        name,
        usage: `${name} ${command.usage()}`,
        description: command.description(),
        options: optionsOf(command),
        arguments: command.registeredArguments.map((argument) => argument.name()),
        examples: examplesOf(command),
        commands: commandsOf(command, `${name} `),
      };
    });
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
