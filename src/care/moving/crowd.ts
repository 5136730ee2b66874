/**
 * Work on several sessions at a time, so that their commits share one sync of the log; bounded in count and in bytes. Two works on
 * one session come one after the other. The first failure is kept, and nothing new begins after it.
 */

/** As many as a group commit gains from; each may hold a transaction of a megabyte. */
const AT_ONCE = 64;
const BYTES_AT_ONCE = 4 * 1024 * 1024;

export class Crowd {
  readonly #running = new Map<string, Promise<void>>();
  #bytes = 0;
  #failure: { readonly error: unknown } | undefined;

  /**
   * Begins a piece of work, when there is room for it.
   * @throws The first failure.
   */
  async add(key: string, bytes: number, work: () => Promise<void>): Promise<void> {
    await this.#running.get(key);
    while (this.#running.size >= AT_ONCE || (this.#running.size > 0 && this.#bytes + bytes > BYTES_AT_ONCE))
      await Promise.race(this.#running.values());
    this.throwFailure();
    this.#bytes += bytes;
    const run = async (): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.#failure ??= { error };
      } finally {
        this.#running.delete(key);
        this.#bytes -= bytes;
      }
    };
    this.#running.set(key, run());
  }

  /** Nothing runs any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
