/**
 * Goal: a big value that takes the place of another one which no file has yet costs no blob, and nothing else changes:
 * equal values stay equal, what is shared stays shared, no entry becomes too large for it.
 * Method: encodings on a base that is said to be fresh or not; what becomes a blob is counted.
 */
import { expect, it } from "vitest";
import { applyPatch, diffStored } from "../../src/format/stored-patch.js";
import type { StoredObject } from "../../src/format/stored-value.js";
import { reparsed } from "./arbitraries.js";
import { THRESHOLD, big, bigObject, codec, keep, newCodec, useCodec, useCodecScene } from "./codec-scene.js";

useCodecScene();

const INLINE_MAX = 16 * THRESHOLD;

const encode = (entry: object, base?: StoredObject, fresh = true): ReturnType<typeof codec.encode> =>
  keep(codec.encode(entry, base, "k", fresh));
const isInline = (form: StoredObject, name: string): boolean =>
  !JSON.stringify(form[name] ?? null).includes("$blob");

it.each([
  ["a string", big("a"), big("b"), big("c")],
  ["a string that needs escapes", "\n".repeat(THRESHOLD), "\t".repeat(THRESHOLD), '"'.repeat(THRESHOLD)],
  ["an object", bigObject("a"), bigObject("b"), bigObject("c")],
  ["an array", Array(THRESHOLD).fill(1), Array(THRESHOLD).fill(2), Array(THRESHOLD).fill(3)],
])("%s becomes a blob first, and stays inline when it is replaced", (_, first, second, third) => {
  const one = encode({ small: 1, value: first });
  expect(one.newBlobs.size).toBe(1);
  const two = encode({ small: 1, value: second }, one.stored);
  expect(two.newBlobs.size).toBe(0);
  expect(two.references).toEqual([]);
  const three = encode({ small: 1, value: third }, two.stored);
  expect(three.newBlobs.size).toBe(0);
  expect(JSON.stringify(newCodec().decode(reparsed(three.stored)))).toBe(
    JSON.stringify({ small: 1, value: third }),
  );
});

it("becomes a blob as ever when a file has the base", () => {
  const one = encode({ value: big("a") });
  expect(encode({ value: big("b") }, one.stored, false).newBlobs.size).toBe(1);
  const two = encode({ value: big("b") }, one.stored);
  expect(encode({ value: big("c") }, two.stored, false).newBlobs.size).toBe(1);
});

it("becomes a blob when there was nothing, or a small value, in its place", () => {
  const one = encode({ other: big("a"), value: "small", list: ["x"] });
  expect(encode({ value: big("b") }, one.stored).newBlobs.size).toBe(1);
  expect(encode({ other: big("a"), value: "small", more: big("b") }, one.stored).newBlobs.size).toBe(1);
  expect(encode({ list: [big("b")] }, one.stored).newBlobs.size).toBe(1);
});

it.each([true, false])("stays inline as long as it is not changed, fresh: %s", (fresh) => {
  const one = encode({ text: big("a"), object: bigObject("a") });
  const two = encode({ text: big("b"), object: bigObject("b") }, one.stored);
  expect(isInline(two.stored, "text") && isInline(two.stored, "object")).toBe(true);
  for (const copied of [
    { ...codec.decode(two.stored), small: 1 }, // the same objects
    { text: big("b"), object: bigObject("b"), small: 1 }, // equal ones
  ]) {
    const three = encode(copied, two.stored, fresh);
    expect(three.newBlobs.size).toBe(0);
    expect(diffStored(two.stored, three.stored)).toEqual({ set: { small: 1 }, unset: [] });
  }
});

it("what is equal to the blob of the base stays that blob", () => {
  const one = encode({ text: big("a"), object: bigObject("a") });
  const base = reparsed(one.stored);
  useCodec(); // that has none of them in memory
  const two = encode({ text: big("a"), object: bigObject("a") }, base);
  expect(diffStored(base, two.stored)).toBeUndefined();
  expect(two.newBlobs.size).toBe(0);
});

it("what this process knows from other sessions is shared with them", () => {
  const other = encode({ text: big("b") });
  const one = encode({ text: big("a") });
  const two = encode({ text: big("b") }, one.stored);
  expect(two.references).toEqual(other.references);
});

it("what another session was given lately is shared with it", () => {
  const one = encode({ text: big("a") });
  const other = encode({ text: big("a"), other: 1 });
  expect(encode({ text: big("b") }, one.stored).newBlobs.size).toBe(0);
  expect(encode({ text: big("b"), other: 1 }, other.stored).newBlobs.size).toBe(1);
});

it("makes no entry too large for a record, whatever has to be escaped", () => {
  const recordBytesMax = 8 * THRESHOLD;
  useCodec({ limits: { recordBytesMax } });
  let base = encode({ a: big("\u0001"), b: big("\u0002") }).stored;
  for (let round = 3; round < 30; round++) {
    const character = String.fromCharCode(round);
    base = encode({ ...codec.decode(base), [round % 2 === 0 ? "a" : "b"]: big(character) }, base).stored;
    expect(Buffer.byteLength(JSON.stringify(base))).toBeLessThanOrEqual(recordBytesMax);
  }
});

it.each(["encode", "encodeFields"] as const)(
  "%s keeps no more inline than its limit, whatever was there before",
  (how) => {
    const size = Math.ceil(INLINE_MAX / 5);
    const names = Array.from({ length: 9 }, (_, index) => `f${index}`);
    let base = encode(Object.fromEntries(names.map((name) => [name, big(name)]))).stored;
    for (let round = 0; round < 40; round++) {
      const name = names[(round * 7) % 9] ?? "";
      const value = `${round}`.padEnd(size, "\n ");
      if (how === "encode") {
        base = encode({ ...codec.decode(base), [name]: value }, base).stored;
      } else {
        const { stored, unset } = keep(codec.encodeFields({ [name]: value }, base, "k", true));
        base = applyPatch(base, stored, unset);
      }
      expect(Buffer.byteLength(JSON.stringify(base))).toBeLessThanOrEqual(INLINE_MAX);
    }
    expect(names.filter((name) => isInline(base, name)).length).toBeGreaterThan(1);
  },
);

it("several values replaced at once count together", () => {
  const names = Array.from({ length: 9 }, (_, index) => `f${index}`);
  const value = (seed: string): string => seed.padEnd(Math.ceil(INLINE_MAX / 5), "x");
  const one = encode(Object.fromEntries(names.map((name) => [name, value(`${name} a`)])));
  const two = encode(Object.fromEntries(names.map((name) => [name, value(`${name} b`)])), one.stored);
  expect(two.newBlobs.size).toBeGreaterThan(4);
  expect(two.newBlobs.size).toBeLessThan(9);
  expect(Buffer.byteLength(JSON.stringify(two.stored))).toBeLessThanOrEqual(INLINE_MAX);
});

it("a value that is longer than the limit is a blob", () => {
  const one = encode({ value: big("a") });
  const two = encode({ value: "b".repeat(INLINE_MAX) }, one.stored);
  expect(two.newBlobs.size).toBe(1);
});
