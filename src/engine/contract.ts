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
 * not exist"; left out, the op is unconditional. A key occurs at most once in a commit.
 *
 * An unconditional op must work whatever became of the session's stored state: it is the way out for a session that `read`
 * refuses as `entry_corrupt`. Its revision is above every other of the store, as always.
 */
export type EngineOp =
  /** The whole entry. */
  | { readonly kind: "set"; readonly key: string; readonly base?: number; readonly entry: object }
  /** Sets these top-level fields of an existing entry; a field whose value is undefined is removed. */
  | { readonly kind: "patch"; readonly key: string; readonly base: number; readonly fields: object }
  | { readonly kind: "delete"; readonly key: string; readonly base?: number }
  /** Changes nothing, but the commit fails unless the session still has this revision. */
  | { readonly kind: "check"; readonly key: string; readonly base: number };

export type CommitOutcome =
  | {
      readonly status: "committed";
      readonly revision: number;
      /** State of each op's key right after the commit, in the order of the ops; undefined: no session. */
      readonly records: readonly (EngineRecord | undefined)[];
      /** Settles when the commit is as durable as the store promises; undefined: it already is. */
      readonly durable: Promise<void> | undefined;
    }
  /** `skipUnchanged` was asked for and every op would have left its session as it is: nothing was written. */
  | { readonly status: "unchanged"; readonly records: readonly (EngineRecord | undefined)[] }
  /** `key` no longer has the base revision. Nothing was written; read again and compose again. */
  | { readonly status: "conflict"; readonly key: string };

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
  readonly kind: "put" | "delete";
  /** The last change of its commit that this iteration gives: from here on `since` may be this revision. */
  readonly last: boolean;
  /** When that commit was made, by its writer's clock: milliseconds since 1970. */
  readonly modifiedAt: number;
  /** State right after this commit; absent for a delete. */
  readonly record?: EngineRecord;
}

export interface EngineStats {
  readonly engine: "directory" | "memory" | "postgres";
  readonly sessions: number;
  readonly revision: number;
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
  read(key: string): MaybePromise<EngineRecord | undefined>;
  /**
   * Whether a change of a session may be in what cannot be read. Then nothing may be decided on what `read` says of it, not even
   * that there is none, and a commit that names a base is refused. An engine without this method always knows.
   */
  isInDoubt?(key: string): boolean;
  /** All matching sessions as of one instant. */
  scan(query: EngineQuery): MaybePromise<EngineScan>;
  /** Number of matching sessions; `orderBy`, `limit` and `after` are ignored. */
  count(query: EngineQuery): MaybePromise<number>;
  /** One attempt to commit all ops or none. */
  commit(
    ops: readonly EngineOp[],
    options?: { readonly skipUnchanged?: boolean },
  ): MaybePromise<CommitOutcome>;
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
  stats(): Promise<EngineStats>;
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
  /** Seals the active log segment and moves everything in the log into entry files. */
  checkpoint(): Promise<void>;
}
