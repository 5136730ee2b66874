/**
 * An iteration over the engine's changes that can be ended from four sides: the consumer leaves its loop, the caller's
 * signal aborts, the store closes, the engine fails. All four let go of the engine's iteration and of every listener.
 *
 * The engine is asked at once, so that "from now on" is the moment of the call. The listeners are there from then on
 * too: an iteration that is never started is let go of by its signal or by closing the store.
 */
import { asStoreError } from "../errors.js";
import type { Engine, EngineChange, EngineItem } from "../engine/contract.js";
import {
  optionalBoolean,
  optionalInteger,
  optionalPrefix,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "./arguments.js";
import type { Item, TranscriptChange } from "./transcript-types.js";
import type { SessionChange, SessionRecord, WatchOptions } from "./types.js";

const NAMES: ReadonlySet<string> = new Set(["since", "prefix", "items", "signal"]);
/** Items that are read in one go for a change that appended many. */
const ITEMS_AT_ONCE = 1000;

/** The running watches of one store, so that closing it can end them. */
export class Watches {
  readonly #ends = new Set<() => void>();

  get size(): number {
    return this.#ends.size;
  }

  /** Ends every watch, those too that were not started yet. */
  close(): void {
    for (const end of this.#ends) end();
  }

  /** @throws `TypeError` for a wrong option. */
  watch<T extends object>(
    engine: Engine,
    options: WatchOptions | undefined,
    toRecord: (record: NonNullable<EngineChange["record"]>) => SessionRecord<T>,
  ): AsyncIterable<SessionChange<T>> {
    const given = options === undefined ? {} : options;
    requireObject(given, "options");
    requireKnownNames(given, "watch", NAMES);
    const since = optionalInteger(given.since, "options.since", 0);
    const prefix = optionalPrefix(given.prefix, "options.prefix");
    const signal = optionalSignal(given.signal, "options.signal");
    const source = optionalBoolean(given.items, "options.items") === true ? engine : undefined;
    const stop = new AbortController();
    const end = (): void => {
      this.#ends.delete(end);
      signal?.removeEventListener("abort", end);
      stop.abort();
    };
    if (signal?.aborted === true) return iterable(noChanges<T>(), end);
    const changes = changesOf(engine, { since, prefix, signal: stop.signal });
    this.#ends.add(end);
    signal?.addEventListener("abort", end, { once: true });
    return iterable(
      iterate(changes, stop.signal, end, (change) => toSessionChange(change, toRecord, source)),
      end,
    );
  }
}

function changesOf(engine: Engine, options: Parameters<Engine["changes"]>[0]): AsyncIterable<EngineChange> {
  try {
    return engine.changes(options);
  } catch (error) {
    throw asStoreError(error, "watch the store");
  }
}

type Changes<T extends object> = AsyncGenerator<SessionChange<T>, void, undefined>;

async function* noChanges<T extends object>(): Changes<T> {
  // Aborted before it began.
}

async function* iterate<T extends object>(
  changes: AsyncIterable<EngineChange>,
  stopped: AbortSignal,
  end: () => void,
  toChange: (change: EngineChange) => Promise<SessionChange<T>>,
): Changes<T> {
  try {
    if (stopped.aborted) return;
    for await (const change of changes) {
      // An engine may have had one in hand when the end came.
      if (stopped.aborted) return;
      yield await toChange(change);
      if (stopped.aborted) return;
    }
  } catch (error) {
    if (!stopped.aborted) throw asStoreError(error, "watch the store");
  } finally {
    end();
  }
}

/** A bare generator would keep `return()` waiting behind a `next()` that waits for a change that may never come. */
function iterable<T extends object>(generator: Changes<T>, end: () => void): AsyncIterable<SessionChange<T>> {
  const iterator: AsyncIterator<SessionChange<T>, void, undefined> = {
    next: () => generator.next(),
    return: () => {
      end();
      return generator.return();
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** @param source Where appended items are read; undefined: they were not asked for. */
async function toSessionChange<T extends object>(
  { key, revision, kind, modifiedAt, last, record, transcript }: EngineChange,
  toRecord: (record: NonNullable<EngineChange["record"]>) => SessionRecord<T>,
  source: Engine | undefined,
): Promise<SessionChange<T>> {
  const change = { key, revision, kind, modifiedAt, last };
  if (transcript !== undefined) {
    const items = source && (await appendedItems(source, key, revision, transcript));
    return { ...change, transcript: items === undefined ? transcript : { ...transcript, items } };
  }
  return record === undefined ? change : { ...change, record: toRecord(record) };
}

/** The items that a commit appended; undefined if it appended none. */
async function appendedItems(
  engine: Engine,
  key: string,
  revision: number,
  { name, first, last }: TranscriptChange,
): Promise<Item<unknown>[] | undefined> {
  if (first === undefined || last === undefined) return undefined;
  const found: EngineItem[] = [];
  let from = first;
  for (let more = true; more;) {
    const page = await engine.items(key, name, { from, to: last, limit: ITEMS_AT_ONCE, backwards: false });
    // A transcript that was removed and begun again has other items under these numbers.
    found.push(...page.items.filter((item) => item.revision === revision));
    from = (page.items.at(-1)?.seq ?? last) + 1;
    ({ more } = page);
  }
  return found;
}
