/**
 * One simulated process of a schedule: a mount, a clock and chance of its own, and, once it is open, a store.
 *
 * Names that the engine draws are unique in a schedule: the protocol rests on that, and 64 random bits give it; the 32
 * bits of a seeded generator would not, over a million schedules.
 */
import { openDirectoryEngine } from "../src/engine/directory/directory-engine.js";
import { asStoreError, type StoreWarning } from "../src/errors.js";
import { resolveOptions } from "../src/store/options.js";
import { createDirectorySessionStore } from "../src/store/session-store.js";
import type { DirectorySessionStore } from "../src/store/types.js";
import { ManualRuntime } from "../src/testing/manual-runtime.js";
import type { SimulatedDisk } from "../src/testing/simulated/disk.js";
import type { DeferredCall, SimulatedFileSystem } from "../src/testing/simulated/file-system.js";
import { STORE, type Fields } from "./oracle.js";
import type { Step } from "./schedule.js";

export type Store = DirectorySessionStore<Fields>;

/** Values of at least this many bytes are shared. */
export const BLOB_BYTES = 256;
const INLINE_BYTES = 4096;
const FLUSH_DELAY_MS = 100;
/** About as much as a full disk of a schedule has left. */
const RESERVE_BYTES = 1200;
/** A file of a transcript has a handful of items. */
const CHUNK_BYTES = 600;

class NamingRuntime extends ManualRuntime {
  /** The first name that a store draws is the one under which it writes records. */
  writer = "";
  #names = 0;

  constructor(private readonly ordinal: number) {
    super({ seed: ordinal + 1 });
  }

  override randomName(bytes: number): string {
    const own = (++this.#names).toString(16).padStart(6, "0") + this.ordinal.toString(16).padStart(4, "0");
    const name = own.padStart(bytes * 2, "f0").slice(-bytes * 2);
    if (bytes === 6) this.writer = name;
    return name;
  }
}

/** A call, or a notification, that waits for its turn. */
export type Deferred = Pick<DeferredCall, "perform" | "answer">;

export interface ProcessOptions {
  readonly segmentBytes: number;
  readonly inline: boolean;
  readonly durability: "disk" | "os";
  readonly readOnly: boolean;
  readonly soleProcess: boolean;
}

export class SimulatedProcess {
  readonly fs: SimulatedFileSystem;
  readonly runtime: NamingRuntime;
  readonly warnings: StoreWarning[] = [];
  onWarning: (warning: StoreWarning) => void = () => {};
  store: Store | undefined;
  /** Set while the store is being opened, or closed. */
  busy = false;
  /** It is to be suspended when it makes such a call. */
  hold: Extract<Step, { do: "hold" }> | undefined;
  /** While it stands still inside an operation: how long the log's history was when that began. */
  asOf: number | undefined;
  /** Step at which it goes on again. */
  suspendedUntil = 0;
  /** A call of it was made to fail, or the disk was full: now it may refuse what it would not refuse otherwise. */
  faulty = false;
  /** Calls of it that were not answered yet, oldest first. */
  readonly waiting: Deferred[] = [];
  /** Operations that it has not finished. */
  running = 0;

  constructor(
    disk: SimulatedDisk,
    readonly ordinal: number,
    readonly options: ProcessOptions,
  ) {
    this.fs = disk.mount(`p${ordinal}`);
    this.runtime = new NamingRuntime(ordinal);
  }

  get name(): string {
    return this.fs.process;
  }

  get dead(): boolean {
    return this.fs.killed;
  }

  /** Opens the store as any process does, but with segments as small as we like. */
  async open(path = STORE): Promise<Store> {
    const { segmentBytes, inline, durability, readOnly, soleProcess } = this.options;
    const resolved = resolveOptions<Fields>({
      durability,
      readOnly,
      soleProcess,
      blobThresholdBytes: BLOB_BYTES,
      flushDelayMs: FLUSH_DELAY_MS,
      onWarning: (warning) => {
        this.warnings.push(warning);
        this.onWarning(warning);
      },
    });
    const { runtime, fs: fileSystem } = this;
    try {
      const inlineBytesMax = inline ? INLINE_BYTES : 0;
      const own = { segmentBytes, inlineBytesMax, reserveBytes: RESERVE_BYTES, chunkBytes: CHUNK_BYTES };
      const engine = await openDirectoryEngine({ ...resolved, ...own, path, fileSystem, runtime });
      return createDirectorySessionStore<Fields>(engine, { ...resolved, runtime });
    } catch (error) {
      throw asStoreError(error, `open ${path}`);
    }
  }
}
