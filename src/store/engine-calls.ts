/**
 * The engine, with failed system calls turned into typed errors on the way out.
 *
 * Only the engine's own failures are translated: what a caller's function throws passes through the store
 * untouched, even when it looks like a system error. Values stay values: nothing here makes a promise of
 * an answer that was there at once.
 */
import { asStoreError, SessionStoreError } from "../errors.js";
import type {
  CommitOptions,
  CommitOutcome,
  Engine,
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
  ReadOptions,
  StatsOptions,
} from "../engine/contract.js";

export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}

/** Runs an engine call; its failure, now or later, comes out as a SessionStoreError. */
export function guarded<R>(doing: string, call: () => MaybePromise<R>): MaybePromise<R> {
  try {
    const result = call();
    return result instanceof Promise ? result.catch((error: unknown) => refuse(error, doing)) : result;
  } catch (error) {
    throw asStoreError(error, doing);
  }
}

function refuse(error: unknown, doing: string): never {
  throw asStoreError(error, doing);
}

export class EngineCalls {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  // read and commit spell `guarded` out: they are the hot path, and a closure a call is a cost.
  read(key: string, options?: ReadOptions): MaybePromise<EngineRecord | undefined> {
    try {
      const found = this.#engine.read(key, options);
      return found instanceof Promise ? found.catch((error: unknown) => refuse(error, reading(key))) : found;
    } catch (error) {
      throw asStoreError(error, reading(key));
    }
  }

  /** What may be the latest, without asking anybody. */
  recall(key: string): EngineRecord | undefined {
    return this.#engine.recall?.(key);
  }

  /** Whether {@link refuseInDoubt} is to be called before anything is decided on what was read of a session. */
  isInDoubt(key: string): boolean {
    return this.#engine.isInDoubt?.(key) ?? false;
  }

  /**
   * Has the engine refuse what would be decided on a state in doubt, as it refuses a commit that builds on it. Resolves if it is
   * in doubt no longer: then it is to be read again.
   */
  async refuseInDoubt(key: string, base: EngineRecord | undefined): Promise<void> {
    await this.commit([{ kind: "check", key, base: base?.revision ?? 0 }], { skipUnchanged: true });
  }

  commit(ops: readonly EngineOp[], options?: CommitOptions): MaybePromise<CommitOutcome> {
    try {
      const outcome = this.#engine.commit(ops, options);
      return outcome instanceof Promise
        ? outcome.catch((error: unknown) => {
            throw ofCommit(error, ops);
          })
        : outcome;
    } catch (error) {
      throw ofCommit(error, ops);
    }
  }

  scan(query: EngineQuery): MaybePromise<EngineScan> {
    return guarded("list sessions", () => this.#engine.scan(query));
  }

  count(query: EngineQuery): MaybePromise<number> {
    return guarded("count sessions", () => this.#engine.count(query));
  }

  transcript(key: string, name: string): MaybePromise<EngineTranscript | undefined> {
    return guarded(readingItems(key, name), () => this.#engine.transcript(key, name));
  }

  transcripts(key: string): MaybePromise<readonly string[]> {
    return guarded(`list transcripts of session ${JSON.stringify(key)}`, () => this.#engine.transcripts(key));
  }

  transcriptKeys(): MaybePromise<readonly string[]> {
    return guarded("look for transcripts", () => this.#engine.transcriptKeys?.() ?? []);
  }

  items(key: string, name: string, query: EngineItemQuery): MaybePromise<EnginePage> {
    return guarded(readingItems(key, name), () => this.#engine.items(key, name, query));
  }

  itemIds(key: string, name: string, ids: readonly string[]): MaybePromise<ReadonlyMap<string, number>> {
    return guarded(readingItems(key, name), () => this.#engine.itemIds(key, name, ids));
  }

  operation(operation: Operation): MaybePromise<number | undefined> {
    return guarded("look an operation up", () => this.#engine.operation(operation));
  }

  revision(): MaybePromise<number> {
    return guarded("read the store's revision", () => this.#engine.revision());
  }

  stats(options: StatsOptions): MaybePromise<EngineStats> {
    return guarded("collect the store's statistics", () => this.#engine.stats(options));
  }

  flush(): MaybePromise<void> {
    return guarded("flush the store", () => this.#engine.flush());
  }

  close(): MaybePromise<void> {
    return guarded("close the store", () => this.#engine.close());
  }
}

/**
 * Waits until a commit is durable. The commit counts already, so whatever goes wrong here is reported as exactly
 * that, never as "nothing was changed".
 */
export async function untilDurable(durable: Promise<void>, key: string): Promise<void> {
  try {
    await durable;
  } catch (error) {
    if (error instanceof SessionStoreError) throw error;
    throw new SessionStoreError(
      "durability_unknown",
      `the commit of session ${JSON.stringify(key)} is visible, but making it durable failed: a power cut may undo it. ` +
        "Reopen the store and read the session.",
      { data: { key }, cause: error },
    );
  }
}

/** A full disk is met by many commits at once, and the engine tells all of them the same. */
function ofCommit(error: unknown, ops: readonly EngineOp[]): unknown {
  if (!(error instanceof SessionStoreError) || error.code !== "disk_full") {
    return asStoreError(error, committing(ops));
  }
  const { code, message, data, cause } = error;
  return new SessionStoreError(code, `could not ${committing(ops)}: ${message}`, { data, cause });
}

function reading(key: string): string {
  return `read session ${JSON.stringify(key)}`;
}

function readingItems(key: string, name: string): string {
  return `read transcript ${JSON.stringify(name)} of session ${JSON.stringify(key)}`;
}

function committing(ops: readonly EngineOp[]): string {
  const key = ops[0] === undefined ? "" : ` ${JSON.stringify(ops[0].key)}`;
  return ops.length > 1 ? `commit ${ops.length} sessions from${key} on` : `commit session${key}`;
}
