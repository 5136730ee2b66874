/** `sessiondir backup prune`: removes backups that no rule keeps. */
import type { Command } from "commander";
import type { PruneReport } from "../../care/backup/types.js";
import { plural } from "../../plural.js";
import {
  addBackupsOptions,
  addKeepOptions,
  backupsFolder,
  keepRules,
  libraryOptions,
  type BackupsOptions,
  type KeepOptions,
} from "../backup-options.js";
import { asUsage, usageError } from "../failure.js";
import { formatBytes, formatCount } from "../figures.js";
import { addExamples, type Invocation } from "../invocation.js";

interface Options extends BackupsOptions, KeepOptions {
  readonly dryRun?: boolean;
}

export function addBackupPrune(group: Command, invocation: Invocation): void {
  const command = group
    .command("prune")
    .description("remove backups that no rule keeps; the newest never goes");
  addKeepOptions(addBackupsOptions(command))
    .option("--dry-run", "say what would be removed and do nothing")
    .action((options: Options) => prune(invocation, options));
  addExamples(
    command,
    "backup prune --backups /mnt/backups/gateway --keep-last 12 --keep-daily 7 --keep-weekly 4 --dry-run",
    "backup prune --backups /mnt/backups/gateway --keep-monthly 12",
  );
}

async function prune(invocation: Invocation, options: Options): Promise<void> {
  const backups = backupsFolder(options);
  const rules = keepRules(options);
  if (rules === undefined)
    throw usageError(
      "what stays? Give --keep-last, --keep-daily, --keep-weekly or --keep-monthly: nothing is pruned unasked",
    );
  const { pruneBackups } = await import("../../backup/index.js");
  invocation.doing = `pruning ${backups}`;
  const { dryRun } = options;
  const report = await asUsage(() => pruneBackups(backups, rules, { ...libraryOptions(invocation), dryRun }));
  const { terminal } = invocation;
  if (terminal.json) return terminal.result(report);
  for (const name of report.removed)
    await terminal.line(`${report.dryRun ? "would remove" : "removed"}  ${name}`);
  await terminal.done(sentenceOfPrune(report));
}

export function sentenceOfPrune({ dryRun, kept, removed, freedBytes, postponed }: PruneReport): string {
  const count = plural(removed.length, "backup", "backups", formatCount(removed.length));
  const rest = `${formatCount(kept.length)} stay`;
  const later = postponed
    ? "; what they had goes with the next prune, for a backup is being made or cannot be read"
    : "";
  return `${dryRun ? "would remove" : "removed"} ${count}, ${rest}; ${formatBytes(freedBytes)} ${dryRun ? "would be" : "are"} free${later}`;
}
