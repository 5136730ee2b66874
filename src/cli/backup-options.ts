/** What the commands of `sessiondir backup` share: the folder of backups, the rules of a prune, sentences about backups. */
import { constants, setPriority } from "node:os";
import type { Command } from "commander";
import type { BackupInfo, BackupWarning, KeepRules } from "../care/backup/types.js";
import type { Trust } from "../fs/trusted-path.js";
import { plural } from "../plural.js";
import { usageError } from "./failure.js";
import { formatBytes, formatCount } from "./figures.js";
import { addCommonOptions, wholeNumber, type Invocation } from "./invocation.js";
import { visible } from "./visible-text.js";

export interface BackupsOptions {
  readonly backups?: string;
  readonly trust?: Trust;
}

/** `--backups`, and what all commands have. */
export function addBackupsOptions(command: Command): Command {
  return addCommonOptions(addBackupsFolder(command));
}

export function addBackupsFolder(command: Command): Command {
  return command.option("--backups <path>", "the folder of backups (default: $SESSIONDIR_BACKUPS)");
}

/** @throws a usage error where nothing says which folder is meant: none is ever guessed. */
export function backupsFolder({ backups }: BackupsOptions): string {
  const path = backups ?? process.env["SESSIONDIR_BACKUPS"];
  if (path) return path;
  throw usageError("where are the backups? Give --backups PATH, or set $SESSIONDIR_BACKUPS");
}

/** Options of the library. */
export function libraryOptions(invocation: Invocation): {
  readonly trust: Trust | undefined;
  readonly signal: AbortSignal;
  readonly onWarning: (warning: BackupWarning) => void;
} {
  const { terminal, trust, signal } = invocation;
  return { trust, signal, onWarning: ({ code, message, data }) => terminal.warn(code, message, data) };
}

/** `--no-create`, of commands that make backups. */
export function addCreateOption(command: Command): Command {
  return command.option(
    "--no-create",
    "fail where the folder of backups is not there, as when its disk is not mounted",
  );
}

export interface KeepOptions {
  readonly keepLast?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
}

export function addKeepOptions(command: Command): Command {
  return command
    .option("--keep-last <n>", "keep the newest n", wholeNumber("--keep-last", 0))
    .option("--keep-daily <n>", "keep the newest of each of n days (UTC)", wholeNumber("--keep-daily", 0))
    .option("--keep-weekly <n>", "keep the newest of each of n weeks", wholeNumber("--keep-weekly", 0))
    .option("--keep-monthly <n>", "keep the newest of each of n months", wholeNumber("--keep-monthly", 0));
}

/** @returns Undefined where no rule is given. */
export function keepRules({
  keepLast,
  keepDaily,
  keepWeekly,
  keepMonthly,
}: KeepOptions): KeepRules | undefined {
  const rules = { last: keepLast, daily: keepDaily, weekly: keepWeekly, monthly: keepMonthly };
  return Object.values(rules).every((rule) => rule === undefined) ? undefined : rules;
}

/** Gateways go first where the processor is short; a backup still gets its part. */
export function goLast(): void {
  try {
    setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // where that is not allowed it goes on as it is
  }
}

export function sentenceOf(info: BackupInfo & { readonly durationMs: number }): string {
  const { name, revision, sessions, files, bytes, writtenBytes, durationMs, damaged } = info;
  const count = plural(sessions, "session", "sessions", formatCount(sessions));
  const lost =
    damaged === 0 ? "" : `; ${plural(damaged, "file", "files", formatCount(damaged))} could not be read`;
  return (
    `backup ${name}: ${count} at revision ${formatCount(revision)}, ${formatBytes(bytes)} in ` +
    `${plural(files, "file", "files", formatCount(files))}, ${formatBytes(writtenBytes)} written, verified, in ` +
    `${formatDuration(durationMs)}${lost}`
  );
}

/** What a backup is without, if anything: as a part of a sentence. */
export function withoutOf({ leftOut = [] }: Pick<BackupInfo, "leftOut">): string | undefined {
  const [first] = leftOut;
  if (first === undefined) return undefined;
  const more = leftOut.length === 1 ? "" : ` and ${formatCount(leftOut.length - 1)} more`;
  return `without ${visible(first.key ?? first.path)}${more}, which could not be read when it was made`;
}

/** As in "0.4 s" or "75 s". */
export function formatDuration(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${formatCount(Math.round(ms / 1000))} s`;
}
