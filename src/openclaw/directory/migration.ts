/**
 * Between `sessions.json` and the directory store, by OpenClaw's function names: thin, over `sessiondir/legacy`.
 *
 * What these add is this layer's way to read keys (trimmed, lower-cased, case variants merged by the newest `updatedAt`) and
 * the results that a gateway's code expects. Everything about crashes and concurrent runs is in `src/legacy/migration/migrate.ts`: a
 * run that is killed leaves the one or the other side valid, and the next run finishes.
 */
import { entriesOf, plural } from "../../plural.js";
import { SessionStoreError } from "../../errors.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { inspectOn } from "../../legacy/inspect.js";
import { migrateOn } from "../../legacy/migrate.js";
import { rollbackOn } from "../../legacy/back/rollback.js";
import type {
  InspectionReport,
  LegacyOptions,
  MigrationOptions,
  MigrationReport,
  RollbackReport,
} from "../../legacy/base/types.js";
import { sessionStoreSettings } from "../base/settings.js";
import type { Trust } from "../../fs/trusted-path.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { resolveStoreTarget } from "../base/store-target.js";

/** Options of `sessiondir/legacy`, apart from the one that this layer decides. */
export type SessionStoreMigrationOptions = Omit<MigrationOptions, "normalizeKey">;

export interface SessionStoreMigrationResult {
  /** The path as it was given. */
  readonly storePath: string;
  /** A legacy file that was merged into an existing store counts as `migrated`. */
  readonly outcome:
    "migrated" | "already_directory" | "skipped_empty" | "skipped_invalid" | "missing" | "failed";
  /** Entries of the legacy file. */
  readonly legacyEntries: number;
  /** Those of them that are now in the store as they were in the file; case variants count once. */
  readonly migratedEntries: number;
  /** Where the legacy file is now. */
  readonly backupPath?: string;
  /** Sentences for people: what was refused, why it failed, and the command that comes next. */
  readonly warnings: readonly string[];
  /** Everything that happened. */
  readonly report: MigrationReport;
}

export interface SessionStoreMigrationInspection {
  readonly storePath: string;
  readonly status:
    "already_directory" | "ready_to_migrate" | "empty_legacy" | "invalid_legacy" | "missing" | "failed";
  readonly legacyExists: boolean;
  readonly directoryActive: boolean;
  readonly legacyEntryCount: number;
  /** After case variants were merged and what is no session was refused. */
  readonly normalizedEntryCount: number;
  /** One line for each thing that a migration would do. */
  readonly preview: readonly string[];
  readonly warnings: readonly string[];
  readonly inspection: InspectionReport;
}

/**
 * Brings `sessions.json` into the directory store beside it. May be run at any time, as often as you like, by several
 * processes at once, and while gateways of this library run; see docs/adopting.md about old ones.
 * @param storePath `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal. Failures are in the result.
 * @example
 * const { outcome, migratedEntries, warnings } = await migrateSessionStoreToDirectory(storePath);
 */
export function migrateSessionStoreToDirectory(
  storePath: string,
  options: SessionStoreMigrationOptions = {},
): Promise<SessionStoreMigrationResult> {
  return migrateToDirectoryOn(systemHost, storePath, options);
}

/** The same on a host of the caller's. */
export async function migrateToDirectoryOn(
  host: LegacyHost,
  storePath: string,
  options: SessionStoreMigrationOptions = {},
): Promise<SessionStoreMigrationResult> {
  const { file } = resolveStoreTarget(host.fs, storePath);
  const report = await migrateTogether(host, file, { ...options, normalizeKey: normalizeStoreSessionKey });
  return resultOf(storePath, report);
}

/** What the process said of all its stores holds for a migration too. */
function withTrust<O extends { readonly trust?: Trust | undefined }>(options: O): O {
  return { ...options, trust: options.trust ?? sessionStoreSettings().trust };
}

/** How often a run may find that another one has just finished. */
const ROUNDS_MAX = 3;

/**
 * One migration among several of the same store. The one that finishes first takes away what the others are building; for
 * them that is a failure like any other, but the store is there, and the next look finds it.
 */
export async function migrateTogether(
  host: LegacyHost,
  file: string,
  options: MigrationOptions = {},
): Promise<MigrationReport> {
  for (let round = 1; ; round++) {
    const report = await migrateOn(host, file, withTrust(options));
    const overtaken = report.outcome === "failed" && resolveStoreTarget(host.fs, file).identity !== undefined;
    if (!overtaken || round === ROUNDS_MAX) return { ...report, ...nextOf(report) };
  }
}

/** On the command line, keys are lower-cased only where it says so. */
function nextOf<R extends { readonly next?: string }>({ next }: R): { readonly next?: string } {
  if (next === undefined) return {};
  return {
    next: /^sessiondir (?:inspect|migrate|mirror|rollback) /.test(next) ? `${next} --lowercase-keys` : next,
  };
}

/**
 * What {@link migrateSessionStoreToDirectory} would do, everything read and checked, nothing changed.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 */
export async function inspectSessionStoreMigration(
  storePath: string,
  options: Omit<LegacyOptions, "normalizeKey"> = {},
): Promise<SessionStoreMigrationInspection> {
  const { file } = resolveStoreTarget(systemHost.fs, storePath);
  const inspection = await inspectOn(
    systemHost,
    file,
    withTrust({
      ...options,
      normalizeKey: normalizeStoreSessionKey,
    }),
  );
  const found = { ...inspection, ...nextOf(inspection) };
  const { outcome, authority, entries, layouts } = found;
  const legacyExists = outcome !== "missing" && outcome !== "already_directory";
  const normalizedEntryCount = legacyExists ? entries.kept + entries.unchanged : 0;
  return {
    storePath,
    status: STATUS_OF[outcome],
    legacyExists,
    directoryActive: authority === "directory",
    legacyEntryCount: entries.read,
    normalizedEntryCount,
    preview: previewOf(found, layouts.join(", "), normalizedEntryCount),
    warnings: sentencesOf(found),
    inspection: found,
  };
}

/**
 * Writes today's sessions to `sessions.json` and sets the directory store aside, as `NAME.d.saved-<time>`. Stop the gateways
 * first.
 * @param options.onReport Hears everything that happened.
 * @returns True if the legacy file is authoritative now and did not before; false if it did already, or if there is nothing. With
 *   `dryRun`: what would be.
 * @throws `SessionStoreError` when it failed: then the directory store is authoritative, as before. `TypeError` for a wrong argument.
 */
export async function migrateSessionStoreToLegacy(
  storePath: string,
  options: SessionStoreMigrationOptions & {
    readonly onReport?: ((report: RollbackReport) => void) | undefined;
  } = {},
): Promise<boolean> {
  const { onReport, ...given } = options;
  const { file } = resolveStoreTarget(systemHost.fs, storePath);
  const report = await rollbackOn(
    systemHost,
    file,
    withTrust({ ...given, normalizeKey: normalizeStoreSessionKey }),
  );
  onReport?.(report);
  const { outcome, error } = report;
  if (error !== undefined) throw new SessionStoreError(error.code, error.message, { data: error.data });
  return outcome === "rolled_back";
}

const STATUS_OF = {
  migrated: "ready_to_migrate",
  merged: "ready_to_migrate",
  already_directory: "already_directory",
  skipped_empty: "empty_legacy",
  skipped_invalid: "invalid_legacy",
  missing: "missing",
  failed: "failed",
} as const satisfies Record<MigrationReport["outcome"], SessionStoreMigrationInspection["status"]>;

export function resultOf(storePath: string, report: MigrationReport): SessionStoreMigrationResult {
  const { outcome, entries, backups } = report;
  const [backupPath] = backups;
  return {
    storePath,
    outcome: outcome === "merged" ? "migrated" : outcome,
    legacyEntries: entries.read,
    migratedEntries: entries.kept,
    ...(backupPath === undefined ? undefined : { backupPath }),
    warnings: sentencesOf(report),
    report,
  };
}

function sentencesOf({
  warnings,
  error,
  next,
}: Pick<MigrationReport, "warnings" | "error" | "next">): string[] {
  const sentences = error === undefined ? [] : [error.message];
  if (error !== undefined && next !== undefined) sentences.push(`Next: ${next}`);
  return [...sentences, ...warnings.map(({ message }) => message)];
}

function previewOf(
  { outcome, path, directory, entries, error }: InspectionReport,
  layouts: string,
  count: number,
): string[] {
  switch (outcome) {
    case "migrated":
      return [`${plural(count, "session")} of ${path} (${layouts}) would go into a new store ${directory}.`];
    case "merged":
      return [`${entriesOf(entries.read)} beside ${directory} would be merged into it.`];
    case "already_directory":
      return [`${directory} is active, and there is nothing beside it.`];
    case "skipped_empty":
      return [`${path} has no sessions; nothing would change.`];
    case "missing":
      return [`There is neither ${path} nor ${directory}.`];
    case "skipped_invalid":
    case "failed":
      return [`Nothing would change: ${error?.message ?? `none of the entries of ${path} is a session.`}`];
  }
}
