/**
 * Goal: whatever is done to sessions and transcripts, a store over PostgreSQL says the same as the reference in memory.
 * Method: random transactions, with cuts, trims, removals, ids and deletes, are made to both;
 * answers, transcripts, listings and changes are compared. Revisions and times are each store's own.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openPostgresStore } from "../../../src/postgres/open-postgres-store.js";
import { openSessionStore } from "../../../src/store/open.js";
import type { SessionChange, SessionStore, Transaction } from "../../../src/store/types.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { startServer, versionsHere, type TestServer } from "../../support/postgres/server.js";
import { many } from "../../support/thoroughness.js";

type Entry = Record<string, unknown>;
type Step = (tx: Transaction<Entry>) => Promise<unknown>;

const HERE = versionsHere();
const KEYS = ["a", "b", "ü", "\u{1f600}"];
const NAMES = ["main", "tools"];
let server: TestServer;

beforeAll(async () => {
  if (HERE.length > 0) server = await startServer({ fsync: "off" });
});
afterAll(() => server?.stop());

const SEEDS = Array.from({ length: many(12, 4) }, (_, index) => index + 1);

it.skipIf(HERE.length === 0).each(SEEDS)(
  "says what the reference says, random history %i" +
    (HERE.length === 0 ? ": no PostgreSQL here, npm ci" : ""),
  async (seed) => {
    const random = seededRandom(seed);
    const pick = (count: number): number => Math.trunc(random() * count);
    const twin = await openSessionStore<Entry>("memory:");
    const options = { connectionString: server.url, store: `twin ${seed}`, pollMs: 20 };
    const store = await openPostgresStore<Entry>(options);
    let tokens = 0;
    for (let round = 0; round < 60; round++) {
      const steps = Array.from({ length: 1 + pick(3) }, () => step(pick, () => `t${++tokens}`));
      const answers: unknown[] = [];
      for (const one of [twin, store]) answers.push(await outcome(one, steps));
      expect({ round, answer: answers[1] }).toEqual({ round, answer: answers[0] });
      if (round % 5 === 0)
        expect({ round, ...(await contents(store)) }).toEqual({ round, ...(await contents(twin)) });
    }
    expect(await contents(store)).toEqual(await contents(twin));
    expect(await changes(store)).toEqual(await changes(twin));
    await store.close();
    await twin.close();
  },
);

function step(pick: (count: number) => number, token: () => string): Step {
  const key = KEYS[pick(KEYS.length)] ?? "a";
  const transcript = NAMES[pick(NAMES.length)] ?? "main";
  const n = pick(6);
  const at = { transcript };
  const [one, two] = [token(), token()];
  const ids = pick(2) === 0 ? [`id${pick(8)}`, undefined, `id${pick(8)}`] : undefined;
  const items = [{ one }, one, [two, null]];
  const [keep, from, kind] = [pick(2) === 0, pick(4) === 0, pick(9)];
  switch (kind) {
    case 0:
      return (tx) => tx.put(key, { one, n, updatedAt: n });
    case 1:
      return (tx) => tx.delete(key);
    case 2:
      return (tx) => tx.truncate(key, keep ? { length: n } : { afterSeq: n * 2 }, at);
    case 3:
      return (tx) => tx.trim(key, keep ? { length: n } : { beforeSeq: n * 2 }, at);
    case 4:
      return from ? (tx) => tx.removeTranscript(key, at) : (tx) => tx.append(key, items, at);
    case 5:
      return (tx) => tx.append(key, items, { ...at, maxLength: 1 + n });
    default:
      return (tx) => tx.append(key, items, { ...at, ...(ids !== undefined && { ids }) });
  }
}

/** What a transaction answers, without what is each store's own. */
async function outcome(store: SessionStore<Entry>, steps: readonly Step[]): Promise<unknown> {
  try {
    return await store.transact(async (tx) => {
      const answers: unknown[] = [];
      for (const one of steps) answers.push(plain(await one(tx)));
      return answers;
    });
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

function plain(answer: unknown): unknown {
  if (typeof answer !== "object" || answer === null) return answer;
  const own = new Set(["revision", "cut", "modifiedAt", "time", "since"]);
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !own.has(name)));
}

async function contents(store: SessionStore<Entry>): Promise<object> {
  const { sessions } = await store.list({ orderBy: "key", descending: false });
  const records = sessions.map(({ key, entry }) => [key, entry]);
  const byTime = await store.list({ orderBy: "updatedAt" });
  const transcripts: unknown[] = [];
  for (const key of KEYS)
    for (const transcript of await store.transcripts(key)) {
      const forwards = [];
      for await (const item of store.iterateItems(key, { transcript, pageItems: 3 }))
        forwards.push(plain(item));
      const newest = await store.readItems(key, { transcript, backwards: true, limit: 4 });
      const info = plain(await store.transcript(key, transcript));
      transcripts.push([key, transcript, info, forwards, newest.items.map(plain)]);
    }
  const { transcripts: sums } = await store.stats({ transcripts: true });
  return { records, order: byTime.sessions.map(({ key }) => key), transcripts, sums };
}

async function changes(store: SessionStore<Entry>): Promise<unknown[]> {
  const { revision } = await store.put("end", {});
  const found: SessionChange<Entry>[] = [];
  for await (const change of store.watch({ since: 0 })) {
    found.push(change);
    if (change.revision === revision) break;
  }
  return found.map(({ key, kind, last, record, transcript }) => ({
    key,
    kind,
    last,
    entry: record?.entry,
    transcript,
  }));
}
