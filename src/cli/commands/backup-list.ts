/** `sessiondir backup list`: what backups there are, and what became of each attempt. */
import type { Command } from "commander";
import type { BackupList } from "../../care/backup/list.js";
import type { Attempt, ListedBackup } from "../../care/backup/types.js";
import {
  addBackupsOptions,
  backupsFolder,
  formatDuration,
  libraryOptions,
  withoutOf,
  type BackupsOptions,
} from "../backup-options.js";
import { asUsage } from "../failure.js";
import { formatBytes, formatCount, formatTime, tableLines } from "../figures.js";
import { addExamples, needsPerson, type Invocation } from "../invocation.js";
import { visible } from "../visible-text.js";

interface Options extends BackupsOptions {
  readonly attempts?: boolean;
}

export function addBackupList(group: Command, invocation: Invocation): void {
  const command = group.command("list").description("list backups, the newest first");
  addBackupsOptions(command)
    .option("--attempts", "list every recorded attempt instead, also those that failed")
    .action((options: Options) => list(invocation, options));
  addExamples(
    command,
    "backup list --backups /mnt/backups/gateway",
    "backup list --backups /mnt/backups/gateway --attempts",
  );
}

async function list(invocation: Invocation, options: Options): Promise<void> {
  const { listBackups } = await import("../../backup/index.js");
  const { trust, onWarning } = libraryOptions(invocation);
  const found = await asUsage(() => listBackups(backupsFolder(options), { trust, onWarning }));
  const { backups, attempts } = found;
  if (backups.some(({ good }) => !good)) needsPerson(invocation);
  const { terminal } = invocation;
  if (terminal.json) {
    const { path } = found;
    return terminal.result(options.attempts === true ? { path, attempts } : { path, backups });
  }
  const lines =
    options.attempts === true
      ? tableLines(ATTEMPT_COLUMNS, attempts.map(attemptCells), terminal.dataColumns)
      : tableLines(COLUMNS, backups.map(cellsOf), terminal.dataColumns);
  for (const line of lines) await terminal.line(line);
  for (const line of failuresOf(found)) terminal.say(line);
  for (const backup of options.attempts === true ? [] : backups) {
    const without = withoutOf(backup);
    if (without !== undefined) terminal.say(`${backup.name} is ${without}`);
  }
}

const COLUMNS = [
  { title: "NAME" },
  { title: "TIME", dispensable: 2 },
  { title: "REVISION", right: true },
  { title: "SESSIONS", right: true },
  { title: "BYTES", right: true },
  { title: "WRITTEN", right: true, dispensable: 1 },
  { title: "VERIFIED", dispensable: 3 },
];

function cellsOf(backup: ListedBackup): string[] {
  const { name, startedAt, revision, sessions, bytes, writtenBytes, verifiedAt, good } = backup;
  return [
    name,
    formatTime(startedAt) ?? "-",
    formatCount(revision),
    formatCount(sessions),
    formatBytes(bytes),
    formatBytes(writtenBytes),
    good ? (formatTime(verifiedAt) ?? "-") : "DAMAGED",
  ];
}

const ATTEMPT_COLUMNS = [
  { title: "TIME" },
  { title: "WHAT" },
  { title: "OUTCOME" },
  { title: "TOOK", right: true, dispensable: 1 },
  { title: "BACKUP", dispensable: 2 },
  { title: "WHY" },
];

function attemptCells({ at, what, outcome, durationMs, name, error }: Attempt): string[] {
  const took = durationMs === undefined ? "-" : formatDuration(durationMs);
  return [
    formatTime(at) ?? "-",
    what,
    outcome,
    took,
    name ?? "-",
    error === undefined ? "" : `${error.code}: ${error.message}`,
  ];
}

/** What somebody should know who only looks at the list: the newest attempts came to nothing. */
function failuresOf({ attempts }: BackupList): string[] {
  const made = attempts.findIndex(({ what, outcome }) => what === "create" && outcome === "done");
  const since = made === -1 ? attempts : attempts.slice(0, made);
  const failed = since.filter(
    ({ what, outcome }) => what === "create" && outcome !== "running" && outcome !== "done",
  );
  const [last] = failed;
  if (last === undefined) return [];
  const why = last.error === undefined ? "it was killed" : visible(last.error.message);
  return [`${formatCount(failed.length)} of the newest attempts made no backup; the last one: ${why}`];
}
