/** The pace of long work: the event loop gets its turn, an abort is noticed, and what has to happen often does. */
import type { BackupHost } from "./types.js";

/** Between two turns of the event loop. */
const SLICE_MS = 8;
/** The log is followed, and a claim kept alive, this often. */
const BEAT_MS = 20;

export class Pace {
  #slice: number;
  #beat: number;

  constructor(
    private readonly host: BackupHost,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#slice = this.#beat = host.runtime.monotonic();
  }

  /** What has to happen often. */
  beat: (() => void | Promise<void>) | undefined;

  /** To be called between two files. @throws the reason of the signal. */
  readonly step = async (): Promise<void> => {
    this.signal?.throwIfAborted();
    const { runtime } = this.host;
    const now = runtime.monotonic();
    if (this.beat !== undefined && now - this.#beat >= BEAT_MS) {
      this.#beat = now;
      await this.beat();
    }
    if (now - this.#slice < SLICE_MS) return;
    await runtime.yieldToEventLoop();
    this.#slice = runtime.monotonic();
  };
}

/** Syncs of several files wait for the disk together. */
const AT_ONCE = 8;

/** Works on items, several at once; the first failure ends it when those that are under way are done. */
export async function forEach<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  let failed: { readonly reason: unknown } | undefined;
  const worker = async (): Promise<void> => {
    while (failed === undefined) {
      const next = queue.next();
      if (next.done === true) return;
      try {
        await work(next.value);
      } catch (reason) {
        failed ??= { reason };
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  if (failed !== undefined) throw failed.reason;
}
