/**
 * Follows the log for `watch`: every change in log order, from any revision that the live log still has.
 *
 * A watcher is in one of two phases. It *replays* with a tail of its own until that stands at the very position of
 * the shared one; in the same instant it goes *live* and is fed by whatever the shared tail reads. When it falls
 * behind (a slow consumer, a process that slept through segments) it replays again from what it delivered last.
 * If the log no longer has that, it ends with `revision_too_old`: there is never a silent gap.
 *
 * Changes of other processes are noticed through the system's own notifications of `log/`; where there are none,
 * by polling, and a warning says so.
 */
import { SessionStoreError } from "../../errors.js";
import { LogTail, type LogObserver } from "../../log/tail.js";
import type { LogRecord } from "../../format/log-line.js";
import type { Segment } from "../../log/segment.js";
import type { Timer } from "../../runtime.js";
import type { EngineChange } from "../contract.js";
import { storedAfter, type SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";

/** A consumer that is further behind goes back to replaying, so its memory is bounded. */
const QUEUE_MAX = 10_000;
const POLL_MS = 100;

interface Subscription {
  queue: EngineChange[];
  /** False while replaying: then the shared tail's news are not queued. */
  live: boolean;
  wake: (() => void) | undefined;
}

export interface ChangesOptions {
  readonly since: number | undefined;
  readonly prefix: string;
  readonly signal: AbortSignal | undefined;
}

export class ChangeFeed {
  readonly #subscriptions = new Set<Subscription>();
  #stopWatching: (() => void) | undefined;
  #poll: Timer | undefined;
  #closed = false;

  constructor(private readonly log: SessionLog) {
    log.listeners.add({
      changed: (state) => this.#deliver(state),
      startedOver: () => {
        for (const subscription of this.#subscriptions) {
          subscription.live = false;
          subscription.wake?.();
        }
      },
    });
  }

  /** The position "now" is taken here, not at the first `next()`. */
  changes(options: ChangesOptions): AsyncIterable<EngineChange> {
    this.log.tail.catchUp();
    const now = this.log.tail.revision;
    const since = options.since ?? now;
    const subscription: Subscription = { queue: [], live: since >= now, wake: undefined };
    if (options.signal?.aborted === true) return this.#follow(subscription, { ...options, since });
    this.#add(subscription);
    // Listened to from here on: nobody may ever ask for the first change.
    const onAbort = (): void => {
      this.#remove(subscription);
      subscription.wake?.();
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    return this.#follow(subscription, { ...options, since }, onAbort);
  }

  close(): void {
    this.#closed = true;
    for (const subscription of this.#subscriptions) subscription.wake?.();
    this.#subscriptions.clear();
    this.#stopNotifications();
  }

  async *#follow(
    subscription: Subscription,
    { since, prefix, signal }: ChangesOptions & { since: number },
    onAbort: () => void = () => {},
  ): AsyncGenerator<EngineChange> {
    let delivered = since;
    const stopped = (): boolean => this.#closed || signal?.aborted === true;
    try {
      while (!stopped()) {
        if (!subscription.live) {
          for await (const change of this.#replay(subscription, delivered)) {
            if (stopped()) return;
            delivered = change.revision;
            if (change.key.startsWith(prefix)) yield change;
          }
        }
        const batch = subscription.queue;
        subscription.queue = [];
        for (const change of batch) {
          if (stopped()) return;
          if (change.revision <= since) continue;
          delivered = change.revision;
          if (change.key.startsWith(prefix)) yield change;
        }
        if (batch.length === 0 && subscription.live && !stopped()) await this.#news(subscription);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#remove(subscription);
    }
  }

  #news(subscription: Subscription): Promise<void> {
    const letGo = this.log.options.runtime.keepAlive(); // somebody waits for news
    return new Promise((resolve) => {
      subscription.wake = () => {
        subscription.wake = undefined;
        letGo();
        resolve();
      };
    });
  }

  /** Changes above `since` up to the shared tail's position; then the subscription is live. */
  async *#replay(subscription: Subscription, since: number): AsyncGenerator<EngineChange> {
    const { log } = this;
    let replay = new Replay(log, since);
    let delivered = since;
    try {
      while (!this.#closed) {
        const more = replay.tail.advance();
        if (replay.outrun) {
          replay.tail.close();
          replay = new Replay(log, delivered); // the log may still have what comes next
          continue;
        }
        for (const change of replay.take()) {
          delivered = change.revision;
          yield change;
        }
        if (more) {
          await log.options.runtime.yieldToEventLoop();
          continue; // to the check whether the store was closed meanwhile
        }
        if (this.#closed) return;
        log.tail.catchUp();
        if (replay.standsAt(log.tail)) {
          subscription.queue = [];
          subscription.live = true; // in the same instant: what comes from now on is queued
          return;
        }
      }
    } finally {
      replay.tail.close();
    }
  }

  #deliver(state: SessionState): void {
    if (this.#subscriptions.size === 0) return;
    const change = changeOf(state);
    for (const subscription of this.#subscriptions) {
      if (!subscription.live) continue;
      subscription.queue.push(change);
      if (subscription.queue.length > QUEUE_MAX) {
        subscription.live = false;
        subscription.queue = [];
      }
      subscription.wake?.();
    }
  }

  #add(subscription: Subscription): void {
    this.#subscriptions.add(subscription);
    if (this.#subscriptions.size === 1) this.#startNotifications();
  }

  #remove(subscription: Subscription): void {
    if (this.#subscriptions.delete(subscription) && this.#subscriptions.size === 0) this.#stopNotifications();
  }

  #startNotifications(): void {
    const { fs, layout } = this.log.options;
    this.#stopWatching = fs.watch(
      layout.log,
      () => this.#look(),
      () => this.#startPolling(),
    );
    if (this.#stopWatching === undefined) this.#startPolling();
    this.#look(); // what was appended before the notifications began
  }

  /** The system does not notify, or no longer. */
  #startPolling(): void {
    if (this.#closed || this.#subscriptions.size === 0 || this.#poll !== undefined) return;
    const { layout, onWarning } = this.log.options;
    onWarning({
      code: "watch_polling",
      message: `the system cannot notify about ${layout.log}: watching looks every ${POLL_MS} ms instead.`,
      data: { path: layout.log, pollMs: POLL_MS },
    });
    this.#pollAgain();
  }

  #pollAgain(): void {
    this.#poll = this.log.options.runtime.setTimer(() => {
      this.#look();
      this.#pollAgain();
    }, POLL_MS);
  }

  #stopNotifications(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#poll?.cancel();
    this.#poll = undefined;
  }

  #look(): void {
    try {
      if (!this.#closed) this.log.tail.catchUp();
    } catch (error) {
      // The next call on the store meets the same trouble and reports it to somebody who waits for an answer.
      const { onWarning, layout } = this.log.options;
      const message = error instanceof Error ? error.message : String(error);
      onWarning({
        code: "watch_failed",
        message: `${layout.log} cannot be read: ${message}`,
        data: { path: layout.log },
      });
    }
  }
}

/** Reads the live log from its beginning and keeps the changes above a revision. */
class Replay implements LogObserver {
  readonly tail: LogTail;
  #changes: EngineChange[] = [];
  #states = new Map<string, SessionState>();
  #epochs = 0;
  #first: number | undefined;

  constructor(
    private readonly log: SessionLog,
    private readonly since: number,
  ) {
    const { fs, layout, storeId } = log.options;
    this.tail = new LogTail(fs, layout, storeId, "read", this);
  }

  /** Whole segments went while this process was reading: there may be a gap, so begin anew. */
  get outrun(): boolean {
    return this.#epochs > 1;
  }

  take(): EngineChange[] {
    this.#assertReaches();
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  standsAt(other: LogTail): boolean {
    return (
      this.tail.active.number === other.active.number && this.tail.active.position === other.active.position
    );
  }

  committed(_segment: Segment, record: LogRecord, revision: number): void {
    for (const op of record.ops) {
      if (op.s === undefined && op.p === undefined && op.d === undefined) continue;
      const stored = storedAfter(op, this.#states.get(op.k));
      const state = new SessionState(op.k, revision, record.t, stored, this.log.options.decode);
      this.#states.set(op.k, state);
      if (revision > this.since) this.#changes.push(changeOf(state));
    }
  }

  entered(): void {
    this.#states = new Map(); // rule 4: every segment can be understood by itself
  }

  startedOver(): void {
    this.#epochs++;
    this.#states = new Map();
  }

  dropped(): void {}

  foundHole(): void {}

  /** The lowest segment that was read must begin no later than right behind `since`. */
  #assertReaches(): void {
    const first = this.#lowestFirst();
    if (first === undefined || first <= this.since + 1) return;
    const revision = this.log.tail.revision;
    throw new SessionStoreError(
      "revision_too_old",
      `the log no longer has the changes right after revision ${this.since}: list the sessions, then watch since ` +
        `${revision}, the revision from before the listing.`,
      { data: { since: this.since, revision } },
    );
  }

  #lowestFirst(): number | undefined {
    this.#first ??= this.tail.segments[0]?.ledger.firstRevision;
    return this.#first;
  }
}

function changeOf(state: SessionState): EngineChange {
  const { key, revision } = state;
  if (state.stored === undefined) return { key, revision, kind: "delete" };
  return { key, revision, kind: "put", record: state };
}
