/** Options of the commands about `sessions.json`, and how they become those of the library. */
import { normalizeStoreSessionKey } from "../openclaw/base/session-key.js";
import { entriesOf } from "../plural.js";
import { join } from "node:path";
import type { Command } from "commander";
import type { ChangingOptions, LegacyProgress } from "../legacy/base/types.js";
import { CliError, usageError } from "./failure.js";
import type { Invocation, StoreOptions } from "./invocation.js";
import { exists } from "./presence.js";
import { Progress } from "./progress.js";
import { requireDirectory } from "./server-target.js";
import { environmentNamesStore, resolveStateDirectory, resolveStore } from "./store-target.js";

export interface LegacyCommandOptions extends StoreOptions {
  /** Only of the commands that have {@link addStorePathOption}. */
  readonly storePath?: readonly string[];
  readonly lowercaseKeys?: boolean;
  readonly dryRun?: boolean;
  /** Only of the commands that have {@link addForceOption}. */
  readonly force?: boolean;
}

/** Keys are people's sessions: by default none is changed, and so none can become another's. */
export function addKeyOption(command: Command): Command {
  return command.option(
    "--lowercase-keys",
    "lower-case keys as OpenClaw looks them up: trimmed, and ids of Matrix rooms and Signal groups as they are",
  );
}

/** For commands that take a `sessions.json` into a store. */
export function addForceOption(command: Command): Command {
  return command.option("--force", "take a sessions.json that does not look like sessions");
}

/** For commands that may work on a whole state directory. */
export function addStorePathOption(command: Command): Command {
  return command.option(
    "--store-path <template>",
    "with --state-dir: also this path of the gateway's configuration; {agentId} stands for every agent; may be repeated",
    (path: string, all: readonly string[] | undefined) => [...(all ?? []), path],
  );
}

/** One store was named, or one agent; otherwise the whole state directory is meant. */
export function isOneStore(options: LegacyCommandOptions): boolean {
  const { store, agent, storePath = [] } = options;
  const one =
    store !== undefined || agent !== undefined || (storePath.length === 0 && environmentNamesStore(options));
  if (one && storePath.length > 0)
    throw usageError("--store-path belongs to a whole state directory, not to one store");
  return one;
}

/**
 * The `NAME.d` of the one store, whether it is there or not. A store that only happens to be in the current folder is
 * not meant: these commands set whole stores aside.
 */
export async function legacyTarget(
  invocation: Invocation,
  options: StoreOptions,
  command: string,
): Promise<string> {
  const path = requireDirectory(
    await resolveStore(invocation, options, { here: false }),
    command,
    "between the two goes sessiondir copy",
  );
  if (path.endsWith(".d")) return path;
  const inside = [join(path, "sessions.json"), join(path, "sessions.d")].find(exists);
  const advice = inside === undefined ? "" : `. Did you mean ${inside}?`;
  throw usageError(`--store must end in .json or .d here: ${path}${advice}`);
}

/** The state directory, which must exist. */
export function requireStateDirectory({ stateDir }: StoreOptions): string {
  const path = resolveStateDirectory(stateDir);
  if (exists(path)) return path;
  throw new CliError(
    "store_not_found",
    `there is no state directory ${path}. Say where the sessions are: --store PATH or --state-dir PATH.`,
    { data: { path } },
  );
}

const DOING: Readonly<Record<LegacyProgress["phase"], string>> = {
  reading: "reading",
  verifying: "reading back",
  syncing: "making durable",
  merging: "merging",
  writing: "writing",
  backing_up: "backing up",
};

/** What is counted in phases that do not count bytes. */
const UNITS: Readonly<Partial<Record<LegacyProgress["phase"], "files" | "sessions">>> = {
  syncing: "files",
  writing: "sessions",
};

/** Most stores are done sooner; nobody needs to read how. */
const QUIET_MS = 1000;

/** A report whose next command says as well how keys are to be taken. */
export function withKeyOption<R extends { readonly next?: string }>(
  report: R,
  options: LegacyCommandOptions,
): R {
  const { next } = report;
  if (
    options.lowercaseKeys !== true ||
    next === undefined ||
    !/^sessiondir (inspect|migrate|mirror|rollback) /.test(next)
  ) {
    return report;
  }
  return { ...report, next: `${next} --lowercase-keys` };
}

/** The library's options; `end` takes the bar away. */
export function libraryOptions(
  invocation: Invocation,
  { lowercaseKeys = false, dryRun = false, force = false, trust }: LegacyCommandOptions,
): { options: ChangingOptions; end: () => void } {
  const progress = new Progress(invocation, QUIET_MS);
  const onProgress = ({ phase, path, done, total, entries }: LegacyProgress): void =>
    progress.show({
      doing: `${DOING[phase]} ${path}`,
      done,
      total,
      unit: UNITS[phase] ?? "bytes",
      note: UNITS[phase] === undefined && entries > 0 ? entriesOf(entries) : undefined,
    });
  const key = lowercaseKeys && { normalizeKey: normalizeStoreSessionKey };
  const options = { signal: invocation.signal, onProgress, dryRun, force, trust, ...key };
  return { options, end: () => progress.end() };
}
