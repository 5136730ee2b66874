/**
 * Whole files, read and made with care.
 *
 * A file of the store is a regular file of bounded size. Anything else (a symlink, a FIFO, a device) is refused as
 * `file_unsafe` without following it and without blocking. How many names a file has does not matter: no other user can
 * make a name in a folder of ours, and another name of the file was made from one of ours (a snapshot by hard
 * links, a tool that stages uploads). All but the log is replaced by renames, so such a copy stays as it was.
 *
 * A crash in the middle of {@link createFile} leaves a file that is too short: make it in a folder that is swept.
 */
import { SessionStoreError, errnoOf } from "../errors.js";
import type { FileStatus, FileSystem } from "./file-system.js";
import { writeAll } from "./write-all.js";

export interface RegularFileLimits {
  /** Larger files are refused; `data.limit` and `data.actual` of the error tell. */
  readonly bytesMax: number;
}

/**
 * Reads a whole file: four system calls (open, fstat, read, close).
 *
 * A missing file throws the system's own ENOENT. The buffer may be a part of Node's shared pool: decode it
 * or copy it, don't keep it.
 */
export function readRegularFile(fs: FileSystem, path: string, limits: RegularFileLimits): Buffer {
  const { fd, status } = openRegularFile(fs, path, "read", limits);
  try {
    return readToEnd(fs, fd, path, status.size, limits.bytesMax);
  } finally {
    fs.close(fd);
  }
}

/** Opens an existing file and makes sure that it is a regular one. The caller closes `fd`. */
export function openRegularFile(
  fs: FileSystem,
  path: string,
  mode: "read" | "append",
  limits: RegularFileLimits,
): { fd: number; status: FileStatus } {
  let fd: number;
  try {
    fd = fs.open(path, mode);
  } catch (error) {
    throw unsafeOpen(error, path);
  }
  try {
    const status = fs.fstat(fd);
    assertRegularFile(status, path, limits);
    return { fd, status };
  } catch (error) {
    fs.close(fd);
    throw error;
  }
}

/**
 * Throws `file_unsafe` unless this name is a folder itself: a link in its place would lead out of the store. One
 * lstat; a missing folder throws the system's own ENOENT.
 */
export function assertFolder(fs: FileSystem, path: string): FileStatus {
  const status = fs.lstat(path);
  assertIsFolder(status, path);
  return status;
}

/** The same for a status that is known. */
export function assertIsFolder({ kind }: FileStatus, path: string): void {
  if (kind === "directory") return;
  throw unsafe(path, `is ${withArticle(kind)}, not a folder`, PUT_FOLDER, { kind });
}

/** Throws `file_unsafe` unless this is the status of a regular file within the limits. */
export function assertRegularFile(status: FileStatus, path: string, limits: RegularFileLimits): void {
  if (status.kind !== "file") {
    throw unsafe(path, `is ${withArticle(status.kind)}, not a regular file`, PUT_FILE, { kind: status.kind });
  }
  if (status.size > limits.bytesMax) throw tooLarge(path, status.size, limits.bytesMax);
}

/**
 * Makes a new file with these bytes. A name that exists throws EEXIST. If anything fails, the half-made file
 * is removed again as far as possible.
 * @param options.sync Whether the content is durable when the promise resolves; the name never is.
 */
export async function createFile(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array,
  options: { readonly sync: boolean },
): Promise<void> {
  await createFileBy(fs, path, (fd) => writeAll(fs, fd, bytes), options);
}

/** The same with what a function writes. @returns What the function gives. */
export async function createFileBy<T>(
  fs: FileSystem,
  path: string,
  write: (fd: number) => Promise<T>,
  options: { readonly sync: boolean },
): Promise<T> {
  const fd = await fs.later.open(path, "create");
  try {
    try {
      const result = await write(fd);
      if (options.sync) await fs.later.fdatasync(fd);
      return result;
    } finally {
      fs.close(fd);
    }
  } catch (error) {
    // On a full disk the space is needed, and the name is known to be ours: O_EXCL made it.
    await fs.later.unlink(path).catch(() => {});
    throw error;
  }
}

/** Makes the names in a folder durable. Does nothing where the platform cannot. */
export async function syncDirectory(fs: FileSystem, path: string): Promise<void> {
  if (!fs.guarantees.directorySync) return;
  const fd = fs.open(path, "directory");
  try {
    await fs.later.fsync(fd);
  } finally {
    fs.close(fd);
  }
}

const SYNCS: ReadonlySet<string | undefined> = new Set(["fdatasync", "fsync"]);

/** Whether it is the sync itself that failed, not what came before it: only then may data be lost. */
export function isFailedSync(error: unknown): boolean {
  return error instanceof Error && SYNCS.has((error as NodeJS.ErrnoException).syscall);
}

/** What opening or syncing a folder gives that belongs to another user, or to the system. */
const UNREADABLE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "EINVAL", "ENOTSUP"]);

/** The same for a folder on the way to ours: one that we may pass through and not read was not changed by us. */
export async function syncDirectoryOnTheWay(fs: FileSystem, path: string): Promise<void> {
  await syncDirectory(fs, path).catch((error: unknown) => {
    if (!UNREADABLE.has(errnoOf(error) ?? "")) throw error;
  });
}

/** The blocking form of {@link syncDirectory}. */
export function syncDirectoryNow(fs: FileSystem, path: string): void {
  if (!fs.guarantees.directorySync) return;
  const fd = fs.open(path, "directory");
  try {
    fs.fsync(fd);
  } finally {
    fs.close(fd);
  }
}

/** One byte more than expected is asked for: an answer without it shows the end, and saves a second read. */
function readToEnd(fs: FileSystem, fd: number, path: string, size: number, bytesMax: number): Buffer {
  let buffer = Buffer.allocUnsafe(size + 1);
  let filled = 0;
  for (;;) {
    const count = fs.read(fd, buffer, filled, buffer.length - filled, filled);
    filled += count;
    if (filled > bytesMax) throw tooLarge(path, filled, bytesMax);
    if (count === 0 || filled === size) return buffer.subarray(0, filled);
    if (filled < buffer.length) continue;
    const larger = Buffer.allocUnsafe(Math.min(buffer.length * 2, bytesMax + 1));
    buffer.copy(larger, 0, 0, filled);
    buffer = larger;
  }
}

/**
 * What the systems say when O_NOFOLLOW meets a symlink (Linux and macOS, FreeBSD, NetBSD), or when a socket or a
 * device without a driver is opened.
 */
const UNSAFE_OPENS: ReadonlyMap<string, string> = new Map([
  ["ELOOP", "is a symlink"],
  ["EMLINK", "is a symlink"],
  ["EFTYPE", "is a symlink"],
  ["EISDIR", "is a directory"],
  ["ENXIO", "is a socket or a device"],
  ["ENODEV", "is a device"],
  ["EOPNOTSUPP", "is a socket"],
]);

function withArticle(kind: FileStatus["kind"]): string {
  return kind === "other" ? "a FIFO, socket or device" : `a ${kind}`;
}

function unsafeOpen(error: unknown, path: string): unknown {
  const what = UNSAFE_OPENS.get(errnoOf(error) ?? "");
  return what === undefined ? error : unsafe(path, `${what}, not a regular file`, PUT_FILE, {}, error);
}

function tooLarge(path: string, actual: number, limit: number): SessionStoreError {
  const what = `has ${actual} bytes, more than the ${limit} that are allowed`;
  return unsafe(path, what, "restore it from a backup", { limit, actual });
}

/** Of what stands there instead nothing is lost by this: a link keeps its target. */
const PUT_FILE = "put the file itself in its place, from where it was moved to or from a backup";
const PUT_FOLDER = "put the folder itself in its place, with all that was in it";

function unsafe(
  path: string,
  what: string,
  next: string,
  data: Readonly<Record<string, string | number>>,
  cause?: unknown,
): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} ${what}. Nothing was read or changed: ${next}, and open again.`,
    { data: { path, ...data }, cause },
  );
}
