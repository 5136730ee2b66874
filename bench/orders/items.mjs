// @ts-check
/** Items of transcripts: appended for a while, alone and beside other processes; read by a new process; and verified. */
import { nextTurn } from "../data/entries.mjs";
import { ItemCheck, itemOf } from "../data/items.mjs";
import { cpuUs, waitUntil } from "./session.mjs";
import { drawer, work } from "./write.mjs";

/**
 * @typedef {import("./session.mjs").Session} Session
 * @typedef {import("./write.mjs").Done} Done
 *
 * @typedef {{ writer: number, first: number, count: number }} Written
 */

/** Of a process that is the only one. */
const WRITER = 0;

/**
 * To transcripts of sessions that are drawn at random, with no other process beside.
 * @param {Session} session
 * @param {{ keys: import("../runner/stores.mjs").Selection, seed: number, appends: number, msMax: number, each?: boolean,
 *   patch?: boolean }} order `patch`: the session's entry has its next turn in the same commit.
 * @returns {Promise<Done>}
 */
export async function appends(session, { keys, seed, appends, msMax, each = false, patch = false }) {
  const transcripts = await session.transcripts();
  const { append, appendAndPatch } = transcripts;
  const all = session.keys(keys);
  if (patch && session.patched.size === 0) await readEntries(session, all);
  const nextItem = (/** @type {string} */ key) => {
    const n = session.appended.get(key) ?? 0;
    session.appended.set(key, n + 1);
    return itemOf(WRITER, n);
  };
  const write = (/** @type {string} */ key) => {
    if (!patch) return append(key, nextItem(key));
    const entry = nextTurn(/** @type {import("../data/entries.mjs").Entry} */ (session.patched.get(key)));
    session.patched.set(key, entry);
    const { n, updatedAt, inputTokens } = entry;
    return appendAndPatch?.(key, nextItem(key), { n, updatedAt, inputTokens });
  };
  const key = drawer(all, "uniform", seed);
  const drawn = Array.from({ length: appends }, key);
  return work(write, (done) => drawn[done], msMax, each);
}

/** @param {Session} session @param {readonly string[]} keys */
async function readEntries(session, keys) {
  const store = await session.store();
  for (const key of keys) {
    const entry = await store.get(key);
    if (entry === undefined) throw new Error(`${key} was not found`);
    session.patched.set(key, entry);
  }
}

/**
 * Every item that this process appended with {@link appends} is there, in its order, and nothing else; and every entry is
 * what it made of it.
 * @param {Session} session
 * @returns {Promise<number>} How many items there are.
 */
export async function verifyAppended(session) {
  let items = 0;
  for (const [key, count] of session.appended) {
    await verifyItems(session, { key, written: [{ writer: WRITER, first: 0, count }] });
    items += count;
  }
  const store = await session.store();
  for (const [key, { n, updatedAt, inputTokens }] of session.patched) {
    const entry = await store.get(key);
    if (entry?.n !== n || entry.updatedAt !== updatedAt || entry.inputTokens !== inputTokens)
      throw new Error(`not verified: ${key} is not what its last patch made of it`);
  }
  return items;
}

/**
 * @param {Session} session
 * @param {{ key: string, written: Written[] }} order
 */
export async function verifyItems(session, { key, written }) {
  const check = new ItemCheck(written);
  await (await session.transcripts()).each(key, (item) => check.see(item));
  check.end(written);
}

/**
 * To one transcript beside other processes, all from one instant on.
 * @param {Session} session
 * @param {{ key: string, writer: number, milliseconds: number, appends?: number, startUs: number }} order `appends`: at
 *   most so many.
 * @returns {Promise<Done>}
 */
export async function burstOfAppends(session, { key, writer, milliseconds, appends = Infinity, startUs }) {
  const { append } = await session.transcripts();
  let n = 0;
  const write = (/** @type {string} */ to) => append(to, itemOf(writer, n++));
  // What items are made from is made now.
  itemOf(writer, n);
  await waitUntil(startUs);
  return work(write, (done) => (done < appends ? key : undefined), milliseconds, false);
}

/**
 * In a new process that has loaded the peer's code: opens the store and reads items of a transcript that has `count`.
 * @param {Session} session
 * @param {{ key: string, count: number, newest?: number }} order `newest`: only so many.
 */
export async function newItems(session, { key, count, newest }) {
  await session.load();
  const first = newest === undefined ? 0 : count - newest;
  const written = [{ writer: WRITER, first, count: count - first }];
  const check = new ItemCheck(written);
  const cpuBefore = cpuUs();
  const start = performance.now();
  const transcripts = await session.transcripts();
  const opened = performance.now();
  if (newest === undefined) {
    const reading = transcripts.each(key, (item) => check.see(item));
    if (reading !== undefined) await reading;
  } else {
    const reading = transcripts.newest(key, newest);
    for (const item of reading instanceof Promise ? await reading : reading) check.see(item);
  }
  const end = performance.now();
  const cpu = cpuUs() - cpuBefore;
  const peak = process.resourceUsage().maxRSS * 1024;
  check.end(written);
  return { openUs: (opened - start) * 1000, readUs: (end - opened) * 1000, cpuUs: cpu, peak };
}
