/**
 * Goal: the whole-store object is an object: every operation does to it what it does to an ordinary one, and the store becomes
 * what the object is.
 * Method: random operations, each on both kinds of view and on an object without a prototype, compared after every step;
 * SESSIONDIR_SEED repeats a run.
 */
import { describe, expect, it } from "vitest";
import { systemRuntime } from "../../../src/runtime.js";
import { StoreSnapshot, type StoredSession } from "../../../src/openclaw/backend/snapshot.js";
import { StoreView, viewOf } from "../../../src/openclaw/backend/view.js";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import { plain, session } from "../support/gateway-folder.js";

const seed = Number(process.env["SESSIONDIR_SEED"] ?? Math.floor(systemRuntime.random() * 2 ** 31));
const ROUNDS = 200;
const STEPS = 40;

const KEYS = ["a", "b", "c", "agent:main:x", "__proto__", "constructor", "then", "7", "new"];
const OTHER_CASES = ["A", "Agent:Main:X", " b"];
const STORED = ["c", "a", "agent:main:x", "__proto__", "7", "b"];

const KINDS = {
  "for readers": (sessions: StoreSnapshot) => StoreView.of(sessions),
  "for mutators": (sessions: StoreSnapshot) => StoreView.lazy(sessions),
};

/** A small generator of our own: what matters is that a seed repeats. */
function dice(from: number): (sides: number) => number {
  let state = from >>> 0 || 1;
  return (sides) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % sides;
  };
}

function stored(): StoredSession[] {
  return STORED.map((key, n) => ({
    key,
    entry: session(n + 1, { origin: { label: key } }),
    revision: n + 1,
  }));
}

function model(): SessionStoreRecord {
  const object = Object.create(null) as SessionStoreRecord;
  for (const { key, entry } of stored()) object[key] = plain(entry);
  return object;
}

/** Everything that can be asked of an object at once. */
function stateOf(store: SessionStoreRecord): unknown {
  const names: string[] = [];
  for (const name in store) names.push(name);
  return {
    keys: Reflect.ownKeys(store),
    names,
    json: JSON.stringify(store),
    entries: Object.entries(store).map(([key, entry]) => [key, plain(entry)]),
    has: [...KEYS, ...OTHER_CASES, "tojson"].map((key) => [
      key in store,
      Object.hasOwn(store, key),
      Object.getOwnPropertyDescriptor(store, key)?.enumerable,
      plain(store[key]),
    ]),
    spread: plain({ ...store }),
    assigned: plain(Object.assign({}, store)),
    prototype: Object.getPrototypeOf(store) as unknown,
    tag: Object.prototype.toString.call(store),
  };
}

type Operation = (store: SessionStoreRecord) => unknown;

function operation(roll: (sides: number) => number): Operation {
  const key = [...KEYS, ...OTHER_CASES][roll(KEYS.length + OTHER_CASES.length)]!;
  const time = 100 + roll(100);
  const operations: Operation[] = [
    (store) => plain(store[key]),
    (store) => key in store,
    (store) => Object.hasOwn(store, key),
    (store) => Object.keys(store),
    (store) => Reflect.deleteProperty(store, key),
    (store) => void (store[key] = session(time)),
    (store) => void (store[key] = undefined as unknown as SessionEntry),
    (store) => void (store[key] = null as unknown as SessionEntry),
    (store) => {
      const entry = store[key];
      if (entry) entry.label = `label ${time}`;
    },
    (store) => {
      const entry = store[key];
      if (entry) entry.origin!.label = `origin ${time}`;
    },
    (store) =>
      Reflect.defineProperty(store, key, {
        value: session(time, { origin: {} }),
        writable: true,
        enumerable: true,
        configurable: true,
      }),
    (store) => void Object.assign(store, { [key]: session(time, { origin: {} }) }),
    (store) => void (Reflect.get(store, Symbol.iterator) as unknown),
  ];
  return operations[roll(operations.length)]!;
}

function attempt(run: Operation, store: SessionStoreRecord): unknown {
  try {
    return plain(run(store));
  } catch (error) {
    return (error as Error).name;
  }
}

describe.each(Object.entries(KINDS))("a view %s", (_kind, viewFor) => {
  it(`is as an ordinary object, whatever is done to it (seed ${seed})`, () => {
    for (let round = 0; round < ROUNDS; round++) {
      const roll = dice(seed + round);
      const { store } = viewFor(new StoreSnapshot(stored()));
      const ordinary = model();
      // Half of the rounds look at everything only in the end, for looking puts things in place.
      const looks = roll(2) === 0;
      for (let step = 0; step < STEPS; step++) {
        const run = operation(roll);
        expect(attempt(run, store), `seed ${seed} round ${round} step ${step}`).toEqual(
          attempt(run, ordinary),
        );
        if (looks) expect(stateOf(store)).toEqual(stateOf(ordinary));
      }
      expect(stateOf(store), `seed ${seed} round ${round}`).toEqual(stateOf(ordinary));
    }
  });

  it(`brings the store to what the object is (seed ${seed})`, () => {
    for (let round = 0; round < ROUNDS; round++) {
      const roll = dice(seed + round);
      const view = viewFor(new StoreSnapshot(stored()));
      const ordinary = model();
      for (let step = 0; step < STEPS; step++) {
        const run = operation(roll);
        attempt(run, view.store);
        attempt(run, ordinary);
      }
      for (const key of OTHER_CASES) {
        delete view.store[key];
        delete ordinary[key];
      }
      const after = new Map(stored().map(({ key, entry }) => [key, entry]));
      for (const change of view.changes({ mayTurnBack: true })) {
        for (const key of change.replaces) after.delete(key);
        if (change.kind === "delete") after.delete(change.key);
        else after.set(change.key, change.entry);
      }
      const wanted = Object.entries(ordinary).filter(([, entry]) => (entry ?? undefined) !== undefined);
      const sorted = (entries: Iterable<[string, SessionEntry]>): unknown =>
        [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, entry]) => [key, plain(entry)]);
      expect(sorted(after), `seed ${seed} round ${round}`).toEqual(sorted(wanted));
    }
  });

  it("untouched, has no changes", () => {
    const view = viewFor(new StoreSnapshot(stored()));
    expect(stateOf(view.store)).toEqual(stateOf(model()));
    expect(view.changes()).toEqual([]);
  });

  it("can be frozen, and inherited from", () => {
    const { store } = viewFor(new StoreSnapshot(stored()));
    const heir = Object.create(store) as SessionStoreRecord;
    expect(heir["a"]?.updatedAt).toBe(2);
    Object.freeze(store);
    expect(Object.isFrozen(store)).toBe(true);
    expect(Reflect.deleteProperty(store, "a")).toBe(false);
    expect(Reflect.set(store, "new", session(9))).toBe(false);
    expect(stateOf(store)).toEqual(stateOf(model()));
  });

  it("takes another case of a key for the same session when it is written; the newest of several counts", () => {
    const cases = (change: (store: SessionStoreRecord) => void): unknown => {
      const view = viewFor(new StoreSnapshot(stored()));
      change(view.store);
      return view.changes().map(({ key, kind }) => `${kind} ${key}`);
    };
    expect(cases((store) => void (store["AGENT:main:NEW"] = session(1)))).toEqual(["put agent:main:new"]);
    expect(cases((store) => void (store["A"] = session(50)))).toEqual(["patch a"]);
    const view = viewFor(new StoreSnapshot(stored()));
    view.store["A"] = session(60, { label: "older" });
    view.store["a"] = session(70, { label: "newer" });
    view.store[" a"] = session(50, { label: "oldest" });
    expect(view.changes()).toMatchObject([{ key: "a", entry: { label: "newer" } }]);
  });

  it("what no session can be is refused when it is written", () => {
    for (const [key, value] of [
      ["b", 5],
      ["b", []],
      ["  ", session(1)],
    ] as const) {
      const view = viewFor(new StoreSnapshot(stored()));
      Reflect.set(view.store, key, value);
      expect(() => view.changes()).toThrow(TypeError);
    }
  });

  it("knows what it is of", () => {
    const view = viewFor(new StoreSnapshot(stored()));
    expect(viewOf(view.store)).toBe(view);
    expect(viewOf({ ...view.store })).toBeUndefined();
  });
});

describe("structuredClone", () => {
  it("takes a reader's view, and gives an object without a tie to the store", () => {
    const { store } = StoreView.of(new StoreSnapshot(stored()));
    const clone = structuredClone(store);
    expect(clone).toEqual({ ...model() });
    expect(Object.keys(clone)).toEqual(Object.keys(model()));
    clone["a"]!.origin!.label = "changed";
    expect(store["a"]!.origin!.label).toBe("a");
  });

  it("takes a mutator's by way of a spread", () => {
    const { store } = StoreView.lazy(new StoreSnapshot(stored()));
    expect(structuredClone({ ...store })).toEqual({ ...model() });
  });
});
