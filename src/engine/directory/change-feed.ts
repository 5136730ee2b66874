/**
 * Follows the log for `watch`: every change in log order, from any revision that the live log still has.
 *
 * A watcher is in one of two phases. It *replays* with a tail of its own (`replay.ts`) until that stands at the very position of
 * the shared one; in the same instant it goes *live* and is fed by whatever the shared tail reads. When it falls
 * behind (a slow consumer, a process that slept through segments) it replays again from what it delivered last.
 * If the log no longer has that, it ends with `revision_too_old`: there is never a silent gap. If the log never had it (the
 * store was restored to an older state), it ends with `revision_unknown`, at once.
 *
 * Changes are kept and delivered by commit, so that a watch is never behind by half a transaction; the last change of a
 * commit says so: a consumer that saves its revision must not do so before that one.
 *
 * Changes of other processes are noticed through the system's own notifications of `log/`; where there are none,
 * by polling, and a warning says so. A log that is no longer there makes no more notifications, so a timer checks
 * that it is in its place; if it is not, the watchers end with `store_gone`.
 */
import { SessionStoreError } from "../../errors.js";
import { isStoreGone, PLACE_CHECK_MS } from "../../log/store-place.js";
import type { Timer } from "../../runtime.js";
import type { EngineChange } from "../contract.js";
import { Replay, revisionOf, type Commit } from "./replay.js";
import type { SessionLog } from "./session-log.js";
import { SessionState } from "./session-table.js";
import { newsOf, type TranscriptNews } from "./transcripts/transcript-news.js";

/** A consumer that is further behind goes back to replaying, so its memory is bounded: by commits, and by what they hold. */
const QUEUE_MAX = 10_000;
const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
const POLL_MS = 100;

interface Subscription {
  readonly prefix: string;
  queue: Commit[];
  queuedBytes: number;
  /** False while replaying: then the shared tail's news are not queued. */
  live: boolean;
  wake: (() => void) | undefined;
  /** Why it ends. */
  failure?: SessionStoreError;
}

export interface ChangesOptions {
  readonly since: number | undefined;
  readonly prefix: string;
  readonly signal: AbortSignal | undefined;
}

export class ChangeFeed {
  readonly #subscriptions = new Set<Subscription>();
  /** The changes of the commit that is being read. */
  #commit: (SessionState | TranscriptNews)[] = [];
  #stopWatching: (() => void) | undefined;
  #poll: Timer | undefined;
  #placeTimer: Timer | undefined;
  #closed = false;

  constructor(private readonly log: SessionLog) {
    log.listen({
      changed: (state, last) => this.#collect(state, last),
      transcriptChanged: (effect, last, commit) => this.#collect(newsOf(effect, commit), last),
      rewound: () => this.#readAgain(),
      foundGap: () => this.#readAgain(), // and find out that it cannot
    });
  }

  /** The position "now" is taken here, not at the first `next()`. */
  changes(options: ChangesOptions): AsyncIterable<EngineChange> {
    this.log.catchUp();
    const now = this.log.revision;
    const since = options.since ?? now;
    const { prefix } = options;
    const subscription: Subscription = {
      prefix,
      queue: [],
      queuedBytes: 0,
      live: since === now,
      wake: undefined,
    };
    if (options.signal?.aborted === true) return this.#follow(subscription, { ...options, since });
    if (since > now) return failing(unknownRevision(since, now));
    // What is in doubt may have come before now or after it, unless the log goes on in a segment behind it.
    if (this.log.doubts.damagedSegment === this.log.active.number) return failing(this.log.doubts.refusal());
    this.#add(subscription);
    // Listened to from here on: the consumer may never ask for the first change.
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
        const commits = subscription.live ? takeQueue(subscription) : this.#replay(subscription, delivered);
        for await (const commit of commits) {
          for (const change of changesOf(commit, prefix)) {
            if (stopped()) return;
            yield change;
          }
          delivered = revisionOf(commit);
        }
        if (subscription.failure !== undefined) throw subscription.failure;
        // Nothing may come between this check and the wait: it would be noticed only with the next commit.
        if (subscription.live && subscription.queue.length === 0 && !stopped())
          await this.#news(subscription);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#remove(subscription);
    }
  }

  #news(subscription: Subscription): Promise<void> {
    const letGo = this.log.options.runtime.keepAlive(); // a consumer waits for news
    return new Promise((resolve) => {
      subscription.wake = () => {
        subscription.wake = undefined;
        letGo();
        resolve();
      };
    });
  }

  /** Changes above `since` up to the shared tail's position; then the subscription is live. */
  async *#replay(subscription: Subscription, since: number): AsyncGenerator<Commit> {
    const { log } = this;
    let replay = new Replay(log, since);
    let delivered = since;
    try {
      while (!this.#closed) {
        const { number, position } = log.active;
        const more = replay.tail.advance();
        if (replay.outrun) {
          replay.tail.close();
          replay = new Replay(log, delivered); // the log may still have what comes next
          continue;
        }
        for (const commit of replay.take(more)) {
          delivered = revisionOf(commit);
          yield commit;
        }
        if (more) {
          await log.options.runtime.yieldToEventLoop();
          continue; // to the check whether the store was closed meanwhile
        }
        if (this.#closed) return;
        replay.assertReaches(number, position);
        log.catchUp();
        replay.assertWholeAtEnd();
        if (replay.standsAt(log.active)) {
          takeQueue(subscription);
          subscription.live = true; // in the same instant: what comes from now on is queued
          return;
        }
      }
    } finally {
      replay.tail.close();
    }
  }

  #readAgain(): void {
    this.#commit = [];
    for (const subscription of this.#subscriptions) {
      subscription.live = false;
      subscription.wake?.();
    }
  }

  #collect(news: SessionState | TranscriptNews, last: boolean): void {
    if (this.#subscriptions.size === 0) return;
    this.#commit.push(news);
    if (!last) return;
    const commit = this.#commit;
    this.#commit = [];
    for (const subscription of this.#subscriptions) if (subscription.live) deliver(subscription, commit);
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
      () => this.#readNews(),
      () => this.#startPolling(),
    );
    if (this.#stopWatching === undefined) this.#startPolling();
    this.#watchPlace();
    this.#readNews(); // what was appended before the notifications began
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
      this.#readNews();
      this.#pollAgain();
    }, POLL_MS);
  }

  #watchPlace(): void {
    this.#placeTimer = this.log.options.runtime.setTimer(() => {
      this.#watchPlace();
      this.#orWarn(() => this.log.assertInPlace());
    }, PLACE_CHECK_MS);
  }

  #stopNotifications(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#poll?.cancel();
    this.#poll = undefined;
    this.#placeTimer?.cancel();
    this.#placeTimer = undefined;
  }

  #end(failure: SessionStoreError): void {
    for (const subscription of this.#subscriptions) {
      subscription.failure = failure;
      subscription.wake?.();
    }
    this.#subscriptions.clear();
    this.#stopNotifications();
  }

  #readNews(): void {
    this.#orWarn(() => this.log.catchUp());
  }

  #orWarn(read: () => void): void {
    try {
      if (!this.#closed) read();
    } catch (failure) {
      const error = this.log.explain(failure);
      if (isStoreGone(error)) return this.#end(error);
      // The next call on the store meets the same trouble and reports it to a caller who waits for an answer.
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

/** Queues a commit, or lets the watch fall back to replaying if that would be too much. */
function deliver(subscription: Subscription, commit: Commit): void {
  const matching = commit.filter(({ key }) => key.startsWith(subscription.prefix));
  if (matching.length === 0) return;
  subscription.queue.push(matching);
  for (const state of matching) subscription.queuedBytes += state.bytes;
  if (subscription.queue.length > QUEUE_MAX || subscription.queuedBytes > QUEUE_BYTES_MAX) {
    subscription.live = false;
    takeQueue(subscription);
  }
  subscription.wake?.();
}

function takeQueue(subscription: Subscription): Commit[] {
  const { queue } = subscription;
  subscription.queue = [];
  subscription.queuedBytes = 0;
  return queue;
}

/** What a watch of this prefix is told of a commit. */
function changesOf(commit: Commit, prefix: string): EngineChange[] {
  const matching = commit.filter(({ key }) => key.startsWith(prefix));
  return matching.map((state, index): EngineChange => {
    const { key, revision, modifiedAt } = state;
    const last = index === matching.length - 1;
    if (!(state instanceof SessionState))
      return { key, revision, kind: "transcript", transcript: state.transcript, modifiedAt, last };
    if (state.stored === undefined) return { key, revision, kind: "delete", modifiedAt, last };
    return { key, revision, kind: "put", modifiedAt, last, record: state };
  });
}

/** An iteration that has nothing to give but an error. */
function failing(error: SessionStoreError): AsyncIterable<EngineChange> {
  const next = async (): Promise<never> => {
    throw error;
  };
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

function unknownRevision(since: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_unknown",
    `the store has never had revision ${since}; it is at ${revision}. It was restored to an older state, or this is ` +
      `another store: list the sessions, then watch since ${revision}, the revision from before the listing.`,
    { data: { since, revision } },
  );
}
