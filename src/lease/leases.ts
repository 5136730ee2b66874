/** Leases over a store: who may act on what, one at a time, decided by the store and by no clock of another host. */
import { SessionStoreError } from "../errors.js";
import { systemProcesses, type Processes } from "../fs/processes.js";
import { systemRuntime, type Runtime } from "../runtime.js";
import {
  kindOf,
  optionalBoolean,
  optionalInteger,
  optionalSignal,
  requireKnownNames,
  requireObject,
} from "../store/arguments.js";
import type { SessionStore, Transaction, WaitOptions } from "../store/types.js";
import { guard, Lease, type HeldLease } from "./lease.js";
import {
  HOLDER,
  HOLDERS_KEPT,
  isSame,
  parseHolder,
  readLease,
  type HolderItem,
  type LeaseState,
} from "./lease-state.js";
import { untilFree } from "./waiting.js";

export interface LeasesOptions {
  /** Of the keys that the leases take in the store, in front of their own. Default "lease:". */
  readonly prefix?: string | undefined;
}

export interface AcquireOptions extends WaitOptions {
  /** Who takes it, for people: 1 to 1000 characters. */
  readonly owner: string;
  /**
   * How long it may go without being renewed before others may take it, in milliseconds as they count them. At least 100. Default
   * 15,000.
   */
  readonly ttlMs?: number | undefined;
  /** How long to wait while somebody else has it, in milliseconds. Default 0: not at all. `Infinity`: until it is free. */
  readonly waitMs?: number | undefined;
  /** Whether the lease renews itself. Default true. */
  readonly renew?: boolean | undefined;
}

export interface StealOptions extends Omit<AcquireOptions, "waitMs"> {
  /** Why, for people: 1 to 1000 characters. */
  readonly reason: string;
}

/** A lease as it was when it was looked at. */
export interface LeaseInfo {
  readonly key: string;
  /** False: it was given back, or nobody ever had it. One that is held may be over for somebody who has waited long enough. */
  readonly held: boolean;
  /** Of whoever has it, or had it last. */
  readonly owner: string;
  readonly token: number;
  /** When it was taken or given back, by the clock of whoever did it: milliseconds since 1970. */
  readonly since: number;
  readonly ttlMs?: number;
  /** Why it was taken from somebody, or that it was released. */
  readonly reason?: string;
  /** True: its holder was a process of this machine, and has ended. */
  readonly gone?: true;
}

export interface Leases<T extends object> {
  /**
   * Takes a lease that nobody has, or whose holder has ended (on this machine, where the kernel tells), or has not renewed
   * it for as long as it said while this call waited. Who waits longest is not preferred.
   * @throws `lease_held` when `waitMs` is over, with `data.owner` and `data.token`.
   * @example
   * const leases = openLeases(store);
   * const lease = await leases.acquire("agent:main", { owner: "gateway-1", waitMs: 60_000 });
   * await lease.transact((tx) => tx.patch("agent:main:main", { turns: 1 }));
   * await lease.release();
   */
  acquire(key: string, options: AcquireOptions): Promise<HeldLease<T>>;
  /** Takes it whoever has it, at once. What the former holder writes with its token from then on is refused. */
  steal(key: string, options: StealOptions): Promise<HeldLease<T>>;
  /** Who has it; undefined if nobody ever had. */
  read(key: string): Promise<LeaseInfo | undefined>;
  /**
   * Makes a transaction count only if the token is still the newest one: for who was handed a token and has no lease.
   * @throws `lease_lost`
   * @example
   * const leases = openLeases(store);
   * const { token } = await leases.acquire("agent:main", { owner: "gateway-1" });
   * await store.transact(async (tx) => {
   *   await leases.guard(tx, "agent:main", token);
   *   await tx.append("agent:main:main", [{ text: "done" }]);
   * });
   */
  guard(tx: Transaction<T>, key: string, token: number): Promise<void>;
  /**
   * Each lease that is taken or given back from now on, as it is then. That a holder does not renew is nothing that happens in the
   * store: `acquire` with `waitMs` finds it.
   */
  watch(options?: { readonly signal?: AbortSignal | undefined }): AsyncIterable<LeaseInfo>;
}

/** What leases run on; tests put their own in its place. */
export interface LeaseHost {
  readonly runtime: Runtime;
  readonly processes: Processes;
}

const SYSTEM: LeaseHost = { runtime: systemRuntime, processes: systemProcesses };
const TTL_MS = 15_000;
const TTL_MS_MIN = 100;
/** The longest that a timer can have: 24.8 days. */
const TTL_MS_MAX = 2 ** 31 - 1;
const TEXT_MAX = 1000;

/**
 * Leases that are kept in a store, of any engine. All who use the same keys must use the same prefix.
 * @example
 * const leases = openLeases(store);
 */
export function openLeases<T extends object>(store: SessionStore<T>, options: LeasesOptions = {}): Leases<T> {
  return openLeasesOn(store, options, SYSTEM);
}

export function openLeasesOn<T extends object>(
  store: SessionStore<T>,
  options: LeasesOptions,
  host: LeaseHost,
): Leases<T> {
  requireObject(options, "options");
  requireKnownNames(options, "options", new Set(["prefix"]));
  const { prefix = "lease:" } = options;
  if (typeof prefix !== "string" || prefix === "")
    throw new TypeError(`prefix must be a string that is not empty, not ${kindOf(prefix)}`);
  return new StoreLeases(store, prefix, host);
}

interface Wanted {
  readonly owner: string;
  readonly ttlMs: number;
  readonly renews: boolean;
  readonly reason: string | undefined;
  readonly signal: AbortSignal | undefined;
}

class StoreLeases<T extends object> implements Leases<T> {
  constructor(
    private readonly store: SessionStore<T>,
    private readonly prefix: string,
    private readonly host: LeaseHost,
  ) {}

  async acquire(key: string, options: AcquireOptions): Promise<HeldLease<T>> {
    const wanted = wantedOf(options, ACQUIRE_NAMES);
    const { waitMs = 0, signal } = options;
    if (typeof waitMs !== "number" || !(waitMs >= 0))
      throw new TypeError(`waitMs must be a number of milliseconds, 0 or more, not ${String(waitMs)}`);
    const { runtime, processes } = this.host;
    const place = this.#placeOf(key);
    const until = runtime.monotonic() + waitMs;
    for (;;) {
      const { state, reason } = await untilFree({
        store: this.store,
        place,
        runtime,
        processes,
        until,
        signal,
      });
      if (reason === "held") {
        throw new SessionStoreError(
          "lease_held",
          `the lease "${key}" is held by "${state.owner}". Wait with waitMs, or take it with steal.`,
          { data: { key, owner: state.owner, token: state.token } },
        );
      }
      const why = reason === "free" ? undefined : `${reason}: "${state.owner}", token ${state.token}`;
      const lease = await this.#take(key, { ...wanted, reason: why }, state);
      if (lease !== undefined) return lease;
    }
  }

  async steal(key: string, options: StealOptions): Promise<HeldLease<T>> {
    const wanted = { ...wantedOf(options, STEAL_NAMES), reason: requireText(options.reason, "reason") };
    this.#placeOf(key);
    for (;;) {
      const lease = await this.#take(key, wanted, undefined);
      if (lease !== undefined) return lease;
    }
  }

  async read(key: string): Promise<LeaseInfo | undefined> {
    const state = await readLease(this.store, this.#placeOf(key));
    if (state.token === 0) return undefined;
    const { processes } = this.host;
    const gone = state.ttlMs !== undefined && state.process !== undefined && processes.isGone(state.process);
    return { ...infoOf(key, state), ...(gone && { gone: true as const }) };
  }

  guard(tx: Transaction<T>, key: string, token: number): Promise<void> {
    if (!Number.isSafeInteger(token) || token < 1)
      throw new TypeError(`a token must be the number that a lease was given, not ${String(token)}`);
    return guard(tx, this.#placeOf(key), key, token);
  }

  async *watch(options: { readonly signal?: AbortSignal | undefined } = {}): AsyncIterable<LeaseInfo> {
    const { prefix } = this;
    for await (const change of this.store.watch({ prefix, items: true, signal: options.signal })) {
      const key = change.key.slice(prefix.length);
      const { transcript, revision: token, modifiedAt: time } = change;
      if (change.kind === "delete" || (transcript?.name === HOLDER && transcript.removed))
        yield { key, held: false, owner: "", token, since: time };
      for (const { item } of transcript?.name === HOLDER ? (transcript.items ?? []) : [])
        yield infoOf(key, { token, time, ...parseHolder(item) });
    }
  }

  /**
   * @param seen The lease as it must still be; undefined: whatever it is.
   * @returns Undefined if somebody was faster.
   */
  async #take(key: string, wanted: Wanted, seen: LeaseState | undefined): Promise<HeldLease<T> | undefined> {
    const { store, host } = this;
    const { runtime } = host;
    const { owner, ttlMs, reason, renews, signal } = wanted;
    const place = this.#placeOf(key);
    const nonce = runtime.randomName(8);
    const { self } = host.processes;
    const item: HolderItem = {
      owner,
      ttlMs,
      nonce,
      ...(self && { process: self }),
      ...(reason && { reason }),
    };
    const takenAt = runtime.monotonic();
    try {
      const taken = await store.transact(
        async (tx) => {
          if (seen !== undefined && !isSame(await readLease(tx, place), seen)) return false;
          await tx.append(place, [item], { transcript: HOLDER, maxLength: HOLDERS_KEPT });
          return true;
        },
        { signal },
      );
      if (!taken) return undefined;
    } catch (error) {
      // The store says below whether it was.
      if (!(error instanceof SessionStoreError) || error.code !== "commit_unknown") throw error;
    }
    const { nonce: found, token } = await readLease(store, place);
    if (found !== nonce) return undefined;
    return new Lease({ store, runtime, place, key, owner, token, ttlMs, renews }, takenAt);
  }

  #placeOf(key: string): string {
    if (typeof key !== "string" || key === "")
      throw new TypeError(`a lease's key must be a string that is not empty, not ${kindOf(key)}`);
    return this.prefix + key;
  }
}

const ACQUIRE_NAMES: ReadonlySet<string> = new Set(["owner", "ttlMs", "waitMs", "renew", "signal"]);
const STEAL_NAMES: ReadonlySet<string> = new Set(["owner", "ttlMs", "renew", "signal", "reason"]);

function wantedOf(options: AcquireOptions | StealOptions, names: ReadonlySet<string>): Wanted {
  requireObject(options, "options");
  requireKnownNames(options, "options", names);
  const ttlMs = optionalInteger(options.ttlMs, "ttlMs", TTL_MS_MIN) ?? TTL_MS;
  if (ttlMs > TTL_MS_MAX) throw new TypeError(`ttlMs must be at most ${TTL_MS_MAX}, not ${ttlMs}`);
  const renews = optionalBoolean(options.renew, "renew") ?? true;
  const signal = optionalSignal(options.signal, "signal");
  return { owner: requireText(options.owner, "owner"), ttlMs, renews, signal, reason: undefined };
}

function requireText(value: unknown, name: string): string {
  if (typeof value === "string" && value !== "" && value.length <= TEXT_MAX) return value;
  throw new TypeError(
    `${name} must be a text of 1 to ${TEXT_MAX} characters, not ${typeof value === "string" ? `one of ${value.length}` : kindOf(value)}`,
  );
}

function infoOf(key: string, state: Omit<LeaseState, "beat">): LeaseInfo {
  const { token, time, owner, ttlMs, reason } = state;
  return {
    key,
    held: ttlMs !== undefined,
    owner,
    token,
    since: time,
    ...(ttlMs !== undefined && { ttlMs }),
    ...(reason !== undefined && { reason }),
  };
}
