/**
 * The commit log and what it adds up to: the sessions as of the position that this process has read up to.
 *
 * Reading order, always: the log, then memory, then the entry file (`cold-sessions.ts`). Where the log cannot be read
 * whole, `log-doubts.ts` says what is known even so; `log-end.ts` is for those who write. What hangs on the log besides
 * hears of it as a listener. All of this only reads, so a crash leaves nothing behind.
 */
import type { StoreWarning } from "../../errors.js";
import type { FileStatus, FileSystem } from "../../fs/file-system.js";
import { applyPatch } from "../../format/stored-patch.js";
import type { StoredObject } from "../../format/stored-value.js";
import type { Layout } from "../../format/layout.js";
import { isChange, type LogOp } from "../../format/log-line.js";
import { LogWriter } from "../../log/log-writer.js";
import { LogSyncer } from "../../log/log-syncer.js";
import { StorePlace } from "../../log/store-place.js";
import type { Segment } from "../../log/segment.js";
import { copyLedger, type SegmentLedger } from "../../log/segment-ledger.js";
import { LogTail, type LogObserver } from "../../log/log-tail.js";
import type { TranscriptEffect } from "../../log/transcript-verdict.js";
import type { Committed } from "../../log/verdict.js";
import type { Runtime } from "../../runtime.js";
import { ColdSessions, type KnownElsewhere } from "./cold-sessions.js";
import type { DeadValuesState } from "./dead-values.js";
import { readHint } from "./hint/hint-file.js";
import { LogDoubts } from "./log-doubts.js";
import { LogEnd } from "./log-end.js";
import { SessionState, SessionTable, type Decode } from "./session-table.js";
import { runInSlices } from "./time-slices.js";
import { HotTranscripts, type HotTranscriptsState } from "./transcripts/hot-transcripts.js";

/** Told about what the log says, while it is read, and about what memory lets go of: keep it short, and never throw. */
export interface SessionLogListener {
  /**
   * @param last Whether it is the last change of its commit.
   * @param before What this process knew of the session before.
   */
  changed?(state: SessionState, last: boolean, before: SessionState | undefined, op: LogOp): void;
  /** The same of a transcript. A delete of its session is told by {@link changed} alone. */
  transcriptChanged?(effect: TranscriptEffect, last: boolean, commit: Committed): void;
  rewound?(): void;
  /** Reading begins behind what a hint says: nothing of that is told by {@link changed}. */
  resumed?(dead: DeadValuesState): void;
  /** Reading goes on in the segment behind a sealed one. */
  entered?(segment: Segment): void;
  /** Bytes of the log cannot be read: changes may be hidden in them. */
  foundGap?(): void;
  /** The end of the log is gone, and this process has read it. */
  wasCut?(): void;
  /** A doctor has decided that this is the latest state of a session that was in doubt. */
  decided?(state: SessionState): void;
  /** Memory lets go of sessions for lack of room: no other cache shall keep them either. */
  evicted?(): void;
}

/** All that the live log adds up to, at one moment. */
export interface LogSnapshot {
  readonly segments: readonly SegmentSnapshot[];
  readonly recordsRevision: number | undefined;
  readonly transcripts: HotTranscriptsState;
}

interface SegmentSnapshot {
  readonly segment: Segment;
  readonly position: number;
  readonly lastLineAt: number;
  readonly ledger: SegmentLedger;
  /** The last state of each session that it changed. */
  readonly states: readonly SessionState[];
}

export interface SessionLogOptions {
  readonly fs: FileSystem;
  readonly runtime: Runtime;
  readonly layout: Layout;
  readonly storeId: string;
  /** Folder that has the store's own name. */
  readonly parent: string;
  /** The path that was opened, absolute. */
  readonly path: string;
  /** Identity of the store's folder. */
  readonly root: Pick<FileStatus, "inode" | "device">;
  readonly readOnly: boolean;
  readonly cacheBytes: number;
  readonly decode: Decode;
  readonly onWarning: (warning: StoreWarning) => void;
  readonly elsewhere: KnownElsewhere;
}

export class SessionLog implements LogObserver {
  /** The sessions that no live segment changed. */
  readonly cold: ColdSessions;
  /** What cannot be told, for the log cannot be read whole. */
  readonly doubts: LogDoubts;
  /** Where this process writes. */
  readonly end: LogEnd;
  readonly #tail: LogTail;
  readonly #writer: LogWriter;
  readonly #place: StorePlace;
  readonly #table: SessionTable;
  /** The transcripts that live segments changed. */
  readonly transcripts = new HotTranscripts();
  readonly #listeners = new Set<SessionLogListener>();
  /** Undefined until it is asked for, where what was read cannot tell. */
  #recordsRevision: number | undefined;

  constructor(readonly options: SessionLogOptions) {
    const { fs, layout, storeId, readOnly, runtime, cacheBytes, path, root } = options;
    const writerId = runtime.randomName(6);
    this.#tail = new LogTail(fs, layout, storeId, readOnly ? "read" : "append", this, writerId);
    this.#writer = new LogWriter(fs, this.#tail, this, writerId);
    const monotonic = (): number => runtime.monotonic();
    const onCut = (): void => this.#wasCut();
    this.#place = new StorePlace({ fs, path, layout, root, storeId, monotonic, onCut }, this.#tail);
    const onEvicted = (): void => {
      for (const listener of this.#listeners) listener.evicted?.();
    };
    this.#table = new SessionTable(cacheBytes, onEvicted, (work) => void runInSlices(work, runtime));
    this.cold = new ColdSessions(options, this.#tail, this.#table);
    this.doubts = new LogDoubts(options, this.#tail, this.#table, this.cold);
    const syncer = new LogSyncer(fs, layout, options.parent, this.#place);
    this.end = new LogEnd(options, this.#tail, this.#writer, syncer, this.doubts);
  }

  /** From now on the listener is told. */
  listen(listener: SessionLogListener): void {
    this.#listeners.add(listener);
  }

  /**
   * Reads the whole live log, in slices: what a process begins with.
   * @param hint Number of the hint to begin with; 0 for none.
   */
  *begin(hint: number): Generator<void, void> {
    if (hint > 0) yield* this.#resume(hint);
    while (this.#tail.advance()) yield;
    this.doubts.readMark();
    while (this.#tail.advance()) yield; // up to the mark, if that is newer, or to where the log was cut off in front of it
    this.#recordsRevision ??= this.#tail.segments[0]?.ledger.after;
  }

  /** Takes over what a hint says of the live log, if it is right of it (H1). */
  *#resume(number: number): Generator<void, void> {
    const { fs, layout, storeId, decode } = this.options;
    const hint = yield* readHint(fs, layout.hint(number), storeId);
    if (hint === undefined || !(yield* this.#tail.resume(hint.segments))) return;
    const lowest = this.#tail.segments[0]?.number ?? 0;
    this.transcripts.resume(hint.transcripts);
    for (const { number: segment, states } of hint.segments) {
      if (segment < lowest) this.transcripts.release(segment); // checkpointed since
      if (segment < lowest) continue;
      for (const { key, revision, modifiedAt, stored } of states)
        this.#table.commit(segment, new SessionState(key, revision, modifiedAt, stored, decode));
    }
    this.#recordsRevision = hint.recordsRevision;
    for (const listener of this.#listeners) listener.resumed?.(hint.dead);
  }

  /** What was read of the live log adds up to this; undefined where this process cannot read all of it. */
  snapshot(): LogSnapshot | undefined {
    const { segments } = this.#tail;
    const { state: transcripts } = this.transcripts;
    const whole = segments.every(
      ({ damaged, cutAt, endUnknown, oversize, ledger }, index) =>
        !damaged &&
        !endUnknown &&
        (cutAt ?? oversize) === undefined &&
        (ledger.sealed || index === segments.length - 1),
    );
    if (!whole || transcripts === undefined) return undefined;
    return {
      segments: segments.map((segment) => ({
        segment,
        position: segment.position,
        lastLineAt: segment.lastLineAt,
        ledger: copyLedger(segment.ledger),
        states: [...this.changedIn(segment).values()],
      })),
      recordsRevision: this.#recordsRevision,
      transcripts,
    };
  }

  /** Reads everything that was appended before this call. One system call when that is nothing. */
  catchUp(): void {
    this.#tail.catchUp();
  }

  /** The segment that this process has read up to. */
  get active(): Segment {
    return this.#tail.active;
  }

  /** Live segments as far as this process has read, lowest first; those in front of the active one wait for checkpoints. */
  get segments(): readonly Segment[] {
    return this.#tail.segments;
  }

  /** Counts rewinds: what was learnt under another epoch is outdated. */
  get epoch(): number {
    return this.#tail.epoch;
  }

  /** Revision of the latest commit that was read. */
  get revision(): number {
    return this.#tail.revision;
  }

  /**
   * Revision of the latest commit that changed a record, as far as was read, or one above it: behind it only transcripts have changed.
   * What is in front of the live log, and what cannot be read of it, may have changed any.
   */
  get recordsRevision(): number {
    if (this.doubts.damagedSegment > 0) return this.revision;
    return (this.#recordsRevision ??= this.revision);
  }

  /**
   * Latest state of a session; `stored` is undefined when there is none. Reads the log first.
   * @throws `session_damaged` when a change of the session is behind bytes of the log that cannot be read.
   */
  read(key: string): SessionState {
    this.#tail.catchUp();
    return this.doubts.isInDoubt(key) ? this.doubts.read(key) : (this.#table.get(key) ?? this.cold.read(key));
  }

  /** Latest state of a session as of what was read, if memory has it. */
  known(key: string): SessionState | undefined {
    return this.#table.get(key);
  }

  /** Latest states of the sessions that live segments changed. */
  get hot(): ReadonlyMap<string, SessionState> {
    return this.#table.hot;
  }

  /** What a live segment made of the sessions that it changed: the last state of each. */
  changedIn(segment: Segment): ReadonlyMap<string, SessionState> {
    return this.#table.changedIn(segment.number);
  }

  /** The last state of a session in each live segment from this one on that changed it. */
  statesFrom(segment: Segment, key: string): SessionState[] {
    return this.#table.statesFrom(segment.number, key);
  }

  /** How many sessions are in memory, and the bytes of those that it could let go of. */
  get cached(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#table.size, bytes: this.#table.coldBytes };
  }

  /** Whether the commit of this revision is in a live segment. */
  isInLog(revision: number): boolean {
    const first = this.#tail.segments[0]?.ledger.firstRevision ?? Number.POSITIVE_INFINITY;
    return first <= revision && revision <= this.#tail.revision;
  }

  /** Whether a file of this revision is no surprise: the log has that or a newer state, or has let go of the session. */
  isOvertaken(key: string, revision: number): boolean {
    this.#tail.catchUp();
    const state = this.#table.hot.get(key);
    return state === undefined || state.revision >= revision;
  }

  /** Whether a segment lacks, at its end, what this process has read of it. */
  isCut(segment: Segment): boolean {
    this.#place.lookIfCut(segment);
    return segment.cutAt !== undefined;
  }

  /**
   * Checks that the log is where the store's path leads, unless that was checked a moment ago.
   * @throws `store_gone`
   */
  assertInPlace(): void {
    this.#place.assertInPlaceIfDue();
  }

  /** What to say of a failure: `store_gone` if it comes from that, otherwise the failure itself. Never throws. */
  explain(error: unknown): unknown {
    return this.#place.explain(error);
  }

  /** Numbers of the segment files that there are, live or not. */
  listSegments(): number[] {
    return this.#tail.listLog();
  }

  /** Lets go of the segments that were checkpointed, by whatever process. */
  dropCheckpointed(): void {
    this.#tail.dropCheckpointed();
  }

  /** Lets go of the segments in front of this one, which were checkpointed. */
  dropBelow(number: number): void {
    this.#tail.dropBelow(number);
  }

  /** The same, and reads the log anew if that one was never read. */
  beginAt(lowest: number): void {
    this.#tail.dropBelow(lowest);
    if ((this.#tail.segments[0]?.number ?? 0) > lowest) this.#tail.rewind();
  }

  /** A doctor's decision about the sessions in doubt: these are their latest states, in the last of the damaged segments. */
  settleDoubts(damaged: readonly Segment[], states: readonly SessionState[]): void {
    this.doubts.settle(damaged);
    this.#recordsRevision = undefined;
    const last = damaged.at(-1)?.number ?? 0;
    for (const state of states) {
      this.#table.commit(last, state);
      for (const listener of this.#listeners) listener.decided?.(state);
    }
  }

  /** Lets go of the log. */
  close(): void {
    this.#tail.close();
  }

  committed(segment: Segment, commit: Committed, after?: readonly (StoredObject | undefined)[]): void {
    const { record, revision, transcripts } = commit;
    this.#writer.saw(commit);
    const { decode } = this.options;
    const lastChange = record.ops.findLastIndex(isChange);
    const effects = transcripts?.filter((effect) => effect.before !== effect.after) ?? [];
    if (lastChange >= 0 || effects.length > 0)
      this.transcripts.committed(segment, record, revision, transcripts);
    if (lastChange >= 0) this.#recordsRevision = revision;
    for (let index = 0; index <= lastChange; index++) {
      const op = record.ops[index];
      if (op === undefined || !isChange(op)) continue;
      const stored = after === undefined ? storedAfter(op, this.changedIn(segment).get(op.k)) : after[index];
      const state = new SessionState(op.k, revision, record.t, stored, decode);
      const before = this.#table.get(op.k);
      this.#table.commit(segment.number, state);
      for (const listener of this.#listeners)
        listener.changed?.(state, index === lastChange && effects.length === 0, before, op);
    }
    for (const effect of effects)
      for (const listener of this.#listeners)
        listener.transcriptChanged?.(effect, effect === effects.at(-1), commit);
  }

  dropped(segment: Segment): void {
    if (segment.damaged) {
      // Every session may have changed where this process could not read; now that has been written to its file.
      this.#table.discard(segment.number);
      this.#recordsRevision = undefined;
      for (const listener of this.#listeners) listener.foundGap?.();
    } else this.#table.release(segment.number);
    this.transcripts.release(segment.number);
    this.doubts.dropped(segment);
  }

  rewound(): void {
    this.doubts.rewound();
    this.#recordsRevision = undefined;
    this.#table.clear();
    this.transcripts.clear();
    for (const listener of this.#listeners) listener.rewound?.();
  }

  entered(segment: Segment): void {
    for (const listener of this.#listeners) listener.entered?.(segment);
  }

  beginningOf({ number }: Segment): { readonly firstRevision: number; readonly after: number } | undefined {
    const before = this.#tail.segments.find((segment) => segment.number === number - 1);
    // From an end that is only guessed, revisions would come out too low, and old files would seem to be new enough.
    if (before === undefined || before.endUnknown) return this.options.elsewhere.beginningBehind(number - 1);
    return { firstRevision: before.nextFirstRevision, after: before.ledger.lastRevision };
  }

  durableBytes(segment: Segment): number {
    return this.doubts.durableBytes(segment);
  }

  /** A process that writes mends it, for it knows what was there; one that reads begins anew with what is there. */
  #wasCut(): void {
    const { path, number, cutAt } = this.#tail.active;
    this.options.onWarning({
      code: "log_gap",
      message:
        `${path} was cut off at byte ${cutAt}, behind which this process has read it. ` +
        (this.options.readOnly
          ? "What stood there is missing until a process that writes, and had read it too, has written it."
          : "It goes on in the next segment, and writes what it has read into the entry files."),
      data: { path, segment: number, offset: cutAt, reason: "it was cut off" },
    });
    if (this.options.readOnly) this.#tail.rewind();
    this.#recordsRevision = undefined;
    for (const listener of this.#listeners) listener.wasCut?.();
  }

  foundGap(segment: Segment, offset: number, reason: string): void {
    this.doubts.lookAgain();
    const { path, number } = segment;
    this.options.onWarning({
      code: "log_gap",
      message:
        `${path} cannot be read from byte ${offset} on (${reason}). Sessions that are not mentioned behind that are read from ` +
        "their files; what only those bytes had is missing until a process that read them before has written it.",
      data: { path, segment: number, offset, reason },
    });
    for (const listener of this.#listeners) listener.foundGap?.();
  }

  foundMalformed(segment: Segment, offset: number, reason: string): void {
    const { path, number } = segment;
    this.options.onWarning({
      code: "log_line_malformed",
      message: `${path} has a line at byte ${offset} that counts for nothing (${reason}), though it was written so.`,
      data: { path, segment: number, offset, reason },
    });
  }

  /** A seal may say that a gap is none, or that there is one. */
  sealed(): void {
    this.doubts.lookAgain();
  }
}

/** What an op of a committed record makes of a session. By rule 4, a patch finds its base in the same segment. */
export function storedAfter(op: LogOp, before: SessionState | undefined): StoredObject | undefined {
  if (op.p === undefined) return op.s;
  if (before?.stored === undefined) throw new Error(`a patch of ${op.k} committed without a base`);
  return applyPatch(before.stored, op.p, op.u ?? []);
}
