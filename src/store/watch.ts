/**
 * An iteration over the engine's changes that can be ended from four sides: the consumer leaves its loop, the caller's
 * signal aborts, the store closes, the engine fails. All four let go of the engine's iteration and of every listener.
 *
 * The engine is asked at once, so that "from now on" is the moment of the call. Nothing else happens before the
 * first `next()`: an iteration that nobody starts holds no listener.
 */
import { asStoreError } from "../errors.js";
import type { Engine, EngineChange } from "../engine/contract.js";
import {
  optionalInteger,
  optionalPrefix,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "./arguments.js";
import type { SessionChange, SessionRecord, WatchOptions } from "./types.js";

const NAMES: ReadonlySet<string> = new Set(["since", "prefix", "signal"]);

/** The running watches of one store, so that closing it can end them. */
export class Watches {
  readonly #ends = new Set<() => void>();
  #closed = false;

  get size(): number {
    return this.#ends.size;
  }

  /** Ends every watch; those not yet started will be at their end. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  /** @throws `TypeError` for a wrong option. */
  watch<T extends object>(
    engine: Engine,
    options: WatchOptions | undefined,
    toRecord: (record: NonNullable<EngineChange["record"]>) => SessionRecord<T>,
  ): AsyncIterable<SessionChange<T>> {
    const given = options ?? {};
    requireObject(given, "options");
    requireKnownNames(given, "watch", NAMES);
    const since = optionalInteger(given.since, "options.since", 0);
    const prefix = optionalPrefix(given.prefix, "options.prefix");
    const signal = optionalSignal(given.signal, "options.signal");
    const stop = new AbortController();
    const changes = engine.changes({ since, prefix, signal: stop.signal });
    const generator = this.#iterate(changes, stop, signal, toRecord);
    // A generator would keep `return()` waiting behind a `next()` that waits for a change that may never come.
    const iterator: AsyncIterator<SessionChange<T>, void, undefined> = {
      next: () => generator.next(),
      return: () => {
        stop.abort();
        return generator.return();
      },
    };
    return { [Symbol.asyncIterator]: () => iterator };
  }

  async *#iterate<T extends object>(
    changes: AsyncIterable<EngineChange>,
    stop: AbortController,
    signal: AbortSignal | undefined,
    toRecord: (record: NonNullable<EngineChange["record"]>) => SessionRecord<T>,
  ): AsyncGenerator<SessionChange<T>, void, undefined> {
    const end = (): void => stop.abort();
    if (this.#closed || signal?.aborted === true) {
      end();
      return;
    }
    this.#ends.add(end);
    signal?.addEventListener("abort", end, { once: true });
    try {
      for await (const change of changes) {
        // An engine may have had one in hand when the end came.
        if (stop.signal.aborted) return;
        yield toSessionChange(change, toRecord);
        if (stop.signal.aborted) return;
      }
    } catch (error) {
      if (!stop.signal.aborted) throw asStoreError(error, "watch the store");
    } finally {
      this.#ends.delete(end);
      signal?.removeEventListener("abort", end);
      end();
    }
  }
}

function toSessionChange<T extends object>(
  { key, revision, kind, record }: EngineChange,
  toRecord: (record: NonNullable<EngineChange["record"]>) => SessionRecord<T>,
): SessionChange<T> {
  return record === undefined ? { key, revision, kind } : { key, revision, kind, record: toRecord(record) };
}
