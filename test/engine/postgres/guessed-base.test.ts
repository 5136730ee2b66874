/**
 * Goal: an update builds on what its process has, in one statement; where others were faster it runs again on what they wrote, and
 * nothing is answered from what was overtaken.
 * Method: what is sent is counted; another store changes, deletes or makes the session first.
 */
import { describe, expect, it } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { HERE, useServer, type Entry } from "../../support/postgres/scene.js";
import { watchedPool, type WatchedPool } from "../../support/postgres/watched-pool.js";

const scene = useServer();
const { opened, pools } = scene;
let stores = 0;

async function two(cacheBytes = 1_000_000): Promise<{
  one: SessionStore<Entry>;
  other: SessionStore<Entry>;
  watched: WatchedPool;
}> {
  const watched = watchedPool(scene.server.url);
  const store = `guess ${++stores}`;
  const one = await openPostgresStore<Entry>({ pool: watched.pool, store, cacheBytes });
  const other = await openPostgresStore<Entry>({ connectionString: scene.server.url, store });
  opened.push(one, other);
  pools.push(watched);
  return { one, other, watched };
}

const increment = (entry: Readonly<Entry> | undefined): Entry => ({
  ...entry,
  n: Number(entry?.["n"] ?? 0) + 1,
});

describe.skipIf(HERE.length === 0)("an update", () => {
  it("of a record that this process has is one statement", async () => {
    const { one, watched } = await two();
    await one.put("a", { n: 1 });
    watched.sent.length = 0;
    await one.update("a", increment);
    await one.patch("a", { m: 1 });
    expect(watched.sent.length).toBe(2);
    expect(await one.get("a")).toEqual({ n: 2, m: 1 });
  });

  it("of a record that this process has no room for reads it", async () => {
    const { one, other } = await two(0);
    await one.put("a", { n: 1 });
    await other.update("a", increment);
    await one.update("a", increment);
    expect(await other.get("a")).toEqual({ n: 3 });
  });

  it("runs again on what others wrote meanwhile", async () => {
    const { one, other } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 10 });
    const given: unknown[] = [];
    const record = await one.update("a", (entry) => {
      given.push(entry?.["n"]);
      return increment(entry);
    });
    expect(given).toEqual([1, 10]);
    expect(record?.entry).toEqual({ n: 11 });
    expect(await other.get("a")).toEqual({ n: 11 });
  });

  it("reads first where the last guess was wrong", async () => {
    const { one, other, watched } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 10 });
    await one.update("a", increment);
    await other.put("a", { n: 20 });
    let calls = 0;
    watched.sent.length = 0;
    await one.update("a", (entry) => {
      calls++;
      return increment(entry);
    });
    expect([calls, watched.sent.length]).toEqual([1, 2]);
    expect(await other.get("a")).toEqual({ n: 21 });
  });

  it("does not leave alone what only was as it should be", async () => {
    const { one, other } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 10 });
    const record = await one.update("a", (entry) => (Number(entry?.["n"]) < 5 ? undefined : { n: 11 }));
    expect(record?.entry).toEqual({ n: 11 });
    await other.put("a", { n: 12 });
    await one.get("b");
    expect((await one.update("a", (entry) => entry))?.entry).toEqual({ n: 12 });
  });

  it("does not write over what others wrote because it would change nothing", async () => {
    const { one, other } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 10 });
    expect((await one.update("a", () => ({ n: 1 })))?.entry).toEqual({ n: 1 });
    expect(await other.get("a")).toEqual({ n: 1 });
  });

  it("fails with what its function threw on the latest state only", async () => {
    const { one, other } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 10 });
    const record = await one.update("a", (entry) => {
      if (Number(entry?.["n"]) < 5) throw new Error("too few");
      return increment(entry);
    });
    expect(record?.entry).toEqual({ n: 11 });
    const thrown = one.update("a", () => {
      throw new Error("always");
    });
    await expect(thrown).rejects.toThrow("always");
  });

  it("of what others have deleted makes it anew, a patch does not, and a delete finds nothing", async () => {
    const { one, other } = await two();
    for (const key of ["a", "b", "c"]) await one.put(key, { n: 1 });
    for (const key of ["a", "b", "c"]) await other.delete(key);
    expect((await one.update("a", increment))?.entry).toEqual({ n: 1 });
    await expect(one.patch("b", { n: 2 })).rejects.toMatchObject({ code: "not_found" });
    expect(await one.delete("c")).toBe(false);
    expect(await other.get("b")).toBeUndefined();
  });

  it("with a revision that was right says what it is now", async () => {
    const { one, other } = await two();
    const { revision } = await one.put("a", { n: 1 });
    const { revision: actual } = await other.put("a", { n: 2 });
    await expect(one.patch("a", { n: 3 }, { ifRevision: revision })).rejects.toMatchObject({
      code: "conflict",
      data: { expected: revision, actual },
    });
    await one.patch("a", { n: 3 }, { ifRevision: actual });
    expect(await other.get("a")).toEqual({ n: 3 });
  });

  it("of what this process deleted itself knows of it", async () => {
    const { one, watched } = await two();
    await one.put("a", { n: 1 });
    await one.delete("a");
    watched.sent.length = 0;
    let calls = 0;
    await one.update("a", (entry) => {
      calls++;
      return increment(entry);
    });
    expect(calls).toBe(1);
    expect(await one.get("a")).toEqual({ n: 1 });
  });

  it("counts each time that two processes make it at once", async () => {
    const { one, other } = await two();
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? one : other).update(`k${n % 3}`, increment)),
    );
    const sums = await Promise.all([0, 1, 2].map(async (n) => (await one.get(`k${n}`))?.["n"]));
    expect(sums).toEqual([20, 20, 20]);
  });
});
