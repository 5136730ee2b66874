// @ts-check
/**
 * Updates counters, moves money between accounts and looks at what it sees, as one of many. It may be killed or
 * stopped at any instruction.
 *
 * Before an update it appends `I <number> <key>` to a file of its own, after it `A <number>`: what it was promised is
 * known without the store. A counter says how often each incarnation of each worker changed it, so the test can
 * tell a lost update from one that counted twice.
 *
 * Every listing must explain itself: all the money is there, every session that was seen before is there, and no
 * counter is behind what this worker saw or was promised before the listing began.
 */
import { openSync, writeSync } from "node:fs";
import { openDirectoryStore } from "sessiondir";
import { seededRandom } from "sessiondir/testing";
import { argument, onMessage, say } from "./conversation.mjs";
import { lookAtShared, PROMPT_LENGTH } from "./shared-value.mjs";

const { store: path, acks, name, seed, updates, hot, cold, accounts, lanes, options } = argument;

const random = seededRandom(seed);
const file = openSync(acks, "a", 0o600);
const total = accounts * 1000;
/** What this worker knows that each session must at least have counted. @type {Map<string, number>} */
const known = new Map();
let left = updates ?? Number.POSITIVE_INFINITY;
let number = 0;
let acknowledged = 0;
let listings = 0;
let refused = 0;
/** Shared values that were gone when they were touched, of sessions that had gone on. */
let excused = 0;

const pick = (/** @type {number} */ count) => Math.floor(random() * count);
const learn = (/** @type {string} */ key, /** @type {number} */ count) => {
  if ((known.get(key) ?? 0) < count) known.set(key, count);
};

/** @type {import("sessiondir").DirectorySessionStore<any>} */
const store = await openDirectoryStore(path, {
  ...options,
  onWarning: (/** @type {object} */ warning) => say({ event: "warning", ...warning }),
});
say({ event: "open" });

const stopListening = updates === undefined ? onMessage(hear) : () => {};
await Promise.all(Array.from({ length: lanes }, lane));
await look(false);
await store.close();
stopListening();
say({ event: "done", listings, refused, excused });

async function lane() {
  while (left > 0) {
    left -= 1;
    await act();
    if (acknowledged % 50 === 0) await look(pick(2) === 0);
    if (acknowledged % 25 === 0) say({ event: "progress", acknowledged });
    if (pick(400) === 0) await store.checkpoint();
  }
}

async function act() {
  const chance = random();
  if (chance < 0.1) await churn(`churn:${pick(20)}`);
  // Promises that are kept at once leave no turn to anything else of the process: a gateway does not work like that.
  if (chance < 0.5) await new Promise((resolve) => setImmediate(resolve));
  if (chance < 0.65) await promised(`hot:${pick(hot)}`, count);
  else if (chance < 0.75) await promised(`hot:${pick(hot)}`, countSlowly);
  else if (chance < 0.87) await promised(`cold:${String(pick(cold)).padStart(4, "0")}`, count);
  else await promised(`account:${pick(accounts)}`, move);
}

/** @param {string} key @param {(key: string) => Promise<number>} change */
async function promised(key, change) {
  const mine = ++number;
  writeSync(file, `I ${mine} ${key}\n`);
  try {
    learn(key, await change(key));
  } catch (error) {
    // Overtaken by others a hundred times in a row: nothing was written, and the promise says so.
    if (/** @type {any} */ (error).code !== "conflict") throw error;
    refused += 1;
    left += 1;
    writeSync(file, `R ${mine}\n`);
    return;
  }
  acknowledged += 1;
  writeSync(file, `A ${mine}\n`);
}

/** @param {any} entry */
function counted(entry) {
  const by = { ...entry?.by, [name]: (entry?.by?.[name] ?? 0) + 1 };
  return { ...entry, count: (entry?.count ?? 0) + 1, by, updatedAt: number };
}

/** @param {string} key */
async function count(key) {
  const record = await store.update(key, counted);
  return record?.entry.count;
}

/** @param {string} key */
async function countSlowly(key) {
  const record = await store.update(key, async (entry) => {
    await new Promise((resolve) => setImmediate(resolve));
    return counted(entry);
  });
  return record?.entry.count;
}

/** Takes money from one account and gives it to one or two others. @param {string} from */
async function move(from) {
  const others = [...new Set([`account:${pick(accounts)}`, `account:${pick(accounts)}`])];
  const to = others.filter((key) => key !== from);
  const amount = pick(20);
  return store.transact(async (tx) => {
    const source = counted(await tx.get(from));
    await tx.put(from, { ...source, balance: source.balance - amount * to.length });
    for (const key of to) {
      const target = (await tx.get(key)) ?? {};
      await tx.patch(key, { balance: target.balance + amount });
    }
    return source.count;
  });
}

/** Sessions that come and go, some with a value that several share. Nothing is promised about them. @param {string} key */
async function churn(key) {
  if (pick(3) === 0) await store.delete(key);
  else
    await store.put(key, {
      updatedAt: number,
      shared: pick(3) === 0 ? { prompt: `${pick(5)}`.repeat(PROMPT_LENGTH) } : null,
    });
}

/** @param {boolean} now Whether the listing is one that is there at once. */
async function look(now) {
  const floor = new Map(known);
  const { sessions } = now ? store.listSync() : await store.list();
  listings += 1;
  let money = 0;
  let before = "";
  for (const session of sessions) {
    const { key, entry } = session;
    if (key <= before) throw new Error(`a listing has ${key} after ${before}`);
    before = key;
    if (key.startsWith("churn:")) {
      if ((await lookAtShared(store, session)) === "gone on") excused += 1;
      continue;
    }
    const least = floor.get(key) ?? 0;
    if (entry.count < least) throw new Error(`${key} went back from ${least} to ${entry.count}`);
    floor.delete(key);
    learn(key, entry.count);
    money += entry.balance ?? 0;
  }
  if (money !== total) throw new Error(`a listing has ${money} in all accounts, not ${total}`);
  const [missing] = floor.keys();
  if (missing !== undefined) throw new Error(`a listing lacks ${missing}`);
}

/** @param {any} message */
function hear(message) {
  if (message.event === "finish") left = 0;
  if (message.event !== "list") return;
  const counts = store.listSync().sessions.map(({ key, entry }) => [key, entry.count ?? 0]);
  say({ event: "listing", counts });
}
