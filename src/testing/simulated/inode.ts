/**
 * What the simulated disk is made of: files, folders and symlinks, each with what a process sees (volatile) and
 * what a power cut leaves of it (durable). `simulated-disk.ts` has the whole picture.
 */
import type { FileStatus } from "../../fs/file-system.js";

/** How much of what was never synced a power cut keeps: everything, nothing, or what chance decides. */
export type PowerCutMode = "keep-all" | "durable-only" | "random";

/** What every inode has; modes and owners are told, never enforced. */
abstract class Inode {
  abstract readonly kind: FileStatus["kind"];
  /** Names that lead here; for a folder 2, or 0 once it is removed. */
  links = 0;
  owner = 0;
  modifiedAt = 0;

  constructor(
    readonly number: bigint,
    public mode: number,
  ) {}

  abstract get size(): number;

  status(device: bigint): FileStatus {
    return {
      kind: this.kind,
      size: this.size,
      inode: this.number,
      device,
      links: this.links,
      mode: this.mode,
      owner: this.owner,
      modifiedAt: this.modifiedAt,
    };
  }
}

export type SimulatedInode = SimulatedFile | SimulatedFolder | SimulatedSymlink;

export class SimulatedSymlink extends Inode {
  readonly kind = "symlink";

  constructor(
    number: bigint,
    readonly target: string,
  ) {
    super(number, 0o777);
  }

  get size(): number {
    return this.target.length;
  }
}

/** A sector reaches the disk whole or not at all; larger pieces may be torn. */
const SECTOR_BYTES = 512;
const FIRST_CAPACITY_BYTES = 256;
const EMPTY = Buffer.alloc(0);

/** A regular file, or (`kind: "other"`) a FIFO or device that only `fstat` can tell from one. */
export class SimulatedFile extends Inode {
  /** Descriptors that are open on it: the content lives on while there is one. */
  opens = 0;
  #bytes = EMPTY;
  #size = 0;
  #durableSize = 0;
  /** The durable content, once a part of it was overwritten in place; else it is a prefix of `#bytes`. */
  #durableBytes: Buffer | undefined;
  /** `#bytes` up to `#size` belongs to a clone as well: append, but don't overwrite. */
  #shared = false;
  /** Start and end of each write since the last sync. */
  #unsynced: number[] = [];
  /** Start and end of what a failed sync dropped, and nobody has written again. */
  #dropped: number[] = [];

  constructor(
    number: bigint,
    mode: number,
    readonly kind: "file" | "other" = "file",
  ) {
    super(number, mode);
  }

  get size(): number {
    return this.#size;
  }

  /** A copy of what a process sees. */
  get content(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#size));
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.min(length, this.#size - position);
    if (count <= 0) return 0;
    this.#bytes.copy(buffer, offset, position, position + count);
    return count;
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): void {
    const end = position + length;
    if (end > this.#bytes.length || (this.#shared && position < this.#size)) this.#grow(end);
    if (position > this.#size) this.#bytes.fill(0, this.#size, position);
    if (position < this.#durableSize) {
      this.#durableBytes ??= Buffer.from(this.#bytes.subarray(0, this.#durableSize));
    }
    this.#bytes.set(
      offset === 0 && length === buffer.byteLength ? buffer : buffer.subarray(offset, offset + length),
      position,
    );
    if (end > this.#size) this.#size = end;
    this.#unsynced.push(position, end);
    if (this.#dropped.length > 0) this.#dropped = without(this.#dropped, position, end);
  }

  /** Replaces everything, durably. */
  replace(content: Uint8Array): void {
    this.#bytes = Buffer.from(content);
    this.#shared = false;
    this.#size = content.byteLength;
    this.#dropped = [];
    this.sync();
  }

  sync(): void {
    this.#durableSize = this.#size;
    this.#durableBytes = undefined;
    if (this.#unsynced.length > 0) this.#unsynced = [];
  }

  /** A sync that failed: the pages count as clean, no later sync writes them, readers still see them; what is written again is dirty again. */
  dropUnsynced(): void {
    this.#dropped = this.#dropped.concat(this.#unsynced);
    this.#unsynced = [];
  }

  powerCut(mode: PowerCutMode, random: () => number): void {
    if (this.#unsynced.length === 0 && this.#dropped.length === 0) return;
    const survivor = Buffer.alloc(this.#size);
    (this.#durableBytes ?? this.#bytes).copy(survivor, 0, 0, this.#durableSize);
    let size = this.#durableSize;
    for (let index = 0; mode !== "durable-only" && index < this.#unsynced.length; index += 2) {
      const start = this.#unsynced[index]!;
      const end = this.#unsynced[index + 1]!;
      const kept =
        mode === "keep-all" ? this.#keep(survivor, start, end) : this.#tear(survivor, start, end, random);
      size = Math.max(size, kept);
    }
    for (let index = 0; index < this.#dropped.length; index += 2) {
      survivor.fill(0, this.#dropped[index], this.#dropped[index + 1]);
    }
    this.replace(survivor.subarray(0, size));
  }

  /** A copy with the same history. */
  clone(): SimulatedFile {
    const copy = new SimulatedFile(this.number, this.mode, this.kind);
    copy.owner = this.owner;
    copy.modifiedAt = this.modifiedAt;
    // Without room at its end: an append to the copy moves it out.
    copy.#bytes = this.#bytes.subarray(0, this.#size);
    copy.#shared = this.#shared = true;
    copy.#size = this.#size;
    copy.#durableSize = this.#durableSize;
    copy.#durableBytes = this.#durableBytes;
    copy.#unsynced = [...this.#unsynced];
    copy.#dropped = [...this.#dropped];
    return copy;
  }

  #keep(survivor: Buffer, start: number, end: number): number {
    this.#bytes.copy(survivor, start, start, end);
    return end;
  }

  /** Keeps what chance decides of one write; returns how far the file reaches because of it. */
  #tear(survivor: Buffer, start: number, end: number, random: () => number): number {
    const fate = random();
    if (fate < 0.35) return this.#keep(survivor, start, end);
    if (fate < 0.65) return 0;
    // The length arrived and the data did not.
    if (fate < 0.75) return end;
    if (fate < 0.9) return this.#keep(survivor, start, start + Math.floor(random() * (end - start + 1)));
    let reached = 0;
    for (let from = start; from < end;) {
      const to = Math.min(end, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
      if (random() < 0.5) reached = this.#keep(survivor, from, to);
      from = to;
    }
    return reached;
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2, FIRST_CAPACITY_BYTES));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
    this.#shared = false;
  }
}

/** A folder: what its names lead to now, at the last sync, and at every moment between. */
export class SimulatedFolder extends Inode {
  readonly kind = "directory";
  /** Change it with `set` only. */
  readonly entries = new Map<string, SimulatedInode>();
  /** Where it hangs, for `..` and realpath; undefined for the disk's root. */
  parent: SimulatedFolder | undefined;
  name = "";
  readonly #durable = new Map<string, SimulatedInode>();
  /** What each name led to after each change since the last sync. */
  readonly #pending = new Map<string, (SimulatedInode | undefined)[]>();

  get size(): number {
    return 4096;
  }

  get removed(): boolean {
    return this.links === 0;
  }

  set(name: string, inode: SimulatedInode | undefined): void {
    if (inode === undefined) this.entries.delete(name);
    else this.#place(name, inode);
    const states = this.#pending.get(name);
    if (states === undefined) this.#pending.set(name, [inode]);
    else states.push(inode);
  }

  /** As {@link set}, and durable at once. */
  setDurably(name: string, inode: SimulatedInode | undefined): void {
    this.#pending.delete(name);
    this.#decide(name, inode);
  }

  sync(): void {
    for (const name of this.#pending.keys()) {
      const inode = this.entries.get(name);
      if (inode === undefined) this.#durable.delete(name);
      else this.#durable.set(name, inode);
    }
    this.#pending.clear();
  }

  /** Decides for each name on its own which of its states survived. */
  powerCut(mode: PowerCutMode, random: () => number): void {
    for (const [name, states] of this.#pending) {
      const chosen = mode === "keep-all" ? states.length : mode === "durable-only" ? 0 : undefined;
      const index = chosen ?? Math.floor(random() * (states.length + 1));
      this.#decide(name, index === 0 ? this.#durable.get(name) : states[index - 1]);
    }
    this.#pending.clear();
  }

  /** A copy with the same history; `copyOf` makes or finds the copy of an inode. */
  cloneInto(copy: SimulatedFolder, copyOf: (inode: SimulatedInode) => SimulatedInode): void {
    for (const [name, inode] of this.entries) copy.#place(name, copyOf(inode));
    for (const [name, inode] of this.#durable) copy.#durable.set(name, copyOf(inode));
    for (const [name, states] of this.#pending) {
      copy.#pending.set(
        name,
        states.map((inode) => inode && copyOf(inode)),
      );
    }
  }

  #decide(name: string, inode: SimulatedInode | undefined): void {
    if (inode === undefined) {
      this.entries.delete(name);
      this.#durable.delete(name);
    } else {
      this.#place(name, inode);
      this.#durable.set(name, inode);
    }
  }

  #place(name: string, inode: SimulatedInode): void {
    this.entries.set(name, inode);
    if (inode.kind !== "directory") return;
    inode.parent = this;
    inode.name = name;
  }
}

/** Ranges, as start and end of each, apart from what is in one more. */
function without(ranges: readonly number[], start: number, end: number): number[] {
  const left: number[] = [];
  for (let index = 0; index < ranges.length; index += 2) {
    const [from = 0, to = 0] = ranges.slice(index, index + 2);
    if (from < start) left.push(from, Math.min(to, start));
    if (to > end) left.push(Math.max(from, end), to);
  }
  return left;
}
