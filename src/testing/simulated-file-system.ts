/**
 * One simulated process: the file-system port over a simulated disk, with handles to fail, stop, park and
 * kill it at any system call.
 *
 * Order of events of one call: it is counted; a deferred one waits for its `gate`; it enters the `log`; `onCall`
 * runs and may throw, run other processes' code or return an instruction; then the call takes effect, at one
 * instant. A blocking call does all of that before it returns. A deferred call does it in a later microtask, even
 * without a gate, and resolves right after its effect.
 *
 * A dead process is silent: its blocking calls throw {@link ProcessKilled}, its deferred calls never settle, its
 * watchers are gone. What it did so far stays on the disk.
 */
import type { Deferred, FileCalls, FileStatus, FileSystem, OpenMode } from "../fs/file-system.js";
import { SimulatedCalls, type SystemCalls } from "./simulated-calls.js";
import type { SimulatedVolume } from "./simulated-volume.js";
import { systemError } from "./system-error.js";

/** What a blocking call of a dead process throws: never caught on purpose by the code under test. */
export class ProcessKilled extends Error {
  override readonly name = "ProcessKilled";

  constructor(process: string) {
    super(`the simulated process ${process} is dead`);
  }
}

export type SystemCallName = keyof SystemCalls;

/** One call as the hooks see it. */
export interface SimulatedCall {
  /** Name of the mount. */
  readonly process: string;
  readonly name: SystemCallName;
  readonly args: readonly unknown[];
  /** 1 for the process's first call. A deferred call gets its number when it is made. */
  readonly index: number;
  readonly deferred: boolean;
}

/** What `onCall` may ask for instead of throwing. */
export interface CallInstruction {
  /** `write` takes only so many bytes. */
  readonly shortWrite?: number;
  /** `fdatasync` and `fsync` throw EIO and drop what was dirty: a later sync succeeds and does not bring it back. */
  readonly failSync?: boolean;
  /** The call takes effect, then it throws this: an answer that was lost on its way. */
  readonly failAfter?: Error;
  /** The call takes effect, and the process is dead before it hears of it. With `shortWrite`: a torn write. */
  readonly killAfter?: boolean;
}

export interface MountOptions {
  /** Whether `/proc/self/fd/N` works. Default is true. */
  readonly pinnedRoot?: boolean;
  /** What `guarantees` claims; `fsync` of a folder works either way. Default is true. */
  readonly directorySync?: boolean;
  /** Default is 0, who owns everything. */
  readonly userId?: number | undefined;
  /** Answer of `fileSystemType`. Default is that of ext4. */
  readonly fileSystemType?: bigint | undefined;
  /** Whether `watch` works. Default is true. */
  readonly canWatch?: boolean;
}

const EXT4 = 0xef53n;

export class SimulatedFileSystem implements FileSystem {
  readonly process: string;
  readonly guarantees: FileSystem["guarantees"];
  readonly later: Deferred<FileCalls>;
  /** System calls so far. */
  calls = 0;
  /** Set it to an array to collect the calls. */
  log: SimulatedCall[] | undefined;
  /** Runs right before a call takes effect. */
  onCall: ((call: SimulatedCall) => CallInstruction | undefined | void) | undefined;
  /** Parks a deferred call until its promise resolves; rejecting it fails the call. */
  gate: ((call: SimulatedCall) => Promise<void> | undefined) | undefined;
  readonly #volume: SimulatedVolume;
  readonly #ended: () => void;
  readonly #calls: SimulatedCalls;
  readonly #userId: number | undefined;
  readonly #canWatch: boolean;
  readonly #stops = new Set<() => void>();
  #killed = false;

  /** Made by `SimulatedDisk.mount`. */
  constructor(volume: SimulatedVolume, process: string, options: MountOptions, ended: () => void) {
    this.#volume = volume;
    this.#ended = ended;
    this.process = process;
    this.guarantees = {
      directorySync: options.directorySync ?? true,
      pinnedRoot: options.pinnedRoot ?? true,
    };
    this.#userId = "userId" in options ? options.userId : 0;
    this.#canWatch = options.canWatch ?? true;
    this.#calls = new SimulatedCalls(volume, {
      pins: this.guarantees.pinnedRoot,
      type: "fileSystemType" in options ? options.fileSystemType : EXT4,
    });
    this.later = this.#deferredCalls();
  }

  get killed(): boolean {
    return this.#killed;
  }

  /** Paths of the descriptors that are open: empty, or something leaked. */
  get openPaths(): string[] {
    return this.#calls.openPaths();
  }

  /** Ends the process at once. May be called from `onCall`: that call then has no effect. */
  kill(): void {
    if (this.#killed) return;
    this.#killed = true;
    for (const stop of this.#stops) stop();
    this.#calls.closeAll();
    this.#ended();
  }

  open(path: string, mode: OpenMode): number {
    return this.#plain() ? this.#calls.open(path, mode) : this.#hooked("open", [path, mode]);
  }

  close(fd: number): void {
    return this.#plain() ? this.#calls.close(fd) : this.#hooked("close", [fd]);
  }

  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number {
    return this.#plain()
      ? this.#calls.read(fd, buffer, offset, length, position)
      : this.#hooked("read", [fd, buffer, offset, length, position]);
  }

  write(fd: number, buffer: Uint8Array, offset: number, length: number): number {
    return this.#plain()
      ? this.#calls.write(fd, buffer, offset, length)
      : this.#hooked("write", [fd, buffer, offset, length]);
  }

  fstat(fd: number): FileStatus {
    return this.#plain() ? this.#calls.fstat(fd) : this.#hooked("fstat", [fd]);
  }

  lstat(path: string): FileStatus {
    return this.#plain() ? this.#calls.lstat(path) : this.#hooked("lstat", [path]);
  }

  readdir(path: string): string[] {
    return this.#plain() ? this.#calls.readdir(path) : this.#hooked("readdir", [path]);
  }

  mkdir(path: string): void {
    return this.#plain() ? this.#calls.mkdir(path) : this.#hooked("mkdir", [path]);
  }

  rmdir(path: string): void {
    return this.#plain() ? this.#calls.rmdir(path) : this.#hooked("rmdir", [path]);
  }

  unlink(path: string): void {
    return this.#plain() ? this.#calls.unlink(path) : this.#hooked("unlink", [path]);
  }

  rename(from: string, to: string): void {
    return this.#plain() ? this.#calls.rename(from, to) : this.#hooked("rename", [from, to]);
  }

  link(existing: string, created: string): void {
    return this.#plain() ? this.#calls.link(existing, created) : this.#hooked("link", [existing, created]);
  }

  fdatasync(fd: number): void {
    return this.#plain() ? this.#calls.fdatasync(fd) : this.#hooked("fdatasync", [fd]);
  }

  fsync(fd: number): void {
    return this.#plain() ? this.#calls.fsync(fd) : this.#hooked("fsync", [fd]);
  }

  realpath(path: string): string {
    return this.#plain() ? this.#calls.realpath(path) : this.#hooked("realpath", [path]);
  }

  readlink(path: string): string {
    return this.#plain() ? this.#calls.readlink(path) : this.#hooked("readlink", [path]);
  }

  fileSystemType(path: string): bigint | undefined {
    return this.#plain() ? this.#calls.fileSystemType(path) : this.#hooked("fileSystemType", [path]);
  }

  userId(): number | undefined {
    return this.#userId;
  }

  watch(path: string, onChange: () => void): (() => void) | undefined {
    if (this.#killed) throw new ProcessKilled(this.process);
    if (!this.#canWatch) return undefined;
    let folder;
    try {
      folder = this.#calls.folderAt(path);
    } catch {
      return undefined;
    }
    let pending = false;
    let stopped = false;
    const unwatch = this.#volume.watch(folder, () => {
      if (pending) return;
      pending = true;
      queueMicrotask(() => {
        pending = false;
        if (!stopped) onChange();
      });
    });
    const stop = (): void => {
      stopped = true;
      unwatch();
      this.#stops.delete(stop);
    };
    this.#stops.add(stop);
    return stop;
  }

  /** Counts a blocking call; true when nobody wants to see it. */
  #plain(): boolean {
    if (this.#killed) throw new ProcessKilled(this.process);
    this.calls++;
    return this.onCall === undefined && this.log === undefined;
  }

  #hooked<Name extends SystemCallName>(
    name: Name,
    args: Parameters<SystemCalls[Name]>,
  ): ReturnType<SystemCalls[Name]> {
    return this.#perform({ process: this.process, name, args, index: this.calls, deferred: false });
  }

  #perform<Result>(call: SimulatedCall): Result {
    this.log?.push(call);
    const instruction = this.onCall?.(call) ?? undefined;
    if (this.#killed) throw new ProcessKilled(this.process);
    const result = this.#effect(call, instruction) as Result;
    if (instruction?.killAfter === true) {
      this.kill();
      throw new ProcessKilled(this.process);
    }
    if (instruction?.failAfter !== undefined) throw instruction.failAfter;
    return result;
  }

  #effect(call: SimulatedCall, instruction: CallInstruction | undefined): unknown {
    const { name, args } = call;
    if (instruction?.failSync === true && (name === "fdatasync" || name === "fsync")) {
      return this.#calls.failSync(name, args[0] as number);
    }
    if (instruction?.shortWrite !== undefined && name === "write") {
      const [fd, buffer, offset, length] = args as Parameters<FileCalls["write"]>;
      return this.#calls.write(fd, buffer, offset, Math.min(length, instruction.shortWrite));
    }
    const method = this.#calls[name] as (...args: readonly unknown[]) => unknown;
    return method.apply(this.#calls, args as unknown[]);
  }

  async #defer<Result>(name: SystemCallName, args: readonly unknown[]): Promise<Result> {
    if (this.#killed) return new Promise(() => {});
    const call: SimulatedCall = { process: this.process, name, args, index: ++this.calls, deferred: true };
    await this.gate?.(call);
    if (this.#killed) return new Promise(() => {});
    try {
      return this.#perform<Result>(call);
    } catch (error) {
      if (this.#killed) return await new Promise(() => {});
      throw error;
    }
  }

  #deferredCalls(): Deferred<FileCalls> {
    return {
      open: (path, mode) => this.#defer("open", [path, mode]),
      close: (fd) => this.#defer("close", [fd]),
      read: (fd, buffer, offset, length, position) =>
        this.#defer("read", [fd, buffer, offset, length, position]),
      write: (fd, buffer, offset, length) => this.#defer("write", [fd, buffer, offset, length]),
      fstat: (fd) => this.#defer("fstat", [fd]),
      lstat: (path) => this.#defer("lstat", [path]),
      readdir: (path) => this.#defer("readdir", [path]),
      mkdir: (path) => this.#defer("mkdir", [path]),
      rmdir: (path) => this.#defer("rmdir", [path]),
      unlink: (path) => this.#defer("unlink", [path]),
      rename: (from, to) => this.#defer("rename", [from, to]),
      link: (existing, created) => this.#defer("link", [existing, created]),
      fdatasync: (fd) => this.#defer("fdatasync", [fd]),
      fsync: (fd) => this.#defer("fsync", [fd]),
    };
  }
}

/** An `onCall` that fails the Nth call of a process with an errno, once. */
export function failNth(index: number, code: string): (call: SimulatedCall) => undefined {
  return (call) => {
    if (call.index === index) throw systemError(code, call);
  };
}
