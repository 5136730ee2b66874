/**
 * Copies what a backup needs of a pinned store into objects, and lists it. What is not copied:
 *
 *  - `stage/`: files on their way. The folders of the log's segments are made anew by a restore.
 *  - `reserve`, `durable`, hints: noise, a mark that means the very file, and a memory of the log's bytes.
 *  - `quarantine/`: nothing reads it.
 *  - `meta.json` of a session that the log changes: the log is right, whatever its file says.
 *  - what a person has put beside `meta.json`: it is none of the store's.
 */
import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { SessionStoreError, errnoOf } from "../../errors.js";
import type { FileStatus } from "../../fs/file-system.js";
import { isAbsent } from "../../fs/missing.js";
import { readAt } from "../../fs/read-at.js";
import { openRegularFile } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import {
  ENTRY_FILE,
  isSystemName,
  partsOfChunkName,
  partsOfTrashName,
  segmentName,
} from "../../format/layout.js";
import { forEach } from "./pace.js";
import { PIECE_BYTES, type ObjectWriter } from "./objects.js";
import { Overtaken, type PinnedStore } from "./pinned-store.js";
import { piecesOf, type Row, type Rows } from "./rows.js";
import type { BackupHost, BackupWarning, LeftOut } from "./types.js";

/** What the backup before knows. */
export interface Before {
  readonly rows: Rows;
  /** A file that was not written to since this instant need not be read again. Milliseconds since 1970. */
  readonly unchangedSince: number;
}

/** How often a folder may change while it is being copied. */
const LOOKS_MAX = 20;
/** Of a store in which nothing can be read, some are enough. */
const LEFT_OUT_TOLD_MAX = 100;
const ANY_SIZE = { bytesMax: Number.MAX_SAFE_INTEGER };
/**
 * What a system says of a file or folder that is there and that it does not give: a bad sector, another user's mode, a file
 * system whose own data is damaged (EUCLEAN and EBADMSG of Linux, for which Node has no names).
 */
const UNREADABLE: ReadonlyMap<string, string> = new Map([
  ["EIO", "the disk cannot read it"],
  ["EACCES", "this user may not read it"],
  ["EPERM", "this user may not read it"],
  ["Unknown system error -117", "the file system is damaged there"],
  ["Unknown system error -74", "the file system is damaged there"],
]);
const BLOB = /^([0-9a-f]{64})\.json$/;

export class FileCopier {
  readonly rows = new Map<string, Row>();
  /** Files that could not be read. */
  damaged = 0;
  /** The first of them. */
  readonly leftOut: LeftOut[] = [];
  /** Paths in the store that could not be read: that was said. */
  readonly #lost = new Set<string>();
  /** Folders of sessions whose entry file was copied. */
  readonly #withEntry = new Set<string>();
  /** Those whose entry file could not be read: that was said. */
  readonly #told = new Set<string>();

  constructor(
    private readonly host: BackupHost,
    private readonly store: PinnedStore,
    private readonly objects: ObjectWriter,
    private readonly before: Before,
    private readonly step: () => Promise<void>,
    private readonly warn: (warning: BackupWarning) => void,
  ) {}

  /** Copies all of it; the store's revision afterwards is the copy's. */
  async copy(): Promise<void> {
    const { store } = this;
    await this.#copyFile(".store/format.json", store.layout.format);
    for (const { path, fd, bytes } of store.files) await this.#copyPinned(path, fd, bytes);
    await this.#copyBlobs();
    const { fs } = this.host;
    const folders = namesInNow(fs, store.layout.root).filter(
      (name) => !name.startsWith(".") && !isSystemName(name),
    );
    await forEach(folders, (folder) => this.#copySession(folder));
    store.freeze();
    store.assertUndamaged();
    this.#tellMissing();
    for (const segment of store.segments)
      await this.#copyPinned(`.store/log/${segmentName(segment.number)}`, segment.fd, segment.position);
    await this.#copyBlobs();
    this.#assertReferences();
  }

  /** How many sessions the copy has. */
  get sessions(): number {
    let cold = 0;
    for (const folder of this.#withEntry) if (!this.store.isMentioned(folder)) cold++;
    return cold + this.store.sessionsInLog;
  }

  /**
   * The catalog of the copy knows sessions that have no file in it: whoever restores it is told so by the store, and whoever makes
   * it is told so here. A session that was removed meanwhile is in the log.
   */
  #tellMissing(): void {
    for (const [folder, key] of this.store.catalogued) {
      const isTold = this.#told.has(folder) || this.#lost.has(folder);
      if (this.#withEntry.has(folder) || isTold || this.store.isMentioned(folder)) continue;
      const path = `${this.store.path}/${folder}/${ENTRY_FILE}`;
      this.#count({ path: `${folder}/${ENTRY_FILE}`, key, reason: "it is missing" });
      const message =
        `session ${JSON.stringify(key)} is not in the backup: its file ${path} is missing. sessiondir doctor says what can be done; ` +
        "older backups may have it.";
      this.warn({ code: "entry_corrupt", message, data: { path, key } });
    }
  }

  /** A folder may come, go and change; what is there when all names of one look were copied is what counts. */
  async #copySession(folder: string): Promise<void> {
    const { fs } = this.host;
    const path = `${this.store.layout.root}/${folder}`;
    await this.step();
    const kind = this.#unlessUnreadable(path, () => statusNow(fs, path)?.kind);
    if (kind !== "directory") return;
    for (let look = 0; look < LOOKS_MAX; look++) {
      const all = this.#unlessUnreadable(path, () => namesInNow(fs, path));
      if (all === undefined) return;
      const names = all.filter((name) => this.#isWanted(folder, name));
      const copied: string[] = [];
      for (const name of names)
        if (await this.#copyFile(`${folder}/${name}`, `${path}/${name}`)) copied.push(name);
      if (copied.length === names.length) {
        if (this.rows.has(`${folder}/${ENTRY_FILE}`)) this.#withEntry.add(folder);
        else if (names.includes(ENTRY_FILE)) this.#told.add(folder);
        return;
      }
      // A chunk was replaced by another one: what was copied is of the look before.
      for (const name of copied) this.rows.delete(`${folder}/${name}`);
    }
    throw new Overtaken(`the files of ${folder} came and went`);
  }

  #isWanted(folder: string, name: string): boolean {
    return name === ENTRY_FILE ? !this.store.isMentioned(folder) : partsOfChunkName(name) !== undefined;
  }

  /**
   * Values in the trash, too, as if they were in their place: whoever has discarded one may be about to put it back, and what
   * nobody needs is discarded again.
   */
  async #copyBlobs(): Promise<void> {
    const { fs } = this.host;
    const { blobs, trash } = this.store.layout;
    const places: [string, string][] = [];
    for (const prefix of namesInNow(fs, blobs)) {
      const folder = `${blobs}/${prefix}`;
      for (const name of this.#unlessUnreadable(folder, () => namesInNow(fs, folder)) ?? []) {
        const hash = BLOB.exec(name)?.[1];
        if (hash?.startsWith(prefix) === true) places.push([hash, `${blobs}/${prefix}/${name}`]);
      }
    }
    for (const name of namesInNow(fs, trash)) {
      const { hash } = partsOfTrashName(name);
      if (hash !== undefined) places.push([hash, `${trash}/${name}`]);
    }
    await forEach(places, async ([hash, from]) => {
      const path = blobPath(hash);
      if (this.rows.has(path)) return;
      await this.step();
      await this.#copyFile(path, from);
    });
  }

  /** What the log's sessions need was there when they were committed: if it went since, so did the moment of the copy. */
  #assertReferences(): void {
    for (const hash of this.store.references()) {
      const path = blobPath(hash);
      if (this.rows.has(path) || this.#lost.has(path) || this.#lost.has(dirname(path))) continue;
      throw new Overtaken(`the shared value ${hash} came and went`);
    }
  }

  /** @returns False if it is gone. */
  async #copyFile(path: string, from: string): Promise<boolean> {
    const { fs } = this.host;
    let opened: { fd: number; status: FileStatus };
    try {
      const known = this.#unchanged(path, fs.lstat(from));
      if (known !== undefined) {
        this.rows.set(path, known);
        return true;
      }
      opened = openRegularFile(fs, from, "read", ANY_SIZE);
    } catch (error) {
      if (isAbsent(error)) return false;
      this.#leaveOut(from, error, path);
      return true;
    }
    try {
      await this.#copyFrom(path, opened.fd, opened.status.size, opened.status);
    } catch (error) {
      // Another call of the same errno is about the folder of backups.
      if ((error as NodeJS.ErrnoException).syscall !== "read") throw error;
      this.#leaveOut(from, error, path);
    } finally {
      fs.close(opened.fd);
    }
    return true;
  }

  /** A folder that cannot be read. @returns Undefined, or what the look gives. */
  #unlessUnreadable<R>(from: string, look: () => R): R | undefined {
    try {
      return look();
    } catch (error) {
      this.#leaveOut(from, error, from.slice(this.store.layout.root.length + 1));
      return undefined;
    }
  }

  /**
   * One file, or one session's folder, that nobody can read costs that, not the backup. @param path In the store.
   * @throws the error where it is about something else.
   */
  #leaveOut(from: string, error: unknown, path: string): void {
    const unsafe = error instanceof SessionStoreError && error.code === "file_unsafe";
    const reason = unsafe ? "it is no regular file" : UNREADABLE.get(errnoOf(error) ?? "");
    if (reason === undefined || path === ".store/format.json") throw error;
    if (this.#lost.has(path)) return; // looked at twice
    this.#lost.add(path);
    const shown = this.store.display(from);
    const folder = path.split("/", 1)[0] ?? path;
    const key = this.store.keyOf(folder);
    this.#count({ path, ...(key !== undefined && { key }), reason });
    const whose = key === undefined ? "" : ` of session ${JSON.stringify(key)}`;
    const next = unsafe
      ? "Put the file itself in its place, from an older backup."
      : reason === UNREADABLE.get("EACCES")
        ? "Give it back to the user that the store belongs to, with mode 0600, a folder 0700, and make a backup again."
        : "sessiondir doctor says what can be done; older backups may have it.";
    const message = `${shown}${whose} is not in the backup: ${reason}. All else is. ${next}`;
    this.warn({ code: "file_unsafe", message, data: { path: shown, ...(key !== undefined && { key }) } });
  }

  #count(one: LeftOut): void {
    this.damaged++;
    if (this.leftOut.length < LEFT_OUT_TOLD_MAX) this.leftOut.push(one);
  }

  /** The row of the backup before, if nobody can have written to the file since it was read. */
  #unchanged(path: string, { kind, size, inode, modifiedAt }: FileStatus): Row | undefined {
    const row = this.before.rows.get(path);
    if (row === undefined || kind !== "file") return undefined;
    const same = row.bytes === size && row.inode === String(inode) && row.modifiedAt === modifiedAt;
    if (!same || modifiedAt >= this.before.unchangedSince) return undefined;
    return piecesOf(row).every((hash) => this.objects.has(hash)) ? row : undefined;
  }

  async #copyPinned(path: string, fd: number, bytes: number): Promise<void> {
    await this.#copyFrom(path, fd, bytes, this.host.fs.fstat(fd));
  }

  /** Of a file that grows only what it had; a file that became shorter is one that is not what it was. */
  async #copyFrom(path: string, fd: number, bytes: number, status: FileStatus): Promise<void> {
    const { inode, modifiedAt } = status;
    const stamp = { modifiedAt, inode: String(inode) };
    const { fs } = this.host;
    if (bytes <= PIECE_BYTES) {
      const content = readAt(fs, fd, bytes, 0);
      const sha256 = await this.objects.put(content);
      this.rows.set(path, { path, bytes: content.length, sha256, ...stamp });
      return;
    }
    const whole = createHash("sha256");
    const pieces: string[] = [];
    for (let position = 0; position < bytes; position += PIECE_BYTES) {
      const wanted = Math.min(PIECE_BYTES, bytes - position);
      const piece = readAt(fs, fd, wanted, position);
      if (piece.length < wanted) throw new Overtaken(`${path} became shorter`);
      whole.update(piece);
      pieces.push(await this.objects.put(piece));
      await this.step();
    }
    this.rows.set(path, { path, bytes, sha256: whole.digest("hex"), ...stamp, pieces });
  }
}

function blobPath(hash: string): string {
  return `.store/blobs/${hash.slice(0, 2)}/${hash}.json`;
}
