/**
 * Time and chance, the two things besides the file system that a store takes from outside.
 *
 * Every timer, clock and random name of the engine comes through here, so that a simulator can run the real
 * code with a seed: same seed, same schedule.
 */
import { randomBytes } from "node:crypto";

/** A timer that was set; keep it only to cancel it. */
export interface Timer {
  cancel(): void;
}

export interface Runtime {
  /** Milliseconds since 1970, by the wall clock. May jump or stand still; nothing depends on its order. */
  now(): number;
  /** Milliseconds on a clock that never goes back. Paces work (time slices, back-off), decides nothing. */
  monotonic(): number;
  /** A random number in [0, 1): jitter. */
  random(): number;
  /** `bytes` random bytes as hex digits: names that are never made twice. */
  randomName(bytes: number): string;
  /** Calls `callback` once after `ms`; does not keep the process alive. */
  setTimer(callback: () => void, ms: number): Timer;
  /** Resolves after `ms`; the process stays alive until then, for a caller waits. */
  sleep(ms: number): Promise<void>;
  /** Keeps the process alive until the function that it returns was called. */
  keepAlive(): () => void;
  /** Resolves after everything that already waits for the event loop has had its turn. */
  yieldToEventLoop(): Promise<void>;
}

/** The longest interval that a timer can have: 24.8 days. */
const KEEP_ALIVE_MS = 2 ** 31 - 1;

export const systemRuntime: Runtime = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  random: () => Math.random(),
  randomName: (bytes) => randomBytes(bytes).toString("hex"),
  setTimer(callback, ms) {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  keepAlive() {
    const timer = setInterval(() => {}, KEEP_ALIVE_MS);
    return () => clearInterval(timer);
  },
  yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
};
