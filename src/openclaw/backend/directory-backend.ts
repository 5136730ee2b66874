/**
 * A store that is a directory: every commit is a conditional append, decided by revisions; no lock.
 *
 * A snapshot is made again only when a record has changed; a mutator that does not ask for all keys needs none. The entries that
 * it touched are compared in the commit itself; only of a mutator that reads more entries than {@link CHECKS_MAX} without writing them, the rest is compared
 * right before the commit, and a change that another process makes within these microseconds goes unnoticed.
 *
 * Keys are canonical when this layer wrote them. Others, which came with other tools, are found by looking at all keys: once,
 * before the first write, and whenever a snapshot is made.
 */
import { isSessionDamaged } from "../../errors.js";
import { equalJson } from "../../format/equal-json.js";
import { storableEntry } from "../entry/copy.js";
import { normalizeEntry } from "../entry/normalization.js";
import type { Runtime } from "../../runtime.js";
import { isPromiseLike } from "../../store/engine-calls.js";
import { KeyQueue } from "../../store/key-queue.js";
import { beforeRetry } from "../../store/retry.js";
import type { DirectorySessionStore, Transaction } from "../../store/types.js";
import { isPossibleKey, LazySessions } from "./lazy-sessions.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type { Compute, StoreBackend, UpdateRules } from "./store-backend.js";
import { StoreSnapshot, type SessionSource, type StoredSession } from "./snapshot.js";
import { alone, changeOf, type SessionChange } from "./change.js";
import { StoreView } from "./view.js";

/** A check is 60 bytes of the record in the log. */
const CHECKS_MAX = 512;

/** A damaged file may be mended without a commit that tells of it: so old may be what was said of it. */
const DAMAGE_MS_MAX = 1000;

const WHOLE_STORE = "whole store";

/** A transaction that found an entry other than the mutator saw it: not an error, but the way out. */
class Outdated extends Error {
  constructor(readonly key: string) {
    super(key);
  }
}

export class DirectoryBackend implements StoreBackend {
  readonly #queue = new KeyQueue();
  #snapshot:
    { readonly revision: number; readonly until: number; readonly sessions: StoreSnapshot } | undefined;
  #variants: StoreSnapshot["variants"] | undefined;

  constructor(
    private readonly store: DirectorySessionStore<SessionEntry>,
    private readonly runtime: Runtime,
  ) {}

  snapshot(): StoreSnapshot {
    const revision = this.store.recordsRevisionSync();
    const known = this.#snapshotOf(revision);
    if (known !== undefined) return known;
    const { sessions: stored, damaged = [] } = this.store.listSync();
    const sessions = new StoreSnapshot(stored, damaged);
    this.#variants = sessions.variants;
    const until = damaged.length === 0 ? Infinity : this.runtime.monotonic() + DAMAGE_MS_MAX;
    // What was committed between the two calls is in the listing already, and the next call lists once more.
    this.#snapshot = { revision, until, sessions };
    return sessions;
  }

  #snapshotOf(revision: number): StoreSnapshot | undefined {
    const known = this.#snapshot;
    if (known?.revision !== revision) return undefined;
    return known.until === Infinity || this.runtime.monotonic() < known.until ? known.sessions : undefined;
  }

  readOne(key: string): Readonly<SessionEntry> | undefined {
    if (this.#variants?.has(key) === true) return this.snapshot().get(key)?.entry;
    return this.store.getSync(key);
  }

  async updateAll<R>(
    mutate: (view: StoreView) => R | Promise<R>,
    rules: UpdateRules,
  ): Promise<{ readonly result: R; readonly wrote: boolean }> {
    await this.#queue.enter(WHOLE_STORE);
    try {
      await this.#findVariants();
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.store.transact((tx) => this.#attempt(tx, mutate, rules));
        } catch (error) {
          if (!(error instanceof Outdated)) throw error;
          this.#snapshot = undefined; // it may say of a session that it is damaged
          await beforeRetry(this.runtime, "update the store", error.key, attempt, undefined);
        }
      }
    } finally {
      this.#queue.leave(WHOLE_STORE);
    }
  }

  async updateOne(
    key: string,
    compute: Compute,
  ): Promise<{ readonly entry: Readonly<SessionEntry> | undefined; readonly wrote: boolean }> {
    if ((this.#variants ?? (await this.#findVariants())).has(key)) return this.#mergeOne(key, compute);
    let wrote = false;
    const record = await this.store.update(key, (stored) => {
      wrote = false;
      const settle = (next: SessionEntry | undefined): SessionEntry | undefined => {
        const session = stored && { key, entry: stored, revision: 0 };
        const change = next === undefined ? undefined : changeOf(key, alone(session), next, {});
        if (change === undefined || change.kind === "delete") return undefined;
        wrote = true;
        return storableEntry(change.entry);
      };
      const next = compute(stored === undefined ? undefined : normalizeEntry(stored));
      return isPromiseLike(next) ? next.then(settle) : settle(next);
    });
    return { entry: record?.entry, wrote };
  }

  async #mergeOne(key: string, compute: Compute) {
    const { result, wrote } = await this.updateAll(async (view) => {
      const next = await compute(view.get(key));
      if (next !== undefined) view.set(key, next);
      return view.get(key);
    }, {});
    return { entry: result, wrote };
  }

  async #attempt<R>(
    tx: Transaction<SessionEntry>,
    mutate: (view: StoreView) => R | Promise<R>,
    rules: UpdateRules,
  ): Promise<{ readonly result: R; readonly wrote: boolean }> {
    const view = StoreView.lazy(this.#source());
    const result = await mutate(view);
    const changes = view.changes(rules);
    const written = new Set(changes.map(({ key }) => key));
    // A result is of one instant even if nothing is written: what was read one by one is compared once more.
    if (changes.length === 0 && view.source instanceof StoreSnapshot) return { result, wrote: false };
    const compared = changes.length === 0 || rules.compared !== "written" ? view.touched : written;
    const read = [...compared].filter((key) => !written.has(key) && isPossibleKey(key));
    for (const key of [...written, ...read.slice(0, CHECKS_MAX)]) await compare(tx, view.source, key);
    for (const change of changes) await apply(tx, change);
    if (read.length > CHECKS_MAX) this.#compareNow(view.source, read.slice(CHECKS_MAX));
    return { result, wrote: changes.length > 0 };
  }

  /** What is at hand: the snapshot if it is current, or sessions one by one. */
  #source(): SessionSource {
    const known = this.#snapshotOf(this.store.recordsRevisionSync());
    if (known !== undefined) return known;
    return new LazySessions(
      (key) => this.store.getSync(key),
      () => this.snapshot(),
      this.#variants ?? new Map(),
    );
  }

  #compareNow(seen: SessionSource, keys: readonly string[]): void {
    const now = this.snapshot();
    if (now === seen) return;
    for (const key of keys) if (!isSame(seen.get(key), now.get(key))) throw new Outdated(key);
  }

  async #findVariants(): Promise<StoreSnapshot["variants"]> {
    this.#variants ??= new StoreSnapshot((await this.store.list()).sessions).variants;
    return this.#variants;
  }
}

/**
 * Reads everything that is stored of a session, so that the commit depends on it. On one that is damaged nothing can depend:
 * it is replaced or deleted whatever it was.
 */
async function compare(tx: Transaction<SessionEntry>, seen: SessionSource, key: string): Promise<void> {
  if (seen.damage(key) !== undefined) {
    if (!(await isDamaged(tx, key))) throw new Outdated(key);
    return;
  }
  const all = seen.allOf(key);
  for (const stored of all) if (!isSame(stored, await tx.read(stored.key))) throw new Outdated(key);
  const isThere = all.some((stored) => stored.key === key);
  if (!isThere && (await tx.read(key)) !== undefined) throw new Outdated(key);
}

async function isDamaged(tx: Transaction<SessionEntry>, key: string): Promise<boolean> {
  try {
    await tx.read(key);
    return false;
  } catch (error) {
    if (!isSessionDamaged(error)) throw error;
    return true;
  }
}

/** The same state, by its revision; without one by its content, which is as good. */
function isSame(seen: StoredSession | undefined, now: StoredSession | undefined): boolean {
  if (seen === undefined || now === undefined) return seen === now;
  if (seen.revision !== undefined && now.revision !== undefined) return seen.revision === now.revision;
  return equalJson(seen.entry, now.entry);
}

async function apply(tx: Transaction<SessionEntry>, change: SessionChange): Promise<void> {
  for (const key of change.replaces) await tx.delete(key);
  if (change.kind === "put") await tx.put(change.key, change.entry);
  else if (change.kind === "patch") await tx.patch(change.key, Object.fromEntries(change.fields));
}
