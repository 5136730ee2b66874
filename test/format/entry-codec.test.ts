/**
 * Goal: what comes out of the codec means what JSON makes of what went in, whatever went in; unchanged parts are
 * recognised; nobody's objects are touched. Method: properties against JSON.stringify, and one test for each
 * promise of the interface. The threshold is small, so that ordinary values become blobs.
 */
import { runInNewContext } from "node:vm";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { EntryCodec, type Encoded } from "../../src/format/entry-codec.js";
import { DEFAULT_LIMITS, STORED_DEPTH_MAX, type Limits } from "../../src/format/limits.js";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import { referencesIn } from "../../src/format/stored-references.js";
import type { BlobReference, StoredObject } from "../../src/format/stored-value.js";
import { define, entry as anyEntry, objectOf, reparsed, text } from "./arbitraries.js";

const THRESHOLD = 200;
const big = (seed: string): string => seed.repeat(THRESHOLD);
/** An object that is a big value itself, without having any in it. */
const bigObject = (seed: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${seed}${index}`, "filled up"]));

let blobs: Map<string, Buffer>;
let loads: string[];
let codec: EntryCodec;

function loadBlob({ hash }: BlobReference): Buffer {
  loads.push(hash);
  const bytes = blobs.get(hash);
  if (bytes === undefined) throw new Error(`no blob ${hash}`);
  return bytes;
}

function newCodec(
  options: { thresholdBytes?: number; limits?: Partial<Limits>; cacheBytes?: number } = {},
): EntryCodec {
  const { thresholdBytes = THRESHOLD, limits = {}, ...rest } = options;
  return new EntryCodec({ thresholdBytes, limits: { ...DEFAULT_LIMITS, ...limits }, loadBlob, ...rest });
}

function keep<T extends Encoded>(encoded: T): T {
  for (const [hash, bytes] of encoded.newBlobs) blobs.set(hash, bytes);
  return encoded;
}

/** Encodes, and gives the stored form as another process reads it. */
function stored(entry: object, base?: StoredObject): StoredObject {
  return reparsed(keep(codec.encode(entry, base)).stored);
}

/** Encodes, and decodes in another process. */
function roundTrip(entry: object): object {
  return newCodec().decode(stored(entry));
}

function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen);
}

beforeEach(() => {
  blobs = new Map();
  loads = [];
  codec = newCodec();
});

describe("round trip", () => {
  it("gives what JSON gives, for any entry and at any threshold", () => {
    fc.assert(
      fc.property(anyEntry, fc.constantFrom(1, 30, THRESHOLD, 4096), (entry, thresholdBytes) => {
        codec = newCodec({ thresholdBytes });
        blobs.clear();
        const text = JSON.stringify(entry);
        const encoded = keep(codec.encode(entry));
        expect(JSON.stringify(codec.decode(encoded.stored))).toBe(text);
        expect(JSON.stringify(newCodec({ thresholdBytes }).decode(reparsed(encoded.stored)))).toBe(text);
        expect(JSON.stringify(reparsed(encoded.stored))).toBe(JSON.stringify(encoded.stored));
        expect(referencesIn(encoded.stored)).toEqual(encoded.references);
        expect(isDeeplyFrozen(encoded.stored)).toBe(true);
        expect(isDeeplyFrozen(codec.decode(encoded.stored))).toBe(true);
        for (const { hash, bytes } of encoded.references) expect(blobs.get(hash)?.length).toBe(bytes);
        for (const [hash, bytes] of blobs)
          expect(createHash("sha256").update(bytes).digest("hex")).toBe(hash);
      }),
      { numRuns: 1000 },
    );
  });

  it("gives the same stored text in every process that starts from the same entry", () => {
    fc.assert(
      fc.property(anyEntry, anyEntry, (first, second) => {
        const base = keep(codec.encode(first)).stored;
        const there = newCodec();
        const baseThere = reparsed(base);
        there.decode(baseThere);
        const next = { ...codec.decode(base), ...second };
        const change = diffStored(base, keep(codec.encode(next, base)).stored) ?? { set: {}, unset: [] };
        const here = applyPatch(base, change.set, change.unset);
        const other = applyPatch(baseThere, reparsed(change.set), [...change.unset]);
        expect(JSON.stringify(other)).toBe(JSON.stringify(here));
        expect(JSON.parse(JSON.stringify(there.decode(other)))).toEqual(reparsed(codec.decode(here)));
      }),
      { numRuns: 300 },
    );
  });

  it("leaves every stored part below the threshold", () => {
    const isSmall = (value: unknown, isEntry: boolean): boolean => {
      const isObject = typeof value === "object" && value !== null;
      if (isObject && "$blob" in value) return true;
      if (!isEntry && Buffer.byteLength(JSON.stringify(value)) >= THRESHOLD) return false;
      return !isObject || Object.values(value).every((part) => isSmall(part, false));
    };
    fc.assert(fc.property(anyEntry, (entry) => isSmall(stored(entry), true)));
  });

  it("never touches what it was given", () => {
    const entry = { a: { b: [1, { c: big("x") }] }, $d: [{ e: undefined }] };
    const before = structuredClone(entry);
    const kept = codec.encode(entry).stored;
    expect(entry).toEqual(before);
    expect(Object.isFrozen(entry) || Object.isFrozen(entry.a) || Object.isFrozen(entry.a.b[1])).toBe(false);
    entry.a.b[0] = 2;
    expect(JSON.stringify(kept)).toBe(JSON.stringify(newCodec().encode(before).stored));
  });
});

describe("meaning", () => {
  it.each([
    ["dates", { at: new Date(0) }],
    ["fields that are undefined", { a: undefined, b: { c: undefined } }],
    ["numbers at the edges", { d: -0, e: [-0], f: 1e21, g: 5e-324 }],
    ["buffers", { b: Buffer.from("x") }],
    ["objects of another realm", runInNewContext("({ a: { b: [1, {}] } })") as object],
    ["symbols and hidden names", Object.defineProperty({ a: 1, [Symbol("s")]: 2 }, "hidden", { value: 3 })],
    ["no prototype", Object.assign(Object.create(null), { a: 1 })],
    ["arrays with fields", { a: Object.assign([1], { extra: 2 }) }],
    ["getters", { get a() { return [1]; } }], // prettier-ignore
    [
      "toJSON",
      { a: { toJSON: (name: string) => `json of ${name}` }, b: [{ toJSON: (name: string) => [name] }] },
    ],
    ["toJSON to nothing", { a: { toJSON: () => undefined } }],
    ["toJSON to something with toJSON", { a: { toJSON: () => ({ toJSON: () => 1, x: 2 }) } }],
    ["toJSON of a function", { a: Object.assign(() => 1, { toJSON: () => "function" }) }],
    ["toJSON to itself", { a: { x: 1, toJSON() { return this; } } }], // prettier-ignore
    ["toJSON that is data", { toJSON: 1, a: { toJSON: "x" } }],
    ["toJSON of the entry", { toJSON: (name: string) => ({ name, a: 1 }) }],
    ["a proxy", new Proxy({ a: 1, b: { c: 2 } }, {})],
    ["lone surrogates", { "\ud800": "\udc00", a: ["x\ud800y"] }],
    ["names like numbers", { b: 1, 2: 1, 1: 1, "01": 1, "-1": 1 }],
  ])("of %s is that of JSON.stringify", (_, entry: object) => {
    expect(JSON.stringify(codec.decode(codec.encode(entry).stored))).toBe(JSON.stringify(entry));
    const small = newCodec({ thresholdBytes: 2 });
    expect(JSON.stringify(small.decode(keep(small.encode(entry)).stored))).toBe(JSON.stringify(entry));
  });

  it("honours toJSON of BigInt where a program has added one", () => {
    const prototype = BigInt.prototype as unknown as { toJSON?: () => string };
    prototype.toJSON = function (this: bigint) {
      return this.toString();
    };
    try {
      expect(codec.encode({ a: 12n, b: [1n] }).stored).toEqual({ a: "12", b: ["1"] });
    } finally {
      delete prototype.toJSON;
    }
  });

  it("keeps negative zero out", () => {
    expect(Object.is(codec.encode({ a: -0 }).stored["a"], 0)).toBe(true);
  });

  it("takes the same object in two places for two", () => {
    const shared = { x: [1] };
    expect(codec.encode({ a: shared, b: [shared, shared] }).stored).toEqual({
      a: { x: [1] },
      b: [{ x: [1] }, { x: [1] }],
    });
  });

  it.each([
    [{ a: 1n }, "entry.a is a BigInt"],
    [{ a: { "b-c": [0, { d: Object(1n) }] } }, 'entry.a["b-c"][1].d is an instance of BigInt'],
    [{ a: { toJSON: () => 1n } }, "entry.a is a BigInt"],
  ])("refuses %#", (entry, message) => {
    expect(() => codec.encode(entry)).toThrow(TypeError);
    expect(() => codec.encode(entry)).toThrow(message);
  });

  it("refuses cycles, and says where", () => {
    const entry: Record<string, unknown> = { a: { b: [] } };
    (entry["a"] as { b: unknown[] }).b.push(entry);
    expect(() => codec.encode(entry)).toThrow("entry.a.b[0] refers back");
    const list: unknown[] = [];
    list.push([list]);
    expect(() => codec.encode({ list })).toThrow(TypeError);
    expect(() => codec.encode({ list })).toThrow("entry.list[0][0] refers back");
    const self: Record<string, unknown> = {};
    self["toJSON"] = () => self;
    self["me"] = self;
    expect(() => codec.encode(self)).toThrow("entry.me refers back");
  });

  it.each([
    null,
    undefined,
    1,
    "x",
    true,
    1n,
    [],
    [1],
    () => 1,
    new Date(0),
    Object(1),
    Object("x"),
    { toJSON: () => null },
    { toJSON: () => [] },
  ])("refuses an entry that is no object (%#)", (entry) => {
    expect(() => codec.encode(entry as object)).toThrow(TypeError);
    expect(() => codec.encodeFields(entry as object)).toThrow(TypeError);
  });

  it("lets the caller's own errors through", () => {
    const entry = { get a(): never { throw new Error("mine"); } }; // prettier-ignore
    expect(() => codec.encode(entry)).toThrow("mine");
  });
});

describe("names", () => {
  it("escapes a leading $ at every depth", () => {
    const entry = { $a: 1, $$b: { $c: [{ $d: 1 }] }, e$: 1 };
    expect(codec.encode(entry).stored).toEqual({ $$a: 1, $$$b: { $$c: [{ $$d: 1 }] }, e$: 1 });
    expect(roundTrip(entry)).toEqual(entry);
  });

  it("never takes a caller's object for a reference", () => {
    const fake = { $blob: `sha256:${"0".repeat(64)}`, bytes: 10 };
    expect(roundTrip({ a: fake, ...fake })).toEqual({ a: fake, ...fake });
    expect(codec.encode({ a: fake }).references).toEqual([]);
    expect(loads).toEqual([]);
  });

  it("takes __proto__, constructor and prototype for ordinary names", () => {
    const evil = JSON.parse(
      '{"__proto__":{"polluted":1},"a":{"__proto__":[1],"constructor":{"prototype":{"polluted":1}}},"$b":{"__proto__":1}}',
    ) as object;
    for (const entry of [evil, { wrapped: evil }]) {
      const back = roundTrip(entry);
      expect(JSON.stringify(back)).toBe(JSON.stringify(entry));
      expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    }
    expect(Object.keys(codec.encodeFields(evil).stored)).toContain("__proto__");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
    expect(Object.prototype.hasOwnProperty.call(Object.prototype, "polluted")).toBe(false);
  });

  it("keeps __proto__ of a big value and behind a getter", () => {
    const entry = {};
    define(entry, "__proto__", big("x"));
    const back = roundTrip(entry);
    expect(Object.keys(back)).toEqual(["__proto__"]);
    expect(loads).toEqual([]);
    expect(JSON.stringify(back)).toBe(JSON.stringify(entry));
    expect(loads).toHaveLength(1);
  });
});

describe("big values", () => {
  it("become blobs named by their content, children first", () => {
    const inner = big("i");
    const entry = { small: 1, list: [{ inner }, big("j")] };
    const { stored: form, references, newBlobs } = codec.encode(entry);
    const [reference] = references;
    expect(Object.keys(form)).toEqual(["small", "list"]);
    expect(form["list"]).toEqual({ $blob: `sha256:${reference?.hash}`, bytes: reference?.bytes, nested: 1 });
    expect(newBlobs.size).toBe(3);
    const list = JSON.parse(String(newBlobs.get(reference?.hash ?? ""))) as unknown[];
    expect(list).toEqual([
      { inner: { $blob: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), bytes: THRESHOLD + 2 } },
      { $blob: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), bytes: THRESHOLD + 2 },
    ]);
    expect([...newBlobs.values()].map(String)).toContain(JSON.stringify(inner));
  });

  it("begin exactly at the threshold, in bytes", () => {
    const holds = (value: unknown): boolean => codec.encode({ value }).references.length > 0;
    expect(holds("x".repeat(THRESHOLD - 3))).toBe(false);
    expect(holds("x".repeat(THRESHOLD - 2))).toBe(true);
    expect(holds("é".repeat((THRESHOLD - 4) / 2))).toBe(false);
    expect(holds("é".repeat((THRESHOLD - 2) / 2))).toBe(true);
    expect(holds("\n".repeat((THRESHOLD - 2) / 2))).toBe(true);
    expect(holds(["x".repeat(THRESHOLD - 5)])).toBe(false);
    expect(holds(["x".repeat(THRESHOLD - 4)])).toBe(true);
    expect(holds({ a: "x".repeat(THRESHOLD - 9) })).toBe(false);
    expect(holds({ a: "x".repeat(THRESHOLD - 8) })).toBe(true);
  });

  it("never are the entry itself", () => {
    const entry = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`field${index}`, index]));
    expect(codec.encode(entry).references).toEqual([]);
  });

  it("are named once, and listed once, however often they occur", () => {
    const value = big("x");
    const { references, newBlobs } = codec.encode({ a: value, b: [value], c: { d: value } });
    expect(references).toHaveLength(1);
    expect(newBlobs.size).toBe(1);
  });

  it("load when touched and not before, once", () => {
    const form = stored({ a: 1, snapshot: bigObject("s"), note: big("n") });
    codec = newCodec();
    const entry = codec.decode(form) as { a: number; snapshot: object; note: string };
    expect(Object.keys(entry)).toEqual(["a", "snapshot", "note"]);
    expect("snapshot" in entry).toBe(true);
    expect(entry.a).toBe(1);
    expect(loads).toHaveLength(0);
    expect(entry.note).toBe(big("n"));
    expect(entry.note).toBe(big("n"));
    expect(loads).toHaveLength(1);
    const { snapshot } = entry;
    expect(snapshot).toEqual(bigObject("s"));
    expect(entry.snapshot).toBe(snapshot);
    expect(loads).toHaveLength(2);
    expect(isDeeplyFrozen(entry)).toBe(true);
  });

  it("are one object for all sessions that share them", () => {
    const one = stored({ id: 1, snapshot: bigObject("x") });
    const two = stored({ id: 2, snapshot: bigObject("x") });
    codec = newCodec();
    const [a, b] = [codec.decode(one), codec.decode(two)] as { snapshot: unknown }[];
    expect(a?.snapshot).toBe(b?.snapshot);
  });

  it("need no reading right after they were written", () => {
    const { stored: form } = codec.encode({ snapshot: { list: [1, 2, 3, big("x")] }, text: big("t") });
    expect(JSON.stringify(codec.decode(form))).toContain(big("x"));
    expect(loads).toEqual([]);
  });

  it("load again when the cache had no room, and objects in use stay the same", () => {
    codec = newCodec({ cacheBytes: 10 });
    const entry = codec.decode(stored({ text: big("t"), list: bigObject("l") })) as {
      text: string;
      list: object;
    };
    expect(entry.text).toBe(big("t"));
    expect(entry.text).toBe(big("t"));
    expect(loads).toHaveLength(2);
    const { list } = entry;
    expect(entry.list).toBe(list);
    expect(entry.text).toBe(big("t"));
    expect(entry.list).toBe(list);
    expect(loads.length).toBeLessThanOrEqual(4);
  });

  it("can be had back for a store that lost them", () => {
    const { references, newBlobs } = codec.encode({
      a: [big("x")],
      $b: { $c: "c".repeat(THRESHOLD), d: big("d") },
    });
    for (const reference of references) {
      const bytes = codec.cachedBlob(reference);
      expect(bytes?.equals(newBlobs.get(reference.hash) ?? Buffer.alloc(0))).toBe(true);
      expect(newCodec().cachedBlob(reference)).toBeUndefined();
    }
  });

  it("fail with the loader's error, each time, and recover", () => {
    const form = stored({ a: big("x") });
    const saved = new Map(blobs);
    blobs.clear();
    codec = newCodec();
    const entry = codec.decode(form) as { a: string };
    expect(() => entry.a).toThrow("no blob");
    expect(() => ({ ...entry })).toThrow("no blob");
    blobs = saved;
    expect(entry.a).toBe(big("x"));
  });

  it.each([
    ["no JSON", "{"],
    ["too deep", "[".repeat(STORED_DEPTH_MAX + 1) + "]".repeat(STORED_DEPTH_MAX + 1)],
    ["far too deep", "[".repeat(100_000) + "]".repeat(100_000)],
  ])("that are %s are corrupt", (_, content) => {
    const hash = createHash("sha256").update(content).digest("hex");
    blobs.set(hash, Buffer.from(content));
    const entry = codec.decode({ a: { $blob: `sha256:${hash}`, bytes: content.length } }) as { a: unknown };
    expect(() => entry.a).toThrow(expect.objectContaining({ code: "blob_corrupt" }));
  });

  it("work behind a proxy, a prototype and in arrays", () => {
    const form = stored({ a: big("x"), list: [1, big("y"), { $z: big("z") }] });
    codec = newCodec();
    const entry = codec.decode(form) as { a: string; list: [number, string, { $z: string }] };
    expect(new Proxy(entry, {}).a).toBe(big("x"));
    expect((Object.create(entry) as typeof entry).a).toBe(big("x"));
    expect(entry.list).toHaveLength(3);
    expect(entry.list[1]).toBe(big("y"));
    expect(entry.list.slice(2)).toEqual([{ $z: big("z") }]);
    expect(structuredClone(entry)).toEqual({ a: big("x"), list: [1, big("y"), { $z: big("z") }] });
    const getter = Object.getOwnPropertyDescriptor(entry, "a")?.get;
    expect(() => getter?.call({})).toThrow(TypeError);
  });
});

describe("recognition", () => {
  const snapshot = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`skill ${index}`, { $name: `skill ${index}`, text: big("b") }]),
  );

  function opened(entry: object): { form: StoredObject; entry: Record<string, unknown> } {
    const form = stored(entry);
    codec = newCodec();
    loads = [];
    return { form, entry: codec.decode(form) as Record<string, unknown> };
  }

  it("gives the same entry for the same stored object, and the stored object itself where nothing starts with $", () => {
    const plain = stored({ a: { b: [1] } });
    expect(codec.decode(plain)).toBe(plain);
    const form = stored({ $a: 1, plain: { b: 1 }, twin: { $c: 1 } });
    const entry = codec.decode(form) as Record<string, unknown>;
    expect(codec.decode(form)).toBe(entry);
    expect(entry["plain"]).toBe(form["plain"]);
    const next = codec.decode(applyPatch(form, { x: 1 }, [])) as Record<string, unknown>;
    expect(next["twin"]).toBe(entry["twin"]);
  });

  it("takes back an entry without looking into it", () => {
    const { form, entry } = opened({ $a: 1, snapshot });
    const encoded = codec.encode(entry, form);
    expect(encoded.stored).toBe(form);
    expect(encoded.references).toEqual(referencesIn(form));
    expect(encoded.newBlobs.size).toBe(0);
    expect(loads).toEqual([]);
  });

  it("takes back parts without loading what is in them", () => {
    const { form, entry } = opened({ holder: { snapshot, $x: 1 }, plain: { a: 1 } });
    const encoded = codec.encode({ moved: entry["holder"], plain: entry["plain"], n: 1 });
    expect(encoded.stored["moved"]).toBe(form["holder"]);
    expect(encoded.stored["plain"]).toBe(form["plain"]);
    expect(encoded.references).toEqual(referencesIn(form));
    expect(loads).toEqual([]);
  });

  it("takes back loaded values as references, also in other sessions and other places", () => {
    const { form, entry } = opened({ snapshot, n: 1 });
    const next = codec.encode({ ...entry, n: 2 }, form);
    expect(loads).toHaveLength(1);
    expect(next.stored["snapshot"]).toEqual(form["snapshot"]);
    expect(next.newBlobs.size).toBe(0);
    expect(diffStored(form, next.stored)).toEqual({ set: { n: 2 }, unset: [] });
    const other = codec.encode({ elsewhere: [entry["snapshot"]] });
    expect(JSON.stringify(other.stored)).toContain(JSON.stringify(form["snapshot"]));
    expect(other.newBlobs.size).toBe(0);
  });

  it("takes a loaded value for an entry of its own", () => {
    const { entry } = opened({ snapshot });
    const own = codec.encode(entry["snapshot"] as object);
    expect(own.stored).not.toHaveProperty("$blob");
    expect(JSON.parse(JSON.stringify(newCodec().decode(reparsed(own.stored))))).toEqual(snapshot);
  });

  it("takes back big strings by comparing with what the base refers to", () => {
    const { form, entry } = opened({ text: big("t"), deep: { text: big("d"), n: 1 } });
    const next = codec.encode({ ...entry, deep: { ...(entry["deep"] as object), n: 2 } }, form);
    expect(next.newBlobs.size).toBe(0);
    expect(next.stored["text"]).toEqual(form["text"]);
    expect(codec.encode({ ...entry }).newBlobs.size).toBeGreaterThan(0);
  });

  it("notices by content that a copy is what the base has", () => {
    const { form, entry } = opened({ list: [big("t"), "x"], small: 1 });
    const copy = reparsed(entry);
    codec = newCodec();
    const encoded = codec.encode(copy, form);
    expect(diffStored(form, encoded.stored)).toBeUndefined();
    expect(encoded.newBlobs.size).toBe(0);
  });

  it("is not fooled by copies that carry an entry's hidden property", () => {
    const { form, entry } = opened({ $a: 1, text: big("t") });
    const descriptors = Object.getOwnPropertyDescriptors(entry);
    const copy = Object.create(Object.prototype, {
      ...descriptors,
      $a: { value: 2, enumerable: true },
    }) as object;
    expect(codec.encode(Object.freeze(copy), form).stored["$$a"]).toBe(2);
    const proxy = new Proxy({ ...entry, $a: 3 }, { getPrototypeOf: () => entry });
    expect(() => codec.encode(proxy, form)).toThrow(TypeError);
    expect(() => codec.encode(Object.create(entry) as object)).toThrow(TypeError);
  });

  it("does not take another store's references for its own", () => {
    const { entry } = opened({ snapshot, text: big("t"), plain: { a: 1 } });
    const other = newCodec();
    const encoded = other.encode({ ...entry });
    expect(encoded.references.every(({ hash }) => encoded.newBlobs.has(hash))).toBe(true);
    expect(encoded.stored["plain"]).toBe(entry["plain"]);
    const whole = newCodec().encode(entry);
    expect(whole.references.every(({ hash }) => whole.newBlobs.has(hash))).toBe(true);
  });

  it("makes a blob of an entry that became a part", () => {
    const { entry } = opened(
      Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`field${index}`, index])),
    );
    const encoded = keep(codec.encode({ parent: entry }));
    expect(encoded.references).toHaveLength(1);
    expect(encoded.newBlobs.size).toBe(1);
    expect(JSON.parse(JSON.stringify(newCodec().decode(reparsed(encoded.stored))))).toEqual({
      parent: reparsed(entry),
    });
  });
});

describe("encodeFields", () => {
  it("reports what is to be removed, under stored names", () => {
    const { stored: set, unset } = codec.encodeFields({
      a: 1,
      b: undefined,
      $c: undefined,
      d: { toJSON: () => undefined },
      $e: { f: undefined },
      g: null,
    });
    expect(set).toEqual({ a: 1, $$e: {}, g: null });
    expect(unset).toEqual(["b", "$$c", "d"]);
    expect(codec.encodeFields({ a: 1 }).unset).toEqual([]);
  });

  it("gives what encoding the patched entry gives", () => {
    fc.assert(
      fc.property(
        anyEntry,
        objectOf(fc.oneof(fc.constant(undefined), text, fc.array(text))),
        (entry, fields) => {
          const base = keep(codec.encode(entry)).stored;
          const { stored: set, unset } = keep(codec.encodeFields(fields, base));
          const merged: Record<string, unknown> = {};
          for (const source of [entry, fields])
            for (const name of Object.keys(source)) define(merged, name, source[name]);
          const patched = codec.decode(applyPatch(base, set, unset));
          expect(JSON.parse(JSON.stringify(patched))).toEqual(reparsed(merged));
        },
      ),
    );
  });

  it("checks the limits of the entry that comes out", () => {
    codec = newCodec({ limits: { recordBytesMax: 500 } });
    const base = codec.encode({ a: "x".repeat(150), b: "y".repeat(150), c: 1 }).stored;
    expect(() => codec.encodeFields({ d: "z".repeat(100) }, base)).not.toThrow();
    expect(() => codec.encodeFields({ d: "z".repeat(180) }, base)).toThrow(
      expect.objectContaining({ code: "record_too_large" }),
    );
    expect(() => codec.encodeFields({ d: "z".repeat(180), a: undefined }, base)).not.toThrow();
    expect(() => codec.encodeFields({ a: "z".repeat(180) }, base)).not.toThrow();
  });
});

describe("limits", () => {
  const nest = (levels: number): object => {
    let value: object = {};
    for (let level = 1; level < levels; level++) value = level % 2 === 0 ? { a: value } : { b: [value] };
    return value;
  };
  const chain = (levels: number): object => {
    let value: object = {};
    for (let level = 1; level < levels; level++) value = { a: value };
    return value;
  };
  const code = (run: () => unknown): unknown => {
    try {
      run();
      return "none";
    } catch (error) {
      return (error as { code?: string }).code ?? error;
    }
  };

  it("stop nesting before the stack ends", () => {
    expect(code(() => codec.encode(chain(128)))).toBe("none");
    expect(code(() => codec.encode(chain(129)))).toBe("value_too_deep");
    expect(code(() => codec.encode(chain(100_000)))).toBe("value_too_deep");
    expect(code(() => codec.encode(nest(100_000)))).toBe("value_too_deep");
    const endless = { a: { toJSON: (): object => ({ a: endless.a }) } };
    expect(code(() => codec.encode(endless))).toBe("value_too_deep");
    expect(() => codec.encode(chain(129), undefined, "my key")).toThrow(
      expect.objectContaining({
        data: { limit: 128, actual: 129, path: `entry${".a".repeat(128)}`, key: "my key" },
      }),
    );
  });

  it("count the levels of recognised parts", () => {
    codec = newCodec({ limits: { depthMax: 10 } });
    const entry = codec.decode(codec.encode(chain(8)).stored);
    expect(code(() => codec.encode({ x: { y: entry } }))).toBe("none");
    expect(code(() => codec.encode({ x: { y: { z: entry } } }))).toBe("value_too_deep");
    let growing: object = entry;
    const grow = (): void => {
      for (let level = 0; level < 1000; level++) growing = codec.decode(codec.encode({ a: growing }).stored);
    };
    expect(code(grow)).toBe("value_too_deep");
  });

  it("never let a stored form nest deeper than readers accept", () => {
    codec = newCodec({ limits: { depthMax: 1000 } });
    expect(code(() => codec.encode(chain(STORED_DEPTH_MAX)))).toBe("none");
    expect(code(() => codec.encode(chain(STORED_DEPTH_MAX + 1)))).toBe("value_too_deep");
  });

  it("bound a blob, an entry and what is left of it", () => {
    codec = newCodec({ limits: { blobBytesMax: 1000, entryBytesMax: 3500, recordBytesMax: 600 } });
    expect(code(() => codec.encode({ a: "x".repeat(998) }))).toBe("none");
    expect(code(() => codec.encode({ a: "x".repeat(999) }))).toBe("blob_too_large");
    const many = (count: number, length: number): object =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`f${index}`, String(index).repeat(length)]),
      );
    expect(code(() => codec.encode(many(3, 900)))).toBe("none");
    expect(code(() => codec.encode(many(4, 900)))).toBe("entry_too_large");
    expect(code(() => codec.encode(many(3, 180)))).toBe("none");
    expect(code(() => codec.encode(many(4, 180)))).toBe("record_too_large");
    expect(() => codec.encode(many(4, 180), undefined, "k")).toThrow(
      expect.objectContaining({
        data: { limit: 600, actual: JSON.stringify(many(4, 180)).length, path: "entry", key: "k" },
      }),
    );
  });

  it("count big values that were recognised", () => {
    codec = newCodec({ limits: { entryBytesMax: 4000 } });
    const entry = codec.decode(
      keep(codec.encode({ a: [big("1"), big("2"), big("3"), big("4"), big("5")] })).stored,
    ) as { a: unknown };
    expect(code(() => codec.encode({ a: entry.a, b: entry.a }))).toBe("none");
    expect(code(() => codec.encode({ a: entry.a, b: entry.a, c: entry.a }))).toBe("entry_too_large");
  });

  it("count the bytes of text, not its characters", () => {
    codec = newCodec({ limits: { entryBytesMax: 1000 } });
    expect(code(() => codec.encode({ a: "€".repeat(290) }))).toBe("none");
    expect(code(() => codec.encode({ a: "€".repeat(340) }))).toBe("entry_too_large");
  });

  it("stop the work on an entry soon after it is certainly too large", () => {
    codec = newCodec({ limits: { entryBytesMax: 1000 } });
    let looks = 0;
    const items = new Proxy(
      Array.from({ length: 100_000 }, () => "item"),
      {
        get: (target, name) => {
          looks++;
          return Reflect.get(target, name) as unknown;
        },
      },
    );
    expect(code(() => codec.encode({ items }))).toBe("entry_too_large");
    expect(looks).toBeLessThan(1000);
  });

  it("stop the work on endless input early", () => {
    const wide: unknown[] = [];
    wide.length = 4_000_000_000;
    expect(() => codec.encode({ wide })).toThrow(/entry\.wide\[0\] is undefined or a hole/);
    let doubling: unknown[] = ["x"];
    for (let level = 0; level < 60; level++) doubling = [doubling, doubling];
    expect(code(() => codec.encode({ doubling }))).toBe("entry_too_large");
    const entry = codec.decode(codec.encode({ a: "x".repeat(150) }).stored);
    expect(code(() => codec.encode({ many: Array.from({ length: 3_000_000 }, () => entry) }))).toBe(
      "entry_too_large",
    );
  }, 60_000);

  it("use exact sizes, never the bounds", () => {
    codec = newCodec({ limits: { recordBytesMax: 1000 } });
    const numbers = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n${index}`, index % 10]));
    expect(JSON.stringify(numbers).length).toBeLessThan(1000);
    expect(code(() => codec.encode(numbers))).toBe("none");
    const list = { list: Array.from({ length: 90 }, () => 1) };
    expect(codec.encode(list).references).toEqual([]);
    const entry = codec.decode(codec.encode(list).stored) as { list: number[] };
    expect(codec.encode({ other: entry.list }).references).toEqual([]);
  });
});

describe("a failed encoding", () => {
  it("leaves nothing behind that a later one could lean on", () => {
    const entry = { a: [big("x")], b: 1n };
    expect(() => codec.encode(entry)).toThrow(TypeError);
    const encoded = codec.encode({ a: [big("x")] });
    expect(encoded.references.every(({ hash }) => encoded.newBlobs.has(hash))).toBe(true);
  });

  it("may happen inside a getter of another", () => {
    const inner = vi.fn(() => codec.encode({ x: [big("i")], y: { z: 1 } }).stored["y"]);
    const outer = codec.encode({ a: [big("o")], get b() { return inner(); }, c: { d: 1 } }); // prettier-ignore
    expect(inner).toHaveBeenCalledTimes(1);
    expect(outer.references).toHaveLength(1);
    expect(outer.stored["c"]).toEqual({ d: 1 });
  });
});
