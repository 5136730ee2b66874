// @ts-check
/** Reads of one session: again and again, and for the first time; and what it takes to hold all of them. */
import { Random } from "../../examples/demo/sessions.mjs";

/**
 * @typedef {import("./session.mjs").Session} Session
 * @typedef {import("../runner/stores.mjs").Selection} Selection
 */

/** Fields that every entry has with the same value: what a look into it must find. */
const LOOKS = {
  /** @param {import("../data/entries.mjs").Entry | undefined} entry */
  top: (entry) => entry?.contextTokens === 200_000,
  /** @param {import("../data/entries.mjs").Entry | undefined} entry */
  snapshot: (entry) => entry?.skillsSnapshot?.prompt.length === 17_308,
};

/**
 * @param {Session} session
 * @param {{ keys: Selection, reads: number, msMax: number, seed: number, look: keyof typeof LOOKS }} order
 * @returns {Promise<number>} Microseconds for a read.
 */
export async function gets(session, { keys, reads, msMax, seed, look }) {
  const store = await session.store();
  const random = new Random(seed);
  const all = session.keys(keys);
  const drawn = Array.from({ length: reads }, () => random.pick(all));
  return readAll(store, drawn, msMax, LOOKS[look]);
}

/**
 * Opens the store anew and reads sessions that this store object never read.
 * @param {Session} session
 * @param {{ keys: Selection, reads: number, msMax: number, offset: number }} order
 */
export async function newGets(session, { keys, reads, msMax, offset }) {
  const all = session.keys(keys);
  const step = Math.max(1, Math.floor(all.length / reads));
  const drawn = Array.from({ length: reads }, (_, index) => all[(offset + index * step) % all.length] ?? "");
  // Some stores may be open only once.
  await session.close();
  const store = await session.openAnother();
  const us = await readAll(store, drawn, msMax, LOOKS.top);
  await store.close();
  return us;
}

/**
 * @param {import("../peers/peer.mjs").OpenPeer} store
 * @param {string[]} keys
 * @param {number} msMax
 * @param {(entry: import("../data/entries.mjs").Entry | undefined) => boolean} isRight
 */
async function readAll(store, keys, msMax, isRight) {
  const start = performance.now();
  let [reads, wrong] = [0, 0];
  for (const key of keys) {
    let entry = store.get(key);
    if (entry instanceof Promise) entry = await entry;
    reads++;
    if (!isRight(entry)) wrong++;
    // Looking at the clock costs a tenth of a fast read, so not every time.
    if ((reads & 15) === 1 && performance.now() - start > msMax) break;
  }
  const took = performance.now() - start;
  if (wrong > 0) throw new Error(`${wrong} of ${reads} reads gave a wrong entry`);
  return (took * 1000) / reads;
}

/**
 * How much more memory it takes to have every session at hand and to have looked into it.
 * @param {Session} session
 * @param {{ keys: Selection, listed: boolean }} order `listed`: they come from one list instead of a read each.
 */
export async function memory(session, { keys, listed }) {
  const rss = () => {
    globalThis.gc?.();
    globalThis.gc?.();
    return process.memoryUsage.rss();
  };
  await session.load();
  const names = session.keys(keys);
  const before = rss();
  const store = await session.store();
  /** @type {(Readonly<import("../data/entries.mjs").Entry> | undefined)[]} */
  const held = listed ? (await store.all()).map(({ entry }) => entry) : [];
  if (!listed) for (const key of names) held.push(await store.get(key));
  const chars = held.reduce((sum, entry) => sum + (entry?.skillsSnapshot?.prompt.length ?? 0), 0);
  const after = rss();
  if (held.length !== names.length || chars !== 17_308 * names.length)
    throw new Error("entries were not loaded");
  return { growth: after - before, total: after };
}
