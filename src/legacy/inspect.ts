/** Looks at a legacy store and says what a migration would do. Reads everything, changes nothing. */
import { errnoOf } from "../errors.js";
import { namesIn } from "../fs/status.js";
import type { DirectorySessionStore } from "../store/types.js";
import { describeDamage, findOlderCopies, keysOf, readSessions } from "./run/damage.js";
import { DamageReports } from "./base/damage-reports.js";
import { systemHost, type LegacyHost } from "./base/host.js";
import { Migration } from "./migration/migrate.js";
import { lookAround } from "./migration/situation.js";
import { EntryComparison } from "./reading/equality.js";
import type { InspectionReport, LegacyOptions } from "./base/types.js";
import { LegacyWork } from "./run/work.js";

/**
 * What lies at a path: layouts, entries, refusals, backups, leftovers, and what `migrateLegacyStore` would do with it.
 * @param target `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal. Damage is in the result.
 * @example
 * const { outcome, entries, refusals, next } = await inspectLegacyStore("sessions.json");
 */
export function inspectLegacyStore(target: string, options: LegacyOptions = {}): Promise<InspectionReport> {
  return inspectOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export async function inspectOn(
  host: LegacyHost,
  target: string,
  options: LegacyOptions = {},
): Promise<InspectionReport> {
  const work = new LegacyWork(host, target, { ...options, dryRun: true });
  const { paths } = work;
  const migration = new Migration(work);
  const report = await migration.run();
  const names = await namesIn(host.fs, paths.folder).catch(() => []); // why not is in the result's error
  const situation = await lookAround(work).catch(() => undefined);
  const authority = situation?.store ? "directory" : report.outcome === "missing" ? "none" : "file";
  const { path, directory, outcome, layouts, entries, refusals, warnings, error, next } = report;
  const { sha256 } = migration.journal;
  const counted = authority === "directory" ? await countSessions(work) : undefined;
  return {
    path,
    directory,
    authority,
    layouts,
    outcome,
    entries,
    refusals: counted === undefined ? refusals : [...refusals, ...counted.refusals],
    bytes: report.bytesBefore,
    ...(sha256 === undefined ? undefined : { sha256 }),
    ...(counted === undefined ? undefined : { sessions: counted.sessions, damaged: counted.damaged }),
    backups: names.filter((name) => paths.isBackup(name)),
    leftovers: names.filter(
      (name) => paths.isUnfinishedDirectory(name) || paths.isUnfinishedFile(name) || paths.isMerging(name),
    ),
    warnings: counted === undefined ? warnings : [...warnings, ...counted.warnings],
    ...(error === undefined ? undefined : { error }),
    ...(next === undefined ? undefined : { next }),
  };
}

interface Counted extends Pick<InspectionReport, "refusals" | "warnings"> {
  readonly sessions: number;
  readonly damaged: number;
}

/** Reads every session: one that is only counted may be damaged. */
async function countSessions(work: LegacyWork): Promise<Counted | undefined> {
  const damage = new DamageReports();
  try {
    const look = async (store: DirectorySessionStore<object>): Promise<Counted> => {
      const { sessions, damaged } = await readSessions(work, store, damage, new EntryComparison());
      const copies = await findOlderCopies(work, keysOf(damaged));
      return {
        sessions: sessions.length,
        damaged: damaged.length,
        ...describeDamage(work, damaged, copies),
      };
    };
    return await work.peek(work.paths.directory, look, { onWarning: damage.onWarning });
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined; // what is wrong with it is in the result's error
    throw error;
  }
}
