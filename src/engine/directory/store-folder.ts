/**
 * The folder of a store: found and checked, or made.
 *
 * A new store is built aside as `.store.building-<random>`, synced, and renamed to `.store` in one step, so two first
 * openers cannot race: the rename onto the winner's folder fails, for that is not empty. A crash leaves a building
 * folder, which the next process that makes or first opens the store removes.
 */
import { dirname } from "node:path";
import { errnoOf, isDiskFull, SessionStoreError, type StoreWarning } from "../../errors.js";
import { RESERVE_BYTES, reserveBytesOn, reserveContent } from "../../entries/reserve.js";
import { assertFolderIfAny, internalFolders } from "../../entries/internal-folder.js";
import type { FileSystem } from "../../fs/file-system.js";
import { ignoreExisting, isMissing, unlessMissing } from "../../fs/missing.js";
import {
  createFile,
  openRegularFile,
  readRegularFile,
  syncDirectory,
  syncDirectoryOnTheWay,
} from "../../fs/regular-file.js";
import {
  assertLocalFileSystem,
  assertTrustedFolders,
  assertTrustedParents,
  openTrustedRoot,
  type Trust,
  type TrustedRoot,
} from "../../fs/trusted-path.js";
import { ENTRY_FILE, isSystemName, Layout, STORE_FOLDER } from "../../format/layout.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import type { LogHeader } from "../../format/log-line.js";
import { CHUNK_BYTES } from "../../format/transcript-lines.js";
import { chunkMember, newStageName, publish, stageSegment } from "../../log/next-segment.js";
import type { Runtime } from "../../runtime.js";
import { withRealPaths } from "./real-paths.js";

export interface StoreFolder {
  readonly root: TrustedRoot;
  readonly layout: Layout;
  readonly storeId: string;
}

export interface StoreFolderOptions {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  readonly path: string;
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly trust: Trust;
  readonly onWarning: (warning: StoreWarning) => void;
}

/** Major version of the on-disk format that this code reads and writes. */
const FORMAT = 2;
const KIND = "sessiondir";
/** Folders with this prefix are half-made, and removed by the next process that finds them in a store. */
export const BUILDING = `${STORE_FOLDER}.building-`;
const FORMAT_BYTES_MAX = 64 * 1024;

/**
 * Opens the folder of a store. All of it is synchronous: a thread's way there and back costs more than the calls.
 * @returns Undefined if there is none, or an empty folder, and one may be made; otherwise that is `store_not_found`.
 */
export function findStoreFolder(options: StoreFolderOptions): StoreFolder | undefined {
  const { fs, path } = options;
  const mayMake = options.create && !options.readOnly;
  const root = findRoot(options);
  if (root === undefined) {
    if (!mayMake) throw storeNotFound(path);
    return undefined;
  }
  try {
    const locality = assertLocalFileSystem(fs, root.path, options.readOnly ? "read" : "write");
    const layout = new Layout(root.path);
    assertFolderIfAny(fs, layout.store);
    const storeId = readFormat(options, layout, root.realPath);
    if (storeId === undefined) {
      if (!mayMake) throw storeNotFound(root.realPath);
      root.close();
      return undefined;
    }
    warnOfLimits(options, root.realPath, locality);
    checkFolders(options, internalFolders(layout));
    return { root, layout, storeId };
  } catch (error) {
    root.close();
    throw withRealPaths(error, root);
  }
}

/** Makes a store where {@link findStoreFolder} found none. Others may do so at the same time: one store comes of it. */
export async function makeStoreFolder(
  options: StoreFolderOptions,
  measures: Measures = {},
): Promise<StoreFolder> {
  const { fs, path } = options;
  const root = await makeRoot(options);
  try {
    const layout = new Layout(root.path);
    await syncParents(fs, root.realPath);
    await makeStore(options, layout, FROM_NOTHING, measures);
    for (const folder of [layout.store, layout.root]) await syncDirectory(fs, folder);
  } catch (error) {
    throw withRealPaths(error, root);
  } finally {
    root.close();
  }
  const made = findStoreFolder(options);
  if (made === undefined) throw storeNotFound(path);
  return made;
}

/**
 * Makes the way to a folder durable, which others may have made and not synced yet, before a store appears in it. A
 * folder that we may pass through and not read cannot be synced, and was not made by us.
 */
async function syncParents(fs: FileSystem, path: string): Promise<void> {
  for (let folder = path; dirname(folder) !== folder;) {
    folder = dirname(folder);
    await syncDirectoryOnTheWay(fs, folder);
  }
}

/** Copies and archives often leave out what is empty; a folder without anything in it says nothing, so it is made. */
function checkFolders({ fs, readOnly, trust }: StoreFolderOptions, folders: readonly string[]): void {
  for (const folder of assertTrustedFolders(fs, folders, trust)) {
    if (readOnly) continue;
    try {
      fs.mkdir(folder);
    } catch (failure) {
      if (errnoOf(failure) !== "EEXIST") throw failure;
    }
  }
}

function findRoot({ fs, path, trust }: StoreFolderOptions): TrustedRoot | undefined {
  return unlessMissing(() => openTrustedRoot(fs, path, trust, internalFolders(new Layout("."))));
}

async function makeRoot(options: StoreFolderOptions): Promise<TrustedRoot> {
  const { fs, path, trust } = options;
  const found = findRoot(options);
  if (found !== undefined) return found;
  const { existing, missing } = assertTrustedParents(fs, path, trust);
  assertLocalFileSystem(fs, existing, "write");
  let folder = existing;
  for (const name of missing) {
    const parent = folder;
    folder = folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
    await ignoreExisting(fs.later.mkdir(folder));
    await syncDirectory(fs, parent);
  }
  return openTrustedRoot(fs, path, trust);
}

function warnOfLimits(
  { fs, onWarning }: StoreFolderOptions,
  path: string,
  locality: "local" | "unknown",
): void {
  if (locality === "unknown") {
    const message =
      `${path}: it is not known whether this file system appends atomically (FUSE, virtiofs, or a platform that ` +
      "does not tell). It must be a local disk that only this machine writes to.";
    onWarning({ code: "file_system_unknown", message, data: { path } });
  }
  if (!fs.guarantees.directorySync) {
    const message = `${path}: folders cannot be synced on this platform, so a power cut may undo the newest files.`;
    onWarning({ code: "durability_limited", message, data: { path } });
  }
}

/** The store's id; undefined if this is an empty folder. */
function readFormat(
  options: StoreFolderOptions,
  layout: Layout,
  path: string,
  attempt: "first" | "second" = "first",
): string | undefined {
  const limits = { bytesMax: FORMAT_BYTES_MAX };
  const bytes = unlessMissing(() => readRegularFile(options.fs, layout.format, limits));
  if (bytes === undefined) {
    const names = options.fs.readdir(layout.root);
    if (names.includes(STORE_FOLDER)) {
      // Another first opener may have moved it in between the two looks; it came as a whole.
      if (attempt === "first") return readFormat(options, layout, path, "second");
      throw formatDamaged(path, "is missing");
    }
    const foreign = names.find((name) => !name.startsWith(".") && !isSystemName(name));
    if (foreign === undefined) return undefined;
    if (names.some((name) => isSessionFolder(options.fs, layout.root, name))) throw storeIncomplete(path);
    throw new SessionStoreError(
      "not_a_store",
      `${path} has no ${STORE_FOLDER} folder but holds other things, for example ${JSON.stringify(foreign)}. ` +
        "Give the path of a session store, or of a folder that is empty or does not exist.",
      { data: { path, found: foreign } },
    );
  }
  return interpretFormat(options, bytes.toString("utf8"), path);
}

function interpretFormat({ onWarning }: StoreFolderOptions, text: string, path: string): string {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw formatDamaged(path, "is not JSON");
  }
  const { kind, format, minor, storeId } = value ?? {};
  if (kind !== KIND || !Number.isSafeInteger(format))
    throw formatDamaged(path, "does not describe a session store");
  if (format !== FORMAT) {
    throw new SessionStoreError(
      "format_unsupported",
      `${path} has format ${String(format)}, this version of sessiondir knows format ${FORMAT}. ${nextStep(Number(format), path)}`,
      { data: { path, found: format as number, supported: FORMAT } },
    );
  }
  if (typeof storeId !== "string" || storeId === "") throw formatDamaged(path, "has no storeId");
  if (typeof minor === "number" && minor > 0) {
    const message = `${path} was written by a newer version of sessiondir (format ${FORMAT}.${minor}); it can be used.`;
    onWarning({ code: "format_newer_minor", message, data: { path, minor } });
  }
  return storeId;
}

/** What a new store begins with. */
export interface Beginning {
  /** Number of the first segment. */
  readonly segment: number;
  readonly firstRevision: number;
  /** Writes the catalog as of the segment before it, if there is one, durably. */
  readonly writeCatalog?: (building: Layout, storeId: string) => Promise<void>;
}

/** Sizes that a new store has. */
export interface Measures {
  /** Default {@link RESERVE_BYTES}. */
  readonly reserveBytes?: number | undefined;
  /** Default {@link CHUNK_BYTES}. */
  readonly chunkBytes?: number | undefined;
}

const FROM_NOTHING: Beginning = { segment: 1, firstRevision: 1 };

/**
 * Makes `.store` in one step.
 * @returns False if another one was faster.
 */
export async function makeStore(
  options: Pick<StoreFolderOptions, "fs" | "runtime">,
  layout: Layout,
  beginning = FROM_NOTHING,
  { reserveBytes = RESERVE_BYTES, chunkBytes = CHUNK_BYTES }: Measures = {},
): Promise<boolean> {
  const { fs, runtime } = options;
  const building = new Layout(layout.root, `${BUILDING}${runtime.randomName(8)}`);
  let made = true;
  try {
    await build(options, building, beginning, chunkBytes);
    await buildReserve(options, building, reserveBytes);
    await fs.later.rename(building.store, layout.store);
  } catch (error) {
    // Another one was faster, and may have removed our unfinished work already.
    const lost = ["ENOTEMPTY", "EEXIST", "ENOENT", "EPERM"].includes(errnoOf(error) ?? "");
    if (!lost || !fs.readdir(layout.root).includes(STORE_FOLDER)) throw error;
    made = false;
  }
  await removeBuildingFolders(fs, layout);
  return made;
}

async function build(
  { fs, runtime }: Pick<StoreFolderOptions, "fs" | "runtime">,
  building: Layout,
  { segment, firstRevision, writeCatalog }: Beginning,
  chunkBytes: number,
): Promise<void> {
  const storeId = runtime.randomName(16);
  const stage = newStageName(runtime, segment);
  const header: LogHeader = {
    segment,
    firstRevision,
    after: firstRevision - 1,
    store: storeId,
    stage,
    ...chunkMember(chunkBytes),
  };
  const format = { kind: KIND, format: FORMAT, storeId, createdAt: Math.trunc(runtime.now()) };
  const folders = [building.log, building.stage, building.blobs, building.trash, building.quarantine];
  await fs.later.mkdir(building.store);
  for (const folder of folders) await fs.later.mkdir(folder);
  await createFile(fs, building.format, Buffer.from(`${JSON.stringify(format)}\n`), { sync: true });
  // As all later segments come to the log: where files cannot have two names that shows now, and not when one is full.
  const staged = await stageSegment({ fs, layout: building }, header);
  await publish(fs, staged, building.segment(segment));
  await fs.later.unlink(staged);
  await writeCatalog?.(building, storeId);
  for (const folder of [...folders, building.store]) await syncDirectory(fs, folder);
}

/** A store without one may be used, too: the first process that writes to it makes it, if there is room by then. */
async function buildReserve(
  { fs }: Pick<StoreFolderOptions, "fs">,
  building: Layout,
  reserveBytes: number,
): Promise<void> {
  const bytes = reserveBytesOn(fs.room(building.store).totalBytes, reserveBytes);
  try {
    await createFile(fs, building.reserve, reserveContent(bytes), { sync: true });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Leftovers of processes that were killed while they built a store that exists now. */
export async function removeBuildingFolders(fs: FileSystem, layout: Layout): Promise<void> {
  for (const name of await fs.later.readdir(layout.root)) {
    if (name.startsWith(BUILDING)) await removeTree(fs, `${layout.root}/${name}`);
  }
}

/** Removes a building folder and what is in it, which others may be removing as well. */
async function removeTree(fs: FileSystem, folder: string): Promise<void> {
  try {
    if (fs.lstat(folder).kind !== "directory") return await fs.later.unlink(folder); // never through a link
    for (const name of await fs.later.readdir(folder)) await removeTree(fs, `${folder}/${name}`);
    await fs.later.rmdir(folder);
  } catch (error) {
    if (!isMissing(error) && errnoOf(error) !== "ENOTEMPTY") throw error;
  }
}

function storeNotFound(path: string): SessionStoreError {
  return new SessionStoreError(
    "store_not_found",
    `there is no session store at ${path}. Check the path; where readOnly or create: false is given, no store is made.`,
    { data: { path } },
  );
}

/** How the file of a session begins. */
const SESSION_FILE = '{"$session":';

/** Whether a folder has the file of a session: what is left of a store whose `.store` is gone. */
function isSessionFolder(fs: FileSystem, root: string, name: string): boolean {
  if (name.startsWith(".")) return false;
  try {
    const bytesMax = 2 * LINE_BYTES_MAX;
    const { fd } = openRegularFile(fs, `${root}/${name}/${ENTRY_FILE}`, "read", { bytesMax });
    try {
      const bytes = Buffer.alloc(SESSION_FILE.length);
      fs.read(fd, bytes, 0, bytes.length, 0);
      return bytes.toString("latin1") === SESSION_FILE;
    } finally {
      fs.close(fd);
    }
  } catch {
    return false; // no session's, whatever it is
  }
}

function storeIncomplete(path: string): SessionStoreError {
  return new SessionStoreError(
    "store_incomplete",
    `${path} has folders of sessions, but no ${STORE_FOLDER} folder: it was left out of a copy, or removed. Nothing was changed. ` +
      `Restore ${STORE_FOLDER} from the same copy, or make a store from the sessions' files alone: sessiondir rebuild --store, or ` +
      "rebuildDirectoryStore(path).",
    { data: { path } },
  );
}

function nextStep(format: number, path: string): string {
  if (format > FORMAT) return "Update sessiondir.";
  return (
    `Bring it over with two commands: sessiondir rollback --store ${path} of the version that made it, and then sessiondir ` +
    `migrate --store ${path} of this one.`
  );
}

function formatDamaged(path: string, what: string): SessionStoreError {
  return new SessionStoreError(
    "format_damaged",
    `${path}/${STORE_FOLDER}/format.json ${what}, beside what may be a store's log. Nothing was changed; restore ` +
      "this file from a backup of the same store.",
    { data: { path } },
  );
}
