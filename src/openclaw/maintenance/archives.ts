/**
 * Archived transcripts have an end too: those older than the limit are removed, and more of them, the oldest first, while the
 * sessions folder is larger than it may be. Nothing but archives is ever removed: no session, and no transcript that has
 * its name. What is removed is gone; a crash leaves the rest for the next time.
 *
 * An archive of a transcript that a session names is never removed, whatever its age: a tool that does not know of the
 * directory store takes every transcript for an orphan and archives it, and then the archive is all there is. Sessions are asked
 * right before each removal, for what was nobody's a moment ago may be somebody's now.
 */
import { basename, join } from "node:path";
import { namesIn, statusOf } from "../../fs/status.js";
import { isMissing } from "../../fs/missing.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import type { SessionMaintenanceLimits } from "./config.js";
import {
  archivedAt,
  transcriptOf,
  type ArchivedTranscript,
  type TranscriptReferences,
} from "./transcripts.js";

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

/** What the sessions that are there at this moment refer to. */
export type AskReferences = () => Promise<TranscriptReferences>;

export interface Sweep {
  /** How many archives were too old and are gone. */
  readonly expired: number;
  /** Null where no size is set. */
  readonly diskBudget: DiskBudgetReport | null;
  /** Archives whose time had come, but whose transcript a session names. */
  readonly kept: readonly ArchivedTranscript[];
}

/**
 * @param options.change False: only look.
 * @param references Asked only when there is an archive to remove.
 */
export async function sweepArchives(
  host: LegacyHost,
  folder: string,
  config: SessionMaintenanceLimits,
  references: AskReferences,
  options: { readonly change: boolean },
): Promise<Sweep> {
  const { resetArchiveRetentionMs, maxDiskBytes } = config;
  const broom = new Broom(host, references);
  let expired = 0;
  if (options.change && resetArchiveRetentionMs !== null) {
    const cutoff = host.runtime.now() - resetArchiveRetentionMs;
    for (const name of await namesIn(host.fs, folder)) {
      const time = archivedAt(name);
      if (time === undefined || time >= cutoff) continue;
      if ((await fileIn(host, folder, name)) === undefined) continue;
      if (await broom.remove(join(folder, name))) expired++;
    }
  }
  if (maxDiskBytes === null) return { expired, diskBudget: null, kept: broom.kept };
  const budget = { maxBytes: maxDiskBytes, highWaterBytes: config.highWaterBytes };
  const diskBudget = await keepBelow(host, folder, budget, options.change ? "remove" : "look", broom);
  return { expired, diskBudget, kept: broom.kept };
}

/**
 * @param budget No more bytes than `maxBytes`; if there are more, down to `highWaterBytes`.
 * @param action "pretend": report what would be removed, and remove nothing. "look": the size alone.
 */
export async function keepBelow(
  host: LegacyHost,
  folder: string,
  { maxBytes, highWaterBytes }: { readonly maxBytes: number; readonly highWaterBytes: number | null },
  action: "remove" | "pretend" | "look",
  broom: Broom,
  onRemove?: (path: string) => void,
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
  if (action !== "look" && totalBytesBefore > maxBytes) {
    for (const { path, bytes } of archives) {
      if (totalBytesBefore - freedBytes <= target) break;
      if (!(await (action === "remove" ? broom.remove(path) : broom.mayRemove(path)))) continue;
      onRemove?.(path);
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

/** The only thing that removes an archive. */
export class Broom {
  readonly #kept = new Map<string, ArchivedTranscript>();

  constructor(
    private readonly host: LegacyHost,
    private readonly references: AskReferences,
  ) {}

  get kept(): ArchivedTranscript[] {
    return [...this.#kept.values()];
  }

  /** @returns False if a session names the transcript. */
  async mayRemove(archive: string): Promise<boolean> {
    const source = transcriptOf(archive);
    const references = await this.references();
    if (!references.include(basename(source))) return true;
    this.#kept.set(archive, { source, archive });
    return false;
  }

  /** @returns False if a session names the transcript, or if another process removed the archive. */
  async remove(archive: string): Promise<boolean> {
    if (!(await this.mayRemove(archive))) return false;
    // At once: between the look and the removal nothing else of this process runs.
    try {
      this.host.fs.unlink(archive);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }
}

async function fileIn({ fs }: LegacyHost, folder: string, name: string): Promise<FolderFile | undefined> {
  const path = join(folder, name);
  const status = await statusOf(fs, path);
  return status?.kind === "file" ? { path, bytes: status.size, archivedAt: archivedAt(name) } : undefined;
}
