// @ts-check
/**
 * Does to a store what gateways do, as one of many processes, and writes down what it did and what it was told. It
 * may be killed or stopped at any instruction, and the power may go.
 *
 * The history is a file outside the store, one JSON array a line, each appended before and after the fact. Times are
 * of the monotonic clock, in nanoseconds, and may be compared between processes:
 *
 *   ["B", n, time, kind, keys]         write n begins; its token is `<name>.<n>`
 *   ["S", n, key, token, revision]     it was computed from this state; the last one of a key counts
 *   ["A", n, time, revision]           acknowledged; revision null where the call does not tell
 *   ["N", n, time]                     it ended without having written anything
 *   ["R", n, time, code, written]      it failed
 *   ["V", begin, end, [[key, token, revision], …]]   a read or a listing saw these states, token null for nothing
 *   ["W", watch, key, token, revision] the next change of a watch
 *
 * Every entry names the write that made it and the one that it was computed from, so the sequence of a session's
 * states can be put together afterwards, and each listing must add up to the same money.
 */
import { openSync, writeSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { openDirectoryStore } from "sessiondir";
import { seededRandom } from "sessiondir/testing";
import { argument, onMessage, say } from "./conversation.mjs";

const { path, history, name, seed, shape, lanes, stores: storesCount, threads, options, mayFail } = argument;

const random = seededRandom(seed);
const file = openSync(history, "a", 0o600);
const pick = (/** @type {number} */ count) => Math.floor(random() * count);
const now = () => Number(process.hrtime.bigint());
const record = (/** @type {unknown[]} */ ...fields) => writeSync(file, `${JSON.stringify(fields)}\n`);
const turn = () => new Promise((resolve) => setImmediate(resolve));

let number = 0;
let watches = 0;
let finished = false;
const stop = new AbortController();

const workers = Array.from({ length: threads }, (_, index) => {
  const workerData = {
    ...argument,
    name: `${name}t${index}`,
    history: `${history}t${index}`,
    seed: seed + index + 1,
    threads: 0,
  };
  const worker = new Worker(new URL(import.meta.url), { workerData });
  return { worker, ended: new Promise((resolve, reject) => worker.on("exit", resolve).on("error", reject)) };
});

/** @typedef {{ token: string, previous: string | null, depth: number, updatedAt: number, balance?: number, shared?: any }} Entry */
/** @typedef {import("sessiondir").DirectorySessionStore<any>} Store */
/** @typedef {{ entry: any, revision: number } | undefined} Found */

/** @type {Store[]} */
let stores = [];
try {
  stores = await Promise.all(Array.from({ length: storesCount }, () => openDirectoryStore(path, options)));
} catch (error) {
  giveUp(error);
}
say({ event: "open" });
const stopListening = onMessage(({ event }) => {
  if (event !== "finish") return;
  finished = true;
  stop.abort();
  for (const { worker } of workers) worker.postMessage({ event });
});
await Promise.all([...Array.from({ length: lanes }, lane), ...(pick(3) === 0 ? [watch(any())] : [])]);
await Promise.all(stores.map((store) => store.close()));
await Promise.all(workers.map(({ ended }) => ended));
stopListening();
say({ event: "done" });

/** Once the disk is gone there is nothing left to do; anywhere else an error is one. @param {unknown} error */
function giveUp(error) {
  if (!mayFail) throw error;
  const { code, message } = /** @type {any} */ (error);
  say({ event: "failed", code: code ?? String(error), message });
  process.exit(3);
}

/** @returns {Store} */
function any() {
  return /** @type {Store} */ (stores[pick(stores.length)]);
}

async function lane() {
  try {
    while (!finished) {
      if (pick(2) === 0) await turn();
      await act(any());
    }
  } catch (error) {
    giveUp(error);
  }
}

/** @param {Store} store */
async function act(store) {
  const chance = random();
  const hot = `hot:${pick(shape.hot)}`;
  const cold = `cold:${pick(shape.cold)}`;
  const life = `life:${pick(shape.lives)}`;
  if (chance < 0.16) await write("update", [hot], (token, saw) => update(store, hot, token, saw, false));
  else if (chance < 0.2) await write("update", [hot], (token, saw) => update(store, hot, token, saw, true));
  else if (chance < 0.28)
    await write("update", [cold], (token, saw) => update(store, cold, token, saw, false));
  else if (chance < 0.34) await write("put", [hot], (token, saw) => put(store, hot, token, saw));
  else if (chance < 0.4) await write("patch", [hot], (token, saw) => patch(store, hot, token, saw));
  else if (chance < 0.5) await transfer(store);
  else if (chance < 0.58) await write("put", [life], (token, saw) => put(store, life, token, saw));
  else if (chance < 0.61) await write("delete", [life], (_, saw) => remove(store, life, saw));
  else if (chance < 0.64) await write("delete", [life], (_, saw) => removeInTransaction(store, life, saw));
  else if (chance < 0.68) await overwrite(store, `blind:${pick(shape.blind)}`);
  else if (chance < 0.9) await look(store, [hot, cold, life, `blind:${pick(shape.blind)}`][pick(4)] ?? hot);
  else if (chance < 0.97) await lookAround(store);
  else if (chance < 0.98) await store.flush();
  else if (chance < 0.983) await store.checkpoint();
  else await turn();
}

/** @param {string} kind @param {string[]} keys @param {(token: string, saw: (key: string, found: Found) => void) => Promise<number | null | undefined>} work */
async function write(kind, keys, work) {
  const n = ++number;
  record("B", n, now(), kind, keys);
  const saw = (/** @type {string} */ key, /** @type {Found} */ found) =>
    record("S", n, key, found?.entry.token ?? null, found?.revision ?? null);
  try {
    const revision = await work(`${name}.${n}`, saw);
    if (revision === undefined) record("N", n, now());
    else record("A", n, now(), revision);
  } catch (error) {
    const { code, data } = /** @type {any} */ (error);
    record("R", n, now(), code ?? String(error), data?.written ?? null);
    if (code !== "conflict") throw error;
  }
}

/** The entry that follows another. @param {any} entry @param {string} token @returns {Entry} */
function next(entry, token) {
  const prompt = pick(12) === 0 ? { prompt: `${pick(5)}`.repeat(5000) } : (entry?.shared ?? null);
  const depth = (entry?.depth ?? 0) + 1;
  return { ...entry, token, previous: entry?.token ?? null, depth, updatedAt: number, shared: prompt };
}

/** @param {Store} store @param {string} key @param {string} token @param {(key: string, found: Found) => void} saw @param {boolean} slowly */
async function update(store, key, token, saw, slowly) {
  const compute = (/** @type {any} */ entry) => {
    saw(key, entry && { entry, revision: null });
    return next(entry, token);
  };
  const after = slowly
    ? await store.update(key, (entry) => turn().then(() => compute(entry)))
    : await store.update(key, compute);
  return after?.revision;
}

/** @param {Store} store @param {string} key @param {string} token @param {(key: string, found: Found) => void} saw */
async function put(store, key, token, saw) {
  const found = await store.read(key);
  saw(key, found);
  const after = await store.put(key, next(found?.entry, token), { ifRevision: found?.revision ?? 0 });
  return after.revision;
}

/** @param {Store} store @param {string} key @param {string} token @param {(key: string, found: Found) => void} saw */
async function patch(store, key, token, saw) {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  saw(key, found);
  const { previous, depth, updatedAt } = next(found.entry, token);
  const after = await store.patch(key, { token, previous, depth, updatedAt }, { ifRevision: found.revision });
  return after.revision;
}

/** @param {Store} store @param {string} key @param {(key: string, found: Found) => void} saw */
async function remove(store, key, saw) {
  const found = await store.read(key);
  if (found === undefined) return undefined;
  saw(key, found);
  if (!(await store.delete(key, { ifRevision: found.revision }))) throw new Error(`${key} was not there`);
  return null;
}

/** @param {Store} store @param {string} key @param {(key: string, found: Found) => void} saw */
function removeInTransaction(store, key, saw) {
  return store.transact(async (tx) => {
    const found = await tx.read(key);
    if (found === undefined) return undefined;
    saw(key, found);
    await tx.delete(key);
    return null;
  });
}

/** Takes money from one account and gives it to one or two others. @param {Store} store */
async function transfer(store) {
  const from = `account:${pick(shape.accounts)}`;
  const others = new Set([`account:${pick(shape.accounts)}`, `account:${pick(shape.accounts)}`]);
  others.delete(from);
  const amount = pick(20);
  await write("transfer", [from, ...others], (token, saw) =>
    store.transact(async (tx) => {
      const source = await tx.read(from);
      saw(from, source);
      const { balance } = source?.entry ?? { balance: 1000 };
      await tx.put(from, { ...next(source?.entry, token), balance: balance - amount * others.size });
      for (const key of others) {
        const target = await tx.read(key);
        saw(key, target);
        const after = { ...next(target?.entry, token), balance: (target?.entry.balance ?? 1000) + amount };
        if (target === undefined) await tx.put(key, after);
        else await tx.patch(key, after);
      }
      return null;
    }),
  );
}

/** A write that looks at nothing. @param {Store} store @param {string} key */
async function overwrite(store, key) {
  await write("overwrite", [key], async (token) => (await store.put(key, next(undefined, token))).revision);
}

/** @param {Store} store @param {string} key */
async function look(store, key) {
  const begin = now();
  // The order of what is overwritten without a look is told by revisions alone, so they have to be seen.
  const synchronously = pick(2) === 0 && !key.startsWith("blind:");
  const entry = synchronously ? store.getSync(key) : undefined;
  const found = synchronously ? entry && { entry, revision: null } : await store.read(key);
  record("V", begin, now(), [[key, found?.entry.token ?? null, found?.revision ?? null]]);
  if (found !== undefined) checkShared(key, found.entry);
}

/** @param {Store} store */
async function lookAround(store) {
  const prefix = ["", "hot:", "life:", "account:", "account:"][pick(5)] ?? "";
  const begin = now();
  const { sessions } = pick(2) === 0 ? store.listSync({ prefix }) : await store.list({ prefix });
  const end = now();
  const seen = new Map(sessions.map(({ key, entry, revision }) => [key, [key, entry.token, revision]]));
  for (const [kind, count] of Object.entries({ hot: shape.hot, life: shape.lives })) {
    for (let index = 0; index < count; index++) {
      const key = `${kind}:${index}`;
      if (key.startsWith(prefix) && !seen.has(key)) seen.set(key, [key, null, null]);
    }
  }
  record("V", begin, end, [...seen.values()]);
  for (const { key, entry } of sessions) checkShared(key, entry);
  const money = sessions.map(({ entry }) => (entry.balance === undefined ? 0 : entry.balance - 1000));
  const sum = money.reduce((total, balance) => total + balance, 0);
  if (sum !== 0) throw new Error(`a listing has ${sum} too much in all accounts`);
}

/** @param {string} key @param {any} entry */
function checkShared(key, entry) {
  const prompt = entry.shared?.prompt;
  if (prompt !== undefined && !/^(.)\1{4999}$/.test(prompt))
    throw new Error(`${key} has a wrong shared value`);
}

/** @param {Store} store */
async function watch(store) {
  let since = await store.revision();
  while (!finished) {
    const watch = ++watches;
    try {
      for await (const change of store.watch({ since, signal: stop.signal })) {
        const token = change.kind === "delete" ? null : change.record?.entry.token;
        record("W", watch, change.key, token, change.revision);
      }
    } catch (error) {
      // It fell behind, or was stopped for so long that the log has moved on: that is allowed, and said.
      const { code, data } = /** @type {any} */ (error);
      if (code !== "revision_too_old") return giveUp(error);
      since = data.revision;
    }
  }
}
