/**
 * The directory engine: a folder per session, one shared log, no locks. This file only puts the parts together;
 * `ARCHITECTURE.md` says in which order to read them.
 */
import { dirname, join, resolve } from "node:path";
import { asStoreError, readOnlyError, SessionStoreError, type StoreWarning } from "../../errors.js";
import { BlobTrash } from "../../entries/blob-trash.js";
import { BlobStore } from "../../entries/blob-store.js";
import { EntryWriter } from "../../entries/entry-file.js";
import { missingInternalFolder } from "../../entries/internal-folder.js";
import { RESERVE_BYTES } from "../../entries/reserve.js";
import type { FileSystem } from "../../fs/file-system.js";
import { isMissing } from "../../fs/missing.js";
import type { Trust } from "../../fs/trusted-path.js";
import { EntryCodec } from "../../format/entry-codec.js";
import { hintNumber, RESERVE_FILE, segmentNumber } from "../../format/layout.js";
import type { Limits } from "../../format/limits.js";
import type { StoredObject } from "../../format/stored-value.js";
import type { Runtime } from "../../runtime.js";
import type {
  CommitOptions,
  CommitOutcome,
  EngineChange,
  EngineItemQuery,
  EnginePage,
  EngineTranscript,
  EngineOp,
  EngineQuery,
  EngineRecord,
  EngineScan,
  EngineStats,
  MaybePromise,
  Operation,
  StatsOptions,
  SynchronousEngine,
  TranscriptStats,
} from "../contract.js";
import { PartFiles } from "./catalog/part-file.js";
import { beginningBehind, catalogsAmong, removeCatalogsAhead, type CatalogSource } from "./catalog-loader.js";
import { ChangeFeed, type ChangesOptions } from "./change-feed.js";
import { Committer, unknownDurability } from "./committer.js";
import { EVERY_SESSION, Listing } from "./listing.js";
import { hasLog, replaceLostLog } from "./lost-log.js";
import { BackgroundWork } from "./background-work.js";
import {
  damageWithRealPaths,
  iterationWithRealPaths,
  warningWithRealPaths,
  withRealPaths,
} from "./real-paths.js";
import { mend } from "./mending.js";
import { Operations } from "./operations.js";
import { SessionLog } from "./session-log.js";
import { findStoreFolder, makeStoreFolder, type StoreFolder } from "./store-folder.js";
import { runInSlices, runNow } from "./time-slices.js";
import { countTranscripts, keysOfTranscripts } from "./transcripts/transcript-count.js";
import { ItemRecords } from "./transcripts/item-records.js";
import { TranscriptReader } from "./transcripts/transcript-reader.js";

export interface DirectoryEngineOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** Whether a store is made where there is none. */
  readonly create: boolean;
  /** Who may change the folders that the store lies in. */
  readonly trust: Trust;
  /** No other process has the store open: what it could not read of the log is mended. */
  readonly soleProcess?: boolean;
  readonly durability: "disk" | "os";
  /** When an entry was last used, for listings: milliseconds since 1970. */
  readonly updatedAt: (entry: object) => number | undefined;
  readonly flushDelayMs: number;
  readonly segmentBytes: number;
  /** Room that is kept for getting out of a full disk. Default 256 KiB; less on a small disk. */
  readonly reserveBytes?: number;
  /** Of a store that is made: bytes at which a file of a transcript is full. Default 4 MiB. */
  readonly chunkBytes?: number;
  readonly blobThresholdBytes: number;
  /** What an entry may come to with big values that no file has yet. Default 16 times the threshold. */
  readonly inlineBytesMax?: number;
  /** How much of sessions that are in their files is kept in memory. */
  readonly cacheBytes: number;
  readonly limits: Limits;
  readonly onWarning: (warning: StoreWarning) => void;
  readonly fileSystem: FileSystem;
  readonly runtime: Runtime;
}

/** Opens the store at a path, makes it if there is none, and reads its live log. */
export async function openDirectoryEngine(options: DirectoryEngineOptions): Promise<SynchronousEngine> {
  const where = { ...options, fs: options.fileSystem };
  const folder = findStoreFolder(where) ?? (await makeStoreFolder(where, options));
  const engine = new DirectoryEngine(folder, options);
  try {
    await engine.begin();
    return engine;
  } catch (error) {
    const told = engine.withRealPaths(error);
    await engine.close();
    throw told;
  }
}

/**
 * The same at once.
 * @returns Undefined if that is not possible: there is no store yet, or a log has to be made for it.
 */
export function openDirectoryEngineNow(options: DirectoryEngineOptions): SynchronousEngine | undefined {
  const folder = findStoreFolder({ ...options, fs: options.fileSystem });
  if (folder === undefined) return undefined;
  const engine = new DirectoryEngine(folder, options);
  try {
    if (engine.beginNow()) return engine;
    void engine.close();
    return undefined;
  } catch (error) {
    const told = engine.withRealPaths(error);
    void engine.close();
    throw told;
  }
}

type Decided = Extract<CommitOutcome, { status: "committed" | "repeated" }>;

/** About a millisecond of work. */
const COMMITS_PER_TURN = 64;

class DirectoryEngine implements SynchronousEngine {
  readonly #log: SessionLog;
  readonly #committer: Committer;
  readonly #listing: Listing;
  readonly #background: BackgroundWork;
  readonly #feed: ChangeFeed;
  readonly #transcripts: TranscriptReader;
  readonly #operations: Operations;
  readonly #blobs: BlobStore;
  readonly #source: CatalogSource;
  /** Commits that needed no sync. */
  #commits = 0;
  #closed = false;

  constructor(
    private readonly folder: StoreFolder,
    private readonly options: DirectoryEngineOptions,
  ) {
    const { fileSystem: fs, runtime, readOnly, limits, cacheBytes } = options;
    const { layout, storeId } = folder;
    // Later, when the log is not being read any more: the caller's function may use the store.
    const onWarning = (warning: StoreWarning): void =>
      queueMicrotask(() => options.onWarning(warningWithRealPaths(warning, folder.root)));
    this.#blobs = new BlobStore(fs, layout, runtime, { bytesMax: limits.blobBytesMax });
    const codec = new EntryCodec({
      thresholdBytes: options.blobThresholdBytes,
      inlineBytesMax: options.inlineBytesMax,
      limits,
      loadBlob: (reference) => {
        this.#assertOpen(); // an entry may outlive its store; the pinned folder does not
        try {
          return this.#blobs.load(reference);
        } catch (error) {
          // A field of an entry was touched: no method of the store is there to say what was being done.
          throw asStoreError(this.withRealPaths(error), `read the shared value ${reference.hash}`);
        }
      },
    });
    const decode = (stored: StoredObject, key?: string): object => codec.decode(stored, key);
    const updatedAtOf = (stored: StoredObject): number => {
      const updatedAt = options.updatedAt(decode(stored));
      return updatedAt !== undefined && Number.isFinite(updatedAt) ? updatedAt : 0;
    };
    this.#source = { fs, layout, storeId, parts: new PartFiles(fs, layout), onWarning, updatedAtOf };
    const parent = dirname(folder.root.realPath);
    this.#log = new SessionLog({
      fs,
      runtime,
      layout,
      storeId,
      parent,
      path: resolve(options.path),
      root: folder.root,
      readOnly,
      cacheBytes,
      decode,
      onWarning,
      elsewhere: {
        knownRevision: (key) => this.#listing.knownRevision(key),
        revisionElsewhere: (key) => this.#listing.revisionElsewhere(key),
        beginningBehind: (segment) => beginningBehind(this.#source, segment),
      },
    });
    this.#listing = new Listing(this.#log, this.#source, onWarning);
    const isInLog = (revision: number): boolean => this.#log.isInLog(revision);
    const isOvertaken = (key: string, revision: number): boolean => this.#log.isOvertaken(key, revision);
    const writer = new EntryWriter(fs, layout, runtime, { isInLog, isOvertaken, onWarning });
    const trash = new BlobTrash(this.#blobs, fs, layout, runtime);
    const records = new ItemRecords(this.#log);
    this.#transcripts = new TranscriptReader(this.#log, records);
    this.#operations = new Operations(this.#log);
    this.#background = new BackgroundWork(this.#log, writer, records, this.#operations, trash, this.#source, {
      ...options,
      reserveBytes: options.reserveBytes ?? RESERVE_BYTES,
    });
    const { space } = this.#background;
    this.#feed = new ChangeFeed(this.#log);
    this.#committer = new Committer(this.#log, codec, this.#blobs, this.#transcripts, this.#operations, {
      durability: options.durability,
      readOnly,
      onCommitted: (segment, key, revision) => this.#background.committed(segment, key, revision),
      onTranscriptCommitted: (segment, key, name) => this.#background.transcriptCommitted(segment, key, name),
      isDirty: (key) => this.#background.dirty.has(key),
      room: {
        mustWait: () => space.mustWait,
        took: (bytes) => space.took(bytes),
        make: (full) => this.#background.makeRoom(full),
        spendReserve: (work, otherwise) => space.spendReserve(work, otherwise),
        full: (cause) => space.full(cause),
      },
    });
  }

  async begin(): Promise<void> {
    const { fileSystem: fs, runtime, readOnly } = this.options;
    const { layout, storeId } = this.folder;
    const { onWarning } = this.#source;
    if (!readOnly) await replaceLostLog({ fs, runtime, layout, storeId, source: this.#source, onWarning });
    await runInSlices(this.#begin(), runtime);
    if (this.options.soleProcess === true && !readOnly && (await mend(this.#log, this.#source, onWarning)))
      await this.#background.checkpoint();
  }

  /** @returns Whether there is a log to begin with, and nothing of it to be mended first. */
  beginNow(): boolean {
    try {
      runNow(this.#begin());
      return (
        this.options.soleProcess !== true || this.options.readOnly || this.#log.doubts.damagedSegment === 0
      );
    } catch (error) {
      if (this.options.readOnly || hasLog(this.options.fileSystem, this.folder.layout)) throw error;
      return false;
    }
  }

  *#begin(): Generator<void, void> {
    const names = this.#source.fs.readdir(this.#source.layout.store);
    const catalogs = catalogsAmong(names, 0); // before the log is read: see removeCatalogsAhead
    yield* this.#log.begin(Math.max(0, ...names.map((name) => hintNumber(name) ?? 0)));
    if (this.options.readOnly) return;
    removeCatalogsAhead(this.#source, catalogs, this.#log.active.number);
    this.#background.start(names.includes(RESERVE_FILE));
  }

  read(key: string): EngineRecord | undefined {
    return this.readNow(key);
  }

  readNow(key: string): EngineRecord | undefined {
    try {
      this.#log.assertInPlace();
      const state = this.#log.read(key);
      return state.stored === undefined ? undefined : state;
    } catch (error) {
      throw this.withRealPaths(error);
    }
  }

  isInDoubt(key: string): boolean {
    return this.#onRealPaths(() => this.#log.doubts.isInDoubt(key));
  }

  scan(query: EngineQuery): Promise<EngineScan> {
    return this.#inSlices(() => this.#listing.scan(query)).then((scan) => this.#scanWithRealPaths(scan));
  }

  scanNow(query: EngineQuery): EngineScan {
    return this.#scanWithRealPaths(
      this.#onRealPaths(() => {
        this.#log.assertInPlace();
        return runNow(this.#listing.scan(query));
      }),
    );
  }

  #scanWithRealPaths(scan: EngineScan): EngineScan {
    if (scan.damaged === undefined) return scan;
    return { ...scan, damaged: scan.damaged.map((damage) => damageWithRealPaths(damage, this.folder.root)) };
  }

  count(query: EngineQuery): Promise<number> {
    return this.#inSlices(() => this.#listing.count(query));
  }

  commit(ops: readonly EngineOp[], options?: CommitOptions): MaybePromise<CommitOutcome> {
    try {
      this.#log.assertInPlace();
      const outcome = this.#committer.commit(ops, options);
      return outcome instanceof Promise ? this.#decidedLater(outcome) : this.#untilDurable(outcome);
    } catch (error) {
      throw this.withRealPaths(error);
    }
  }

  #decidedLater(outcome: Promise<CommitOutcome>): Promise<CommitOutcome> {
    return outcome.then(
      (decided) => this.#untilDurable(decided),
      (error: unknown) => this.#refuse(error),
    );
  }

  #untilDurable(outcome: CommitOutcome): CommitOutcome {
    if (outcome.status !== "committed" && outcome.status !== "repeated") return outcome;
    if (outcome.durable === undefined) return this.#takingTurns(outcome);
    const durable = outcome.durable.catch((error: unknown) =>
      this.#refuse(unknownDurability(this.#log.explain(error))),
    );
    return { ...outcome, durable };
  }

  /** A program that awaits commit after commit, none of which has to wait for a sync, would never come to timers, files and checkpoints. */
  #takingTurns(outcome: Decided): CommitOutcome {
    if (++this.#commits % COMMITS_PER_TURN > 0) return outcome;
    return { ...outcome, durable: this.options.runtime.yieldToEventLoop() };
  }

  transcript(key: string, name: string): EngineTranscript | undefined {
    return this.#inPlace(() => this.#transcripts.transcript(key, name));
  }

  transcripts(key: string): string[] {
    return this.#inPlace(() => this.#transcripts.names(key));
  }

  itemIds(key: string, name: string, ids: readonly string[]): ReadonlyMap<string, number> {
    return this.#inPlace(() => this.#committer.itemIds(key, name, ids));
  }

  items(key: string, name: string, query: EngineItemQuery): EnginePage {
    return this.#inPlace(() => this.#transcripts.items(key, name, query));
  }

  operation(operation: Operation): MaybePromise<number | undefined> {
    const revision = this.#inPlace(() => {
      this.#log.catchUp();
      return this.#operations.find(operation);
    });
    const durable = revision && this.#committer.durable(this.#log.active);
    return durable ? durable.then(() => revision).catch((error: unknown) => this.#refuse(error)) : revision;
  }

  revision(): number {
    return this.#onRealPaths(() => {
      this.#log.assertInPlace();
      this.#log.catchUp();
      return this.#log.revision;
    });
  }

  recordsRevision(): number {
    this.revision(); // reads the log
    return this.#log.recordsRevision;
  }

  changes(options: ChangesOptions): AsyncIterable<EngineChange> {
    return this.#onRealPaths(() => {
      this.#log.assertInPlace();
      return iterationWithRealPaths(this.#feed.changes(options), (error) => this.withRealPaths(error));
    });
  }

  async stats(options: StatsOptions = {}): Promise<EngineStats> {
    try {
      const stats = await this.#collectStats();
      return options.transcripts === true ? { ...stats, transcripts: await this.#countTranscripts() } : stats;
    } catch (error) {
      throw this.withRealPaths(error);
    }
  }

  flush(): Promise<void> {
    this.#assertWritable("flush the store");
    return this.#background.flush().catch((error: unknown) => this.#refuse(error));
  }

  checkpoint(): Promise<void> {
    this.#assertWritable("checkpoint the store");
    return this.#background.checkpoint().catch((error: unknown) => this.#refuse(error));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#feed.close();
    try {
      await this.#listing.close();
      await this.#background.close();
      await this.#log.end.settled(); // no commit waits for the sync of a void record
    } finally {
      this.#closed = true;
      this.#onRealPaths(() => {
        this.#log.close();
        this.folder.root.close();
      });
    }
  }

  /** What to tell of a failure: that the store, or a folder of its own, is gone, if it comes from that; with real paths. */
  withRealPaths(error: unknown): unknown {
    return withRealPaths(this.#closed ? error : this.#explained(error), this.folder.root);
  }

  #explained(error: unknown): unknown {
    const explained = this.#log.explain(error);
    if (!isMissing(explained)) return explained;
    return missingInternalFolder(this.options.fileSystem, this.folder.layout) ?? explained;
  }

  async transcriptKeys(): Promise<string[]> {
    this.revision(); // reads the log
    const folders = await this.options.fileSystem.later
      .readdir(this.folder.layout.root)
      .catch((error: unknown) => this.#refuse(error));
    return this.#inSlices(() => keysOfTranscripts(this.#log, folders));
  }

  async #countTranscripts(): Promise<TranscriptStats> {
    const folders = await this.options.fileSystem.later.readdir(this.folder.layout.root);
    return this.#inSlices(() => countTranscripts(this.#log, this.#transcripts, folders));
  }

  async #collectStats(): Promise<EngineStats> {
    const { fileSystem: fs } = this.options;
    const { layout, root, storeId } = this.folder;
    const sessions = await runInSlices(this.#listing.count(EVERY_SESSION), this.options.runtime);
    const names = (await fs.later.readdir(layout.log)).filter((name) => segmentNumber(name) !== undefined);
    let logBytes = 0;
    for (const name of names) {
      const status = await fs.later.lstat(join(layout.log, name)).catch(() => undefined);
      logBytes += status?.size ?? 0; // may have been checkpointed meanwhile
    }
    const blobs = await this.#blobs.sizes();
    return {
      engine: "directory",
      sessions,
      revision: this.#log.revision,
      directory: {
        path: root.realPath,
        storeId,
        logSegments: names.length,
        logBytes,
        activeSegment: this.#log.active.number,
        damagedSegments: this.#log.doubts.damagedSegments().map(({ number }) => number),
        blobs: blobs.count,
        blobBytes: blobs.bytes,
        unflushed: this.#background.dirty.size,
        cachedEntries: this.#log.cached.entries,
        cachedBytes: this.#log.cached.bytes,
        ...fs.guarantees,
      },
    };
  }

  async #inSlices<T>(work: () => Generator<void, T>): Promise<T> {
    this.#onRealPaths(() => this.#log.assertInPlace());
    return runInSlices(work(), this.options.runtime).catch((error: unknown) => this.#refuse(error));
  }

  #inPlace<T>(work: () => T): T {
    return this.#onRealPaths(() => {
      this.#log.assertInPlace();
      return work();
    });
  }

  #onRealPaths<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.withRealPaths(error);
    }
  }

  #refuse(error: unknown): never {
    throw this.withRealPaths(error);
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw new SessionStoreError("closed", `the session store ${this.folder.root.realPath} was closed`);
  }

  #assertWritable(doing: string): void {
    if (this.options.readOnly) throw readOnlyError(doing);
  }
}
