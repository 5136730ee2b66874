/**
 * Archives have an end too: files whose month ended too long ago are removed, and more of them, the oldest first, while the archive is
 * larger than it may be. Whole files go, nothing else; never the latest one, and no more than `maxShare` of them at once. What is removed
 * is gone. A file's month is in its name: the time of the file itself decides nothing.
 */
import { SessionStoreError } from "../../errors.js";
import { wasThere } from "../../fs/missing.js";
import { syncDirectoryOnTheWay } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import type { AnyStore } from "../moving/options.js";
import { warningsOf, type ArchiveOptions } from "./apply.js";
import { endOfMonth, filesOf } from "./archive-folder.js";
import { SYSTEM, told, type RetentionHost } from "./host.js";
import { policyOf, shareOf } from "./plan.js";
import type { Policy } from "./policy.js";
import type { RetentionPolicy } from "./policy-types.js";
import { recorded } from "./record.js";
import { archiveOf } from "./restore.js";

export interface PruneArchiveOptions extends ArchiveOptions {
  /** Nothing is removed. Default false, but in the mode `warn`. */
  readonly dryRun?: boolean | undefined;
  /** So many files may go, whatever share of the archive that is. Default: the policy's `maxShare` decides. */
  readonly yesRemove?: number | undefined;
  /** The file that a run has just made, which stays: after a clock that was ahead it may not be the latest by its name. */
  readonly made?: string | undefined;
}

/** A file of an archive, and what became of it. */
export interface ArchivedFile {
  readonly file: string;
  readonly bytes: number;
  readonly action: "keep" | "remove";
  /** Removed because of one of the limits; kept because it is the latest or was just made, or because no limit takes it. */
  readonly reason: "olderThan" | "maxBytes" | "latest" | "within";
}

export interface PruneArchiveReport {
  readonly archive: string;
  readonly dryRun: boolean;
  readonly files: readonly ArchivedFile[];
  readonly removed: number;
  readonly freedBytes: number;
  readonly keptBytes: number;
  /** More than `archive.maxBytes` although everything is removed that may be. */
  readonly overBudget: boolean;
}

/**
 * Removes files of an archive as the policy's `archive` says; without limits there it removes none.
 * @throws `retention_stopped` where more than a share of the files would go, and none is gone; `archive_not_found`, `archive_place`.
 * @example
 * await pruneArchive(store, { version: 1, mode: "enforce", archive: { olderThan: "365d" } });
 */
export function pruneArchive(
  store: AnyStore,
  policy: RetentionPolicy | Policy,
  options?: PruneArchiveOptions,
): Promise<PruneArchiveReport> {
  return pruneArchiveOn(SYSTEM, store, policy, options);
}

/** The same on a machine of the caller's, for tests. */
export async function pruneArchiveOn(
  host: RetentionHost,
  store: AnyStore,
  given: RetentionPolicy | Policy,
  options: PruneArchiveOptions = {},
): Promise<PruneArchiveReport> {
  const { yesRemove } = options;
  if (yesRemove !== undefined && !(Number.isSafeInteger(yesRemove) && yesRemove >= 0))
    throw new TypeError(`yesRemove must be a whole number, not ${yesRemove}`);
  return told("remove files of an archive", () => pruneFiles(host, store, policyOf(given), options));
}

async function pruneFiles(
  host: RetentionHost,
  store: AnyStore,
  policy: Policy,
  options: PruneArchiveOptions,
): Promise<PruneArchiveReport> {
  const { fs, runtime } = host;
  const dryRun = options.dryRun === true || policy.mode !== "enforce";
  const folder = await archiveOf(host, store, {
    ...options,
    archive: options.archive ?? policy.archive.folder,
  });
  const files = await decide(host, folder, policy, runtime.now(), options.made);
  const going = files.filter(({ action }) => action === "remove");
  const sum = (of: readonly ArchivedFile[]): number => of.reduce((all, { bytes }) => all + bytes, 0);
  const freedBytes = sum(going);
  const keptBytes = sum(files) - freedBytes;
  const report: PruneArchiveReport = {
    archive: folder.path,
    dryRun,
    files,
    removed: going.length,
    freedBytes,
    keptBytes,
    overBudget: keptBytes > (policy.archive.maxBytes ?? Number.POSITIVE_INFINITY),
  };
  if (dryRun || going.length === 0) return report;
  const allowed = options.yesRemove ?? shareOf(policy.maxShare, files.length);
  const figures = { files: files.length, planned: going.length, freedBytes };
  return recorded(host, store, "archives", warningsOf(options), figures, async () => {
    if (going.length > allowed) throw tooMany(folder.path, going.length, files.length, allowed);
    for (const { file } of going) await wasThere(fs.later.unlink(file));
    await syncDirectoryOnTheWay(fs, folder.path);
    return report;
  });
}

async function decide(
  { fs }: RetentionHost,
  folder: Parameters<typeof filesOf>[1],
  { archive: { olderThanMs, maxBytes } }: Policy,
  now: number,
  made: string | undefined,
): Promise<ArchivedFile[]> {
  const all: { readonly file: string; readonly bytes: number; readonly endedAt: number }[] = [];
  for (const { name, month } of filesOf(fs, folder)) {
    const file = `${folder.path}/${name}`;
    const status = await statusOf(fs, file);
    if (status?.kind === "file") all.push({ file, bytes: status.size, endedAt: endOfMonth(month) });
  }
  let left = all.reduce((sum, { bytes }) => sum + bytes, 0);
  return all.map(({ file, bytes, endedAt }, index) => {
    const isLatest = index === all.length - 1 || file === made;
    const isOld = olderThanMs !== undefined && endedAt <= now - olderThanMs;
    const reason = isLatest
      ? "latest"
      : isOld
        ? "olderThan"
        : left > (maxBytes ?? left)
          ? "maxBytes"
          : "within";
    const action = reason === "olderThan" || reason === "maxBytes" ? "remove" : "keep";
    if (action === "remove") left -= bytes;
    return { file, bytes, action, reason };
  });
}

function tooMany(path: string, removing: number, files: number, allowed: number): SessionStoreError {
  return new SessionStoreError(
    "retention_stopped",
    `${removing} of ${files} files of the archive ${path} would go, and ${allowed} may at once. Nothing was removed: what goes from an ` +
      `archive is gone. Look at them (--dry-run), and if it is right give the policy a larger maxShare for one run (a program: yesRemove).`,
    { data: { reason: "archive", path, removing, files, allowed } },
  );
}
