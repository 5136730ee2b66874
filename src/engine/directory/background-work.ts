/**
 * What a process does for the store besides answering: it writes entry files, does checkpoints, and removes what is
 * dead.
 *
 * All of it is one queue per process, so that it never competes with itself, and none of it delays a commit. None
 * of it is needed for correctness: a process that is killed here leaves nothing that another one would not do.
 *
 * A file costs as much as twenty commits, so under load there must be fewer files than commits: a session that goes
 * on changing waits for its file, and the sealer paces checkpoints (`sealer.ts`).
 *
 * The dead bytes are bounded by the live ones: commits are counted (`dead-values.ts`), and enough of them seal the
 * segment, whose checkpoint is followed by a removal. What a removal leaves in the trash is removed behind the next
 * seal; a timer makes that seal if no commit does. All of this work gives the reserve up when the disk is full
 * (`space.ts`, `room-maker.ts`), and leaves a segment that a copy shares (`shared-segment-watch.ts`).
 */
import { SessionStoreError, type StoreWarning } from "../../errors.js";
import type { BlobTrash } from "../../entries/blob-trash.js";
import { assertInternalFolder } from "../../entries/internal-folder.js";
import type { EntryWriter } from "../../entries/entry-file.js";
import { fence } from "../../entries/fence.js";
import { isStoreGone } from "../../log/store-place.js";
import type { Segment } from "../../log/segment.js";
import type { Timer } from "../../runtime.js";
import { removeUnreferencedBlobs } from "./blob-removal.js";
import type { CatalogSource } from "./catalog-loader.js";
import { Checkpointer } from "./checkpointer.js";
import { EntryFlusher } from "./entry-flush.js";
import { DeadValues } from "./dead-values.js";
import { DirtySessions } from "./dirty-sessions.js";
import { HintWriter } from "./hint/hint-writer.js";
import { RoomMaker } from "./room-maker.js";
import { REST, RETRY_MS, Sealer } from "./sealer.js";
import type { Operations } from "./operations.js";
import type { SessionLog } from "./session-log.js";
import type { SessionState } from "./session-table.js";
import { SharedSegmentWatch } from "./shared-segment-watch.js";
import { Space } from "./space.js";
import { sweep } from "./sweep.js";
import { runInSlices } from "./time-slices.js";
import type { HotTranscript } from "./transcripts/hot-transcript.js";
import { TranscriptFlusher } from "./transcripts/transcript-flusher.js";
import type { ItemRecords } from "./transcripts/item-records.js";

export interface BackgroundWorkOptions {
  readonly flushDelayMs: number;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
}

/**
 * A process waits at least this long for the checkpoint of the process that sealed; then it does the checkpoint itself.
 */
const STEP_IN_MS = 2000;
/**
 * After a checkpoint a process removes blobs if its last removal is this long ago, also if few are known to be dead.
 */
const BLOB_REMOVAL_MS = 60_000;
/** The trash waits at least this long for a seal that comes of commits; then the process seals for it. */
const TRASH_MS = 10_000;
/** The first moves dead values into the trash, the second removes them from it. */
const REMOVAL_PHASES = 2;
/** A process at rest looks this often what others have written: it may be the only one that knows what they cannot read. */
const LOOK_MS = 2000;
/** Rounds in which an explicit flush may be fenced or overtaken. */
const FLUSH_ROUNDS_MAX = 100;

export class BackgroundWork {
  readonly checkpointer: Checkpointer;
  readonly #flusher: EntryFlusher;
  readonly #transcripts: TranscriptFlusher;
  /** Transcripts that have lines in the log that may be in no file yet. */
  readonly #dirtyTranscripts = new Set<HotTranscript>();
  readonly dirty = new DirtySessions();
  readonly space: Space;
  readonly #dead = new DeadValues();
  readonly #hints: HintWriter;
  readonly #sealer: Sealer;
  readonly #sharedSegment: SharedSegmentWatch;
  readonly #room: RoomMaker;
  /** Sessions of the live log from before this process came: a process that has ended may have written their files. */
  readonly #maybeFlushed = new Map<string, SessionState>();
  #queue: Promise<void> = Promise.resolve();
  #flushTimer: Timer | undefined;
  #checkpointTimer: Timer | undefined;
  #trashTimer: Timer | undefined;
  #flushNotBefore = 0;
  #blobsRemovedAt = Number.NEGATIVE_INFINITY;
  #swept = false;
  /** Revision at the last look. */
  #lookedAt = 0;
  #closing = false;

  constructor(
    private readonly log: SessionLog,
    writer: EntryWriter,
    records: ItemRecords,
    operations: Operations,
    private readonly trash: BlobTrash,
    private readonly source: CatalogSource,
    private readonly options: BackgroundWorkOptions,
  ) {
    const { fs, layout, runtime } = log.options;
    const { segmentBytes, reserveBytes } = options;
    const stage = (): string => log.active.ledger.stage;
    const unwritten = (): number => this.dirty.size + this.#dirtyTranscripts.size;
    this.space = new Space({ segmentBytes, reserveBytes, fs, layout, runtime, stage, unwritten });
    this.#flusher = new EntryFlusher(log, writer);
    this.#transcripts = new TranscriptFlusher(log, records);
    this.#hints = new HintWriter(log, {
      segmentBytes,
      isShort: () => this.space.short,
      dead: () => this.#dead.state,
    });
    this.checkpointer = new Checkpointer(
      log,
      this.#flusher,
      writer,
      this.#transcripts,
      operations,
      source,
      this.space,
    );
    this.#sealer = new Sealer(log, this.space, this.#dead, {
      setTimer: (work, ms) => this.#setTimer(work, ms),
      sealed: () => this.#checkpointSoon(0),
      full: () => void this.makeRoom(true).catch(() => {}), // commits will find out and say so
    });
    this.#sharedSegment = new SharedSegmentWatch(log, () => this.#checkpointSoon(0));
    const flush = (): Promise<void> => this.#enqueue(() => this.#flushAll());
    this.#room = new RoomMaker(log, this.space, this.#dead, trash, flush, () => this.#collectDead());
    if (log.options.readOnly) return;
    log.listen({
      changed: (state, _last, before, op) => this.#dead.changed(state, before, op),
      entered: () => this.#entered(),
      rewound: () => this.#dead.removed(), // the log is read again, and counted again
      resumed: (dead) => this.#dead.resume(dead),
      wasCut: () => this.#checkpointSoon(0),
      foundGap: () => this.#checkpointSoon(0),
    });
  }

  /** Called for every commit of this process. */
  committed(segment: Segment, key: string, revision: number): void {
    this.dirty.changed(key, revision);
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    this.#sealer.sealIfDue(segment);
  }

  /** The same of a transcript. */
  transcriptCommitted(segment: Segment, key: string, name: string): void {
    const hot = this.log.transcripts.get(key, name);
    if (hot !== undefined) this.#dirtyTranscripts.add(hot);
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    this.#sealer.sealIfDue(segment);
  }

  /**
   * After opening: finishes what dead processes began.
   * @param hasReserve Whether the store's folder had one.
   */
  start(hasReserve: boolean): void {
    this.space.short = !hasReserve;
    if (this.#dead.inSegment >= this.space.deadBytesMax) this.#sealer.checkAgainIn(0);
    for (const [key, state] of this.log.hot) this.#maybeFlushed.set(key, state);
    for (const hot of this.log.transcripts.all()) this.#dirtyTranscripts.add(hot);
    this.#sharedSegment.leaveAtOnceIfShared();
    if (this.#maybeFlushed.size > 0 || this.#dirtyTranscripts.size > 0)
      this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
    const { active, segments } = this.log;
    if (active.ledger.sealed || active.damaged || segments.length > 1) this.#checkpointSoon(0);
    this.#lookAround();
  }

  #lookAround(): void {
    this.#setTimer(() => {
      try {
        this.log.assertInPlace();
        this.log.catchUp();
        const { revision } = this.log;
        if (revision === this.#lookedAt) void this.#writeHintAtRest();
        this.#lookedAt = revision;
      } catch {
        // The next call meets it as well, and has a caller who can be told.
      }
      this.#lookAround();
    }, LOOK_MS);
  }

  /** Nobody misses one: a store that is gone, or in disorder, tells the next call. */
  async #writeHintAtRest(): Promise<void> {
    if (this.#hints.isDue("at rest"))
      await this.#enqueue(() => this.#hints.writeIfDue("at rest")).catch(() => {});
  }

  /**
   * Every commit so far is in its entry file.
   * @throws `log_damaged` when one that is in doubt is not: everything else is, then.
   */
  async flush(): Promise<void> {
    await this.#enqueue(async () => {
      for (let round = 0; round < FLUSH_ROUNDS_MAX; round++) {
        this.log.catchUp();
        const keys = [...this.log.hot.keys()];
        const entries = await this.#writeFiles(keys, this.log.hot.keys());
        const lines = await this.#writeTranscripts(this.log.transcripts.all(), true);
        if (entries && lines) return this.#assertNoneUnwritten();
      }
      throw new SessionStoreError(
        "io_error",
        "other processes moved on faster than entry files could be written",
      );
    });
  }

  /**
   * Moves everything into entry files: seals the active segment, and checkpoints until no sealed one is left.
   * @throws `log_damaged` when commits that are in doubt had to stay where they are.
   */
  async checkpoint(): Promise<void> {
    await this.#enqueue(async () => {
      await this.#sealAndCheckpoint();
      await sweep(this.log);
      await this.#assertNoneUnwritten();
    });
  }

  #assertNoneUnwritten(): Promise<void> {
    return runInSlices(this.#flusher.assertNoneUnwritten(), this.log.options.runtime);
  }

  /**
   * For commits that need room when the disk is full, or when the reserve is gone.
   * @param full Whether a commit has just met a full disk.
   * @throws `disk_full` when what is dead was collected and there is no room even so.
   */
  makeRoom(full: boolean): Promise<void> {
    return this.#room.makeRoom(full);
  }

  /** Waits for what is under way and takes nothing new on. */
  async close(): Promise<void> {
    this.#closing = true;
    this.checkpointer.stop();
    this.#flushTimer?.cancel();
    this.#checkpointTimer?.cancel();
    this.#trashTimer?.cancel();
    this.#sealer.close();
    if (this.dirty.size > 0 || this.#dirtyTranscripts.size > 0)
      await this.#enqueue(() => this.#flushAll()).catch(() => {}); // the log has it all
    await this.#writeHintAtRest();
    await this.#room.settled(); // no commit may wait for it: the sealer asks for room as well
    await this.#queue;
  }

  #setTimer(work: () => void, ms: number): Timer {
    return this.log.options.runtime.setTimer(() => {
      if (!this.#closing) work();
    }, ms);
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.#queue.then(() => {
      this.log.assertInPlace();
      assertInternalFolder(this.log.options.fs, this.log.options.layout);
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
      const explained = this.log.explain(error);
      const gone = isStoreGone(explained); // tried again if the store comes back: by the next commit
      const reason = explained instanceof Error ? explained.message : String(explained);
      const lost = explained instanceof SessionStoreError && explained.code === "log_damaged";
      const assurance = lost ? "" : " Nothing is lost, the log has everything.";
      const message = gone
        ? `${what} failed: ${reason}`
        : `${what} failed and will be tried again: ${reason}${assurance}`;
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
    const { hot } = this.log;
    const due = this.dirty.due((key) => hot.get(key)?.revision);
    const maybeFlushed = this.#takeMaybeFlushed();
    const entries = await this.#writeFiles([...due, ...maybeFlushed], maybeFlushed);
    const complete = (await this.#writeTranscripts(this.#dirtyTranscripts, false)) && entries;
    await this.#sharedSegment.leaveIfShared();
    const end = runtime.monotonic();
    this.#flushNotBefore = end + REST * (end - start);
    await this.#tendSpace();
    await this.#hints.writeIfDue("busy");
    if (complete && this.dirty.size === 0 && this.#dirtyTranscripts.size === 0) return;
    this.#flushTimer ??= this.#setTimer(() => this.#flushSoon(), this.options.flushDelayMs);
  }

  async #flushAll(): Promise<void> {
    const maybeFlushed = this.#takeMaybeFlushed();
    await this.#writeFiles([...this.dirty.keys(), ...maybeFlushed], maybeFlushed);
    await this.#writeTranscripts(this.#dirtyTranscripts, false);
  }

  /** @param recuts Also what costs a copy of a chunk. @returns Whether all are up to date. */
  async #writeTranscripts(transcripts: Iterable<HotTranscript>, recuts: boolean): Promise<boolean> {
    const hot = [...transcripts];
    for (const transcript of hot) this.#dirtyTranscripts.delete(transcript);
    let complete = false;
    try {
      complete = await this.#transcripts.flush(hot, { recuts, durable: false });
      return complete;
    } finally {
      if (!complete) for (const transcript of hot) this.#dirtyTranscripts.add(transcript);
    }
  }

  /** A process that has changed a session since this one came is alive, and writes the session's file itself. */
  #takeMaybeFlushed(): string[] {
    const { hot } = this.log;
    const maybeFlushed = [...this.#maybeFlushed]
      .filter(([key, state]) => hot.get(key) === state)
      .map(([key]) => key);
    this.#maybeFlushed.clear();
    return maybeFlushed;
  }

  /**
   * @param keys Sessions whose files shall be up to date.
   * @param maybeFlushed Those of them that another process may have written; reading a file is much cheaper than
   *   writing it.
   * @returns Whether all are; false when the process was fenced.
   */
  async #writeFiles(keys: readonly string[], maybeFlushed: Iterable<string>): Promise<boolean> {
    const toRead = [...maybeFlushed].filter((key) => !this.dirty.has(key));
    // Before the first await: what is changed from here on is dirty again, whatever becomes of this round.
    for (const key of keys) this.dirty.delete(key);
    let complete = false;
    try {
      await runInSlices(this.#flusher.recognise(toRead), this.log.options.runtime);
      complete = await this.#flusher.flush(keys);
      return complete;
    } finally {
      if (!complete) for (const key of keys) this.dirty.makeDue(key);
    }
  }

  /** Reading went on in another segment. Normally the process that sealed does the checkpoint of the one before. */
  #entered(): void {
    const { runtime } = this.log.options;
    this.#sealer.entered();
    this.#dead.sealed();
    // Others wait for the files of sessions that only those know who read a damaged segment before.
    const damaged = this.log.doubts.areOfOthers;
    this.#checkpointSoon(damaged ? 0 : this.#stepInMs() * (1 + runtime.random()));
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
    await this.#endDamaged();
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

  /** Ends a segment that this process cannot read whole: those who can learn of the damage from its seal. */
  async #endDamaged(): Promise<void> {
    const { active } = this.log;
    if (this.log.doubts.damagedSegment !== active.number || active.ledger.sealed) return;
    this.log.end.seal(active);
    await this.log.end.becomeActive();
  }

  /** Through both phases of a removal. */
  #collectDead(): Promise<void> {
    return this.#enqueue(async () => {
      for (let phase = 1; phase <= REMOVAL_PHASES; phase++) await this.#sealAndCheckpoint();
    });
  }

  async #sealAndCheckpoint(): Promise<void> {
    const segment = await this.log.end.becomeActive();
    // Discarded blobs leave the trash only behind a seal, so they are a reason too.
    const changed = segment.ledger.changed.size > 0 || segment.ledger.transcripts.size > 0;
    const worth = changed || !(await this.trash.isEmpty());
    if (worth && this.log.active === segment) this.log.end.seal(segment);
    await this.#checkpointAll(true);
  }

  /** Staging folders of segments that are gone, once in the life of a process (O11). */
  async #sweepOnce(): Promise<void> {
    if (this.#swept) return;
    const { fs, layout } = this.log.options;
    await this.log.end.becomeActive();
    const lowest = this.log.segments[0]?.number ?? 0;
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
    const outcome = await removeUnreferencedBlobs(this.log, this.source, this.trash);
    if (outcome === undefined) return;
    this.space.liveBytes = outcome.liveBytes;
    if (outcome.waiting) this.#trashTimer ??= this.#setTimer(() => this.#emptyTrash(), this.#trashMs());
  }

  #trashMs(): number {
    return TRASH_MS * (1 + this.log.options.runtime.random());
  }

  /** Nothing leaves the trash before a seal, and there may be no further commit that brings one about. */
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

  /** In the background, a few system calls: how much room is there, and is the reserve in its place? */
  async #tendSpace(): Promise<void> {
    this.#dead.countNested((hash) => this.trash.blobs.tryReferencesWithin(hash));
    await this.space.tend();
  }
}
