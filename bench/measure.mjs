// @ts-check
/**
 * Measures contenders by turns, A B A B, so that whatever else the machine does hits all of them; the ratio of two
 * is taken round by round, and the median of these ratios is the result.
 */

/**
 * @template {string} Name
 * @param {{ rounds: number, warmUp?: number }} plan Rounds that count, and rounds before them that do not.
 * @param {Record<Name, () => number | Promise<number>>} contenders Each does its work once and says how it went.
 * @returns {Promise<Record<Name, number[]>>} A sample for every round.
 */
export async function byTurns({ rounds, warmUp = 1 }, contenders) {
  const names = /** @type {Name[]} */ (Object.keys(contenders));
  /** @type {[Name, number[]][]} */
  const empty = names.map((name) => [name, []]);
  const samples = /** @type {Record<Name, number[]>} */ (Object.fromEntries(empty));
  for (let round = -warmUp; round < rounds; round++) {
    // The one that begins changes as well.
    const first = Math.abs(round) % names.length;
    for (const name of [...names.slice(first), ...names.slice(0, first)]) {
      const sample = await contenders[name]();
      if (round >= 0) samples[name].push(sample);
    }
  }
  return samples;
}

/** What a batch may take: nobody waits for the event loop longer than that. */
const UPDATES_PER_TURN = 16;

/**
 * Updates one after the other and gives the event loop its turn now and then, as a gateway does: only so can
 * anybody work in the background, and what that costs is counted.
 * @param {import("./peers/peer.mjs").OpenPeer} store
 * @param {readonly string[]} keys
 * @param {(entry: import("./entries.mjs").Entry) => import("./entries.mjs").Entry} change
 * @returns {Promise<number>} Microseconds for one update.
 */
export async function updateAll(store, keys, change) {
  const start = performance.now();
  for (const [index, key] of keys.entries()) {
    const done = store.update(key, change);
    if (done !== undefined) await done;
    if (index % UPDATES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return ((performance.now() - start) * 1000) / keys.length;
}

/**
 * @param {import("./peers/peer.mjs").OpenPeer} store
 * @returns {Promise<number>} How many updates the entries say they had.
 */
export async function countUpdates(store) {
  return (await store.all()).reduce((sum, { entry }) => sum + entry.n, 0);
}

/**
 * @param {string} what
 * @param {number} found
 * @param {number} expected
 */
export function verifyCount(what, found, expected) {
  if (found !== expected) throw new NotVerified(`${what}: ${found} instead of ${expected}`);
}

/** The work was not done right, so how long it took says nothing. */
export class NotVerified extends Error {}
