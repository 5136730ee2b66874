/**
 * How often and how fast an attempt to commit is repeated.
 *
 * A conflict means that another process made progress, so most repeats come at once: an attempt takes microseconds.
 * After every eighth there is a pause; pauses grow and are drawn at random, so that processes which collided do not
 * collide in step. Only every eighth, because a pause has its price: what the others committed meanwhile must be
 * read first, and an attempt or two go into catching up. Every loop is bounded; together the pauses of one
 * call come to about a quarter of a second.
 */
import { SessionStoreError } from "../errors.js";
import type { Runtime } from "../runtime.js";

export const ATTEMPTS_MAX = 100;
const ATTEMPTS_AT_ONCE = 8;
const PAUSE_MS_MAX = 64;

/** What a call rejects with whose signal aborted. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  // Callers may abort with anything; rejecting with exactly that is what every web API does.
  return reason as Error;
}

/** Rejects an aborted call with its signal's reason. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortReason(signal);
}

/**
 * Called after attempt number `attempt` (from 1) met a conflict over `key`.
 * @returns undefined to try again at once, or the pause to await.
 * @throws `conflict` when that was the last attempt, or the signal's reason.
 */
export function beforeRetry(
  runtime: Runtime,
  doing: string,
  key: string,
  attempt: number,
  signal: AbortSignal | undefined,
): Promise<void> | undefined {
  throwIfAborted(signal);
  if (attempt >= ATTEMPTS_MAX) throw retriesExhausted(doing, key, attempt);
  if (attempt % ATTEMPTS_AT_ONCE !== 0) return undefined;
  const pauseMsMax = Math.min(PAUSE_MS_MAX, 2 ** (attempt / ATTEMPTS_AT_ONCE - 1));
  return pause(runtime, runtime.random() * pauseMsMax, signal);
}

/**
 * Whether a caller's function failed because a shared value of an entry is gone. If the session was changed since, it may
 * have been removed with the last reference: a process that is suspended for long enough wakes up with such an entry.
 */
export function lacksValue(error: unknown): boolean {
  return error instanceof SessionStoreError && error.code === "blob_missing";
}

function retriesExhausted(doing: string, key: string, attempts: number): SessionStoreError {
  return new SessionStoreError(
    "conflict",
    `could not ${doing}: session ${JSON.stringify(key)} was changed by others in each of ${attempts} attempts. ` +
      "Nothing was written. Try again, or make fewer writers change this session at once.",
    { data: { key, attempts } },
  );
}

function pause(runtime: Runtime, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    // Timers do not keep the process alive, but here a caller waits for a write.
    const letGo = runtime.keepAlive();
    const onAbort = (): void => {
      timer.cancel();
      letGo();
      reject(abortReason(signal!));
    };
    const timer = runtime.setTimer(() => {
      signal?.removeEventListener("abort", onAbort);
      letGo();
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
