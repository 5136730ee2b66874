/**
 * What a process does for the store besides answering: lazy entry files, checkpoints, removal of what nobody needs.
 *
 * All of it is one queue per process, so that it never competes with itself, and none of it delays a commit. None
 * of it is needed for correctness: a process that is killed here leaves nothing that another one would not do.
 *
 * A file costs as much as twenty commits, so under load there must be fewer files than commits: a session that goes
 * on changing waits for its file, and a segment that is full stays open while the one before it is checkpointed, and
 * for a few times as long as that takes. So it has several changes of each session, and the checkpoint writes one file.
 */
import { SessionStoreError, type StoreWarning } from "../../errors.js";
import type { BlobTrash } from "../../entries/blob-trash.js";
import { assertEngineRoom } from "../../entries/engine-room.js";
import type { EntryWriter } from "../../entries/entry-file.js";
import { fence } from "../../entries/staging.js";
import { liveRun } from "../../format/layout.js";
import type { Segment } from "../../log/segment.js";
import type { Timer } from "../../runtime.js";
import { removeUnreferencedBlobs } from "./blob-removal.js";
import type { CatalogSource } from "./catalog-loader.js";
import { Checkpointer, crcOf } from "./checkpoint.js";
import { writeEntries } from "./entry-flush.js";
import { DirtySessions } from "./dirty-sessions.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";
import { sweep } from "./sweep.js";
import { runInSlices } from "./time-slices.js";

export interface MaintenanceOptions {
  readonly flushDelayMs: number;
  readonly segmentBytes: number;
}

/** How long others wait before they do a checkpoint that the sealing process should have done, at the least. */
const STEP_IN_MS = 2000;
/** Files are written, and segments checkpointed, for about one part of the time in so many. */
const REST = 4;
/** A segment that is so many times full is sealed in any case: it must be read by everybody who opens the store. */
const FULL_TIMES_MAX = 16;
/** Others may have checkpointed a segment: so often is looked, while one is full. */
const LOOK_AGAIN_MS = 50;
/** A failed flush or checkpoint (a full disk, say) is tried again after so long. */
const RETRY_MS = 5000;
/** Between two removals of blobs by one process. */
const BLOB_REMOVAL_MS = 60_000;
/** Rounds in which an explicit flush may be fenced or overtaken. */
const FLUSH_ROUNDS_MAX = 100;

export class Maintenance {
  readonly checkpointer: Checkpointer;
  readonly dirty = new DirtySessions();
  /** Sessions of the live log, from before this process came: their files may or may not be written. */
  readonly #unsure = new Map<string, SessionState>();
  #queue: Promise<void> = Promise.resolve();
  #flushTimer: Timer | undefined;
  #checkpointTimer: Timer | undefined;
  #sealTimer: Timer | undefined;
  /** When the active segment was entered, on the monotonic clock. */
  #enteredAt: number;
  /** Before this nobody need look whether the active segment should be sealed. */
  #sealNotBefore = 0;
  #flushNotBefore = 0;
  /** What the last checkpoint of this process took. */
  #checkpointMs = 0;
  #blobsRemovedAt = Number.NEGATIVE_INFINITY;
  #swept = false;
  #closing = false;

  constructor(
    private readonly log: SessionLog,
    private readonly writer: EntryWriter,
    private readonly trash: BlobTrash,
    private readonly source: CatalogSource,
    private readonly options: MaintenanceOptions,
  ) {
    this.checkpointer = new Checkpointer(log, writer, source);
    this.#enteredAt = log.options.runtime.monotonic();
    log.listeners.add({ entered: () => this.#entered() });
  }

  /** Called for every commit of this process. */
  committed(segment: Segment, key: string, revision: number): void {
    this.dirty.changed(key, revision);
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    if (segment.position >= this.options.segmentBytes) this.#sealIfTime(segment);
  }

  /** After opening: finishes what dead processes began. */
  start(): void {
    const { tail } = this.log;
    for (const [key, state] of this.log.table.hot) this.#unsure.set(key, state);
    if (this.#unsure.size > 0)
      this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    if (tail.active.ledger.sealed || tail.segments.length > 1) this.#checkpointSoon(0);
  }

  /** Every commit so far is in its entry file. */
  async flush(): Promise<void> {
    await this.#enqueue(async () => {
      for (let round = 0; round < FLUSH_ROUNDS_MAX; round++) {
        this.log.tail.catchUp();
        const keys = [...this.log.table.hot.keys()];
        if (await this.#write(keys, this.log.table.hot.keys())) return;
      }
      throw new SessionStoreError(
        "io_error",
        "other processes moved on faster than entry files could be written",
      );
    });
  }

  /** Moves everything into entry files: seals the active segment, and checkpoints until no sealed one is left. */
  async checkpoint(): Promise<void> {
    await this.#enqueue(async () => {
      const segment = await this.log.becomeActive();
      // Discarded blobs leave the trash only behind a seal, so they are a reason too.
      const worth = segment.ledger.changed.size > 0 || !(await this.trash.isEmpty());
      if (worth && this.log.tail.active === segment) this.log.writer.seal(segment);
      await this.#checkpointAll(true);
    });
  }

  /** Waits for what is under way and takes nothing new on. */
  async close(): Promise<void> {
    this.#closing = true;
    this.checkpointer.stop();
    this.#flushTimer?.cancel();
    this.#checkpointTimer?.cancel();
    this.#sealTimer?.cancel();
    if (this.dirty.size > 0) await this.#enqueue(() => this.#flushAll()).catch(() => {}); // the log has it all
    await this.#queue;
  }

  #setTimer(work: () => void, ms: number): Timer {
    return this.log.options.runtime.setTimer(() => {
      if (!this.#closing) work();
    }, ms);
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.#queue.then(() => {
      assertEngineRoom(this.log.options.fs, this.log.options.layout);
      return work();
    });
    this.#queue = result.catch(() => {});
    return result;
  }

  #inBackground(
    code: StoreWarning["code"],
    what: string,
    work: () => Promise<void>,
    again: () => void,
  ): void {
    this.#enqueue(work).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${what} failed and will be tried again: ${reason} Nothing is lost, the log has everything.`;
      if (!this.#closing) this.log.options.onWarning({ code, message, data: {} });
      again();
    });
  }

  #flushSoon(): void {
    const { runtime } = this.log.options;
    const restMs = this.#flushNotBefore - runtime.monotonic();
    this.#flushTimer = restMs > 0 ? this.#setTimer(() => this.#flushSoon(), restMs) : undefined;
    if (restMs > 0) return;
    this.#inBackground(
      "flush_failed",
      "writing entry files",
      () => this.#flushDue(),
      () => (this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), RETRY_MS)),
    );
  }

  async #flushDue(): Promise<void> {
    const { runtime } = this.log.options;
    const start = runtime.monotonic();
    const { hot } = this.log.table;
    const due = this.dirty.due((key) => hot.get(key)?.revision);
    const unsure = this.#stillUnsure();
    const complete = await this.#write([...due, ...unsure], unsure);
    const end = runtime.monotonic();
    this.#flushNotBefore = end + REST * (end - start);
    if (complete && this.dirty.size === 0) return;
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
  }

  async #flushAll(): Promise<void> {
    const unsure = this.#stillUnsure();
    await this.#write([...this.dirty.keys(), ...unsure], unsure);
  }

  /** Who has changed a session since we came is alive, and writes its file. */
  #stillUnsure(): string[] {
    const { hot } = this.log.table;
    const unsure = [...this.#unsure].filter(([key, state]) => hot.get(key) === state).map(([key]) => key);
    this.#unsure.clear();
    return unsure;
  }

  /**
   * @param keys Sessions whose files shall be up to date.
   * @param unsure Those of them that somebody else may have written already; reading is much cheaper than writing.
   * @returns Whether all are; false when the process was fenced.
   */
  async #write(keys: readonly string[], unsure: Iterable<string>): Promise<boolean> {
    const toLookAt = [...unsure].filter((key) => !this.dirty.has(key));
    // Before the first await: what is changed from here on is dirty again, whatever becomes of this round.
    for (const key of keys) this.dirty.delete(key);
    let complete = false;
    try {
      await runInSlices(recogniseWritten(this.log, toLookAt), this.log.options.runtime);
      complete = await writeEntries(this.log, this.writer, keys);
      return complete;
    } finally {
      if (!complete) for (const key of keys) this.dirty.putBack(key);
    }
  }

  /** Reading went on in another segment. Normally the process that sealed does the checkpoint of the one before. */
  #entered(): void {
    const { runtime, readOnly } = this.log.options;
    this.#enteredAt = runtime.monotonic();
    if (!readOnly) this.#checkpointSoon(this.#stepInMs() * (1 + runtime.random()));
  }

  #stepInMs(): number {
    return Math.max(STEP_IN_MS, REST * this.#checkpointMs);
  }

  /**
   * Seals a full segment, unless checkpoints would not keep up; then it is looked at again. Never throws: the commit
   * that made it full counts.
   */
  #sealIfTime(segment: Segment): void {
    const now = this.log.options.runtime.monotonic();
    const tooFull = segment.position >= FULL_TIMES_MAX * this.options.segmentBytes;
    if (now < this.#sealNotBefore && !tooFull) return;
    let waitMs = LOOK_AGAIN_MS;
    try {
      waitMs = tooFull ? 0 : this.#sealInMs(now);
      if (waitMs === 0) this.#seal(segment);
    } catch (error) {
      waitMs = RETRY_MS;
      this.#couldNotSeal(segment.path, error);
    }
    if (waitMs === 0) return;
    this.#sealNotBefore = now + waitMs;
    this.#lookAgainIn(waitMs); // there may be no further commit that would look
  }

  /** Nor does this throw: nobody would catch it. */
  #lookAgainIn(ms: number): void {
    this.#sealTimer ??= this.#setTimer(() => {
      this.#sealTimer = undefined;
      try {
        const { active } = this.log.tail; // this process may have to start over, and read the log
        if (active.position >= this.options.segmentBytes && !active.ledger.sealed) this.#sealIfTime(active);
      } catch (error) {
        this.#couldNotSeal(this.log.options.layout.log, error);
        this.#lookAgainIn(RETRY_MS);
      }
    }, ms);
  }

  #couldNotSeal(path: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `${path} could not be sealed and will be tried again: ${reason}`;
    this.log.options.onWarning({ code: "checkpoint_failed", message, data: { path } });
  }

  /** Milliseconds until it makes sense to look again; 0: now is the time. */
  #sealInMs(now: number): number {
    const { tail } = this.log;
    const restMs = this.#enteredAt + REST * this.#checkpointMs - now;
    if (restMs > 0) return restMs;
    if (tail.segments.length > 1) tail.dropBelow(liveRun(tail.listLog())[0] ?? 0);
    return tail.segments.length > 1 ? LOOK_AGAIN_MS : 0;
  }

  #seal(segment: Segment): void {
    this.log.writer.seal(segment);
    this.#checkpointSoon(0);
  }

  #checkpointSoon(ms: number): void {
    if (ms === 0) {
      this.#checkpointTimer?.cancel();
      this.#checkpointTimer = undefined;
    }
    this.#checkpointTimer ??= this.#setTimer(() => {
      this.#checkpointTimer = undefined;
      this.#inBackground(
        "checkpoint_failed",
        "a checkpoint",
        () => this.#checkpointAll(false),
        () => this.#checkpointSoon(RETRY_MS),
      );
    }, ms);
  }

  async #checkpointAll(thorough: boolean): Promise<void> {
    const { runtime } = this.log.options;
    await this.#sweepOnce();
    let progress = false;
    for (;;) {
      const start = runtime.monotonic();
      if (this.#closing || !(await this.checkpointer.checkpointLowest())) break;
      this.#checkpointMs = runtime.monotonic() - start;
      progress = true;
    }
    if (progress || thorough) await this.#removeBlobs(thorough);
    if (thorough) await sweep(this.log);
  }

  /** Staging folders of segments that are gone, once in the life of a process (O11). */
  async #sweepOnce(): Promise<void> {
    if (this.#swept) return;
    const { fs, layout } = this.log.options;
    await this.log.becomeActive();
    const lowest = this.log.tail.segments[0]?.number ?? 0;
    if (lowest > 1) await fence(fs, layout, lowest - 1);
    await sweep(this.log);
    this.#swept = true;
  }

  async #removeBlobs(thorough: boolean): Promise<void> {
    const now = this.log.options.runtime.monotonic();
    if (!thorough && now - this.#blobsRemovedAt < BLOB_REMOVAL_MS) return;
    this.#blobsRemovedAt = now;
    await removeUnreferencedBlobs(this.log, this.source, this.trash, this.checkpointer.latest);
  }
}

/** Finds out which of these sessions have their latest state in their file. */
function* recogniseWritten(log: SessionLog, keys: Iterable<string>): Generator<void, void> {
  for (const key of keys) {
    const state = log.table.hot.get(key);
    if (state === undefined || state.flushed) continue;
    const file = log.readFile(key);
    state.replacesSeen = file.status !== "corrupt";
    if (file.status === "present")
      state.flushed = file.revision === state.revision && file.crc === crcOf(state);
    else if (file.status === "absent") state.flushed = state.stored === undefined;
    yield;
  }
}
