/** A lease that this process has taken: renewed by itself, and carried by writes. */
import { SessionStoreError } from "../errors.js";
import type { Runtime, Timer } from "../runtime.js";
import type {
  OperationOptions,
  OperationResult,
  SessionStore,
  Transaction,
  WaitOptions,
} from "../store/types.js";
import { BEAT, HOLDER, HOLDERS_KEPT, readHolder, type HolderItem } from "./lease-state.js";

/** Renewals in the time that one may be late. */
const RENEWALS = 3;

/** What is known of a lease that is held. */
export interface HeldLease<T extends object> extends AsyncDisposable {
  /** As it was given to `acquire`. */
  readonly key: string;
  readonly owner: string;
  /** The fencing token: grows with every acquisition of any lease of the store. */
  readonly token: number;
  readonly ttlMs: number;
  /**
   * Aborted, with `lease_lost` as its reason, once this process knows that somebody else has taken the lease, that it was given
   * back, or that it could not be renewed for `ttlMs`. What must not go on without it, and is not written to the store, watches this.
   */
  readonly signal: AbortSignal;
  /**
   * A transaction whose writes count only if nobody has taken the lease meanwhile, however long this process slept: that is
   * decided in the same commit. Else as `store.transact`.
   * @throws `lease_lost`, with nothing written.
   */
  transact<R>(
    fn: (tx: Transaction<T>) => R | Promise<R>,
    options: OperationOptions,
  ): Promise<OperationResult<R>>;
  transact<R>(fn: (tx: Transaction<T>) => R | Promise<R>, options?: WaitOptions): Promise<R>;
  /**
   * Shows whoever waits that the holder is there. Called by the lease itself every third of `ttlMs`, unless `renew: false` was given.
   * @throws `lease_lost`
   */
  renew(): Promise<void>;
  /** Gives it back. @returns False if it was lost already. */
  release(): Promise<boolean>;
}

export interface LeaseParts<T extends object> {
  readonly store: SessionStore<T>;
  readonly runtime: Runtime;
  /** Of its transcripts in the store. */
  readonly place: string;
  readonly key: string;
  readonly owner: string;
  readonly token: number;
  readonly ttlMs: number;
  readonly renews: boolean;
}

export class Lease<T extends object> implements HeldLease<T> {
  readonly key: string;
  readonly owner: string;
  readonly token: number;
  readonly ttlMs: number;
  readonly #parts: LeaseParts<T>;
  readonly #lost = new AbortController();
  #timer: Timer | undefined;
  /** On the clock that never goes back: when the last renewal that counts began. */
  #renewedAt: number;

  constructor(parts: LeaseParts<T>, takenAt: number) {
    this.#parts = parts;
    this.key = parts.key;
    this.owner = parts.owner;
    this.token = parts.token;
    this.ttlMs = parts.ttlMs;
    this.#renewedAt = takenAt;
    if (parts.renews) this.#renewLater();
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  transact<R>(
    fn: (tx: Transaction<T>) => R | Promise<R>,
    options: OperationOptions,
  ): Promise<OperationResult<R>>;
  transact<R>(fn: (tx: Transaction<T>) => R | Promise<R>, options?: WaitOptions): Promise<R>;
  async transact<R>(
    fn: (tx: Transaction<T>) => R | Promise<R>,
    options?: OperationOptions | WaitOptions,
  ): Promise<R | OperationResult<R>> {
    this.#assertHeld();
    return this.#orLost(
      this.#parts.store.transact(async (tx) => {
        await this.#guard(tx);
        return fn(tx);
      }, options as WaitOptions),
    );
  }

  async renew(): Promise<void> {
    this.#assertHeld();
    const { runtime, store, place } = this.#parts;
    const at = runtime.monotonic();
    await this.#orLost(
      store.transact(async (tx) => {
        await this.#guard(tx);
        await tx.append(place, [{}], { transcript: BEAT, maxLength: 1 });
      }),
    );
    this.#renewedAt = at;
  }

  async release(): Promise<boolean> {
    if (this.signal.aborted) return false;
    const { store, place, owner } = this.#parts;
    this.#timer?.cancel();
    const item: HolderItem = { owner, reason: "released" };
    try {
      await store.transact(async (tx) => {
        await this.#guard(tx);
        await tx.append(place, [item], { transcript: HOLDER, maxLength: HOLDERS_KEPT });
      });
    } catch (error) {
      if (this.#isOurs(error)) return false;
      throw error;
    } finally {
      this.#end(lost(this.key, this.token, "was given back"));
    }
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #guard(tx: Transaction<T>): Promise<void> {
    return guard(tx, this.#parts.place, this.key, this.token);
  }

  async #orLost<R>(work: Promise<R>): Promise<R> {
    try {
      return await work;
    } catch (error) {
      if (this.#isOurs(error)) this.#end(error);
      throw error;
    }
  }

  /** What a transaction throws may be about another lease. */
  #isOurs(error: unknown): error is SessionStoreError {
    if (!(error instanceof SessionStoreError) || error.code !== "lease_lost") return false;
    return error.data["key"] === this.key && error.data["token"] === this.token;
  }

  #assertHeld(): void {
    if (this.signal.aborted) throw this.signal.reason as Error;
  }

  #end(reason: Error): void {
    this.#timer?.cancel();
    if (!this.signal.aborted) this.#lost.abort(reason);
  }

  #renewLater(): void {
    const { runtime } = this.#parts;
    this.#timer = runtime.setTimer(() => void this.#renewNow(), this.ttlMs / RENEWALS);
  }

  /** A store that cannot be reached for a while is not the end: whoever waits counts from the last renewal that he saw. */
  async #renewNow(): Promise<void> {
    try {
      await this.renew();
    } catch {
      const { runtime } = this.#parts;
      if (runtime.monotonic() - this.#renewedAt >= this.ttlMs)
        this.#end(lost(this.key, this.token, "could not be renewed in time"));
    }
    if (!this.signal.aborted) this.#renewLater();
  }
}

/**
 * Makes a transaction count only if nobody has taken the lease since this token was given.
 * @throws `lease_lost`
 */
export async function guard<T extends object>(
  tx: Transaction<T>,
  place: string,
  key: string,
  token: number,
): Promise<void> {
  const holder = await readHolder(tx, place);
  if (holder.token === token && holder.ttlMs !== undefined) return;
  const by = holder.ttlMs === undefined ? "was given back" : `was taken by "${holder.owner}"`;
  throw lost(key, token, by, holder.owner, holder.token);
}

function lost(key: string, token: number, how: string, owner?: string, now?: number): SessionStoreError {
  return new SessionStoreError(
    "lease_lost",
    `the lease "${key}" ${how}: nothing was written. Acquire it again before you go on.`,
    { data: { key, token, ...(owner !== undefined && { owner }), ...(now !== undefined && { now }) } },
  );
}
