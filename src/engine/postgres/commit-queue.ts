/**
 * Commits wait here for their batch. One batch is under way at a time; what comes meanwhile goes with the next one, so that many
 * commits share a round trip and a flush of the server's disk.
 *
 * A batch whose answer did not come is looked up, never guessed: the server process that may still be at it is ended first;
 * then the log tells, by the name that the batch gave its changes, whether all of it counts or nothing.
 */
import { isSessionDamaged, SessionStoreError } from "../../errors.js";
import type { CommitOutcome } from "../contract.js";
import { Batch, type BatchOptions, type Decided, type Ended, type Trace } from "./batch.js";
import type { Waiting } from "./decide.js";
import { gone } from "./feed.js";
import { toKeyText } from "./key-text.js";
import type { Place } from "./place.js";
import { bytesOf, removesItems } from "./prepared-op.js";
import {
  asServerError,
  isBroken,
  isReadOnlyServer,
  isToBeRepeated,
  isTransient,
  messageOf,
  type Backend,
  type Lent,
  type Server,
} from "./server.js";
import { sqlStateOf } from "./schema.js";
import type { Runtime } from "../../runtime.js";

export interface CommitQueueOptions extends BatchOptions {
  readonly server: Server;
  readonly runtime: Runtime;
  /** How long a commit is tried again while the server cannot be reached, in milliseconds. */
  readonly unavailableMs: number;
  /** What has to be over before the next batch. */
  readonly before: () => Promise<unknown>;
  /** Called for every batch that committed, before its commits are answered. `last`: its highest revision, undefined if it has none. */
  readonly onCommitted: (commits: number, last: number | undefined, batch: string) => void;
}

interface Queued extends Waiting {
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (error: unknown) => void;
}

/** More commits in one batch gain nothing, and wait longer for each other. */
const BATCH_MAX = 64;
const BATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Others were in the way each time; this often in a row means that something is wrong. */
const ATTEMPTS_MAX = 50;
const PAUSE_MS_MAX = 500;
/** How long a server process that is told to end is waited for. */
const FENCE_MS = 2000;
const FENCES_MAX = 30;

export class CommitQueue {
  #queued: Queued[] = [];
  #running: Promise<void> | undefined;

  constructor(private readonly options: CommitQueueOptions) {}

  add(waiting: Waiting): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      this.#queued.push({ ...waiting, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    await this.options.runtime.yieldToEventLoop(); // what the same turn of the program commits goes together
    while (this.#queued.length > 0) {
      await this.options.before();
      await this.#runBatch(this.#take());
    }
    this.#running = undefined;
  }

  /**
   * The next commits, in their order. What removes items of a session is alone with it in its batch, for what it leaves is looked
   * up in the database before anything is decided.
   */
  #take(): Queued[] {
    const taken: Queued[] = [];
    const left: Queued[] = [];
    const touched = new Set<string>();
    const closed = new Set<string>();
    let bytes = 0;
    for (const queued of this.#queued) {
      const { ops } = queued;
      const size = ops.reduce((sum, op) => sum + bytesOf(op), 0);
      const removed = ops.filter(removesItems).map(({ key }) => key);
      const waits =
        taken.length === BATCH_MAX ||
        (taken.length > 0 && bytes + size > BATCH_BYTES_MAX) ||
        ops.some(({ key }) => closed.has(key)) ||
        removed.some((key) => touched.has(key));
      if (waits) left.push(queued);
      else {
        taken.push(queued);
        bytes += size;
      }
      for (const { key } of ops) touched.add(key);
      for (const key of waits ? ops.map(({ key }) => key) : removed) closed.add(key);
    }
    this.#queued = left;
    return taken;
  }

  async #runBatch(queued: readonly Queued[]): Promise<void> {
    try {
      const { base, decisions } = await this.#untilDecided(queued);
      for (const [index, decided] of decisions.entries()) answer(queued[index]!, decided, base);
    } catch (error) {
      // One of them, or all together, may be what the database refuses, or what is longer than a text can be: the others are not to suffer from it.
      if (queued.length > 1 && (isRefusal(error) || error instanceof RangeError || isSessionDamaged(error)))
        for (const one of queued) await this.#runBatch([one]);
      else for (const { reject } of queued) reject(asServerError(error));
    }
  }

  /** @throws what nothing but another state of the database, or another commit, can change. */
  async #untilDecided(
    queued: readonly Queued[],
  ): Promise<{ readonly base: number; readonly decisions: readonly Decided[] }> {
    const { runtime, place, server, unavailableMs } = this.options;
    const end = runtime.monotonic() + unavailableMs;
    for (let attempt = 1; ; attempt++) {
      let batch = new Batch(runtime.randomName(8), queued, this.options);
      const lent = await server.lend();
      let ended: Ended | undefined;
      let failure: unknown;
      try {
        ended = attempt === 1 ? await batch.runAssumed(lent) : undefined;
        if (ended === undefined) {
          batch = new Batch(runtime.randomName(8), queued, this.options);
          ended = await batch.run(lent);
        }
        lent.release(ended.kind === "unknown");
      } catch (error) {
        failure = error;
        // One that takes no writes is looked at anew, and so is its host.
        const broken = isBroken(error) || isReadOnlyServer(error) || !(await hasRolledBack(lent));
        lent.release(broken);
      }
      if (ended?.kind === "done") {
        const last = batch.written === 0 ? undefined : ended.base + batch.written;
        this.options.onCommitted(ended.decisions.length, last, batch.name);
        return ended;
      }
      if (ended?.kind === "unknown") {
        const base = await this.#lookUp(batch, ended, lent);
        if (base !== undefined) {
          this.options.onCommitted(ended.decisions.length, base + ended.commits, batch.name);
          return { base, decisions: ended.decisions };
        }
        failure = ended.cause;
      }
      const again = failure === undefined || isToBeRepeated(failure) || isOfOthers(failure);
      if (again && attempt < ATTEMPTS_MAX) await runtime.sleep(pauseMs(attempt, runtime));
      else if (!again && isPassing(failure) && runtime.monotonic() < end)
        await runtime.sleep(pauseMs(attempt, runtime));
      else throw failure === undefined ? overtaken(place, queued) : (failure as Error);
    }
  }

  /**
   * Whether a batch counts whose answer did not come: its base, or undefined, if nothing of it was written and never will be.
   * @throws `commit_unknown` if that cannot be found out.
   */
  async #lookUp(
    batch: Batch,
    ended: Extract<Ended, { kind: "unknown" }>,
    old: Lent,
  ): Promise<number | undefined> {
    const { runtime, unavailableMs } = this.options;
    const end = runtime.monotonic() + unavailableMs;
    for (let attempt = 1; ; attempt++) {
      try {
        const last = await this.#lastOf(batch, ended.trace, old.backend);
        return last === undefined ? undefined : last - ended.commits;
      } catch (error) {
        if (!isPassing(error) || runtime.monotonic() > end) throw unknownCommit(batch, ended.cause, error);
      }
      await runtime.sleep(pauseMs(attempt, runtime));
    }
  }

  /** The highest revision that a batch has in the log, when it can get no other one any more. */
  async #lastOf(
    { name }: Batch,
    { since, key }: Trace,
    backend: Backend | undefined,
  ): Promise<number | undefined> {
    const { server, place } = this.options;
    const lent = await server.lend();
    let broken = true;
    try {
      if (backend !== undefined) await this.#fence(lent, backend);
      const { schema, store } = place;
      const [row] = await lent.query(
        `select s.floor, (select max(rev) from ${schema}.log where store = $1 and batch = $2) as last,
  (select rev from ${schema}.session where store = $1 and key = $3) as now from ${schema}.store s where s.id = $1`,
        [store, name, key === undefined ? null : toKeyText(key)],
      );
      broken = false;
      if (row === undefined) throw gone(place);
      const { last, floor, now } = row;
      if (typeof last === "number") return last;
      if (Number(floor) <= since || (key !== undefined && now === since)) return undefined;
      throw new Error(`the log is complete from revision ${Number(floor)} on, and the commit may be older`);
    } finally {
      lent.release(broken);
    }
  }

  /** Ends the server process that may still be at the batch, so that what the log says is the last word. */
  async #fence(sql: Lent, { pid, since }: Backend): Promise<void> {
    const same = "from pg_stat_activity where pid = $1::int and backend_start = $2::timestamptz";
    for (let attempt = 0; attempt < FENCES_MAX; attempt++) {
      const rows = await sql.query(`select pg_terminate_backend(pid) ${same}`, [pid, since]);
      if (rows.length === 0) return;
      await this.options.runtime.sleep(FENCE_MS / FENCES_MAX);
    }
    throw new Error(`the server process ${pid} does not end`);
  }
}

function answer({ resolve, reject }: Queued, decided: Decided, base: number): void {
  if ("error" in decided) reject(decided.error);
  else resolve(decided.decision(base));
}

function unknownCommit(batch: Batch, lost: unknown, error: unknown): SessionStoreError {
  return new SessionStoreError(
    "commit_unknown",
    "the connection to the server was lost after a commit had been sent, and whether it counts could not be found out: " +
      `${messageOf(error)}. Read the session before trying again.`,
    { data: { batch: batch.name, sqlState: sqlStateOf(error) }, cause: lost },
  );
}

/** Leaves the connection as it was lent; false if it cannot be used any more. */
async function hasRolledBack(lent: Lent): Promise<boolean> {
  try {
    await lent.query("rollback");
    return true;
  } catch {
    return false;
  }
}

function pauseMs(attempt: number, runtime: Runtime): number {
  return Math.min(PAUSE_MS_MAX, 2 ** Math.min(attempt, 9)) * (0.5 + runtime.random());
}

/** Something that the database does not take, whoever else writes. */
function isRefusal(error: unknown): boolean {
  return sqlStateOf(error) !== undefined && !isTransient(error) && !isToBeRepeated(error);
}

/** unique_violation: others have committed the same operation, or item, meanwhile; lock_not_available: others hold it. */
function isOfOthers(error: unknown): boolean {
  return ["23505", "55P03"].includes(sqlStateOf(error) ?? "");
}

/** The server was not there, or did not take writes; nothing was written. */
function isPassing(error: unknown): boolean {
  return isTransient(error) || isReadOnlyServer(error);
}

function overtaken({ name }: Place, queued: readonly Queued[]): SessionStoreError {
  const keys = queued.flatMap(({ ops }) => ops.map(({ key }) => key)).join(", ");
  return new SessionStoreError(
    "conflict",
    `${keys}: ${ATTEMPTS_MAX} attempts to commit to store ${name} were overtaken by others`,
    { data: { key: queued[0]?.ops[0]?.key, attempts: ATTEMPTS_MAX } },
  );
}
