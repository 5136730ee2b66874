/**
 * Goal: a commit whose answer was lost is not made twice, however late the server process that has it wakes up.
 * Method: that process waits for a lock, its client is cut off, and the lock is let go when the client has made up its mind.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import { startProxy } from "../../support/postgres/proxy.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";

type Entry = Record<string, unknown>;

const HERE = versionsHere();
let server: TestServer;

beforeAll(async () => {
  if (HERE.length > 0) server = await startServer({ fsync: "off" });
});
afterAll(() => server?.stop());

describe.skipIf(HERE.length === 0)("a commit whose connection was lost", () => {
  it("ends the server process that still has it before it is made again", async () => {
    const proxy = await startProxy(server.port);
    const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`);
    const store = await openPostgresStore<Entry>({ connectionString: url, store: "fence", hints: false });
    await store.put("a", { n: 1 });
    await store.get("a");
    const holder = new pg.Client({ connectionString: server.url });
    await holder.connect();
    // The statement gets its lock on the session, and waits for the counter: it has been sent as a whole.
    await holder.query("begin");
    await holder.query("select 1 from sessiondir.store where name = 'fence' for update");
    const updated = store.update("a", (entry) => ({ ...entry, n: Number(entry?.["n"]) + 1 }));
    const waiting = async (): Promise<number[]> => {
      const { rows } = await holder.query<{ pid: number }>("select pid from pg_locks where not granted");
      return rows.map(({ pid }) => pid);
    };
    let [pid] = await waiting();
    while (pid === undefined) [pid] = await waiting();
    proxy.cut();
    // Without an end of that process both it and the repeated commit would wait here.
    const { rows } = await holder.query<{ gone: boolean }>("select true as gone");
    expect(rows).toEqual([{ gone: true }]);
    for (let left = await waiting(); left.includes(pid); left = await waiting())
      await new Promise((resolve) => setTimeout(resolve, 5));
    await holder.query("rollback");
    expect((await updated)?.entry).toEqual({ n: 2 });
    expect(await store.get("a")).toEqual({ n: 2 });
    expect(await store.revision()).toBe(2);
    await holder.end();
    await store.close();
    await proxy.close();
  });
});
