/** `sessiondir backup create`: a consistent copy of a store in use. Stopped anywhere, the backups before it are as they were. */
import type { Command } from "commander";
import {
  addBackupsFolder,
  addCreateOption,
  backupsFolder,
  goLast,
  libraryOptions,
  sentenceOf,
  type BackupsOptions,
} from "../backup-options.js";
import type { CreateReport } from "../../care/backup/types.js";
import { plural } from "../../plural.js";
import { asUsage } from "../failure.js";
import { formatBytes, formatCount } from "../figures.js";
import {
  addExamples,
  addStoreArgument,
  addStoreOptions,
  needsPerson,
  withStoreArgument,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { requireDirectory } from "../server-target.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions, BackupsOptions {
  readonly create: boolean;
  readonly dryRun?: boolean;
}

export function addBackupCreate(group: Command, invocation: Invocation): void {
  const command = group
    .command("create")
    .description("make a backup of a store in use, as of one revision, and verify it");
  addCreateOption(addBackupsFolder(addStoreOptions(addStoreArgument(command))))
    .option("--dry-run", "say what it would come to and write nothing")
    .action((store: string | undefined, options: Options) =>
      create(invocation, withStoreArgument(options, store)),
    );
  addExamples(command, "backup create --store sessions.d --backups /mnt/backups/gateway");
}

function sentenceOfPlan({ sessions, revision, files, bytes, writtenBytes, path }: CreateReport): string {
  const count = plural(sessions, "session", "sessions", formatCount(sessions));
  return (
    `would make a backup in ${path}: ${count} at revision ${formatCount(revision)}, ${formatBytes(bytes)} in ` +
    `${plural(files, "file", "files", formatCount(files))}, of which ${formatBytes(writtenBytes)} would be written`
  );
}

async function create(invocation: Invocation, options: Options): Promise<void> {
  const backups = backupsFolder(options);
  const store = requireDirectory(
    await resolveStore(invocation, options),
    "backup create",
    "back it up with pg_dump, or copy it into a directory: sessiondir copy --from URL --to sessions.d",
  );
  const { assertMayOpen } = await import("../open-store.js");
  assertMayOpen(store, false);
  const { createBackup } = await import("../../backup/index.js");
  goLast();
  invocation.doing = `backing up ${store}`;
  invocation.afterwards = () => "No backup was made; those that were there are as they were.";
  const report = await asUsage(() =>
    createBackup(store, backups, {
      ...libraryOptions(invocation),
      create: options.create,
      dryRun: options.dryRun,
    }),
  );
  if (report.damaged > 0) needsPerson(invocation);
  const { terminal } = invocation;
  if (terminal.json) await terminal.result(report);
  else if (report.dryRun) await terminal.line(visible(sentenceOfPlan(report)));
  else await terminal.done(visible(sentenceOf(report)));
}
