/**
 * Big values that several sessions share: one file each, named by the SHA-256 of its content.
 *
 *   O14  A blob is durable, file and folder, before the record that names it; its user makes it so himself, even
 *        if it was there already (the process that wrote it may not have synced it yet). It is looked up in every
 *        segment, after that was read, unless the same key's base already refers to it (`engine/directory/committer.ts`
 *        says why).
 *
 * A crash leaves a temp file in a staging folder, or a blob that no session refers to: the next removal takes both.
 * A blob that no session refers to any more leaves by way of the trash (`blob-trash.ts`). A reader that misses one
 * looks there as well; a writer restores it.
 */
import { createHash } from "node:crypto";
import { errnoOf, SessionStoreError } from "../errors.js";
import type { FileSystem } from "../fs/file-system.js";
import { ignoreMissing, isMissing, unlessMissing } from "../fs/missing.js";
import { createFile, readRegularFile, syncDirectory } from "../fs/regular-file.js";
import { existsNow, namesInNow } from "../fs/status.js";
import { partsOfTrashName, type Layout } from "../format/layout.js";
import { referencesIn } from "../format/stored-references.js";
import type { BlobReference, StoredValue } from "../format/stored-value.js";
import type { Runtime } from "../runtime.js";
import { assertInternalFolder, assertFolderIfAny, missingInternalFolder } from "./internal-folder.js";

/** A blob may move between its place and the trash while a process looks for it; not for ever. */
const ATTEMPTS_MAX = 50;

export class BlobStore {
  /** Blobs in their place whose sync has failed: the next one would say "clean", so they are written anew. */
  readonly #unsynced = new Set<string>();

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
    const { hash, bytes } = reference;
    const path = this.layout.blob(hash);
    assertInternalFolder(this.fs, this.layout);
    assertFolderIfAny(this.fs, this.layout.stageFolder(stage));
    assertFolderIfAny(this.fs, this.layout.blobFolder(hash));
    let corrupt = false;
    let needless: string | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const existing = await this.#syncExisting(hash, bytes);
      if (existing === "done") {
        if (needless !== undefined) await ignoreMissing(this.fs.later.unlink(needless));
        return "done";
      }
      corrupt = existing === "corrupt";
      const own = content !== undefined && hashOf(content) === hash ? content : this.#readUnsynced(reference);
      // What lies in the trash may be as damaged as what is in its place.
      const discarded = corrupt && own !== undefined ? undefined : this.#findInTrash(hash);
      // Asked before the next look at the blob's place: later, its discarder may have taken it and been fenced.
      needless = discarded === undefined || this.#isHeld(discarded) ? undefined : discarded;
      const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
      try {
        if (discarded !== undefined) {
          await this.#linkIntoPlace(discarded, temporary, hash);
        } else if (own !== undefined) {
          await createFile(this.fs, temporary, own, { sync: true });
          await this.#ensureFolder(hash);
          await this.fs.later.rename(temporary, path);
          this.#unsynced.delete(hash);
        }
      } catch (error) {
        if (isMissing(error)) {
          if (discarded !== undefined && !existsNow(this.fs, discarded)) continue;
          const lost = missingInternalFolder(this.fs, this.layout);
          if (lost !== undefined) throw lost;
          return "fenced";
        }
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
    for (const hash of hashes) bytes += await this.sizeOf(hash);
    return { count: hashes.length, bytes };
  }

  /** Size of a blob that is in its place; 0 if it was discarded meanwhile. */
  async sizeOf(hash: string): Promise<number> {
    const status = await this.fs.later.lstat(this.layout.blob(hash)).catch(() => undefined);
    return status?.size ?? 0;
  }

  isInPlace(hash: string): boolean {
    return existsNow(this.fs, this.layout.blob(hash));
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

  /** The same, but undefined when the blob cannot be read. */
  tryReferencesWithin(hash: string): readonly BlobReference[] | undefined {
    try {
      return this.referencesWithin(hash);
    } catch {
      return undefined;
    }
  }

  /** Whether the bytes in a blob's place are what its name promises; also if there are none. */
  isIntact(hash: string): boolean {
    try {
      const bytes = this.#tryRead(this.layout.blob(hash));
      return bytes === undefined || hashOf(bytes) === hash;
    } catch (error) {
      if (error instanceof SessionStoreError) return false;
      throw error;
    }
  }

  /**
   * Makes durable what is in a blob's place, or puts what was discarded there.
   * @throws ENOENT, with nothing changed, when the discarded name or the staging folder is gone.
   */
  async restore(discarded: string, hash: string, stage: string): Promise<void> {
    if ((await this.#syncExisting(hash)) === "done") return;
    const temporary = `${this.layout.stageFolder(stage)}/${this.runtime.randomName(8)}`;
    await this.#linkIntoPlace(discarded, temporary, hash);
    await this.#syncExisting(hash);
  }

  #tryRead(path: string): Buffer | undefined {
    return unlessMissing(() => readRegularFile(this.fs, path, { bytesMax: this.options.bytesMax }));
  }

  /** Three lstats before a blob is read by way of these folders; the trash is looked at when it is searched. */
  #assertOwnFolders(hash: string): void {
    const { store, blobs } = this.layout;
    for (const folder of [store, blobs, this.layout.blobFolder(hash)]) assertFolderIfAny(this.fs, folder);
  }

  #findInTrash(hash: string): string | undefined {
    assertFolderIfAny(this.fs, this.layout.trash);
    // A copy tool may have left an empty folder out.
    const name = namesInNow(this.fs, this.layout.trash).find((candidate) => candidate.startsWith(`${hash}.`));
    return name === undefined ? undefined : `${this.layout.trash}/${name}`;
  }

  /**
   * What is in its place already, damaged or as good, is replaced.
   * @throws ENOENT when the name in the trash or the staging folder is gone.
   */
  async #linkIntoPlace(discarded: string, temporary: string, hash: string): Promise<void> {
    await this.fs.later.link(discarded, temporary);
    await this.#ensureFolder(hash);
    await this.fs.later.rename(temporary, this.layout.blob(hash));
    await ignoreMissing(this.fs.later.unlink(temporary)); // between two names of one file, a rename does nothing
  }

  /** What memory still has of a blob whose sync has failed, for a caller who does not have its content. */
  #readUnsynced({ hash }: BlobReference): Buffer | undefined {
    if (!this.#unsynced.has(hash)) return undefined;
    const bytes = this.#tryRead(this.layout.blob(hash));
    return bytes !== undefined && hashOf(bytes) === hash ? bytes : undefined;
  }

  /** Whether the discarder that made this name may still take the blob from its place. */
  #isHeld(discarded: string): boolean {
    const { holder } = partsOfTrashName(discarded.slice(this.layout.trash.length + 1));
    return holder !== undefined && existsNow(this.fs, this.layout.stageFolder(holder));
  }

  /**
   * Syncs a blob that is in its place, if that is what its name promises; what is not will be replaced.
   * @param bytes Its size, if the caller knows it.
   */
  async #syncExisting(hash: string, bytes?: number): Promise<"done" | "missing" | "corrupt"> {
    const path = this.layout.blob(hash);
    let fd: number;
    try {
      fd = await this.fs.later.open(path, "read");
    } catch (error) {
      if (isMissing(error)) return "missing";
      if (NOT_A_FILE.has(errnoOf(error) ?? "")) return "corrupt";
      throw error;
    }
    try {
      const status = this.fs.fstat(fd);
      if (status.kind !== "file" || status.size > this.options.bytesMax) return "corrupt";
      if (bytes !== undefined && status.size !== bytes) return "corrupt";
      if (hashOf(await this.#readOpen(fd, status.size)) !== hash || this.#unsynced.has(hash))
        return "corrupt";
      await this.fs.later.fdatasync(fd).catch((error: unknown) => {
        this.#unsynced.add(hash);
        throw error;
      });
    } finally {
      await this.fs.later.close(fd);
    }
    await syncDirectory(this.fs, this.layout.blobFolder(hash));
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
