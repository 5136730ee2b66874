/**
 * The two names of a segment: it is written in its staging folder and then linked into `log/`, so for a moment,
 * or for longer if its maker was killed there, it has two links. A segment with a second link from anywhere else could
 * be changed from there, and what is appended to it would show up there: it is refused.
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { stageNumber, type Layout } from "../format/layout.js";

/** Name of a staged segment inside its staging folder. */
export const STAGED = "segment";

/** Throws `file_unsafe` if a segment that was just opened has a link besides its own two names. */
export function assertOwnLinks(
  fs: FileSystem,
  layout: Layout,
  segment: { readonly number: number; readonly fd: number; readonly status: FileStatus },
): void {
  const { number, fd, status } = segment;
  if (status.links <= 1 || isStaged(fs, layout, number, status)) return;
  const { links } = fs.fstat(fd);
  if (links <= 1) return; // its maker took the staged name away meanwhile
  const path = layout.segment(number);
  throw new SessionStoreError(
    "file_unsafe",
    `${path} has ${links} hard links, so something outside could change it. Nothing was changed: remove the ` +
      "other link, or put a copy of the file in its place.",
    { data: { path, links } },
  );
}

function isStaged(fs: FileSystem, layout: Layout, number: number, { inode, device }: FileStatus): boolean {
  for (const name of fs.readdir(layout.stage)) {
    if (stageNumber(name) !== number) continue;
    try {
      const staged = fs.lstat(`${layout.stageFolder(name)}/${STAGED}`);
      if (staged.inode === inode && staged.device === device) return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTDIR") throw error;
    }
  }
  return false;
}
