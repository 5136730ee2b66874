// @ts-check
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} path
 * @returns {{ apparent: number, allocated: number, files: number }} Bytes in files, and bytes that the disk gives
 *   for files and folders (what `du` counts; not known on Windows, where it is the same as `apparent`).
 */
export function diskUsage(path) {
  const status = lstatSync(path);
  const isFolder = status.isDirectory();
  const total = {
    apparent: isFolder ? 0 : status.size,
    allocated: process.platform === "win32" ? (isFolder ? 0 : status.size) : status.blocks * 512,
    files: isFolder ? 0 : 1,
  };
  if (!isFolder) return total;
  for (const name of readdirSync(path)) {
    const part = diskUsage(join(path, name));
    total.apparent += part.apparent;
    total.allocated += part.allocated;
    total.files += part.files;
  }
  return total;
}
