/**
 * A store out of its session folders alone: for a copy that left out what begins with a dot, or a `.store` that is gone.
 *
 *   1. Every folder's `meta.json` is read; whose it is says the file, not the folder. Damaged ones are listed and stay.
 *   2. A file in a folder of another name is copied to where it belongs, if nothing is there, and the old folder gets a name
 *      that no session has. Not one rename of the folder, of which a power cut may keep neither name. Nothing is removed, ever.
 *   3. The files are made durable: from now on no log knows better.
 *   4. `.store.building-<random>` gets a log that begins above every revision, and a catalog of the sessions. One rename to
 *      `.store` makes all of it count.
 *
 * Several processes may do this at once: one of them wins the last rename, and what the others found is the same. A crash before
 * it leaves a building folder, which the next process that builds or opens the store removes, and folders with better
 * names; a crash after it leaves a store. Values that were shared (`$blob`) were in `.store` and cannot be made from
 * files: the report names them session by session.
 */
import { SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { ignoreExisting, ignoreMissing, isMissing, unlessMissing } from "../../fs/missing.js";
import { createFile, readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import {
  assertLocalFileSystem,
  openTrustedRoot,
  type Trust,
  type TrustedRoot,
} from "../../fs/trusted-path.js";
import { parseEntryDocument } from "../../format/entry-document.js";
import { ENTRY_FILE, Layout, partName, partsOfChunkName, STORE_FOLDER } from "../../format/layout.js";
import { ChunkFile } from "../../entries/chunk-file.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { folderNameForKey, keyFromFolderName } from "../../format/session-key.js";
import { referencesIn } from "../../format/stored-references.js";
import type { StoredObject, StoredValue } from "../../format/stored-value.js";
import type { Runtime } from "../../runtime.js";
import type { DamagedSession } from "../contract.js";
import { MemoryLayer } from "./catalog/layer.js";
import { composeManifest } from "./catalog/manifest.js";
import { blobName, type CatalogRow } from "./catalog/row.js";
import { composePart } from "./catalog/compose-part.js";
import { damageWithRealPaths, withRealPaths } from "./real-paths.js";
import { BUILDING, makeStore } from "./store-folder.js";
import { runInSlices } from "./time-slices.js";
import { highestChunkRevision } from "./transcripts/highest-chunk-revision.js";
import { writeLines } from "./write-lines.js";

export interface RebuildOptions {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  readonly path: string;
  /** Only says what would be done. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
  readonly trust: Trust;
}

/** What a rebuild found and did. */
export interface RebuildReport {
  /** The store's folder. */
  readonly path: string;
  /** Whether a store was made, or would be: false where `.store` is there already, and nothing is done. */
  readonly rebuilt: boolean;
  /** Sessions that the store has now, or would have. */
  readonly sessions: number;
  /** Highest revision of any file that was read. The next commit has a higher one. */
  readonly revision: number;
  /** Files that could not be read. They stay where they are; the store names them in each listing. */
  readonly damaged: readonly DamagedSession[];
  /**
   * Sessions whose folder did not have the name that belongs to the key: the file is in a folder `to` now, or would be, and
   * what was the folder is called `left`.
   */
  readonly renamed: readonly {
    readonly key: string;
    readonly from: string;
    readonly to: string;
    readonly left: string;
  }[];
  /** Files of sessions that another folder has by the right name: left alone, and no part of the store. */
  readonly surplus: readonly { readonly key: string; readonly path: string }[];
  /** Shared values that are gone: reading such a field is `blob_missing` until it is written again. */
  readonly missingValues: readonly {
    readonly key: string;
    readonly field: string;
    readonly hashes: readonly string[];
  }[];
}

/** No segment of a rebuilt log has number 1, which says that the log has everything that ever was. */
const FIRST_SEGMENT = 1000;

const NOTHING = Buffer.alloc(0);

/** A session's file as it was found; its bytes only if it has to be written elsewhere. */
interface Found {
  readonly folder: string;
  readonly key: string;
  readonly revision: number;
  readonly stored: StoredObject;
  readonly bytes: Buffer;
}

export async function rebuildDirectory(
  options: RebuildOptions,
  updatedAtOf: (entry: object) => number | undefined,
): Promise<RebuildReport> {
  const { fs, path, trust } = options;
  const root = unlessMissing(() => openTrustedRoot(fs, path, trust));
  if (root === undefined) {
    throw new SessionStoreError("store_not_found", `there is no folder ${path} to rebuild a store from.`, {
      data: { path },
    });
  }
  try {
    assertLocalFileSystem(fs, root.path);
    return await new Rebuild(options, root, updatedAtOf).run();
  } catch (error) {
    throw withRealPaths(error, root);
  } finally {
    root.close();
  }
}

class Rebuild {
  readonly #layout: Layout;
  readonly #found = new Map<string, Found>();
  readonly #damaged: DamagedSession[] = [];
  readonly #surplus: { key: string; path: string }[] = [];
  readonly #renamed: RebuildReport["renamed"][number][] = [];
  /** Highest of any file: one that is no part of the store may be put into it one day. */
  #revision = 0;

  constructor(
    private readonly options: RebuildOptions,
    private readonly root: TrustedRoot,
    private readonly updatedAtOf: (entry: object) => number | undefined,
  ) {
    this.#layout = new Layout(root.path);
  }

  async run(): Promise<RebuildReport> {
    const { fs, runtime, dryRun } = this.options;
    await runInSlices(this.#read(), runtime);
    const inChunks = await runInSlices(highestChunkRevision(fs, this.root.path), runtime);
    this.#revision = Math.max(this.#revision, inChunks);
    if (this.#hasStore()) return this.#report(false);
    if (this.#found.size === 0 && this.#damaged.length === 0) throw nothingToRebuild(this.root.realPath);
    if (dryRun) return this.#report(true);
    try {
      for (const found of this.#found.values()) await this.#placeDurably(found);
    } catch (error) {
      // Another rebuild was faster, and has swept our building folder.
      if (isMissing(error) && this.#hasStore()) return this.#report(false);
      throw error;
    }
    await syncDirectory(fs, this.root.path);
    await this.#setAside();
    const revision = this.#revision;
    const segment = FIRST_SEGMENT;
    const built = await makeStore(this.options, this.#layout, {
      segment,
      firstRevision: revision + 1,
      writeCatalog: (building, storeId) => this.#writeCatalog(building, storeId, segment - 1),
    });
    for (const folder of [this.#layout.store, this.#layout.root]) await syncDirectory(fs, folder);
    return this.#report(built);
  }

  async #writeCatalog(building: Layout, storeId: string, segment: number): Promise<void> {
    const { fs, runtime } = this.options;
    const rows = [...this.#found.values()].map((found) => this.#rowOf(found));
    const layers = [await runInSlices(MemoryLayer.of(rows), runtime)];
    const name = partName(segment, runtime.randomName(8));
    const lines = composePart({ name, storeId, layers, oldest: true });
    const part = await writeLines(fs, runtime, building.part(name), lines, { sync: true });
    const incomplete = this.#damaged.length > 0;
    const revision = this.#revision;
    const manifest = { segment, revision, next: revision + 1, incomplete, parts: [part] };
    await createFile(fs, building.catalog(segment), composeManifest(manifest, storeId), { sync: true });
  }

  #hasStore(): boolean {
    return this.options.fs.readdir(this.root.path).includes(STORE_FOLDER);
  }

  /** Whose file is where. Of several files of one session, the one in the right folder counts, then the newest. */
  *#read(): Generator<void, void> {
    const { fs, signal } = this.options;
    for (const folder of fs.readdir(this.root.path).sort()) {
      yield;
      signal?.throwIfAborted();
      if (folder.startsWith(".")) continue;
      const path = `${this.root.path}/${folder}/${ENTRY_FILE}`;
      const file = this.#readFile(folder, path);
      if (file === undefined) continue;
      if (typeof file === "string") {
        this.#damaged.push({ key: keyFromFolderName(folder), path, reason: file, missing: false });
        continue;
      }
      this.#revision = Math.max(this.#revision, file.revision);
      const rival = this.#found.get(file.key);
      const wins = rival === undefined || isBetter(file, rival);
      if (wins) this.#found.set(file.key, file);
      const loser = wins ? rival : file;
      if (loser !== undefined) this.#surplus.push({ key: loser.key, path: this.#pathOf(loser) });
    }
    this.#planNames();
  }

  #readFile(folder: string, path: string): Found | string | undefined {
    const { fs } = this.options;
    try {
      if (fs.lstat(`${this.root.path}/${folder}`).kind !== "directory") return undefined;
      const bytes = readRegularFile(fs, path, { bytesMax: 2 * LINE_BYTES_MAX });
      const parsed = parseEntryDocument(bytes);
      if (!parsed.ok) return `damaged at byte ${parsed.offset}: ${parsed.reason}`;
      const { key, revision, stored } = parsed;
      const wrong = folder !== folderNameForKey(key); // of all others the file itself is enough
      return { folder, key, revision, stored, bytes: wrong ? Buffer.from(bytes) : NOTHING };
    } catch (error) {
      if (isMissing(error)) return undefined;
      if (error instanceof SessionStoreError) return error.message;
      throw error;
    }
  }

  /** A folder whose right name is taken, by a damaged session or by a user's own things, stays as it is. */
  #planNames(): void {
    for (const found of this.#found.values()) {
      const to = folderNameForKey(found.key);
      if (found.folder === to) continue;
      if (this.#isTaken(to)) {
        this.#found.delete(found.key);
        this.#surplus.push({ key: found.key, path: this.#pathOf(found) });
      } else {
        this.#renamed.push({ key: found.key, from: found.folder, to, left: `.${found.folder}.renamed` });
      }
    }
  }

  /** An empty folder, or one with a user's own files, has room for the session's. */
  #isTaken(folder: string): boolean {
    const { fs } = this.options;
    const path = `${this.root.path}/${folder}`;
    const status = statusNow(fs, path);
    return status !== undefined && (status.kind !== "directory" || namesInNow(fs, path).includes(ENTRY_FILE));
  }

  /** A session's file under its right name, durably. */
  async #placeDurably({ folder, key, bytes }: Found): Promise<void> {
    const { fs, signal } = this.options;
    signal?.throwIfAborted();
    const right = this.#layout.sessionFolder(key);
    if (folder !== folderNameForKey(key)) {
      await this.#moveChunks(`${this.root.path}/${folder}`, key, right);
      await this.#copyIn(bytes, right);
    }
    const fd = fs.open(`${right}/${ENTRY_FILE}`, "read");
    try {
      await fs.later.fdatasync(fd);
    } finally {
      fs.close(fd);
    }
    await syncDirectory(fs, right);
  }

  /** The session's transcripts. They go first: a rebuild that was cut short finds the session where it still is, and goes on. */
  async #moveChunks(from: string, key: string, right: string): Promise<void> {
    const { fs } = this.options;
    const taken = namesInNow(fs, right);
    for (const name of namesInNow(fs, from)) {
      const parts = partsOfChunkName(name);
      if (parts === undefined || taken.includes(name) || keyOfChunk(fs, `${from}/${name}`) !== key) continue;
      await ignoreExisting(fs.later.mkdir(right));
      await fs.later.rename(`${from}/${name}`, `${right}/${name}`);
    }
  }

  /** By way of a building folder: the next process removes what was cut short there. */
  async #copyIn(bytes: Buffer, right: string): Promise<void> {
    const { fs, runtime } = this.options;
    const aside = `${this.root.path}/${BUILDING}${runtime.randomName(8)}`;
    await fs.later.mkdir(aside);
    await createFile(fs, `${aside}/${ENTRY_FILE}`, bytes, { sync: true });
    await ignoreExisting(fs.later.mkdir(right));
    await fs.later.rename(`${aside}/${ENTRY_FILE}`, `${right}/${ENTRY_FILE}`);
    await fs.later.rmdir(aside);
  }

  /** Folders whose file is in its right place now, durably, go to names that no session has. */
  async #setAside(): Promise<void> {
    const { fs } = this.options;
    const root = this.root.path;
    for (const { from, left } of this.#renamed) {
      if (fs.readdir(root).includes(left)) continue;
      await ignoreMissing(fs.later.rename(`${root}/${from}`, `${root}/${left}`));
    }
  }

  #rowOf({ key, revision, stored }: Found): CatalogRow {
    const updatedAt = this.updatedAtOf(stored);
    return {
      key,
      revision,
      updatedAt: updatedAt !== undefined && Number.isFinite(updatedAt) ? updatedAt : 0,
      blobs: referencesIn(stored).map(blobName),
    };
  }

  #pathOf({ folder }: Found): string {
    return `${this.root.path}/${folder}/${ENTRY_FILE}`;
  }

  #report(rebuilt: boolean): RebuildReport {
    const real = (path: string): string => path.replace(this.root.path, this.root.realPath);
    return {
      path: this.root.realPath,
      rebuilt,
      sessions: this.#found.size,
      revision: this.#revision,
      damaged: this.#damaged.map((damage) => damageWithRealPaths(damage, this.root)),
      renamed: this.#renamed,
      surplus: this.#surplus.map(({ key, path }) => ({ key, path: real(path) })),
      // Beside a store that others have they are in their places, or that store tells.
      missingValues: rebuilt ? [...this.#found.values()].flatMap(missingIn) : [],
    };
  }
}

/** Without `.store` all shared values are gone. */
function missingIn({ key, stored }: Found): RebuildReport["missingValues"] {
  return Object.keys(stored).flatMap((field) => {
    const hashes = referencesIn({ field: stored[field] as StoredValue }).map(({ hash }) => hash);
    return hashes.length === 0 ? [] : [{ key, field, hashes }];
  });
}

function isBetter(one: Found, other: Found): boolean {
  const right = folderNameForKey(one.key);
  if ((one.folder === right) !== (other.folder === right)) return one.folder === right;
  return one.revision > other.revision;
}

function nothingToRebuild(path: string): SessionStoreError {
  return new SessionStoreError(
    "not_a_store",
    `${path} has no session folder, so there is nothing to rebuild a store of. Check the path; a new store is made when it ` +
      "is opened.",
    { data: { path } },
  );
}

/** Whose file of a transcript it is; undefined if that cannot be told. */
function keyOfChunk(fs: FileSystem, path: string): string | undefined {
  try {
    const chunk = ChunkFile.open(fs, path);
    try {
      return chunk.key;
    } finally {
      chunk.close();
    }
  } catch (error) {
    if (error instanceof SessionStoreError || isMissing(error)) return undefined;
    throw error;
  }
}
