/**
 * Goal: reads share statements, and none is older than its call; one that may be older comes from memory, and is not older than it may be.
 * Method: what is sent is counted; an answer is kept back while another store commits.
 */
import { describe, expect, it } from "vitest";
import { openPostgresStore, type PostgresStoreOptions } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { HERE, useServer, type Entry } from "../../support/postgres/scene.js";
import { watchedPool, type WatchedPool } from "../../support/postgres/watched-pool.js";

/** A read of sessions, and what takes changes of others out of memory. */
const READS = /^select c\.rev as head/;
const HOUR = 3_600_000;
const scene = useServer();
const { opened, pools } = scene;
let stores = 0;

async function two(options: PostgresStoreOptions<Entry> = {}): Promise<{
  one: SessionStore<Entry>;
  other: SessionStore<Entry>;
  watched: WatchedPool;
}> {
  const watched = watchedPool(scene.server.url);
  const store = `reads ${++stores}`;
  const one = await openPostgresStore<Entry>({ ...options, pool: watched.pool, store });
  const other = await openPostgresStore<Entry>({ connectionString: scene.server.url, store });
  opened.push(one, other);
  pools.push(watched);
  return { one, other, watched };
}

describe.skipIf(HERE.length === 0)("reads", () => {
  it("share a statement, known sessions, changed ones, new ones and missing ones", async () => {
    const { one, other, watched } = await two();
    for (let n = 0; n < 40; n++) await one.put(`k${n}`, { n });
    for (let n = 0; n < 10; n++) await other.put(`k${n}`, { n: n + 1000 });
    await other.put("new", { n: "new" });
    await other.delete("k39");
    watched.sent.length = 0;
    const keys = [...Array.from({ length: 40 }, (_, n) => `k${n}`), "new", "missing", "k1"];
    const found = await Promise.all(keys.map((key) => one.get(key)));
    const wanted = Array.from({ length: 39 }, (_, n) => ({ n: n < 10 ? n + 1000 : n }));
    expect(found).toEqual([...wanted, undefined, { n: "new" }, undefined, { n: 1001 }]);
    expect(watched.sent.length).toBeLessThanOrEqual(2);
  });

  it("that begin while a statement is under way are not answered by it", async () => {
    const { one, other, watched } = await two();
    await other.put("a", { n: 1 });
    const held = watched.holdNext(READS);
    const early = one.get("a");
    await held.there;
    await other.put("a", { n: 2 });
    const late = one.get("a");
    held.release();
    expect(await early).toEqual({ n: 1 });
    expect(await late).toEqual({ n: 2 });
  });

  it("do not wait long for a statement that is not answered", async () => {
    const { one, other, watched } = await two();
    await other.put("a", { n: 1 });
    const held = watched.holdNext(READS);
    const early = one.get("a");
    await held.there;
    expect(await one.get("a")).toEqual({ n: 1 });
    held.release();
    await early;
  });

  it("give the same object as long as the session stays the same", async () => {
    const { one, other } = await two();
    await other.put("a", { n: 1 });
    const [first, second] = [await one.get("a"), await one.get("a")];
    expect(second).toBe(first);
  });

  it("of more bytes than one answer may have come in several", async () => {
    const { one, other } = await two({ cacheBytes: 0 });
    const text = "x".repeat(1_900_000);
    await other.transact(async (tx) => {
      for (let n = 0; n < 12; n++) await tx.put(`k${n}`, { n, text });
    });
    const found = await Promise.all(Array.from({ length: 12 }, (_, n) => one.get(`k${n}`)));
    expect(found.map((entry) => entry?.["n"])).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  it("say so where somebody has removed the change that a session is at", async () => {
    const { one, watched } = await two({ cacheBytes: 0 });
    await one.put("a", { n: 1 });
    await watched.pool.query("delete from sessiondir.log where key = 'a' and kind = 'put'");
    await expect(one.get("a")).rejects.toMatchObject({ code: "entry_corrupt" });
    await one.put("a", { n: 2 });
    expect(await one.get("a")).toEqual({ n: 2 });
  });
});

describe.skipIf(HERE.length === 0)("reads that may be older", () => {
  it("come from memory, and others do not", async () => {
    const { one, other, watched } = await two();
    await one.put("a", { n: 1 });
    await other.put("a", { n: 2 });
    watched.sent.length = 0;
    expect(await one.get("a", { staleOkMs: HOUR })).toEqual({ n: 1 });
    expect((await one.read("a", { staleOkMs: HOUR }))?.entry).toEqual({ n: 1 });
    expect(watched.sent).toEqual([]);
    expect(await one.get("a")).toEqual({ n: 2 });
    expect(await one.get("a", { staleOkMs: HOUR })).toEqual({ n: 2 });
  });

  it("are what the store was opened for, where a call says nothing else", async () => {
    const { one, other } = await two({ staleOkMs: HOUR });
    await one.put("a", { n: 1 });
    await other.put("a", { n: 2 });
    expect(await one.get("a")).toEqual({ n: 1 });
    expect(await one.get("a", { staleOkMs: 0 })).toEqual({ n: 2 });
  });

  it("are never older than that: one statement finds out for all sessions", async () => {
    const { one, other, watched } = await two();
    for (const key of ["a", "b", "c", "d"]) await one.put(key, { n: 1 });
    await other.put("b", { n: 2 });
    await other.delete("c");
    await other.append("d", ["an item is no change of the record"]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    watched.sent.length = 0;
    const staleOkMs = 20;
    expect(await one.get("a", { staleOkMs })).toEqual({ n: 1 });
    expect(watched.sent.length).toBe(1);
    expect(await one.get("d", { staleOkMs: HOUR })).toEqual({ n: 1 });
    expect(watched.sent.length).toBe(1);
    expect(await one.get("b", { staleOkMs: HOUR })).toEqual({ n: 2 });
    expect(await one.get("c", { staleOkMs: HOUR })).toBeUndefined();
  });

  it("do not come from a change of the past that a watch has brought", async () => {
    const { one, other } = await two();
    await other.put("a", { n: 1 });
    await other.put("a", { n: 2 });
    for await (const change of one.watch({ since: 0 })) {
      expect(change.record?.entry).toEqual({ n: 1 });
      break;
    }
    expect(await one.get("a", { staleOkMs: HOUR })).toEqual({ n: 2 });
  });

  it("find out about changes behind very many others", async () => {
    const { one, other } = await two();
    await one.put("a", { n: 1 });
    await one.put("b", { n: 1 });
    await other.transact(async (tx) => {
      for (let n = 0; n < 1100; n++) await tx.put(`filler ${n}`, { n });
    });
    await other.delete("a");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await one.get("a", { staleOkMs: 1 })).toBeUndefined();
    expect(await one.get("b", { staleOkMs: 1 })).toEqual({ n: 1 });
  });

  it("find out about changes that are forgotten", async () => {
    const { one, other, watched } = await two();
    await one.put("a", { n: 1 });
    await other.delete("a");
    await watched.pool.query("update sessiondir.store set floor = rev");
    await watched.pool.query("delete from sessiondir.log where kind = 'delete'");
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await one.get("a", { staleOkMs: 1 })).toBeUndefined();
  });

  it("take no bound that is none", async () => {
    const { one } = await two();
    for (const staleOkMs of [-1, 1.5, "1"])
      await expect(one.get("a", { staleOkMs } as never)).rejects.toThrow(TypeError);
    await expect(one.get("a", { stale: 1 } as never)).rejects.toThrow(TypeError);
  });
});
