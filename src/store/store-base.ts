/**
 * What every method of a store begins and ends with: is the store open, is the key one, may it be written, and who has to be
 * waited for at the end. After `close()` began nothing starts; what runs is finished first.
 */
import { readOnlyError, SessionStoreError } from "../errors.js";
import type { Engine, MaybePromise, ReadOptions } from "../engine/contract.js";
import { DEFAULT_LIMITS, type Limits } from "../format/limits.js";
import { assertSessionKey } from "../format/session-key.js";
import { systemRuntime, type Runtime } from "../runtime.js";
import { optionalInteger, requireKnownNames, requireObject } from "./arguments.js";
import { EngineCalls } from "./engine-calls.js";
import { KeyQueue } from "./key-queue.js";
import { knowStore } from "./transcript-keys.js";
import { Watches } from "./watch.js";

/** What a store adds to its engine. Every field has a default. */
export interface SessionStoreOptions {
  /** Applied to every key that comes in, before anything else. Default: keys are taken as they are. */
  readonly normalizeKey?: ((key: string) => string) | undefined;
  /** Every write fails with `read_only`. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Default DEFAULT_LIMITS; `keyBytesMax` and what concerns items is checked here, the rest is the engine's. */
  readonly limits?: Limits | undefined;
  /** Default: the system's clock and timers. */
  readonly runtime?: Runtime | undefined;
  /** What reads that say nothing of it are given. Default 0. */
  readonly staleOkMs?: number | undefined;
}

const READ_OPTIONS: ReadonlySet<string> = new Set(["staleOkMs"]);

export class StoreBase {
  protected readonly calls: EngineCalls;
  protected readonly queue = new KeyQueue();
  protected readonly watches = new Watches();
  protected readonly runtime: Runtime;
  protected readonly limits: Limits;
  readonly #normalizeKey: ((key: string) => string) | undefined;
  readonly #readOnly: boolean;
  readonly #readOptions: ReadOptions | undefined;
  #running = 0;
  #closing: Promise<void> | undefined;
  #whenIdle: (() => void) | undefined;

  constructor(engine: Engine, options: SessionStoreOptions) {
    this.calls = new EngineCalls(engine);
    knowStore(this, this.calls);
    this.runtime = options.runtime ?? systemRuntime;
    this.limits = options.limits ?? DEFAULT_LIMITS;
    this.#normalizeKey = options.normalizeKey;
    this.#readOnly = options.readOnly ?? false;
    const { staleOkMs = 0 } = options;
    this.#readOptions = staleOkMs === 0 ? undefined : { staleOkMs };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.watches.close();
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    await this.calls.close();
  }

  protected acceptKey(key: string): string {
    const accepted =
      this.#normalizeKey === undefined || typeof key !== "string" ? key : this.#normalizeKey(key);
    assertSessionKey(accepted, this.limits);
    return accepted;
  }

  /** Of a read, checked. @throws `TypeError` */
  protected readOptions(given: ReadOptions | undefined): ReadOptions | undefined {
    if (given === undefined) return this.#readOptions;
    requireObject(given, "options");
    requireKnownNames(given, "reading", READ_OPTIONS);
    const staleOkMs = optionalInteger(given.staleOkMs, "options.staleOkMs", 0);
    return staleOkMs === undefined ? this.#readOptions : { staleOkMs };
  }

  /** @param doing As in "could not <doing>"; with a key, of the session that the caller named. */
  protected requireOpen(doing: string, key?: string): void {
    if (this.#closing === undefined) return;
    const what = key === undefined ? doing : `${doing} session ${JSON.stringify(key)}`;
    throw new SessionStoreError(
      "closed",
      `could not ${what}: the session store was closed. Open it again to use it.`,
      key === undefined ? {} : { data: { key } },
    );
  }

  /** @param doing As in "could not <doing> session …". */
  protected requireWritable(doing: string, key: string): void {
    if (this.#readOnly) throw readOnlyError(`${doing} session ${JSON.stringify(key)}`);
  }

  /** Waits for a call that `close` must wait for too. */
  protected async run<R>(result: MaybePromise<R> | PromiseLike<R>): Promise<R> {
    this.begin();
    try {
      return await result;
    } finally {
      this.finish();
    }
  }

  /** From here to {@link finish} `close` waits. */
  protected begin(): void {
    this.#running += 1;
  }

  protected finish(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#whenIdle?.();
  }
}
