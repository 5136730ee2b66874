/**
 * How far the log is known to be durable, said beside it: `.store/durable`, one line of the log's form,
 *
 *     1a2b3c4d {"segment":7,"bytes":434176,"inode":"131","device":"64769"}
 *
 * A log that ends before its mark was cut off: what stood there is lost with it, and a process that opened the store could
 * not tell that from a log that never went further. Entry files tell of it only for their own sessions. So a process
 * raises the mark before it writes entry files, behind the sync that it does for them anyway; no file is ever ahead of it.
 *
 * The mark never says too much: it is written after the sync, and whoever has read it reads the log once more. It may say too little, for it is not
 * synced itself, and of two processes the later one wins; then a cut is noticed only behind what it says. A crash leaves
 * the old mark, and one that cannot be read says nothing. Nor does one that was copied, with a log that may have been copied
 * before it: the file that it means is another one.
 */
import { errnoOf } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { createFile, readRegularFile } from "../../fs/regular-file.js";
import { encodeLogLine, parseMark, type DurableMark } from "../../format/log-line.js";
import type { Layout } from "../../format/layout.js";
import type { Segment } from "../../log/segment.js";
import type { Runtime } from "../../runtime.js";

const MARK_BYTES_MAX = 256;

/** @returns Undefined if there is none that can be read. */
export function readMark(fs: FileSystem, layout: Layout): DurableMark | undefined {
  try {
    return parseMark(readRegularFile(fs, layout.durable, { bytesMax: MARK_BYTES_MAX }));
  } catch {
    return undefined; // it is evidence where it is there, and nothing depends on it
  }
}

/** How many bytes of a segment were durable when the mark was read; 0 if it does not say. */
export function durableBytes(mark: DurableMark | undefined, { number, identity }: Segment): number {
  const { inode, device } = identity;
  const isMeant = mark?.segment === number && mark.inode === String(inode) && mark.device === String(device);
  return isMeant ? mark.bytes : 0;
}

/**
 * Says that a segment is durable up to there, unless the mark says so or more.
 * By way of its staging folder: a process that comes too late finds that gone.
 * @returns `"fenced"` when the staging folder is gone.
 */
export async function raiseMark(
  { fs, layout, runtime }: { readonly fs: FileSystem; readonly layout: Layout; readonly runtime: Runtime },
  segment: Segment,
  bytes: number,
): Promise<"done" | "fenced"> {
  if (durableBytes(readMark(fs, layout), segment) >= bytes) return "done";
  const { number, identity, ledger } = segment;
  const mark: DurableMark = {
    segment: number,
    bytes,
    inode: String(identity.inode),
    device: String(identity.device),
  };
  const temporary = `${layout.stageFolder(ledger.stage)}/${runtime.randomName(8)}`;
  try {
    await createFile(fs, temporary, encodeLogLine(JSON.stringify(mark)), { sync: false });
    await fs.later.rename(temporary, layout.durable);
    return "done";
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return "fenced";
    throw error;
  }
}
