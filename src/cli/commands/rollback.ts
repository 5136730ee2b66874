/** `sessiondir rollback`: today's sessions as a `sessions.json`, and the store set aside. */
import type { Command } from "commander";
import { asUsage } from "../failure.js";
import { formatBytes } from "../figures.js";
import { addExamples, addStoreOptions, type Invocation } from "../invocation.js";
import {
  addForceOption,
  addKeyOption,
  legacyTarget,
  libraryOptions,
  withKeyOption,
  type LegacyCommandOptions,
} from "../legacy-options.js";
import { exitCodeOfReport, printReport, reportTrouble } from "../report-text.js";
import { visible } from "../visible-text.js";
import type { RollbackReport } from "../../legacy/base/types.js";

export function addRollback(program: Command, invocation: Invocation): void {
  const command = program
    .command("rollback")
    .description("write today's sessions to sessions.json and set the store aside; stop the gateways first");
  addForceOption(addKeyOption(addStoreOptions(command)))
    .option("--dry-run", "say what would be done and do nothing")
    .action((options: LegacyCommandOptions) => rollback(invocation, options));
  addExamples(
    command,
    "rollback --store ~/.openclaw/agents/main/sessions/sessions.json --dry-run",
    "rollback --state-dir ~/.openclaw --agent main",
  );
}

async function rollback(invocation: Invocation, options: LegacyCommandOptions): Promise<void> {
  const path = await legacyTarget(invocation, options, "rollback");
  const { rollbackToLegacy } = await import("../../legacy/back/rollback.js");
  const library = libraryOptions(invocation, options);
  const done = await asUsage(() => rollbackToLegacy(path, library.options)).finally(library.end);
  const report = withKeyOption(done, options);
  const { terminal } = invocation;
  if (terminal.json) await terminal.result(report);
  else {
    await printReport(invocation, report, headline(report), detailsOf(report));
  }
  reportTrouble(invocation, report);
  invocation.exitCode = exitCodeOfReport(report);
}

function headline({ outcome, path, directory, dryRun }: RollbackReport): string {
  const [file, store] = [visible(path), visible(directory)];
  switch (outcome) {
    case "rolled_back":
      return dryRun ? `would roll back ${store} to ${file}` : `rolled back ${store} to ${file}`;
    case "already_legacy":
      return `there is no store at ${store}, ${file} is authoritative already`;
    case "missing":
      return `there is neither a store at ${store} nor a file ${file}: check --store`;
    case "skipped_invalid":
    case "failed":
      return `not rolled back: ${store}`;
  }
}

function detailsOf({ bytesBefore, bytesAfter, backups, dryRun }: RollbackReport): [string, string][] {
  const details: [string, string][] = [];
  if (!dryRun && bytesAfter > 0)
    details.push(["bytes", `${formatBytes(bytesBefore)} -> ${formatBytes(bytesAfter)}`]);
  for (const backup of backups) details.push(["backup", backup]);
  return details;
}
