/**
 * Records as this process has seen them last: an entry that is read again is the same object, and is not parsed again.
 *
 * What is kept may have been overtaken by others. Two things tell how far it can be believed:
 *  - When a record was seen to be the latest of its session, by this process's monotonic clock.
 *  - A position that the cache as a whole has come to: all changes up to there are taken out of it. A record that was the latest
 *    at the position or behind it is covered; one that came from further back (a page of the feed, an answer that was late) is not,
 *    because a change between may have passed the cache already.
 */
import type { EngineRecord } from "../contract.js";

interface Kept {
  readonly record: EngineRecord;
  readonly bytes: number;
  /** When it was seen to be the latest; -Infinity: never. */
  seenAt: number;
  /** The era in which it is covered by the position; -1: in none. */
  era: number;
}

/** How far a record can be believed: as of which revision of the store, asked for at which time, it was the latest. */
export interface Seen {
  readonly head: number;
  readonly at: number;
}

/** A session that others have changed. */
export interface Overtaken {
  readonly key: string;
  readonly revision: number;
}

/** So many sessions at most are known to be changed by others again and again. */
const CONTENDED_MAX = 10_000;

export class RecordCache {
  /** Those that were used last come last. */
  readonly #kept = new Map<string, Kept>();
  /** Sessions whose last guess was wrong, and when that was found out. */
  readonly #contended = new Map<string, number>();
  #bytes = 0;
  #position: Seen | undefined;
  #era = 0;

  constructor(private readonly bytesMax: number) {}

  /** The record, if it is the one of this revision. */
  at(key: string, revision: number): EngineRecord | undefined {
    const kept = this.#kept.get(key);
    if (kept?.record.revision !== revision) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return kept.record;
  }

  latest(key: string): EngineRecord | undefined {
    return this.#kept.get(key)?.record;
  }

  /** A record to build on before anybody has said that it still is the latest; none where that went wrong the last time. */
  guess(key: string): EngineRecord | undefined {
    return this.#contended.has(key) ? undefined : this.#kept.get(key)?.record;
  }

  /** What was built on a guess was refused at that time. */
  guessedWrong(key: string, at: number): void {
    if (this.#contended.size < CONTENDED_MAX) this.#contended.set(key, at);
  }

  /** Nobody has changed a session since this process saw its record: if that was behind a wrong guess, the next may be right. */
  wouldBeRight(key: string): void {
    const wrongAt = this.#contended.get(key);
    if (wrongAt !== undefined && (this.#kept.get(key)?.seenAt ?? wrongAt) > wrongAt)
      this.#contended.delete(key);
  }

  /** The record, if it was the latest at that time, or later. */
  since(key: string, time: number): EngineRecord | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const covered = kept.era === this.#era && this.#position !== undefined && this.#position.at >= time;
    return covered || kept.seenAt >= time ? kept.record : undefined;
  }

  /** Where changes are to be looked for that are not taken out yet; undefined: nothing is covered. */
  get position(): Seen | undefined {
    return this.#position;
  }

  isCovered(key: string): boolean {
    return this.#kept.get(key)?.era === this.#era;
  }

  /** These are all changes from the position up to `to`. `undefined`: there are too many, or they are not known. */
  advance(to: Seen, changes: readonly Overtaken[] | undefined): void {
    if (changes === undefined) this.#era++;
    else
      for (const { key, revision } of changes)
        if ((this.#kept.get(key)?.record.revision ?? revision) < revision) this.forget(key);
    this.#position = to;
  }

  /** The record that was read; an older one than what is kept is not kept. */
  take(key: string, revision: number, modifiedAt: number, json: string, seen?: Seen): EngineRecord {
    const known = this.at(key, revision);
    if (known !== undefined) {
      if (seen !== undefined) this.confirm(known, seen);
      return known;
    }
    const entry = deepFreeze(JSON.parse(json) as object);
    const record: EngineRecord = Object.freeze({ key, entry, revision, modifiedAt });
    this.put(record, json.length, seen);
    return record;
  }

  put(record: EngineRecord, bytes: number, seen?: Seen): void {
    const { key, revision } = record;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.record.revision > revision) return;
    this.forget(key);
    if (bytes > this.bytesMax) return;
    this.#kept.set(key, { record, bytes, seenAt: -Infinity, era: -1 });
    this.#bytes += bytes;
    if (seen !== undefined) this.confirm(record, seen);
    for (const [oldest] of this.#kept) {
      if (this.#bytes <= this.bytesMax) break;
      this.forget(oldest);
    }
  }

  /** It was the latest then. */
  confirm({ key, revision }: EngineRecord, seen: Seen): void {
    const kept = this.#kept.get(key);
    if (kept?.record.revision !== revision) return;
    this.#position ??= seen;
    kept.seenAt = Math.max(kept.seenAt, seen.at);
    if (seen.head >= this.#position.head) kept.era = this.#era;
  }

  forget(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
  }

  /** Nothing that was known counts any more. */
  clear(): void {
    this.#kept.clear();
    this.#contended.clear();
    this.#bytes = 0;
    this.#position = undefined;
    this.#era++;
  }
}

/** Without recursion: what others stored may nest deeper than this process would store. */
export function deepFreeze<T extends object>(value: T): T {
  const open: object[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    Object.freeze(next);
    for (const item of Object.values(next) as unknown[])
      if (typeof item === "object" && item !== null && !Object.isFrozen(item)) open.push(item);
  }
  return value;
}
