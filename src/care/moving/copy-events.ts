/**
 * Sessions of a store as an import takes them, straight from the store: nothing is written down on the way. Each session is as of one
 * instant, as in an export (export.ts).
 *
 * The beginnings of the next sessions are asked for while one is given: over a network nobody waits for one answer after the other.
 */
import type { DamagedExport } from "./export.js";
import type { AnyStore } from "./options.js";
import type { ExportEvent } from "./read-export.js";
import {
  alwaysCut,
  CUTS_MAX,
  isDamaged,
  isStill,
  takeSnapshot,
  type SessionSnapshot,
} from "./session-snapshot.js";

/** Snapshots that are asked for at once; each has an entry. */
const AHEAD = 16;
const PAGE_ITEMS = 500;

export interface EventHooks {
  readonly signal: AbortSignal | undefined;
  /** The session has neither a record nor a transcript. */
  readonly onMissing: (key: string) => void;
  readonly onDamaged: (damaged: DamagedExport) => void;
  /** All of it was given. */
  readonly onGiven?: (snapshot: SessionSnapshot) => void;
}

type Taken = { readonly snapshot: SessionSnapshot | undefined } | { readonly error: unknown };

export async function* eventsOf(
  store: AnyStore,
  keys: AsyncIterable<string> | Iterable<string>,
  hooks: EventHooks,
): AsyncGenerator<ExportEvent, void> {
  let line = 0;
  const ahead: { readonly key: string; readonly taken: Promise<Taken> }[] = [];
  yield { kind: "header", time: undefined };
  for await (const key of keys) {
    ahead.push({ key, taken: take(store, key, hooks.signal) });
    const next = ahead.length > AHEAD ? ahead.shift() : undefined;
    if (next !== undefined) yield* session(store, next.key, await next.taken, ++line, hooks);
  }
  for (const { key, taken } of ahead) yield* session(store, key, await taken, ++line, hooks);
}

async function take(store: AnyStore, key: string, signal: AbortSignal | undefined): Promise<Taken> {
  try {
    return { snapshot: await takeSnapshot(store, key, signal) };
  } catch (error) {
    return { error };
  }
}

async function* session(
  store: AnyStore,
  key: string,
  first: Taken,
  line: number,
  hooks: EventHooks,
): AsyncGenerator<ExportEvent, void> {
  let taken = first;
  let open = false;
  try {
    for (let attempt = 1; ; attempt++) {
      if ("error" in taken) throw taken.error;
      const { snapshot } = taken;
      if (snapshot === undefined) return hooks.onMissing(key);
      yield { kind: "session", session: incoming(snapshot, line) };
      open = true;
      if (yield* itemsOf(store, snapshot, hooks)) {
        open = false;
        yield { kind: "sessionEnd" };
        hooks.onGiven?.(snapshot);
        return;
      }
      open = false;
      yield { kind: "abandon" };
      if (attempt === CUTS_MAX)
        throw alwaysCut(key, "copied. Stop what cuts them, and start the copy again: it goes on.");
      taken = await take(store, key, hooks.signal);
    }
  } catch (error) {
    if (!isDamaged(error)) throw error;
    if (open) yield { kind: "abandon" };
    hooks.onDamaged({ key, code: error.code, message: error.message });
  }
}

function incoming(
  { key, record, transcripts }: SessionSnapshot,
  line: number,
): Extract<ExportEvent, { kind: "session" }>["session"] {
  const entry = record?.entry;
  return {
    line,
    key,
    entry,
    transcripts: Array.from(transcripts, ([name, { length }]) => ({ name, length })),
    modifiedAt: record?.modifiedAt,
    bytes: entry === undefined ? 0 : JSON.stringify(entry).length,
  };
}

/** @returns Whether they are all those of the snapshot. */
async function* itemsOf(
  store: AnyStore,
  { key, transcripts }: SessionSnapshot,
  { signal }: EventHooks,
): AsyncGenerator<ExportEvent, boolean> {
  for (const [transcript, info] of transcripts) {
    yield { kind: "transcript", name: transcript };
    let count = 0;
    const range = { transcript, to: info.last, pageItems: PAGE_ITEMS, signal };
    if (info.length > 0)
      for await (const { item, id } of store.iterateItems(key, range)) {
        yield { kind: "item", item: { item, id, bytes: JSON.stringify(item).length } };
        count += 1;
      }
    if (count !== info.length || !isStill(info, await store.transcript(key, transcript))) return false;
  }
  return true;
}
