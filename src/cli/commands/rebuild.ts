/**
 * `sessiondir rebuild`: makes a store from its session folders alone, where a copy left out `.store` or somebody removed it.
 * Nothing is removed. Stopped anywhere, the next rebuild goes on.
 */
import { plural } from "../../plural.js";
import type { Command } from "commander";
import type { RebuildReport } from "../../store/rebuild.js";
import { formatCount } from "../figures.js";
import {
  addExamples,
  addStoreOptions,
  needsPerson,
  type Invocation,
  type StoreOptions,
} from "../invocation.js";
import { requireDirectory } from "../server-target.js";
import { resolveStore } from "../store-target.js";
import { visible } from "../visible-text.js";

interface Options extends StoreOptions {
  readonly dryRun?: boolean;
}

export function addRebuild(program: Command, invocation: Invocation): void {
  const command = program
    .command("rebuild")
    .description("make a store from its session folders alone, after .store was lost");
  addStoreOptions(command)
    .option("--dry-run", "say what would be done and do nothing")
    .action((options: Options) => rebuild(invocation, options));
  addExamples(command, "rebuild --store sessions.d --dry-run", "rebuild --store sessions.d");
}

async function rebuild(invocation: Invocation, options: Options): Promise<void> {
  const path = requireDirectory(
    await resolveStore(invocation, options),
    "rebuild",
    "restore it with the server's own tools, such as pg_restore",
  );
  const { rebuildDirectoryStore } = await import("../../store/rebuild.js");
  const { terminal, signal, trust } = invocation;
  const { dryRun = false } = options;
  const report = await rebuildDirectoryStore(path, { dryRun, signal, trust });
  if (report.damaged.length + report.surplus.length + report.missingValues.length > 0)
    needsPerson(invocation);
  if (terminal.json) {
    const { path: store, ...rest } = report;
    await terminal.result({ store, dryRun, ...rest });
    return;
  }
  for (const line of linesOf(report, dryRun)) await terminal.line(line);
}

function* linesOf(report: RebuildReport, dryRun: boolean): Generator<string> {
  const { sessions, revision, damaged, renamed, surplus, missingValues, rebuilt } = report;
  const made = dryRun ? "would rebuild a store of" : "rebuilt a store of";
  const outcome = rebuilt ? made : "left alone, for .store is there:";
  const text = plural(sessions, "session", "sessions", formatCount(sessions));
  yield `${outcome} ${text}, up to revision ${formatCount(revision)}`;
  for (const { key, from, to } of renamed)
    yield `renamed    ${visible(from)} -> ${visible(to)}, session ${visible(key)}`;
  for (const { path, reason } of damaged) yield `damaged    ${visible(path)}: ${visible(reason)}`;
  for (const { key, path } of surplus)
    yield `surplus    ${visible(path)}: another folder has session ${visible(key)}`;
  for (const { key, field, hashes } of missingValues)
    yield `incomplete ${visible(key)}: field ${visible(field)} lacks ${formatCount(hashes.length)} shared values`;
}
