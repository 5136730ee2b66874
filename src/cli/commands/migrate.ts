/**
 * `sessiondir migrate`: brings one `sessions.json`, or all of a state directory, into stores. What it does, and why it
 * cannot half-happen, is in src/legacy/migration/migrate.ts; stopped anywhere, the next run finishes.
 */
import type { Command } from "commander";
import type { LegacyWarning, MigrationReport } from "../../legacy/base/types.js";
import { asUsage } from "../failure.js";
import { formatBytes } from "../figures.js";
import { addExamples, addStoreOptions, type Invocation } from "../invocation.js";
import {
  addForceOption,
  addKeyOption,
  addStorePathOption,
  isOneStore,
  legacyTarget,
  libraryOptions,
  requireStateDirectory,
  withKeyOption,
  type LegacyCommandOptions,
} from "../legacy-options.js";
import { exitCodeOfReport, printReport, reportTrouble } from "../report-text.js";
import { visible } from "../visible-text.js";

interface Options extends LegacyCommandOptions {
  readonly mirror?: boolean;
}

export function addMigrate(program: Command, invocation: Invocation): void {
  const command = program
    .command("migrate")
    .description(
      "bring sessions.json, or an older layout of many files, into a store; the source is kept as a backup",
    );
  addForceOption(addStorePathOption(addKeyOption(addStoreOptions(command))))
    .option("--mirror", "write sessions.json once more from the store, for programs that know only that file")
    .option("--dry-run", "read and check everything, say what would be done, change nothing")
    .action((options: Options) =>
      isOneStore(options) ? migrateOne(invocation, options) : migrateAll(invocation, options),
    );
  addExamples(
    command,
    "migrate --store ~/.openclaw/agents/main/sessions/sessions.json --dry-run",
    "migrate --state-dir ~/.openclaw",
    "migrate --state-dir ~/.openclaw --store-path '/data/{agentId}/sessions.json' --json",
  );
}

async function migrateOne(invocation: Invocation, options: Options): Promise<void> {
  const target = await legacyTarget(invocation, options, "migrate");
  const { migrateLegacyStore } = await import("../../legacy/migrate.js");
  const library = libraryOptions(invocation, options);
  const { mirror } = options;
  const done = await asUsage(() => migrateLegacyStore(target, { ...library.options, mirror })).finally(
    library.end,
  );
  const report = withKeyOption(done, options);
  const { terminal } = invocation;
  if (terminal.json) await terminal.result({ dryRun: report.dryRun, reports: [report] });
  else await printOne(invocation, report);
  invocation.exitCode = exitCodeOfReport(report);
}

async function migrateAll(invocation: Invocation, options: Options): Promise<void> {
  const stateDirectory = requireStateDirectory(options);
  const { migrateStateDirectory } = await import("../../legacy/migrate.js");
  const library = libraryOptions(invocation, options);
  const { terminal } = invocation;
  let printed = Promise.resolve();
  const report = await asUsage(() =>
    migrateStateDirectory({
      ...library.options,
      mirror: options.mirror,
      stateDirectory,
      storePaths: options.storePath,
      onReport: (one) => {
        const told = withKeyOption(one, options);
        if (!terminal.json) printed = printed.then(() => printOne(invocation, withoutNotice(told)));
      },
    }),
  ).finally(library.end);
  await printed;
  const { counts, summary, warnings, exitCode } = report;
  const reports = report.reports.map((one) => withKeyOption(one, options));
  const dryRun = options.dryRun ?? false;
  if (terminal.json) await terminal.result({ stateDirectory, dryRun, counts, summary, warnings, reports });
  else {
    for (const { code, message, data } of ofTheWhole(warnings, reports)) terminal.warn(code, message, data);
    const notice = reports.flatMap((one) => one.warnings).find(isNotice);
    if (notice !== undefined) terminal.warn(notice.code, notice.message, notice.data);
    await (dryRun ? terminal.line(summary) : terminal.done(summary));
  }
  invocation.exitCode = exitCode;
}

/** What is true of every store that was migrated is said once. */
function isNotice({ code }: LegacyWarning): boolean {
  return code === "file_moved";
}

function withoutNotice(report: MigrationReport): MigrationReport {
  return { ...report, warnings: report.warnings.filter((warning) => !isNotice(warning)) };
}

/** Warnings about no single store; those of the stores were printed with their reports. */
function ofTheWhole(
  warnings: readonly LegacyWarning[],
  reports: readonly MigrationReport[],
): readonly LegacyWarning[] {
  const printed = new Set(reports.flatMap((report) => report.warnings.map(({ message }) => message)));
  const failed = new Set(reports.filter(({ error }) => error !== undefined).map(({ path }) => path));
  return warnings.filter(({ code, message, data }) => {
    const ofFailed = code === "source_unreadable" && failed.has(String(data["path"]));
    return !printed.has(message) && !ofFailed;
  });
}

async function printOne(invocation: Invocation, report: MigrationReport): Promise<void> {
  await printReport(invocation, report, headline(report), detailsOf(report));
  reportTrouble(invocation, report);
}

function headline({ outcome, path, directory, dryRun, layouts }: MigrationReport): string {
  const [file, store] = [visible(path), visible(directory)];
  const would = dryRun ? "would be " : "";
  switch (outcome) {
    case "migrated":
      return `${would}migrated: ${file} -> ${store} (${layouts.join(", ")})`;
    case "merged":
      return `${would}merged: what was written to ${file} since, into ${store}`;
    case "already_directory":
      return `already a store: ${store}`;
    case "skipped_empty":
      return `skipped, it has no sessions: ${file}`;
    case "skipped_invalid":
      return `skipped, somebody has to look at it: ${file}`;
    case "missing":
      return `there is neither a file ${file} nor a store ${store}: check --store`;
    case "failed":
      return `failed, nothing was lost: ${file}`;
  }
}

function detailsOf({ bytesBefore, bytesAfter, backups, mirror }: MigrationReport): [string, string][] {
  const details: [string, string][] = [];
  if (bytesAfter > 0 && bytesBefore > 0) {
    details.push(["bytes", `${formatBytes(bytesBefore)} -> ${formatBytes(bytesAfter)}`]);
  }
  for (const backup of backups) details.push(["backup", backup]);
  if (mirror !== undefined) details.push(["mirror", `${mirror}, as of now: keep it in step`]);
  return details;
}
