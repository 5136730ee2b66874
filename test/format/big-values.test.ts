/**
 * Goal: big values are stored once, loaded when they are touched, and recognised wherever they come back.
 * Method: entries that another process reads; which blobs it loads is written down.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { STORED_DEPTH_MAX } from "../../src/format/limits.js";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import { referencesIn } from "../../src/format/stored-references.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { reparsed } from "./arbitraries.js";
import {
  THRESHOLD,
  big,
  bigObject,
  blobs,
  codec,
  isDeeplyFrozen,
  keep,
  loads,
  newCodec,
  stored,
  useCodec,
  useCodecScene,
} from "./codec-scene.js";

useCodecScene();

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
    useCodec();
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
    useCodec();
    const [a, b] = [codec.decode(one), codec.decode(two)] as { snapshot: unknown }[];
    expect(a?.snapshot).toBe(b?.snapshot);
  });

  it("need no reading right after they were written", () => {
    const { stored: form } = codec.encode({ snapshot: { list: [1, 2, 3, big("x")] }, text: big("t") });
    expect(JSON.stringify(codec.decode(form))).toContain(big("x"));
    expect(loads).toEqual([]);
  });

  it("load again when the cache had no room, and objects in use stay the same", () => {
    useCodec({ cacheBytes: 10 });
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
    useCodec();
    const entry = codec.decode(form) as { a: string };
    expect(() => entry.a).toThrow("no blob");
    expect(() => ({ ...entry })).toThrow("no blob");
    for (const [hash, bytes] of saved) blobs.set(hash, bytes);
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
    useCodec();
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
    useCodec();
    loads.length = 0;
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
    useCodec();
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
