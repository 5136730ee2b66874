/**
 * A part into its file, durably, while the event loop has its turn between two lines whenever a slice is over.
 *
 * A crash leaves the beginning of a file: write it in a folder that is swept.
 */
import type { FileSystem } from "../../../fs/file-system.js";
import { createFileBy } from "../../../fs/regular-file.js";
import { writeAll } from "../../../fs/write-all.js";
import type { Runtime } from "../../../runtime.js";
import { runInSlices } from "../time-slices.js";
import { composePart, type PartPlan } from "./compose-part.js";
import type { Part } from "./manifest.js";

/** Lines are collected for one write. */
const WRITE_BYTES = 256 * 1024;

export function writePart(fs: FileSystem, runtime: Runtime, path: string, plan: PartPlan): Promise<Part> {
  const lines = composePart(plan);
  let part: Part | undefined;
  const some = function* (): Generator<void, Buffer> {
    const collected: Buffer[] = [];
    for (let bytes = 0; bytes < WRITE_BYTES; yield) {
      const line = lines.next();
      if (line.done === true) {
        part = line.value;
        break;
      }
      bytes += line.value.length;
      collected.push(line.value);
    }
    return Buffer.concat(collected);
  };
  const write = async (fd: number): Promise<Part> => {
    while (part === undefined) await writeAll(fs, fd, await runInSlices(some(), runtime));
    return part;
  };
  return createFileBy(fs, path, write, { sync: true });
}
