/**
 * The session store over any engine: what `get`, `update`, `transact`, `list` and `watch` mean.
 *
 * The engine decides commits by compare-and-swap; this layer checks arguments, takes turns, computes, tries again
 * when another writer was faster, and waits until the commit is durable. Invariants:
 *  - No `await` between the read and the commit of a write, unless the engine or the caller's function returned a
 *    promise: on an engine that answers at once, no other call can get in between and an update of an idle key
 *    runs in one piece.
 *  - The turn of a key ends when its commit is decided, not when it is durable: writes of one key share an fdatasync.
 *  - Engine records never leave: callers get a record of their own around the shared, frozen entry.
 */
import { asStoreError, isInDoubt, isSessionDamaged } from "../errors.js";
import type {
  CommitOutcome,
  Engine,
  EngineOp,
  EngineRecord,
  MaybePromise,
  SynchronousEngine,
} from "../engine/contract.js";
import { optionalBoolean, requireFunction, requireKnownNames, requireObject } from "./arguments.js";
import { guarded, isPromiseLike, untilDurable } from "./engine-calls.js";
import { toOperation } from "./operation.js";
import { normalizeQuery } from "./query.js";
import { toList, toRecord } from "./records.js";
import { beforeRetry, lacksValue, throwIfAborted } from "./retry.js";
import type { SessionStoreOptions } from "./store-base.js";
import { notFound, runTransaction } from "./transaction.js";
import { TranscriptStore } from "./transcript-store.js";
import type {
  DirectorySessionStore,
  ListQuery,
  OperationOptions,
  OperationResult,
  ReadOptions,
  SessionChange,
  SessionList,
  SessionRecord,
  SessionStore,
  StatsOptions,
  StoreStats,
  Transaction,
  UpdateFunction,
  WaitOptions,
  WatchOptions,
  WriteOptions,
} from "./types.js";
import {
  DELETE,
  DELETE_DAMAGED,
  PATCH,
  PUT,
  readWriteOptions,
  requireRevision,
  TRANSACT,
  UPDATE,
  type Method,
} from "./write-method.js";

/** A store over an engine, which from now on belongs to the store and is closed with it. */
export function createSessionStore<T extends object>(
  engine: Engine,
  options: SessionStoreOptions = {},
): SessionStore<T> {
  return new EngineSessionStore<T>(engine, options);
}

/** The same over an engine that can also answer at once. */
export function createDirectorySessionStore<T extends object>(
  engine: SynchronousEngine,
  options: SessionStoreOptions = {},
): DirectorySessionStore<T> {
  return new SynchronousSessionStore<T>(engine, options);
}

/** The op that takes a session from `base` to where the caller wants it; undefined: leave it as it is. */
type Compose = (base: EngineRecord | undefined, key: string) => MaybePromise<EngineOp | undefined>;

type Body<T extends object, R> = (tx: Transaction<T>) => R | Promise<R>;

type Decided = Exclude<CommitOutcome, { status: "conflict" | "repeated" }>;

class EngineSessionStore<T extends object> extends TranscriptStore implements SessionStore<T> {
  readonly #engine: Engine;

  constructor(engine: Engine, options: SessionStoreOptions) {
    super(engine, options);
    this.#engine = engine;
  }

  async get(key: string, options?: ReadOptions): Promise<Readonly<T> | undefined> {
    this.requireOpen("read", key);
    const found = this.calls.read(this.acceptKey(key), this.readOptions(options));
    const record = isPromiseLike(found) ? await this.run(found) : found;
    return record?.entry as Readonly<T> | undefined;
  }

  async read(key: string, options?: ReadOptions): Promise<SessionRecord<T> | undefined> {
    this.requireOpen("read", key);
    const found = this.calls.read(this.acceptKey(key), this.readOptions(options));
    return toRecord<T>(isPromiseLike(found) ? await this.run(found) : found);
  }

  put(key: string, entry: T | Readonly<T>, options?: WriteOptions): Promise<SessionRecord<T>> {
    return this.#change(
      PUT,
      key,
      options,
      (base, key) => {
        requireObject(entry, "entry");
        // `base` was read, and compared, only if there is a revision to hold on to.
        return options?.ifRevision === undefined
          ? { kind: "set", key, entry }
          : { kind: "set", key, base: base?.revision ?? 0, entry };
      },
      (record) => toRecord<T>(record)!,
    );
  }

  patch(
    key: string,
    fields: Partial<{ [Field in keyof T]: T[Field] | undefined }>,
    options?: WriteOptions,
  ): Promise<SessionRecord<T>> {
    return this.#change(
      PATCH,
      key,
      options,
      (base, key) => {
        requireObject(fields, "fields");
        if (base === undefined) throw notFound(key);
        return { kind: "patch", key, base: base.revision, fields };
      },
      (record) => toRecord<T>(record)!,
    );
  }

  update(key: string, fn: UpdateFunction<T>, options?: WaitOptions): Promise<SessionRecord<T> | undefined> {
    return this.#change(
      UPDATE,
      key,
      options,
      (base, key) => {
        requireFunction(fn, "fn");
        const next = fn(base?.entry as Readonly<T> | undefined);
        return isPromiseLike(next)
          ? (next as Promise<T>).then((next) => setAfter(base, key, next))
          : setAfter(base, key, next);
      },
      toRecord<T>,
    );
  }

  async delete(key: string, options?: WriteOptions): Promise<boolean> {
    const wrote = (_record: unknown, wrote: boolean): boolean => wrote;
    const op = (base: EngineRecord | undefined, key: string): MaybePromise<EngineOp | undefined> => {
      if (base !== undefined) return { kind: "delete", key, base: base.revision };
      // There is something to delete all the same if there are transcripts.
      const opOf = (names: readonly string[]): EngineOp | undefined =>
        names.length > 0 ? { kind: "delete", key, base: 0 } : undefined;
      const names = this.calls.transcripts(key);
      return isPromiseLike(names) ? Promise.resolve(names).then(opOf) : opOf(names);
    };
    try {
      return await this.#change(DELETE, key, options, op, wrote);
    } catch (error) {
      if (!(isSessionDamaged(error) || isInDoubt(error)) || options?.ifRevision !== undefined) throw error;
      return this.#change(DELETE_DAMAGED, key, options, (_base, key) => ({ kind: "delete", key }), wrote);
    }
  }

  transact<R>(fn: Body<T, R>, options: OperationOptions): Promise<OperationResult<R>>;
  transact<R>(fn: Body<T, R>, options?: WaitOptions): Promise<R>;
  async transact<R>(
    fn: Body<T, R>,
    options?: WaitOptions & Partial<OperationOptions>,
  ): Promise<R | OperationResult<R>> {
    this.requireOpen("run a transaction");
    requireFunction(fn, "fn");
    const { signal } = readWriteOptions(TRANSACT, options);
    const operation =
      options?.operation === undefined ? undefined : toOperation(options.operation, this.limits);
    const host = {
      calls: this.calls,
      queue: this.queue,
      runtime: this.runtime,
      limits: this.limits,
      acceptKey: (key: string) => this.acceptKey(key),
      requireWritable: (key: string) => this.requireWritable(TRANSACT.name, key),
    };
    this.begin();
    try {
      const ended = await runTransaction<T, R>(host, fn, { signal, operation });
      if (ended.durable !== undefined) await untilDurable(ended.durable, ended.keys.join(", "));
      const { revision } = ended;
      if (ended.repeated) return { repeated: true, revision: ended.revision };
      if (operation === undefined) return ended.result;
      return { repeated: false, result: ended.result, ...(revision !== undefined && { revision }) };
    } finally {
      this.finish();
    }
  }

  async list(query?: ListQuery): Promise<SessionList<T>> {
    this.requireOpen("list sessions");
    const normalized = normalizeQuery(query);
    return toList<T>(await this.run(this.calls.scan(normalized)), normalized);
  }

  async count(query?: ListQuery): Promise<number> {
    this.requireOpen("count sessions");
    return this.run(this.calls.count(normalizeQuery(query)));
  }

  watch(options?: WatchOptions): AsyncIterable<SessionChange<T>> {
    this.requireOpen("watch the store");
    return this.watches.watch<T>(this.#engine, options, (record) => toRecord<T>(record)!);
  }

  async revision(): Promise<number> {
    this.requireOpen("read the store's revision");
    return this.run(this.calls.revision());
  }

  async stats(options?: StatsOptions): Promise<StoreStats> {
    this.requireOpen("collect the store's statistics");
    return this.run(this.calls.stats(statsOptions(options)));
  }

  async flush(): Promise<void> {
    this.requireOpen("flush the store");
    await this.run(this.calls.flush());
  }

  /** The one path of every write of one key. `finish` makes the answer from the state after it. */
  async #change<R>(
    method: Method,
    given: string,
    options: WriteOptions | undefined,
    compose: Compose,
    finish: (record: EngineRecord | undefined, wrote: boolean) => R,
  ): Promise<R> {
    this.requireOpen(method.name, given);
    const key = this.acceptKey(given);
    this.requireWritable(method.name, key);
    const { ifRevision, signal } = readWriteOptions(method, options);
    const reads = method.readsBase || ifRevision !== undefined;
    let decided: Decided | undefined;
    this.begin();
    try {
      throwIfAborted(signal);
      if (!this.queue.tryEnter(key)) await this.queue.enter(key, signal);
      try {
        for (let attempt = 1; decided === undefined; attempt++) {
          // The first attempt builds on what this process has, if the engine would have to ask for more: a base that
          // was overtaken costs an attempt, and nothing is answered from it that was not compared.
          const recalled = attempt === 1 && reads ? this.calls.recall(key) : undefined;
          const guess = ifRevision === undefined || recalled?.revision === ifRevision ? recalled : undefined;
          const reading = reads && guess === undefined ? this.calls.read(key) : undefined;
          const base = guess ?? (isPromiseLike(reading) ? await reading : reading);
          if (reads && this.calls.isInDoubt(key)) {
            await this.calls.refuseInDoubt(key, base); // also of a session that only seems not to be there
            continue;
          }
          requireRevision(method, key, ifRevision, base);
          let op: EngineOp | undefined;
          try {
            const composing = compose(base, key);
            op = isPromiseLike(composing) ? await composing : composing;
          } catch (error) {
            if (!(lacksValue(error) || guess !== undefined) || !(await this.#isOutdated(key, base)))
              throw error;
            const pause = beforeRetry(this.runtime, method.name, key, attempt, signal);
            if (pause !== undefined) await pause;
            continue;
          }
          throwIfAborted(signal);
          if (op === undefined) {
            if (guess !== undefined && (await this.#isOutdated(key, guess))) continue;
            return finish(base, false);
          }
          const committing = this.calls.commit([op], method.commit);
          const outcome = isPromiseLike(committing) ? await committing : committing;
          if (outcome.status !== "conflict" && outcome.status !== "repeated") {
            decided = outcome;
          } else {
            const pause = beforeRetry(this.runtime, method.name, key, attempt, signal);
            if (pause !== undefined) await pause;
          }
        }
      } finally {
        this.queue.leave(key);
      }
      const result = finish(decided.records[0], decided.status === "committed");
      if (decided.status === "committed" && decided.durable !== undefined) {
        await untilDurable(decided.durable, key);
      }
      return result;
    } finally {
      this.finish();
    }
  }

  async #isOutdated(key: string, base: EngineRecord | undefined): Promise<boolean> {
    return (await this.calls.read(key))?.revision !== base?.revision;
  }
}

class SynchronousSessionStore<T extends object>
  extends EngineSessionStore<T>
  implements DirectorySessionStore<T>
{
  readonly #engine: SynchronousEngine;

  constructor(engine: SynchronousEngine, options: SessionStoreOptions) {
    super(engine, options);
    this.#engine = engine;
  }

  getSync(key: string): Readonly<T> | undefined {
    this.requireOpen("read", key);
    const accepted = this.acceptKey(key);
    try {
      return this.#engine.readNow(accepted)?.entry as Readonly<T> | undefined;
    } catch (error) {
      throw asStoreError(error, `read session ${JSON.stringify(accepted)}`);
    }
  }

  listSync(query?: ListQuery): SessionList<T> {
    this.requireOpen("list sessions");
    const normalized = normalizeQuery(query);
    try {
      return toList<T>(this.#engine.scanNow(normalized), normalized);
    } catch (error) {
      throw asStoreError(error, "list sessions");
    }
  }

  revisionSync(): number {
    this.requireOpen("read the store's revision");
    try {
      return this.#engine.revision();
    } catch (error) {
      throw asStoreError(error, "read the store's revision");
    }
  }

  recordsRevisionSync(): number {
    this.requireOpen("read the store's revision");
    try {
      return this.#engine.recordsRevision();
    } catch (error) {
      throw asStoreError(error, "read the store's revision");
    }
  }

  async checkpoint(): Promise<void> {
    this.requireOpen("checkpoint the store");
    await this.run(guarded("checkpoint the store", () => this.#engine.checkpoint()));
  }
}

const STATS_OPTIONS: ReadonlySet<string> = new Set(["transcripts"]);

function statsOptions(options: StatsOptions | undefined): StatsOptions {
  if (options === undefined) return {};
  requireObject(options, "options");
  requireKnownNames(options, "stats", STATS_OPTIONS);
  return { transcripts: optionalBoolean(options.transcripts, "options.transcripts") };
}

/** What `update` commits: nothing where the function left the entry as it was. */
function setAfter(base: EngineRecord | undefined, key: string, next: unknown): EngineOp | undefined {
  if (next === undefined || next === base?.entry) return undefined;
  const entry = requireObject(next, "the entry that fn returned");
  return { kind: "set", key, base: base?.revision ?? 0, entry };
}
