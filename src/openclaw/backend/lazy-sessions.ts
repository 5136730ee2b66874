/**
 * The sessions of a directory as a mutator needs them: one by one, each read when it is first asked for, so that an update of
 * one session of a hundred thousand reads one. Only who asks for all keys gets a snapshot of all.
 *
 * What was read once stays as it is. Two sessions may have been read at different instants; whoever uses this compares
 * everything that was read once more when the result counts.
 */
import { isSessionDamaged, type SessionStoreError } from "../../errors.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import { assertSessionKey } from "../../format/session-key.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type { SessionSource, StoredSession, StoreSnapshot } from "./snapshot.js";

export class LazySessions implements SessionSource {
  readonly #seen = new Map<string, StoredSession | undefined>();
  readonly #damage = new Map<string, SessionStoreError>();
  #whole: StoreSnapshot | undefined;

  /**
   * @param read One session as of now. @param readAll All of them.
   * @param variants Canonical keys of which other cases are stored: these are looked up among all.
   */
  constructor(
    private readonly read: (key: string) => Readonly<SessionEntry> | undefined,
    private readonly readAll: () => StoreSnapshot,
    private readonly variants: StoreSnapshot["variants"],
  ) {}

  get(key: string): StoredSession | undefined {
    if (!this.#seen.has(key)) this.#seen.set(key, this.#find(key));
    return this.#seen.get(key);
  }

  damage(key: string): SessionStoreError | undefined {
    this.get(key);
    return this.#damage.get(key) ?? this.#whole?.damage(key);
  }

  allOf(key: string): readonly StoredSession[] {
    if (this.#hasVariants(key)) return this.#all().allOf(key);
    const session = this.get(key);
    return session === undefined ? [] : [session];
  }

  keys(): Iterable<string> {
    return this.#all().keys();
  }

  #find(key: string): StoredSession | undefined {
    if (this.#hasVariants(key)) return this.#all().get(key);
    if (this.#whole !== undefined) return this.#whole.get(key);
    const entry = isPossibleKey(key) ? this.#read(key) : undefined;
    return entry === undefined ? undefined : { key, entry, revision: undefined };
  }

  #read(key: string): Readonly<SessionEntry> | undefined {
    try {
      return this.read(key);
    } catch (error) {
      if (!isSessionDamaged(error)) throw error;
      this.#damage.set(key, error);
      return undefined;
    }
  }

  #hasVariants(key: string): boolean {
    return this.variants.has(key) || this.#whole?.variants.has(key) === true;
  }

  #all(): StoreSnapshot {
    this.#whole ??= this.readAll();
    return this.#whole;
  }
}

/** Whether a session can have this key at all. */
export function isPossibleKey(key: string): boolean {
  try {
    assertSessionKey(key, DEFAULT_LIMITS);
    return true;
  } catch {
    return false;
  }
}
