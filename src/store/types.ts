/**
 * What a session store is to the people who use one: types only, one doc comment for each promise.
 *
 * Two rules hold for everything below. Entries that come out are deeply frozen and shared with every other
 * reader: copy before you change (`{ ...entry, model }`). And nothing is cached by time, unless a read allows it (`staleOkMs`):
 * it sees every commit that finished before it began, in any process.
 */
import type { DamagedSession, EngineStats, ReadOptions, StatsOptions } from "../engine/contract.js";
import type { TransactionTranscripts, TranscriptChange, Transcripts } from "./transcript-types.js";
import type { WaitOptions } from "./wait-options.js";

export type { DamagedSession, ReadOptions, StatsOptions, WaitOptions };

/** An entry of a store that was opened without a type. */
export type UntypedEntry = Record<string, unknown>;

/** A session with what the store knows about it. The record is yours, its `entry` is frozen and shared. */
export interface SessionRecord<T extends object> {
  /** The key after `normalizeKey`. */
  readonly key: string;
  readonly entry: Readonly<T>;
  /** The commit that made this state: one number for the whole store, which only grows. At least 1. */
  readonly revision: number;
  /** When that commit was made by its writer's clock, in milliseconds since 1970. */
  readonly modifiedAt: number;
}

export interface WriteOptions extends WaitOptions {
  /**
   * The revision that the session must have; 0 (only with `put`) says that it must not exist. Otherwise nothing
   * is written and the call fails with `conflict`. Default: whatever revision it has.
   */
  readonly ifRevision?: number | undefined;
}

/** Which sessions `list` and `count` look at, and in which order `list` gives them. */
export interface ListQuery {
  /** Only keys that start with this; compared with stored keys, `normalizeKey` is not applied. Default "". */
  readonly prefix?: string | undefined;
  /** Only sessions with a later updatedAt, exclusive, in milliseconds since 1970. No updatedAt counts as 0. */
  readonly updatedAfter?: number | undefined;
  /** Only sessions with an earlier updatedAt, exclusive, in milliseconds since 1970. */
  readonly updatedBefore?: number | undefined;
  /** Default "key", by UTF-16 code units as `<` compares. Ties in updatedAt are ordered by key. */
  readonly orderBy?: "key" | "updatedAt" | undefined;
  /** The exact reverse. Default false. */
  readonly descending?: boolean | undefined;
  /** At most this many sessions, 1 or more. Default: all. */
  readonly limit?: number | undefined;
  /** Goes on where an earlier listing with the same prefix, bounds and order stopped. Default: from the start. */
  readonly cursor?: string | undefined;
}

export interface SessionList<T extends object> {
  readonly sessions: SessionRecord<T>[];
  /** Present when `limit` cut the listing short: pass it to the next `list` with the same query. */
  readonly cursor?: string;
  /**
   * Present when sessions of this listing are there and cannot be read: their files are damaged or missing. Each of them
   * fails with `entry_corrupt` when it is read; `put` without `ifRevision` replaces it, `delete` removes it.
   */
  readonly damaged?: readonly DamagedSession[];
}

export interface WatchOptions {
  /**
   * Changes with a revision above this one, from 0: that of a change which was the `last` of its commit. Default: from now
   * on.
   */
  readonly since?: number | undefined;
  /** Only keys that start with this. Default "". */
  readonly prefix?: string | undefined;
  /** Changes of transcripts come with the items that they appended. Default false: only their numbers. */
  readonly items?: boolean | undefined;
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal | undefined;
}

/** One committed change of one session or transcript; a transaction gives one for each, all with the same revision. */
export interface SessionChange<T extends object> {
  readonly key: string;
  readonly revision: number;
  /**
   * "transcript": one of the session's transcripts changed, as `transcript` says; the record did not. A "delete" is of the record
   * and all transcripts.
   */
  readonly kind: "put" | "delete" | "transcript";
  readonly transcript?: TranscriptChange;
  /**
   * The last change of its commit that this watch gives. Save `revision` as the next `since` only then: after any other
   * the rest of the transaction would be left out.
   */
  readonly last: boolean;
  /** When that commit was made by its writer's clock, in milliseconds since 1970. */
  readonly modifiedAt: number;
  /** The state right after this commit; only of a "put". */
  readonly record?: SessionRecord<T>;
}

/** Counts and sizes; `directory` is present for directory stores, `transcripts` if they were asked for. */
export type StoreStats = EngineStats;

/**
 * Computes the next entry from the current one, which is undefined where there is no session; giving undefined back means "leave it
 * as it is".
 */
export type UpdateFunction<T extends object> = (
  entry: Readonly<T> | undefined,
) => T | Readonly<T> | undefined | Promise<T | Readonly<T> | undefined>;

/** Makes a transaction happen once, also when its caller crashed before the answer came and tries again. */
export interface OperationOptions extends WaitOptions {
  readonly operation: {
    /** 1 to 200 bytes of UTF-8 (else `id_too_long`), the caller's name for it. The latest 8,192 of a store are remembered. */
    readonly id: string;
    /** What the operation is, any JSON value; the same id with another content is `operation_mismatch`. Default: nothing. */
    readonly content?: unknown;
  };
}

/** `revision` is the commit of the operation; of one that wrote nothing there is none, and it is not remembered. */
export type OperationResult<R> =
  | { readonly repeated: false; readonly result: R; readonly revision?: number }
  | { readonly repeated: true; readonly revision: number };

/**
 * A view of the store inside {@link SessionStore.transact}. It sees its own writes, as they were given; a key that was read
 * once reads the same until the end. After the function returned every method rejects with a `TypeError`.
 *
 * Transcripts too read the same until the end, own writes apart. Every change of one reads its end, so that its answer is exact: it
 * makes the transaction depend on nobody else having changed that transcript. One that was only read below its end may be appended
 * to, or trimmed, by others meanwhile; and names that others add meanwhile to what `transcripts` gave do not disturb. Numbers
 * of items that a transaction appends and truncates again are used again, ids of items that it trims count until its end,
 * and a transcript that it makes and empties again does not come to be.
 */
export interface Transaction<T extends object> extends TransactionTranscripts {
  get(key: string): Promise<Readonly<T> | undefined>;
  /** Like `get`; a session written in this transaction has the revision from before it, 0 if there was none. */
  read(key: string): Promise<SessionRecord<T> | undefined>;
  /** Replaces or creates. A key that was never read is written whatever its revision. */
  put(key: string, entry: T | Readonly<T>): Promise<void>;
  /** Sets top-level fields; undefined removes one. Rejects with `not_found` when there is no such session. */
  patch(key: string, fields: Partial<{ [Field in keyof T]: T[Field] | undefined }>): Promise<void>;
  /**
   * True if the session existed, damaged (`entry_corrupt`) or not, or had a transcript. Its transcripts can be begun again in the same
   * transaction only if a record is put again too, or there was none.
   */
  delete(key: string): Promise<boolean>;
}

/**
 * Sessions under string keys, shared by any number of processes.
 *
 * Keys are opaque, 1 to `keyBytesMax` (1024) bytes of UTF-8; an empty key, one with half a surrogate pair or
 * anything but a string is a `TypeError`. Entries are JSON objects, and come back as they were put: the
 * order of fields is kept, what has a `toJSON` is stored as that (a Date is its text), a field that is undefined is left out. What
 * JSON would make something else of (NaN, a Map, a function, a hole, …) is a `TypeError` with the key and the field's path.
 *
 * Every method may fail with `closed`, `io_error`, `key_too_long`; every write also with `read_only`, `disk_full`,
 * `durability_unknown`, `commit_unknown` and the codes of the limits. Writes of one session in one process take
 * turns in the order of the calls. So a function given to `update` must not await a write of the same
 * session through the store: it would wait for itself. Pass a `signal` where that cannot be ruled out.
 */
export interface SessionStore<T extends object> extends Transcripts, AsyncDisposable {
  /**
   * The entry, or undefined if there is no such session. Never older than the call, unless `staleOkMs` allows it.
   * @example
   * const entry = await store.get("agent:main:main");
   */
  get(key: string, options?: ReadOptions): Promise<Readonly<T> | undefined>;
  /** The entry with its key, revision and time of change, or undefined. */
  read(key: string, options?: ReadOptions): Promise<SessionRecord<T> | undefined>;
  /**
   * Replaces or creates a session; always makes a new revision, even of an equal entry. Without `ifRevision` it also
   * replaces one that is damaged or missing (`entry_corrupt`).
   * @throws `conflict` when `ifRevision` does not hold, with `data.key`, `data.expected` and `data.actual`.
   * @example
   * const entry = { sessionId: "s-1", turns: 0, updatedAt: Date.now() };
   * await store.put("agent:main:main", entry, { ifRevision: 0 }); // only if it is new
   */
  put(key: string, entry: T | Readonly<T>, options?: WriteOptions): Promise<SessionRecord<T>>;
  /**
   * Sets top-level fields of an existing session; a field that is undefined is removed, others stay as they are.
   * Fields that already have these values cause no write.
   * @throws `not_found` when there is no such session; `conflict` when `ifRevision` does not hold.
   * @example
   * await store.patch("agent:main:main", { turns: 0, model: undefined });
   */
  patch(
    key: string,
    fields: Partial<{ [Field in keyof T]: T[Field] | undefined }>,
    options?: WriteOptions,
  ): Promise<SessionRecord<T>>;
  /**
   * Read, compute, write, with no other writer in between. When another process was faster, `fn` is **called again** on
   * the fresh entry, so it should have no effects of its own. Returning undefined, the same object or an equal entry
   * writes nothing; returning an entry for a missing session creates it.
   * @returns The record after the update; undefined if there is no session.
   * @throws `conflict` after 100 attempts; whatever `fn` throws, with nothing written.
   * @example
   * await store.update("agent:main:main", (entry) => entry && { ...entry, turns: entry.turns + 1 }); // if there is one
   */
  update(key: string, fn: UpdateFunction<T>, options?: WaitOptions): Promise<SessionRecord<T> | undefined>;
  /**
   * Removes the session with its transcripts, also where there is no record but transcripts. Without `ifRevision` it also deletes a
   * session that is damaged or missing (`entry_corrupt`).
   * @returns True if this call deleted the session, false if there was none.
   * @throws `conflict` when `ifRevision` does not hold, also when there is no session.
   */
  delete(key: string, options?: WriteOptions): Promise<boolean>;
  /**
   * A transaction that happens once: where the operation was committed before, by any process, `fn` is not called (or, if another process was faster
   * while it ran, its result is thrown away), nothing is written, and the answer names that commit. Else as without `operation`.
   * @throws `operation_mismatch` if the id was committed with another content.
   * @example
   * const operation = { id: "turn-17", content: { text: "hi" } };
   * await store.transact((tx) => tx.append("agent:main:main", [operation.content]), { operation });
   */
  transact<R>(
    fn: (tx: Transaction<T>) => R | Promise<R>,
    options: OperationOptions,
  ): Promise<OperationResult<R>>;
  /**
   * Several sessions, all or nothing, serializable: what `fn` read is still so when its writes count. `fn` is
   * **called again** on fresh state when another writer was faster. A throw aborts with nothing written.
   *
   * While `fn` runs, two reads may come from different moments; no result computed from such a mixture is ever
   * returned or thrown: the reads are compared once more at the end, even when nothing is written.
   *
   * From the second attempt on the transaction holds the turns of its keys, so `fn` must not await a write of one
   * of them through the store, nor `store.close()`: it would wait for itself. Write through `tx`.
   * @throws `conflict` after 100 attempts.
   * @example
   * await store.transact(async (tx) => {
   *   const from = await tx.get("a");
   *   const to = await tx.get("b");
   *   if (!from || !to) throw new Error("both must exist");
   *   await tx.patch("a", { turns: from.turns - 5 });
   *   await tx.patch("b", { turns: to.turns + 5 });
   * });
   */
  transact<R>(fn: (tx: Transaction<T>) => R | Promise<R>, options?: WaitOptions): Promise<R>;
  /**
   * All matching sessions as of one instant. Big values inside entries are not loaded until touched.
   * @throws `TypeError` for an unknown or malformed option, or a cursor of another query.
   * @example
   * const { sessions, cursor } = await store.list({ orderBy: "updatedAt", descending: true, limit: 20 });
   */
  list(query?: ListQuery): Promise<SessionList<T>>;
  /**
   * How many sessions match; order, limit and cursor are ignored. Files are not read for it, so a damaged or missing session
   * counts, as far as the store remembers it.
   */
  count(query?: ListQuery): Promise<number>;
  /**
   * Every change in commit order, without gaps, one iteration a call. "From now on" means from this call, not from the first
   * `next()`. Ends without an error when the signal aborts, the loop is left or the store is closed.
   * @throws `revision_too_old` from the iteration, when the store no longer has the changes since `since`, or a consumer is
   * so slow that they are gone meanwhile: list, then watch from `data.revision`. `revision_unknown`, from the first `next()`,
   * when the store never had that revision.
   * @example
   * for await (const { key, kind } of store.watch({ prefix: "agent:main:" })) console.log(kind, key);
   */
  watch(options?: WatchOptions): AsyncIterable<SessionChange<T>>;
  /** Revision of the latest commit; 0 for a store that never had one. */
  revision(): Promise<number>;
  /**
   * Counts and sizes. Transcripts are counted only if `transcripts` says so: in a directory store that costs a reading of every session's
   * folder, and of the end of every transcript; each is as of when the count came to it.
   * @example
   * const { transcripts } = await store.stats({ transcripts: true });
   */
  stats(options?: StatsOptions): Promise<StoreStats>;
  /**
   * Resolves when every commit so far is in its session's `meta.json`. Commits do not need it to be safe.
   * @throws `log_damaged` when a commit that is in doubt is in no file.
   */
  flush(): Promise<void>;
  /** Waits for running calls, ends every watch, lets go of files. May be called twice; other calls then fail with `closed`. */
  close(): Promise<void>;
}

/** A store in a directory of this machine: it can also answer at once. */
export interface DirectorySessionStore<T extends object> extends SessionStore<T> {
  /** Like `get`, without a promise. */
  getSync(key: string): Readonly<T> | undefined;
  /** Like `list`, without a promise. */
  listSync(query?: ListQuery): SessionList<T>;
  /** Like `revision`, without a promise: one system call when nothing happened. */
  revisionSync(): number;
  /**
   * A revision behind which only transcripts have changed: while it stays the same, a listing of the sessions does. At most
   * `revisionSync()`; where the log no longer tells, or is damaged, it may be above the last change of a record. Costs the same.
   * @example
   * const seen = store.recordsRevisionSync();
   * const { sessions } = store.listSync(); // is right as long as recordsRevisionSync() is what was seen
   */
  recordsRevisionSync(): number;
  /**
   * Seals the active log segment and moves everything in the log into entry files.
   * @throws `log_damaged` when a commit that is in doubt is in no file.
   */
  checkpoint(): Promise<void>;
}
