/**
 * Waits until a lease may be taken. No clock of another process is asked: a lease is over when its holder has not renewed it for
 * `ttlMs` as this process has counted, from the moment at which it saw the last renewal.
 */
import type { ProcessName, Processes } from "../fs/processes.js";
import type { Runtime } from "../runtime.js";
import type { SessionStore } from "../store/types.js";
import { isSame, readLease, type LeaseState } from "./lease-state.js";

/** How often a holder on this machine is looked for. */
const LOOK_MS = 250;
/** How often the store is looked into, should a watch tell nothing: it may have ended, or the store may have keys of its own making. */
const POLL_MS = 1000;

export interface Waiting<T extends object> {
  readonly store: SessionStore<T>;
  readonly place: string;
  readonly runtime: Runtime;
  readonly processes: Processes;
  /** On the clock that never goes back. */
  readonly until: number;
  readonly signal: AbortSignal | undefined;
}

/** Why a lease may be taken; "held": it may not, and the time is over. */
export type Reason = "free" | "ended" | "not renewed" | "held";

export interface Found {
  readonly state: LeaseState;
  readonly reason: Reason;
}

/** @throws The signal's reason, if that comes first. */
export async function untilFree<T extends object>(waiting: Waiting<T>): Promise<Found> {
  const { store, place, runtime, processes, until, signal } = waiting;
  signal?.throwIfAborted();
  const first = await readLease(store, place);
  const now = reasonOf(first, processes);
  if (now !== "held" || runtime.monotonic() >= until) return { state: first, reason: now };
  let state = first;
  let seenAt = runtime.monotonic();
  const changes = new Changes(store, place); // before the next look, or what happens in between would be told to nobody
  const goOn = runtime.keepAlive();
  try {
    for (;;) {
      const latest = await readLease(store, place);
      const reason = reasonOf(latest, processes);
      if (reason !== "held") return { state: latest, reason };
      const at = runtime.monotonic();
      if (!isSame(latest, state)) seenAt = at;
      state = latest;
      const { ttlMs = 0, process } = state;
      if (at - seenAt >= ttlMs) return { state, reason: "not renewed" };
      if (at >= until) return { state, reason: "held" };
      const isHere = process !== undefined && process.space === processes.self?.space;
      const look = isHere ? LOOK_MS : POLL_MS;
      await changes.next(Math.min(seenAt + ttlMs - at, until - at, look), runtime, signal);
      signal?.throwIfAborted();
    }
  } finally {
    goOn();
    changes.stop();
  }
}

function reasonOf({ ttlMs, process }: LeaseState, processes: Processes): Reason {
  if (ttlMs === undefined) return "free";
  return isEnded(process, processes) ? "ended" : "held";
}

function isEnded(process: ProcessName | undefined, processes: Processes): boolean {
  return process !== undefined && processes.isGone(process);
}

/** Tells that something happened to a lease, as long as the store can be watched. */
class Changes<T extends object> {
  readonly #end = new AbortController();
  #wake: (() => void) | undefined;
  #news = false;

  constructor(store: SessionStore<T>, place: string) {
    void this.#watch(store, place);
  }

  async #watch(store: SessionStore<T>, place: string): Promise<void> {
    try {
      for await (const { key } of store.watch({ prefix: place, signal: this.#end.signal })) {
        if (key !== place) continue;
        this.#news = true;
        this.#wake?.();
      }
    } catch {
      // Too much happened at once, or the log is damaged: looking now and then finds it too.
    }
  }

  /** Resolves when there is something new, after `ms`, or when the signal is aborted. */
  async next(ms: number, runtime: Runtime, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#news) {
      await new Promise<void>((resolve) => {
        const timer = runtime.setTimer(resolve, ms);
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
        signal?.addEventListener("abort", this.#wake, { once: true });
      });
      if (this.#wake !== undefined) signal?.removeEventListener("abort", this.#wake);
      this.#wake = undefined;
    }
    this.#news = false;
  }

  stop(): void {
    this.#end.abort();
  }
}
