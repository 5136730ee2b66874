/**
 * The reference engine: a map, a counter and a history. The simplest thing that is a session store, for tests and for
 * reading next to `contract.ts`. Nothing survives the process, nothing is shared with another.
 *
 * Invariants: a commit checks every base before it changes anything; revisions go up by one; the history holds the
 * latest `historyMax` commits whole, so that a transaction is never half in it.
 */
import { SessionStoreError } from "../../errors.js";
import { DEFAULT_LIMITS, type Limits } from "../../format/limits.js";
import { systemRuntime, type Runtime } from "../../runtime.js";
import type {
  CommitOutcome,
  Engine,
  EngineChange,
  EngineOp,
  EngineQuery,
  EngineRecord,
  EngineScan,
  EngineStats,
} from "../contract.js";
import { freezeEntry, sameValue } from "./json-value.js";

export interface MemoryEngineOptions {
  /** Default: the entry's own `updatedAt`, if that is a number. */
  readonly updatedAt?: ((entry: object) => number | undefined) | undefined;
  /** Default DEFAULT_LIMITS. `recordBytesMax` and `blobBytesMax` mean nothing here: no value is taken out. */
  readonly limits?: Limits | undefined;
  /** Default: the system's clock. */
  readonly runtime?: Runtime | undefined;
  /** Commits that `changes({ since })` can go back. Default 10,000. */
  readonly historyMax?: number | undefined;
}

const HISTORY_MAX = 10_000;

/** An empty store in memory. */
export function createMemoryEngine(options: MemoryEngineOptions = {}): MemoryEngine {
  return new MemoryEngine(options);
}

type Position = NonNullable<EngineQuery["after"]>;

/** What an op leaves: the new state of its key, or undefined for no session. */
type Planned = { readonly op: EngineOp; readonly entry: object | undefined };

/** Answers every call at once, and says so in its types. */
export class MemoryEngine implements Engine {
  readonly #records = new Map<string, EngineRecord>();
  readonly #updatedAtOf: (entry: object) => number | undefined;
  readonly #limits: Limits;
  readonly #runtime: Runtime;
  readonly #historyMax: number;
  /** Changes of the commits above #forgotten, one array a commit: `#history[i]` has revision #forgotten + 1 + i. */
  readonly #history: (readonly EngineChange[])[] = [];
  #forgotten = 0;
  #revision = 0;
  #closed = false;
  /** Watches that are at the end of the history. */
  readonly #waiting = new Set<() => void>();

  constructor(options: MemoryEngineOptions) {
    this.#updatedAtOf = options.updatedAt ?? ownUpdatedAt;
    this.#limits = options.limits ?? DEFAULT_LIMITS;
    this.#runtime = options.runtime ?? systemRuntime;
    this.#historyMax = options.historyMax ?? HISTORY_MAX;
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

  commit(ops: readonly EngineOp[], options?: { readonly skipUnchanged?: boolean }): CommitOutcome {
    for (const op of ops) {
      const revision = this.#records.get(op.key)?.revision ?? 0;
      if (op.base !== undefined && op.base !== revision) return { status: "conflict", key: op.key };
    }
    const planned = ops.map((op): Planned => ({ op, entry: this.#entryAfter(op) }));
    if (options?.skipUnchanged === true && planned.every((plan) => this.#isUnchanged(plan))) {
      return { status: "unchanged", records: ops.map(({ key }) => this.#records.get(key)) };
    }
    return this.#apply(planned);
  }

  revision(): number {
    return this.#revision;
  }

  changes(options: {
    readonly since: number | undefined;
    readonly prefix: string;
    readonly signal: AbortSignal | undefined;
  }): AsyncIterable<EngineChange> {
    return this.#follow(options.since ?? this.#revision, options.prefix, options.signal);
  }

  async stats(): Promise<EngineStats> {
    return { engine: "memory", sessions: this.#records.size, revision: this.#revision };
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

  #entryAfter(op: EngineOp): object | undefined {
    const current = this.#records.get(op.key)?.entry;
    switch (op.kind) {
      case "set":
        return this.#accept(op.entry);
      case "patch":
        return this.#accept(patched(current ?? {}, op.fields));
      case "delete":
        return undefined;
      case "check":
        return current;
    }
  }

  #accept(given: object): object {
    const entry = freezeEntry(given, this.#limits.depthMax);
    const actual = Buffer.byteLength(JSON.stringify(entry));
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
    return sameValue(this.#records.get(op.key)?.entry, entry);
  }

  #apply(planned: readonly Planned[]): CommitOutcome {
    this.#revision += 1;
    const revision = this.#revision;
    const modifiedAt = this.#runtime.now();
    const changes: EngineChange[] = [];
    for (const { op, entry } of planned) {
      const { key } = op;
      if (op.kind === "check") continue;
      if (entry !== undefined) {
        const record: EngineRecord = Object.freeze({ key, entry, revision, modifiedAt });
        this.#records.set(key, record);
        changes.push({ key, revision, kind: "put", record });
      } else if (this.#records.delete(key)) {
        changes.push({ key, revision, kind: "delete" });
      }
    }
    this.#history.push(changes);
    if (this.#history.length > this.#historyMax) {
      this.#history.shift();
      this.#forgotten += 1;
    }
    this.#wakeAll();
    const records = planned.map(({ op }) => this.#records.get(op.key));
    return { status: "committed", revision, records, durable: undefined };
  }

  async *#follow(
    since: number,
    prefix: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<EngineChange, void, undefined> {
    let position = since;
    while (!this.#closed && signal?.aborted !== true) {
      if (position < this.#forgotten) throw tooOld(position, this.#forgotten, this.#revision);
      if (position >= this.#revision) {
        await this.#nextCommit(signal);
        continue;
      }
      const changes = this.#history[position - this.#forgotten]!;
      position += 1;
      for (const change of changes) {
        if (change.key.startsWith(prefix)) yield change;
      }
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

function tooOld(since: number, forgotten: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_too_old",
    `the changes after revision ${since} are gone, up to revision ${forgotten}. List the sessions, then watch ` +
      `from revision ${revision}.`,
    { data: { since, revision } },
  );
}
