/**
 * A session's `meta.json`: how it is read, written and removed.
 *
 * Files follow the log and are never ahead of it. They are written by way of the staging folder of the segment
 * whose state they carry, so that the checkpoint of that segment can fence off every writer that was suspended:
 * a writer that wakes up late finds its staging folder gone, and its rename fails, harmlessly.
 *
 *   O8   log durable first (the caller's duty) -> temp file in the staging folder -> fdatasync if its revision is
 *        older than the folder's segment -> mkdir of the session folder -> rename. ENOENT: if the temp is gone
 *        we are fenced; if the session folder is gone, a sweeper took it: make it again.
 *        A delete is a rename INTO the staging folder, then rmdir of the session folder.
 *   O9   what goes through a staging folder is the state as of a log position in its segment or later
 *   O13  temp names are random and never made twice
 *
 * A file that goes and was never seen whole by this process may be damaged: see damaged-file.ts for what is kept of it.
 *
 * A crash leaves a temp file in a staging folder (the fence removes it) or an empty session folder (the sweep does).
 */
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileStatus, FileSystem } from "../fs/file-system.js";
import { ignoreMissing } from "../fs/missing.js";
import { createFile, readRegularFile } from "../fs/regular-file.js";
import { removeIfEmpty } from "../fs/remove-if-empty.js";
import { composeEntryDocument, parseEntryDocument } from "../format/entry-document.js";
import { ENTRY_FILE, type Layout } from "../format/layout.js";
import { LINE_BYTES_MAX } from "../format/limits.js";
import type { StoredObject } from "../format/stored-value.js";
import type { Runtime } from "../runtime.js";
import { isTooLarge, keepDamagedFile, keepFile, type DamagePolicy } from "./damaged-file.js";

/** State of one session as the log has it; `stored` is undefined for a deleted one. */
export interface EntryState {
  readonly key: string;
  readonly revision: number;
  readonly modifiedAt: number;
  readonly stored: StoredObject | undefined;
}

export type EntryFile =
  | { readonly status: "absent" }
  | {
      readonly status: "present";
      readonly revision: number;
      readonly modifiedAt: number;
      readonly crc: string;
      readonly stored: StoredObject;
      /** Size of the file. */
      readonly bytes: number;
    }
  | {
      readonly status: "corrupt";
      readonly path: string;
      readonly reason: string;
      readonly offset: number;
      /** What is in the file, unless it is no regular file of ours. */
      readonly bytes?: Buffer;
      /** It is larger than any entry file. */
      readonly tooLarge?: boolean;
    };

/** A whole record fits a line, so no entry file is larger than that, give or take its header line. */
const ENTRY_FILE_BYTES_MAX = LINE_BYTES_MAX + 64 * 1024;
/** A process that sweeps empty folders could take this one as often as it is made; there are not that many sweepers. */
const FOLDER_ATTEMPTS_MAX = 100;

/** Reads an entry file, which may be missing or damaged. Never follows a link. */
export function readEntryFile(fs: FileSystem, layout: Layout, key: string): EntryFile {
  const folder = layout.sessionFolder(key);
  const path = `${folder}/${ENTRY_FILE}`;
  let bytes: Buffer;
  try {
    if (!isFolder(fs, folder)) return { status: "corrupt", path: folder, reason: "not a folder", offset: 0 };
    bytes = readRegularFile(fs, path, { bytesMax: ENTRY_FILE_BYTES_MAX });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return { status: "absent" };
    if (!(error instanceof SessionStoreError)) throw error;
    return { status: "corrupt", path, reason: error.message, offset: 0, tooLarge: isTooLarge(error) };
  }
  return interpret(bytes, key, path);
}

/** What the bytes of a session's entry file say. */
export function interpret(bytes: Buffer, key: string, path: string): EntryFile {
  const parsed = parseEntryDocument(bytes);
  if (!parsed.ok) return { status: "corrupt", path, reason: parsed.reason, offset: parsed.offset, bytes };
  if (parsed.key !== key) {
    const reason = `it is the file of session ${JSON.stringify(parsed.key)}`;
    return { status: "corrupt", path, reason, offset: 0, bytes };
  }
  const { revision, modifiedAt, crc, stored } = parsed;
  return { status: "present", revision, modifiedAt, crc, stored, bytes: bytes.length };
}

/** One lstat: a link in place of a session folder must not lead us, or a rename, out of the store. */
function isFolder(fs: FileSystem, folder: string): boolean {
  return fs.lstat(folder).kind === "directory";
}

function isFolderOrGone(fs: FileSystem, folder: string): boolean {
  try {
    return isFolder(fs, folder);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return true;
  }
}

export class EntryWriter {
  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly runtime: Runtime,
    private readonly policy: DamagePolicy,
  ) {}

  /**
   * Brings one entry file to a state, by way of a staging folder.
   * @param state A state as of a position in the segment of `stage` or later (O9).
   * @param options.sync Whether the content must be durable before the rename: true for a revision older than the
   *   segment of `stage`, because then no log that outlives a power cut may have it (O8).
   * @returns `"fenced"` when the staging folder is gone: stop, others have moved on.
   */
  async write(
    state: EntryState,
    stage: string,
    options: { readonly sync: boolean },
  ): Promise<"done" | "fenced"> {
    const old = await this.#lookAtOld(state, stage);
    if (old !== "replace") return old;
    const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    if (state.stored === undefined) return this.#remove(state.key, stage, temporary);
    const { bytes } = composeEntryDocument({ ...state, stored: state.stored });
    try {
      await createFile(this.fs, temporary, bytes, options);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return "fenced";
      throw error;
    }
    try {
      return await this.#moveIn(state.key, temporary);
    } catch (error) {
      await this.fs.later.unlink(temporary).catch(() => {}); // the fence would take it anyway
      throw error;
    }
  }

  /**
   * Looks at the file that is to go. A newer one stays if the log explains it, for then it is another process's, and this one
   * is late. What is damaged, or comes from elsewhere, is kept aside.
   */
  async #lookAtOld({ key, revision }: EntryState, stage: string): Promise<"replace" | "done" | "fenced"> {
    const { fs, layout, policy } = this;
    let file: EntryFile;
    try {
      file = readEntryFile(fs, layout, key);
    } catch (error) {
      // Of what the disk cannot read there is nothing to keep, and a new file is the way out.
      if (errnoOf(error) !== "EIO") throw error;
      return "replace";
    }
    if (file.status === "absent" || (file.status === "present" && file.revision <= revision))
      return "replace";
    const temporary = `${layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    if (file.status === "present") {
      if (policy.isOvertaken(key, file.revision)) return "done";
      const path = layout.entryFile(key);
      const bytes = readRegularFile(fs, path, { bytesMax: ENTRY_FILE_BYTES_MAX });
      const reason = `revision ${file.revision} of it is not in the log`;
      const kept = await keepFile(fs, layout, policy, key, { path, reason, bytes }, temporary);
      return kept === "done" ? "replace" : kept;
    }
    const damaged = file.tooLarge === true ? { ...file, bytes: beginningOf(fs, file.path) } : file;
    const kept = await keepDamagedFile(fs, layout, policy, key, damaged, temporary);
    return kept === "done" ? "replace" : kept;
  }

  async #moveIn(key: string, temporary: string): Promise<"done" | "fenced"> {
    const folder = this.layout.sessionFolder(key);
    for (let attempt = 0; attempt < FOLDER_ATTEMPTS_MAX; attempt++) {
      await this.#ensureFolder(folder);
      try {
        await this.fs.later.rename(temporary, `${folder}/${ENTRY_FILE}`);
        return "done";
      } catch (error) {
        if (errnoOf(error) === "EISDIR") throw inTheWay(`${folder}/${ENTRY_FILE}`, "is a folder");
        if (errnoOf(error) !== "ENOENT") throw error;
      }
      if (!(await this.#exists(temporary))) {
        await this.removeFolder(folder);
        return "fenced";
      }
    }
    throw new SessionStoreError("io_error", `${folder} vanishes whenever it is made`, {
      data: { path: folder },
    });
  }

  async #ensureFolder(folder: string): Promise<void> {
    try {
      if (isFolder(this.fs, folder)) return;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      await this.fs.later.mkdir(folder).catch((failure: unknown) => {
        if (errnoOf(failure) !== "EEXIST") throw failure;
      });
      if (isFolderOrGone(this.fs, folder)) return; // a sweeper may have taken it: the rename will tell
    }
    throw inTheWay(folder, "is not a folder");
  }

  async #remove(key: string, stage: string, temporary: string): Promise<"done" | "fenced"> {
    const folder = this.layout.sessionFolder(key);
    const file = `${folder}/${ENTRY_FILE}`;
    if (await this.#isRemovable(folder, file)) {
      try {
        await this.fs.later.rename(file, temporary);
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
        // Either the file was removed by another process, or our staging folder is gone.
        if (!(await this.#exists(this.layout.stageFolder(stage)))) return "fenced";
        if (await this.#isRemovable(folder, file)) return this.#remove(key, stage, temporary);
      }
      await ignoreMissing(this.fs.later.unlink(temporary));
    }
    await this.removeFolder(folder);
    return "done";
  }

  /** Removes a session folder if it is empty; a user's own files in it keep it. */
  async removeFolder(folder: string): Promise<void> {
    await removeIfEmpty(this.fs, folder);
  }

  /** Behind a link in place of the folder there is no file of ours, and a folder called meta.json is a user's own. */
  async #isRemovable(folder: string, file: string): Promise<boolean> {
    if ((await this.#kindOf(folder)) !== "directory") return false;
    const kind = await this.#kindOf(file);
    return kind !== undefined && kind !== "directory";
  }

  async #exists(path: string): Promise<boolean> {
    return (await this.#kindOf(path)) !== undefined;
  }

  async #kindOf(path: string): Promise<FileStatus["kind"] | undefined> {
    try {
      return (await this.fs.later.lstat(path)).kind;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
      throw error;
    }
  }
}

/** Of a file that is larger than any entry, what an entry could be: more may be all that fits on the disk, or holes. */
function beginningOf(fs: FileSystem, path: string): Buffer {
  const fd = fs.open(path, "read");
  try {
    const bytes = Buffer.alloc(ENTRY_FILE_BYTES_MAX);
    let filled = fs.read(fd, bytes, 0, bytes.length, 0);
    while (filled > 0 && bytes[filled - 1] === 0) filled--;
    return bytes.subarray(0, filled);
  } finally {
    fs.close(fd);
  }
}

function inTheWay(path: string, what: string): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} ${what}, so the session cannot be written there. Move it away; the log keeps the session until then.`,
    { data: { path } },
  );
}
