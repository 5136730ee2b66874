/** A command that has commands, such as `transcript`: by itself it only says which. */
import type { Command } from "commander";
import { usageError } from "./failure.js";
import type { Invocation } from "./invocation.js";

/** Their names. */
export const GROUPS: ReadonlySet<string> = new Set(["backup", "transcript"]);

type Add = (group: Command, invocation: Invocation) => void;

/** @param name One of {@link GROUPS}. */
export function addGroup(
  program: Command,
  invocation: Invocation,
  name: string,
  description: string,
  commands: readonly Add[],
): void {
  const group = program
    .command(name)
    .description(description)
    .helpCommand(false)
    .allowExcessArguments()
    .action(() => {
      const names = group.commands.map((command) => command.name()).join(", ");
      const [unknown] = group.args;
      const what =
        unknown === undefined ? "which command" : `${name} has no command ${JSON.stringify(unknown)}`;
      throw usageError(`${what}: it has ${names}. See sessiondir ${name} --help`);
    });
  for (const add of commands) add(group, invocation);
}
