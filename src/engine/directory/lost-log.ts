/**
 * A store without any log segment: a copy that left the log out, or a disk that lost it. The sessions are in their
 * files, so a new log begins behind the highest revision that is found anywhere. Revisions may skip, never go back.
 */
import type { StoreWarning } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { ignoreMissing } from "../../fs/missing.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { segmentNumber, stageNumber, type Layout } from "../../format/layout.js";
import { newStageName, publish, stageSegment } from "../../log/next-segment.js";
import type { Runtime } from "../../runtime.js";
import {
  catalogFromFiles,
  catalogsFrom,
  highestCatalogRevision,
  type CatalogSource,
} from "./catalog-loader.js";
import { runInSlices } from "./time-slices.js";
import { highestChunkRevision } from "./transcripts/highest-chunk-revision.js";

export interface LostLogOptions {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  readonly layout: Layout;
  readonly storeId: string;
  readonly source: CatalogSource;
  readonly onWarning: (warning: StoreWarning) => void;
}

const ROUND = 1000;

/** Begins a new log if there is none. Any number of processes may; one segment comes of it. */
export async function replaceLostLog(options: LostLogOptions): Promise<void> {
  const { fs, runtime, layout, storeId, source, onWarning } = options;
  if (hasLog(fs, layout)) return;
  const inFiles = (await runInSlices(catalogFromFiles(source, 0), runtime)).revision;
  const inCatalogs = highestCatalogRevision(source);
  const inChunks = await runInSlices(highestChunkRevision(fs, layout.root), runtime);
  const revision = Math.max(inFiles, inCatalogs, inChunks);
  const used = [
    ...fs.readdir(layout.stage).map(stageNumber),
    // No old catalog may fit the new log.
    ...catalogsFrom(source, 0).map((number) => number + 2),
  ];
  const segment = newNumber(...used.map((number) => number ?? 0));
  const header = {
    segment,
    firstRevision: revision + 1,
    after: revision,
    store: storeId,
    stage: newStageName(runtime, segment),
  };
  const staged = await stageSegment({ fs, layout }, header);
  // Looked at again behind the staging: a log that others began since cannot checkpoint this segment without fencing it.
  const published = !hasLog(fs, layout) && (await publish(fs, staged, layout.segment(segment)));
  await ignoreMissing(fs.later.unlink(staged));
  if (!published) return ignoreMissing(fs.later.rmdir(layout.stageFolder(header.stage)));
  await syncDirectory(fs, layout.log);
  onWarning({
    code: "log_replaced",
    message:
      `${layout.log} had no segment. The log goes on at revision ${revision + 1}, behind all that is known; changes ` +
      "that were only in the lost log are gone.",
    data: { path: layout.log, revision: revision + 1 },
  });
}

/**
 * The next round number: all who begin a log at the same time take the same one, whatever staging folders the others
 * have made for it, so only one of them succeeds. And it is far from the lost log's numbers: a process that still has
 * a segment of that open must not take the new log for its continuation.
 */
function newNumber(...used: readonly number[]): number {
  return Math.ceil(Math.max(1, ...used) / ROUND) * ROUND;
}

export function hasLog(fs: FileSystem, layout: Layout): boolean {
  return fs.readdir(layout.log).some((name) => segmentNumber(name) !== undefined);
}
