/**
 * The heart of the simulated disk: the tree of inodes, paths through it, room, and the watchers of folders. The
 * simulated processes work on it; `simulated-disk.ts` is the door for everybody else.
 */
import { SimulatedFile, SimulatedFolder, SimulatedSymlink, type SimulatedInode } from "./inode.js";

/** The result of looking a path up: the last name, where it stands, and what it leads to. */
export interface Found {
  readonly folder: SimulatedFolder;
  readonly name: string;
  readonly inode: SimulatedInode | undefined;
}

const LINKS_MAX = 40;
const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4095;
const SLASH = 47;

export class SimulatedVolume {
  readonly now: () => number;
  /** When the machine was started, on the clock `now`. */
  bootedAt = 0;
  readonly root: SimulatedFolder;
  capacityBytes: number;
  /** Bytes of all file contents, those included that only an open descriptor keeps alive. */
  usedBytes = 0;
  /** The newest inode's number; none is ever used twice. */
  inodes = 0n;
  #starts = 0;
  readonly #watchers = new Map<SimulatedFolder, Set<() => void>>();

  /** @param now Clock; by default it counts the machine's starts. */
  constructor(
    private readonly clock: (() => number) | undefined,
    capacityBytes: number,
    readonly device: bigint,
  ) {
    this.now = clock ?? ((): number => this.#starts);
    this.capacityBytes = capacityBytes;
    this.root = this.makeFolder(0o755);
  }

  /** The machine is started again. */
  restart(): void {
    this.#starts++;
    this.bootedAt = this.now();
  }

  get freeBytes(): number {
    return this.capacityBytes - this.usedBytes;
  }

  /** Finds a path from a folder, or tells the errno. Symlinks on the way are followed. */
  lookUp(from: SimulatedFolder, path: string, followLast: boolean, links = 0): Found | string {
    if (path.length === 0) return "ENOENT";
    if (path.length * 3 > PATH_BYTES_MAX && Buffer.byteLength(path) > PATH_BYTES_MAX) return "ENAMETOOLONG";
    let folder = from;
    let start = 0;
    for (;;) {
      while (path.charCodeAt(start) === SLASH) start++;
      if (start >= path.length) return { folder, name: ".", inode: folder };
      const slash = path.indexOf("/", start);
      const end = slash === -1 ? path.length : slash;
      const name = path.slice(start, end);
      if (name.length * 3 > NAME_BYTES_MAX && Buffer.byteLength(name) > NAME_BYTES_MAX) return "ENAMETOOLONG";
      start = end;
      if (name === "." || name === "..") {
        if (name === "..") folder = folder.parent ?? folder;
        continue;
      }
      const child = folder.entries.get(name);
      const last = end === path.length;
      if (last && (child?.kind !== "symlink" || !followLast)) return { folder, name, inode: child };
      if (child === undefined) return "ENOENT";
      if (child.kind === "symlink") {
        if (links === LINKS_MAX) return "ELOOP";
        const { target } = child;
        const base = target.startsWith("/") ? this.root : folder;
        return this.lookUp(base, target + path.slice(end), followLast, links + 1);
      }
      if (child.kind !== "directory") return "ENOTDIR";
      folder = child;
    }
  }

  /** An inode without a name. */
  makeFile(): SimulatedFile {
    const file = new SimulatedFile(++this.inodes, 0o600);
    file.modifiedAt = this.now();
    return file;
  }

  /** A folder without a name. */
  makeFolder(mode = 0o700): SimulatedFolder {
    const folder = new SimulatedFolder(++this.inodes, mode);
    folder.links = 2;
    folder.modifiedAt = this.now();
    return folder;
  }

  /** A volume with the same content and the same history, and the copy of each inode that has a name or had one. */
  clone(): {
    readonly volume: SimulatedVolume;
    readonly copies: ReadonlyMap<SimulatedInode, SimulatedInode>;
  } {
    const volume = new SimulatedVolume(this.clock, this.capacityBytes, this.device);
    volume.#starts = this.#starts;
    volume.bootedAt = this.bootedAt;
    volume.inodes = this.inodes;
    Object.assign(volume.root, { mode: this.root.mode, owner: this.root.owner });
    const copies = new Map<SimulatedInode, SimulatedInode>([[this.root, volume.root]]);
    const folders: SimulatedFolder[] = [this.root];
    const copyOf = (inode: SimulatedInode): SimulatedInode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      let copy: SimulatedInode;
      if (inode.kind === "directory") {
        copy = new SimulatedFolder(inode.number, inode.mode);
        folders.push(inode);
      } else if (inode.kind === "symlink") copy = new SimulatedSymlink(inode.number, inode.target);
      else {
        copy = inode.clone();
        if (inode.links > 0) volume.usedBytes += inode.size;
      }
      copy.links = inode.links;
      copy.owner = inode.owner;
      copy.modifiedAt = inode.modifiedAt;
      copies.set(inode, copy);
      return copy;
    };
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      folder.cloneInto(copyOf(folder) as SimulatedFolder, copyOf);
    }
    return { volume, copies };
  }

  /** Gives the room of a file back, if no name and no descriptor leads to it any more. */
  release(inode: SimulatedInode): void {
    if (inode instanceof SimulatedFile && inode.links === 0 && inode.opens === 0)
      this.usedBytes -= inode.size;
  }

  /** Calls `notify` whenever something in the folder changes, until the result is called. */
  watch(folder: SimulatedFolder, notify: () => void): () => void {
    let watchers = this.#watchers.get(folder);
    if (watchers === undefined) this.#watchers.set(folder, (watchers = new Set()));
    watchers.add(notify);
    return () => {
      watchers.delete(notify);
      if (watchers.size === 0 && this.#watchers.get(folder) === watchers) this.#watchers.delete(folder);
    };
  }

  /** Something in the folder changed. */
  changed(folder: SimulatedFolder): void {
    if (this.#watchers.size === 0) return;
    for (const notify of this.#watchers.get(folder) ?? []) notify();
  }
}
