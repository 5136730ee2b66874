/**
 * The whole-store object that gateways know, `Record<string, SessionEntry>`, over a shared snapshot.
 *
 * It behaves as the ordinary object that OpenClaw's is, but that it has no prototype, so that `constructor` is a session's name
 * like any other: `in`, `delete`, spread, `Object.hasOwn`, `JSON.stringify` agree with reading. Its keys are canonical. A key
 * in another case is another property, as in any object; when the object is written, it is the same session.
 *
 * Every property is an accessor that copies its entry when it is first read (entry/copy.ts), so the view knows which entries
 * were touched. There are two kinds:
 *  - {@link StoreView.of}, for readers: the object itself, which `structuredClone` takes too; its cost grows with the number of sessions.
 *  - {@link StoreView.lazy}, for mutators: a proxy that puts a property in place when it is asked for, so that to change one of a
 *    hundred thousand sessions costs as much as to change one of ten. `structuredClone` takes no proxies: `{ ...store }`.
 */
import { copyEntry } from "../entry/copy.js";
import { timeOf } from "../entry/merge.js";
import { normalizeEntry } from "../entry/normalization.js";
import type { SessionEntry, SessionStoreRecord } from "../entry/session-entry.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import { changeOf, type ChangeRules, type SessionChange } from "./change.js";
import type { SessionSource } from "./snapshot.js";

/** Views by the objects that callers have. */
const views = new WeakMap<object, StoreView>();

/** The view behind a whole-store object; undefined for an object of the caller's own. */
export function viewOf(store: object): StoreView | undefined {
  return views.get(store);
}

export class StoreView {
  /** What callers get. */
  readonly store: SessionStoreRecord;
  /** The object, or what is in place of it by now. */
  readonly #object = Object.create(null) as SessionStoreRecord;
  /** Entries that were read, by their canonical keys. */
  readonly #copies = new Map<string, SessionEntry>();
  /** Canonical keys that were looked for, found or not, or written. */
  readonly #touched = new Set<string>();
  /** Lazy: properties that are in place or known not to be. */
  readonly #settled = new Set<string>();
  /** Lazy: properties that were removed; who comes back stands behind the others. */
  readonly #removed = new Set<string>();
  #isWhole = false;

  private constructor(
    readonly source: SessionSource,
    private readonly isLazy: boolean,
  ) {
    if (!isLazy) this.settleAll();
    this.store = isLazy ? new Proxy(this.#object, new LazyObject(this)) : this.#object;
    views.set(this.#object, this);
    views.set(this.store, this);
  }

  /** All sessions in an ordinary object; one that is damaged is not among them. */
  static of(source: SessionSource): StoreView {
    return new StoreView(source, false);
  }

  /** For a mutator: to read a damaged session throws, to replace or delete it does not. */
  static lazy(source: SessionSource): StoreView {
    return new StoreView(source, true);
  }

  /** Whether all properties are in place. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Canonical keys of all sessions whose content the result may depend on. */
  get touched(): ReadonlySet<string> {
    return this.#touched;
  }

  /** A session by a key in any case. @throws `entry_corrupt` in a mutator. */
  get(given: string): SessionEntry | undefined {
    const key = normalizeStoreSessionKey(given);
    if (key === "") return undefined;
    this.look(key);
    return this.#object[key] ?? undefined;
  }

  /** Undefined and null remove the session. @throws `TypeError` for what no session can be. */
  set(given: string, entry: unknown): void {
    const key = normalizeStoreSessionKey(given);
    assertEntry(key, entry);
    if (entry === undefined || entry === null) this.delete(key);
    else this.assign(key, entry);
  }

  delete(key: string): void {
    this.touch(key);
    if (Reflect.deleteProperty(this.#object, key)) this.#removed.add(key);
  }

  /** In the order of the store, new ones behind. */
  keys(): string[] {
    this.settleAll();
    return Object.keys(this.#object);
  }

  /** What was changed, field by field; empty if everything is as it was. @throws `TypeError` for what no session can be. */
  changes(rules: ChangeRules = {}): SessionChange[] {
    const changes = new Map<string, SessionChange>();
    const note = (key: string, entry: SessionEntry | undefined): void => {
      const change = changeOf(key, this.source, entry, rules);
      if (change !== undefined) changes.set(key, change);
    };
    const variants: (readonly [string, SessionEntry])[] = [];
    const wereThere = this.#isWhole ? this.source.keys() : this.#settled;
    for (const key of wereThere) {
      if (!Object.hasOwn(this.#object, key) && this.source.get(key) !== undefined) note(key, undefined);
    }
    // A damaged session is never there, and may be removed all the same.
    for (const key of this.#removed) if (!Object.hasOwn(this.#object, key)) note(key, undefined);
    for (const key of Object.keys(this.#object)) {
      if (this.#isUntouched(key)) continue;
      const entry: unknown = this.#object[key];
      assertEntry(key, entry);
      const canonical = normalizeStoreSessionKey(key);
      if (key === canonical) note(key, (entry ?? undefined) as SessionEntry | undefined);
      else if (entry !== undefined && entry !== null) variants.push([canonical, entry as SessionEntry]);
    }
    // What was assigned under another case of a key is that session; of several the newest counts, as in a snapshot.
    for (const [key, entry] of variants) {
      const other = changes.get(key);
      const isNewer = other === undefined || other.kind === "delete" || timeOf(entry) >= timeOf(other.entry);
      if (isNewer) note(key, entry);
    }
    return [...changes.values()];
  }

  /** Reads the property of a canonical key that the store has. */
  read(key: string): SessionEntry | undefined {
    this.#touched.add(key);
    let copy = this.#copies.get(key);
    if (copy === undefined) {
      const session = this.source.get(key);
      if (session === undefined) return undefined;
      copy = copyEntry(normalizeEntry(session.entry));
      this.#copies.set(key, copy);
    }
    return copy;
  }

  /** Puts a value in place of a property, or behind all others. */
  assign(key: string, value: unknown): void {
    this.touch(key);
    const property = { value, writable: true, enumerable: true, configurable: true };
    Reflect.defineProperty(this.#object, key, property);
  }

  /** The caller wants to know whether there is such a session, or what it is. @throws `entry_corrupt`. */
  look(key: string): void {
    this.touch(key);
    if (Object.hasOwn(this.#object, key) || !this.isLazy || this.#removed.has(key)) return;
    const damage = this.source.damage(key);
    if (damage !== undefined) throw damage;
  }

  /** The result depends on this key. */
  touch(key: string): void {
    if (key === normalizeStoreSessionKey(key)) this.#touched.add(key);
    this.settle(key);
  }

  remove(key: string): boolean {
    this.delete(key);
    return !Object.hasOwn(this.#object, key);
  }

  /** The object is to have the property if the store has the session. */
  settle(key: string): void {
    if (this.#isWhole || this.#settled.has(key)) return;
    this.#settled.add(key);
    if (normalizeStoreSessionKey(key) !== key || key === "" || this.source.get(key) === undefined) return;
    Object.defineProperty(this.#object, key, accessorOf(key));
  }

  /** The object is to have all properties, in the order of the store. */
  settleAll(): void {
    if (this.#isWhole) return;
    this.#isWhole = true;
    const object = this.#object;
    // What is in place already gets its place in the order.
    const present = new Map<string, PropertyDescriptor>();
    for (const key of Object.keys(object)) {
      present.set(key, Object.getOwnPropertyDescriptor(object, key)!);
      Reflect.deleteProperty(object, key);
    }
    for (const key of this.source.keys()) {
      if (!this.#settled.has(key)) Object.defineProperty(object, key, accessorOf(key));
      else if (present.has(key) && !this.#removed.has(key)) {
        Object.defineProperty(object, key, present.get(key)!);
        present.delete(key);
      }
    }
    for (const [key, property] of present) Object.defineProperty(object, key, property);
  }

  #isUntouched(key: string): boolean {
    if (this.#copies.has(key)) return false;
    const own: { readonly get?: unknown } | undefined = Object.getOwnPropertyDescriptor(this.#object, key);
    const lazy: { readonly get?: unknown } | undefined = accessors.get(key);
    return own?.get !== undefined && own.get === lazy?.get;
  }
}

function assertEntry(key: string, entry: unknown): void {
  if (normalizeStoreSessionKey(key) === "")
    throw new TypeError("a session key must have more than space in it");
  if (entry !== undefined && (typeof entry !== "object" || Array.isArray(entry)))
    throw new TypeError(`session ${JSON.stringify(key)} must be an object`);
}

/** Accessors by key: views of all stores and states share them, for making them is the larger part of a view. */
const accessors = new Map<string, PropertyDescriptor>();
/** Some 200 bytes each. */
const ACCESSORS_MAX = 50_000;

function accessorOf(key: string): PropertyDescriptor {
  let accessor = accessors.get(key);
  if (accessor === undefined) {
    accessor = {
      get(this: object) {
        return viewBehind(this)?.read(key);
      },
      set(this: object, value: unknown) {
        viewBehind(this)?.assign(key, value);
      },
      enumerable: true,
      configurable: true,
    };
    if (accessors.size >= ACCESSORS_MAX) accessors.clear();
    accessors.set(key, accessor);
  }
  return accessor;
}

/** The view whose accessor was called, on its object or on one that inherits from it. */
function viewBehind(receiver: object): StoreView | undefined {
  for (let at: object | null = receiver; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const view = views.get(at);
    if (view !== undefined) return view;
  }
  return undefined;
}

/** Puts properties in place before anything can be asked of them; everything else is as with any object. */
class LazyObject implements ProxyHandler<SessionStoreRecord> {
  constructor(private readonly view: StoreView) {}

  get(target: SessionStoreRecord, name: string | symbol, receiver: unknown): unknown {
    if (typeof name === "string") this.view.look(name);
    return Reflect.get(target, name, receiver);
  }

  set(target: SessionStoreRecord, name: string | symbol, value: unknown, receiver: unknown): boolean {
    if (typeof name === "string") this.view.touch(name);
    return Reflect.set(target, name, value, receiver);
  }

  has(target: SessionStoreRecord, name: string | symbol): boolean {
    if (typeof name === "string") this.view.look(name); // or a damaged session would be begun afresh
    return Reflect.has(target, name);
  }

  deleteProperty(target: SessionStoreRecord, name: string | symbol): boolean {
    return typeof name === "string" ? this.view.remove(name) : Reflect.deleteProperty(target, name);
  }

  defineProperty(target: SessionStoreRecord, name: string | symbol, property: PropertyDescriptor): boolean {
    if (typeof name === "string") this.view.touch(name);
    return Reflect.defineProperty(target, name, property);
  }

  /** `Object.keys` asks this of every key that it was told of, and wants to know nothing of the session. */
  getOwnPropertyDescriptor(
    target: SessionStoreRecord,
    name: string | symbol,
  ): PropertyDescriptor | undefined {
    const isListed = this.view.isWhole && Object.hasOwn(target, name);
    if (typeof name === "string" && !isListed) this.view.touch(name);
    return Reflect.getOwnPropertyDescriptor(target, name);
  }

  ownKeys(target: SessionStoreRecord): (string | symbol)[] {
    this.view.settleAll();
    return Reflect.ownKeys(target);
  }

  preventExtensions(target: SessionStoreRecord): boolean {
    this.view.settleAll();
    return Reflect.preventExtensions(target);
  }
}
