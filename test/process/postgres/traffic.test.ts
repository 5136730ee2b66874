/**
 * Goal: processes on several hosts share a store over PostgreSQL, connections are killed, delayed and go silent, and the server
 * is killed and started again: everything that was acknowledged is there once, sums stay what they are, and every watch has every
 * change in order and without a gap.
 * Method: eight processes, two of them behind a proxy that is disturbed; hot and cold keys, transfers, transcripts with
 * ids and each batch sent twice. At the end the store is compared with what the processes were told.
 * `SESSIONDIR_OPERATIONS`, `SESSIONDIR_KILLS` and `SESSIONDIR_RESTARTS` say how much of each.
 */
import { fork, type ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import pg from "pg";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import type { SessionStore } from "../../../src/store/types.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { startProxy } from "../../support/postgres/proxy.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";
import { many } from "../../support/thoroughness.js";

const PROGRAM = new URL("../programs/postgres-traffic.mjs", import.meta.url);
const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261130);
const PROCESSES = 8;
const LANES = 4;
const OPERATIONS = Number(process.env["SESSIONDIR_OPERATIONS"] ?? many(4000, 1200));
const KILLS = Number(process.env["SESSIONDIR_KILLS"] ?? many(40, 12));
const RESTARTS = Number(process.env["SESSIONDIR_RESTARTS"] ?? many(4, 1));
const HOT = 10;
const COLD = 1000;

interface Told {
  readonly counts: readonly (readonly [
    key: string,
    { readonly acknowledged: number; readonly unknown: number },
  ])[];
  readonly items: { readonly acknowledged: readonly string[]; readonly unknown: readonly string[] };
  readonly acknowledged: number;
  readonly stale: number;
  readonly watched: { readonly changes: number; readonly wrong: readonly string[] };
  readonly failures: readonly (readonly [code: string, times: number])[];
}

const HERE = versionsHere();
let server: TestServer;

beforeAll(async () => {
  if (HERE.length > 0) server = await startServer({ fsync: "on", max_connections: "100" });
});
afterAll(() => server?.stop());

it.skipIf(HERE.length === 0)(
  `${OPERATIONS} operations of ${PROCESSES} processes, ${KILLS} killed connections, ${RESTARTS} killed servers, seed ${SEED}` +
    (HERE.length === 0 ? ": no PostgreSQL here, npm ci or apt-get install postgresql" : ""),
  async () => {
    const random = seededRandom(SEED);
    const pick = (count: number): number => Math.trunc(random() * count);
    const options = { connectionString: server.url, store: "traffic", historyRevisions: 1_000_000 };
    const store = await openPostgresStore<Record<string, unknown>>(options);
    await store.transact(async (tx) => {
      for (let n = 0; n < HOT; n++) await tx.put(`hot:${n}`, { tokens: 100 });
    });
    const proxy = await startProxy(server.port);
    const operations = Math.ceil(OPERATIONS / PROCESSES / LANES);
    const workers = Array.from({ length: PROCESSES }, (_, index) => {
      const url = index < 2 ? server.url.replace(`:${server.port}/`, `:${proxy.port}/`) : server.url;
      const task = {
        url,
        store: "traffic",
        name: `w${index}`,
        seed: pick(2 ** 31),
        lanes: LANES,
        operations,
        hot: HOT,
        cold: COLD,
      };
      return startWorker(task);
    });
    onTestFinished(() => {
      for (const { child } of workers) child.kill("SIGKILL");
    });
    await Promise.all(workers.map(({ next }) => next()));
    const running = workers.map(({ child, next }) => {
      child.send("go");
      return next();
    });
    let over = false;
    const finished = Promise.all(running).then((answers) => {
      over = true;
      return answers;
    });
    const course = { kills: 0, restarts: 0, cuts: 0, silences: 0, delays: 0 };
    while (!over && (course.kills < KILLS || course.restarts < RESTARTS)) {
      await sleep(20 + pick(60));
      const what = pick(12);
      if (what === 0 && course.restarts < RESTARTS) {
        await server.kill();
        await sleep(pick(200));
        await server.start();
        course.restarts++;
      } else if (what === 1) {
        proxy.cut();
        course.cuts++;
      } else if (what === 2) {
        proxy.silence();
        await sleep(20 + pick(50));
        proxy.heal();
        course.silences++;
      } else if (what === 3) {
        proxy.delay(pick(20));
        course.delays++;
      } else if (await killConnection(pick)) course.kills++;
    }
    proxy.heal();
    await finished;
    const told: Told[] = [];
    for (const { child, next } of workers) {
      child.send("tell");
      told.push((await next()) as Told);
    }
    await Promise.all(workers.map(({ ended }) => ended));
    await proxy.close();
    const wrong = [...(await compare(store, told))];
    const unknown = told.flatMap(({ failures }) => failures);
    const acknowledged = told.reduce((sum, one) => sum + one.acknowledged, 0);
    console.log(
      "traffic over PostgreSQL",
      JSON.stringify({ seed: SEED, acknowledged, ...course, failures: unknown }),
    );
    await store.close();
    expect(wrong).toEqual([]);
    expect(unknown.filter(([code]) => code !== "commit_unknown")).toEqual([]);
  },
);

function startWorker(task: object): {
  child: ChildProcess;
  next: () => Promise<unknown>;
  ended: Promise<void>;
} {
  const child = fork(PROGRAM, [JSON.stringify(task)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const messages: unknown[] = [];
  let wake = (): void => {};
  let dead = false;
  child.on("message", (message) => {
    messages.push(message);
    wake();
  });
  const ended = new Promise<void>((resolve) =>
    child.once("exit", () => {
      dead = true;
      wake();
      resolve();
    }),
  );
  const next = async (): Promise<unknown> => {
    while (messages.length === 0) {
      if (dead) throw new Error("a worker has ended too early");
      await new Promise<void>((resolve) => (wake = resolve));
    }
    return messages.shift();
  };
  return { child, next, ended };
}

async function killConnection(pick: (count: number) => number): Promise<boolean> {
  const client = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: 5000 });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>(
      "select pid from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'",
    );
    const victim = rows[pick(rows.length)];
    if (victim === undefined) return false;
    await client.query("select pg_terminate_backend($1)", [victim.pid]);
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** What is in the store is what the processes were told. */
async function compare(
  store: SessionStore<Record<string, unknown>>,
  told: readonly Told[],
): Promise<string[]> {
  const wrong = told.flatMap(({ watched, stale }, index) => [
    ...watched.wrong.map((text) => `w${index}: ${text}`),
    ...(stale > 0 ? [`w${index}: ${stale} reads were older than what it had been told`] : []),
  ]);
  for (const [index, { counts }] of told.entries())
    for (const [key, { acknowledged, unknown }] of counts) {
      const found = Number((await store.get(key))?.[`w${index}`] ?? 0);
      if (found < acknowledged || found > acknowledged + unknown)
        wrong.push(`${key} has ${found} of w${index}, acknowledged are ${acknowledged}, unknown ${unknown}`);
    }
  const { sessions } = await store.list({ prefix: "hot:" });
  const tokens = sessions.reduce((sum, { entry }) => sum + Number(entry["tokens"]), 0);
  if (tokens !== HOT * 100) wrong.push(`there are ${tokens} tokens`);
  const ids: string[] = [];
  let last = 0;
  for await (const { id, seq } of store.iterateItems("shared")) {
    ids.push(id ?? "");
    if (seq !== last + 1) wrong.push(`item ${seq} follows ${last}`);
    last = seq;
  }
  if (new Set(ids).size !== ids.length) wrong.push("an item is there twice");
  const all = new Set(ids);
  for (const { items } of told) {
    for (const id of items.acknowledged) if (!all.delete(id)) wrong.push(`item ${id} is missing`);
    for (const id of items.unknown) all.delete(id);
  }
  for (const id of all) wrong.push(`nobody appended ${id}`);
  const shared = await store.get("shared");
  if (Number(shared?.["length"] ?? 0) !== ids.length)
    wrong.push("the record of the shared session counts wrong");
  return wrong;
}
