/**
 * A {@link Runtime} whose time stands still until a test moves it, and whose chance has a seed.
 *
 * Timers fire only inside `advance` and `runNextTimer`, in the order in which they are due. Give each simulated
 * process a runtime with a seed of its own: the same seed makes the same names.
 */
import type { Runtime, Timer } from "../runtime.js";
import { seededRandom } from "./seeded-random.js";

export interface ManualRuntimeOptions {
  /** Default is 1. */
  readonly seed?: number;
  /** The wall clock at the start. Default is a day in November 2026. */
  readonly now?: number;
  /** What `yieldToEventLoop` waits for: `"microtask"` (default), or a real turn of the event loop. */
  readonly yields?: "microtask" | "event-loop";
}

interface PendingTimer extends Timer {
  readonly due: number;
  readonly callback: () => void;
}

const START = 1_795_200_000_000;

export class ManualRuntime implements Runtime {
  #wall: number;
  #elapsed = 0;
  readonly #random: () => number;
  readonly #yields: "microtask" | "event-loop";
  readonly #timers = new Set<PendingTimer>();

  constructor(options: ManualRuntimeOptions = {}) {
    this.#wall = options.now ?? START;
    this.#random = seededRandom(options.seed ?? 1);
    this.#yields = options.yields ?? "microtask";
  }

  /** Timers that are set and not yet fired. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  random(): number {
    return this.#random();
  }

  randomName(bytes: number): string {
    let name = "";
    while (name.length < bytes * 2) {
      name += Math.floor(this.#random() * 256)
        .toString(16)
        .padStart(2, "0");
    }
    return name;
  }

  setTimer(callback: () => void, ms: number): Timer {
    const timer: PendingTimer = {
      due: this.#elapsed + Math.max(0, ms),
      callback,
      cancel: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    return timer;
  }

  /** Like a timer, it ends only when time is moved. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.setTimer(resolve, ms);
    });
  }

  /** Does nothing: the test that moves this clock keeps the process alive. */
  keepAlive(): () => void {
    return () => {};
  }

  yieldToEventLoop(): Promise<void> {
    return this.#yields === "microtask" ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve));
  }

  /** Makes the wall clock jump, back too. No timer notices. */
  setNow(ms: number): void {
    this.#wall = ms;
  }

  /** Lets time pass and fires what becomes due, timers that those set included. */
  advance(ms: number): void {
    const until = this.#elapsed + ms;
    for (let timer = this.#earliest(); timer !== undefined && timer.due <= until; timer = this.#earliest()) {
      this.#fire(timer);
    }
    this.#passTo(until);
  }

  /** Lets time pass until the next timer and fires it; false when there is none. */
  runNextTimer(): boolean {
    const timer = this.#earliest();
    if (timer === undefined) return false;
    this.#fire(timer);
    return true;
  }

  #fire(timer: PendingTimer): void {
    this.#timers.delete(timer);
    this.#passTo(timer.due);
    timer.callback();
  }

  #passTo(elapsed: number): void {
    if (elapsed <= this.#elapsed) return;
    this.#wall += elapsed - this.#elapsed;
    this.#elapsed = elapsed;
  }

  /** A set keeps its order of insertion: of two that are due together, the older one. */
  #earliest(): PendingTimer | undefined {
    let earliest: PendingTimer | undefined;
    for (const timer of this.#timers)
      if (earliest === undefined || timer.due < earliest.due) earliest = timer;
    return earliest;
  }
}
