/**
 * The file-system port over `node:fs`: the only module of the library that calls it.
 *
 * The blocking calls are thin enough to count as the system call itself. The deferred ones use the callback
 * API, because `fs.promises` costs five times as much.
 *
 * Invariants: nothing is opened through a symlink at its last name, nothing that exists is ever truncated, and
 * what is created has its exact mode before its descriptor or its promise is handed out. libuv adds O_CLOEXEC to
 * every open. A crash between creation and the mode's correction leaves a file or folder with a mode that is
 * stricter than it should be, never wider.
 */
import * as fs from "node:fs";
import type { BigIntStats } from "node:fs";
import { uptime } from "node:os";
import type { Deferred, FileCalls, FileStatus, FileSystem, OpenMode } from "./file-system.js";

const CONSTANTS: Readonly<Record<string, number | undefined>> = fs.constants;

/** A constant that a platform lacks counts as 0. */
function flag(name: string): number {
  return CONSTANTS[name] ?? 0;
}

const NO_FOLLOW = flag("O_NOFOLLOW");
/** A FIFO or a device that stands in place of a file must neither block us nor become our terminal. */
const NO_WAIT = flag("O_NONBLOCK") | flag("O_NOCTTY");

const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: flag("O_RDONLY") | NO_FOLLOW | NO_WAIT,
  append: flag("O_RDWR") | flag("O_APPEND") | NO_FOLLOW | NO_WAIT,
  update: flag("O_RDWR") | NO_FOLLOW | NO_WAIT,
  create: flag("O_RDWR") | flag("O_CREAT") | flag("O_EXCL") | NO_FOLLOW,
  directory: flag("O_RDONLY") | flag("O_DIRECTORY") | NO_FOLLOW,
};

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const WINDOWS = process.platform === "win32";

type Done<T> = (error: Error | null | undefined, value?: T) => void;

function promised<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error) reject(error);
      else resolve(value as T);
    });
  });
}

const later: Deferred<FileCalls> = {
  open: (path, mode) =>
    promised((done) => {
      try {
        refuseLinkOnWindows(path);
      } catch (error) {
        done(error as Error);
        return;
      }
      fs.open(path, FLAGS[mode], FILE_MODE, (error, fd) => {
        if (error !== null || mode !== "create") done(error, fd);
        else finish(done, () => withFileMode(fd));
      });
    }),
  close: (fd) => promised((done) => fs.close(fd, done)),
  read: (fd, buffer, offset, length, position) =>
    promised((done) => fs.read(fd, buffer, offset, length, position, done)),
  write: (fd, buffer, offset, length, position) =>
    promised((done) => fs.write(fd, buffer, offset, length, position ?? null, done)),
  fstat: (fd) =>
    promised((done) =>
      fs.fstat(fd, { bigint: true }, (error, stats) =>
        error === null ? done(null, statusOf(stats)) : done(error),
      ),
    ),
  lstat: (path) =>
    promised((done) =>
      fs.lstat(path, { bigint: true }, (error, stats) =>
        error === null ? done(null, statusOf(stats)) : done(error),
      ),
    ),
  readdir: (path) => promised((done) => fs.readdir(path, done)),
  // In one piece: between the call and the correction of its mode this process must not use the folder.
  mkdir: (path) => promised((done) => finish(done, () => nodeFileSystem.mkdir(path))),
  rmdir: (path) => promised((done) => fs.rmdir(path, done)),
  unlink: (path) => promised((done) => fs.unlink(path, done)),
  rename: (from, to) => promised((done) => fs.rename(from, to, done)),
  link: (existing, created) => promised((done) => fs.link(existing, created, done)),
  fdatasync: (fd) => promised((done) => fs.fdatasync(fd, done)),
  fsync: (fd) => promised((done) => fs.fsync(fd, done)),
};

let pinnedRoot: boolean | undefined;

/** The real file system of this process. Stateless: every store shares it. */
export const nodeFileSystem: FileSystem = {
  later,
  guarantees: {
    directorySync: !WINDOWS,
    get pinnedRoot() {
      return (pinnedRoot ??= canPin());
    },
  },

  open(path, mode) {
    refuseLinkOnWindows(path);
    const fd = fs.openSync(path, FLAGS[mode], FILE_MODE);
    return mode === "create" ? withFileMode(fd) : fd;
  },
  close: (fd) => fs.closeSync(fd),
  read: (fd, buffer, offset, length, position) => fs.readSync(fd, buffer, offset, length, position),
  write: (fd, buffer, offset, length, position) => fs.writeSync(fd, buffer, offset, length, position),
  fstat: (fd) => statusOf(fs.fstatSync(fd, { bigint: true })),
  lstat: (path) => statusOf(fs.lstatSync(path, { bigint: true })),
  readdir: (path) => fs.readdirSync(path),
  mkdir(path) {
    fs.mkdirSync(path, DIRECTORY_MODE);
    fixDirectoryMode(path);
  },
  rmdir: (path) => fs.rmdirSync(path),
  unlink: (path) => fs.unlinkSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  link: (existing, created) => fs.linkSync(existing, created),
  fdatasync: (fd) => fs.fdatasyncSync(fd),
  fsync: (fd) => fs.fsyncSync(fd),

  realpath: (path) => fs.realpathSync.native(path),
  readlink: (path) => fs.readlinkSync(path),
  fileSystemType(path) {
    // Elsewhere the number is an index that the kernel hands out as it likes, not a magic number.
    if (process.platform !== "linux") return undefined;
    return BigInt.asUintN(32, fs.statfsSync(path, { bigint: true }).type);
  },
  room(path) {
    const { bsize, bavail, blocks, ffree, files } = fs.statfsSync(path);
    const room = { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    return files === 0 ? room : { ...room, freeFiles: ffree, totalFiles: files };
  },
  bootedAt: () => Date.now() - uptime() * 1000,
  userId: () => process.geteuid?.(),
  mayWrite(folder) {
    try {
      fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  },
  watch(path, onChange, onEnd) {
    try {
      const watcher = fs.watch(path, { persistent: false }, () => onChange());
      watcher.on("error", () => {
        watcher.close();
        onEnd?.();
      });
      return () => watcher.close();
    } catch {
      return undefined;
    }
  },
};

function finish<T>(done: Done<T>, last: () => T): void {
  let value: T;
  try {
    value = last();
  } catch (error) {
    done(error as Error);
    return;
  }
  done(null, value);
}

/** The umask may have taken bits away; 1 µs makes the mode exact, so it is not worth another thread hop. */
function withFileMode(fd: number): number {
  try {
    fs.fchmodSync(fd, FILE_MODE);
    return fd;
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** By path, which would follow a symlink; but the name is ours since a moment ago, in a trusted folder. */
function fixDirectoryMode(path: string): void {
  try {
    fs.chmodSync(path, DIRECTORY_MODE);
  } catch (error) {
    // Made, and removed by another process since: as if that had come after this call.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Windows has no O_NOFOLLOW. A look beforehand is the best there is; the trusted path closes the race. */
function refuseLinkOnWindows(path: string): void {
  if (!WINDOWS || !fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  throw Object.assign(new Error(`ELOOP: too many symbolic links encountered, open '${path}'`), {
    code: "ELOOP",
    syscall: "open",
    path,
  });
}

const TYPE_MASK = 0o170000;
const KINDS: ReadonlyMap<number, FileStatus["kind"]> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "symlink"],
]);

function statusOf(stats: BigIntStats): FileStatus {
  const mode = Number(stats.mode);
  return {
    kind: KINDS.get(mode & TYPE_MASK) ?? "other",
    size: Number(stats.size),
    inode: stats.ino,
    device: stats.dev,
    links: Number(stats.nlink),
    mode: mode & 0o7777,
    owner: Number(stats.uid),
    modifiedAt: Number(stats.mtimeMs),
  };
}

/** Whether `/proc/self/fd/N/…` leads into an open folder: not where /proc is missing or restricted. */
function canPin(): boolean {
  if (process.platform !== "linux") return false;
  try {
    const fd = fs.openSync("/", FLAGS.directory);
    try {
      const opened = fs.fstatSync(fd, { bigint: true });
      const seen = fs.lstatSync(`/proc/self/fd/${fd}/.`, { bigint: true });
      return opened.ino === seen.ino && opened.dev === seen.dev;
    } finally {
      fs.closeSync(fd);
    }
  } catch {
    return false;
  }
}
