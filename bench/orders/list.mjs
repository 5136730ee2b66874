// @ts-check
/** Lists: by a process that has just opened the store, and by one that has listed before. */

/**
 * @typedef {import("./session.mjs").Session} Session
 * @typedef {{ what: "newest" | "all", count: number, compared: boolean }} Order `compared`: with everything there is.
 */

/**
 * In the store that is open.
 * @param {Session} session
 * @param {Order} order
 * @returns {Promise<number>} Microseconds.
 */
export async function list(session, order) {
  return timed(await session.store(), order);
}

/**
 * In a new process that has loaded the peer's code: opens the store and lists.
 * @param {Session} session
 * @param {Order} order
 */
export async function newList(session, order) {
  await session.load();
  const start = performance.now();
  const store = await session.store();
  const opened = (performance.now() - start) * 1000;
  return opened + (await timed(store, order));
}

/**
 * @param {import("../peers/peer.mjs").OpenPeer} store
 * @param {Order} order
 */
async function timed(store, { what, count, compared }) {
  const start = performance.now();
  const answer = what === "all" ? store.all() : store.newest(count);
  const found = answer instanceof Promise ? await answer : answer;
  const us = (performance.now() - start) * 1000;
  if (found.length !== count) throw new Error(`listed ${found.length} sessions instead of ${count}`);
  if (new Set(found.map(({ key }) => key)).size !== count) throw new Error("listed a session twice");
  if (what === "newest" && compared) {
    // Everything, the slow way: is anything else newer?
    const times = (await store.all()).map(({ entry }) => entry.updatedAt).sort((a, b) => b - a);
    if (found.some(({ entry }, index) => entry.updatedAt !== times[index]))
      throw new Error("what was listed is not the newest");
  }
  return us;
}
