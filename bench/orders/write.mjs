// @ts-check
/** Updates for a while, in batches and against others; sessions that come and go. */
import { readFileSync } from "node:fs";
import { Random } from "../../examples/demo/sessions.mjs";
import { makeEntries, nextTurn } from "../data/entries.mjs";
import { zipfDraw } from "../data/zipf.mjs";
import { SMALL_650 } from "../runner/stores.mjs";
import { cpuUs, nextTurnOfLoop, waitUntil } from "./session.mjs";

/**
 * @typedef {import("./session.mjs").Session} Session
 * @typedef {import("../runner/stores.mjs").Selection} Selection
 *
 * @typedef {{ updates: number, us: number, cpuUs: number, worstUs: number, medianUs: number }} Done
 * @typedef {{ us: number, cpuUs: number, written: number }} Replaced `written`: bytes, 0 where the system does not say.
 */

/**
 * After this many updates the event loop gets its turn: without it, a peer's work in the background could not go on.
 */
const UPDATES_PER_TURN = 16;
const ZIPF_EXPONENT = 0.99;

/** @type {Map<string, () => number>} */
const draws = new Map();

/**
 * @param {string[]} keys
 * @param {"uniform" | "zipf"} draw
 * @param {number} seed
 */
export function drawer(keys, draw, seed) {
  const name = `${draw} ${keys.length} ${seed}`;
  let next = draws.get(name);
  if (next === undefined) {
    const random = new Random(seed);
    next = draw === "zipf" ? zipfDraw(keys.length, ZIPF_EXPONENT, random) : () => random.below(keys.length);
    draws.set(name, next);
  }
  const index = next;
  return () => keys[index()] ?? "";
}

/**
 * @param {Session} session
 * @param {{ keys: Selection, draw: "uniform" | "zipf", seed: number, updates: number, msMax: number, each?: boolean }} order
 *   `each`: the median of single updates is wanted.
 * @returns {Promise<Done>}
 */
export async function updates(session, { keys, draw, seed, updates, msMax, each = false }) {
  const store = await session.store();
  const key = drawer(session.keys(keys), draw, seed);
  const drawn = Array.from({ length: updates }, key);
  return work(updating(store), (done) => drawn[done], msMax, each);
}

/** @param {import("../peers/peer.mjs").OpenPeer} store */
function updating(store) {
  return (/** @type {string} */ key) => store.update(key, nextTurn);
}

/**
 * Beside other processes, all from one instant on.
 * @param {Session} session
 * @param {{ keys: Selection, seed: number, milliseconds: number, startUs: number, atOnce: number }} order
 * @returns {Promise<Done>}
 */
export async function burst(session, { keys, seed, milliseconds, startUs, atOnce }) {
  const store = await session.store();
  const random = new Random(seed);
  const all = session.keys(keys);
  const update = updating(store);
  await waitUntil(startUs);
  if (atOnce === 1) return work(update, () => random.pick(all), milliseconds, false);
  const cpuBefore = cpuUs();
  // Each process has sessions of its own, so none waits for another one's turn.
  const shares = Array.from({ length: atOnce }, (_, share) =>
    all.filter((_key, at) => at % atOnce === share),
  );
  const done = await Promise.all(
    shares.map((share) => work(update, () => random.pick(share), milliseconds, false)),
  );
  return {
    updates: done.reduce((sum, { updates }) => sum + updates, 0),
    us: Math.max(...done.map(({ us }) => us)),
    cpuUs: cpuUs() - cpuBefore,
    worstUs: Math.max(...done.map(({ worstUs }) => worstUs)),
    medianUs: Number.NaN,
  };
}

/**
 * One after the other until there is no next one, or the time is over.
 * @param {(key: string) => void | Promise<unknown>} write
 * @param {(done: number) => string | undefined} next
 * @param {number} msMax
 * @param {boolean} each
 * @returns {Promise<Done>}
 */
export async function work(write, next, msMax, each) {
  /** @type {number[]} */
  const times = [];
  const cpuBefore = cpuUs();
  const start = performance.now();
  let [updates, worstMs, before] = [0, 0, start];
  for (let key = next(0); key !== undefined && before - start < msMax; key = next(updates)) {
    const done = write(key);
    if (done !== undefined) await done;
    updates++;
    if (each) times.push(performance.now() - before);
    if (updates % UPDATES_PER_TURN === 0) await nextTurnOfLoop();
    const now = performance.now();
    worstMs = Math.max(worstMs, now - before);
    before = now;
  }
  times.sort((a, b) => a - b);
  return {
    updates,
    us: (before - start) * 1000,
    cpuUs: cpuUs() - cpuBefore,
    worstUs: worstMs * 1000,
    medianUs: (times[times.length >> 1] ?? Number.NaN) * 1000,
  };
}

/**
 * Gives one session another big field again and again, until nothing is left to be done.
 * @param {Session} session
 * @param {{ updates: number, bytes: number, seed: number }} order
 * @returns {Promise<Replaced>}
 */
export async function replaceField(session, { updates, bytes, seed }) {
  const store = await session.store();
  const [key = ""] = session.keys({ shape: SMALL_650, size: "small" });
  const [cpuBefore, writtenBefore, start] = [cpuUs(), writtenBytes(), performance.now()];
  for (let n = 0; n < updates; n++) {
    const done = store.update(key, (entry) => ({
      ...nextTurn(entry),
      systemPrompt: `${seed} ${n} `.padEnd(bytes, "what the model is told first; "),
    }));
    if (done !== undefined) await done;
    if (n % UPDATES_PER_TURN === 0) await nextTurnOfLoop();
  }
  await store.settle();
  const us = (performance.now() - start) * 1000;
  return { us, cpuUs: cpuUs() - cpuBefore, written: writtenBytes() - writtenBefore };
}

/** @returns {number} What this process has had written to disks so far. */
function writtenBytes() {
  if (process.platform !== "linux") return 0;
  return Number(/write_bytes: (\d+)/.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
}

/**
 * Creates sessions and deletes them again.
 * @param {Session} session
 * @param {{ count: number, seed: number, msMax: number }} order
 * @returns {Promise<{ createUs: number, deleteUs: number, created: number }>} Microseconds for one.
 */
export async function churn(session, { count, seed, msMax }) {
  const store = await session.store();
  const made = [...makeEntries(count, () => "small")].map(
    ([key, entry]) => /** @type {const} */ ([`${key}:run:${seed}`, entry]),
  );
  let created = 0;
  const start = performance.now();
  for (const [key, entry] of made) {
    await store.put(key, entry);
    created++;
    if (created % UPDATES_PER_TURN === 0) await nextTurnOfLoop();
    if (performance.now() - start > msMax) break;
  }
  const between = performance.now();
  for (const [key] of made.slice(0, created)) {
    const entry = await store.get(key);
    if (entry === undefined) throw new Error(`${key} was created and is not there`);
  }
  const beforeDelete = performance.now();
  for (const [index, [key]] of made.slice(0, created).entries()) {
    await store.delete(key);
    if (index % UPDATES_PER_TURN === 0) await nextTurnOfLoop();
  }
  const end = performance.now();
  for (const [key] of made.slice(0, created))
    if ((await store.get(key)) !== undefined) throw new Error(`${key} was deleted and is still there`);
  return {
    createUs: ((between - start) * 1000) / created,
    deleteUs: ((end - beforeDelete) * 1000) / created,
    created,
  };
}
