/** Looks at a legacy store and says what a migration would do. Reads everything, changes nothing. */
import { errnoOf } from "../errors.js";
import { namesIn, systemHost, type LegacyHost } from "./host.js";
import { lookAround, Migration } from "./migration/migrate.js";
import type { LegacyInspection, LegacyOptions } from "./types.js";
import { LegacyWork } from "./work.js";

/**
 * What lies at a path: layouts, entries, refusals, backups, leftovers, and what `migrateLegacyStore` would do with it.
 * @param target `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal. Damage is in the result.
 * @example
 * const { outcome, entries, refusals, next } = await inspectLegacyStore("sessions.json");
 */
export function inspectLegacyStore(target: string, options: LegacyOptions = {}): Promise<LegacyInspection> {
  return inspectOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export async function inspectOn(
  host: LegacyHost,
  target: string,
  options: LegacyOptions = {},
): Promise<LegacyInspection> {
  const work = new LegacyWork(host, target, { ...options, dryRun: true });
  const { paths } = work;
  const migration = new Migration(work);
  const receipt = await migration.run();
  const names = await namesIn(host.fs, paths.folder);
  const situation = await lookAround(work).catch(() => undefined);
  const authority = situation?.store ? "directory" : receipt.outcome === "missing" ? "none" : "file";
  const { path, directory, outcome, layouts, entries, refusals, warnings, error, next } = receipt;
  const { sha256 } = migration.source;
  const sessions = authority === "directory" ? await countSessions(work) : undefined;
  return {
    path,
    directory,
    authority,
    layouts,
    outcome,
    entries,
    refusals,
    bytes: receipt.bytesBefore,
    ...(sha256 === undefined ? undefined : { sha256 }),
    ...(sessions === undefined ? undefined : { sessions }),
    backups: names.filter((name) => paths.isBackup(name)),
    leftovers: names.filter(
      (name) => paths.isUnfinishedDirectory(name) || paths.isUnfinishedFile(name) || paths.isMerging(name),
    ),
    warnings,
    ...(error === undefined ? undefined : { error }),
    ...(next === undefined ? undefined : { next }),
  };
}

async function countSessions(work: LegacyWork): Promise<number | undefined> {
  try {
    return await work.peek(work.paths.directory, (store) => store.count());
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined; // what is wrong with it is in the result's error
    throw error;
  }
}
