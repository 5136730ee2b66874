/**
 * Goal: what a process keeps of records never decides a commit by itself: neither when others have changed them, nor when it is
 * let go of while the commit waits.
 * Method: two stores, one of which changes what the other one has read; a lock that holds a commit back while reads
 * push its record out of memory.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";

type Entry = Record<string, unknown>;

const HERE = versionsHere();
let server: TestServer;
let stores = 0;

beforeAll(async () => {
  if (HERE.length > 0) server = await startServer({ fsync: "off" });
});
afterAll(() => server?.stop());

async function two(cacheBytes = 1_000_000): Promise<[SessionStore<Entry>, SessionStore<Entry>]> {
  const options = { connectionString: server.url, store: `stale ${++stores}`, cacheBytes };
  return [await openPostgresStore<Entry>(options), await openPostgresStore<Entry>(options)];
}

describe.skipIf(HERE.length === 0)("records that a process has kept", () => {
  it("do not let a transaction that only reads see the states of two instants", async () => {
    const [one, other] = await two();
    await one.put("a", { n: 1 });
    await one.put("b", { n: 1 });
    await one.get("a");
    await one.get("b");
    let attempts = 0;
    const sum = await one.transact(async (tx) => {
      const a = (await tx.get("a")) as { n: number };
      if (++attempts === 1)
        await other.transact(async (own) => {
          await own.put("a", { n: 2 });
          await own.put("b", { n: 0 });
        });
      const b = (await tx.get("b")) as { n: number };
      return a.n + b.n;
    });
    expect(sum).toBe(2);
    await one.close();
    await other.close();
  });

  it("do not let a change that changes nothing pass over what others wrote", async () => {
    const [one, other] = await two();
    await one.put("a", { n: 1 });
    let calls = 0;
    await one.update("a", async (entry) => {
      if (++calls === 1) await other.put("a", { n: 2 });
      return { ...entry, n: 1 };
    });
    expect(calls).toBe(2);
    expect(await other.get("a")).toEqual({ n: 1 });
    await one.close();
    await other.close();
  });

  it("are not missing from a patch when they had to make room while it waited", async () => {
    const [one, other] = await two(3000);
    const filler = "x".repeat(900);
    for (const key of ["b", "c", "d", "e"]) await other.put(key, { filler });
    await one.put("a", { kept: filler, n: 1 });
    const holder = new pg.Client({ connectionString: server.url });
    await holder.connect();
    await holder.query("begin");
    await holder.query("select 1 from sessiondir.session where key = 'a' for update");
    const patched = one.transact(async (tx) => {
      await tx.patch("a", { n: 2 });
      await tx.append("z", ["item"]);
    });
    await waits(holder);
    for (const key of ["b", "c", "d", "e"]) await one.get(key);
    await holder.query("rollback");
    await holder.end();
    await patched;
    expect(await other.get("a")).toEqual({ kept: filler, n: 2 });
    await one.close();
    await other.close();
  });
});

/** Resolves when somebody waits for a lock. */
async function waits(sql: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await sql.query("select 1 from pg_locks where not granted");
    if (rows.length > 0) return;
  }
}
