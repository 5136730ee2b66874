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
import type { Layout } from "../../format/layout.js";
import type { LogOp, LogRecord } from "../../format/log-line.js";
import { LogWriter } from "../../log/log-writer.js";
import { LogSyncer } from "../../log/log-syncer.js";
import { makeNextSegment } from "../../log/next-segment.js";
import { StorePlace } from "../../log/store-place.js";
import type { Segment } from "../../log/segment.js";
import { LogTail, type LogObserver } from "../../log/log-tail.js";
import type { Runtime } from "../../runtime.js";
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
  #making: Promise<void> | undefined;

  constructor(readonly options: SessionLogOptions) {
    const { fs, layout, storeId, readOnly, runtime, cacheBytes, path, root } = options;
    this.tail = new LogTail(fs, layout, storeId, readOnly ? "read" : "append", this);
    this.writer = new LogWriter(fs, this.tail, this, runtime.randomName(6));
    const monotonic = (): number => runtime.monotonic();
    this.place = new StorePlace({ fs, path, layout, root, storeId, monotonic }, this.tail);
    this.syncer = new LogSyncer(fs, layout, options.parent, this.place);
    this.table = new SessionTable(cacheBytes);
  }

  /** Latest state of a session; `stored` is undefined when there is none. Reads the log first. */
  read(key: string): SessionState {
    this.tail.catchUp();
    return this.table.get(key) ?? this.readCold(key);
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
      const nothing = new SessionState(key, 0, 0, undefined, decode);
      nothing.replacesSeen = true;
      return nothing;
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

  /** Reads the log to its end, and makes the next segment if the last one is sealed. For writers only (O4). */
  async becomeActive(): Promise<Segment> {
    for (let attempt = 0; attempt < SEGMENT_ATTEMPTS_MAX; attempt++) {
      this.tail.catchUp();
      const segment = this.tail.active;
      if (!segment.ledger.sealed) return segment;
      const { fs, layout, runtime, storeId } = this.options;
      const { tail, syncer } = this;
      this.#making ??= makeNextSegment({ fs, layout, runtime, storeId, tail, syncer }, segment).finally(
        () => {
          this.#making = undefined;
        },
      );
      await this.#making;
    }
    throw new SessionStoreError("log_damaged", `${this.options.layout.log} cannot be given a next segment`, {
      data: { path: this.options.layout.log },
    });
  }

  /** A staging folder is gone: fenced by a checkpoint, or lost in a power cut. The latter needs a new segment. */
  async stageGone(segment: Segment): Promise<void> {
    await this.becomeActive();
    if (this.tail.active !== segment || segment.ledger.sealed) return;
    const { fs, layout } = this.options;
    const names = await fs.later.readdir(layout.stage);
    if (names.includes(segment.ledger.stage)) return;
    if (this.tail.active === segment) this.writer.seal(segment);
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
      state.replacesSeen = before !== undefined && (before.flushed || before.replacesSeen);
      finals.set(op.k, state);
      this.table.commit(state);
      for (const listener of this.listeners) listener.changed?.(state, index === lastChange, before, op);
    }
  }

  dropped(segment: Segment): void {
    const finals = this.finals.get(segment.number);
    this.finals.delete(segment.number);
    if (finals !== undefined) this.table.release(finals);
  }

  rewound(): void {
    this.table.clear();
    this.finals.clear();
    for (const listener of this.listeners) listener.rewound?.();
  }

  entered(segment: Segment): void {
    for (const listener of this.listeners) listener.entered?.(segment);
  }

  foundHole(segment: Segment): void {
    this.options.onWarning({
      code: "log_hole",
      message: `${segment.path} has a hole that a power cut left; the log goes on behind it in a new segment.`,
      data: { path: segment.path, segment: segment.number },
    });
  }

  foundMalformed(segment: Segment, offset: number, reason: string): void {
    const { path, number } = segment;
    this.options.onWarning({
      code: "log_line_malformed",
      message:
        `${path} has a line at byte ${offset} that counts for nothing (${reason}): a write that was cut short, or ` +
        "damage. If this file was damaged, restore it from a backup before the next checkpoint.",
      data: { path, segment: number, offset, reason },
    });
  }
}

/** A check is none. */
export function isChange(op: LogOp): boolean {
  return op.s !== undefined || op.p !== undefined || op.d !== undefined;
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
