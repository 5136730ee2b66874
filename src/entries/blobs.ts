/**
 * Big values that several sessions share: one file each, named by the SHA-256 of its content.
 *
 *   O14  A blob is durable, file and folder, before the record that names it; its user makes it so himself, even
 *        if it was there already (whoever wrote it may not have synced it yet). It is looked up in every segment,
 *        after that was read, unless the same key's base already refers to it (`engine/directory/commit.ts` says why).
 *
 * Removal has two phases, so that nobody needs to know what others are about to commit. Unreferenced blobs move
 * to `trash/<hash>.<random>`, a name of its own for every move, and get the number of the active segment appended
 * when the log was read once more AFTER the move. They leave the trash when that segment has been sealed AND a
 * second scan still finds no reference: every record that was composed before the move is then decided, and
 * every one composed later had to look the blob up. Whoever misses a blob looks in the trash; a writer moves it back.
 *
 * A crash leaves a temp file in a staging folder, or a blob that nobody refers to: the next removal takes both.
 */
import { createHash } from "node:crypto";
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { createFile, syncDirectory } from "../fs/regular-file.js";
import type { Layout } from "../format/layout.js";
import { referencesIn } from "../format/stored-references.js";
import type { BlobReference, StoredValue } from "../format/stored-value.js";
import type { Runtime } from "../runtime.js";
import { assertEngineRoom, assertFolderIfAny } from "./engine-room.js";
import { ignoreMissing } from "./entry-file.js";
import { hasOnlyOwnNames, readStagedFile } from "./staged-file.js";

/** A blob may travel to and fro between its place and the trash while we look; not for ever. */
const ATTEMPTS_MAX = 50;

/** Which blobs are referenced as of the end of the log. */
export interface ReferenceScan {
  readonly activeSegment: number;
  readonly isReferenced: (hash: string) => boolean;
}

export class BlobStore {
  constructor(
    private readonly fs: FileSystem,
    private readonly layout: Layout,
    private readonly runtime: Runtime,
    private readonly options: { readonly bytesMax: number },
  ) {}

  /**
   * Content of a blob, checked against its name.
   * @throws `blob_missing`, `blob_corrupt`
   */
  load(reference: BlobReference): Buffer {
    const path = this.layout.blob(reference.hash);
    this.#assertOwnFolders(reference.hash);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const bytes = this.#tryRead(path);
      if (bytes !== undefined) return verified(bytes, reference, path);
      const discarded = this.#findInTrash(reference.hash);
      if (discarded === undefined) continue; // it may have been moved back meanwhile: look once more
      const rescued = this.#tryRead(discarded);
      if (rescued === undefined) continue;
      return verified(rescued, reference, discarded);
    }
    throw missing(reference);
  }

  /**
   * Makes sure that a blob is in its place and durable, before a record names it.
   * @param content Its bytes, if the caller has them.
   * @param stage Staging folder of the active segment, for the temp file.
   * @returns `"fenced"` when the staging folder is gone: catch up and compose again.
   * @throws `blob_missing` when it is nowhere and the caller has no content.
   */
  async ensure(
    reference: BlobReference,
    content: Buffer | undefined,
    stage: string,
  ): Promise<"done" | "fenced"> {
    const path = this.layout.blob(reference.hash);
    assertEngineRoom(this.fs, this.layout);
    assertFolderIfAny(this.fs, this.layout.stageFolder(stage));
    assertFolderIfAny(this.fs, this.layout.blobFolder(reference.hash));
    let corrupt = false;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const existing = await this.#syncExisting(path, reference);
      if (existing === "done") return "done";
      corrupt = existing === "corrupt";
      const discarded = this.#findInTrash(reference.hash);
      if (discarded !== undefined) {
        await this.#moveBack(discarded, reference.hash);
        continue;
      }
      if (content === undefined || hashOf(content) !== reference.hash) continue;
      const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
      try {
        await createFile(this.fs, temporary, content, { sync: true });
        await this.#ensureFolder(reference.hash);
        await this.fs.later.rename(temporary, path);
      } catch (error) {
        if (errnoOf(error) === "ENOENT") return "fenced";
        await this.fs.later.unlink(temporary).catch(() => {}); // the fence would take it anyway
        throw error;
      }
    }
    throw corrupt ? damaged(reference, path) : missing(reference);
  }

  /** Hashes of all blobs that are in their place. */
  async names(): Promise<string[]> {
    const found: string[] = [];
    for (const folder of await this.fs.later.readdir(this.layout.blobs)) {
      if (!/^[0-9a-f]{2}$/.test(folder)) continue;
      const path = `${this.layout.blobs}/${folder}`;
      if ((await this.fs.later.lstat(path)).kind !== "directory") continue; // nothing of ours
      for (const name of await this.fs.later.readdir(path)) {
        const hash = hashOfName(name);
        if (hash?.startsWith(folder)) found.push(hash);
      }
    }
    return found;
  }

  /** Number and total size of the blobs that are in their place. */
  async sizes(): Promise<{ count: number; bytes: number }> {
    const hashes = await this.names();
    let bytes = 0;
    for (const hash of hashes) {
      const status = await this.fs.later.lstat(this.layout.blob(hash)).catch(() => undefined);
      bytes += status?.size ?? 0; // may have been discarded meanwhile
    }
    return { count: hashes.length, bytes };
  }

  async hasTrash(): Promise<boolean> {
    return (await this.fs.later.readdir(this.layout.trash)).length > 0;
  }

  /** What the content of a blob refers to. */
  referencesWithin(hash: string): readonly BlobReference[] {
    this.#assertOwnFolders(hash);
    const path = this.layout.blob(hash);
    const bytes = this.#tryRead(path) ?? this.#tryRead(this.#findInTrash(hash) ?? "");
    if (bytes === undefined) throw missing({ hash, bytes: 0, nested: true });
    const content = verified(bytes, { hash, bytes: bytes.length, nested: true }, path);
    return referencesIn(JSON.parse(content.toString("utf8")) as StoredValue);
  }

  /**
   * First phase of removal. The name in the trash is durable before the blob leaves its place, for somebody may have been
   * promised, a moment ago, that it survives a power cut. It leaves by a rename, never by an unlink: if others have used it
   * again meanwhile and taken the first name out of the trash, this one keeps it.
   */
  async discard(hash: string): Promise<void> {
    const path = this.layout.blob(hash);
    const inTrash = (): string => `${this.layout.trash}/${hash}.${this.runtime.randomName(8)}`;
    const durable = inTrash();
    await ignoreMissing(this.fs.later.link(path, durable));
    await syncDirectory(this.fs, this.layout.trash);
    // Looked at and renamed with nothing in between in this process: a name that is gone was put back, for the value is
    // referred to again, and without it a power cut could undo one half of the rename and leave no name at all.
    try {
      this.fs.lstat(durable);
      this.fs.rename(path, inTrash());
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /**
   * Second phase: removes what was discarded while a segment was active that is sealed now, unless it is referenced
   * after all; that goes back to its place.
   * @param scan Reads the log to its end and then tells the active segment and who is referenced. Called after the
   *   trash was listed, so that a number it gives is never older than the move. Undefined: not now.
   */
  async emptyTrash(scan: () => ReferenceScan | undefined): Promise<void> {
    const names = await this.fs.later.readdir(this.layout.trash);
    if (names.length === 0) return;
    const scanned = scan();
    if (scanned === undefined) return;
    const { activeSegment, isReferenced } = scanned;
    for (const name of names) {
      const match = /^([0-9a-f]{64})\.[0-9a-f]+(?:\.(\d+))?$/.exec(name);
      const hash = match?.[1];
      if (hash === undefined) continue;
      const path = `${this.layout.trash}/${name}`;
      if (isReferenced(hash)) {
        await this.#moveBack(path, hash);
      } else if (match?.[2] === undefined) {
        await this.#mark(path, activeSegment);
      } else if (Number(match[2]) < activeSegment) {
        await ignoreMissing(this.fs.later.unlink(path));
      }
    }
  }

  /** Durably under its marked name before the other one goes; see {@link discard}. */
  async #mark(path: string, segment: number): Promise<void> {
    await ignoreMissing(
      this.fs.later.link(path, `${path}.${segment}`).catch((error: unknown) => {
        if (errnoOf(error) !== "EEXIST") throw error;
      }),
    );
    await syncDirectory(this.fs, this.layout.trash);
    await ignoreMissing(this.fs.later.unlink(path));
  }

  #tryRead(path: string): Buffer | undefined {
    try {
      return readStagedFile(this.fs, this.layout, path, { bytesMax: this.options.bytesMax });
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Three lstats before a blob is read by way of these folders; the trash is looked at when it is searched. */
  #assertOwnFolders(hash: string): void {
    const { store, blobs } = this.layout;
    for (const folder of [store, blobs, this.layout.blobFolder(hash)]) assertFolderIfAny(this.fs, folder);
  }

  #findInTrash(hash: string): string | undefined {
    assertFolderIfAny(this.fs, this.layout.trash);
    const name = namesIn(this.fs, this.layout.trash).find((candidate) => candidate.startsWith(`${hash}.`));
    return name === undefined ? undefined : `${this.layout.trash}/${name}`;
  }

  /** Durably in its place before the name in the trash goes; what is there already, good or not, is replaced. */
  async #moveBack(discarded: string, hash: string): Promise<void> {
    await this.#ensureFolder(hash);
    const path = this.layout.blob(hash);
    try {
      await this.fs.later.link(discarded, path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return;
      if (errnoOf(error) !== "EEXIST") throw error;
      await ignoreMissing(this.fs.later.rename(discarded, path)); // does nothing if it is the same file
    }
    await syncDirectory(this.fs, this.layout.blobFolder(hash));
    await ignoreMissing(this.fs.later.unlink(discarded));
  }

  /** Syncs a blob that is in its place, if that is what its name promises; what is not will be replaced. */
  async #syncExisting(path: string, reference: BlobReference): Promise<"done" | "missing" | "corrupt"> {
    let fd: number;
    try {
      fd = await this.fs.later.open(path, "read");
    } catch (error) {
      const errno = errnoOf(error) ?? "";
      if (errno === "ENOENT") return "missing";
      if (NOT_A_FILE.has(errno)) return "corrupt";
      throw error;
    }
    try {
      const status = this.fs.fstat(fd);
      if (status.kind !== "file" || status.size !== reference.bytes) return "corrupt";
      if (!hasOnlyOwnNames(this.fs, this.layout, status)) return "corrupt";
      if (hashOf(await this.#readOpen(fd, status.size)) !== reference.hash) return "corrupt";
      await this.fs.later.fdatasync(fd);
    } finally {
      await this.fs.later.close(fd);
    }
    await syncDirectory(this.fs, this.layout.blobFolder(reference.hash));
    await syncDirectory(this.fs, this.layout.blobs);
    return "done";
  }

  async #readOpen(fd: number, bytes: number): Promise<Buffer> {
    const found = Buffer.allocUnsafe(bytes);
    let filled = 0;
    while (filled < bytes) {
      const count = await this.fs.later.read(fd, found, filled, bytes - filled, filled);
      if (count === 0) break;
      filled += count;
    }
    return found.subarray(0, filled);
  }

  async #ensureFolder(hash: string): Promise<void> {
    await this.fs.later.mkdir(this.layout.blobFolder(hash)).catch((error: unknown) => {
      if (errnoOf(error) !== "EEXIST") throw error;
      assertFolderIfAny(this.fs, this.layout.blobFolder(hash));
    });
  }
}

/** What opening a link, a socket or a device in place of a blob gives: a rename replaces it, and never follows it. */
const NOT_A_FILE: ReadonlySet<string> = new Set([
  "ELOOP",
  "EMLINK",
  "EFTYPE",
  "ENXIO",
  "ENODEV",
  "EOPNOTSUPP",
]);

/** A copy tool may have left an empty folder out. */
function namesIn(fs: FileSystem, folder: string): string[] {
  try {
    return fs.readdir(folder);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    return [];
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function hashOfName(name: string): string | undefined {
  return /^([0-9a-f]{64})\.json$/.exec(name)?.[1];
}

function verified(bytes: Buffer, reference: BlobReference, path: string): Buffer {
  if (bytes.length === reference.bytes && hashOf(bytes) === reference.hash) return bytes;
  throw damaged(reference, path, bytes.length);
}

function damaged({ hash, bytes }: BlobReference, path: string, actualBytes?: number): SessionStoreError {
  return new SessionStoreError(
    "blob_corrupt",
    `${path} does not have the content that its name promises. Sessions that share this value cannot read it; ` +
      "put the value again, or restore the file from a backup.",
    { data: { path, hash, expectedBytes: bytes, actualBytes } },
  );
}

function missing(reference: BlobReference): SessionStoreError {
  return new SessionStoreError(
    "blob_missing",
    `the shared value ${reference.hash} (${reference.bytes} bytes) is neither in blobs/ nor in trash/. ` +
      "Put the value again, or restore the file from a backup.",
    { data: { hash: reference.hash, bytes: reference.bytes } },
  );
}
