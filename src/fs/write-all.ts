/** Writing until all bytes are taken. A crash in the middle leaves the first part of them. */
import type { FileSystem } from "./file-system.js";

/** A short write into the page cache takes a tenth of what the way to another thread and back takes. */
const WRITTEN_AT_ONCE_BYTES_MAX = 16 * 1024;

/**
 * Writes all bytes. A write may take fewer than offered; the next one then goes on, or says what the trouble is.
 * @param position Offset of the first byte; default: where the descriptor stands.
 */
export async function writeAll(
  fs: FileSystem,
  fd: number,
  bytes: Uint8Array,
  position?: number,
): Promise<void> {
  let written = 0;
  while (written < bytes.byteLength) {
    const length = bytes.byteLength - written;
    const short = length <= WRITTEN_AT_ONCE_BYTES_MAX;
    const at = position === undefined ? undefined : position + written;
    const count = short
      ? fs.write(fd, bytes, written, length, at)
      : await fs.later.write(fd, bytes, written, length, at);
    if (count === 0) throw tookNothing();
    written += count;
  }
}

/** What a write means that takes no bytes and gives no reason: a disk that is not to be trusted. */
function tookNothing(): NodeJS.ErrnoException {
  const message = "EIO: the file system took no bytes and gave no reason, write";
  return Object.assign(new Error(message), { code: "EIO", syscall: "write" });
}
