/**
 * Several processes on one simulated disk: each has a mount, a clock and chance of its own, and an open store.
 *
 * Nothing here waits for real time. Between two turns of the event loop every simulated process runs until it is
 * parked, done or waits for a timer, and timers fire only when {@link settled} has nothing better to do.
 */
import { openDirectoryStoreOn } from "../../src/store/open.js";
import type { OpenOptions } from "../../src/store/options.js";
import type { DirectorySessionStore } from "../../src/store/types.js";
import type { StoreWarning } from "../../src/errors.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import type { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SimulatedCall, SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { interceptCalls } from "./intercept-calls.js";

export const STORE = "/sessions.d";

/** A value of `big` is larger than {@link BLOB_BYTES}, so it is stored as a shared value. */
export interface Entry {
  readonly [field: string]: unknown;
}

export const BLOB_BYTES = 256;

/** A big value that can be recognised. */
export function bigText(seed: string): string {
  return `${seed}:`.padEnd(BLOB_BYTES * 2, "big value ");
}

/** Fills a segment of 4096 bytes, so that the next commit goes into another one. */
export const FULL_SEGMENT: Entry = Object.fromEntries(
  Array.from({ length: 40 }, (_, index) => [`f${index}`, "z".repeat(150)]),
);

export interface Machine {
  readonly fs: SimulatedFileSystem;
  readonly runtime: ManualRuntime;
  readonly warnings: StoreWarning[];
}

export interface Process extends Machine {
  readonly name: string;
  readonly store: DirectorySessionStore<Entry>;
}

export interface ProcessOptions extends OpenOptions<Entry> {
  /** Between the store and its mount: to hold answers back, say. */
  readonly through?: (fs: SimulatedFileSystem) => FileSystem;
  /** Small ones are copied, and looked at, faster. Default 4096. */
  readonly reserveBytes?: number;
}

/** No two processes of a test may make the same names, on copies of one disk neither. */
let seeds = 0;

/** A process that has not opened the store yet. */
export function boot(disk: SimulatedDisk, name: string): Machine {
  return { fs: disk.mount(name), runtime: new ManualRuntime({ seed: ++seeds }), warnings: [] };
}

/** Opens the store in a process. Small segments, small shared values; everything durable unless told otherwise. */
export async function openOn(machine: Machine, options: ProcessOptions = {}): Promise<Process> {
  const { through, reserveBytes = 4096, ...rest } = options;
  const store = await openDirectoryStoreOn<Entry>(
    through?.(machine.fs) ?? machine.fs,
    machine.runtime,
    STORE,
    {
      segmentBytes: 1024 * 1024,
      blobThresholdBytes: BLOB_BYTES,
      onWarning: (warning) => machine.warnings.push(warning),
      ...rest,
    },
    reserveBytes,
  );
  return { ...machine, name: machine.fs.process, store };
}

export function start(disk: SimulatedDisk, name: string, options?: ProcessOptions): Promise<Process> {
  return openOn(boot(disk, name), options);
}

/** Everything that can run without a timer has run when this resolves. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass for some processes, and everything that this starts come to its end. */
export async function pass(ms: number, ...processes: readonly Pick<Machine, "runtime">[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    for (const { runtime } of processes) runtime.advance(100);
    for (let turns = 0; turns < 5; turns++) await turn();
  }
  for (let turns = 0; turns < 200; turns++) await turn();
}

const IDLE_TURNS_MAX = 2000;

/** Waits for a promise, and fires the timers of these processes, one a turn, as long as nothing else brings it on. */
export async function settled<T>(promise: Promise<T>, ...running: readonly Machine[]): Promise<T> {
  let done = false;
  const finished = (): void => void (done = true);
  promise.then(finished, finished);
  for (let turns = 0; turns < IDLE_TURNS_MAX; turns++) {
    await turn();
    if (done) return promise;
    for (const { runtime, fs } of running) if (!fs.killed) runtime.runNextTimer();
  }
  throw new Error("stuck: it waits for something that no timer brings");
}

export interface Parking {
  /** The first call that was parked; undefined while there is none. */
  readonly at: SimulatedCall | undefined;
  release(): void;
}

/**
 * Stops a process before a deferred call: that one and all later ones wait until `release`.
 * @param from Number of the call, from 1 for the process's next deferred call.
 */
export function parkFrom(fs: SimulatedFileSystem, from: number): Parking {
  let made = 0;
  let at: SimulatedCall | undefined;
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  fs.gate = (call) => {
    made += 1;
    if (made < from) return undefined;
    at ??= call;
    return opened;
  };
  return {
    get at() {
      return at;
    },
    release() {
      fs.gate = undefined;
      open();
    },
  };
}

/** Holds answers back: calls take effect, and their promises settle later. */
export class HeldAnswers {
  #from = Number.POSITIVE_INFINITY;
  #answered = 0;
  #held: string | undefined;
  #open = (): void => {};
  #opened: Promise<void> = Promise.resolve();

  /** Name of the first call whose answer is held. */
  get held(): string | undefined {
    return this.#held;
  }

  /** Stops a process after its `from`th deferred call from now on took effect and before it hears of it. */
  holdFrom(from: number): void {
    this.#from = from;
    this.#answered = 0;
    this.#held = undefined;
    this.#opened = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#from = Number.POSITIVE_INFINITY;
    this.#open();
  }

  /** To be given to {@link ProcessOptions.through}. */
  readonly through = (fs: SimulatedFileSystem): FileSystem => {
    const later = Object.fromEntries(
      Object.entries(fs.later).map(([name, call]) => [
        name,
        (...args: unknown[]) =>
          this.#answer(name, (call as (...args: unknown[]) => Promise<unknown>)(...args)),
      ]),
    );
    return interceptCalls(fs, { later });
  };

  async #answer(name: string, performed: Promise<unknown>): Promise<unknown> {
    try {
      return await performed;
    } finally {
      this.#answered += 1;
      if (this.#answered >= this.#from) {
        this.#held ??= name;
        await this.#opened;
      }
    }
  }
}
