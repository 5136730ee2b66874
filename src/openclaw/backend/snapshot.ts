/**
 * All sessions of a store as of one instant, by their canonical keys.
 *
 * What other tools stored under another case of a key is the same session here: the entry with the newest `updatedAt`
 * counts, the canonical key's own where they are equal. Snapshots are never changed and may be shared by any number of callers.
 */
import { SessionStoreError } from "../../errors.js";
import type { DamagedSession } from "../../store/types.js";
import { timeOf } from "../entry/merge.js";
import type { SessionEntry } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";

/** A session as it is stored. */
export interface StoredSession {
  /** The key that it has there. */
  readonly key: string;
  readonly entry: Readonly<SessionEntry>;
  /** Which state this is; 0 in a legacy file, where the lock decides, and undefined where it is told by the entry alone. */
  readonly revision: number | undefined;
}

/** Where a view has its sessions from. */
export interface SessionSource {
  /** The session of a canonical key. */
  get(key: string): StoredSession | undefined;
  /** Everything that is stored of a session: nothing, itself, or more if its key is stored in other cases. */
  allOf(key: string): readonly StoredSession[];
  /** Canonical keys, in the order of the store. */
  keys(): Iterable<string>;
  /** Why a session that is there cannot be read, by its canonical key: an `entry_corrupt`. `get` has no such session. */
  damage(key: string): SessionStoreError | undefined;
}

export class StoreSnapshot implements SessionSource {
  readonly #sessions = new Map<string, StoredSession>();
  /** Canonical keys of which other cases are stored: all of them, the one that counts included. */
  readonly #variants = new Map<string, StoredSession[]>();
  readonly #damaged = new Map<string, DamagedSession>();

  /** @param damaged Sessions that are there and cannot be read. One whose key is not known is nobody's here. */
  constructor(
    stored: Iterable<StoredSession>,
    readonly damaged: readonly DamagedSession[] = [],
  ) {
    for (const session of stored) {
      const key = normalizeStoreSessionKey(session.key);
      if (key === "") continue; // names nobody's session
      const other = this.#sessions.get(key);
      if (other !== undefined || key !== session.key) this.#addVariant(key, session, other);
      if (other === undefined || countsBefore(session, other, key)) this.#sessions.set(key, session);
    }
    for (const session of damaged)
      if (session.key !== undefined) this.#damaged.set(normalizeStoreSessionKey(session.key), session);
  }

  get size(): number {
    return this.#sessions.size;
  }

  get(key: string): StoredSession | undefined {
    return this.#sessions.get(key);
  }

  allOf(key: string): readonly StoredSession[] {
    const session = this.#sessions.get(key);
    return this.#variants.get(key) ?? (session === undefined ? [] : [session]);
  }

  keys(): Iterable<string> {
    return this.#sessions.keys();
  }

  damage(key: string): SessionStoreError | undefined {
    const damaged = this.#sessions.has(key) ? undefined : this.#damaged.get(key);
    if (damaged === undefined) return undefined;
    const { path, reason, missing } = damaged;
    const message =
      `session ${JSON.stringify(key)} in ${path} is damaged (${reason}); other sessions are not affected. ` +
      "Restore it from a backup, assign the session as a whole, or delete it.";
    return new SessionStoreError("entry_corrupt", message, { data: { key, path, reason, missing } });
  }

  /** Keys as stored, of those sessions that have another key than the canonical one: canonical key, stored keys. */
  get variants(): ReadonlyMap<string, readonly StoredSession[]> {
    return this.#variants;
  }

  #addVariant(key: string, session: StoredSession, other: StoredSession | undefined): void {
    const known = this.#variants.get(key);
    if (known !== undefined) known.push(session);
    else this.#variants.set(key, other === undefined ? [session] : [other, session]);
  }
}

function countsBefore(a: StoredSession, b: StoredSession, key: string): boolean {
  const difference = timeOf(a.entry) - timeOf(b.entry);
  return difference === 0 ? a.key === key : difference > 0;
}
