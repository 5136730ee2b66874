/**
 * The file-system port: the system calls that the store makes, and nothing else.
 *
 * `src/fs/` is the only door to `node:fs`. Everything above talks to this interface, so that tests can put a
 * file system behind it that fails the Nth call, stops a process between two calls, or forgets what was never
 * synced. One method is one system call wherever the platform allows it: the budget of the hot path is counted
 * here.
 *
 * Methods throw the platform's own errors (`code`, `syscall`, `path`); the layers above give them meaning.
 * Implementations guarantee:
 *  - `open` adds O_NOFOLLOW | O_CLOEXEC to every open. A creating open is always O_CREAT | O_EXCL.
 *  - What `open` and `mkdir` create has exactly the mode 0600 / 0700, whatever the umask.
 */

/** What `lstat` and `fstat` tell; `inode` and `device` identify a file while it lives. */
export interface FileStatus {
  readonly kind: "file" | "directory" | "symlink" | "other";
  /** Bytes. */
  readonly size: number;
  readonly inode: bigint;
  readonly device: bigint;
  /** Number of hard links. */
  readonly links: number;
  /** Permission bits, including set-id and sticky (07777). */
  readonly mode: number;
  /** Owner's user id. */
  readonly owner: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
}

/**
 * How a file is opened.
 *  - `"read"`: O_RDONLY
 *  - `"append"`: O_RDWR | O_APPEND, an existing file; one `write` is one atomic append
 *  - `"update"`: O_RDWR, an existing file, written where `write` is told
 *  - `"create"`: O_RDWR | O_CREAT | O_EXCL, mode 0600
 *  - `"directory"`: O_RDONLY | O_DIRECTORY, to sync or pin it
 */
export type OpenMode = "read" | "append" | "update" | "create" | "directory";

/** The system calls, each in its blocking form. */
export interface FileCalls {
  open(path: string, mode: OpenMode): number;
  close(fd: number): void;
  /** pread: up to `length` bytes at `position` into `buffer[offset…]`; returns the bytes read, 0 at the end. */
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number;
  /**
   * One `write` at the end (append) or the current position (create), or a `pwrite` where `position` is given; may write fewer
   * bytes than asked.
   */
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position?: number): number;
  fstat(fd: number): FileStatus;
  /** Status of the name itself, never of a link's target. Throws ENOENT when there is none. */
  lstat(path: string): FileStatus;
  /** Names in a folder, without "." and "..", in no particular order. */
  readdir(path: string): string[];
  mkdir(path: string): void;
  rmdir(path: string): void;
  unlink(path: string): void;
  rename(from: string, to: string): void;
  link(existing: string, created: string): void;
  fdatasync(fd: number): void;
  fsync(fd: number): void;
}

/** The same calls off the caller's thread: the event loop goes on while the disk works. */
export type Deferred<Calls> = {
  readonly [Name in keyof Calls]: Calls[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Result>
    : never;
};

/** How much room a file system has, in bytes; quotas are not in it. */
export interface Room {
  /** What this user may still write. */
  readonly freeBytes: number;
  /** Free or not. */
  readonly totalBytes: number;
  /** How many more files there may be, and free or not how many; undefined where the file system has no such bound. */
  readonly freeFiles?: number | undefined;
  readonly totalFiles?: number | undefined;
}

export interface FileSystem extends FileCalls {
  /** The calls on the thread pool. */
  readonly later: Deferred<FileCalls>;
  /** What this platform can promise; `stats()` and `docs/durability.md` repeat it. */
  readonly guarantees: {
    /** Directories can be fsynced (not on Windows). */
    readonly directorySync: boolean;
    /** `/proc/self/fd/N/name` acts as openat: a pinned root survives renames of its path (Linux). */
    readonly pinnedRoot: boolean;
  };
  /** The path with every symlink resolved. */
  realpath(path: string): string;
  /** Where one symlink points, as it is stored: the trust check looks at every hop, realpath hides them. */
  readlink(path: string): string;
  /** The file system's magic number (`statfs.f_type`), or undefined where the platform has none. */
  fileSystemType(path: string): bigint | undefined;
  /** The room on the file system of a path (`statfs`): one system call, for looks that are rare. */
  room(path: string): Room;
  /** When the system was started: milliseconds since 1970. What was written before that may have lived through a power cut. */
  bootedAt(): number;
  /** User id that this process acts with (the effective one), or undefined where there are none (Windows). */
  userId(): number | undefined;
  /** Whether this process may make and rename names in a folder (`access`): for plans; what is done finds out by itself. */
  mayWrite(folder: string): boolean;
  /**
   * Calls back soon after something in a folder changed; may call too often. When the system gives up, `onEnd` is
   * called, and no more calls come.
   * @returns A function that stops it, or undefined where the system cannot notify.
   */
  watch(path: string, onChange: () => void, onEnd?: () => void): (() => void) | undefined;
}
