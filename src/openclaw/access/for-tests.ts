/**
 * What OpenClaw's tests ask of a session store, where it has a cache and a queue in memory. Here nothing is cached by time,
 * and there is no lock once a store is migrated; these functions do what their callers want of them.
 */
import { KeyQueue } from "../../store/key-queue.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { openStores } from "./open-stores.js";

const turns = new KeyQueue();

/**
 * Lets go of every store, at once; files are closed soon afterwards. The next call opens anew. Before a test removes the
 * folder of a directory store, `await closeSessionStores()` says when.
 */
export function clearSessionStoreCacheForTest(): void {
  openStores.close().catch(() => {}); // what a store that is gone cannot do any more is of no interest to a test
}

/** Reads a `sessions.json` anew at the next call, even if it looks as it did. A directory store is always asked. */
export function invalidateSessionStoreCache(storePath: string): void {
  openStores.forgetFile(resolveStoreTarget(openStores.host.fs, storePath));
}

/**
 * Runs something while no other caller of this function does, for the same store. On a `sessions.json` it holds the lock that
 * updates take, so an update waits for it, in every process; on a directory nothing does.
 * @throws `legacy_locked` if another process has the lock of the file for too long; whatever `run` throws.
 */
export function withSessionStoreLockForTest<T>(
  storePath: string,
  run: () => Promise<T>,
  _options: {
    readonly timeoutMs?: number | undefined;
    readonly pollIntervalMs?: number | undefined;
    readonly staleMs?: number | undefined;
  } = {},
): Promise<T> {
  return openStores.running.track(storePath, async () => {
    const target = resolveStoreTarget(openStores.host.fs, storePath);
    await turns.enter(target.file);
    try {
      return target.identity === undefined ? await openStores.file(target).withLock(run) : await run();
    } finally {
      turns.leave(target.file);
    }
  });
}

/** How many stores have updates that have not ended yet. */
export function getSessionStoreLockQueueSizeForTest(): number {
  return openStores.running.storeCount;
}

/** Settles when no update is running. OpenClaw's rejects those that wait; here all of them are carried out. */
export function drainSessionStoreLockQueuesForTest(): Promise<void> {
  return openStores.running.end();
}
