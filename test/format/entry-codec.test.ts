/**
 * Goal: what comes out of the codec means what JSON makes of what went in, whatever went in; nobody's objects are touched.
 * Method: properties against JSON.stringify, and one test for each promise of the interface.
 */
import { runInNewContext } from "node:vm";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import { referencesIn } from "../../src/format/stored-references.js";
import { define, entry as anyEntry, objectOf, reparsed, text } from "./arbitraries.js";
import {
  THRESHOLD,
  big,
  blobs,
  codec,
  isDeeplyFrozen,
  keep,
  loads,
  newCodec,
  roundTrip,
  stored,
  useCodec,
  useCodecScene,
} from "./codec-scene.js";

useCodecScene();

describe("round trip", () => {
  it("gives what JSON gives, for any entry and at any threshold", () => {
    fc.assert(
      fc.property(anyEntry, fc.constantFrom(1, 30, THRESHOLD, 4096), (entry, thresholdBytes) => {
        useCodec({ thresholdBytes });
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
    useCodec({ limits: { recordBytesMax: 500 } });
    const base = codec.encode({ a: "x".repeat(150), b: "y".repeat(150), c: 1 }).stored;
    expect(() => codec.encodeFields({ d: "z".repeat(100) }, base)).not.toThrow();
    expect(() => codec.encodeFields({ d: "z".repeat(180) }, base)).toThrow(
      expect.objectContaining({ code: "record_too_large" }),
    );
    expect(() => codec.encodeFields({ d: "z".repeat(180), a: undefined }, base)).not.toThrow();
    expect(() => codec.encodeFields({ a: "z".repeat(180) }, base)).not.toThrow();
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
