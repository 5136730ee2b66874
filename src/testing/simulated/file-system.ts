/**
 * One simulated process: the file-system port over a simulated disk, with handles to fail, stop, park and
 * kill it at any system call.
 *
 * Order of events of one call: it is counted; a deferred one waits for its `gate`, or for the test that has it from
 * `onDeferred`; it enters the `log`; `onCall` runs and may throw, run other processes' code or return an instruction;
 * then the call takes effect, at one instant. A blocking call does all of that before it returns. A deferred call does it
 * in a later microtask, even without a gate, and resolves right after its effect; or when it is told to.
 *
 * A dead process is silent: its blocking calls throw {@link ProcessKilled}, its deferred calls never settle, its
 * watchers are gone. What it did so far stays on the disk.
 */
import type { Deferred, FileCalls, FileStatus, FileSystem, OpenMode, Room } from "../../fs/file-system.js";
import { SimulatedCalls, type SystemCalls } from "./calls.js";
import type { SimulatedVolume } from "./volume.js";
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
  /** `write` takes only this many bytes. */
  readonly shortWrite?: number;
  /** `fdatasync` and `fsync` throw EIO and drop what was dirty: a later sync succeeds and does not bring it back. */
  readonly failSync?: boolean;
  /** The call takes effect, then it throws this: an answer that was lost on its way. */
  readonly failAfter?: Error;
  /** The call takes effect, and the process is dead before it hears of it. With `shortWrite`: a torn write. */
  readonly killAfter?: boolean;
}

/** A deferred call in the hands of a scheduler: it takes effect, and is answered, when the scheduler says so. */
export interface DeferredCall {
  readonly call: SimulatedCall;
  /** Lets the call take effect, once; its promise does not settle yet. Does nothing in a dead process. */
  perform(): void;
  /** Settles the promise, after {@link perform} if that is still to be done. Never settles in a dead process. */
  answer(): void;
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

/** What a sleeping process still sees, and for how many calls. */
interface Past {
  readonly open: FileCalls["open"];
  readonly calls: SystemCalls;
  left: number;
}

const EXT4 = 0xef53n;
/** Calls that change nothing that others could see. */
const LOOKS: ReadonlySet<SystemCallName> = new Set([
  "open",
  "close",
  "read",
  "fstat",
  "lstat",
  "readdir",
  "realpath",
  "readlink",
]);

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
  /** Takes deferred calls over, instead of `gate`: nothing happens until the test performs and answers them. */
  onDeferred: ((deferred: DeferredCall) => void) | undefined;
  /** Takes the notifications of `watch` over: no watcher hears of a change until `deliver` is called. */
  onNotification: ((deliver: () => void) => void) | undefined;
  readonly #volume: SimulatedVolume;
  readonly #ended: () => void;
  readonly #calls: SimulatedCalls;
  readonly #userId: number | undefined;
  readonly #canWatch: boolean;
  readonly #stops = new Set<() => void>();
  #killed = false;
  #past: Past | undefined;

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

  /** Whether blocking calls that only look are answered with the past. */
  get asleep(): boolean {
    return this.#past !== undefined;
  }

  /**
   * The process is stopped between two blocking calls that it is about to make, for as long as it takes until it makes them:
   * its next `calls` blocking calls, as long as they only look, see the disk as it is now, and the later ones as it is
   * then. Keep it from doing anything else meanwhile, begin the operation, and then call {@link wakeUp}.
   */
  fallAsleep(calls: number): void {
    this.#past = { ...this.#calls.asOfNow(), left: calls };
  }

  wakeUp(): void {
    this.#past = undefined;
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

  write(fd: number, buffer: Uint8Array, offset: number, length: number, position?: number): number {
    return this.#plain()
      ? this.#calls.write(fd, buffer, offset, length, position)
      : this.#hooked("write", [fd, buffer, offset, length, position]);
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

  room(path: string): Room {
    return this.#plain() ? this.#calls.room(path) : this.#hooked("room", [path]);
  }

  bootedAt(): number {
    return this.#volume.bootedAt;
  }

  userId(): number | undefined {
    return this.#userId;
  }

  /** Only owners and all others: the simulated disk knows of no groups. */
  mayWrite(folder: string): boolean {
    if (this.#userId === undefined || this.#userId === 0) return true;
    const { mode, owner } = this.lstat(folder);
    const needed = owner === this.#userId ? 0o300 : 0o003;
    return (mode & needed) === needed;
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
      const deliver = (): void => {
        pending = false;
        if (!stopped) onChange();
      };
      if (this.onNotification === undefined) queueMicrotask(deliver);
      else this.onNotification(deliver);
    });
    const stop = (): void => {
      stopped = true;
      unwatch();
      this.#stops.delete(stop);
    };
    this.#stops.add(stop);
    return stop;
  }

  /** Counts a blocking call; true when the test does not want to see it. */
  #plain(): boolean {
    if (this.#killed) throw new ProcessKilled(this.process);
    this.calls++;
    return this.onCall === undefined && this.log === undefined && this.#past === undefined;
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
    if (this.#past !== undefined && !call.deferred) return this.#effectInPast(this.#past, call);
    if (instruction?.failSync === true && (name === "fdatasync" || name === "fsync")) {
      return this.#calls.failSync(name, args[0] as number);
    }
    if (instruction?.shortWrite !== undefined && name === "write") {
      const [fd, buffer, offset, length, position] = args as Parameters<FileCalls["write"]>;
      return this.#calls.write(fd, buffer, offset, Math.min(length, instruction.shortWrite), position);
    }
    const method = this.#calls[name] as (...args: readonly unknown[]) => unknown;
    return method.apply(this.#calls, args as unknown[]);
  }

  #effectInPast(past: Past, call: SimulatedCall): unknown {
    const { name, args } = call;
    const looks = LOOKS.has(name) && !(name === "open" && args[1] === "create");
    if (!looks || past.left-- <= 0) {
      this.#past = undefined;
      return this.#effect(call, undefined);
    }
    if (name === "open") return past.open(args[0] as string, args[1] as OpenMode);
    const method = past.calls[name] as (...args: readonly unknown[]) => unknown;
    if (name === "close") this.#calls.close(args[0] as number);
    return method.apply(past.calls, args as unknown[]);
  }

  #defer<Result>(name: SystemCallName, args: readonly unknown[]): Promise<Result> {
    if (this.#killed) return new Promise(() => {});
    const call: SimulatedCall = { process: this.process, name, args, index: ++this.calls, deferred: true };
    const { onDeferred } = this;
    if (onDeferred === undefined) return this.#performLater(call);
    return new Promise((resolve, reject) => onDeferred(this.#handOver<Result>(call, resolve, reject)));
  }

  #handOver<Result>(
    call: SimulatedCall,
    resolve: (result: Result) => void,
    reject: (error: unknown) => void,
  ): DeferredCall {
    let settle: (() => void) | undefined;
    let answered = false;
    const perform = (): void => {
      if (settle !== undefined || this.#killed) return;
      settle = () => {}; // `onCall` may come here again
      try {
        const result = this.#perform<Result>(call);
        settle = () => resolve(result);
      } catch (error) {
        settle = () => reject(error);
      }
    };
    const answer = (): void => {
      perform();
      if (answered || this.#killed) return;
      answered = true;
      settle?.();
    };
    return { call, perform, answer };
  }

  async #performLater<Result>(call: SimulatedCall): Promise<Result> {
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
      write: (fd, buffer, offset, length, position) =>
        this.#defer("write", [fd, buffer, offset, length, position]),
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
