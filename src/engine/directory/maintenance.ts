/**
 * What a process does for the store besides answering: lazy entry files, checkpoints, removal of what nobody needs.
 *
 * All of it is one queue per process, so that it never competes with itself, and none of it delays a commit. None
 * of it is needed for correctness: a process that is killed here leaves nothing that another one would not do.
 *
 * A file costs as much as twenty commits, so under load there must be fewer files than commits: a session that goes
 * on changing waits for its file, and `sealing.ts` paces checkpoints.
 *
 * What is dead is bounded by what is alive: commits are counted (`dead-values.ts`), and enough of them seal the segment,
 * whose checkpoint is followed by a removal. What that leaves in the trash goes behind the next seal, which comes by
 * itself even when nobody commits any more. All of it gives the reserve up when the disk is full (`space.ts`).
 *
 * The log is the one file that is changed in place. A copy of the store that was made of hard links shares its active
 * segment, would go on changing with it, and would write to it if it were opened. So a segment that has had a second name
 * for a while is sealed: the log goes on in one that is nobody else's. A process that ends before that, such as a command, seals
 * one that was at rest for so long when it came.
 */
import { errnoOf, SessionStoreError, type StoreWarning } from "../../errors.js";
import type { BlobTrash } from "../../entries/blob-trash.js";
import { assertEngineRoom } from "../../entries/engine-room.js";
import type { EntryWriter } from "../../entries/entry-file.js";
import { fence } from "../../entries/staging.js";
import { stagedPath } from "../../log/next-segment.js";
import { isStoreGone } from "../../log/place.js";
import type { Segment } from "../../log/segment.js";
import type { Timer } from "../../runtime.js";
import { removeUnreferencedBlobs } from "./blob-removal.js";
import type { CatalogSource } from "./catalog-loader.js";
import { Checkpointer, crcOf } from "./checkpoint.js";
import { writeEntries } from "./entry-flush.js";
import { DeadValues } from "./dead-values.js";
import { DirtySessions } from "./dirty-sessions.js";
import { REST, RETRY_MS, Sealer } from "./sealing.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";
import { Space } from "./space.js";
import { sweep } from "./sweep.js";
import { runInSlices } from "./time-slices.js";

export interface MaintenanceOptions {
  readonly flushDelayMs: number;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
}

/** How long others wait before they do a checkpoint that the sealing process should have done, at the least. */
const STEP_IN_MS = 2000;
/** A segment has two names for a moment when it is made; some file systems tell of a name for a second after it went. */
const SECOND_NAME_MS = 2000;
/** Nor is a segment sealed for that more often, should a file system count names as it likes. */
const SECOND_NAME_REST_MS = 60_000;
/** Between two removals of blobs by one process for which there is no other reason. */
const BLOB_REMOVAL_MS = 60_000;
/** What is in the trash waits so long, at the least, for a seal that comes of commits. */
const TRASH_MS = 10_000;
/** Into the trash, and out of it. */
const REMOVAL_PHASES = 2;
/** Rounds in which an explicit flush may be fenced or overtaken. */
const FLUSH_ROUNDS_MAX = 100;

export class Maintenance {
  readonly checkpointer: Checkpointer;
  readonly dirty = new DirtySessions();
  readonly space: Space;
  readonly #dead = new DeadValues();
  readonly #sealer: Sealer;
  /** Sessions of the live log, from before this process came: their files may or may not be written. */
  readonly #unsure = new Map<string, SessionState>();
  #queue: Promise<void> = Promise.resolve();
  #flushTimer: Timer | undefined;
  #checkpointTimer: Timer | undefined;
  #trashTimer: Timer | undefined;
  #flushNotBefore = 0;
  #blobsRemovedAt = Number.NEGATIVE_INFINITY;
  /** The active segment, if it had a second name, and since when. */
  #shared: { readonly segment: Segment; readonly since: number } | undefined;
  #sealedForName = Number.NEGATIVE_INFINITY;
  /** Room that is being made, for all commits that wait for it. */
  #making: Promise<void> | undefined;
  /** Everything that is dead was collected: before this there is none, unless something dies. */
  #collectNotBefore = Number.NEGATIVE_INFINITY;
  #swept = false;
  #closing = false;

  constructor(
    private readonly log: SessionLog,
    private readonly writer: EntryWriter,
    private readonly trash: BlobTrash,
    private readonly source: CatalogSource,
    private readonly options: MaintenanceOptions,
  ) {
    this.space = new Space(log, options);
    this.checkpointer = new Checkpointer(log, writer, source, this.space);
    this.#sealer = new Sealer(log, this.space, this.#dead, {
      setTimer: (work, ms) => this.#setTimer(work, ms),
      sealed: () => this.#checkpointSoon(0),
      full: () => void this.makeRoom(true).catch(() => {}), // commits will find out and say so
    });
    if (log.options.readOnly) return;
    log.listeners.add({
      changed: (state, _last, before, op) => this.#dead.changed(state, before, op),
      entered: () => this.#entered(),
      startedOver: () => this.#dead.removed(), // the log is read again, and counted again
    });
  }

  /** Called for every commit of this process. */
  committed(segment: Segment, key: string, revision: number): void {
    this.dirty.changed(key, revision);
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    this.#sealer.look(segment);
  }

  /**
   * After opening: finishes what dead processes began.
   * @param hasReserve Whether the store's folder had one.
   */
  start(hasReserve: boolean): void {
    const { tail } = this.log;
    this.space.short = !hasReserve;
    if (this.#dead.inSegment >= this.space.deadBytesMax) this.#sealer.lookAgainIn(0);
    for (const [key, state] of this.log.table.hot) this.#unsure.set(key, state);
    this.#leaveSharedSegmentAtOnce();
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
      await this.#sealAndCheckpoint();
      await sweep(this.log);
    });
  }

  /**
   * For commits that need room when the disk is full, or when the reserve is gone.
   * @param full Whether a commit has just met a full disk.
   * @throws `disk_full` when what is dead was collected and there is no room even so.
   */
  makeRoom(full: boolean): Promise<void> {
    return (this.#making ??= this.#makeRoom(full).finally(() => (this.#making = undefined)));
  }

  /** Waits for what is under way and takes nothing new on. */
  async close(): Promise<void> {
    this.#closing = true;
    this.checkpointer.stop();
    this.#flushTimer?.cancel();
    this.#checkpointTimer?.cancel();
    this.#trashTimer?.cancel();
    this.#sealer.close();
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
      this.log.place.lookIfTime();
      assertEngineRoom(this.log.options.fs, this.log.options.layout);
      return this.space.inReserve(work);
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
      const told = this.log.place.explain(error);
      const gone = isStoreGone(told); // tried again if the store comes back: by the next commit
      const reason = told instanceof Error ? told.message : String(told);
      const message = gone
        ? `${what} failed: ${reason}`
        : `${what} failed and will be tried again: ${reason} Nothing is lost, the log has everything.`;
      if (!this.#closing) this.log.options.onWarning({ code, message, data: {} });
      if (!gone) again();
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
    await this.#leaveSharedSegment();
    const end = runtime.monotonic();
    this.#flushNotBefore = end + REST * (end - start);
    await this.#tendSpace();
    if (complete && this.dirty.size === 0) return;
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
  }

  /** Looked at again before anything is done: the first look may have met the maker of the segment at work. */
  async #leaveSharedSegment(): Promise<void> {
    const { fs, runtime } = this.log.options;
    const segment = this.log.tail.active;
    const letGo = segment.hold();
    const { links } = await fs.later.fstat(segment.fd).finally(letGo);
    const now = runtime.monotonic();
    if (links <= 1) this.#shared = undefined;
    else if (this.#shared?.segment !== segment) this.#shared = { segment, since: now };
    else if (now - this.#shared.since >= SECOND_NAME_MS && now - this.#sealedForName >= SECOND_NAME_REST_MS) {
      if (this.log.tail.active === segment && !segment.ledger.sealed) this.#sealShared(segment, links);
    }
  }

  /** Before the first commit: what a short-lived process writes, or deletes, must not happen in the copy as well. */
  #leaveSharedSegmentAtOnce(): void {
    const { fs, runtime, layout } = this.log.options;
    const segment = this.log.tail.active;
    const { links, modifiedAt } = segment.identity;
    if (links <= 1 || segment.ledger.sealed || runtime.now() - modifiedAt < SECOND_NAME_MS) return;
    try {
      fs.lstat(stagedPath(layout, segment.ledger.stage)); // a crash left this second name
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") return;
      try {
        this.#sealShared(segment, links);
      } catch {
        // Opening does not fail for that, on a full disk say; the look in the background comes as well.
      }
    }
  }

  #sealShared(segment: Segment, links: number): void {
    const { runtime, onWarning } = this.log.options;
    const { path } = segment;
    this.#shared = undefined;
    this.#sealedForName = runtime.monotonic();
    this.log.writer.seal(segment);
    const message =
      `${path} has ${links} names: a copy made of hard links shares it. The log goes on in a new segment, so that the ` +
      "copy stays as it is from now on. For a backup that is complete, copy the files with all processes stopped, or " +
      "take a snapshot of the file system.";
    onWarning({ code: "log_shared", message, data: { path, links } });
    this.#checkpointSoon(0);
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
    const { runtime } = this.log.options;
    this.#sealer.entered();
    this.#dead.sealed();
    this.#checkpointSoon(this.#stepInMs() * (1 + runtime.random()));
  }

  #stepInMs(): number {
    return Math.max(STEP_IN_MS, REST * this.#sealer.checkpointMs);
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
        () => this.#checkpointAll(),
        () => this.#checkpointSoon(RETRY_MS),
      );
    }, ms);
  }

  /** @param removal Whether shared values are removed in any case. */
  async #checkpointAll(removal = false): Promise<void> {
    const { runtime } = this.log.options;
    await this.#sweepOnce();
    let progress = false;
    for (;;) {
      const start = runtime.monotonic();
      if (this.#closing || !(await this.checkpointer.checkpointLowest())) break;
      this.#sealer.checkpointMs = runtime.monotonic() - start;
      progress = true;
    }
    if (removal || this.#removalIsDue(progress)) await this.#removeBlobs();
    await this.#tendSpace();
  }

  async #sealAndCheckpoint(): Promise<void> {
    const segment = await this.log.becomeActive();
    // Discarded blobs leave the trash only behind a seal, so they are a reason too.
    const worth = segment.ledger.changed.size > 0 || !(await this.trash.isEmpty());
    if (worth && this.log.tail.active === segment) this.log.writer.seal(segment);
    await this.#checkpointAll(true);
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

  #removalIsDue(progress: boolean): boolean {
    const { space, trash } = this;
    if (this.#dead.bytes >= space.deadBytesMax) {
      // Others may have removed a part of it since.
      this.#dead.forgetFirst((hash) => !trash.blobs.isInPlace(hash));
      if (this.#dead.bytes >= space.deadBytesMax) return true;
    }
    return progress && this.log.options.runtime.monotonic() - this.#blobsRemovedAt >= BLOB_REMOVAL_MS;
  }

  async #removeBlobs(): Promise<void> {
    this.#blobsRemovedAt = this.log.options.runtime.monotonic();
    this.#dead.removed(); // what dies from here on counts for the next one
    const outcome = await removeUnreferencedBlobs(
      this.log,
      this.source,
      this.trash,
      this.checkpointer.latest,
    );
    if (outcome === undefined) return;
    this.space.liveBytes = outcome.liveBytes;
    if (outcome.waiting) this.#trashTimer ??= this.#setTimer(() => this.#emptyTrash(), this.#trashMs());
  }

  #trashMs(): number {
    return TRASH_MS * (1 + this.log.options.runtime.random());
  }

  /** Nothing leaves the trash before a seal, and of commits there may come none any more. */
  #emptyTrash(): void {
    this.#trashTimer = undefined;
    this.#inBackground(
      "checkpoint_failed",
      "emptying the trash",
      async () => {
        if (!(await this.trash.isEmpty())) await this.#sealAndCheckpoint();
      },
      () => (this.#trashTimer ??= this.#setTimer(() => this.#emptyTrash(), this.#trashMs())),
    );
  }

  /** In the background, a few system calls: how much room is there, and is a part of it reserved? */
  async #tendSpace(): Promise<void> {
    this.#dead.countNested((hash) => this.trash.blobs.tryReferencesWithin(hash));
    await this.space.tend();
  }

  /** Whether anything happened since everything was collected that is a reason to do so again. */
  async #mayCollect(): Promise<boolean> {
    const { tail } = this.log;
    if (this.#dead.bytes > 0 || tail.segments.length > 1 || tail.active.ledger.changed.size > 0) return true;
    return !(await this.trash.isEmpty());
  }

  async #makeRoom(full: boolean): Promise<void> {
    const { space } = this;
    const { runtime } = this.log.options;
    let cause: unknown;
    try {
      if (!full && (await space.tend())) return;
      if (runtime.monotonic() >= this.#collectNotBefore || (await this.#mayCollect())) {
        await this.#enqueue(async () => {
          for (let phase = 1; phase <= REMOVAL_PHASES; phase++) await this.#sealAndCheckpoint();
        });
        this.#collectNotBefore = runtime.monotonic() + RETRY_MS;
      }
      if (await space.tend()) return;
    } catch (error) {
      cause = error;
    }
    throw space.full(cause);
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
