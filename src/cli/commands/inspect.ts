/** `sessiondir inspect`: what lies at a path and what `migrate` would do with it. Reads everything, changes nothing. */
import type { Command } from "commander";
import type { InspectionReport, LegacyWarning } from "../../legacy/base/types.js";
import { asUsage, EXIT } from "../failure.js";
import { formatBytes, formatCount } from "../figures.js";
import { addExamples, addStoreOptions, type Invocation } from "../invocation.js";
import {
  addKeyOption,
  addStorePathOption,
  isOneStore,
  legacyTarget,
  libraryOptions,
  requireStateDirectory,
  withKeyOption,
  type LegacyCommandOptions,
} from "../legacy-options.js";
import { exitCodeOfReport, printReport, reportTrouble, worseOf } from "../report-text.js";
import { visible } from "../visible-text.js";

export function addInspect(program: Command, invocation: Invocation): void {
  const command = program
    .command("inspect")
    .description("say what sessions.json or a store holds, and what migrate would do; change nothing");
  addStorePathOption(addKeyOption(addStoreOptions(command))).action((options: LegacyCommandOptions) =>
    inspect(invocation, options),
  );
  addExamples(
    command,
    "inspect --store ~/.openclaw/agents/main/sessions/sessions.json",
    "inspect --state-dir ~/.openclaw --json | jq '.stores[] | select(.entries.refused > 0).path'",
  );
}

async function inspect(invocation: Invocation, options: LegacyCommandOptions): Promise<void> {
  const { stateDirectory, targets, warnings } = await targetsOf(invocation, options);
  const { inspectLegacyStore } = await import("../../legacy/inspect.js");
  const { terminal } = invocation;
  const stores: InspectionReport[] = [];
  for (const target of targets) {
    const library = libraryOptions(invocation, options);
    const seen = await asUsage(() => inspectLegacyStore(target, library.options)).finally(library.end);
    const found = withKeyOption(seen, options);
    stores.push(found);
    if (!terminal.json) {
      await printReport(invocation, found, headline(found), detailsOf(found));
      reportTrouble(invocation, found);
    }
    invocation.exitCode = worseOf(invocation.exitCode, exitCodeOfReport(found));
  }
  if (terminal.json)
    await terminal.result({ ...(stateDirectory !== undefined && { stateDirectory }), stores, warnings });
  else {
    for (const { code, message, data } of warnings) terminal.warn(code, message, data);
    if (stores.length === 0) terminal.say(`no agent has sessions below ${stateDirectory ?? ""}`);
  }
  if (warnings.some(({ code }) => code !== "older_place"))
    invocation.exitCode = worseOf(invocation.exitCode, EXIT.needsPerson);
}

interface Targets {
  readonly stateDirectory?: string;
  readonly targets: readonly string[];
  readonly warnings: readonly LegacyWarning[];
}

async function targetsOf(invocation: Invocation, options: LegacyCommandOptions): Promise<Targets> {
  if (isOneStore(options))
    return { targets: [await legacyTarget(invocation, options, "inspect")], warnings: [] };
  const stateDirectory = requireStateDirectory(options);
  const { findStores } = await import("../../legacy/state-directory.js");
  const { systemHost } = await import("../../legacy/base/host.js");
  const found = await asUsage(() => findStores(systemHost, stateDirectory, options.storePath ?? []));
  return { stateDirectory, ...found };
}

function headline({ authority, path, directory, layouts, outcome }: InspectionReport): string {
  const [file, store] = [visible(path), visible(directory)];
  switch (authority) {
    case "none":
      return `there is neither a file ${file} nor a store ${store}: check --store`;
    case "directory":
      return `${store}: a store, and it is authoritative; migrate: ${outcome}`;
    case "file":
      return `${file}: ${layouts.join(", ") || "nothing known"}, and it is authoritative; migrate: ${outcome}`;
  }
}

function detailsOf({
  bytes,
  sha256,
  sessions,
  damaged = 0,
  backups,
  leftovers,
}: InspectionReport): [string, string][] {
  const details: [string, string][] = [];
  const unreadable = damaged === 0 ? "" : `, and ${formatCount(damaged)} that cannot be read`;
  if (sessions !== undefined) details.push(["sessions", `${formatCount(sessions)}${unreadable}`]);
  if (bytes > 0) details.push(["bytes", formatBytes(bytes)]);
  if (sha256 !== undefined) details.push(["sha256", sha256]);
  for (const backup of backups) details.push(["backup", backup]);
  for (const leftover of leftovers)
    details.push(["leftover", `${leftover}, of a run that was ended; migrate removes it`]);
  return details;
}
