/**
 * What the parts of the conformance suite share: what an engine's author provides, and how a case looks.
 */
import { strict as assert } from "node:assert";
import { SessionStoreError, type SessionStoreErrorCode } from "../../errors.js";
import type { OpenOptions } from "../../store/options.js";
import type { SessionChange, SessionStore } from "../../store/types.js";

/** What the suite stores. */
export type ConformanceEntry = Record<string, unknown>;
export type ConformanceStore = SessionStore<ConformanceEntry>;
/** The options that cases open stores with; hand them on. */
export type ConformanceOpenOptions = Pick<
  OpenOptions<ConformanceEntry>,
  "readOnly" | "normalizeKey" | "updatedAt" | "limits"
>;

/** A store of its own for one case, empty at first. */
export interface ConformanceFixture {
  readonly store: ConformanceStore;
  /**
   * Closes what is open on this data and opens it again. Needed for `persistent`.
   * @returns The new store; `dispose` closes it.
   */
  readonly reopen?: (options?: ConformanceOpenOptions) => Promise<ConformanceStore>;
  /** A second, independent store on the same data, as another process would have it. Needed for `shared`. */
  readonly another?: () => Promise<ConformanceStore>;
  /** Makes the store forget the changes so far, so that `watch({ since: 0 })` is too old. Needed for `forgets`. */
  readonly forgetHistory?: () => Promise<void>;
  /** How many big values were loaded from storage so far. Needed for `lazyValues`. */
  readonly valuesLoaded?: () => number;
  /** Closes and removes everything; also after a failed case. */
  readonly dispose: () => Promise<void>;
}

/** What an engine can do; cases that need more are not registered. */
export interface ConformanceCapabilities {
  /** Data outlives the store: `reopen` is there. */
  readonly persistent: boolean;
  /** Several stores share data: `another` is there. */
  readonly shared: boolean;
  /** The store is a DirectorySessionStore: `getSync`, `listSync`, `checkpoint`. */
  readonly syncReads: boolean;
  /** History is bounded: `forgetHistory` is there. */
  readonly forgets: boolean;
  /** Big values are loaded when touched: `valuesLoaded` is there. */
  readonly lazyValues: boolean;
  /** Which limits the engine enforces beyond the length of keys. */
  readonly limits: readonly ConformanceLimit[];
}

export type ConformanceLimit = "entry_too_large" | "record_too_large" | "blob_too_large" | "value_too_deep";

export interface ConformanceOptions {
  /** Registers one case: `test` of node:test, vitest, jest, mocha, tape, … */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Groups cases; without it names are prefixed. */
  readonly describe?: (name: string, body: () => void) => unknown;
  /** Opens an empty store; called once a case. */
  readonly open: (options?: ConformanceOpenOptions) => Promise<ConformanceFixture>;
  readonly capabilities: ConformanceCapabilities;
}

export type CaseBody = (store: ConformanceStore, fixture: ConformanceFixture) => Promise<void>;

/** Registers cases, each with a fresh store that is disposed of afterwards. */
export class Kit {
  readonly capabilities: ConformanceCapabilities;
  readonly #options: ConformanceOptions;
  #group = "";

  constructor(options: ConformanceOptions) {
    this.#options = options;
    this.capabilities = options.capabilities;
  }

  group(name: string, body: () => void): void {
    if (this.#options.describe !== undefined) {
      this.#options.describe(name, body);
      return;
    }
    this.#group = `${name}: `;
    body();
    this.#group = "";
  }

  case(name: string, body: CaseBody): void {
    this.caseWith(undefined, name, body);
  }

  caseWith(options: ConformanceOpenOptions | undefined, name: string, body: CaseBody): void {
    this.#options.test(this.#group + name, async () => {
      const fixture = await this.#options.open(options);
      try {
        await body(fixture.store, fixture);
      } finally {
        await fixture.dispose();
      }
    });
  }
}

/** Equal as JSON, the order of fields included. */
export function same(actual: unknown, expected: unknown): void {
  assert.equal(JSON.stringify(actual), JSON.stringify(expected));
}

/** The typed error that the promise rejects with. Fails if it resolves or rejects with anything else. */
export async function failure(
  promise: Promise<unknown>,
  code: SessionStoreErrorCode,
): Promise<SessionStoreError> {
  const error = await rejection(promise);
  assert.ok(error instanceof SessionStoreError, `expected ${code}, got ${String(error)}`);
  assert.equal(error.code, code);
  return error;
}

/** Fails unless the call throws, or rejects with, a TypeError that mentions `named`. */
export async function wrongArgument(call: () => unknown, named: RegExp): Promise<void> {
  const error = await rejection((async () => call())());
  assert.ok(error instanceof TypeError, `expected a TypeError, got ${String(error)}`);
  assert.match(error.message, named);
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: "expected a rejection, but the promise resolved" });
}

/** The first `count` changes; leaves the iteration then. */
export async function take(
  changes: AsyncIterable<SessionChange<ConformanceEntry>>,
  count: number,
): Promise<SessionChange<ConformanceEntry>[]> {
  const taken: SessionChange<ConformanceEntry>[] = [];
  for await (const change of changes) {
    taken.push(change);
    if (taken.length === count) break;
  }
  return taken;
}

export async function keysOf(store: ConformanceStore, prefix = ""): Promise<string[]> {
  const { sessions } = await store.list({ prefix });
  return sessions.map(({ key }) => key);
}

export function integersUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** A counter's next state. */
export function increment(entry: ConformanceEntry | undefined): ConformanceEntry {
  return { ...entry, count: Number(entry?.["count"] ?? 0) + 1 };
}

/** A promise that is resolved from outside: cases wait for each other instead of sleeping. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
