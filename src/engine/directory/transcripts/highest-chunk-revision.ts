/**
 * The highest revision that files of transcripts tell of, where no log says it: a new log must begin behind it, or a number would
 * be given twice.
 */
import { errnoOf, SessionStoreError } from "../../../errors.js";
import { ChunkFile } from "../../../entries/chunk-file.js";
import type { FileSystem } from "../../../fs/file-system.js";
import { partsOfChunkName } from "../../../format/layout.js";

/** A file that is damaged tells what its name does, and what its lines do that can be read. */
export function* highestChunkRevision(fs: FileSystem, root: string): Generator<void, number> {
  let highest = 0;
  for (const folder of fs.readdir(root)) {
    yield;
    if (!folder.startsWith(".")) highest = Math.max(highest, highestIn(fs, `${root}/${folder}`));
  }
  return highest;
}

/** The same of one session's folder. */
export function highestIn(fs: FileSystem, folder: string): number {
  let highest = 0;
  for (const name of namesIn(fs, folder)) {
    const parts = partsOfChunkName(name);
    if (parts !== undefined) highest = Math.max(highest, parts.born, latestIn(fs, `${folder}/${name}`));
  }
  return highest;
}

function namesIn(fs: FileSystem, folder: string): string[] {
  try {
    return fs.lstat(folder).kind === "directory" ? fs.readdir(folder) : [];
  } catch (error) {
    if (["ENOENT", "EACCES"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}

function latestIn(fs: FileSystem, path: string): number {
  try {
    const chunk = ChunkFile.open(fs, path);
    try {
      return chunk.latestRevision();
    } finally {
      chunk.close();
    }
  } catch (error) {
    if (error instanceof SessionStoreError || errnoOf(error) === "ENOENT") return 0;
    throw error;
  }
}
