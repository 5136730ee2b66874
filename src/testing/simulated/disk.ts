/**
 * A disk in memory that forgets what was never synced.
 *
 * For the authors of engines and of fault tests: `new SimulatedDisk()` is a machine's disk, `disk.mount(name)` is
 * one process on that machine, with descriptors of its own (`simulated-file-system.ts`), and `disk.powerCut()`
 * ends all of them and leaves what a real disk might have kept. The next `mount` sees that.
 *
 * What a power cut keeps (`"random"`; the other two modes are its extremes):
 *  - A file keeps what it had at its last fdatasync. Of the writes since then any subset survives, each whole,
 *    not at all, or torn (a prefix, or any of its sectors). A hole in front of a surviving write reads as NULs, and
 *    sometimes the length arrives where the data did not.
 *  - A folder keeps the names that it had at its last fsync. Each name changed since then, independently, leads
 *    to any of the inodes (or none) that it led to in between. So a rename between two folders may leave the file
 *    in both or in neither, and an unlinked file may be back. That is more than one file system does, and less
 *    than all of them may do.
 *  - Syncing a file does not keep its name, syncing a folder does not keep the content of its files.
 *
 * Everything is deterministic: chance comes from `options.random`, time from `options.now`, and nothing waits for
 * a real timer. Paths are absolute POSIX paths. Modes and owners are reported but not enforced.
 */
import {
  SimulatedFile,
  SimulatedFolder,
  SimulatedSymlink,
  type PowerCutMode,
  type SimulatedInode,
} from "./inode.js";
import { SimulatedFileSystem, type MountOptions } from "./file-system.js";
import { seededRandom } from "../seeded-random.js";
import { SimulatedVolume, type Found } from "./volume.js";
import { systemError } from "./system-error.js";

export type { PowerCutMode } from "./inode.js";

export interface SimulatedDiskOptions {
  /** Decides what a random power cut keeps. Default is a generator with a fixed seed. */
  readonly random?: () => number;
  /** Clock for `modifiedAt`. By default it counts power cuts. */
  readonly now?: () => number;
  /** Room for file contents. Default is Infinity. */
  readonly capacityBytes?: number;
  /** What tells its files from those of other disks. Default is 1. */
  readonly device?: bigint;
}

export class SimulatedDisk {
  #volume: SimulatedVolume;
  readonly #random: () => number;
  readonly #mounts = new Set<SimulatedFileSystem>();

  constructor(options: SimulatedDiskOptions = {}) {
    this.#random = options.random ?? seededRandom(1);
    this.#volume = new SimulatedVolume(options.now, options.capacityBytes ?? Infinity, options.device ?? 1n);
  }

  /** Room that is left; setting it to 0 makes the disk full, whatever is on it. */
  get freeBytes(): number {
    return this.#volume.freeBytes;
  }

  set freeBytes(bytes: number) {
    this.#volume.capacityBytes = this.#volume.usedBytes + bytes;
  }

  /** Bytes of all file contents, those included that only an open descriptor keeps alive. */
  get usedBytes(): number {
    return this.#volume.usedBytes;
  }

  /** Starts a process: a file system with no descriptors yet. `name` shows in its calls. */
  mount(name: string, options: MountOptions = {}): SimulatedFileSystem {
    const ended = (): void => void this.#mounts.delete(mounted);
    const mounted = new SimulatedFileSystem(this.#volume, name, options, ended);
    this.#mounts.add(mounted);
    return mounted;
  }

  /**
   * Cuts the power: every process is dead, and the disk is left with what `mode` lets survive.
   * @param random Chance for this cut alone. Default is the disk's own.
   */
  powerCut(mode: PowerCutMode = "random", random: () => number = this.#random): void {
    for (const mounted of this.#mounts) mounted.kill();
    const volume = this.#volume;
    volume.usedBytes = 0;
    volume.restart();
    const seen = new Set<SimulatedInode>();
    const folders = [volume.root];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      folder.powerCut(mode, random);
      for (const [name, inode] of folder.entries) {
        const again = seen.has(inode);
        seen.add(inode);
        if (inode.kind === "directory") {
          // A folder that survived under two names: file system checkers leave it one.
          if (again) folder.setDurably(name, undefined);
          else {
            folder.setDurably(name, inode);
            inode.links = 2;
            folders.push(inode);
          }
          continue;
        }
        inode.links = again ? inode.links + 1 : 1;
        if (again || inode.kind === "symlink") continue;
        inode.powerCut(mode, random);
        volume.usedBytes += inode.size;
      }
    }
  }

  /** A disk with the same content and the same history, and no processes: to try several power cuts. */
  clone(random: () => number = this.#random): SimulatedDisk {
    const disk = new SimulatedDisk({ random });
    disk.#volume = this.#volume.clone().volume;
    return disk;
  }

  /** Everything below `path`: file contents as text, `"-> target"` for symlinks, `""` under `"name/"` for folders. */
  tree(path = "/"): Record<string, string> {
    const found: [string, string][] = [];
    const visit = (folder: SimulatedFolder, prefix: string): void => {
      for (const [name, inode] of [...folder.entries].sort(([a], [b]) => (a < b ? -1 : 1))) {
        if (inode.kind === "directory") {
          found.push([`${prefix}${name}/`, ""]);
          visit(inode, `${prefix}${name}/`);
        } else if (inode.kind === "symlink") found.push([prefix + name, `-> ${inode.target}`]);
        else found.push([prefix + name, inode.content.toString()]);
      }
    };
    const start = this.#raw(path).inode;
    if (start?.kind === "directory") visit(start, path.endsWith("/") ? path : `${path}/`);
    return Object.fromEntries(found);
  }

  /** Names in a folder, none where there is no folder. */
  names(path: string): string[] {
    const found = this.#volume.lookUp(this.#volume.root, path, true);
    const inode = typeof found === "string" ? undefined : found.inode;
    return inode instanceof SimulatedFolder ? [...inode.entries.keys()] : [];
  }

  /** Content of a file, or undefined where there is none. */
  readRaw(path: string): Buffer | undefined {
    const found = this.#volume.lookUp(this.#volume.root, path, true);
    const inode = typeof found === "string" ? undefined : found.inode;
    return inode instanceof SimulatedFile ? inode.content : undefined;
  }

  /** Puts content into a file, durably and behind everybody's back. Makes the file and its folders if need be. */
  writeRaw(path: string, content: string | Uint8Array): void {
    const { folder, name, inode } = this.#rawInFolder(path);
    let file = inode;
    if (!(file instanceof SimulatedFile)) {
      file = this.#volume.makeFile();
      file.links = 1;
      folder.setDurably(name, file);
    }
    this.#volume.usedBytes -= file.size;
    file.replace(typeof content === "string" ? Buffer.from(content) : content);
    this.#volume.usedBytes += file.size;
    this.#volume.changed(folder);
  }

  /** Makes a folder and its parents, durably. One that exists is fine. */
  makeDirectory(path: string): void {
    this.#rawInFolder(`${path}/.`);
  }

  symlink(path: string, target: string): void {
    const link = new SimulatedSymlink(++this.#volume.inodes, target);
    link.links = 1;
    this.#plant(path, link);
  }

  /** Puts something there that is neither file nor folder nor symlink: a FIFO, say. */
  makeSpecial(path: string): void {
    const special = new SimulatedFile(++this.#volume.inodes, 0o600, "other");
    special.links = 1;
    this.#plant(path, special);
  }

  /** Takes a name away, durably, with everything below it. */
  removeRaw(path: string): void {
    const { folder, name, inode } = this.#raw(path);
    if (inode === undefined) return;
    if (inode.kind === "directory") {
      for (const child of inode.entries.keys()) this.removeRaw(`${path}/${child}`);
      inode.links = 0;
    } else inode.links--;
    folder.setDurably(name, undefined);
    this.#volume.release(inode);
    this.#volume.changed(folder);
  }

  /** Changes what `lstat` tells about a name. */
  setStatus(path: string, status: { mode?: number; owner?: number; modifiedAt?: number }): void {
    const { inode } = this.#raw(path);
    if (inode === undefined) throw systemError("ENOENT", { name: "lstat", args: [path] });
    Object.assign(inode, status);
  }

  #raw(path: string): Found {
    const found = this.#volume.lookUp(this.#volume.root, path, false);
    if (typeof found === "string") throw systemError(found, { name: "open", args: [path] });
    return found;
  }

  /** As `#raw`, making the folders on the way. */
  #rawInFolder(path: string): Found {
    for (let slash = path.indexOf("/", 1); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      const { folder, name, inode } = this.#raw(path.slice(0, slash));
      if (inode === undefined) folder.setDurably(name, this.#volume.makeFolder());
    }
    return this.#raw(path);
  }

  #plant(path: string, planted: SimulatedInode): void {
    const { folder, name, inode } = this.#rawInFolder(path);
    if (inode !== undefined) throw systemError("EEXIST", { name: "open", args: [path] });
    folder.setDurably(name, planted);
    this.#volume.changed(folder);
  }
}
