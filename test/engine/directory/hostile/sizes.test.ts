/**
 * Goal: sizes that nobody meant end in their own error, in bounded time and memory, and leave the store as it
 * was (fault 26).
 * Method: sparse files of a gigabyte, nesting of 100,000 levels and values just above each limit, at every door.
 */
import { truncateSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Limits } from "../../../../src/format/limits.js";
import { BIG, codeOf, failureOf, useSandbox, type Entry } from "../sandbox.js";

const holder = useSandbox();
const GIB = 1024 ** 3;

function nested(levels: number): Entry {
  let value: Entry = {};
  for (let level = 1; level < levels; level++) value = { in: value };
  return value;
}

/** By how much the most memory that this process ever had grew while something ran, in bytes. */
async function growthOf(work: () => Promise<void>): Promise<number> {
  const before = process.resourceUsage().maxRSS;
  await work();
  return (process.resourceUsage().maxRSS - before) * 1024;
}

describe("a file of 1 GiB", () => {
  it("in place of meta.json is refused unread", async () => {
    const { box } = holder;
    await box.filled({ a: { updatedAt: 1 }, b: { updatedAt: 2 } });
    truncateSync(box.entryFile("a"), GIB);
    const growth = await growthOf(async () => {
      const store = await box.open();
      const error = await failureOf(() => store.get("a"));
      expect(error.code).toBe("entry_corrupt");
      expect(error.message).toContain(String(GIB));
      expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["b"]);
      await store.put("a", { updatedAt: 3 });
      await store.checkpoint();
      expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 3 });
    });
    expect(growth).toBeLessThan(100 * 1024 ** 2);
  });

  it("while the log has the session: the checkpoint writes it anew", async () => {
    const { box } = holder;
    const store = await box.open();
    await store.put("a", { updatedAt: 1 });
    await store.flush();
    truncateSync(box.entryFile("a"), GIB);
    const growth = await growthOf(() => store.checkpoint());
    expect(growth).toBeLessThan(100 * 1024 ** 2);
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 1 });
  });

  it("in place of a blob is refused unread, and a put replaces it", async () => {
    const { box } = holder;
    await box.filled({ a: { big: BIG } });
    truncateSync(box.blobs()[0]!, GIB);
    const growth = await growthOf(async () => {
      const store = await box.open();
      expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("file_unsafe");
      await store.put("b", { big: BIG });
      expect((await store.get("a"))?.["big"]).toBe(BIG);
    });
    expect(growth).toBeLessThan(100 * 1024 ** 2);
  });

  it("in place of format.json is refused unread", async () => {
    const { box } = holder;
    await box.filled({});
    truncateSync(box.at(".store", "format.json"), GIB);
    expect(await codeOf(() => box.open())).toBe("file_unsafe");
  });
});

describe("limits of what is put", () => {
  const CASES: Record<string, { code: string; limits?: Partial<Limits>; entry: () => Entry; data: object }> =
    {
      "100,000 levels": { code: "value_too_deep", entry: () => nested(100_000), data: { limit: 128 } },
      "129 levels": { code: "value_too_deep", entry: () => nested(129), data: { limit: 128 } },
      "100,000 levels of arrays": {
        code: "value_too_deep",
        entry: () => ({ list: JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`) as unknown }),
        data: { limit: 128 },
      },
      "a string above the limit of shared values": {
        code: "blob_too_large",
        limits: { blobBytesMax: 10_000 },
        entry: () => ({ text: "x".repeat(10_001) }),
        data: { limit: 10_000 },
      },
      "an entry above its limit": {
        code: "entry_too_large",
        entry: () => ({ one: "x".repeat(9 * 1024 ** 2), two: "y".repeat(9 * 1024 ** 2) }),
        data: { limit: 16 * 1024 ** 2 },
      },
      "ten thousand fields above the limit of a record": {
        code: "record_too_large",
        entry: () =>
          Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field ${i}`, "x".repeat(200)])),
        data: { limit: 1024 ** 2 },
      },
    };

  it.each(Object.keys(CASES))("%s: its own error, with the numbers", async (name) => {
    const { box } = holder;
    const { code, limits, entry, data } = CASES[name]!;
    const store = await box.open(limits === undefined ? {} : { limits });
    const { revision } = await store.put("a", { updatedAt: 1 });
    const value = entry();
    const calls: Record<string, () => Promise<unknown>> = {
      put: () => store.put("a", value),
      patch: () => store.patch("a", value),
      update: () => store.update("a", () => value),
      transact: () => store.transact((tx) => tx.put("a", value)),
    };
    for (const [method, call] of Object.entries(calls)) {
      const error = await failureOf(call);
      expect(error.code, method).toBe(code);
      expect(error.data).toMatchObject({ ...data, key: "a" });
      expect(error.message).toContain("a");
    }
    expect(await store.read("a")).toMatchObject({ revision, entry: { updatedAt: 1 } });
    expect(await store.revision()).toBe(revision);
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 1 });
  });

  it("128 levels and ten thousand short fields are fine", async () => {
    const { box } = holder;
    const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`field ${i}`, i]));
    await box.filled({ deep: nested(128), wide });
    const store = await box.open();
    expect(await store.get("deep")).toEqual(nested(128));
    expect(await store.get("wide")).toEqual(wide);
    await store.update("wide", (entry) => ({ ...entry, "field 9": -9 }));
    expect(await store.get("wide")).toEqual({ ...wide, "field 9": -9 });
  });

  it("a value in a circle ends, too", async () => {
    const { box } = holder;
    const store = await box.open();
    const circle: Entry = {};
    circle["self"] = circle;
    await expect(store.put("a", circle)).rejects.toThrow();
    expect(await store.revision()).toBe(0);
  });
});

it("a lower limit of this process does not hide what others stored", async () => {
  const { box } = holder;
  await box.filled({ a: { updatedAt: 1, text: "x".repeat(3000), deep: nested(20), big: BIG } });
  const store = await box.open({
    limits: { entryBytesMax: 100, recordBytesMax: 100, depthMax: 2, keyBytesMax: 10 },
  });
  expect((await store.get("a"))?.["text"]).toHaveLength(3000);
  expect((await store.list()).sessions).toHaveLength(1);
  expect((await store.get("a"))?.["big"]).toBe(BIG);
});

it("a meta.json of 17 MiB that claims to be one is refused for its size", async () => {
  const { box } = holder;
  await box.filled({ a: { updatedAt: 1 } });
  writeFileSync(box.entryFile("a"), `{"$session":{"key":"a"},"text":"${"x".repeat(17 * 1024 ** 2)}"}\n`);
  const store = await box.open();
  expect(await codeOf(() => store.get("a"))).toBe("entry_corrupt");
});
