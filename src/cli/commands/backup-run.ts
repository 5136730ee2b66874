/**
 * `sessiondir backup run`: backups as a service, one at a time, at fixed distances, until Ctrl-C or SIGTERM. An attempt that
 * fails is told and recorded, and the next one comes all the same. Only the first one may make the folder: where a disk is not
 * mounted later, backups do not go to another one.
 */
import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import type { CreateReport, PruneReport } from "../../care/backup/types.js";
import {
  addBackupsFolder,
  addCreateOption,
  addKeepOptions,
  backupsFolder,
  goLast,
  keepRules,
  libraryOptions,
  sentenceOf,
  type BackupsOptions,
  type KeepOptions,
} from "../backup-options.js";
import { reportOf, EXIT, usageError } from "../failure.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  withStoreArgument,
  wholeNumber,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { requireDirectory } from "../server-target.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";
import { sentenceOfPrune } from "./backup-prune.js";

interface Options extends StoreOptions, BackupsOptions, KeepOptions {
  readonly every: number;
  readonly times?: number;
  readonly create: boolean;
}

/** One line of `backup run --json`. */
interface RunResult {
  readonly backup?: CreateReport;
  readonly pruned?: PruneReport;
  readonly error?: { readonly code: string; readonly message: string };
}

/** To remove what is half made. */
const FINISH_MS = 1000;

export function addBackupRun(group: Command, invocation: Invocation): void {
  const command = group.command("run").description("make backups again and again, until Ctrl-C");
  addKeepOptions(addCreateOption(addBackupsFolder(addStoreOptions(addStoreArgument(command)))))
    .requiredOption("--every <time>", "from one beginning to the next: 30s, 5m, 6h, 1d", durationOf)
    .option("--times <n>", "end after n attempts (default: never)", wholeNumber("--times", 1))
    .action((store: string | undefined, options: Options) =>
      run(invocation, withStoreArgument(options, store)),
    );
  addExamples(
    command,
    "backup run --store sessions.d --backups /mnt/backups/gateway --every 5m --keep-last 12 --keep-daily 7",
  );
}

async function run(invocation: Invocation, options: Options): Promise<void> {
  const backups = backupsFolder(options);
  const store = requireDirectory(
    await resolveStore(invocation, options),
    "backup run",
    "back it up with pg_dump, or copy it into a directory: sessiondir copy --from URL --to sessions.d",
  );
  const { assertMayOpen } = await import("../open-store.js");
  assertMayOpen(store, false);
  goLast();
  const { terminal, signal } = invocation;
  const { every, times = Number.POSITIVE_INFINITY } = options;
  terminal.say(`backing up ${store} to ${backups}; Ctrl-C ends it`);
  invocation.doing = `backing up ${store}`;
  invocation.finishMs = FINISH_MS;
  let next = performance.now();
  let made = false;
  for (let attempt = 1; attempt <= times && !signal.aborted; attempt++) {
    made = (await once(invocation, store, backups, options, options.create && !made)) || made;
    next = Math.max(next + every, performance.now());
    if (attempt < times) await pause(next - performance.now(), signal);
  }
  // Stopped is how a service ends, and no failure.
  if (signal.aborted) invocation.exitCode = terminal.closed ? EXIT.ok : EXIT.interrupted;
}

/** @returns Whether a backup was made. */
async function once(
  invocation: Invocation,
  store: string,
  backups: string,
  options: Options,
  create: boolean,
): Promise<boolean> {
  const { createBackup, pruneBackups } = await import("../../backup/index.js");
  const { terminal, signal } = invocation;
  const rules = keepRules(options);
  let backup: CreateReport | undefined;
  let pruned: PruneReport | undefined;
  try {
    backup = await createBackup(store, backups, { ...libraryOptions(invocation), create });
    if (backup.damaged > 0) needsPerson(invocation);
    if (rules !== undefined) pruned = await pruneBackups(backups, rules, libraryOptions(invocation));
    await tell(invocation, { backup, ...(pruned && { pruned }) });
  } catch (error) {
    if (signal.aborted) return backup !== undefined;
    const { code, message, data, exitCode } = reportOf(error);
    invocation.exitCode = exitCode;
    terminal.warn(code, message, data);
    await tell(invocation, { ...(backup && { backup }), error: { code, message } });
  }
  return backup !== undefined;
}

async function tell({ terminal }: Invocation, result: RunResult): Promise<void> {
  if (terminal.json) return terminal.result(result);
  const { backup, pruned } = result;
  if (backup !== undefined) await terminal.done(visible(sentenceOf(backup)));
  if (pruned !== undefined && pruned.removed.length > 0) await terminal.done(sentenceOfPrune(pruned));
}

/** Longer than any timer can wait. */
const PAUSE_MS_MAX = 24 * 60 * 60 * 1000;

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const until = performance.now() + ms;
  for (let left = ms; left > 0 && !signal.aborted; left = until - performance.now())
    await setTimeout(Math.min(left, PAUSE_MS_MAX), undefined, { signal }).catch(() => {});
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationOf(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS[unit] ?? 0);
  if (ms > 0) return ms;
  throw usageError(`--every must be a time such as 30s, 5m, 6h or 1d, not ${JSON.stringify(text)}`);
}
