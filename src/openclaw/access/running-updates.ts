/** Updates that have begun and not ended yet, by store: for tests that wait for them. */
export class RunningUpdates {
  readonly #stores = new Map<string, Set<Promise<unknown>>>();

  /** Runs an update and knows of it until it has ended. @param storePath As the caller has it: one name, one store. */
  async track<R>(storePath: string, update: () => Promise<R>): Promise<R> {
    const work = update();
    const all = this.#stores.get(storePath) ?? new Set();
    this.#stores.set(storePath, all.add(work));
    try {
      return await work;
    } finally {
      all.delete(work);
      if (all.size === 0) this.#stores.delete(storePath);
    }
  }

  /** Stores with updates that have not ended. */
  get storeCount(): number {
    return this.#stores.size;
  }

  /** Settles when none is running; those that begin meanwhile are waited for too. */
  async end(): Promise<void> {
    while (this.#stores.size > 0)
      await Promise.allSettled([...this.#stores.values()].flatMap((all) => [...all]));
  }
}
