/**
 * A memory engine whose every answer can be bent: conflicts on demand, promises instead of values, durability that
 * is settled by hand, failures. What the store layer does about it is what its tests look at.
 */
import type {
  CommitOptions,
  CommitOutcome,
  Engine,
  EngineChange,
  EngineItemQuery,
  EngineOp,
  EnginePage,
  EngineQuery,
  EngineRecord,
  EngineScan,
  EngineStats,
  EngineTranscript,
  MaybePromise,
  Operation,
  StatsOptions,
} from "../../src/engine/contract.js";
import { createMemoryEngine } from "../../src/engine/memory/memory-engine.js";

export class FakeEngine implements Engine {
  readonly inner = createMemoryEngine();
  /** Every answer comes as a promise. */
  async = false;
  /** So many commits still meet a conflict, with nothing really changed. */
  conflicts = 0;
  /** Runs before each commit is decided: the place where "another process" writes. */
  beforeCommit: ((ops: readonly EngineOp[]) => void) | undefined;
  /** Runs before each read is answered. */
  beforeRead: ((key: string) => void) | undefined;
  /** Given to committed outcomes as `durable`. */
  durable: (() => Promise<void>) | undefined;
  readonly commits: (readonly EngineOp[])[] = [];
  readonly commitOptions: unknown[] = [];
  reads = 0;
  /** Questions about one transcript or its items. */
  transcriptReads = 0;
  /** Pages are no longer than this, as where items are big. */
  pageItems = Infinity;
  closes = 0;
  flushes = 0;

  /** What another process does: straight to the data. */
  write(key: string, entry: object): void {
    this.inner.commit([{ kind: "set", key, entry }]);
  }

  read(key: string): MaybePromise<EngineRecord | undefined> {
    this.reads += 1;
    this.beforeRead?.(key);
    return this.#answer(this.inner.read(key));
  }

  scan(query: EngineQuery): MaybePromise<EngineScan> {
    return this.#answer(this.inner.scan(query));
  }

  count(query: EngineQuery): MaybePromise<number> {
    return this.#answer(this.inner.count(query));
  }

  operation(operation: Operation): MaybePromise<number | undefined> {
    return this.#answer(this.inner.operation(operation));
  }

  transcript(key: string, name: string): MaybePromise<EngineTranscript | undefined> {
    this.transcriptReads += 1;
    return this.#answer(this.inner.transcript(key, name));
  }

  transcripts(key: string): MaybePromise<readonly string[]> {
    return this.#answer(this.inner.transcripts(key));
  }

  itemIds(key: string, name: string, ids: readonly string[]): MaybePromise<ReadonlyMap<string, number>> {
    return this.#answer(this.inner.itemIds(key, name, ids));
  }

  items(key: string, name: string, query: EngineItemQuery): MaybePromise<EnginePage> {
    this.transcriptReads += 1;
    return this.#answer(
      this.inner.items(key, name, { ...query, limit: Math.min(query.limit, this.pageItems) }),
    );
  }

  commit(ops: readonly EngineOp[], options?: CommitOptions): MaybePromise<CommitOutcome> {
    this.commits.push(ops);
    this.commitOptions.push(options);
    this.beforeCommit?.(ops);
    if (this.conflicts > 0) {
      this.conflicts -= 1;
      return this.#answer<CommitOutcome>({ status: "conflict", key: ops[0]!.key });
    }
    const outcome = this.inner.commit(ops, options);
    if (outcome.status !== "committed") return this.#answer(outcome);
    return this.#answer<CommitOutcome>({ ...outcome, durable: this.durable?.() });
  }

  revision(): MaybePromise<number> {
    return this.#answer(this.inner.revision());
  }

  changes(options: Parameters<Engine["changes"]>[0]): AsyncIterable<EngineChange> {
    return this.inner.changes(options);
  }

  stats(options?: StatsOptions): Promise<EngineStats> {
    return this.inner.stats(options);
  }

  async flush(): Promise<void> {
    this.flushes += 1;
  }

  async close(): Promise<void> {
    this.closes += 1;
    await this.inner.close();
  }

  #answer<T>(value: T): MaybePromise<T> {
    return this.async ? Promise.resolve(value) : value;
  }
}

/** Lets every promise that can settle do so. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// A type, because an interface is no Record<string, unknown>.
export type Counter = { count: number };

export const increment = (entry: Readonly<Counter> | undefined): Counter => ({
  count: (entry?.count ?? 0) + 1,
});
