/**
 * The folders that the store keeps to itself: `.store` and what is in it.
 *
 * Every open refuses a link at the last name of a path, but the system follows links on the way there. So before
 * anything is read, written or removed by way of one of these folders, one lstat each shows that they are
 * folders themselves. Nobody else can swap them afterwards (see fs/trusted-path.ts); what this finds are the
 * mistakes of people and tools: a folder moved to another disk, a copy that made links.
 */
import type { FileSystem } from "../fs/file-system.js";
import { assertFolder } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";

/** Throws `file_unsafe` if one of the folders is something else, and the system's ENOENT if one is missing. */
export function assertEngineRoom(fs: FileSystem, layout: Layout): void {
  for (const folder of engineRoom(layout)) assertFolder(fs, folder);
}

/** The folders in the order in which they can be made. */
export function engineRoom(layout: Layout): readonly string[] {
  return [layout.store, layout.log, layout.stage, layout.blobs, layout.trash, layout.quarantine];
}

/** Throws `file_unsafe` if a staging folder, or the folder of all of them, is something else. */
export function assertStageFolder(fs: FileSystem, layout: Layout, name: string): void {
  for (const folder of [layout.store, layout.stage, layout.stageFolder(name)]) assertFolder(fs, folder);
}
