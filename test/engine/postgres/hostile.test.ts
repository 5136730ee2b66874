/**
 * Goal: hostile names, sizes and surroundings cost a typed error at most: never another store's rows, half a commit, or a secret.
 * Method: each is tried against a real server, with what a database client does by hand where that is the attack.
 */
import { inspect } from "node:util";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { hostsOf } from "../../../src/postgres/hosts.js";
import { openPostgresStore, type PostgresStoreOptions } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { HERE, useServer, type Entry } from "../../support/postgres/scene.js";

const scene = useServer();
const { opened } = scene;
let stores = 0;

async function open(options: PostgresStoreOptions<Entry> = {}): Promise<SessionStore<Entry>> {
  const way = options.pool === undefined ? { connectionString: scene.server.url } : {};
  const store = await openPostgresStore<Entry>({ ...way, store: `hostile ${++stores}`, ...options });
  opened.push(store);
  return store;
}

async function byHand(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: scene.server.url });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error & { code?: string };
  }
  throw new Error("nothing was thrown");
}

describe.skipIf(HERE.length === 0)("a store in PostgreSQL", () => {
  it("takes no name that the database would make the same as another one's", async () => {
    for (const name of ["a\ud800", "a\0", "", "x".repeat(201)])
      expect(await failure(open({ store: name }))).toBeInstanceOf(TypeError);
  });

  it("gets no rows of one that was removed by hand", async () => {
    const old = await open({ store: "removed", schema: "by_hand" });
    await old.put("secret", { of: "another tenant" });
    await byHand("delete from by_hand.store where name = 'removed'");
    const store = await open({ store: "new", schema: "by_hand" });
    expect(await store.get("secret")).toBeUndefined();
    expect(await failure(old.put("secret", { n: 2 }))).toMatchObject({ code: "store_gone" });
    await store.put("mine", { n: 1 });
    expect(await old.get("mine")).toBeUndefined();
  });

  it("appends to many transcripts at once, one of which is trimmed", async () => {
    const store = await open();
    const items = Array.from({ length: 10_000 }, (_, n) => n);
    const appended = Array.from({ length: 20 }, (_, n) => store.append(`many ${n}`, items));
    appended.push(store.append("short", [1, 2, 3], { maxLength: 2 }));
    await Promise.all(appended);
    for (let n = 0; n < 20; n++)
      expect(await store.transcript(`many ${n}`)).toMatchObject({ last: 10_000, length: 10_000 });
    expect(await store.transcript("short")).toMatchObject({ last: 3, length: 2 });
  }, 60_000);

  it("tells those who watch of what the server refuses as it tells those who read", async () => {
    const store = await open({ schema: "dropped" });
    const watching = store.watch({ since: 0 })[Symbol.asyncIterator]();
    await store.put("a", {});
    await watching.next();
    const next = failure(watching.next());
    await byHand("drop schema dropped cascade");
    expect(await next).toMatchObject({ code: "server_refused" });
    expect(await failure(store.get("b"))).toMatchObject({ code: "server_refused" });
  });

  it("warns of nothing when many share the caller's connections", async () => {
    const pool = new pg.Pool({ connectionString: scene.server.url, max: 1 });
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on("warning", warned);
    for (let n = 0; n < 15; n++) await (await open({ pool })).put("a", { n });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", warned);
    expect(warnings).toEqual([]);
    for (const one of opened.splice(0)) await one.close();
    await pool.end();
  });

  it("does not make a commit twice whose answer was lost, and whose trace was swept away meanwhile", async () => {
    const pool = new pg.Pool({ connectionString: scene.server.url, max: 2 });
    const store = await open({ pool, store: "swept" });
    await store.append("a", ["first"]);
    let armed = true;
    pool.on("acquire", (client) => {
      const query = client.query.bind(client) as (config: { text: string }) => Promise<unknown>;
      const losing = async (config: { text: string }): Promise<unknown> => {
        const answer = await query(config);
        if (!armed || config.text !== "commit") return answer;
        armed = false;
        // What housekeeping does when others have made many commits.
        const id = "(select id from sessiondir.store where name = 'swept')";
        await byHand(
          `update sessiondir.store set floor = rev where id = ${id}`,
          `delete from sessiondir.log where store = ${id} and kind <> 'put'`,
        );
        throw new Error("Connection terminated unexpectedly");
      };
      Object.assign(client, { query: losing });
    });
    expect(await failure(store.append("a", ["second"]))).toMatchObject({ code: "commit_unknown" });
    expect(await store.transcript("a")).toMatchObject({ length: 2 });
    await store.append("a", ["third"]);
    expect(await store.transcript("a")).toMatchObject({ length: 3 });
    await store.close();
    await pool.end();
  });

  it.each([
    ["of theirs", 100_000_000],
    ["of what they share", 4096],
  ])(
    "gives a watch that is far behind its changes in portions of some bytes %s",
    async (_, blobThresholdBytes) => {
      const pool = new pg.Pool({ connectionString: scene.server.url, max: 2 });
      const store = await open({ pool, cacheBytes: 0, blobThresholdBytes });
      const text = "x".repeat(1_500_000);
      await store.transact(async (tx) => {
        for (let n = 0; n < 16; n++) await tx.put(`a ${n}`, { text: text + String(n) });
      });
      const { revision } = await store.put("b", { text });
      const sizes: number[] = [];
      pool.on("acquire", (client) => {
        const query = client.query.bind(client) as (config: object) => Promise<{ rows: { val?: string }[] }>;
        const measured = async (config: object): Promise<unknown> => {
          const answer = await query(config);
          sizes.push(answer.rows.filter(({ val }) => (val ?? "").length > 1_000_000).length);
          return answer;
        };
        Object.assign(client, { query: measured });
      });
      const found: string[] = [];
      for await (const change of store.watch({ since: 0 })) {
        found.push(`${change.key} ${change.last}`);
        if (change.revision === revision) break;
      }
      const wanted = Array.from({ length: 16 }, (_, n) => `a ${n} ${n === 15}`);
      expect(found).toEqual([...wanted, "b true"]);
      expect(Math.max(...sizes)).toBeLessThan(13); // of 17: no more than 16 MiB, and the one that goes beyond
      await store.close();
      await pool.end();
    },
  );

  it("says so when the caller has ended the connections", async () => {
    const pool = new pg.Pool({ connectionString: scene.server.url, max: 1 });
    const store = await open({ pool });
    await pool.end();
    expect(await failure(store.get("a"))).toMatchObject({ code: "server_unavailable" });
    expect(await failure(store.put("a", {}))).toMatchObject({ code: "server_unavailable" });
  });

  it("gives up on a lock that somebody else does not let go, with an error of its own", async () => {
    const store = await open({ store: "locked", timeoutMs: 150, unavailableMs: 300 });
    await store.put("a", { n: 1 });
    const client = new pg.Client({ connectionString: scene.server.url });
    await client.connect();
    await client.query("begin; select 1 from sessiondir.session where key = 'a' for update");
    const error = await failure(store.put("a", { n: 2 }));
    await client.query("rollback");
    await client.end();
    expect(error.code).toBe("server_unavailable");
    expect(await store.get("a")).toEqual({ n: 1 });
  }, 60_000);

  it("leaves a connection that takes no writes any more for one that does", async () => {
    const pool = new pg.Pool({ connectionString: scene.server.url, max: 1 });
    const store = await open({ pool, unavailableMs: 1000 });
    await store.put("a", { n: 1 });
    // The connection that is there takes none from now on; those that are made anew do.
    await pool.query("set default_transaction_read_only = on");
    await store.put("a", { n: 2 });
    expect(await store.get("a")).toEqual({ n: 2 });
    await pool.end();
  }, 60_000);
});

describe("a connection string", () => {
  it.each([
    "postgres://gateway:s3cr/et@127.0.0.1:1/agents",
    "postgres://gateway:s3cr@et@127.0.0.1:1/agents",
    "postgres://gateway:s3cr#et@127.0.0.1:1/agents",
    "postgres://gateway:s3cr?et@127.0.0.1:1/agents",
    "postgres://gateway:s3cr%et@127.0.0.1:1/agents",
    "postgres://gateway:s3cret@127.0.0.1:1/agents",
    "postgres://gateway@127.0.0.1:1/agents?password=s3cret",
    "postgres://gateway:12/s3cret@127.0.0.1:1",
    "gateway:s3cret@127.0.0.1:1",
  ])("keeps its password out of every error: %#", async (connectionString) => {
    const error = await failure(openPostgresStore({ connectionString, unavailableMs: 50, timeoutMs: 500 }));
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/s3cr|et@|cr.et/);
    expect(error instanceof TypeError || error.code === "server_unavailable").toBe(true);
  });

  it("of several hosts is one for each, IPv6 included", () => {
    expect(hostsOf("postgres://u:p@[::1]:5432,db-2,db3:1/x")).toHaveLength(3);
  });
});
