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
import { runNow } from "./time-slices.js";

/** What turns a stored form into the caller's entry; cached for each stored form. */
export type Decode = (stored: StoredObject, key: string) => object;

/** A session as of one revision; immutable. */
export class SessionState implements EntryState, EngineRecord {
  #bytes = 0;
  #entry: object | undefined;

  constructor(
    readonly key: string,
    readonly revision: number,
    readonly modifiedAt: number,
    /** Undefined: there is no such session. */
    readonly stored: StoredObject | undefined,
    private readonly decode: Decode,
    /** Of the entry file that the state was read from; undefined if the log told of it. */
    readonly checksum?: string,
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

/** What an entry file said. */
interface Cold {
  readonly state: SessionState;
  /** Was read since the room ran out last time: gets a second chance. */
  touched: boolean;
}

const STATES_PER_STEP = 64;

const NONE: ReadonlyMap<string, SessionState> = new Map<string, SessionState>();

export class SessionTable {
  readonly #hot = new Map<string, SessionState>();
  /** What each live segment made of the keys that it changed. */
  readonly #changed = new Map<number, Map<string, SessionState>>();
  readonly #cold = new Map<string, Cold>();
  #coldBytes = 0;
  /** Of segments that are gone, what is still to be done with their sessions. */
  readonly #cooling = new Set<Generator<void, void>>();

  /**
   * @param onEvicted Called when sessions are let go of for lack of room, so that no other cache keeps them either.
   * @param inSlices Runs long work to its end, a slice at a time. Default: at once.
   */
  constructor(
    private readonly coldBytesMax: number,
    private readonly onEvicted: () => void,
    private readonly inSlices: (work: Generator<void, void>) => void = runNow,
  ) {}

  /** Latest states of the sessions that live segments changed; for a moment also of those that a checkpoint has just done with. */
  get hot(): ReadonlyMap<string, SessionState> {
    return this.#hot;
  }

  get(key: string): SessionState | undefined {
    const hot = this.#hot.get(key);
    if (hot !== undefined) return hot;
    const cold = this.#cold.get(key);
    if (cold === undefined) return undefined;
    cold.touched = true;
    return cold.state;
  }

  /** What a live segment made of the sessions that it changed: the last state of each. */
  changedIn(segment: number): ReadonlyMap<string, SessionState> {
    return this.#changed.get(segment) ?? NONE;
  }

  /** The last state of a session in each live segment from this one on that changed it. */
  statesFrom(segment: number, key: string): SessionState[] {
    const states: SessionState[] = [];
    for (const [number, changed] of this.#changed) {
      const state = number >= segment ? changed.get(key) : undefined;
      if (state !== undefined) states.push(state);
    }
    return states;
  }

  /** Enters what a committed record of a segment made of a session. */
  commit(segment: number, state: SessionState): void {
    let changed = this.#changed.get(segment);
    if (changed === undefined) this.#changed.set(segment, (changed = new Map<string, SessionState>()));
    changed.set(state.key, state);
    this.#hot.set(state.key, state);
    if (this.#cold.size > 0) this.forget(state.key);
  }

  /** Enters what an entry file says, or that there is none. Only for a key that is not hot. */
  learn(state: SessionState): void {
    this.forget(state.key);
    this.#cold.set(state.key, { state, touched: false });
    this.#coldBytes += state.bytes;
    if (this.#coldBytes > this.coldBytesMax) this.#evict();
  }

  /** A segment was checkpointed: a session that was not changed since is in its file now. */
  release(segment: number): void {
    const work = this.#coolDown(this.changedIn(segment));
    this.#changed.delete(segment);
    this.#cooling.add(work);
    this.inSlices(this.#untilDone(work));
  }

  /** The same of a segment that this process could not read whole: what it does not know of is in the files as well. */
  discard(segment: number): void {
    this.release(segment);
    for (const work of this.#cooling) runNow(work);
    this.#cooling.clear();
    this.#forgetCold();
  }

  *#untilDone(work: Generator<void, void>): Generator<void, void> {
    yield* work;
    this.#cooling.delete(work);
  }

  /** What was changed since, or forgotten, stays as it is. */
  *#coolDown(changed: ReadonlyMap<string, SessionState>): Generator<void, void> {
    let steps = 0;
    for (const [key, state] of changed) {
      if (++steps % STATES_PER_STEP === 0) yield;
      if (this.#hot.get(key) !== state) continue;
      this.#hot.delete(key);
      this.learn(state);
    }
  }

  clear(): void {
    this.#hot.clear();
    this.#changed.clear();
    this.#forgetCold();
  }

  #forgetCold(): void {
    this.#cold.clear();
    this.#coldBytes = 0;
  }

  get size(): number {
    return this.#hot.size + this.#cold.size;
  }

  get coldBytes(): number {
    return this.#coldBytes;
  }

  /** Lets go of what a file said. */
  forget(key: string): void {
    const cold = this.#cold.get(key);
    if (cold === undefined) return;
    this.#cold.delete(key);
    this.#coldBytes -= cold.state.bytes;
  }

  /** Oldest first; what was read since the last time goes to the end once (second chance). */
  #evict(): void {
    this.onEvicted();
    for (const [key, cold] of this.#cold) {
      if (this.#coldBytes <= this.coldBytesMax) return;
      this.#cold.delete(key);
      if (cold.touched) {
        cold.touched = false;
        this.#cold.set(key, cold);
      } else {
        this.#coldBytes -= cold.state.bytes;
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
