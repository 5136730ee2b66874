/**
 * Goal: big values are stored once, come back as they were, and are removed when nobody has them, never under a commit that is
 * about to have them.
 * Method: rows are counted by hand; housekeeping and commits are held back in the middle of their transactions.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Housekeeping } from "../../../src/engine/postgres/housekeeping.js";
import { openPostgresStore, type PostgresStoreOptions } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { HERE, useServer, type Entry } from "../../support/postgres/scene.js";
import { watchedPool, type WatchedPool } from "../../support/postgres/watched-pool.js";

const BIG = "x".repeat(5000);
const TREE = { list: Array.from({ length: 600 }, (_, n) => ({ n, name: `skill ${n}` })) };
const scene = useServer();
const { opened, pools } = scene;
let stores = 0;
let byHand: pg.Client;

beforeAll(async () => {
  if (HERE.length === 0) return;
  byHand = new pg.Client({ connectionString: scene.server.url });
  await byHand.connect();
});
afterAll(() => byHand?.end());

async function open(store: string, options: PostgresStoreOptions<Entry> = {}): Promise<SessionStore<Entry>> {
  const way = options.pool === undefined ? { connectionString: scene.server.url } : {};
  const one = await openPostgresStore<Entry>({ ...way, store, ...options });
  opened.push(one);
  return one;
}

function watch(): WatchedPool {
  const watched = watchedPool(scene.server.url);
  pools.push(watched);
  return watched;
}

async function valuesOf(store: string): Promise<string[]> {
  const { rows } = await byHand.query<{ val: string }>(
    "select v.val from sessiondir.value v join sessiondir.store s on s.id = v.store where s.name = $1 order by v.val",
    [store],
  );
  return rows.map(({ val }) => val);
}

/** What housekeeping does when enough was committed, at once. */
async function tidy(store: string, pool?: pg.Pool): Promise<void> {
  const { rows } = await byHand.query<{ id: number }>("select id from sessiondir.store where name = $1", [
    store,
  ]);
  const client = await (pool ?? new pg.Pool({ connectionString: scene.server.url })).connect();
  const lent = {
    backend: undefined,
    query: async (text: string, values: readonly unknown[] = []) =>
      (await client.query({ text, values: values as unknown[] })).rows as never,
    release: () => client.release(true),
  };
  const place = { schema: "sessiondir", store: rows[0]?.id ?? 0, name: store, history: "", timeoutMs: 1000 };
  const housekeeping = new Housekeeping({
    server: { lend: () => Promise.resolve(lent) } as never,
    place,
    historyRevisions: 1,
  });
  housekeeping.committed(1);
  await housekeeping.settled();
}

describe.skipIf(HERE.length === 0)("big values", () => {
  it("are stored once, and come back in their places", async () => {
    const name = `values ${++stores}`;
    const one = await open(name);
    const odd = JSON.parse(`{"__proto__": {"big": "${BIG}"}, "a": 1}`) as Entry;
    const entries: Entry[] = [
      { first: 1, big: BIG, last: [BIG] },
      { big: BIG, small: "x", none: null },
      { tree: TREE, other: BIG },
      odd,
      { nothing: "big" },
    ];
    for (const [n, entry] of entries.entries()) await one.put(`k${n}`, entry);
    const other = await open(name);
    for (const store of [one, other])
      for (const [n, entry] of entries.entries())
        expect(JSON.stringify(await store.get(`k${n}`))).toBe(JSON.stringify(entry));
    const { sessions } = await other.list();
    expect(sessions.map(({ entry }) => JSON.stringify(entry))).toEqual(
      entries.map((one) => JSON.stringify(one)),
    );
    const seen: unknown[] = [];
    for await (const { record } of (await open(name)).watch({ since: 0 })) {
      seen.push(record?.entry);
      if (seen.length === entries.length) break;
    }
    expect(JSON.stringify(seen)).toBe(JSON.stringify(entries));
    expect((await valuesOf(name)).length).toBe(4);
    expect({}).not.toHaveProperty("big");
  });

  it("that stay are not sent again, by whoever read them", async () => {
    const name = `values ${++stores}`;
    const watched = watch();
    const [one, other] = [await open(name), await open(name, { pool: watched.pool })];
    await one.put("a", { n: 1, tree: TREE, big: BIG });
    await other.get("a");
    watched.sent.length = 0;
    const { entry } = (await other.update("a", (entry) => ({ ...entry, n: 2 })))!;
    expect(watched.sent.length).toBe(1);
    expect(watched.bytes.at(-1)).toBeLessThan(2000);
    expect(entry).toEqual({ n: 2, tree: TREE, big: BIG });
    expect(await one.get("a")).toEqual(entry);
    await other.patch("a", { m: 1 });
    expect(await one.get("a")).toEqual({ ...entry, m: 1 });
  });

  it("count for the limit of an entry", async () => {
    const one = await open(`values ${++stores}`, { limits: { entryBytesMax: 12_000 } });
    await one.put("a", { a: BIG, b: BIG });
    await expect(one.put("a", { a: BIG, b: BIG, c: BIG })).rejects.toMatchObject({ code: "entry_too_large" });
    await expect(one.patch("a", { c: BIG })).rejects.toMatchObject({ code: "entry_too_large" });
  });

  it("go when no change has them that can be asked for, and no sooner", async () => {
    const name = `values ${++stores}`;
    const one = await open(name);
    await one.put("a", { big: BIG });
    await one.put("b", { big: BIG });
    await one.put("a", { small: 1 });
    for (let n = 0; n < 3; n++) await one.put("c", { n });
    await tidy(name);
    expect(await valuesOf(name)).toEqual([JSON.stringify(BIG)]);
    expect(await (await open(name)).get("b")).toEqual({ big: BIG });
    await one.delete("b");
    for (let n = 0; n < 3; n++) await one.put("c", { n });
    await tidy(name);
    expect(await valuesOf(name)).toEqual([]);
  });

  it("that somebody removed by hand make a session one that cannot be read, and can be put again", async () => {
    const name = `values ${++stores}`;
    const one = await open(name, { cacheBytes: 0 });
    await one.put("a", { big: BIG });
    await one.put("b", { n: 1 });
    await byHand.query("delete from sessiondir.value");
    await expect(one.get("a")).rejects.toMatchObject({ code: "entry_corrupt", data: { key: "a" } });
    await expect(one.patch("a", { n: 1 })).rejects.toMatchObject({ code: "entry_corrupt" });
    const all = await Promise.allSettled([one.patch("b", { n: 2 }), one.delete("a")]);
    expect(all.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    await one.put("a", { big: BIG });
    expect(await one.get("a")).toEqual({ big: BIG });
  });
});

describe.skipIf(HERE.length === 0)("a value without a use", () => {
  /** A store in which a value is there, and nobody has it. */
  async function unused(): Promise<{ name: string; one: SessionStore<Entry>; watched: WatchedPool }> {
    const name = `values ${++stores}`;
    const watched = watch();
    const one = await open(name, { pool: watched.pool });
    await one.put("a", { big: BIG });
    await one.put("a", { n: 1 });
    for (let n = 0; n < 3; n++) await one.put("filler", { n });
    return { name, one, watched };
  }

  it("is there when a commit begins to use it that housekeeping has to wait for", async () => {
    const { name, one, watched } = await unused();
    // The commit has locked the value, and is not over when housekeeping comes.
    watched.beforeNext(/into sessiondir\.value_use/, () => tidy(name));
    await one.put("b", { big: BIG });
    expect(await valuesOf(name)).toEqual([JSON.stringify(BIG)]);
    expect(await (await open(name)).get("b")).toEqual({ big: BIG });
  });

  it("is stored again by a commit that comes while housekeeping removes it", async () => {
    const { name, one } = await unused();
    const cleaning = watch();
    let put: Promise<unknown> | undefined;
    // Housekeeping has locked the value, and has not removed it yet.
    cleaning.beforeNext(/^delete from sessiondir\.value v/, async () => {
      put = one.put("b", { big: BIG });
      for (;;) {
        const { rows } = await byHand.query("select 1 from pg_locks where not granted");
        if (rows.length > 0) break;
      }
    });
    await tidy(name, cleaning.pool);
    await put;
    expect(await valuesOf(name)).toEqual([JSON.stringify(BIG)]);
    expect(await (await open(name)).get("b")).toEqual({ big: BIG });
  });

  it("is left alone if a commit has begun to use it since housekeeping looked", async () => {
    const { name } = await unused();
    const cleaning = watch();
    cleaning.beforeNext(/^delete from sessiondir\.value v/, async () => {
      // As if it had been committed between the look and the lock, which nobody can hold apart from outside.
      await byHand.query(
        `insert into sessiondir.value_use select s.id, v.hash, 1, 'z' from sessiondir.store s
join sessiondir.value v on v.store = s.id where s.name = $1`,
        [name],
      );
    });
    await tidy(name, cleaning.pool);
    expect(await valuesOf(name)).toEqual([JSON.stringify(BIG)]);
  });

  it("that is removed while a read looks for it sends the read to what is there now", async () => {
    const name = `values ${++stores}`;
    const watched = watch();
    const [one, other] = [await open(name), await open(name, { pool: watched.pool })];
    await one.put("a", { big: BIG });
    for (const [n, read] of [
      () => other.get("a"),
      async () => (await other.list({ prefix: "a" })).sessions[0]?.entry,
    ].entries()) {
      await one.put("a", { big: BIG + String(n) });
      watched.beforeNext(/^select hash, val from sessiondir\.value/, async () => {
        await one.put("a", { n });
        for (let i = 0; i < 3; i++) await one.put("filler", { i });
        await tidy(name);
      });
      expect(await read()).toEqual({ n });
    }
  });

  it("that is removed while a watch looks for it makes the change too old", async () => {
    const name = `values ${++stores}`;
    const watched = watch();
    const [one, other] = [await open(name), await open(name, { pool: watched.pool })];
    await one.put("a", { big: BIG });
    watched.beforeNext(/^select hash, val from sessiondir\.value/, async () => {
      await one.put("a", { n: 1 });
      for (let i = 0; i < 3; i++) await one.put("filler", { i });
      await tidy(name);
    });
    const watching = other.watch({ since: 0 })[Symbol.asyncIterator]();
    await expect(watching.next()).rejects.toMatchObject({ code: "revision_too_old" });
  });
});
