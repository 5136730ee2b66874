/**
 * A file of many lines, written while they are composed: only some are in memory, and the event loop has its turn between two of
 * them whenever a slice is over.
 *
 * A crash leaves the beginning of a file: write it in a folder that is swept.
 */
import type { FileSystem } from "../../fs/file-system.js";
import { createFileBy } from "../../fs/regular-file.js";
import { writeAll } from "../../fs/write-all.js";
import type { Runtime } from "../../runtime.js";
import { runInSlices } from "./time-slices.js";

/** Lines are collected for one write. */
const WRITE_BYTES = 256 * 1024;

/**
 * @param options.sync Whether it is durable when this is done.
 * @returns What the lines' generator returns.
 */
export function writeLines<T>(
  fs: FileSystem,
  runtime: Runtime,
  path: string,
  lines: Generator<Buffer, T>,
  options: { readonly sync: boolean },
): Promise<T> {
  let end: { readonly value: T } | undefined;
  const some = function* (): Generator<void, Buffer> {
    const collected: Buffer[] = [];
    for (let bytes = 0; bytes < WRITE_BYTES; yield) {
      const line = lines.next();
      if (line.done === true) {
        end = line;
        break;
      }
      bytes += line.value.length;
      collected.push(line.value);
    }
    return Buffer.concat(collected);
  };
  const write = async (fd: number): Promise<T> => {
    while (end === undefined) await writeAll(fs, fd, await runInSlices(some(), runtime));
    return end.value;
  };
  return createFileBy(fs, path, write, options);
}
