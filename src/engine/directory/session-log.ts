/**
 * The commit log and what it adds up to: the sessions as of the position that this process has read up to.
 *
 * Reading order, always: the log, then memory, then the entry file. A file whose revision is not older than the
 * active segment, for a key that the live segments do not mention, is ahead of the log (a raw copy, a disk that
 * lied): it is believed only after the log was read once more (O5), and a writer seals before it builds on it.
 */
import { SessionStoreError, type StoreWarning } from "../../errors.js";
import { readEntryFile, type EntryFile } from "../../entries/entry-file.js";
import type { FileStatus, FileSystem } from "../../fs/file-system.js";
import { applyPatch } from "../../format/stored-patch.js";
import type { StoredObject } from "../../format/stored-value.js";
import { liveRun, type Layout } from "../../format/layout.js";
import { isChange, type DurableMark, type LogOp, type LogRecord } from "../../format/log-line.js";
import { LINE_BYTES_MAX } from "../../format/limits.js";
import { LogWriter, type SealToWrite } from "../../log/log-writer.js";
import { LogSyncer } from "../../log/log-syncer.js";
import { makeNextSegment } from "../../log/next-segment.js";
import { StorePlace } from "../../log/store-place.js";
import type { Segment } from "../../log/segment.js";
import { LogTail, type LogObserver } from "../../log/log-tail.js";
import type { Runtime } from "../../runtime.js";
import { durableBytes } from "./durable-mark.js";
import { SessionState, SessionTable, type Decode } from "./session-table.js";

/** Told about what the log says, while it is read: keep it short, and never throw. */
export interface SessionLogListener {
  /**
   * @param last Whether it is the last change of its commit.
   * @param before What this process knew of the session before.
   */
  changed?(state: SessionState, last: boolean, before: SessionState | undefined, op: LogOp): void;
  rewound?(): void;
  /** Reading goes on in the segment behind a sealed one. */
  entered?(segment: Segment): void;
  /** Bytes of the log cannot be read: changes may be hidden in them. */
  foundGap?(): void;
  /** The end of the log is gone, and this process has read it. */
  wasCut?(): void;
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
}

/** Bytes that a segment may have had behind its mark, which is raised twice a second: far more than a disk takes in that time. */
const UNSAID_BYTES_MAX = 2 ** 30;
/** Losing the race for the next segment is progress of another process, so this bounds only a broken folder. */
const SEGMENT_ATTEMPTS_MAX = 200;

export class SessionLog implements LogObserver {
  readonly tail: LogTail;
  readonly writer: LogWriter;
  readonly syncer: LogSyncer;
  readonly place: StorePlace;
  readonly table: SessionTable;
  /** What each live segment made of the keys that it changed. */
  readonly finals = new Map<number, Map<string, SessionState>>();
  readonly listeners = new Set<SessionLogListener>();
  /** What a loaded index says that a session's file must at least have. */
  knownRevision: ((key: string) => number | undefined) | undefined;
  /**
   * The revision of a session that neither the log nor a file mentions, though it was written; undefined if there is no
   * such session, or if it would cost too much to find out. The log must have been read just before.
   */
  revisionElsewhere: ((key: string) => number | undefined) | undefined;
  /** Where the segment behind a checkpointed one begins. */
  catalogEnd:
    ((segment: number) => { readonly firstRevision: number; readonly after: number } | undefined) | undefined;
  /** How far the log was durable before this process read it. */
  mark: DurableMark | undefined;
  /** Number of the highest damaged segment, 0 if there is none; undefined: find out. */
  #lastGap: number | undefined = 0;
  #making: Promise<void> | undefined;

  constructor(readonly options: SessionLogOptions) {
    const { fs, layout, storeId, readOnly, runtime, cacheBytes, path, root } = options;
    const writerId = runtime.randomName(6);
    this.tail = new LogTail(fs, layout, storeId, readOnly ? "read" : "append", this, writerId);
    this.writer = new LogWriter(fs, this.tail, this, writerId);
    const monotonic = (): number => runtime.monotonic();
    const onCut = (): void => this.#wasCut();
    this.place = new StorePlace({ fs, path, layout, root, storeId, monotonic, onCut }, this.tail);
    this.syncer = new LogSyncer(fs, layout, options.parent, this.place);
    this.table = new SessionTable(cacheBytes);
  }

  /**
   * Latest state of a session; `stored` is undefined when there is none. Reads the log first.
   * @throws `session_damaged` when a change of the session is behind bytes of the log that cannot be read.
   */
  read(key: string): SessionState {
    this.tail.catchUp();
    return this.isInDoubt(key) ? this.readInDoubt(key) : (this.table.get(key) ?? this.readCold(key));
  }

  /** Number of the highest live segment of which this process cannot read all, so that changes may be hidden; 0 for none. */
  get damagedSegment(): number {
    return (this.#lastGap ??=
      this.tail.segments.findLast((segment) => this.#isDamaged(segment))?.number ?? 0);
  }

  /**
   * Whether what this process knows of a session may have been overtaken by a change that it cannot read. What was looked up
   * in memory before this call may be outdated after it.
   */
  isInDoubt(key: string): boolean {
    const damaged = this.damagedSegment;
    if (damaged === 0) return false;
    for (const [number, finals] of this.finals) if (number > damaged && finals.has(key)) return false;
    return !this.#isMended();
  }

  /** Another process may have checkpointed the damaged segments since; nothing else tells of that in a log at rest. */
  #isMended(): boolean {
    this.tail.dropBelow(liveRun(this.tail.listLog())[0] ?? 0);
    return this.damagedSegment === 0;
  }

  /** Live segments that this process cannot read whole, lowest first. */
  damagedSegments(): Segment[] {
    return this.tail.segments.filter((segment) => this.#isDamaged(segment));
  }

  #isDamaged(segment: Segment): boolean {
    return segment.damaged && !this.isLeftByPowerCut(segment);
  }

  /**
   * Whether a power cut left the bytes that cannot be read: there are NUL bytes among them, nothing was written since the
   * system started, no segment follows, and no file knows of a change behind them, for a file is never written before its
   * record is durable. Then all who could have read these bytes are dead, and nobody was told that they are durable.
   */
  isLeftByPowerCut(segment: Segment): boolean {
    const { ledger, identity, zeros } = segment;
    if (!zeros || ledger.gap === undefined || ledger.sealedGap !== undefined) return false;
    if (segment !== this.tail.active || this.tail.isFollowed(segment)) return false;
    if (identity.modifiedAt >= this.options.fs.bootedAt()) return false;
    if (this.durableBytes(segment) > ledger.gap) return false;
    const behind = segment.firstRevision + ledger.gap;
    return [...ledger.behind.keys(), ...ledger.changed.keys()].every((key) => {
      const file = this.readFile(key);
      return file.status !== "present" || file.revision < behind;
    });
  }

  /** How many bytes of a segment were durable before this process read it, as far as that is known. */
  durableBytes(segment: Segment): number {
    return durableBytes(this.mark, segment);
  }

  /** Sessions that records behind unreadable bytes change, with the revision that the last one has, if it counts. */
  mentioned(): Map<string, number> {
    const mentioned = new Map<string, number>();
    for (const { ledger } of this.damagedSegments())
      for (const [key, revision] of ledger.behind) mentioned.set(key, revision);
    return mentioned;
  }

  /** Of a session in doubt, the newer one of what the log and its file say. Others may write the file at any moment. */
  readInDoubt(key: string): SessionState {
    const behind = this.mentioned().get(key);
    const known = this.table.hot.get(key);
    if (behind === undefined && known === undefined) return this.readCold(key);
    const file = this.readFile(key);
    const written = file.status === "present" ? file.revision : 0;
    if (file.status === "present" && written >= (behind ?? 0) && written > (known?.revision ?? 0))
      return this.stateOf(key, file);
    if (behind === undefined && known !== undefined) return known;
    throw this.#unreadable("session_damaged", key, behind);
  }

  /** After a doctor's work: what was decided about the sessions in doubt holds, and damaged segments are like others. */
  settleDoubts(segments: readonly Segment[], states: readonly SessionState[]): void {
    for (const { ledger } of segments) {
      ledger.sealedGap ??= ledger.gap;
      ledger.gap = undefined;
      ledger.behind.clear();
    }
    this.#lastGap = 0;
    const last = segments.at(-1)?.number ?? 0;
    let finals = this.finals.get(last);
    if (finals === undefined) this.finals.set(last, (finals = new Map<string, SessionState>()));
    for (const state of states) {
      finals.set(state.key, state);
      this.table.commit(state);
    }
  }

  /** Why an op that builds on the latest state of a session in doubt is refused, or a watch, which is about all. */
  refusal(key?: string): SessionStoreError {
    return this.#unreadable("log_damaged", key, key === undefined ? undefined : this.mentioned().get(key));
  }

  #unreadable(
    code: "session_damaged" | "log_damaged",
    key: string | undefined,
    revision?: number,
  ): SessionStoreError {
    const segment = this.tail.segments.find(({ number }) => number === this.damagedSegment);
    const { path = this.options.layout.log, number, ledger } = segment ?? {};
    const session = `session ${JSON.stringify(key)}`;
    const change = key === undefined ? "changes" : `a change of ${session}`;
    const what = code === "session_damaged" ? `the latest state of ${session} is` : `${change} may be`;
    const reason =
      code === "session_damaged" && `its latest state is behind damage of the log, at byte ${ledger?.gap}`;
    return new SessionStoreError(
      code,
      `${path} is damaged at byte ${ledger?.gap}, and ${what} behind that. A process that read it before mends this within ` +
        "seconds. If none is running, put the session as a whole, delete it, or stop all processes and mend the log: sessiondir " +
        `mend --store ${this.options.path}, or open the store with \`soleProcess: true\`.`,
      { data: { key, path, segment: number, offset: ledger?.gap, revision, ...(reason && { reason }) } },
    );
  }

  /**
   * State of a session that memory does not have, from its file. The log must have been read just before.
   * @throws `entry_corrupt` when the file is damaged, or missing although a catalog has the session, and the log does not
   *   have the session.
   */
  readCold(key: string): SessionState {
    let file = this.readFile(key);
    if (file.status === "absent" && this.revisionElsewhere?.(key) !== undefined) {
      this.tail.catchUp(); // a delete that took the file is in the log by now, or in a catalog
      const known = this.table.get(key);
      if (known !== undefined) return known;
      const revision = this.revisionElsewhere(key);
      if (revision !== undefined) throw missingEntry(key, this.options.layout.entryFile(key), revision);
    }
    if (file.status === "corrupt" || this.isAhead(file)) {
      this.tail.catchUp(); // O5: once more, before a file is believed that the log does not explain
      const known = this.table.get(key);
      if (known !== undefined) return known;
      file = this.readFile(key);
    }
    if (file.status === "corrupt") throw corruptEntry(key, file);
    if (file.status === "present" && file.revision < (this.knownRevision?.(key) ?? 0)) {
      const path = this.options.layout.entryFile(key);
      throw corruptEntry(key, { status: "corrupt", path, reason: "an older copy was put back", offset: 0 });
    }
    const state = this.stateOf(key, file);
    this.table.learn(state);
    return state;
  }

  readFile(key: string): EntryFile {
    return readEntryFile(this.options.fs, this.options.layout, key);
  }

  stateOf(key: string, file: Exclude<EntryFile, { status: "corrupt" }>): SessionState {
    const { decode } = this.options;
    if (file.status === "absent") {
      return new SessionState(key, 0, 0, undefined, decode);
    }
    const state = new SessionState(key, file.revision, file.modifiedAt, file.stored, decode);
    state.crc = file.crc;
    state.flushed = true;
    return state;
  }

  isAhead(file: EntryFile): boolean {
    return file.status === "present" && file.revision >= this.tail.active.firstRevision;
  }

  /** Whether the commit of this revision is in a live segment. */
  isInLog(revision: number): boolean {
    const first = this.tail.segments[0]?.ledger.firstRevision ?? Number.POSITIVE_INFINITY;
    return first <= revision && revision <= this.tail.revision;
  }

  /** Whether a file of this revision is no surprise: the log has that or a newer state, or has let go of the session. */
  isOvertaken(key: string, revision: number): boolean {
    this.tail.catchUp();
    const state = this.table.hot.get(key);
    return state === undefined || state.revision >= revision;
  }

  /** Reads the log to its end, and makes the next segment if the last one is sealed. For writers only (O4). */
  async becomeActive(): Promise<Segment> {
    for (let attempt = 0; attempt < SEGMENT_ATTEMPTS_MAX; attempt++) {
      this.tail.catchUp();
      const segment = this.tail.active;
      if (segment.cutAt !== undefined && !segment.ledger.sealed) this.writer.sealCut(segment);
      if (!segment.ledger.sealed) return segment;
      const { fs, layout, runtime, storeId } = this.options;
      const { tail, syncer } = this;
      // Of a segment that cannot be read whole nobody here knows its last commit; of one that was cut off, no other process.
      const cut = segment.cutAt !== undefined && segment.ledger.sealedGap !== undefined;
      const unknown = cut || this.#isDamaged(segment);
      const after = unknown ? segment.nextFirstRevision - 1 : segment.ledger.lastRevision;
      const maker = { fs, layout, runtime, storeId, tail, syncer, after };
      this.#making ??= makeNextSegment(maker, segment).finally(() => {
        this.#making = undefined;
      });
      await this.#making;
    }
    throw new SessionStoreError("log_damaged", `${this.options.layout.log} cannot be given a next segment`, {
      data: { path: this.options.layout.log },
    });
  }

  /**
   * Whether nothing may be appended to a segment but a seal: for this process cannot read it all, or so much torn
   * stands at its end that a record behind it might be too far from the last newline. Behind what a power cut left not even
   * a seal is: the segment ends there, and the next one says so. It is made at once or not at all, whereas a seal could be torn,
   * and then its segment would have been written since the system was started.
   */
  sealInstead(segment: Segment): SealToWrite | undefined {
    if (segment.undecided > 0 && !segment.damaged && !this.tail.isTornAtEnd(segment))
      this.tail.gapAtEnd(segment);
    const { gap } = segment.ledger;
    if (segment.cutAt !== undefined) this.writer.sealCut(segment);
    else if (gap !== undefined && this.isLeftByPowerCut(segment)) segment.end();
    else if (gap !== undefined) {
      // Files and other processes may have revisions up to where the segment ended before it was cut off.
      const bytes = this.durableBytes(segment);
      if (bytes <= segment.position) return { gap };
      return { gap, bytes, firstRevision: segment.firstRevision + bytes + UNSAID_BYTES_MAX };
    }
    return segment.undecided > LINE_BYTES_MAX ? {} : undefined;
  }

  /** Ends a segment, and says what this process could not read of it. */
  seal(segment: Segment): void {
    const seal = this.sealInstead(segment);
    if (!segment.ledger.sealed) this.writer.seal(segment, seal);
  }

  /** A staging folder is gone: fenced by a checkpoint, or lost in a power cut. The latter needs a new segment. */
  async stageGone(segment: Segment): Promise<void> {
    await this.becomeActive();
    if (this.tail.active !== segment || segment.ledger.sealed) return;
    const { fs, layout } = this.options;
    const names = await fs.later.readdir(layout.stage);
    if (names.includes(segment.ledger.stage)) return;
    if (this.tail.active === segment) this.seal(segment);
  }

  committed(
    segment: Segment,
    record: LogRecord,
    revision: number,
    after?: readonly (StoredObject | undefined)[],
  ): void {
    this.writer.saw(record, revision);
    const { decode } = this.options;
    let finals = this.finals.get(segment.number);
    if (finals === undefined) this.finals.set(segment.number, (finals = new Map<string, SessionState>()));
    const lastChange = record.ops.findLastIndex(isChange);
    for (let index = 0; index <= lastChange; index++) {
      const op = record.ops[index];
      if (op === undefined || !isChange(op)) continue;
      const stored = after === undefined ? storedAfter(op, finals.get(op.k)) : after[index];
      const state = new SessionState(op.k, revision, record.t, stored, decode);
      const before = this.table.get(op.k);
      finals.set(op.k, state);
      this.table.commit(state);
      for (const listener of this.listeners) listener.changed?.(state, index === lastChange, before, op);
    }
  }

  dropped(segment: Segment): void {
    const finals = this.finals.get(segment.number);
    this.finals.delete(segment.number);
    if (segment.damaged) this.#forgetDoubts(finals);
    else if (finals !== undefined) this.table.release(finals);
    if (this.#lastGap === segment.number) this.#lastGap = undefined;
  }

  /** Every session may have changed where this process could not read; now that has been written to its file. */
  #forgetDoubts(finals: ReadonlyMap<string, SessionState> = new Map<string, SessionState>()): void {
    for (const [key, state] of finals) if (this.table.hot.get(key) === state) this.table.hot.delete(key);
    this.table.forgetCold();
    for (const listener of this.listeners) listener.foundGap?.();
  }

  rewound(): void {
    this.#lastGap = 0;
    this.table.clear();
    this.finals.clear();
    for (const listener of this.listeners) listener.rewound?.();
  }

  entered(segment: Segment): void {
    for (const listener of this.listeners) listener.entered?.(segment);
  }

  beginningOf({ number }: Segment): { readonly firstRevision: number; readonly after: number } | undefined {
    const before = this.tail.segments.find((segment) => segment.number === number - 1);
    if (before === undefined) return this.catalogEnd?.(number - 1);
    return { firstRevision: before.nextFirstRevision, after: before.ledger.lastRevision };
  }

  /** A process that writes mends it, for it knows what was there; one that reads begins anew with what is there. */
  #wasCut(): void {
    const { path, number, cutAt } = this.tail.active;
    this.options.onWarning({
      code: "log_gap",
      message:
        `${path} was cut off at byte ${cutAt}, behind which this process has read it. ` +
        (this.options.readOnly
          ? "What stood there is missing until a process that writes, and had read it too, has written it."
          : "It goes on in the next segment, and writes what it has read into the entry files."),
      data: { path, segment: number, offset: cutAt, reason: "it was cut off" },
    });
    if (this.options.readOnly) this.tail.rewind();
    for (const listener of this.listeners) listener.wasCut?.();
  }

  foundGap(segment: Segment, offset: number, reason: string): void {
    this.#lastGap = undefined;
    const { path, number } = segment;
    this.options.onWarning({
      code: "log_gap",
      message:
        `${path} cannot be read from byte ${offset} on (${reason}). Sessions that are not mentioned behind that are read from ` +
        "their files; what only those bytes had is missing until a process that read them before has written it.",
      data: { path, segment: number, offset, reason },
    });
    for (const listener of this.listeners) listener.foundGap?.();
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
    this.#lastGap = undefined;
  }
}

/** What an op of a committed record makes of a session. By rule 4, a patch finds its base in the same segment. */
export function storedAfter(op: LogOp, before: SessionState | undefined): StoredObject | undefined {
  if (op.p === undefined) return op.s;
  if (before?.stored === undefined) throw new Error(`a patch of ${op.k} committed without a base`);
  return applyPatch(before.stored, op.p, op.u ?? []);
}

export function corruptEntry(key: string, file: EntryFile & { status: "corrupt" }): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `${file.path} is damaged at byte ${file.offset} (${file.reason}), and the log no longer has the session. ` +
      `Other sessions are not affected. ${WAYS_OUT}`,
    { data: { key, path: file.path, offset: file.offset, reason: file.reason, missing: false } },
  );
}

function missingEntry(key: string, path: string, revision: number): SessionStoreError {
  return new SessionStoreError(
    "entry_corrupt",
    `${path} is missing, although revision ${revision} of the session was written to it and never deleted. Other ` +
      `sessions are not affected. ${WAYS_OUT}`,
    { data: { key, path, offset: 0, reason: MISSING, missing: true, revision } },
  );
}

/** Why an entry file that is not there is damage, as a clause. */
export const MISSING = "the file is missing";

const WAYS_OUT = "Restore the file from a backup, put the session again as a whole, or delete it for good.";
