// @ts-check
import { BARE_LOG, OPENING } from "../peers/index.mjs";
import { SMALL_100_000, SMALL_10_000 } from "../runner/stores.mjs";
import {
  able,
  contendersOf,
  isInGoals,
  pace,
  plainPeers,
  takeTurns,
  turnsOfWorkers,
  withFloors,
} from "../runner/turns.mjs";
import { askOnce } from "../runner/workers.mjs";
import { recordOpening } from "./open.mjs";

export const title = "list";
export const note =
  "Cold: a new process that has loaded its code opens the store and lists; the files are in the system's cache and " +
  "nothing is left in a log; the floor makes the system calls that sessiondir made, and nothing else. Warm: a process that has listed before lists again. One list of each kind is " +
  "compared with everything there is. Warm lists of sessiondir, of the folders and of sessions.json give shared objects, the others " +
  "give new ones.";

const NEWEST = 50;

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  for (const shape of context.quick ? [SMALL_10_000] : [SMALL_10_000, SMALL_100_000]) {
    const count = shape.sessions.toLocaleString("en-US");
    for (const [what, limit, label] of /** @type {const} */ ([
      ["newest", NEWEST, `${NEWEST} newest of ${count}`],
      ["all", shape.sessions, `all of ${count}`],
    ])) {
      await cold(
        context,
        shape,
        { what, count: limit },
        `cold list ${what} ${shape.sessions}`,
        `cold, ${label}`,
      );
      await warm(
        context,
        shape,
        { what, count: limit },
        `warm list ${what} ${shape.sessions}`,
        `warm, ${label}`,
      );
    }
  }
}

/**
 * @param {import("../runner/turns.mjs").Context} context
 * @param {import("../runner/stores.mjs").Shape} shape
 * @param {{ what: string, count: number }} order
 * @param {string} id
 * @param {string} label
 */
async function cold(context, shape, order, id, label) {
  context.sheet.define(id, label, "time");
  const rounds = context.quick ? 3 : order.what === "newest" ? 9 : 3;
  const plan = { part: label, ids: [id], rounds, warmUp: order.what === "all" ? 0 : 1 };
  const stores = able(plainPeers(context.peers), shape);
  const peers = order.what === "newest" ? withFloors(stores, OPENING) : stores;
  const contenders = await contendersOf(context.sheet, plan, peers, async (peer) => {
    const folder = peer.floor
      ? await recordOpening(context, shape, { newest: order.count }, id)
      : await context.stores.get(peer, shape);
    const which = { peer: peer.name, folder, durability: /** @type {const} */ ("os") };
    await askOnce(which, { kind: "tidy" });
    return {
      peer: peer.name,
      ...paceOf(peer, shape, order, rounds),
      turn: async (/** @type {number} */ round) => ({
        [id]: /** @type {number} */ (
          await askOnce(which, { kind: "newList", ...order, compared: round === 0 && !peer.floor })
        ),
      }),
    };
  });
  await takeTurns(context.sheet, plan, contenders);
}

/**
 * @param {import("../runner/turns.mjs").Context} context
 * @param {import("../runner/stores.mjs").Shape} shape
 * @param {{ what: string, count: number }} order
 * @param {string} id
 * @param {string} label
 */
async function warm(context, shape, order, id, label) {
  context.sheet.define(id, label, "time");
  const rounds = context.quick ? 3 : shape === SMALL_100_000 ? 5 : 7;
  const plan = { part: label, ids: [id], rounds, warmUp: 1, shape };
  const stores = plainPeers(context.peers);
  const peers = order.what === "all" ? withFloors(stores, BARE_LOG) : stores;
  await turnsOfWorkers({ ...context, peers }, plan, (worker, peer) => ({
    peer: peer.name,
    ...paceOf(peer, shape, order, rounds),
    turn: async (round) => ({ [id]: await worker.ask({ kind: "list", ...order, compared: round === 0 }) }),
  }));
}

/**
 * All of 100,000 sessions take some peers seconds: once must do.
 * @param {import("../peers/peer.mjs").Peer} peer
 * @param {import("../runner/stores.mjs").Shape} shape
 * @param {{ what: string }} order
 * @param {number} rounds
 */
function paceOf(peer, shape, { what }, rounds) {
  if (shape === SMALL_100_000 && what === "all" && !isInGoals(peer)) return { rounds: 1, warmUp: 1 };
  return pace(peer, rounds);
}
