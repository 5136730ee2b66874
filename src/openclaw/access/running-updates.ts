/** Updates of this process that have begun and not ended yet, by store: for tests that wait for them. */

const running = new Map<string, Set<Promise<unknown>>>();

/** Runs an update and knows of it until it has ended. @param storePath As the caller has it: one name, one store. */
export async function tracked<R>(storePath: string, update: () => Promise<R>): Promise<R> {
  const work = update();
  const all = running.get(storePath) ?? new Set();
  running.set(storePath, all.add(work));
  try {
    return await work;
  } finally {
    all.delete(work);
    if (all.size === 0) running.delete(storePath);
  }
}

/** Stores with updates that have not ended. */
export function runningStoreCount(): number {
  return running.size;
}

/** Settles when none is running; those that begin meanwhile are waited for too. */
export async function runningUpdatesEnd(): Promise<void> {
  while (running.size > 0) await Promise.allSettled([...running.values()].flatMap((all) => [...all]));
}
