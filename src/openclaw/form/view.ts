/**
 * The whole-store object that gateways know, `Record<string, SessionEntry>`, over a shared snapshot.
 *
 * Making one costs nothing however many sessions there are: an entry is copied when it is first touched (entry-copy.ts), and
 * afterwards the view knows exactly which entries were touched and which of their fields have changed.
 *
 * It is a proxy without a prototype, so `constructor` is a session's name like any other. `Object.keys`, `Object.entries`,
 * `in`, `delete`, spread and `JSON.stringify` do what they do with an object; `structuredClone`, which takes no
 * proxies, needs `{ ...store }`; `Object.freeze` throws. Keys are canonical: reading and assigning fold the given key,
 * `in` and `delete` take it as it is, for a gateway that tidies up the other cases of a key must not remove the session.
 * Assigning undefined or null removes a session.
 */
import { changedFields, copyEntry, storableEntry } from "../entry/copy.js";
import { timeOf } from "../entry/merge.js";
import { normalizeEntry, putInOrder } from "../entry/normalization.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../session-key.js";
import type { SessionSource, StoredSession } from "./snapshot.js";

/** What becomes of one session. Every stored key in `replaces` goes; the canonical key is written where that says so. */
export type SessionChange =
  /** Everything of a session that was not there, or not under its canonical key. */
  | {
      readonly kind: "put";
      readonly key: string;
      readonly entry: Readonly<SessionEntry>;
      readonly replaces: StoredKeys;
    }
  /** These fields, undefined for those to be removed; `entry` is the whole of it. */
  | {
      readonly kind: "patch";
      readonly key: string;
      readonly fields: ReadonlyMap<string, unknown>;
      readonly entry: Readonly<SessionEntry>;
      readonly replaces: StoredKeys;
    }
  | { readonly kind: "delete"; readonly key: string; readonly replaces: StoredKeys };

type StoredKeys = readonly string[];

export interface ChangeRules {
  /** Canonical keys of sessions that may lose their `acp`; all others keep it when an entry comes without. */
  readonly mayDropAcp?: ReadonlySet<string> | "all" | undefined;
  /** Take `updatedAt` as it is given, even if it is earlier than before. */
  readonly mayTurnBack?: boolean | undefined;
}

/** Views by the objects that callers have. */
const views = new WeakMap<object, StoreView>();

/** The view behind a whole-store object; undefined for an object of the caller's own. */
export function viewOf(store: object): StoreView | undefined {
  return views.get(store);
}

export class StoreView {
  /** What callers get. */
  readonly store: SessionStoreRecord;
  /** Entries that were copied or assigned, undefined for those that were removed. */
  readonly #local = new Map<string, SessionEntry | undefined>();
  /** Canonical keys that were looked for, found or not. */
  readonly #read = new Set<string>();

  constructor(readonly source: SessionSource) {
    const target: SessionStoreRecord = Object.create(null) as SessionStoreRecord;
    this.store = new Proxy(target, new ViewHandler(this));
    views.set(this.store, this);
  }

  /** Canonical keys of all sessions whose content the result may depend on. */
  get touched(): ReadonlySet<string> {
    return new Set([...this.#read, ...this.#local.keys()]);
  }

  get(given: string): SessionEntry | undefined {
    const key = normalizeStoreSessionKey(given);
    if (key === "") return undefined;
    this.#read.add(key);
    if (this.#local.has(key)) return this.#local.get(key);
    const session = this.source.get(key);
    if (session === undefined) return undefined;
    const copy = copyEntry(normalizeEntry(session.entry));
    this.#local.set(key, copy);
    return copy;
  }

  set(given: string, entry: unknown): void {
    const key = normalizeStoreSessionKey(given);
    if (key === "") throw new TypeError("a session key must have more than space in it");
    if (entry === undefined || entry === null) this.delete(key);
    else if (typeof entry === "object" && !Array.isArray(entry)) this.#local.set(key, entry as SessionEntry);
    else throw new TypeError(`session ${JSON.stringify(key)} must be an object`);
  }

  /** @param look Whether the caller wants to know, so that the answer counts as read. */
  has(key: string, look: boolean): boolean {
    if (look && key !== "") this.#read.add(key);
    return this.#local.has(key) ? this.#local.get(key) !== undefined : this.source.get(key) !== undefined;
  }

  delete(key: string): void {
    if (this.has(key, false)) this.#local.set(key, undefined);
  }

  /** In the order of the store, new ones behind. */
  keys(): string[] {
    const keys: string[] = [];
    for (const key of this.source.keys()) if (this.has(key, false)) keys.push(key);
    for (const [key, entry] of this.#local)
      if (entry !== undefined && this.source.get(key) === undefined) keys.push(key);
    return keys;
  }

  /** What was changed, field by field; empty if everything is as it was. */
  changes(rules: ChangeRules = {}): SessionChange[] {
    const changes: SessionChange[] = [];
    for (const [key, entry] of this.#local) {
      const change = changeOf(key, this.source, entry, rules);
      if (change !== undefined) changes.push(change);
    }
    return changes;
  }
}

/** What it takes to bring a session from where the snapshot has it to `entry`. */
export function changeOf(
  key: string,
  snapshot: Pick<SessionSource, "get" | "allOf">,
  entry: SessionEntry | undefined,
  rules: ChangeRules,
): SessionChange | undefined {
  const session = snapshot.get(key);
  const all = snapshot.allOf(key);
  const others = all.filter((stored) => stored.key !== key).map((stored) => stored.key);
  if (entry === undefined) {
    return session === undefined
      ? undefined
      : { kind: "delete", key, replaces: all.map((stored) => stored.key) };
  }
  if (session === undefined) {
    return { kind: "put", key, entry: storableEntry(putInOrder(entry)), replaces: others };
  }
  const before = normalizeEntry(session.entry);
  const wanted = held(before, entry, key, rules);
  if (changedFields(before, wanted) === undefined) return undefined;
  const next = putInOrder(wanted);
  if (session.key !== key) return { kind: "put", key, entry: storableEntry(next), replaces: others };
  const fields = changedFields(session.entry, next) ?? new Map<string, unknown>();
  return { kind: "patch", key, fields, entry: next, replaces: others };
}

/** The entry with what may not get lost: ACP metadata, and the time that it was last used. */
function held(
  before: Readonly<SessionEntry>,
  entry: SessionEntry,
  key: string,
  rules: ChangeRules,
): SessionEntry {
  const mayDropAcp = rules.mayDropAcp === "all" || rules.mayDropAcp?.has(key) === true;
  const keepsAcp = before.acp !== undefined && (entry.acp ?? undefined) === undefined && !mayDropAcp;
  const keepsTime = rules.mayTurnBack !== true && timeOf(entry) < timeOf(before);
  if (!keepsAcp && !keepsTime) return entry;
  const next = storableEntry(entry);
  if (keepsAcp) next.acp = before.acp!;
  if (keepsTime) next.updatedAt = before.updatedAt;
  return next;
}

/** A snapshot of one session alone. */
export function alone(session: StoredSession | undefined): Pick<SessionSource, "get" | "allOf"> {
  return { get: () => session, allOf: () => (session === undefined ? [] : [session]) };
}

class ViewHandler implements ProxyHandler<SessionStoreRecord> {
  constructor(private readonly view: StoreView) {}

  get(_target: SessionStoreRecord, name: string | symbol): unknown {
    return typeof name === "symbol" ? undefined : this.view.get(name);
  }

  set(_target: SessionStoreRecord, name: string | symbol, value: unknown): boolean {
    if (typeof name === "symbol") return false;
    this.view.set(name, value);
    return true;
  }

  has(_target: SessionStoreRecord, name: string | symbol): boolean {
    return typeof name === "string" && this.view.has(name, true);
  }

  deleteProperty(_target: SessionStoreRecord, name: string | symbol): boolean {
    if (typeof name === "string") this.view.delete(name);
    return true;
  }

  ownKeys(): string[] {
    return this.view.keys();
  }

  /** As a getter, because `Object.keys` asks for every key and wants no entry. */
  getOwnPropertyDescriptor(
    _target: SessionStoreRecord,
    name: string | symbol,
  ): PropertyDescriptor | undefined {
    if (typeof name === "symbol" || !this.view.has(name, false)) return undefined;
    return {
      get: () => this.view.get(name),
      set: (value: unknown) => this.view.set(name, value),
      enumerable: true,
      configurable: true,
    };
  }

  defineProperty(target: SessionStoreRecord, name: string | symbol, descriptor: PropertyDescriptor): boolean {
    return "value" in descriptor && this.set(target, name, descriptor.value);
  }

  preventExtensions(): boolean {
    return false;
  }
}
