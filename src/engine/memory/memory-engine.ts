/**
 * The reference engine: a map, a counter and a history. The simplest thing that is a session store, for tests and for
 * reading next to `contract.ts`. Nothing survives the process, nothing is shared with another.
 *
 * Invariants: a commit checks every base and condition, and makes every entry, before it changes anything; revisions go up by one.
 */
import { SessionStoreError } from "../../errors.js";
import { equalJson } from "../../format/equal-json.js";
import { DEFAULT_LIMITS, type Limits } from "../../format/limits.js";
import { systemRuntime, type Runtime } from "../../runtime.js";
import {
  isCheck,
  type CommitOptions,
  type CommitOutcome,
  type Engine,
  type EngineChange,
  type EngineItemQuery,
  type EngineOp,
  type EnginePage,
  type EngineQuery,
  type EngineRecord,
  type EngineScan,
  type EngineStats,
  type EngineTranscript,
  type Operation,
  type RecordOp,
  type StatsOptions,
  type TranscriptOp,
  type TranscriptOutcome,
} from "../contract.js";
import { History, type PastChange } from "./history.js";
import { freezeEntry } from "../../format/frozen-entry.js";
import { Operations } from "./operations.js";
import { TranscriptTable } from "./transcript-table.js";

export interface MemoryEngineOptions {
  /** Default: the entry's own `updatedAt`, if that is a number. */
  readonly updatedAt?: ((entry: object) => number | undefined) | undefined;
  /** Default DEFAULT_LIMITS. `recordBytesMax` and `blobBytesMax` mean nothing here: no value is taken out. */
  readonly limits?: Limits | undefined;
  /** Default: the system's clock. */
  readonly runtime?: Runtime | undefined;
  /** Commits that `changes({ since })` can go back. Default 10,000. */
  readonly historyMax?: number | undefined;
  /** Bytes of JSON of the entries that these commits wrote. Default 64 MiB. */
  readonly historyBytesMax?: number | undefined;
}

const HISTORY_MAX = 10_000;
const HISTORY_BYTES_MAX = 64 * 1024 * 1024;

/** An empty store in memory. */
export function createMemoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  return new MemoryEngine(options);
}

type Position = NonNullable<EngineQuery["after"]>;

/** What an op leaves: the new state of its key, or undefined for no session. */
type Planned =
  | { readonly op: RecordOp; readonly entry: object | undefined }
  | { readonly op: TranscriptOp; readonly entry?: undefined };

/** Answers every call at once, and says so in its types. */
export class MemoryEngine implements Engine {
  readonly #records = new Map<string, EngineRecord>();
  readonly #updatedAtOf: (entry: object) => number | undefined;
  readonly #limits: Limits;
  readonly #runtime: Runtime;
  readonly #transcripts = new TranscriptTable();
  readonly #operations = new Operations();
  readonly #history: History;
  /** Bytes of JSON of entries. */
  readonly #sizes = new WeakMap<object, number>();
  #revision = 0;
  #closed = false;
  /** Watches that are at the end of the history. */
  readonly #waiting = new Set<() => void>();

  constructor(options: MemoryEngineOptions) {
    this.#updatedAtOf = options.updatedAt ?? ownUpdatedAt;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#runtime = options.runtime ?? systemRuntime;
    const { historyMax = HISTORY_MAX, historyBytesMax = HISTORY_BYTES_MAX } = options;
    this.#history = new History(historyMax, historyBytesMax);
  }

  read(key: string): EngineRecord | undefined {
    return this.#records.get(key);
  }

  scan(query: EngineQuery): EngineScan {
    const direction = query.descending ? -1 : 1;
    const { after } = query;
    const ordered = this.#matching(query)
      .map((record) => ({ record, position: this.#positionOf(record) }))
      .filter(({ position }) => !after || direction * compare(position, after, query.orderBy) > 0)
      .sort((one, other) => direction * compare(one.position, other.position, query.orderBy));
    const page = ordered.slice(0, query.limit);
    return {
      records: page.map(({ record }) => record),
      next: page.length < ordered.length ? page.at(-1)?.position : undefined,
    };
  }

  count(query: EngineQuery): number {
    return this.#matching(query).length;
  }

  transcript(key: string, name: string): EngineTranscript | undefined {
    return this.#transcripts.info(key, name);
  }

  transcripts(key: string): readonly string[] {
    return this.#transcripts.names(key);
  }

  transcriptKeys(): readonly string[] {
    return this.#transcripts.keys();
  }

  items(key: string, name: string, query: EngineItemQuery): EnginePage {
    return this.#transcripts.page(key, name, query);
  }

  itemIds(key: string, name: string, ids: readonly string[]): ReadonlyMap<string, number> {
    return this.#transcripts.idsAmong(key, name, ids);
  }

  operation(operation: Operation): number | undefined {
    return this.#operations.find(operation);
  }

  commit(ops: readonly EngineOp[], options?: CommitOptions): CommitOutcome {
    const operation = options?.operation;
    const done = operation && this.#operations.find(operation);
    if (done !== undefined) return { status: "repeated", revision: done };
    for (const op of ops) if (this.#refuses(op)) return { status: "conflict", key: op.key };
    const planned = ops.map((op): Planned =>
      op.kind === "transcript" ? { op } : { op, entry: this.#entryAfter(op) },
    );
    if (options?.skipUnchanged === true && planned.every((plan) => this.#isUnchanged(plan))) {
      return { status: "unchanged", records: ops.map(({ key }) => this.#records.get(key)) };
    }
    return this.#apply(planned, operation);
  }

  revision(): number {
    return this.#revision;
  }

  changes(options: {
    readonly since: number | undefined;
    readonly prefix: string;
    readonly signal: AbortSignal | undefined;
  }): AsyncIterable<EngineChange> {
    const { since = this.#revision, prefix, signal } = options;
    return this.#follow(since, prefix, signal, since > this.#revision);
  }

  async stats(options: StatsOptions = {}): Promise<EngineStats> {
    const stats = { engine: "memory", sessions: this.#records.size, revision: this.#revision } as const;
    return options.transcripts === true ? { ...stats, transcripts: this.#transcripts.stats() } : stats;
  }

  async flush(): Promise<void> {
    // There are no files to bring up to date.
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wakeAll();
  }

  #matching({ prefix, updatedAfter, updatedBefore }: EngineQuery): EngineRecord[] {
    return [...this.#records.values()].filter((record) => {
      const { key, updatedAt } = this.#positionOf(record);
      return (
        key.startsWith(prefix) &&
        (updatedAfter === undefined || updatedAt > updatedAfter) &&
        (updatedBefore === undefined || updatedAt < updatedBefore)
      );
    });
  }

  #positionOf({ key, entry }: EngineRecord): Position {
    return { key, updatedAt: this.#updatedAtOf(entry) ?? 0 };
  }

  #refuses(op: EngineOp): boolean {
    if (op.kind === "transcript") return this.#transcripts.refuses(op);
    return op.base !== undefined && op.base !== (this.#records.get(op.key)?.revision ?? 0);
  }

  #entryAfter(op: RecordOp): object | undefined {
    const current = this.#records.get(op.key)?.entry;
    switch (op.kind) {
      case "set":
        return this.#accept(op.entry, op.key);
      case "patch":
        return this.#accept(patched(current ?? {}, op.fields), op.key);
      case "delete":
        return undefined;
      case "check":
        return current;
    }
  }

  #accept(given: object, key: string): object {
    const entry = freezeEntry(given, this.#limits.depthMax, key);
    const actual = Buffer.byteLength(JSON.stringify(entry));
    this.#sizes.set(entry, actual);
    const limit = this.#limits.entryBytesMax;
    if (actual > limit) {
      throw new SessionStoreError(
        "entry_too_large",
        `the entry has ${actual} bytes as JSON; at most ${limit} are allowed`,
        { data: { limit, actual } },
      );
    }
    return entry;
  }

  #isUnchanged({ op, entry }: Planned): boolean {
    if (op.kind === "transcript") return isCheck(op);
    const isSame = equalJson(this.#records.get(op.key)?.entry, entry);
    return isSame && (op.kind !== "delete" || this.#transcripts.names(op.key).length === 0);
  }

  #apply(planned: readonly Planned[], operation: Operation | undefined): CommitOutcome {
    this.#revision += 1;
    const revision = this.#revision;
    const modifiedAt = this.#runtime.now();
    const changes: PastChange[] = [];
    const transcripts: (TranscriptOutcome | undefined)[] = [];
    for (const { op, entry } of planned) {
      if (op.kind === "transcript") {
        const { outcome, change } = this.#transcripts.apply(op, revision, modifiedAt);
        transcripts.push(outcome);
        if (change)
          changes.push({ key: op.key, revision, kind: "transcript", modifiedAt, transcript: change });
      } else {
        transcripts.push(undefined);
        const change = this.#applyRecord(op, entry, revision, modifiedAt);
        if (change) changes.push(change);
      }
    }
    if (operation !== undefined) this.#operations.add(operation, revision);
    let bytes = 0;
    for (const { record } of changes) if (record) bytes += this.#sizes.get(record.entry) ?? 0;
    this.#history.add(changes, bytes);
    this.#wakeAll();
    const records = planned.map(({ op }) => this.#records.get(op.key));
    const outcome = { status: "committed", revision, records, durable: undefined } as const;
    return transcripts.some((one) => one !== undefined) ? { ...outcome, transcripts } : outcome;
  }

  #applyRecord(
    { kind, key }: RecordOp,
    entry: object | undefined,
    revision: number,
    modifiedAt: number,
  ): PastChange | undefined {
    if (kind === "check") return undefined;
    if (entry !== undefined) {
      const record: EngineRecord = Object.freeze({ key, entry, revision, modifiedAt });
      this.#records.set(key, record);
      return { key, revision, kind: "put", modifiedAt, record };
    }
    const had = this.#records.delete(key);
    return this.#transcripts.removeAll(key) || had
      ? { key, revision, kind: "delete", modifiedAt }
      : undefined;
  }

  async *#follow(
    since: number,
    prefix: string,
    signal: AbortSignal | undefined,
    ahead: boolean,
  ): AsyncGenerator<EngineChange, void, undefined> {
    if (ahead && !this.#closed && signal?.aborted !== true) throw unknown(since, this.#revision);
    let position = since;
    while (!this.#closed && signal?.aborted !== true) {
      const changes = this.#history.after(position);
      if (changes === undefined) {
        await this.#nextCommit(signal);
        continue;
      }
      position += 1;
      const matching = changes.filter(({ key }) => key.startsWith(prefix));
      for (const [index, change] of matching.entries())
        yield { ...change, last: index === matching.length - 1 };
    }
  }

  /** Resolves at the next commit, at close or when the signal aborts. */
  #nextCommit(signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  #wakeAll(): void {
    for (const wake of this.#waiting) wake();
  }
}

function ownUpdatedAt(entry: object): number | undefined {
  const { updatedAt } = entry as { updatedAt?: unknown };
  return typeof updatedAt === "number" ? updatedAt : undefined;
}

/** Changed fields stay in their place, new ones follow, undefined ones are gone. */
function patched(entry: object, fields: object): object {
  const values = new Map<string, unknown>(Object.entries(entry));
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) values.delete(name);
    else values.set(name, value);
  }
  return Object.fromEntries(values);
}

function compare(one: Position, other: Position, orderBy: "key" | "updatedAt"): number {
  if (orderBy === "updatedAt" && one.updatedAt !== other.updatedAt) return one.updatedAt - other.updatedAt;
  return one.key < other.key ? -1 : one.key > other.key ? 1 : 0;
}

function unknown(since: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_unknown",
    `the store has never had revision ${since}; it is at ${revision}. List the sessions, then watch from revision ` +
      `${revision}.`,
    { data: { since, revision } },
  );
}
