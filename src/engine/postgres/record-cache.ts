/** Records as this process has seen them last: an entry that is read again is the same object, and is not parsed again. */
import type { EngineRecord } from "../contract.js";

interface Kept {
  readonly record: EngineRecord;
  readonly bytes: number;
}

export class RecordCache {
  /** Those that were used last come last. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

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

  revisionOf(key: string): number | undefined {
    return this.#kept.get(key)?.record.revision;
  }

  /** The record that was read; an older one than what is kept is not kept. */
  take(key: string, revision: number, modifiedAt: number, json: string): EngineRecord {
    const known = this.at(key, revision);
    if (known !== undefined) return known;
    const entry = deepFreeze(JSON.parse(json) as object);
    const record: EngineRecord = Object.freeze({ key, entry, revision, modifiedAt });
    this.put(record, json.length);
    return record;
  }

  put(record: EngineRecord, bytes: number): void {
    const { key, revision } = record;
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.record.revision > revision) return;
    this.forget(key);
    if (bytes > this.bytesMax) return;
    this.#kept.set(key, { record, bytes });
    this.#bytes += bytes;
    for (const [oldest] of this.#kept) {
      if (this.#bytes <= this.bytesMax) break;
      this.forget(oldest);
    }
  }

  forget(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
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
