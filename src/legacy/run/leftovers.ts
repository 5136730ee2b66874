/**
 * What killed runs leave beside a legacy store, and how it goes away.
 *
 * A folder or file that is not complete is taken away under another name, or unlinked, so that whoever was suspended
 * while making it fails at its own rename, however late it wakes. That is also how a run fences others: after it has
 * made one side count, it takes away all that is unfinished, for it was read from what counted before.
 */
import { errnoOf } from "../../errors.js";
import { plural } from "../../plural.js";
import { namesIn, statusOf } from "../../fs/status.js";
import { ignoreMissing } from "../../fs/missing.js";
import type { Journal } from "../base/journal.js";
import { removeTree } from "../base/tree.js";
import { readReplacement } from "./replacement.js";
import type { LegacyWork } from "./work.js";

/** A folder in which nothing was made for so long has no living builder; if it has, that one starts over. */
const STALE_MS = 60_000;
/** Where a builder makes files and folders all the time. */
const BUSY_FOLDERS = ["", "/.store", "/.store/log", "/.store/stage", "/.store/blobs"];

/** Before a run: what nobody can be working on any more. */
export async function removeStale(work: LegacyWork, journal: Journal): Promise<void> {
  const { fs, runtime } = work.host;
  let removed = 0;
  for (const path of await unfinishedDirectories(work)) {
    const modified = await Promise.all(BUSY_FOLDERS.map((folder) => statusOf(fs, `${path}${folder}`)));
    const latest = Math.max(...modified.map((status) => status?.modifiedAt ?? 0));
    const complete = path.includes(".building-") && (await readReplacement(work.host, path)) !== undefined;
    if (complete || runtime.now() - latest < STALE_MS) continue;
    await removeBuilding(work, path);
    removed++;
  }
  if (removed === 0) return;
  const message = `Removed beside ${work.paths.file}: ${plural(removed, "unfinished folder")} of earlier runs.`;
  journal.warnings.push({ code: "leftover_removed", message, data: { path: work.paths.file, removed } });
}

/** After one side was made to count: everything that was made from what counted before. */
export async function removeUnfinished(work: LegacyWork): Promise<void> {
  for (const path of await unfinishedDirectories(work)) await removeBuilding(work, path);
  await removeUnfinishedFiles(work);
}

export async function removeUnfinishedFiles({ host, paths }: LegacyWork): Promise<void> {
  for (const name of await namesIn(host.fs, paths.folder)) {
    if (!paths.isUnfinishedFile(name)) continue;
    await ignoreMissing(host.fs.later.unlink(`${paths.folder}/${name}`));
  }
}

export async function unfinishedDirectories({ host, paths }: LegacyWork): Promise<string[]> {
  const names = await namesIn(host.fs, paths.folder);
  return names.filter((name) => paths.isUnfinishedDirectory(name)).map((name) => `${paths.folder}/${name}`);
}

/** Takes away a folder that is not complete, its builder alive or not. */
export async function removeBuilding(work: LegacyWork, path: string): Promise<undefined> {
  const { fs, runtime } = work.host;
  if ((await statusOf(fs, path)) === undefined) return;
  const removing = work.paths.removing(runtime);
  try {
    // By another name first: a builder that wakes up while half of it is gone must not put the rest into its place.
    await fs.later.rename(path, removing);
    await removeTree(work.host, removing);
  } catch (error) {
    const errno = errnoOf(error);
    // Others remove it as well; or its builder is at it still, and fails at its own rename: the next run removes the rest.
    if (errno !== "ENOENT" && errno !== "ENOTEMPTY") throw error;
  }
}
