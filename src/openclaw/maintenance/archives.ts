/**
 * Archived transcripts have an end too: those older than the limit are removed, and more of them, the oldest first, while the
 * sessions folder is larger than it may be. Nothing but archives is ever removed: no session, and no transcript that has
 * its name. What is removed is gone; a crash leaves the rest for the next time.
 */
import { join } from "node:path";
import { errnoOf } from "../../errors.js";
import { namesIn, type LegacyHost } from "../../legacy/host.js";
import type { ResolvedSessionMaintenanceConfig } from "./config.js";
import { archivedAt } from "./transcripts.js";

/** Sizes are of all regular files directly in the sessions folder; the store's own folder is not among them. */
export interface DiskBudgetReport {
  readonly totalBytesBefore: number;
  readonly totalBytesAfter: number;
  readonly removedFiles: number;
  /** Always 0: no session is removed for its size. */
  readonly removedEntries: 0;
  readonly freedBytes: number;
  readonly maxBytes: number;
  readonly highWaterBytes: number;
  /** Still larger than `maxBytes`: transcripts that are in use take the space, and a person has to decide. */
  readonly overBudget: boolean;
}

interface FolderFile {
  readonly path: string;
  readonly bytes: number;
  readonly archivedAt: number | undefined;
}

/**
 * @param options.change False: only look.
 * @returns The report on the size, or null where no size is set; and how many archives were too old.
 */
export async function sweepArchives(
  host: LegacyHost,
  folder: string,
  config: ResolvedSessionMaintenanceConfig,
  options: { readonly change: boolean },
): Promise<{ readonly expired: number; readonly diskBudget: DiskBudgetReport | null }> {
  const { resetArchiveRetentionMs, maxDiskBytes } = config;
  if (resetArchiveRetentionMs === null && maxDiskBytes === null) return { expired: 0, diskBudget: null };
  let expired = 0;
  if (options.change && resetArchiveRetentionMs !== null) {
    const cutoff = host.runtime.now() - resetArchiveRetentionMs;
    for (const name of await namesIn(host.fs, folder)) {
      const time = archivedAt(name);
      if (time === undefined || time >= cutoff) continue;
      if ((await fileIn(host, folder, name)) === undefined) continue;
      if (await removeFile(host, join(folder, name))) expired++;
    }
  }
  if (maxDiskBytes === null) return { expired, diskBudget: null };
  return { expired, diskBudget: await keepBelow(host, folder, maxDiskBytes, config, options.change) };
}

async function keepBelow(
  host: LegacyHost,
  folder: string,
  maxBytes: number,
  { highWaterBytes }: ResolvedSessionMaintenanceConfig,
  change: boolean,
): Promise<DiskBudgetReport> {
  const files: FolderFile[] = [];
  for (const name of await namesIn(host.fs, folder)) {
    const file = await fileIn(host, folder, name);
    if (file !== undefined) files.push(file);
  }
  const totalBytesBefore = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const target = Math.min(highWaterBytes ?? maxBytes, maxBytes);
  const archives = files
    .filter((file) => file.archivedAt !== undefined)
    .sort((a, b) => (a.archivedAt ?? 0) - (b.archivedAt ?? 0));
  let [freedBytes, removedFiles] = [0, 0];
  if (change && totalBytesBefore > maxBytes) {
    for (const { path, bytes } of archives) {
      if (totalBytesBefore - freedBytes <= target) break;
      if (!(await removeFile(host, path))) continue;
      freedBytes += bytes;
      removedFiles++;
    }
  }
  const totalBytesAfter = totalBytesBefore - freedBytes;
  return {
    totalBytesBefore,
    totalBytesAfter,
    removedFiles,
    removedEntries: 0,
    freedBytes,
    maxBytes,
    highWaterBytes: target,
    overBudget: totalBytesAfter > maxBytes,
  };
}

async function fileIn({ fs }: LegacyHost, folder: string, name: string): Promise<FolderFile | undefined> {
  const path = join(folder, name);
  try {
    const { kind, size } = await fs.later.lstat(path);
    return kind === "file" ? { path, bytes: size, archivedAt: archivedAt(name) } : undefined;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** @returns False if somebody else removed it. */
async function removeFile({ fs }: LegacyHost, path: string): Promise<boolean> {
  try {
    await fs.later.unlink(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
