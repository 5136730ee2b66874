/** `sessiondir backup restore`: a store from a backup, in a place where nothing is. */
import type { Command } from "commander";
import { plural } from "../../plural.js";
import {
  addBackupsOptions,
  backupsFolder,
  formatDuration,
  libraryOptions,
  withoutOf,
  type BackupsOptions,
} from "../backup-options.js";
import { asUsage } from "../failure.js";
import { formatCount } from "../figures.js";
import { addExamples, needsPerson, type Invocation } from "../invocation.js";
import { visible } from "../visible-text.js";

interface Options extends BackupsOptions {
  readonly to: string;
  readonly dryRun?: boolean;
}

export function addBackupRestore(group: Command, invocation: Invocation): void {
  const command = group
    .command("restore")
    .description("make a store of a backup, in a new or empty place, and verify it")
    .argument("[backup]", "its name, or latest", "latest");
  addBackupsOptions(command)
    .requiredOption("--to <path>", "the new store: nothing may be there, or an empty folder")
    .option("--dry-run", "read all of the backup, look at the place, and write nothing")
    .action((name: string, options: Options) => restore(invocation, name, options));
  addExamples(
    command,
    "backup restore --backups /mnt/backups/gateway --to sessions.d",
    "backup restore 20261130T191248123Z-1a2b3c --backups /mnt/backups/gateway --to /tmp/look.d",
  );
}

async function restore(invocation: Invocation, name: string, options: Options): Promise<void> {
  const { restoreBackup } = await import("../../backup/index.js");
  const backups = backupsFolder(options);
  invocation.doing = `restoring to ${options.to}`;
  invocation.afterwards = () => "Nothing was restored; run the same command again.";
  const report = await asUsage(() =>
    restoreBackup(backups, options.to, { ...libraryOptions(invocation), name, dryRun: options.dryRun }),
  );
  const { terminal } = invocation;
  const without = withoutOf(report);
  if (without !== undefined) {
    needsPerson(invocation);
    terminal.warn("entry_corrupt", `backup ${report.name} is ${without}. Older backups may have it.`, {
      name: report.name,
      leftOut: report.leftOut?.length,
    });
  }
  if (terminal.json) return terminal.result(report);
  const { store, sessions, revision, durationMs } = report;
  const count = plural(sessions, "session", "sessions", formatCount(sessions));
  if (report.dryRun)
    return terminal.line(
      `would restore ${report.name} to ${visible(store)}: ${count} at revision ${formatCount(revision)}; each of its files is good`,
    );
  await terminal.done(
    `restored ${report.name} to ${visible(store)}: ${count} at revision ${formatCount(revision)}, verified, in ${formatDuration(durationMs)}`,
  );
}
