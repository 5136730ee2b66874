/** `sessiondir backup verify`: reads backups whole. */
import type { Command } from "commander";
import type { BackupProblem, VerifiedBackup, VerifyReport } from "../../care/backup/types.js";
import { plural } from "../../plural.js";
import {
  addBackupsOptions,
  backupsFolder,
  libraryOptions,
  withoutOf,
  type BackupsOptions,
} from "../backup-options.js";
import { asUsage } from "../failure.js";
import { formatBytes, formatCount } from "../figures.js";
import { addExamples, needsPerson, type Invocation } from "../invocation.js";
import { visible } from "../visible-text.js";

interface Options extends BackupsOptions {
  readonly deep?: boolean;
  readonly scratch?: string;
}

export function addBackupVerify(group: Command, invocation: Invocation): void {
  const command = group
    .command("verify")
    .description("read backups whole, and say what is damaged, missing or does not belong there")
    .argument("[backup]", "its name, or latest (default: all)");
  addBackupsOptions(command)
    .option("--deep", "also restore each to a scratch folder, open it, and read everything")
    .option(
      "--scratch <path>",
      "where --deep restores to, on a local disk (default: the system's temporary folder)",
    )
    .action((name: string | undefined, options: Options) => verify(invocation, name, options));
  addExamples(
    command,
    "backup verify --backups /mnt/backups/gateway",
    "backup verify latest --deep --backups /mnt/backups/gateway",
  );
}

async function verify(invocation: Invocation, name: string | undefined, options: Options): Promise<void> {
  const { verifyBackups } = await import("../../backup/index.js");
  const backups = backupsFolder(options);
  invocation.doing = `verifying ${backups}`;
  const { deep, scratch } = options;
  const report = await asUsage(() =>
    verifyBackups(backups, { ...libraryOptions(invocation), name, deep, scratch }),
  );
  if (!report.good) needsPerson(invocation);
  const { terminal } = invocation;
  if (terminal.json) return terminal.result(report);
  for (const line of linesOf(report)) await terminal.line(line);
}

function* linesOf({ backups, unknown }: VerifyReport): Generator<string> {
  for (const backup of backups) {
    yield sentenceOf(backup);
    const without = withoutOf(backup);
    if (without !== undefined) yield `  ${without}`;
    yield* backup.problems.map(problemLine);
  }
  yield* unknown.map(problemLine);
}

function sentenceOf({ name, revision, sessions, files, bytes, problemCount, deep }: VerifiedBackup): string {
  if (problemCount > 0)
    return `${name}: DAMAGED, ${plural(problemCount, "problem", "problems", formatCount(problemCount))}`;
  const read =
    deep === undefined
      ? ""
      : `; opened, and read ${formatCount(deep.sessions)} sessions and ${formatCount(deep.items)} items`;
  return (
    `${name}: good, ${plural(sessions, "session", "sessions", formatCount(sessions))} at revision ${formatCount(revision)}, ` +
    `${formatCount(files)} files, ${formatBytes(bytes)}${read}`
  );
}

function problemLine({ what, path, file, reason }: BackupProblem): string {
  const of = file === undefined ? "" : ` (${visible(file)})`;
  return `${what.padEnd(7)}  ${visible(path)}${of}: ${visible(reason)}`;
}
