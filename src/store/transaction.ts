/**
 * Transactions: optimistic, serializable, several keys.
 *
 * One attempt runs the caller's function against a view that remembers the revision of every key it read and
 * buffers every write. The commit is ONE engine commit: written keys with the revision they were read at as base
 * (none if never read: a blind write), keys that were only read as check ops, and the ops on transcripts
 * (transaction-transcripts.ts). Either all bases hold at one instant and all writes happen there, or nothing does and the function
 * runs again.
 *
 * A transaction that wrote nothing makes no record in the log. An engine that answers at once has its reads
 * compared in one synchronous pass, which is an instant; an engine that answers with promises is given the
 * check ops. A single read needs neither.
 *
 * From the second attempt on, an attempt holds the turns (key-queue.ts) of all keys the one before touched, taken in the
 * order of the keys. So transactions of one process that collide go one after the other instead of colliding
 * until their attempts run out.
 */
import { isSessionDamaged, SessionStoreError } from "../errors.js";
import {
  isCheck,
  type EngineOp,
  type EngineRecord,
  type Operation,
  type RecordOp,
} from "../engine/contract.js";
import type { Limits } from "../format/limits.js";
import type { Runtime } from "../runtime.js";
import { requireObject } from "./arguments.js";
import { isPromiseLike, type EngineCalls } from "./engine-calls.js";
import type { KeyQueue } from "./key-queue.js";
import { beforeRetry, lacksValue, throwIfAborted } from "./retry.js";
import { TransactionTranscriptViews } from "./transaction-transcripts.js";
import type { SessionRecord, Transaction } from "./types.js";

/** A pass over a few keys takes microseconds; when others commit in between every time, the function runs again. */
const VALIDATION_PASSES_MAX = 20;

/** What a transaction needs of its store. */
export interface TransactionHost {
  readonly calls: EngineCalls;
  readonly queue: KeyQueue;
  readonly runtime: Runtime;
  readonly limits: Limits;
  /** Normalizes and checks a key. */
  readonly acceptKey: (key: string) => string;
  /** Throws where the store takes no writes. */
  readonly requireWritable: (key: string) => void;
}

/** How a transaction ended. `durable` settles when its commit is. */
export type TransactionResult<R> = {
  readonly durable: Promise<void> | undefined;
  readonly keys: readonly string[];
} & (
  | { readonly repeated: false; readonly result: R; readonly revision: number | undefined }
  | { readonly repeated: true; readonly revision: number }
);

export interface TransactionOptions {
  readonly signal: AbortSignal | undefined;
  readonly operation: Operation | undefined;
}

/** Runs `fn` until an attempt commits, it throws on consistent reads, or the attempts run out. */
export async function runTransaction<T extends object, R>(
  host: TransactionHost,
  fn: (tx: Transaction<T>) => R | Promise<R>,
  { signal, operation }: TransactionOptions,
): Promise<TransactionResult<R>> {
  let held: string[] = [];
  try {
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(signal);
      const done = operation && (await host.calls.operation(operation));
      if (done !== undefined) return { repeated: true, revision: done, durable: undefined, keys: [] };
      const view = new TransactionView<T>(host);
      const ran = await runOnce(view, fn);
      if (!ran.failed) throwIfAborted(signal);
      const outcome = ran.failed
        ? await view.validate(lacksValue(ran.error) ? 1 : 2)
        : await view.commit(operation);
      if (outcome.status !== "conflict") {
        const { durable, revision } = outcome;
        const keys = view.keys();
        if (outcome.status === "repeated")
          return { repeated: true, revision: outcome.revision, durable, keys };
        if (ran.failed) throw ran.error;
        return { repeated: false, result: ran.result, revision, durable, keys };
      }
      const pause = retryOrThrow(host, outcome.key, attempt, signal, ran);
      host.queue.leaveAll(held);
      held = [];
      await pause;
      held = await host.queue.enterAll(view.keys(), signal);
    }
  } finally {
    host.queue.leaveAll(held);
  }
}

type Ran<R> = { failed: false; result: R } | { failed: true; error: unknown };

async function runOnce<T extends object, R>(
  view: TransactionView<T>,
  fn: (tx: Transaction<T>) => R | Promise<R>,
): Promise<Ran<R>> {
  try {
    return { failed: false, result: await fn(view.transaction) };
  } catch (error) {
    return { failed: true, error };
  } finally {
    view.end();
  }
}

function retryOrThrow(
  host: TransactionHost,
  key: string,
  attempt: number,
  signal: AbortSignal | undefined,
  ran: Ran<unknown>,
): Promise<void> | undefined {
  try {
    return beforeRetry(host.runtime, "commit the transaction", key, attempt, signal);
  } catch (error) {
    // Out of attempts, and the function itself never got through: its error says more than the conflict.
    throw ran.failed ? ran.error : error;
  }
}

/** What became of one attempt; reads that were consistent count as committed. */
type AttemptOutcome =
  | {
      readonly status: "committed";
      readonly revision?: number;
      readonly durable?: Promise<void> | undefined;
    }
  | { readonly status: "repeated"; readonly revision: number; readonly durable?: Promise<void> | undefined }
  | { readonly status: "conflict"; readonly key: string };

const CONSISTENT: AttemptOutcome = { status: "committed" };

/** The buffered change of one key; the latest decides. */
type Change =
  | { readonly kind: "set"; readonly entry: object }
  | { readonly kind: "patch"; readonly fields: object }
  /** `transcripts`: there are some to delete, whether there is a record or not. */
  | { readonly kind: "delete"; readonly transcripts: boolean };

interface Touched {
  /** Whether `base` is known, and with it the revision that the commit depends on. */
  read: boolean;
  base: EngineRecord | undefined;
  change: Change | undefined;
}

class TransactionView<T extends object> {
  readonly #host: TransactionHost;
  readonly #touched = new Map<string, Touched>();
  #ended = false;

  readonly #transcripts: TransactionTranscriptViews;
  /** What the caller's function gets: only the methods. */
  readonly transaction: Transaction<T>;

  constructor(host: TransactionHost) {
    this.#host = host;
    this.#transcripts = new TransactionTranscriptViews({
      ...host,
      accept: (key, write) => this.#accept(key, write),
      requireRunning: () => this.#requireRunning(),
    });
    this.transaction = {
      get: async (key) => currentEntry(await this.#read(key)) as Readonly<T> | undefined,
      read: async (key) => this.#recordOf(key, await this.#read(key)),
      put: async (key, entry) => this.#put(key, entry),
      patch: async (key, fields) => this.#patch(key, fields),
      delete: async (key) => this.#delete(key),
      ...this.#transcripts.methods,
    };
  }

  end(): void {
    this.#ended = true;
  }

  keys(): string[] {
    return [...new Set([...this.#touched.keys(), ...this.#transcripts.keys()])];
  }

  async commit(operation: Operation | undefined): Promise<AttemptOutcome> {
    const records = [...this.#touched]
      .map(([key, touched]) => opOf(key, touched, this.#transcripts.beganAgain(key)))
      .filter((op) => op !== undefined);
    const deleted = new Set(records.filter(({ kind }) => kind === "delete").map(({ key }) => key));
    const ops: EngineOp[] = [...records, ...this.#transcripts.ops(deleted)];
    if (ops.every(isCheck)) return this.validate();
    const outcome = await this.#host.calls.commit(ops, operation && { operation });
    return outcome.status === "unchanged" ? CONSISTENT : outcome;
  }

  /**
   * Whether everything that was read still is as it was, at one instant.
   * @param readsMin Fewer reads than that are consistent by themselves.
   */
  async validate(readsMin = 2): Promise<AttemptOutcome> {
    const reads = [...this.#touched].filter(([, touched]) => touched.read);
    if (reads.length + this.#transcripts.reads < readsMin) return CONSISTENT;
    // A missing session has no revision of its own, so the pass must be one instant: no other process committed
    // meanwhile.
    for (let pass = 0; pass < VALIDATION_PASSES_MAX; pass++) {
      const before = this.#host.calls.revision();
      if (isPromiseLike(before)) return this.#commitChecks(reads);
      for (const [key, { base }] of reads) {
        const found = this.#host.calls.read(key);
        if (isPromiseLike(found)) {
          await found;
          return this.#commitChecks(reads);
        }
        if (found?.revision !== base?.revision) return { status: "conflict", key };
      }
      const changed = this.#transcripts.findChanged();
      if (changed === "later") return this.#commitChecks(reads);
      if (changed !== undefined) return { status: "conflict", key: changed.key };
      if (this.#host.calls.revision() === before) return CONSISTENT;
    }
    return { status: "conflict", key: this.keys()[0] ?? "" };
  }

  async #commitChecks(reads: readonly [string, Touched][]): Promise<AttemptOutcome> {
    const records = reads.map(([key, { base }]): EngineOp => ({
      kind: "check",
      key,
      base: base?.revision ?? 0,
    }));
    const ops = [...records, ...this.#transcripts.checks()];
    const outcome = await this.#host.calls.commit(ops, { skipUnchanged: true });
    return outcome.status === "conflict" ? outcome : CONSISTENT;
  }

  #accept(key: string, write: boolean): string {
    this.#requireRunning();
    const accepted = this.#host.acceptKey(key);
    if (write) this.#host.requireWritable(accepted);
    return accepted;
  }

  #requireRunning(): void {
    if (this.#ended) throw new TypeError("this transaction is over: its function has returned");
  }

  #touch(key: string): Touched {
    let touched = this.#touched.get(key);
    if (touched === undefined) {
      touched = { read: false, base: undefined, change: undefined };
      this.#touched.set(key, touched);
    }
    return touched;
  }

  /** The key's state with its own writes; reads it from the engine unless a write already says everything. */
  async #read(given: string): Promise<Touched> {
    const key = this.#accept(given, false);
    const touched = this.#touch(key);
    return touched.change === undefined ? this.#load(key, touched) : touched;
  }

  /** Adds the key to the read set. */
  async #load(key: string, touched: Touched): Promise<Touched> {
    if (touched.read) return touched;
    const reading = this.#host.calls.read(key);
    const found = isPromiseLike(reading) ? await reading : reading;
    if (this.#ended)
      throw new TypeError("this transaction is over: its function returned before this read did");
    // Two reads of one key under way: the first answer stays, or the key would change between reads.
    if (!touched.read) {
      touched.base = found;
      touched.read = true;
    }
    return touched;
  }

  #recordOf(given: string, touched: Touched): SessionRecord<T> | undefined {
    const entry = currentEntry(touched);
    if (entry === undefined) return undefined;
    const { base } = touched;
    return {
      key: base?.key ?? this.#host.acceptKey(given),
      entry: entry as Readonly<T>,
      revision: base?.revision ?? 0,
      modifiedAt: base?.modifiedAt ?? this.#host.runtime.now(),
    };
  }

  #put(given: string, entry: object): void {
    const key = this.#accept(given, true);
    this.#touch(key).change = { kind: "set", entry: requireObject(entry, "entry") };
  }

  async #patch(given: string, fields: object): Promise<void> {
    const key = this.#accept(given, true);
    requireObject(fields, "fields");
    const touched = this.#touch(key);
    if (touched.change === undefined) await this.#load(key, touched);
    const current = currentEntry(touched);
    if (current === undefined) {
      if (this.#host.calls.isInDoubt(key)) await this.#host.calls.refuseInDoubt(key, touched.base);
      throw notFound(key);
    }
    // Two patches in a row would have to be merged with the order of fields in mind; the whole entry is simpler.
    touched.change =
      touched.change === undefined
        ? { kind: "patch", fields: { ...fields } }
        : { kind: "set", entry: merged(current, fields) };
  }

  async #delete(given: string): Promise<boolean> {
    const key = this.#accept(given, true);
    const touched = this.#touch(key);
    // Also after an own put: the commit must know whether there is anything to delete.
    const damaged = await this.#loadUnlessDamaged(key, touched);
    const transcripts = await this.#transcripts.removeAll(key);
    const existed = damaged || transcripts || currentEntry(touched) !== undefined;
    touched.change = { kind: "delete", transcripts };
    return existed;
  }

  /** @returns Whether the session may be there and cannot be read: then it is deleted whatever its revision. */
  async #loadUnlessDamaged(key: string, touched: Touched): Promise<boolean> {
    if (!touched.read && this.#host.calls.isInDoubt(key)) return true;
    try {
      await this.#load(key, touched);
      return false;
    } catch (error) {
      if (!isSessionDamaged(error)) throw error;
      return true;
    }
  }
}

function currentEntry({ base, change }: Touched): object | undefined {
  switch (change?.kind) {
    case undefined:
      return base?.entry;
    case "set":
      return change.entry;
    case "patch":
      return merged(base?.entry ?? {}, change.fields);
    case "delete":
      return undefined;
  }
}

/**
 * The commit's op of a key; undefined for a key that was touched but neither read nor changed.
 * @param beganAgain There are transcripts with items of this transaction.
 */
function opOf(key: string, { read, base, change }: Touched, beganAgain: boolean): RecordOp | undefined {
  const revision = base?.revision ?? 0;
  switch (change?.kind) {
    case undefined:
      return read ? { kind: "check", key, base: revision } : undefined;
    case "set":
      return read
        ? { kind: "set", key, base: revision, entry: change.entry }
        : { kind: "set", key, entry: change.entry };
    case "patch":
      return { kind: "patch", key, base: revision, fields: change.fields };
    case "delete":
      if (beganAgain && !(read && base === undefined)) throw begunAgain(key);
      if (!read) return { kind: "delete", key };
      return base === undefined && (beganAgain || !change.transcripts)
        ? { kind: "check", key, base: 0 }
        : { kind: "delete", key, base: revision };
  }
}

/** A delete takes all transcripts with it, those too that would be begun in the same commit. */
function begunAgain(key: string): TypeError {
  return new TypeError(
    `session ${JSON.stringify(key)} was deleted in this transaction, and a transcript of it begun again: put its record again too, or ` +
      "do it in two transactions",
  );
}

/** An entry after a patch: changed fields stay where they are, new ones follow, undefined ones are gone. */
function merged(entry: object, fields: object): object {
  const values = new Map<string, unknown>(Object.entries(entry));
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) values.delete(name);
    else values.set(name, value);
  }
  // fromEntries defines fields instead of assigning them: "__proto__" is a field like any other.
  return Object.freeze(Object.fromEntries(values));
}

export function notFound(key: string): SessionStoreError {
  return new SessionStoreError(
    "not_found",
    `there is no session ${JSON.stringify(key)} to patch. Create it with put or update first.`,
    { data: { key } },
  );
}
