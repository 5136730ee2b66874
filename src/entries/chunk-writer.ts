/**
 * Makes, fills and removes the chunk files of transcripts.
 *
 *   T1  A line has one place: it is written there, into a file that exists, and nowhere else. Any process may do so at any time, for all
 *       write the same bytes.
 *   T2  A chunk is made whole in a staging folder, and moved in with `link`, which never replaces. A process that was suspended
 *       finds its staging folder gone.
 *   T3  One that begins with lines of another chunk is durable before it is moved in: that other one will be removed.
 *   T4  Nothing is ever made in place (no O_CREAT): a chunk that is missing was cut off by a commit that was not read yet.
 *
 * A crash leaves a file in a staging folder, or the second name of one that was moved in (the fence removes both), and lines of which
 * a part is in place, behind what anybody reads.
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { ignoreMissing } from "../fs/missing.js";
import { assertFolder, createFile } from "../fs/regular-file.js";
import { readAt } from "../fs/read-at.js";
import { removeIfEmpty } from "../fs/remove-if-empty.js";
import { writeAll } from "../fs/write-all.js";
import { crc32Number } from "../format/crc32.js";
import type { Layout } from "../format/layout.js";
import type { ChunkId } from "../format/transcript-head.js";
import type { Runtime } from "../runtime.js";

/** A whole chunk at once would be read into new memory each time. */
const READ_AT_ONCE_BYTES = 256 * 1024;
/** A sweeper could take an empty folder as often as it is made; there are not that many. */
const FOLDER_ATTEMPTS_MAX = 100;

type Made = "made" | "there" | "fenced";

export class ChunkWriter {
  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly runtime: Runtime,
  ) {}

  /**
   * Makes a chunk by way of a staging folder, unless it is there.
   * @param options.sync Whether its content is durable before it is moved in.
   * @returns `"there"` if it was, whatever it has; `"fenced"` when the staging folder is gone.
   */
  async make(
    path: string,
    folder: string,
    stage: string,
    bytes: Uint8Array,
    options: { readonly sync: boolean },
  ): Promise<Made> {
    const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    try {
      await createFile(this.fs, temporary, bytes, options);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "fenced";
      throw error;
    }
    try {
      return await this.#moveIn(temporary, path, folder);
    } finally {
      await ignoreMissing(this.fs.later.unlink(temporary));
    }
  }

  async #moveIn(temporary: string, path: string, folder: string): Promise<Made> {
    for (let attempt = 0; attempt < FOLDER_ATTEMPTS_MAX; attempt++) {
      await this.fs.later.mkdir(folder).catch((error: unknown) => {
        if (errnoOf(error) !== "EEXIST") throw error;
      });
      try {
        assertFolder(this.fs, folder);
        await this.fs.later.link(temporary, path);
        return "made";
      } catch (error) {
        const errno = errnoOf(error);
        if (errno === "EEXIST") return "there";
        if (errno !== "ENOENT") throw error;
      }
      try {
        this.fs.lstat(temporary);
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
        await removeIfEmpty(this.fs, folder);
        return "fenced";
      }
    }
    throw new SessionStoreError("io_error", `${folder} vanishes whenever it is made`, {
      data: { path: folder },
    });
  }

  /** An existing chunk, to be filled; undefined if there is no such file. The caller closes it. */
  open(path: string, folder: string): OpenChunk | undefined {
    try {
      assertFolder(this.fs, folder);
      return new OpenChunk(this.fs, this.fs.open(path, "update"));
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async remove(key: string, transcript: string, id: ChunkId): Promise<void> {
    await ignoreMissing(this.fs.later.unlink(this.layout.chunkOf(key, transcript, id)));
  }
}

/** Bytes of a chunk, and their checksum. */
export interface ChunkRange {
  readonly from: number;
  readonly to: number;
  readonly crc: number;
}

export class OpenChunk {
  constructor(
    private readonly fs: FileSystem,
    private readonly fd: number,
  ) {}

  /**
   * Whether these bytes are there. That is found out as damage is found by whoever reads the lines: by a CRC-32, which overlooks
   * one accident in four thousand million.
   */
  has({ from, to, crc }: ChunkRange): boolean {
    let found = 0;
    for (let at = from; at < to;) {
      const bytes = readAt(this.fs, this.fd, Math.min(READ_AT_ONCE_BYTES, to - at), at);
      if (bytes.length === 0) return false;
      found = crc32Number(bytes, found);
      at += bytes.length;
    }
    return found === crc;
  }

  /** Writes bytes to their place, unless they are there. */
  async place(at: number, bytes: Buffer): Promise<void> {
    if (!readAt(this.fs, this.fd, bytes.length, at).equals(bytes)) await this.write(at, bytes);
  }

  /** The same, whatever is there. */
  write(at: number, bytes: Buffer): Promise<void> {
    return writeAll(this.fs, this.fd, bytes, at);
  }

  /** Makes the file durable, whoever wrote it. */
  sync(): Promise<void> {
    return this.fs.later.fdatasync(this.fd);
  }

  close(): void {
    this.fs.close(this.fd);
  }
}
