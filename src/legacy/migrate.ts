/**
 * Migrations as callers know them, of one store or of every one in a state directory: a run over each, and what other
 * programs will see of it afterwards. The steps are in migration/.
 */
import { startMirrorOn } from "./back/mirror.js";
import { systemHost, type LegacyHost } from "./base/host.js";
import { Migration } from "./migration/migrate.js";
import { withWriteWarning } from "./run/run.js";
import {
  migrateEachStore,
  type StateDirectoryOptions,
  type StateDirectoryReport,
} from "./state-directory.js";
import type { LegacyWarning, MigrationOptions, MigrationReport } from "./base/types.js";
import { LegacyWork } from "./run/work.js";

/**
 * Brings `NAME.json`, or an older layout of many files, into the store `NAME.d` beside it.
 *
 * Run it again as often as you like: a store that is there stays, and a legacy file that somebody wrote since is merged
 * into it. Failures are in the report.
 * @param target `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 * @example
 * const report = await migrateLegacyStore("/home/gateway/.openclaw/agents/main/sessions/sessions.json");
 * if (report.outcome === "failed") console.error(report.error?.message, report.next);
 */
export function migrateLegacyStore(target: string, options: MigrationOptions = {}): Promise<MigrationReport> {
  return migrateOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export async function migrateOn(
  host: LegacyHost,
  target: string,
  { mirror = false, ...options }: MigrationOptions = {},
): Promise<MigrationReport> {
  const work = new LegacyWork(host, target, options);
  const report = await new Migration(work).run();
  const { outcome, warnings } = report;
  if (outcome === "already_directory") return mirror ? withMirror(work, report) : report;
  if (outcome !== "migrated" && outcome !== "merged") return report;
  if (mirror) return withWriteWarning(work, await withMirror(work, report));
  if (outcome === "merged") return withWriteWarning(work, report);
  return withWriteWarning(work, { ...report, warnings: [...warnings, fileMoved(work)] });
}

/**
 * Migrates every store of a state directory.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 * @example
 * const { summary, warnings } = await migrateStateDirectory({ dryRun: true });
 */
export function migrateStateDirectory(options: StateDirectoryOptions = {}): Promise<StateDirectoryReport> {
  return migrateEachStore(systemHost, options, migrateOn);
}

/** Whoever does not know the store sees no sessions from now on, and some programs act on that. */
function fileMoved({ paths, command }: LegacyWork): LegacyWarning {
  const message =
    `Programs that do not know the store see no sessions at ${paths.file} once it is migrated. An unmodified OpenClaw is one ` +
    `of them, and its doctor --fix takes every transcript for an orphan and archives it. For those, keep the file in step: ` +
    `${command("mirror")}. Roll back before an upgrade to a version that keeps sessions in SQLite: ${command("rollback")}`;
  return { code: "file_moved", message, data: { path: paths.file } };
}

/** The migration is done, whatever becomes of the copy. */
async function withMirror(work: LegacyWork, report: MigrationReport): Promise<MigrationReport> {
  const { host, paths, options } = work;
  const warnings = [...report.warnings];
  const done = { ...report, warnings, next: work.command("mirror") };
  if (work.dryRun) return { ...done, mirror: paths.file, next: work.command("migrate") };
  try {
    const mirror = await startMirrorOn(host, paths.file, {
      ...options,
      onWarning: (warning) => {
        if (warning.code !== "mirror_failed") warnings.push(warning); // nobody will try again: it is told below
      },
    });
    try {
      await mirror.flush();
    } finally {
      await mirror.stop();
    }
    return { ...done, mirror: paths.file };
  } catch (error) {
    const { code, message, data } = work.failure(
      error,
      `write ${paths.file}`,
      `${paths.directory} is authoritative, and has all sessions.`,
    );
    warnings.push({ code: "mirror_failed", message, data: { ...data, code } });
    return done;
  }
}
