/**
 * Goal: a watch hears of other processes' commits at once where the server can tell, and anyway where it cannot; a history that went
 * backwards is noticed and said.
 * Method: polling so rare that only a hint can be in time; the history is taken back by hand, as a failover that lost commits does.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { describe, expect, it } from "vitest";
import type { StoreWarning } from "../../../src/errors.js";
import { openPostgresStore, type PostgresStoreOptions } from "../../../src/postgres/open-postgres-store.js";
import type { SessionChange, SessionStore } from "../../../src/store/types.js";
import { HERE, useServer, type Entry } from "../../support/postgres/scene.js";

const scene = useServer();
const { opened } = scene;
let stores = 0;

async function open(store: string, options: PostgresStoreOptions<Entry> = {}): Promise<SessionStore<Entry>> {
  const way = options.pool === undefined ? { connectionString: scene.server.url } : {};
  const one = await openPostgresStore<Entry>({ ...way, store, ...options });
  opened.push(one);
  return one;
}

async function byHand(...statements: string[]): Promise<pg.QueryResult[]> {
  const client = new pg.Client({ connectionString: scene.server.url });
  await client.connect();
  const results: pg.QueryResult[] = [];
  for (const statement of statements) results.push(await client.query(statement));
  await client.end();
  return results;
}

/** Connections that do nothing but listen. */
async function listeners(): Promise<number[]> {
  const [found] = await byHand(
    "select pid from pg_stat_activity where query like 'listen %' or query = 'select 1'",
  );
  return found!.rows.map(({ pid }) => Number(pid));
}

async function listening(): Promise<number> {
  for (;;) {
    const [pid] = await listeners();
    if (pid !== undefined) return pid;
    await sleep(5);
  }
}

function watching(store: SessionStore<Entry>): () => Promise<SessionChange<Entry>> {
  const iterator = store.watch()[Symbol.asyncIterator]();
  return async () => (await iterator.next()).value as SessionChange<Entry>;
}

describe.skipIf(HERE.length === 0)("hints", () => {
  it("bring a watch the commits of others long before it would look", async () => {
    const name = `hints ${++stores}`;
    const [one, other] = [await open(name, { pollMs: 3_600_000 }), await open(name)];
    const next = watching(one);
    const first = next();
    await listening();
    await sleep(30); // it looks once more when it begins to listen
    await other.put("a", { n: 1 });
    expect((await first).record?.entry).toEqual({ n: 1 });
    for (let n = 2; n < 30; n++) {
      await other.put("a", { n });
      expect((await next()).record?.entry).toEqual({ n });
    }
  });

  it("come again on another connection when theirs was lost", async () => {
    const name = `hints ${++stores}`;
    const [one, other] = [await open(name, { pollMs: 3_600_000 }), await open(name)];
    const next = watching(one)();
    const pid = await listening();
    await byHand(`select pg_terminate_backend(${pid})`);
    await sleep(20);
    await other.put("a", { n: 1 });
    expect((await next).record?.entry).toEqual({ n: 1 });
  });

  it("are not needed: a watch looks by itself", async () => {
    const name = `hints ${++stores}`;
    const [one, other] = [await open(name, { pollMs: 10, hints: false }), await open(name, { hints: false })];
    const next = watching(one)();
    await other.put("a", { n: 1 });
    expect((await next).record?.entry).toEqual({ n: 1 });
    expect(await listeners()).toEqual([]);
  });

  it("are not sent, and nobody listens, on the caller's connections", async () => {
    const name = `hints ${++stores}`;
    const pool = new pg.Pool({ connectionString: scene.server.url, max: 2 });
    const [one, other] = [await open(name, { pool, pollMs: 10 }), await open(name)];
    const next = watching(one)();
    await other.put("a", { n: 1 });
    await next;
    expect(await listeners()).toEqual([]);
    for (const store of opened.splice(0)) await store.close();
    await pool.end();
  });
});

describe.skipIf(HERE.length === 0)("a history that went backwards", () => {
  /** The store as it was at a revision, as far as a failover leaves it. */
  async function rewind(name: string, revision: number): Promise<void> {
    const id = `(select id from sessiondir.store where name = '${name}')`;
    await byHand(
      `delete from sessiondir.log where store = ${id} and rev > ${revision}`,
      `update sessiondir.session s set rev = l.rev, present = true from (select distinct on (key) key, rev from sessiondir.log
where store = ${id} and kind = 'put' order by key, rev desc) l where s.store = ${id} and s.key = l.key`,
      `update sessiondir.store set rev = ${revision} where name = '${name}'`,
    );
  }

  async function dropConnections(): Promise<void> {
    await byHand(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname is not null",
    );
  }

  it("ends watches, drops what was kept, and is said once", async () => {
    const name = `history ${++stores}`;
    const warnings: StoreWarning[] = [];
    const onWarning = (warning: StoreWarning): void => void warnings.push(warning);
    const one = await open(name, { onWarning, pollMs: 10, hints: false, staleOkMs: 3_600_000 });
    const { revision } = await one.put("a", { n: 1 });
    const next = watching(one);
    const seen = next();
    const { revision: known } = await one.put("a", { n: 2 });
    await seen;
    await rewind(name, revision);
    await expect(next()).rejects.toMatchObject({ code: "history_rewound", data: { known, revision } });
    expect(await one.get("a")).toEqual({ n: 1 });
    await one.update("a", (entry) => ({ ...entry, m: 1 }));
    expect(await one.get("a", { staleOkMs: 0 })).toEqual({ n: 1, m: 1 });
    expect(warnings.map(({ code }) => code)).toEqual(["history_rewound"]);
    const again = watching(one)();
    await one.put("b", {});
    expect((await again).key).toBe("b");
  });

  it("is noticed by a read", async () => {
    const name = `history ${++stores}`;
    const warnings: StoreWarning[] = [];
    const one = await open(name, { onWarning: (warning) => void warnings.push(warning) });
    const { revision } = await one.put("a", { n: 1 });
    await one.put("a", { n: 2 });
    await rewind(name, revision);
    expect(await one.get("a")).toEqual({ n: 1 });
    expect(warnings.map(({ code }) => code)).toEqual(["history_rewound"]);
  });

  it("is noticed on a new connection, also when it has gone on beyond what was known", async () => {
    const name = `history ${++stores}`;
    const warnings: StoreWarning[] = [];
    const one = await open(name, { onWarning: (warning) => void warnings.push(warning), hints: false });
    const { revision } = await one.put("a", { n: 1 });
    await one.put("a", { n: 2 });
    await rewind(name, revision);
    const other = await open(name, { hints: false });
    for (let n = 0; n < 5; n++) await other.put("a", { other: n });
    expect(warnings).toEqual([]);
    await dropConnections();
    expect(await one.get("a")).toEqual({ other: 4 });
    expect(warnings.map(({ code }) => code)).toEqual(["history_rewound"]);
  });

  it("is not what a new connection to the same history is", async () => {
    const name = `history ${++stores}`;
    const warnings: StoreWarning[] = [];
    const one = await open(name, {
      onWarning: (warning) => void warnings.push(warning),
      historyRevisions: 3,
    });
    for (let n = 0; n < 12; n++) {
      await one.put("a", { n });
      if (n % 3 === 0) await one.delete("nothing");
      await one.append("a", [n]);
      await dropConnections();
      expect(await one.get("a")).toEqual({ n });
    }
    expect(warnings).toEqual([]);
  });
});
