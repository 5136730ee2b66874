/**
 * One line a key: writers of the same session in one process take turns, first come, first served.
 *
 * The log decides every commit, so this is not needed for correctness; it spares a process from conflicting
 * with itself, and gives the order of the calls. An idle key costs one lookup and no promise. Keys have an entry here only
 * while a call holds or awaits them. A call that entered must leave.
 */
import { abortReason } from "./retry.js";

interface Waiter {
  admit: () => void;
  /** Aborted: stands in line, but is passed over. */
  gone: boolean;
  next: Waiter | undefined;
}

interface Line {
  first: Waiter;
  last: Waiter;
}

export class KeyQueue {
  /** A key is present while it is held; its line while a call waits. */
  readonly #lines = new Map<string, Line | undefined>();

  /** Number of keys that are held. */
  get size(): number {
    return this.#lines.size;
  }

  /** Takes an idle key at once; false if it is held. */
  tryEnter(key: string): boolean {
    if (this.#lines.has(key)) return false;
    this.#lines.set(key, undefined);
    return true;
  }

  /** Takes the key when it is this caller's turn. Rejects with the signal's reason, and then holds nothing. */
  enter(key: string, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));
    if (this.tryEnter(key)) return Promise.resolve();
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        waiter.gone = true;
        reject(abortReason(signal!));
      };
      const waiter: Waiter = {
        admit: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        gone: false,
        next: undefined,
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const line = this.#lines.get(key);
      if (line === undefined) {
        this.#lines.set(key, { first: waiter, last: waiter });
      } else {
        line.last.next = waiter;
        line.last = waiter;
      }
    });
  }

  /** Lets the next one in, or sets the key free. */
  leave(key: string): void {
    let waiter = this.#lines.get(key)?.first;
    while (waiter?.gone === true) waiter = waiter.next;
    if (waiter === undefined) {
      this.#lines.delete(key);
      return;
    }
    const line = this.#lines.get(key)!;
    if (waiter.next === undefined) this.#lines.set(key, undefined);
    else line.first = waiter.next;
    waiter.admit();
  }

  /**
   * Takes several keys, one after the other in the order of the keys: two callers with overlapping sets cannot
   * wait for each other. Rejects with the signal's reason, and then holds none of them.
   */
  async enterAll(keys: Iterable<string>, signal?: AbortSignal): Promise<string[]> {
    const held: string[] = [];
    try {
      for (const key of [...new Set(keys)].sort()) {
        await this.enter(key, signal);
        held.push(key);
      }
    } catch (error) {
      this.leaveAll(held);
      throw error;
    }
    return held;
  }

  leaveAll(keys: readonly string[]): void {
    for (const key of keys) this.leave(key);
  }
}
