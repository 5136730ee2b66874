/**
 * One host of several over PostgreSQL: lanes that update, transfer, append, create and delete, and a watch that checks that every
 * change comes, in order and without a gap. What was acknowledged is told at the end.
 *
 *     node postgres-traffic.mjs '{"url":…,"store":…,"name":…,"seed":…,"lanes":…,"operations":…}'
 */
import { openPostgresStore } from "sessiondir/postgres";

const {
  url,
  store: storeName,
  name,
  seed,
  lanes,
  operations,
  hot,
  cold,
} = JSON.parse(process.argv[2] ?? "{}");
const store = await openPostgresStore({
  connectionString: url,
  store: storeName,
  unavailableMs: 120_000,
  timeoutMs: 5000,
  pollMs: 50,
});

let state = seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};
const pick = (count) => Math.trunc(random() * count);

/** Of each key: increments that were acknowledged, and those of which it is not known. */
const counts = new Map();
const items = { acknowledged: [], unknown: [] };
const failures = new Map();
let acknowledged = 0;
let stale = 0;

const following = follow();
process.send?.("ready");
await new Promise((resolve) => process.once("message", resolve));
await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)));
process.send?.({ kind: "done" });
await new Promise((resolve) => process.once("message", resolve));
const last = await untilCalm(() => store.put(`end:${name}`, { done: true }));
const watched = await following(last.revision);
process.send?.({
  kind: "told",
  counts: [...counts],
  items,
  acknowledged,
  stale,
  watched,
  failures: [...failures],
});
await store.close();
process.disconnect();

async function work(lane) {
  for (let n = 0; n < operations; n++) {
    const kind = pick(10);
    try {
      if (kind < 4) await increment(pick(3) === 0 ? `hot:${pick(hot)}` : `cold:${pick(cold)}`);
      else if (kind < 6) await transfer(pick(hot), pick(hot));
      else if (kind < 8) await append(`${name}.${lane}.${n}`);
      else if (kind < 9) await createAndDelete(`temporary:${name}:${lane}`);
      else await readBack(`cold:${pick(cold)}`);
      acknowledged++;
    } catch (error) {
      const code = error?.code ?? String(error);
      failures.set(code, (failures.get(code) ?? 0) + 1);
      if (code !== "commit_unknown") console.error(name, error);
    }
  }
}

async function increment(key) {
  const count = counts.get(key) ?? { acknowledged: 0, unknown: 0 };
  counts.set(key, count);
  try {
    await store.update(key, (entry) => ({ ...entry, [name]: (entry?.[name] ?? 0) + 1 }));
    count.acknowledged++;
  } catch (error) {
    if (error?.code === "commit_unknown") count.unknown++;
    throw error;
  }
}

/** Tokens go from one to the other: their sum stays. */
async function transfer(from, to) {
  if (from === to) return;
  await store.transact(async (tx) => {
    const [a, b] = [await tx.get(`hot:${from}`), await tx.get(`hot:${to}`)];
    await tx.put(`hot:${from}`, { ...a, tokens: a.tokens - 1 });
    await tx.put(`hot:${to}`, { ...b, tokens: b.tokens + 1 });
  });
}

/** The batch is sent twice, and the record counts in the same commit. */
async function append(id) {
  const ids = [`${id}.a`, `${id}.b`];
  try {
    for (let time = 0; time < 2; time++)
      await store.transact(async (tx) => {
        const { length } = await tx.append(
          "shared",
          [
            { from: name, id: ids[0] },
            { from: name, id: ids[1] },
          ],
          { ids },
        );
        await tx.put("shared", { length });
      });
    items.acknowledged.push(...ids);
  } catch (error) {
    items.unknown.push(...ids);
    throw error;
  }
}

async function createAndDelete(key) {
  await store.put(key, { born: name });
  await store.append(key, [{ n: 1 }]);
  await store.delete(key);
}

/** Never older than what this process was told. */
async function readBack(key) {
  const before = counts.get(key)?.acknowledged ?? 0;
  const entry = await store.get(key);
  if ((entry?.[name] ?? 0) < before) stale++;
}

async function untilCalm(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error?.code !== "commit_unknown") throw error;
    }
  }
}

/** @returns A function that waits until the watch has come to a revision, and says what was wrong. */
function follow() {
  const wrong = [];
  const entries = new Map();
  let reached = 0;
  let changes = 0;
  let length = 0;
  let stopped = false;
  const abort = new AbortController();
  const run = async () => {
    let since = 0;
    while (!stopped) {
      try {
        for await (const change of store.watch({ since, signal: abort.signal })) {
          changes++;
          check(change);
          if (change.last) since = reached = change.revision;
        }
      } catch (error) {
        if (error?.code !== "server_unavailable") throw error;
      }
    }
  };
  const check = ({ key, kind, revision, record, transcript, last }) => {
    if (wrong.length > 20) return;
    if (revision <= reached) wrong.push(`${key}@${revision} behind ${reached}`);
    if (kind === "transcript") {
      if (key === "shared") {
        if (transcript.first !== length + 1)
          wrong.push(`shared goes on with ${transcript.first} behind ${length}`);
        length = transcript.last;
      }
    } else if (kind === "delete") entries.delete(key);
    else {
      const before = entries.get(key) ?? {};
      const changed = Object.keys(record.entry).filter((field) => record.entry[field] !== before[field]);
      if (key.startsWith("cold:") && changed.length !== 1)
        wrong.push(`${key}@${revision}: changed are ${changed.join()}`);
      for (const field of changed)
        if (
          /^(?:cold|hot):/.test(key) &&
          field !== "tokens" &&
          record.entry[field] !== (before[field] ?? 0) + 1
        )
          wrong.push(`${key}@${revision}: ${field} from ${before[field]} to ${record.entry[field]}`);
      entries.set(key, record.entry);
    }
    if (!last) return;
    const tokens = [...entries].reduce(
      (sum, [one, entry]) => sum + (one.startsWith("hot:") ? entry.tokens : 0),
      0,
    );
    const seeded = [...entries.keys()].filter((one) => one.startsWith("hot:")).length;
    if (tokens !== seeded * 100) wrong.push(`after ${revision} there are ${tokens} tokens`);
    const shared = entries.get("shared");
    if (shared !== undefined && shared.length !== length)
      wrong.push(`after ${revision} ${shared.length} of ${length} items are counted`);
  };
  const running = run().catch((error) => wrong.push(String(error?.stack ?? error)));
  return async (revision) => {
    const end = Date.now() + 60_000;
    while (reached < revision && wrong.length === 0) {
      if (Date.now() > end) wrong.push(`the watch came to ${reached} of ${revision}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stopped = true;
    abort.abort();
    await running;
    return { changes, wrong };
  };
}
