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
import { joined, setShared, sharedIn, type SharedFields } from "./shared-values.js";

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

/** A record as rows of the database have it. */
export interface Found {
  readonly key: string;
  readonly revision: number;
  readonly modifiedAt: number;
  /** With `null` for what is shared. */
  readonly json: string;
  readonly shared: SharedFields;
  readonly valueOf: (hash: string) => unknown;
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
  /** Values that records have which are kept, and how many of these. */
  readonly #values = new Map<string, { readonly value: unknown; readonly bytes: number; holders: number }>();
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

  /** A shared value, if a record has it that is kept. */
  valueOf(hash: string): unknown {
    return this.#values.get(hash)?.value;
  }

  /** The record that was read; an older one than what is kept is not kept. */
  take({ key, revision, modifiedAt, json, shared, valueOf }: Found, seen?: Seen): EngineRecord {
    const known = this.at(key, revision);
    if (known !== undefined) {
      if (seen !== undefined) this.confirm(known, seen);
      return known;
    }
    const entry = joined(json, shared, valueOf, key);
    const record = setShared(Object.freeze({ key, entry, revision, modifiedAt }), shared);
    this.put(record, json.length, seen);
    return record;
  }

  /** @param bytes Of its JSON, without what is shared: that counts once for all records that have it. */
  put(record: EngineRecord, bytes: number, seen?: Seen): void {
    const { key, revision } = record;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.record.revision > revision) return;
    this.forget(key);
    if (bytes > this.bytesMax) return;
    this.#kept.set(key, { record, bytes, seenAt: -Infinity, era: -1 });
    this.#bytes += bytes;
    for (const [name, { hash, bytes: own }] of sharedIn(record)) {
      const held = this.#values.get(hash);
      if (held !== undefined) held.holders++;
      else {
        const value = (record.entry as Record<string, unknown>)[name];
        this.#values.set(hash, { value, bytes: own, holders: 1 });
        this.#bytes += own;
      }
    }
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
    for (const { hash, bytes } of sharedIn(kept.record).values()) {
      const held = this.#values.get(hash);
      if (held === undefined || --held.holders > 0) continue;
      this.#values.delete(hash);
      this.#bytes -= bytes;
    }
  }

  /** Nothing that was known counts any more. */
  clear(): void {
    this.#kept.clear();
    this.#values.clear();
    this.#contended.clear();
    this.#bytes = 0;
    this.#position = undefined;
    this.#era++;
  }
}
