// @ts-check
/**
 * Opens a store and reads one session: in a process that has just started, as a command-line tool does, and again in
 * the same process. The files are in the system's cache.
 */
import { nextTurn } from "../entries.mjs";
import { byTurns, updateAll } from "../measure.mjs";
import { median } from "../statistics.mjs";
import { keysOf } from "../stores.mjs";
import { plainPeers, rowsAgainstPeers } from "../workload.mjs";
import { askOnce } from "../workers.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "cold open and get";

const AGAIN = 20;
/** Leaves about two megabytes in the log of a sessiondir store that was just checkpointed: half a segment. */
const UPDATES = 8_000;

/** @param {Context} context */
export async function run(context) {
  const sizes = context.quick ? [650] : [650, 100_000];
  const rows = [];
  for (const sessions of sizes) {
    const shape = {
      sessions,
      ...(sessions === 100_000 && { large: 650 }),
      ...(sessions === 650 && { use: "cold" }),
    };
    // Others have updated it.
    await prepare(context, shape, (store) => store.tidy());
    rows.push(...(await measure(context, shape, sessions.toLocaleString("en-US"))));
  }
  const shape = { sessions: 650, use: "half a segment" };
  const keys = keysOf(shape).small;
  const updates = Array.from({ length: UPDATES }, (_, index) => keys[index % keys.length] ?? "");
  await prepare(context, shape, (store) => updateAll(store, updates, nextTurn));
  rows.push(...(await measure(context, shape, "650, 2 MB in the log")));
  return rows;
}

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number, use?: string }} shape
 * @param {(store: import("../peers/peer.mjs").OpenPeer) => Promise<unknown>} work
 */
async function prepare(context, shape, work) {
  for (const peer of plainPeers(context)) {
    const store = await peer.open(await context.stores.get(peer, shape), "os");
    await work(store);
    await store.close();
  }
}

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number, use?: string }} shape
 * @param {string} label
 */
async function measure(context, shape, label) {
  const rounds = context.quick ? 4 : 15;
  const keys = keysOf(shape).small;
  /** @type {Record<string, number[]>} */
  const again = {};
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {};
  for (const peer of plainPeers(context)) {
    const which = {
      peer: peer.name,
      folder: await context.stores.get(peer, shape),
      durability: /** @type {const} */ ("os"),
    };
    const warm = (again[peer.name] = /** @type {number[]} */ ([]));
    contenders[peer.name] = async () => {
      const order = { kind: "coldGet", key: keys[(warm.length * 97) % keys.length], again: AGAIN };
      const [first = Number.NaN, ...others] = /** @type {number[]} */ (await askOnce(which, order));
      warm.push(median(others) * 1000);
      return first * 1000;
    };
  }
  const cold = await byTurns({ rounds, warmUp: 0 }, contenders);
  return [
    ...rowsAgainstPeers(context, { label: `${label}, new process`, unit: "time", goal: "cold open" }, cold),
    ...rowsAgainstPeers(context, { label: `${label}, again`, unit: "time", goal: "cold open" }, again),
  ];
}
