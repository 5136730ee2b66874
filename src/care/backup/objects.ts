/**
 * Contents of files, each once, under the SHA-256 of its bytes. A file of the store is cut into pieces of 256 KiB, each an
 * object: of a log or a transcript that grows only the last piece is written anew.
 *
 * An object comes by a rename out of the folder of the backup that is being made, whole and durable, so a name in
 * `objects/` is never half a content. A crash leaves objects that no backup names; the next one of the same content uses
 * them, or a prune removes them.
 */
import { createHash } from "node:crypto";
import { errnoOf, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { ignoreExisting, ignoreMissing } from "../../fs/missing.js";
import { createFile, readRegularFile } from "../../fs/regular-file.js";
import { namesInNow } from "../../fs/status.js";
import type { BackupFolder } from "./folder.js";

/** So that an append to a transcript of 4 MiB costs a sixteenth of it, and a log is not a thousand files. */
export const PIECE_BYTES = 256 * 1024;

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const HASH = /^[0-9a-f]{64}$/;

export function isHash(text: unknown): text is string {
  return typeof text === "string" && HASH.test(text);
}

/** Hashes of all objects that are there. Names that are none of ours are left out. */
export function listObjects(fs: FileSystem, folder: BackupFolder): Set<string> {
  const found = new Set<string>();
  for (const prefix of namesInNow(fs, folder.objects)) {
    for (const name of namesInNow(fs, `${folder.objects}/${prefix}`)) {
      if (isHash(name) && name.startsWith(prefix)) found.add(name);
    }
  }
  return found;
}

/** What is wrong with an object. */
export interface Fault {
  readonly what: "missing" | "damaged";
  /** In a few words. */
  readonly reason: string;
}

/** An object's bytes, or what is wrong with it. @param bytesMax More than that it does not have. */
export function readObject(
  fs: FileSystem,
  folder: BackupFolder,
  hash: string,
  bytesMax: number,
): { readonly bytes: Buffer } | Fault {
  let bytes: Buffer;
  try {
    bytes = readRegularFile(fs, folder.object(hash), { bytesMax });
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? ""))
      return { what: "missing", reason: "it is not there" };
    if (errnoOf(error) === "EIO") return { what: "damaged", reason: "the disk cannot read it" };
    if (error instanceof SessionStoreError && error.code === "file_unsafe")
      return { what: "damaged", reason: "it is larger than it was, or no regular file" };
    throw error;
  }
  return hashOf(bytes) === hash
    ? { bytes }
    : { what: "damaged", reason: "its content does not match its name" };
}

/** Writes the objects of one backup. */
export class ObjectWriter {
  writtenBytes = 0;
  /** Objects whose names may not be durable yet. */
  readonly #folders = new Set<string>();
  readonly #made = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  #count = 0;

  constructor(
    private readonly fs: FileSystem,
    private readonly folder: BackupFolder,
    /** Folder of the backup that is being made. */
    private readonly claim: string,
    /** What is there; what is written is added. */
    private readonly known: Set<string>,
    /** Objects that were found damaged, and are written again. */
    private readonly damaged: ReadonlySet<string>,
    /** Only count what would be written. */
    private readonly dryRun = false,
  ) {}

  has(hash: string): boolean {
    return this.known.has(hash) && !(this.damaged.has(hash) && !this.#made.has(hash));
  }

  /** @returns The object's hash. */
  async put(bytes: Uint8Array): Promise<string> {
    const hash = hashOf(bytes);
    this.#folders.add(this.folder.objectFolder(hash));
    if (this.has(hash)) return hash;
    // Two files of the same content at once: it is written once.
    let running = this.#running.get(hash);
    if (running === undefined) {
      running = this.#write(hash, bytes).finally(() => this.#running.delete(hash));
      this.#running.set(hash, running);
    }
    await running;
    return hash;
  }

  async #write(hash: string, bytes: Uint8Array): Promise<void> {
    const { fs, folder } = this;
    if (this.dryRun) return this.#done(hash, bytes);
    const temporary = `${this.claim}/${++this.#count}`;
    await createFile(fs, temporary, bytes, { sync: true });
    try {
      await fs.later.rename(temporary, folder.object(hash)).catch(async (error: unknown) => {
        if (errnoOf(error) !== "ENOENT") throw error;
        await ignoreExisting(fs.later.mkdir(folder.objectFolder(hash)));
        await fs.later.rename(temporary, folder.object(hash));
      });
    } catch (error) {
      await ignoreMissing(fs.later.unlink(temporary)).catch(() => {});
      throw error;
    }
    this.#done(hash, bytes);
  }

  #done(hash: string, bytes: Uint8Array): void {
    this.writtenBytes += bytes.byteLength;
    this.#made.add(hash);
    this.known.add(hash);
  }

  /** Folders with names that this backup added or found, and that may not be durable. */
  get folders(): Iterable<string> {
    return this.#folders;
  }
}
