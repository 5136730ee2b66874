/**
 * The file of one run in an archive: one gzip member after the other, each a whole export of some sessions.
 *
 * A member counts when all of it is in the file, durably, and was read back from there: only then may its sessions be removed. Killed
 * before that, the file ends with a part of a member, whose sessions are all still in the store; readers leave it out.
 */
import { dirname } from "node:path";
import { SessionStoreError } from "../../errors.js";
import { syncDirectoryOnTheWay } from "../../fs/regular-file.js";
import { writeAll } from "../../fs/write-all.js";
import { gzipped } from "../moving/export-file.js";
import { readExport } from "../moving/read-export.js";
import { told, type RetentionHost } from "./host.js";
import { piecesOf } from "./members.js";

export class ArchiveWriter {
  /** Where the next member begins. */
  #end = 0;

  constructor(
    private readonly host: RetentionHost,
    private readonly fd: number,
    readonly path: string,
  ) {}

  /** Of all members. */
  get bytes(): number {
    return this.#end;
  }

  /**
   * Adds an export, and waits until it is durable and was read back.
   * @param keys Asked afterwards: the sessions that must be in it.
   * @throws `archive_damaged` if something else is there than was written.
   */
  async add(text: AsyncIterable<string>, keys: () => readonly string[]): Promise<void> {
    const { fs } = this.host;
    let end = this.#end;
    for await (const piece of gzipped(text)) {
      await told(`write to ${this.path}`, () => writeAll(fs, this.fd, piece));
      end += piece.length;
    }
    await told(`sync ${this.path}`, async () => {
      await fs.later.fdatasync(this.fd);
      // The name: the first time it is new.
      if (this.#end === 0) await syncDirectoryOnTheWay(fs, dirname(this.path));
    });
    await this.#assertReadable(end, keys());
    this.#end = end;
  }

  /** Lets go of the file; one without a member goes. */
  async close(): Promise<void> {
    const { fs } = this.host;
    fs.close(this.fd);
    if (this.#end === 0) await fs.later.unlink(this.path).catch(() => {});
  }

  async #assertReadable(end: number, keys: readonly string[]): Promise<void> {
    const missing = new Set(keys);
    try {
      let key: string | undefined;
      for await (const event of readExport(piecesOf(this.host.fs, this.fd, this.#end, end))) {
        if (event.kind === "session") ({ key } = event.session);
        if (event.kind === "sessionEnd" && key !== undefined) missing.delete(key);
      }
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "export_invalid") throw error;
      throw this.#damaged(error.message, error);
    }
    const [lost] = missing;
    if (lost !== undefined) throw this.#damaged(`session ${JSON.stringify(lost)} is not in it.`);
  }

  #damaged(what: string, cause?: unknown): SessionStoreError {
    return new SessionStoreError(
      "archive_damaged",
      `what was just written to ${this.path} cannot be read back: ${what} Its sessions are still in the store: check the disk.`,
      { data: { path: this.path, offset: this.#end }, cause },
    );
  }
}
