/**
 * What changes in a store while its sessions are copied: a set of keys that grows with every change and is taken away to be copied
 * again. Whatever a change was, what counts is the session as it is when it is read, so that nothing depends on each being seen.
 */
import { SessionStoreError } from "../../errors.js";
import type { AnyStore } from "./options.js";

/** The changes since then are gone: everything has to be looked at once more. */
const FORGOTTEN: ReadonlySet<string> = new Set(["revision_too_old", "revision_unknown", "history_rewound"]);

export interface ChangedKeys {
  readonly keys: readonly string[];
  /** Every change up to this revision is among them, or was taken before. */
  readonly upTo: number;
}

export class ChangeCollector {
  /** Changes were lost: begin anew, with a look at everything. */
  lost = false;
  #keys = new Set<string>();
  #seen: number;
  #failure: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;

  /** @param since Changes behind this revision. */
  constructor(store: AnyStore, since: number) {
    this.#seen = since;
    this.#ended = this.#collect(store, since);
  }

  get pending(): number {
    return this.#keys.size;
  }

  /** Every change up to this revision has come. */
  get seen(): number {
    return this.#seen;
  }

  /** What came since the last time. @throws What watching threw. */
  take(): ChangedKeys {
    if (this.#failure !== undefined) throw this.#failure.error;
    const keys = [...this.#keys];
    this.#keys = new Set();
    return { keys, upTo: this.#seen };
  }

  /** Resolves when there is something new, or after so many milliseconds. */
  async news(ms: number): Promise<void> {
    if (this.pending > 0 || this.lost || this.#failure !== undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  /** Ends a waiting `news`. */
  wake(): void {
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.wake();
    await this.#ended;
  }

  async #collect(store: AnyStore, since: number): Promise<void> {
    try {
      for await (const { key, revision, last } of store.watch({ since, signal: this.#stop.signal })) {
        this.#keys.add(key);
        if (!last) continue;
        this.#seen = revision;
        this.wake();
      }
    } catch (error) {
      if (error instanceof SessionStoreError && FORGOTTEN.has(error.code)) this.lost = true;
      else this.#failure = { error };
      this.wake();
    }
  }
}
