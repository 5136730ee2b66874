/**
 * Whether a path can be trusted, decided once when a store is opened.
 *
 * The rule: every directory from the store up to `/` belongs to root or to this user and is not writable by
 * anybody else. A sticky directory (the system's temporary one) is as good for a child that root or this user
 * owns. A symlink may be on the way if it belongs to root or this user and lies in such a directory; then the
 * folders that it leads through are held to the same rule. Where the rule holds, no other user can swap anything
 * below, so there is no race to win afterwards. POSIX ACLs need no extra look: an ACL that lets others write
 * shows in the group bits. With `trust: "group"` a folder may be writable by its group: its members are trusted like
 * the owner.
 *
 * All that offends is told at once, each folder with its cure: a home whose umask is 002 has one at every step.
 *
 * The walk goes name by name and reads symlinks itself, because `realpath` would hide the folders between two
 * of them. It costs one lstat a folder. Nothing is written, so a crash leaves nothing behind.
 */
import { dirname, join, parse, resolve, sep } from "node:path";
import { SessionStoreError } from "../errors.js";
import type { FileStatus, FileSystem } from "./file-system.js";
import { assertIsFolder } from "./regular-file.js";
import { isSameFile, statusNow } from "./status.js";

/** Who may change the folders that a store lies in: its owner and root, or also the groups of these folders. */
export type Trust = "owner" | "group";

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
 * error; a path that another user could change throws `path_untrusted`.
 * @param within Folders of the store's own, by their names in it: if the path offends, what offends there is told as well.
 */
export function openTrustedRoot(
  fs: FileSystem,
  path: string,
  trust: Trust = "owner",
  within: readonly string[] = [],
): TrustedRoot {
  const judge = new Judge(fs, trust);
  const { realPath, status: seen } = judge.all(() => {
    const walk = walkToEnd(fs, path, judge);
    assertDirectory(walk.realPath, walk.status);
    judge.folder(walk.realPath, walk.status); // before opening, for that would only say "permission denied"
    if (judge.offended) for (const name of within) judge.folderIfAny(join(walk.realPath, name));
    return walk;
  });
  const fd = fs.open(realPath, "directory");
  try {
    const status = fs.fstat(fd);
    assertDirectory(realPath, status);
    if (!isSameFile(status, seen)) {
      const what = "was replaced while it was being checked";
      throw untrusted([{ path: realPath, status, what, mend: "" }], "try again");
    }
    judge.all(() => judge.folder(realPath, status));
    return pinnedRoot(fs, fd, realPath, status);
  } catch (error) {
    fs.close(fd);
    throw error;
  }
}

/** The walk, until all of it exists: another first opener may be making folders meanwhile. */
function walkToEnd(fs: FileSystem, path: string, judge: Judge): Walk {
  for (let attempt = 0; attempt < WALKS_MAX; attempt++) {
    const walk = walkTrusted(fs, path, judge);
    if (walk.missing.length === 0) return walk;
    fs.lstat(join(walk.existing, ...walk.missing)); // throws the system's own ENOENT
  }
  throw new SessionStoreError("path_untrusted", `${path} comes and goes while it is being checked.`);
}

/**
 * Checks the way to a folder that is about to be made. What exists of it must be such that no other user could
 * swap the folders that the caller will make inside.
 */
export function assertTrustedParents(fs: FileSystem, path: string, trust: Trust = "owner"): TrustedWay {
  const judge = new Judge(fs, trust);
  const { realPath, existing, missing } = judge.all(() => walkTrusted(fs, path, judge));
  return { realPath, existing, missing };
}

/**
 * Checks folders of the store's own: each is one itself and not a link to one, and no other user can change what is in
 * it.
 * @returns Those that are missing.
 */
export function assertTrustedFolders(
  fs: FileSystem,
  paths: readonly string[],
  trust: Trust = "owner",
): string[] {
  const judge = new Judge(fs, trust);
  const missing: string[] = [];
  judge.all(() => {
    for (const path of paths) {
      const status = statusNow(fs, path);
      if (status === undefined) {
        missing.push(path);
        continue;
      }
      assertIsFolder(status, path);
      judge.folder(path, status);
    }
  });
  return missing;
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
export function assertLocalFileSystem(
  fs: FileSystem,
  path: string,
  use: "read" | "write" = "read",
): "local" | "unknown" {
  const type = fs.fileSystemType(path);
  const unlinked = WITHOUT_LINKS.get(type ?? 0n);
  if (unlinked !== undefined && use === "write") throw withoutHardLinks(path, undefined, unlinked);
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

/** File systems without hard links: a segment cannot be put into the log so that exactly one process succeeds. */
const WITHOUT_LINKS: ReadonlyMap<bigint, string> = new Map([
  [0x2011bab0n, "exFAT"],
  [0x4d44n, "FAT"],
  [0x786f4256n, "a VirtualBox shared folder"],
  [0xbacbacbcn, "a VMware shared folder"],
]);

/** What a store says where link(2) is refused. */
export function withoutHardLinks(path: string, cause?: unknown, fileSystem = "unknown"): SessionStoreError {
  const on = fileSystem === "unknown" ? "a file system" : `${fileSystem}, a file system`;
  return new SessionStoreError(
    "file_system_unsupported",
    `${path} is on ${on} without hard links, so a store can only be read there. Nothing was changed: put the store on a ` +
      "local disk of the machine that runs the gateway (ext4, xfs, btrfs, APFS), and give openSessionStore that path.",
    { data: { path, fileSystem, missing: "hard links" }, cause },
  );
}

interface Walk extends TrustedWay {
  /** Status of `existing`. */
  readonly status: FileStatus;
}

const LINKS_MAX = 40;
/** Each further walk finds what another process has made since the last one. */
const WALKS_MAX = 40;

function walkTrusted(fs: FileSystem, path: string, judge: Judge): Walk {
  const absolute = resolve(path);
  let folder = parse(absolute).root;
  let status = fs.lstat(folder);
  judge.owner(folder, status);
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
    const childStatus = statusNow(fs, child);
    judge.keepsChild(folder, status, child, childStatus);
    if (childStatus === undefined) {
      const missing = [name, ...ahead.reverse()];
      return { realPath: join(folder, ...missing), existing: folder, missing, status };
    }
    if (childStatus.kind === "symlink") {
      judge.owner(child, childStatus);
      if (++links > LINKS_MAX) {
        const what = "is one of too many symlinks in a row";
        throw untrusted([{ path: child, status: childStatus, what, mend: "" }], "give the real path");
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
      judge.owner(child, childStatus);
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

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_ALL = 0o002;
const STICKY = 0o1000;

interface Offence {
  readonly path: string;
  readonly status: FileStatus;
  readonly what: string;
  /** Command that mends it. */
  readonly mend: string;
}

/** Looks at one folder after the other, and remembers what offends. */
class Judge {
  readonly #offences = new Map<string, Offence>();
  readonly #writable: number;
  readonly #user: number | undefined;

  constructor(
    private readonly fs: FileSystem,
    private readonly trust: Trust,
  ) {
    this.#writable = trust === "group" ? WRITABLE_BY_ALL : WRITABLE_BY_GROUP | WRITABLE_BY_ALL;
    this.#user = fs.userId();
  }

  get offended(): boolean {
    return this.#offences.size > 0;
  }

  /** Runs checks, and then throws for all folders that offended, also if the checks could not go on to the end. */
  all<T>(checks: () => T): T {
    let found: T;
    try {
      found = checks();
    } catch (error) {
      throw this.offended ? this.#refusal() : error;
    }
    if (this.offended) throw this.#refusal();
    return found;
  }

  /** No other user may own it, or change what is in it. */
  folder(path: string, status: FileStatus): void {
    this.owner(path, status);
    this.notWritable(path, status);
  }

  folderIfAny(path: string): void {
    const status = statusNow(this.fs, path);
    if (status?.kind === "directory") this.folder(path, status);
  }

  owner(path: string, status: FileStatus): void {
    const user = this.#user;
    if (user === undefined || status.owner === user || status.owner === 0) return;
    const mend = `chown -h ${user} ${quoted(path)}`;
    this.#addOffence({ path, status, what: "belongs to another user", mend });
  }

  notWritable(path: string, status: FileStatus): void {
    if (this.#user === undefined || (status.mode & this.#writable) === 0) return;
    this.#addOffence({
      path,
      status,
      what: "can be written by other users",
      mend: `chmod go-w ${quoted(path)}`,
    });
  }

  /** `folder` must be such that no other user can rename, remove or replace `child` in it. */
  keepsChild(folder: string, status: FileStatus, child: string, childStatus: FileStatus | undefined): void {
    // A child that does not exist yet will be ours.
    if ((status.mode & STICKY) === 0) this.notWritable(folder, status);
    else if ((status.mode & this.#writable) !== 0 && childStatus !== undefined)
      this.owner(child, childStatus);
  }

  #addOffence(offence: Offence): void {
    this.#offences.set(`${offence.what} ${offence.path}`, offence);
  }

  #refusal(): SessionStoreError {
    const offences = [...this.#offences.values()];
    const foreign = offences.some(({ status }) => status.owner !== this.#user && this.#user !== 0);
    const chowned = offences.some(({ mend }) => mend.startsWith("chown"));
    const ways = [foreign || chowned ? "(as root)" : ""];
    if (chowned) ways.push("or run as its owner");
    const byGroup = offences.every(
      ({ mend, status }) => mend.startsWith("chmod") && (status.mode & WRITABLE_BY_ALL) === 0,
    );
    if (byGroup && this.trust === "owner") {
      ways.push(
        'or, if all users of these groups may change the store, open it with trust: "group" (sessiondir --trust group)',
      );
    }
    return untrusted(offences, commandFor(offences), ways.filter((way) => way !== "").join(", "));
  }
}

/** One command for all folders of each cure. */
function commandFor(offences: readonly Offence[]): string {
  const byCommand = new Map<string, string[]>();
  for (const { path, mend } of offences) {
    const command = mend.slice(0, mend.length - quoted(path).length);
    byCommand.set(command, [...(byCommand.get(command) ?? []), quoted(path)]);
  }
  return [...byCommand].map(([command, paths]) => command + paths.join(" ")).join(" && ");
}

function assertDirectory(path: string, status: FileStatus): void {
  if (status.kind === "directory") return;
  throw new SessionStoreError(
    "not_a_store",
    `${path} is not a folder, so there is no session store. Give the path of the store's folder.`,
    { data: { path, kind: status.kind } },
  );
}

/** @param mend What mends all of it. */
function untrusted(offences: readonly Offence[], mend: string, ways = ""): SessionStoreError {
  const told = offences.map(
    ({ path, what, status }) => `${path} ${what} (owner ${status.owner}, mode ${octal(status.mode)})`,
  );
  const [first] = offences;
  return new SessionStoreError(
    "path_untrusted",
    `${told.join("; ")}, so the session store cannot be trusted. To mend it: ${mend}${ways === "" ? "" : ` ${ways}`}`,
    {
      data: {
        path: first?.path,
        owner: first?.status.owner,
        mode: first === undefined ? undefined : octal(first.status.mode),
        folders: new Set(offences.map(({ path }) => path)).size,
        mend,
      },
    },
  );
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
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
