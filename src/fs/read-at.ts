/** Reading until all bytes are there. Nothing is written, so a crash leaves nothing. */
import type { FileSystem } from "./file-system.js";

/**
 * Reads from a place in a file. A read that comes back short is not the end: the next one goes on, or says what the trouble is.
 * @returns Fewer bytes than wanted where the file ends.
 */
export function readAt(fs: FileSystem, fd: number, length: number, position: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  for (let count = 1; count > 0 && filled < length; filled += count)
    count = fs.read(fd, bytes, filled, length - filled, position + filled);
  return bytes.subarray(0, filled);
}
