/**
 * Every store of a state directory into its directory store, once, when a gateway starts.
 *
 * Stores are found and told apart by `src/legacy/state-directory.ts`: templates with `{agentId}` stand for every agent, many
 * names of one store are one store, and a bad store never stops the others. Several gateways may start at the same time:
 * whoever comes second finds the store there. A start that is killed leaves each store as it was or migrated.
 */
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { migrateEachStore } from "../../legacy/state-directory.js";
import type { LegacyProgress, MigrationReport } from "../../legacy/base/types.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { migrateTogether, resultOf, type SessionStoreMigrationResult } from "./migration.js";

/** What a gateway logs through; its other methods are not used. */
export interface SessionStoreMigrationLogger {
  info(message: string, meta?: Record<string, unknown>): void;
  warn(message: string, meta?: Record<string, unknown>): void;
}

export interface StartupSessionStoreMigrationParams {
  /** The state directory, with `agents/<agent>/sessions/sessions.json` below it; a leading `~` is the home directory. */
  readonly stateDir: string;
  /** The configured store path (`session.store`), `{agentId}` and a leading `~` included. Default: none. */
  readonly configuredStorePath?: string | undefined;
  /** Hears the summary, in one line: `warn` if something was skipped as invalid or failed, otherwise `info`. */
  readonly log: SessionStoreMigrationLogger;
  /** Find out what would happen, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  readonly onProgress?: ((progress: LegacyProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Migrates all stores and logs one line, such as `session-store migration summary: inspected=3 migrated=2
 * already_directory=0 skipped_empty=0 skipped_invalid=1 missing=0 failed=0; issues: …`. Nothing is logged where there is no
 * store. Await it before the gateway takes its first message.
 * @returns One result for each store, in the order of their paths.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal. What happened to a store is in its result.
 * @example
 * const log = { info: console.log, warn: console.warn };
 * await runStartupSessionStoreMigration({ stateDir: "/home/gateway/.openclaw", configuredStorePath: config.session?.store, log });
 */
export function runStartupSessionStoreMigration(
  params: StartupSessionStoreMigrationParams,
): Promise<SessionStoreMigrationResult[]> {
  return runStartupMigrationOn(systemHost, params);
}

/** The same on a host of the caller's, for tests. */
export async function runStartupMigrationOn(
  host: LegacyHost,
  { stateDir, configuredStorePath, log, dryRun, onProgress, signal }: StartupSessionStoreMigrationParams,
): Promise<SessionStoreMigrationResult[]> {
  const configured = configuredStorePath?.trim() ?? "";
  const options = {
    stateDirectory: stateDir,
    storePaths: configured === "" ? [] : [configured],
    normalizeKey: normalizeStoreSessionKey,
    dryRun,
    onProgress,
    signal,
  };
  const { reports, warnings, summary } = await migrateEachStore(host, options, migrateTogether);
  if (reports.length === 0 && warnings.length === 0) return [];
  const issues = warnings.map(({ message }) => message).join("; ");
  const line = issues === "" ? summary : `${summary}; issues: ${issues}`;
  if (reports.some(isTrouble)) log.warn(line);
  else log.info(line);
  return reports.map((report) => resultOf(report.path, report));
}

function isTrouble({ outcome }: MigrationReport): boolean {
  return outcome === "failed" || outcome === "skipped_invalid";
}
