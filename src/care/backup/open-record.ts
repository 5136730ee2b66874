/**
 * Opens a file of lines that several processes append to, and makes it where there is none. It is made empty and then
 * opened like one that was there: two that make it at once would otherwise write over each other's first line.
 */
import { errnoOf } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { unlessMissing } from "../../fs/missing.js";
import { openRegularFile } from "../../fs/regular-file.js";

/** How often another process may make it, or move it away, in between. */
const ATTEMPTS_MAX = 10;

/** The caller closes `fd`. */
export async function openRecord(
  fs: FileSystem,
  path: string,
): Promise<{ readonly fd: number; readonly size: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      const opened = unlessMissing(() =>
        openRegularFile(fs, path, "append", { bytesMax: Number.MAX_SAFE_INTEGER }),
      );
      if (opened !== undefined) return { fd: opened.fd, size: opened.status.size };
      fs.close(await fs.later.open(path, "create"));
    } catch (error) {
      if (errnoOf(error) !== "EEXIST" || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}
