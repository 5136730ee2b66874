/**
 * What every engine provides, and all that the store layer above knows of one.
 *
 * An engine keeps records under opaque keys, gives every commit one revision from a single growing sequence,
 * and decides commits by compare-and-swap on revisions: the directory engine by the order of its log, a
 * database by `UPDATE … WHERE revision = base`. One published conformance suite (`sessiondir/testing`) says what
 * that means in detail.
 *
 * Calls return a value or a promise of it (`MaybePromise`): the directory engine answers from memory without
 * a promise, and the store layer keeps that path free of `await`.
 */
export type MaybePromise<T> = T | Promise<T>;

/** One item of a transcript, as an engine hands it out. The value is the caller's own: a copy, not frozen. */
export interface EngineItem {
  /** From 1; grows along the transcript; never used twice as long as the transcript is not removed. */
  readonly seq: number;
  /** Any JSON value. */
  readonly item: unknown;
  /** The id it was appended with. */
  readonly id?: string;
  /** The commit that appended it. */
  readonly revision: number;
  /** When that commit was made, by its writer's clock: milliseconds since 1970. */
  readonly time: number;
}

/** A transcript as of one instant. */
export interface EngineTranscript {
  /** The highest `seq` ever used in it; truncation and trimming leave it as it is. */
  readonly last: number;
  /** Items that are there. */
  readonly length: number;
  /** The commit that made it. */
  readonly since: number;
  /** The commit that removed items from its end last; `since` if none has. With `last` it names one state of the list, but for trimming. */
  readonly cut: number;
}

/** Items of one instant, in the order that was asked for. */
export interface EnginePage {
  readonly items: readonly EngineItem[];
  /** There are more in this direction. */
  readonly more: boolean;
  /** The transcript at that instant; undefined: there is none. */
  readonly transcript: EngineTranscript | undefined;
}

export interface EngineItemQuery {
  /** Lowest and highest `seq`, inclusive. Default: all. */
  readonly from?: number;
  readonly to?: number;
  /** Most items to give; an engine may give fewer (at least one) and say `more`, where they are big. */
  readonly limit: number;
  /** Newest first, from `to` downwards. */
  readonly backwards: boolean;
}

export interface NewItem {
  /** What JSON.stringify makes of the item: the layer above has checked that it is the same value. */
  readonly json: string;
  readonly id?: string;
}

/** What became of an op on a transcript. */
export interface TranscriptOutcome {
  /** Right after the commit; undefined: it is gone. */
  readonly transcript: EngineTranscript | undefined;
  /** `seq` of the first and the last item that this commit appended; 0 if it appended none. */
  readonly first: number;
  readonly last: number;
  /** Indexes of the given items that were left out, because the transcript had their ids. */
  readonly skipped: readonly number[];
}

/** A session as an engine hands it out: `entry` is deeply frozen and shared, never a copy. */
export interface EngineRecord {
  readonly key: string;
  readonly entry: object;
  /** The commit that made this state; greater than every earlier revision of the store. */
  readonly revision: number;
  /** When that commit was made, by its writer's clock: milliseconds since 1970. */
  readonly modifiedAt: number;
}

/**
 * One change, or one check, of a commit. `base` is the revision that the session must still have, 0 for "must
 * not exist"; left out, the op is unconditional. A key occurs at most once in a commit, apart from ops on its transcripts, each
 * of which occurs at most once too, and, checks apart, not beside a delete of their key: that removes them all.
 *
 * An unconditional op must work whatever became of the session's stored state: it is the way out for a session that `read`
 * refuses as `entry_corrupt`. Its revision is above every other of the store, as always.
 */
export type EngineOp = RecordOp | TranscriptOp;

export type RecordOp =
  /** The whole entry. */
  | { readonly kind: "set"; readonly key: string; readonly base?: number; readonly entry: object }
  /** Sets these top-level fields of an existing entry; a field whose value is undefined is removed. */
  | { readonly kind: "patch"; readonly key: string; readonly base: number; readonly fields: object }
  /** Of the record and all transcripts; base 0: there is no record, but there are transcripts. */
  | { readonly kind: "delete"; readonly key: string; readonly base?: number }
  /** Changes nothing, but the commit fails unless the session still has this revision. */
  | { readonly kind: "check"; readonly key: string; readonly base: number };

/**
 * Changes a transcript of a session, which need not have a record. What `if…` says must hold, else the commit is a conflict.
 * Then, in this order: `remove`, `truncate`, `items`, `trim`. An op with none of these is a check.
 *
 * An item whose id the transcript already has is left out; the rest of the commit counts. Appending to a transcript that does not
 * exist makes it. `truncate` and `trim` of one that does not exist do nothing.
 */
export interface TranscriptOp {
  readonly kind: "transcript";
  readonly key: string;
  readonly transcript: string;
  /** Highest seq ever used; 0 for a transcript that does not exist. */
  readonly ifLast?: number;
  readonly ifLength?: number;
  /** `cut` of the state that the caller has read; 0: it must not exist. */
  readonly ifCut?: number;
  /** It is gone; with items it begins again at 1. */
  readonly remove?: true;
  /** Keeps items up to this seq, or so many of the oldest. */
  readonly truncate?: { readonly afterSeq: number } | { readonly length: number };
  readonly items?: readonly NewItem[];
  /** Removes items below this seq, or all but so many of the newest. */
  readonly trim?: { readonly beforeSeq: number } | { readonly length: number };
}

/** What an op on a transcript demands of it. */
export type TranscriptConditions = Pick<TranscriptOp, "ifLast" | "ifLength" | "ifCut">;

/** Whether a transcript is as an op demands; undefined: there is none. */
export function isAsDemanded(
  { ifLast, ifLength, ifCut }: TranscriptConditions,
  found: Pick<EngineTranscript, "last" | "length" | "cut"> | undefined,
): boolean {
  const { last, length, cut } = found ?? { last: 0, length: 0, cut: 0 };
  return (ifLast ?? last) === last && (ifLength ?? length) === length && (ifCut ?? cut) === cut;
}

/** Whether an op changes nothing, whatever it finds. */
export function isCheck(op: EngineOp): boolean {
  if (op.kind !== "transcript") return op.kind === "check";
  const { remove, truncate, items, trim } = op;
  return remove === undefined && truncate === undefined && items === undefined && trim === undefined;
}

export type CommitOutcome =
  | {
      readonly status: "committed";
      readonly revision: number;
      /** State of each op's key right after the commit, in the order of the ops; undefined: no session. */
      readonly records: readonly (EngineRecord | undefined)[];
      /** What became of the ops on transcripts, in the order of the ops; undefined for other ops. Left out if there were none. */
      readonly transcripts?: readonly (TranscriptOutcome | undefined)[];
      /** Settles when the commit is as durable as the store promises; undefined: it already is. */
      readonly durable: Promise<void> | undefined;
    }
  /** `skipUnchanged` was asked for and every op would have left its session as it is: nothing was written. */
  | { readonly status: "unchanged"; readonly records: readonly (EngineRecord | undefined)[] }
  /** The operation had been committed before, as this revision: nothing was written. `durable` is about that commit. */
  | { readonly status: "repeated"; readonly revision: number; readonly durable?: Promise<void> | undefined }
  /** `key` no longer has the base revision, or a transcript of it is not as the op says. Nothing was written; read again and compose again. */
  | { readonly status: "conflict"; readonly key: string };

/** Makes a commit happen once: an engine remembers at least the {@link OPERATIONS_KEPT} latest of a store, in every process. */
export interface Operation {
  /** 1 to 200 bytes of UTF-8. */
  readonly id: string;
  /** Of what the caller says the operation is: SHA-256, 64 hexadecimal digits. */
  readonly hash: string;
}

export const OPERATIONS_KEPT = 8192;

export interface CommitOptions {
  /** Write nothing if every op would leave its session as it is. Ops on transcripts always change something, checks apart. */
  readonly skipUnchanged?: boolean;
  readonly operation?: Operation;
}

/** Which sessions, in which order. Keys compare by UTF-16 code units, as `<` does. */
export interface EngineQuery {
  readonly prefix: string;
  /** Exclusive bounds on updatedAt; a session without updatedAt counts as 0. */
  readonly updatedAfter: number | undefined;
  readonly updatedBefore: number | undefined;
  /** Ties in updatedAt are ordered by key; descending is the exact reverse of ascending. */
  readonly orderBy: "key" | "updatedAt";
  readonly descending: boolean;
  /** At most this many sessions; Infinity for all. */
  readonly limit: number;
  /** Start right after this position in the order. */
  readonly after: { readonly key: string; readonly updatedAt: number } | undefined;
}

/**
 * A session that is there and cannot be read: its file is damaged, missing, or an older copy that was put back; or its latest
 * state is behind damage of the log.
 */
export interface DamagedSession {
  /** Undefined where only the damaged file could tell the key. */
  readonly key: string | undefined;
  /** The file, or the damaged segment of the log. */
  readonly path: string;
  /** What is wrong with it, as a clause. */
  readonly reason: string;
  /** There is no file. */
  readonly missing: boolean;
}

export interface EngineScan {
  readonly records: readonly EngineRecord[];
  /**
   * Sessions of this part of the listing that cannot be read. One whose `updatedAt` is not known either counts for every
   * listing from the start whose prefix fits.
   */
  readonly damaged?: readonly DamagedSession[];
  /** Where to go on, when `limit` cut the listing short. */
  readonly next: { readonly key: string; readonly updatedAt: number } | undefined;
}

export interface EngineChange {
  readonly key: string;
  readonly revision: number;
  /** "transcript": items were appended or removed, as `transcript` says. A delete of the session has none for its transcripts. */
  readonly kind: "put" | "delete" | "transcript";
  readonly transcript?: TranscriptChange;
  /** The last change of its commit that this iteration gives: from here on `since` may be this revision. */
  readonly last: boolean;
  /** When that commit was made, by its writer's clock: milliseconds since 1970. */
  readonly modifiedAt: number;
  /** State right after this commit; absent for a delete. */
  readonly record?: EngineRecord;
}

/** What one commit did to one transcript. */
export interface TranscriptChange {
  readonly name: string;
  /** It was removed, before anything was appended. */
  readonly removed?: true;
  /** Items behind this seq were removed, before anything was appended. */
  readonly truncatedAfter?: number;
  /** Items that were appended: their seqs. Left out if there are none. */
  readonly first?: number;
  readonly last?: number;
  /** Items right after this commit; 0 if it is gone. */
  readonly length: number;
}

export interface ReadOptions {
  /**
   * The state may be one that was the latest so many milliseconds before the call, by this process's clock. Only stores in a
   * database make use of it: others answer from memory anyway. Default 0, or what the store was opened with.
   */
  readonly staleOkMs?: number | undefined;
}

export interface StatsOptions {
  /**
   * Counts transcripts too. A directory store reads the folder of every session for it, and the end of the last file of every transcript, in
   * slices of a few milliseconds. Default false.
   */
  readonly transcripts?: boolean | undefined;
}

export interface TranscriptStats {
  readonly count: number;
  /** Items that are there, in all of them. */
  readonly items: number;
  /**
   * Of their files, so that what only the log has is not in it, and what waits to be removed is. An engine without files: of the items'
   * JSON.
   */
  readonly bytes: number;
  /** Transcripts, or sessions, that cannot be read; their items are not in it. */
  readonly damaged: number;
}

export interface EngineStats {
  readonly engine: "directory" | "memory" | "postgres";
  readonly sessions: number;
  readonly revision: number;
  /** Present if they were asked for. */
  readonly transcripts?: TranscriptStats;
  /** Figures of the directory engine: bytes on disk, counts, and what waits to be written. */
  readonly directory?: {
    readonly path: string;
    readonly storeId: string;
    readonly logSegments: number;
    readonly logBytes: number;
    readonly activeSegment: number;
    /** Live segments with bytes that this process cannot read, behind which changes may be hidden, lowest first. */
    readonly damagedSegments: readonly number[];
    readonly blobs: number;
    readonly blobBytes: number;
    /** Sessions changed by this process whose meta.json is not yet written. */
    readonly unflushed: number;
    /** Entries held in memory. */
    readonly cachedEntries: number;
    readonly cachedBytes: number;
    readonly directorySync: boolean;
    readonly pinnedRoot: boolean;
  };
}

export interface Engine {
  /**
   * Latest committed state, every process's commits included.
   * @throws `entry_corrupt` for a session that is there and cannot be read.
   */
  read(key: string, options?: ReadOptions): MaybePromise<EngineRecord | undefined>;
  /**
   * A record of a session that this process has, and that may be the latest: what builds on it has to be committed with its
   * revision as base, or compared with `read`. An engine without this method has none that is cheaper than `read`.
   */
  recall?(key: string): EngineRecord | undefined;
  /**
   * Whether a change of a session may be in what cannot be read. Then nothing may be decided on what `read` says of it, not even
   * that there is none, and a commit that names a base is refused. An engine without this method always knows.
   */
  isInDoubt?(key: string): boolean;
  /** All matching sessions as of one instant. */
  scan(query: EngineQuery): MaybePromise<EngineScan>;
  /** Number of matching sessions; `orderBy`, `limit` and `after` are ignored. */
  count(query: EngineQuery): MaybePromise<number>;
  /**
   * One attempt to commit all ops or none.
   * @throws `operation_mismatch` if the operation's id was committed before with another content.
   */
  commit(ops: readonly EngineOp[], options?: CommitOptions): MaybePromise<CommitOutcome>;
  /**
   * Whether an operation was committed: its revision. The caller takes it for an acknowledgement, so the answer comes when that
   * commit is as durable as the store promises.
   * @throws `operation_mismatch`
   */
  operation(operation: Operation): MaybePromise<number | undefined>;
  /** A transcript as of now; undefined: there is none. */
  transcript(key: string, name: string): MaybePromise<EngineTranscript | undefined>;
  /** Names of the transcripts that a session has, sorted by UTF-16 code units. */
  transcripts(key: string): MaybePromise<readonly string[]>;
  /**
   * Keys of all sessions that may have transcripts, whether they have a record or not: each that has one is among them, in no order.
   * An engine that leaves this out has none without a record.
   */
  transcriptKeys?(): MaybePromise<readonly string[]>;
  /** Which of these ids items of a transcript have, and which `seq` each. */
  itemIds(key: string, name: string, ids: readonly string[]): MaybePromise<ReadonlyMap<string, number>>;
  /** Items of a transcript, all as of one instant. */
  items(key: string, name: string, query: EngineItemQuery): MaybePromise<EnginePage>;
  /** Revision of the latest commit; 0 for a store that never had one. */
  revision(): MaybePromise<number>;
  /**
   * Every change with a revision above `since` (default: from now on), in commit order, without gaps, until the
   * signal aborts or the engine closes. Throws `revision_too_old` when the engine no longer has them, and `revision_unknown`
   * for a revision that the store never had, without waiting for anything. What waits for its consumer is bounded in count
   * and in bytes: a consumer that is further behind is given what is still there, or `revision_too_old`.
   * The position "now" is taken when this method is called, not when the first change is awaited.
   */
  changes(options: {
    readonly since: number | undefined;
    readonly prefix: string;
    readonly signal: AbortSignal | undefined;
  }): AsyncIterable<EngineChange>;
  stats(options?: StatsOptions): Promise<EngineStats>;
  /** Directory engine: every commit so far is in its meta.json. Elsewhere nothing to do. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** An engine in this process's own memory and files: it can answer at once, and has files to bring up to date. */
export interface SynchronousEngine extends Engine {
  /** Like `read`, never with a promise. */
  readNow(key: string): EngineRecord | undefined;
  /** Like `scan`, never with a promise. */
  scanNow(query: EngineQuery): EngineScan;
  revision(): number;
  /** Of the latest commit that changed a record, or one above that: behind it only transcripts have changed. */
  recordsRevision(): number;
  /** Seals the active log segment and moves everything in the log into entry files. */
  checkpoint(): Promise<void>;
}
