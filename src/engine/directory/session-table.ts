/**
 * The sessions that this process knows, as of the log position that it has read up to.
 *
 *  - *hot*: changed in a live segment. They must be remembered, deleted ones too: their files may lag behind.
 *  - *cold*: read from an entry file, or hot until their segment was checkpointed. Every change of a session comes
 *    through the log, so a cold state stays right until the log mentions its key; it is kept as long as there is room.
 *
 * An entry that is not in here is in its file. Nothing expires by time.
 */
import type { EngineRecord } from "../contract.js";
import type { EntryState } from "../../entries/entry-file.js";
import type { StoredObject, StoredValue } from "../../format/stored-value.js";

/** What turns a stored form into the caller's entry; cached for each stored form. */
export type Decode = (stored: StoredObject, key: string) => object;

/** A session as of one revision; immutable. */
export class SessionState implements EntryState, EngineRecord {
  /** Was read since the room ran out last time: gets a second chance. */
  touched = false;
  /** Checksum of the entry file that has this state, once it was composed or seen. */
  crc: string | undefined;
  /** The session's file was seen to have this state, or was given it by this process. */
  flushed = false;
  #bytes = 0;
  #entry: object | undefined;

  constructor(
    readonly key: string,
    readonly revision: number,
    readonly modifiedAt: number,
    /** Undefined: there is no such session. */
    readonly stored: StoredObject | undefined,
    private readonly decode: Decode,
  ) {}

  /** About what the state takes up in memory. */
  get bytes(): number {
    if (this.#bytes === 0) this.#bytes = 100 + approximateBytes(this.stored);
    return this.#bytes;
  }

  get entry(): object {
    if (this.stored === undefined) throw new Error(`session ${this.key} is deleted`);
    return (this.#entry ??= this.decode(this.stored, this.key));
  }

  /** Revision that a writer must name as its base: 0 for a session that does not exist. */
  get base(): number {
    return this.stored === undefined ? 0 : this.revision;
  }
}

export class SessionTable {
  readonly hot = new Map<string, SessionState>();
  readonly #cold = new Map<string, SessionState>();
  #coldBytes = 0;
  /** Called when sessions are let go of for lack of room, so that no other cache keeps them either. */
  onEvicted: (() => void) | undefined;

  constructor(private readonly coldBytesMax: number) {}

  get(key: string): SessionState | undefined {
    const hot = this.hot.get(key);
    if (hot !== undefined) return hot;
    const cold = this.#cold.get(key);
    if (cold !== undefined) cold.touched = true;
    return cold;
  }

  /** Enters what a committed record made of a session. */
  commit(state: SessionState): void {
    this.hot.set(state.key, state);
    if (this.#cold.size > 0) this.forget(state.key);
  }

  /** Enters what an entry file says, or that there is none. Only for a key that is not hot. */
  learn(state: SessionState): void {
    this.forget(state.key);
    this.#cold.set(state.key, state);
    this.#coldBytes += state.bytes;
    if (this.#coldBytes > this.coldBytesMax) this.#evict();
  }

  /** A segment was checkpointed: a session that was not changed since is in its file now. */
  release(finals: ReadonlyMap<string, SessionState>): void {
    for (const [key, state] of finals) {
      if (this.hot.get(key) !== state) continue;
      this.hot.delete(key);
      this.learn(state);
    }
  }

  clear(): void {
    this.hot.clear();
    this.forgetCold();
  }

  /** Lets go of everything that files said. */
  forgetCold(): void {
    this.#cold.clear();
    this.#coldBytes = 0;
  }

  get size(): number {
    return this.hot.size + this.#cold.size;
  }

  get coldBytes(): number {
    return this.#coldBytes;
  }

  /** Lets go of what a file said. */
  forget(key: string): void {
    const state = this.#cold.get(key);
    if (state === undefined) return;
    this.#cold.delete(key);
    this.#coldBytes -= state.bytes;
  }

  /** Oldest first; what was read since the last time goes to the end once (second chance). */
  #evict(): void {
    this.onEvicted?.();
    for (const [key, state] of this.#cold) {
      if (this.#coldBytes <= this.coldBytesMax) return;
      this.#cold.delete(key);
      if (state.touched) {
        state.touched = false;
        this.#cold.set(key, state);
      } else {
        this.#coldBytes -= state.bytes;
      }
    }
  }
}

/** Cheap and rough: it paces a cache. Strings count as they are, everything else as a word or two. */
function approximateBytes(value: StoredValue | undefined): number {
  if (typeof value === "string") return value.length + 16;
  if (typeof value !== "object" || value === null) return 8;
  let bytes = 32;
  if (Array.isArray(value)) {
    for (const item of value as readonly StoredValue[]) bytes += approximateBytes(item);
    return bytes;
  }
  const object = value as StoredObject;
  for (const name in object) bytes += 16 + approximateBytes(object[name]);
  return bytes;
}
