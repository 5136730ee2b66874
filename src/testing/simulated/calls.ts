/**
 * The system calls of one simulated process: its descriptors, and what each call does to the disk and answers.
 *
 * Answers and errnos are those of Linux (a property test compares the two). Every call is one instant: between
 * calls other processes may do anything. A descriptor's number is never used again, so that a use after close
 * shows as EBADF.
 */
import type { FileCalls, FileStatus, OpenMode, Room } from "../../fs/file-system.js";
import { SimulatedFile, SimulatedFolder, SimulatedSymlink, type SimulatedInode } from "./inode.js";
import type { Found, SimulatedVolume } from "./volume.js";
import { systemError } from "./system-error.js";

/** Every port method that counts as a system call. */
export interface SystemCalls extends FileCalls {
  realpath(path: string): string;
  readlink(path: string): string;
  fileSystemType(path: string): bigint | undefined;
  room(path: string): Room;
}

interface Descriptor {
  readonly inode: SimulatedFile | SimulatedFolder;
  readonly mode: OpenMode;
  readonly path: string;
  /** The folder it was opened through: a watcher of that one hears of writes. */
  readonly folder: SimulatedFolder;
  /** Where the next write of a `"create"` descriptor goes. */
  position: number;
}

const PIN = "/proc/self/fd/";
const FIRST_DESCRIPTOR = 3;
/** Descriptors that were opened in the past must not get a number that is in use in the present. */
const FIRST_PAST_DESCRIPTOR = 1_000_000_000;

export class SimulatedCalls implements SystemCalls {
  readonly #volume: SimulatedVolume;
  readonly #pins: boolean;
  readonly #type: bigint | undefined;
  readonly #descriptors = new Map<number, Descriptor>();
  #next = FIRST_DESCRIPTOR;

  constructor(
    volume: SimulatedVolume,
    options: { readonly pins: boolean; readonly type: bigint | undefined },
  ) {
    this.#volume = volume;
    this.#pins = options.pins;
    this.#type = options.type;
  }

  /**
   * The same process on the disk as it is at this moment, whatever happens to the disk from now on. What is opened there is
   * opened here as well, so that a process can go from the past to the present with all its descriptors.
   */
  asOfNow(): { readonly open: SystemCalls["open"]; readonly calls: SystemCalls } {
    const { volume, copies } = this.#volume.clone();
    const past = new SimulatedCalls(volume, { pins: this.#pins, type: this.#type });
    past.#next = FIRST_PAST_DESCRIPTOR + this.#next;
    for (const [fd, descriptor] of this.#descriptors) {
      const inode = (copies.get(descriptor.inode) ?? descriptor.inode) as Descriptor["inode"];
      const folder = (copies.get(descriptor.folder) ?? descriptor.folder) as SimulatedFolder;
      past.#descriptors.set(fd, { ...descriptor, inode, folder });
    }
    const originals = new Map<SimulatedInode, SimulatedInode>();
    for (const [original, copy] of copies) originals.set(copy, original);
    const open = (path: string, mode: OpenMode): number => {
      const fd = past.open(path, mode);
      this.#next++; // so that no later past gives this number again
      const descriptor = past.#descriptors.get(fd)!;
      const inode = (originals.get(descriptor.inode) ?? descriptor.inode) as Descriptor["inode"];
      const folder = (originals.get(descriptor.folder) ?? descriptor.folder) as SimulatedFolder;
      if (inode instanceof SimulatedFile) {
        if (inode.links === 0 && inode.opens === 0) this.#volume.usedBytes += inode.size; // it was gone since
        inode.opens++;
      }
      this.#descriptors.set(fd, { ...descriptor, inode, folder });
      return fd;
    };
    return { open, calls: past };
  }

  /** Paths of what is open now. */
  openPaths(): string[] {
    return [...this.#descriptors.values()].map(({ path }) => path);
  }

  closeAll(): void {
    for (const fd of this.#descriptors.keys()) this.close(fd);
  }

  open(path: string, mode: OpenMode): number {
    const found = this.#find("open", path, false);
    const { folder } = found;
    let { inode } = found;
    if (mode === "create") {
      if (inode !== undefined) this.#fail("EEXIST", "open", path);
      this.#assertRoom(folder, "open", path);
      inode = this.#volume.makeFile();
      inode.links = 1;
      folder.set(found.name, inode);
      this.#touched(folder);
    } else if (inode === undefined) this.#fail("ENOENT", "open", path);
    else if (mode === "directory" && inode.kind !== "directory") this.#fail("ENOTDIR", "open", path);
    else if (inode.kind === "symlink") this.#fail("ELOOP", "open", path);
    else if ((mode === "append" || mode === "update") && inode.kind === "directory")
      this.#fail("EISDIR", "open", path);
    if (inode instanceof SimulatedFile) inode.opens++;
    const fd = this.#next++;
    this.#descriptors.set(fd, { inode, mode, path, folder, position: 0 });
    return fd;
  }

  close(fd: number): void {
    const { inode } = this.#descriptor("close", fd);
    this.#descriptors.delete(fd);
    if (!(inode instanceof SimulatedFile)) return;
    inode.opens--;
    this.#volume.release(inode);
  }

  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    const { inode } = this.#descriptor("read", fd);
    assertInside(buffer, offset, length);
    if (!(inode instanceof SimulatedFile)) this.#fail("EISDIR", "read");
    return inode.read(buffer, offset, length, position);
  }

  write(fd: number, buffer: Uint8Array, offset: number, length: number, at?: number): number {
    const descriptor = this.#descriptor("write", fd);
    const { inode, mode } = descriptor;
    assertInside(buffer, offset, length);
    if (mode === "read" || !(inode instanceof SimulatedFile)) this.#fail("EBADF", "write");
    if (length === 0) return 0;
    const position = at ?? (mode === "append" ? inode.size : descriptor.position);
    const growth = Math.max(0, position + length - inode.size);
    const lacking = Math.max(0, growth - Math.max(0, this.#volume.freeBytes));
    const count = length - lacking;
    if (count <= 0) this.#fail("ENOSPC", "write");
    inode.write(buffer, offset, count, position);
    inode.modifiedAt = this.#volume.now();
    if (at === undefined) descriptor.position = position + count;
    this.#volume.usedBytes += growth - lacking;
    this.#volume.changed(descriptor.folder);
    return count;
  }

  fstat(fd: number): FileStatus {
    return this.#descriptor("fstat", fd).inode.status(this.#volume.device);
  }

  lstat(path: string): FileStatus {
    return this.#existing("lstat", path, false).status(this.#volume.device);
  }

  readdir(path: string): string[] {
    const folder = this.#existing("readdir", path, true);
    if (folder.kind !== "directory") this.#fail("ENOTDIR", "readdir", path);
    if (folder.removed) this.#fail("ENOENT", "readdir", path);
    return [...folder.entries.keys()];
  }

  mkdir(path: string): void {
    const { folder, name, inode } = this.#find("mkdir", path, false);
    if (inode !== undefined) this.#fail("EEXIST", "mkdir", path);
    this.#assertRoom(folder, "mkdir", path);
    folder.set(name, this.#volume.makeFolder());
    this.#touched(folder);
  }

  rmdir(path: string): void {
    const { folder, name, inode } = this.#find("rmdir", path, false);
    if (inode === undefined) this.#fail("ENOENT", "rmdir", path);
    if (inode.kind !== "directory") this.#fail("ENOTDIR", "rmdir", path);
    if (inode === this.#volume.root) this.#fail("EBUSY", "rmdir", path);
    if (name === ".") this.#fail("EINVAL", "rmdir", path);
    if (inode.entries.size > 0) this.#fail("ENOTEMPTY", "rmdir", path);
    folder.set(name, undefined);
    inode.links = 0;
    this.#touched(folder);
  }

  unlink(path: string): void {
    const { folder, name, inode } = this.#find("unlink", path, false);
    if (inode === undefined) this.#fail("ENOENT", "unlink", path);
    if (inode.kind === "directory") this.#fail("EISDIR", "unlink", path);
    folder.set(name, undefined);
    this.#drop(inode);
    this.#touched(folder);
  }

  rename(from: string, to: string): void {
    const source = this.#find("rename", from, false, from, to);
    const target = this.#find("rename", to, false, from, to);
    const moved = source.inode;
    const old = target.inode;
    if (source.name === "." || target.name === ".") this.#fail("EBUSY", "rename", from, to);
    if (moved === undefined) this.#fail("ENOENT", "rename", from, to);
    if (moved.kind === "directory" && isInside(target.folder, moved)) {
      this.#fail("EINVAL", "rename", from, to);
    }
    if (old?.kind === "directory" && old !== moved && isInside(source.folder, old)) {
      this.#fail("ENOTEMPTY", "rename", from, to);
    }
    if (target.folder.removed) this.#fail("ENOENT", "rename", from, to);
    if (old === moved) return;
    if (old !== undefined) {
      if (moved.kind === "directory" && old.kind !== "directory") this.#fail("ENOTDIR", "rename", from, to);
      if (moved.kind !== "directory" && old.kind === "directory") this.#fail("EISDIR", "rename", from, to);
      if (old.kind === "directory" && old.entries.size > 0) this.#fail("ENOTEMPTY", "rename", from, to);
    } else if (this.#volume.freeBytes <= 0) this.#fail("ENOSPC", "rename", from, to);
    target.folder.set(target.name, moved);
    source.folder.set(source.name, undefined);
    if (old?.kind === "directory") old.links = 0;
    else if (old !== undefined) this.#drop(old);
    this.#touched(source.folder);
    if (target.folder !== source.folder) this.#touched(target.folder);
  }

  link(existing: string, created: string): void {
    const { inode } = this.#find("link", existing, false, existing, created);
    if (inode === undefined) this.#fail("ENOENT", "link", existing, created);
    const { folder, name, inode: old } = this.#find("link", created, false, existing, created);
    if (old !== undefined) this.#fail("EEXIST", "link", existing, created);
    this.#assertRoom(folder, "link", existing, created);
    if (inode.kind === "directory") this.#fail("EPERM", "link", existing, created);
    folder.set(name, inode);
    inode.links++;
    this.#touched(folder);
  }

  fdatasync(fd: number): void {
    this.#descriptor("fdatasync", fd).inode.sync();
  }

  fsync(fd: number): void {
    this.#descriptor("fsync", fd).inode.sync();
  }

  /** The sync of a disk that answers EIO: what was dirty is clean now, and lost. */
  failSync(name: "fdatasync" | "fsync", fd: number): never {
    const { inode } = this.#descriptor(name, fd);
    if (inode instanceof SimulatedFile) inode.dropUnsynced();
    return this.#fail("EIO", name);
  }

  realpath(path: string): string {
    const found = this.#find("realpath", path, true);
    if (found.inode === undefined) this.#fail("ENOENT", "realpath", path);
    const folder = found.inode instanceof SimulatedFolder ? found.inode : found.folder;
    return pathOf(folder) + (folder === found.inode ? "" : `/${found.name}`) || "/";
  }

  readlink(path: string): string {
    const inode = this.#existing("readlink", path, false);
    return inode.kind === "symlink" ? inode.target : this.#fail("EINVAL", "readlink", path);
  }

  fileSystemType(path: string): bigint | undefined {
    this.#existing("fileSystemType", path, true);
    return this.#type;
  }

  room(path: string): Room {
    this.#existing("room", path, true);
    const { freeBytes, capacityBytes } = this.#volume;
    return { freeBytes: Math.max(0, freeBytes), totalBytes: capacityBytes };
  }

  /** The folder to watch. */
  folderAt(path: string): SimulatedFolder {
    const folder = this.#existing("watch", path, true);
    return folder.kind === "directory" ? folder : this.#fail("ENOTDIR", "watch", path);
  }

  #descriptor(name: string, fd: number): Descriptor {
    return this.#descriptors.get(fd) ?? this.#fail("EBADF", name);
  }

  #existing(name: string, path: string, followLast: boolean): SimulatedInode {
    return this.#find(name, path, followLast).inode ?? this.#fail("ENOENT", name, path);
  }

  /** @param both The paths of a call that has two; errors name both. */
  #find(name: string, path: string, followLast: boolean, ...both: string[]): Found {
    const found =
      this.#pins && path.startsWith(PIN)
        ? this.#findPinned(path, followLast)
        : this.#volume.lookUp(this.#volume.root, path, followLast);
    return typeof found === "string" ? this.#fail(found, name, ...(both.length > 0 ? both : [path])) : found;
  }

  #findPinned(path: string, followLast: boolean): Found | string {
    const slash = path.indexOf("/", PIN.length);
    const end = slash === -1 ? path.length : slash;
    const descriptor = this.#descriptors.get(Number(path.slice(PIN.length, end)));
    if (descriptor === undefined) return "ENOENT";
    const { inode, folder } = descriptor;
    if (slash === -1 && !followLast) {
      // The name itself is a symlink of /proc.
      return { folder, name: ".", inode: new SimulatedSymlink(0n, descriptor.path) };
    }
    if (inode instanceof SimulatedFolder)
      return this.#volume.lookUp(inode, path.slice(end) || ".", followLast);
    return slash === -1 ? { folder, name: ".", inode } : "ENOTDIR";
  }

  #assertRoom(folder: SimulatedFolder, name: string, path: string, other?: string): void {
    if (folder.removed) this.#fail("ENOENT", name, path, other);
    if (this.#volume.freeBytes <= 0) this.#fail("ENOSPC", name, path, other);
  }

  #drop(inode: SimulatedInode): void {
    inode.links--;
    this.#volume.release(inode);
  }

  #touched(folder: SimulatedFolder): void {
    folder.modifiedAt = this.#volume.now();
    this.#volume.changed(folder);
  }

  #fail(code: string, name: string, ...paths: (string | undefined)[]): never {
    throw systemError(code, { name, args: paths });
  }
}

function assertInside(buffer: Uint8Array, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.byteLength) return;
  throw new RangeError(`offset ${offset} and length ${length} reach out of ${buffer.byteLength} bytes`);
}

function isInside(folder: SimulatedFolder, ancestor: SimulatedInode): boolean {
  for (let at: SimulatedFolder | undefined = folder; at !== undefined; at = at.parent) {
    if (at === ancestor) return true;
  }
  return false;
}

function pathOf(folder: SimulatedFolder): string {
  let path = "";
  for (let at = folder; at.parent !== undefined; at = at.parent) path = `/${at.name}${path}`;
  return path;
}
