/**
 * Goal: a lease over PostgreSQL has one holder among hosts, and a former one's writes do not count.
 * Method: two stores with connections of their own on a real server, the system's clock.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLeases } from "../../src/lease/index.js";
import { openPostgresStore } from "../../src/postgres/open-postgres-store.js";
import { startServer, versionsHere, type TestServer } from "../support/postgres/server.js";

const HERE = versionsHere();
let server: TestServer;

beforeAll(async () => {
  if (HERE.length > 0) server = await startServer({ fsync: "off" });
});
afterAll(() => server?.stop());

it.skipIf(HERE.length === 0)(
  "is waited for, taken over, stolen, and fenced" + (HERE.length === 0 ? ": no PostgreSQL here, npm ci" : ""),
  async () => {
    const options = { connectionString: server.url, store: "leases", pollMs: 20 };
    const [first, second] = [
      await openPostgresStore<{ n: number }>(options),
      await openPostgresStore<{ n: number }>(options),
    ];
    const a = openLeases(first);
    const b = openLeases(second);
    const lease = await a.acquire("k", { owner: "a", ttlMs: 60_000 });
    await lease.transact((tx) => tx.put("s", { n: 1 }));
    const waiting = b.acquire("k", { owner: "b", waitMs: 30_000, ttlMs: 300, renew: false });
    await expect(b.acquire("k", { owner: "c", waitMs: 300 })).rejects.toMatchObject({ code: "lease_held" });
    await lease.release();
    const next = await waiting;
    expect(next.token).toBeGreaterThan(lease.token);
    await expect(lease.transact((tx) => tx.put("s", { n: 2 }))).rejects.toMatchObject({ code: "lease_lost" });

    // Its holder does not renew it: it is over when the waiter has counted 300 ms.
    const third = await a.acquire("k", { owner: "a", waitMs: 30_000, ttlMs: 60_000 });
    await expect(next.transact((tx) => tx.put("s", { n: 3 }))).rejects.toMatchObject({ code: "lease_lost" });
    const stolen = await b.steal("k", { owner: "operator", reason: "test" });
    await expect(third.renew()).rejects.toMatchObject({ code: "lease_lost", data: { owner: "operator" } });
    await stolen.transact((tx) => tx.put("s", { n: 4 }));
    expect(await first.get("s")).toEqual({ n: 4 });
    expect((await first.list()).sessions).toHaveLength(1);
    await stolen.release();
    await first.close();
    await second.close();
  },
  60_000,
);
