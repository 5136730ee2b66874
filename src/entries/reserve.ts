/**
 * The reserve: a file of real blocks that is given up when the disk is full, so that there is a way out of it.
 *
 * To free space costs space: a seal, a next segment, new entry files beside the old ones, a catalog. Without room for
 * these a full store would stay full, whatever is deleted from it. So a store has `.store/reserve` from the beginning.
 * A process whose work at the store meets a full disk unlinks it and tries again; when there is room, one is made anew.
 *
 * Its content says nothing and is never read; it is noise, so that no file system stores it as a hole, or compressed.
 * Any number of processes may make it or give it up at once: making is a rename over what is there, giving up an
 * unlink. A crash leaves a temp file in a staging folder, which the fence removes, or no reserve, which is what the next
 * process that opens the store notices first. A process that only reads never touches it.
 */
import { randomBytes } from "node:crypto";
import { isDiskFull } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { isMissing, wasThere } from "../fs/missing.js";
import { replaceFile } from "../fs/replace-file.js";
import { statusNow } from "../fs/status.js";
import type { Layout } from "../format/layout.js";
import type { Runtime } from "../runtime.js";

/**
 * What one step out of a full disk takes besides the catalog: a seal, a segment and its folder, four entry files with
 * their folders at a time (values of 4 KiB and more are not in them), growing folders, and the records of some hundred
 * deletes meanwhile. With blocks of 4 KiB that is about 100 KiB; as much again for other processes that write.
 */
export const RESERVE_BYTES = 256 * 1024;
/** On a small disk it takes no more than this part of it. */
const SHARE_OF_DISK = 1 / 16;

/** @param least What it should have if the disk is not small. */
export function reserveBytesOn(totalBytes: number, least: number): number {
  return Math.max(1, Math.floor(Math.min(least, totalBytes * SHARE_OF_DISK)));
}

/** What a reserve has in it. It takes its blocks for certain only when it is durable. */
export function reserveContent(bytes: number): Buffer {
  return randomBytes(bytes);
}

export class Reserve {
  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly runtime: Runtime,
  ) {}

  /** Its size; 0 when there is none. One system call. */
  bytes(): number {
    const status = statusNow(this.fs, this.layout.reserve);
    return status?.kind === "file" ? status.size : 0;
  }

  /**
   * Makes one, or replaces the one that is there.
   * @param stage Staging folder of the active segment.
   * @returns False when there is no room for it, or the folder is gone: try again later.
   */
  async make(stage: string, bytes: number): Promise<boolean> {
    const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    try {
      await replaceFile(this.fs, temporary, this.layout.reserve, reserveContent(bytes));
      return true;
    } catch (error) {
      if (isDiskFull(error) || isMissing(error)) return false;
      throw error;
    }
  }

  /** @returns Whether there was one; others may have been faster. */
  giveUp(): Promise<boolean> {
    return wasThere(this.fs.later.unlink(this.layout.reserve));
  }
}
