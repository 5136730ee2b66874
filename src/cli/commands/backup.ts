/** `sessiondir backup`: the commands on backups, a file each. */
import type { Command } from "commander";
import { addGroup } from "../command-group.js";
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
  const description = "back up a store in use, verify backups, restore one";
  addGroup(program, invocation, "backup", description, COMMANDS);
}
