/**
 * Whether a path can be trusted, decided once when a store is opened.
 *
 * The rule: every directory from the store up to `/` belongs to root or to this user and is not writable by
 * anybody else. A sticky directory (the system's temporary one) is as good for a child that root or this user
 * owns. A symlink may be on the way if it belongs to root or this user and lies in such a directory; then the
 * folders that it leads through are held to the same rule. Where the rule holds, nobody else can swap anything
 * below, so there is no race to win afterwards. POSIX ACLs need no extra look: an ACL that lets others write
 * shows in the group bits.
 *
 * The walk goes name by name and reads symlinks itself, because `realpath` would hide the folders between two
 * of them. It costs one lstat a folder. Nothing is written, so a crash leaves nothing behind.
 */
import { dirname, join, parse, resolve, sep } from "node:path";
import { SessionStoreError, errnoOf } from "../errors.js";
import type { FileStatus, FileSystem } from "./file-system.js";
import { assertFolder } from "./regular-file.js";

/** An open, trusted folder. */
export interface TrustedRoot {
  /** Where the folder really is, symlinks resolved: its name towards people. */
  readonly realPath: string;
  /**
   * Prefix for every access: `${path}/name`. On Linux it leads through the open descriptor, so that renaming
   * the folder or a parent moves nothing under our feet; elsewhere it is `realPath`. Usable as a path by itself.
   */
  readonly path: string;
  /** With `device` the identity of the folder, however it was reached. */
  readonly inode: bigint;
  readonly device: bigint;
  /** Turns a path that starts with `path` into one that a person can use. */
  display(path: string): string;
  /** Lets the folder go; `path` must not be used afterwards. May be called twice. */
  close(): void;
}

/** Where a path really leads. */
export interface TrustedWay {
  /** The path without symlinks, the part that does not exist yet included. */
  readonly realPath: string;
  /** The deepest folder on the way that exists. */
  readonly existing: string;
  /** Names below `existing` that are still to be made, topmost first; empty when the path exists. */
  readonly missing: readonly string[];
}

/**
 * Opens a store's folder after checking everything on the way to it. ENOENT passes through as the system's own
 * error; a path that anybody else could change throws `path_untrusted`.
 */
export function openTrustedRoot(fs: FileSystem, path: string): TrustedRoot {
  const { realPath, status: seen } = walkToEnd(fs, path);
  assertDirectory(realPath, seen);
  assertOwner(fs, realPath, seen); // before opening, for that would only say "permission denied"
  const fd = fs.open(realPath, "directory");
  try {
    const status = fs.fstat(fd);
    assertDirectory(realPath, status);
    if (status.inode !== seen.inode || status.device !== seen.device) {
      throw untrusted(realPath, status, "was replaced while it was being checked", "try again");
    }
    assertOwner(fs, realPath, status);
    assertNotWritable(fs, realPath, status);
    return pinnedRoot(fs, fd, realPath, status);
  } catch (error) {
    fs.close(fd);
    throw error;
  }
}

/** The walk, until all of it exists: another first opener may be making folders meanwhile. */
function walkToEnd(fs: FileSystem, path: string): Walk {
  for (let attempt = 0; attempt < WALKS_MAX; attempt++) {
    const walk = walkTrusted(fs, path);
    if (walk.missing.length === 0) return walk;
    fs.lstat(join(walk.existing, ...walk.missing)); // throws the system's own ENOENT
  }
  throw new SessionStoreError("path_untrusted", `${path} comes and goes while it is being checked.`);
}

/**
 * Checks the way to a folder that is about to be made. What exists of it must be such that nobody else could
 * swap the folders that the caller will make inside.
 */
export function assertTrustedParents(fs: FileSystem, path: string): TrustedWay {
  const { realPath, existing, missing } = walkTrusted(fs, path);
  return { realPath, existing, missing };
}

/**
 * Checks a folder of the store's own: it is one itself and not a link to one, and nobody else can change what is in
 * it. ENOENT passes through.
 */
export function assertTrustedFolder(fs: FileSystem, path: string): void {
  const status = assertFolder(fs, path);
  assertOwner(fs, path, status);
  assertNotWritable(fs, path, status);
}

/** File systems whose appends are not atomic, by the magic number that Linux reports. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<bigint, string> = new Map([
  [0x6969n, "NFS"],
  [0x517bn, "SMB"],
  [0xff534d42n, "SMB (CIFS)"],
  [0xfe534d42n, "SMB2"],
  [0x01021997n, "9p"],
  [0x5346414fn, "AFS"],
  [0x6b414653n, "AFS"],
  [0x73757245n, "Coda"],
  [0x00c36400n, "Ceph"],
]);

/** FUSE and virtiofs may lead to a local disk or to anywhere. */
const UNKNOWN_FILE_SYSTEMS: ReadonlySet<bigint> = new Set([0x65735546n, 0x6a656a63n]);

/**
 * Refuses file systems that cannot append atomically (`file_system_unsupported`).
 * @returns `"local"`, or `"unknown"` where the system cannot tell: behind FUSE or virtiofs, and on platforms
 * without magic numbers.
 */
export function assertLocalFileSystem(fs: FileSystem, path: string): "local" | "unknown" {
  const type = fs.fileSystemType(path);
  if (type === undefined || UNKNOWN_FILE_SYSTEMS.has(type)) return "unknown";
  const network = NETWORK_FILE_SYSTEMS.get(type);
  if (network === undefined) return "local";
  throw new SessionStoreError(
    "file_system_unsupported",
    `${path} is on ${network}, where two processes that append at once can overwrite each other. ` +
      "Put the store on a local disk of the machine that runs the gateway, and give openSessionStore that path.",
    { data: { path, fileSystem: network, type: `0x${type.toString(16)}` } },
  );
}

interface Walk extends TrustedWay {
  /** Status of `existing`. */
  readonly status: FileStatus;
}

const LINKS_MAX = 40;
/** Each further walk finds what another process has made since the last one. */
const WALKS_MAX = 40;

function walkTrusted(fs: FileSystem, path: string): Walk {
  const absolute = resolve(path);
  let folder = parse(absolute).root;
  let status = fs.lstat(folder);
  assertOwner(fs, folder, status);
  // The names still to go, the next one last.
  const ahead = namesOf(absolute).reverse();
  let links = 0;

  for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
    if (name === "..") {
      // Only out of a symlink; every folder above has passed already.
      folder = dirname(folder);
      status = fs.lstat(folder);
      continue;
    }
    const child = join(folder, name);
    const childStatus = statusIfAny(fs, child);
    assertKeepsChild(fs, folder, status, child, childStatus);
    if (childStatus === undefined) {
      const missing = [name, ...ahead.reverse()];
      return { realPath: join(folder, ...missing), existing: folder, missing, status };
    }
    if (childStatus.kind === "symlink") {
      assertOwner(fs, child, childStatus);
      if (++links > LINKS_MAX) {
        throw untrusted(child, childStatus, "is one of too many symlinks in a row", "give the real path");
      }
      const target = fs.readlink(child);
      if (parse(target).root !== "") {
        folder = parse(resolve(target)).root;
        status = fs.lstat(folder);
      }
      ahead.push(...namesOf(target).reverse());
      continue;
    }
    if (ahead.length > 0) {
      assertDirectory(child, childStatus);
      assertOwner(fs, child, childStatus);
    }
    folder = child;
    status = childStatus;
  }
  return { realPath: folder, existing: folder, missing: [], status };
}

function namesOf(path: string): string[] {
  const { root } = parse(path);
  const names = path.slice(root.length).split(sep === "\\" ? /[\\/]/ : "/");
  return names.filter((name) => name !== "" && name !== ".");
}

function statusIfAny(fs: FileSystem, path: string): FileStatus | undefined {
  try {
    return fs.lstat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** `folder` must be such that nobody else can rename, remove or replace `child` in it. */
function assertKeepsChild(
  fs: FileSystem,
  folder: string,
  status: FileStatus,
  child: string,
  childStatus: FileStatus | undefined,
): void {
  // A child that does not exist yet will be ours.
  if ((status.mode & STICKY) === 0) assertNotWritable(fs, folder, status);
  else if ((status.mode & WRITABLE_BY_OTHERS) !== 0 && childStatus !== undefined) {
    assertOwner(fs, child, childStatus);
  }
}

function assertDirectory(path: string, status: FileStatus): void {
  if (status.kind === "directory") return;
  throw new SessionStoreError(
    "not_a_store",
    `${path} is not a folder, so there is no session store. Give the path of the store's folder.`,
    { data: { path, kind: status.kind } },
  );
}

function assertOwner(fs: FileSystem, path: string, status: FileStatus): void {
  const user = fs.userId();
  if (user === undefined || status.owner === user || status.owner === 0) return;
  const mend = `chown -h ${user} ${quoted(path)}`;
  throw untrusted(path, status, "belongs to another user", `${mend} (as root), or run as its owner`);
}

function assertNotWritable(fs: FileSystem, path: string, status: FileStatus): void {
  if (fs.userId() === undefined || (status.mode & WRITABLE_BY_OTHERS) === 0) return;
  throw untrusted(path, status, "can be written by other users", `chmod go-w ${quoted(path)}`);
}

function untrusted(path: string, status: FileStatus, what: string, mend: string): SessionStoreError {
  const mode = status.mode.toString(8).padStart(4, "0");
  return new SessionStoreError(
    "path_untrusted",
    `${path} ${what} (owner ${status.owner}, mode ${mode}), so the session store cannot be trusted. ` +
      `To mend it: ${mend}`,
    { data: { path, owner: status.owner, mode } },
  );
}

/** For a POSIX shell; a path may hold anything. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function pinnedRoot(fs: FileSystem, fd: number, realPath: string, status: FileStatus): TrustedRoot {
  // The dot makes the prefix a path of its own: without it O_NOFOLLOW and lstat would see /proc's symlink.
  const path = fs.guarantees.pinnedRoot ? `/proc/self/fd/${fd}/.` : realPath;
  let open = true;
  return {
    realPath,
    path,
    inode: status.inode,
    device: status.device,
    display: (inside) => (inside.startsWith(path) ? join(realPath, inside.slice(path.length)) : inside),
    close() {
      if (!open) return;
      open = false;
      fs.close(fd);
    },
  };
}
