/**
 * Staging folders: one for each segment, named by its header, the only way by which entry files come and go.
 *
 * The fence is their removal. It must end in a successful rmdir: a process that is suspended inside rename(2)
 * has its folder resolved already, and only a removed folder makes it fail. Renaming the folder away would not.
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { ignoreMissing, isMissing } from "../fs/missing.js";
import { assertFolder } from "../fs/regular-file.js";
import { stageNumber, type Layout } from "../format/layout.js";

/** A writer that keeps making files in a folder stops at its first failure, so this is never reached. */
const ROUNDS_MAX = 1000;

/** Removes every staging folder of the segments up to `segment`, with what is in it (O10). */
export async function fence(fs: FileSystem, layout: Layout, segment: number): Promise<void> {
  for (const folder of [layout.store, layout.stage]) assertFolder(fs, folder);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const names = await fs.later.readdir(layout.stage);
    const fenced = names.filter((name) => (stageNumber(name) ?? Number.POSITIVE_INFINITY) <= segment);
    if (fenced.length === 0) return;
    for (const name of fenced) await removeStagingFolder(fs, layout.stageFolder(name));
  }
  throw new SessionStoreError(
    "io_error",
    `${layout.stage} fills faster than it can be emptied: find out which program keeps making files in it.`,
    { data: { path: layout.stage } },
  );
}

/** Removes one staging folder, with what is in it. */
export async function removeStagingFolder(fs: FileSystem, folder: string): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    try {
      if ((await fs.later.lstat(folder)).kind !== "directory") {
        await fs.later.unlink(folder); // a link or a file with such a name is no way into a folder: only the name goes
        return;
      }
      for (const name of await fs.later.readdir(folder))
        await ignoreMissing(fs.later.unlink(`${folder}/${name}`));
      await fs.later.rmdir(folder);
      return;
    } catch (error) {
      if (isMissing(error)) return;
      const errno = errnoOf(error);
      if (errno !== "ENOTEMPTY" && errno !== "EEXIST") throw error;
    }
  }
}
