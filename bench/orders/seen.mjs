// @ts-check
/**
 * How soon a commit of one process is known to another: one that reads again and again, and one that is told
 * (by the store's own watch, or by the file system where the store has none).
 */
import { nextTurn } from "../data/entries.mjs";
import { nextTurnOfLoop, sharedClockUs } from "./session.mjs";

/** @typedef {import("./session.mjs").Session} Session */

const PATIENCE_MS = 5_000;
const AFTERGLOW_MS = 200;

/** @type {Promise<number> | undefined} */
let waiting;

/**
 * Begins to wait for the update that brings a session to `n`.
 * @param {Session} session
 * @param {{ key: string, how: "reads" | "told" }} order
 */
export async function arm(session, { key, how }) {
  const store = await session.store();
  const n = ((await store.get(key))?.n ?? 0) + 1;
  const isThere = async () => ((await store.get(key))?.n ?? 0) >= n;
  const late = new Error(
    `${session.which.peer}: ${how === "reads" ? "the update was not seen" : "nobody told of the update"} within ${PATIENCE_MS} ms`,
  );
  waiting = how === "reads" ? readUntil(isThere, late) : toldOf(store, isThere, late);
  // The caller who waits for the reader is told.
  waiting.catch(() => {});
  // The watch has to be on before the other process writes.
  await new Promise((resolve) => setTimeout(resolve, 10));
}

/** @returns {Promise<number>} When the update was seen, by the shared clock. */
export async function seen() {
  return /** @type {Promise<number>} */ (waiting);
}

/** @param {() => Promise<boolean>} isThere @param {Error} late */
async function readUntil(isThere, late) {
  const start = performance.now();
  while (!(await isThere())) {
    if (performance.now() - start > PATIENCE_MS) throw late;
    await nextTurnOfLoop();
  }
  return sharedClockUs();
}

/**
 * A notification of the file system may come while the commit is still under way, so a reader that hears one reads
 * until there is something new, for a while; and at least once after the last one, however long this process was kept
 * waiting.
 * @param {import("../peers/peer.mjs").OpenPeer} store
 * @param {() => Promise<boolean>} isThere
 * @param {Error} late
 * @returns {Promise<number>}
 */
function toldOf(store, isThere, late) {
  return new Promise((resolve, reject) => {
    let [over, looking, notifications, heardAt] = [false, false, 0, 0];
    const finish = (/** @type {() => void} */ how) => {
      over = true;
      clearTimeout(patience);
      stop();
      how();
    };
    const patience = setTimeout(() => finish(() => reject(late)), PATIENCE_MS);
    const look = async () => {
      looking = true;
      for (let seen = -1; !over && (seen < notifications || performance.now() - heardAt < AFTERGLOW_MS);) {
        seen = notifications;
        if (await isThere()) {
          const at = sharedClockUs();
          return finish(() => resolve(at));
        }
        await nextTurnOfLoop();
      }
      looking = false;
    };
    const stop = store.onChange(() => {
      notifications++;
      heardAt = performance.now();
      if (!over && !looking) void look().catch(reject);
    });
  });
}

/**
 * @param {Session} session
 * @param {{ key: string }} order
 * @returns {Promise<{ begunUs: number, endedUs: number }>} By the shared clock.
 */
export async function stampedUpdate(session, { key }) {
  const store = await session.store();
  const begunUs = sharedClockUs();
  await store.update(key, nextTurn);
  return { begunUs, endedUs: sharedClockUs() };
}
