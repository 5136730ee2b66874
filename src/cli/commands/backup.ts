/** `sessiondir backup`: the commands on backups, a file each. */
import type { Command } from "commander";
import { usageError } from "../failure.js";
import type { Invocation } from "../invocation.js";
import { addBackupCreate } from "./backup-create.js";
import { addBackupList } from "./backup-list.js";
import { addBackupPrune } from "./backup-prune.js";
import { addBackupRestore } from "./backup-restore.js";
import { addBackupRun } from "./backup-run.js";
import { addBackupVerify } from "./backup-verify.js";

const COMMANDS = [
  addBackupCreate,
  addBackupList,
  addBackupVerify,
  addBackupRestore,
  addBackupPrune,
  addBackupRun,
];

export function addBackup(program: Command, invocation: Invocation): void {
  const group = program
    .command("backup")
    .description("back up a store in use, verify backups, restore one")
    .helpCommand(false)
    .allowExcessArguments()
    .action(() => {
      const names = group.commands.map((command) => command.name()).join(", ");
      const [unknown] = group.args;
      const what =
        unknown === undefined ? "which command" : `backup has no command ${JSON.stringify(unknown)}`;
      throw usageError(`${what}: it has ${names}. See sessiondir backup --help`);
    });
  for (const add of COMMANDS) add(group, invocation);
}
