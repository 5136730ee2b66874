// @ts-check
import { keysOf, LARGE_650, SMALL_650 } from "../runner/stores.mjs";
import { BARE_LOG, CALLS } from "../peers/index.mjs";
import { pace, plainPeers, turnsOfWorkers, withFloors } from "../runner/turns.mjs";

export const title = "get";
export const note =
  "Warm: sessions that this process has read before; it would see any other process's commit. New: the store was " +
  "opened a moment ago and the session is read for the first time; files are in the system's cache. What a warm get " +
  "gives differs: a shared object, or one of its own (see the peers).";

/** Of 650 sessions drawn at random hardly one is left out. */
const WARMING_READS = 4_000;

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const rounds = context.quick ? 4 : 15;
  for (const [id, label, shape, size, look] of /** @type {const} */ ([
    ["get warm small", "warm, small", SMALL_650, "small", "top"],
    ["get warm large", "warm, large", LARGE_650, "large", "top"],
    ["get warm large, inside", "warm, large, looks inside", LARGE_650, "large", "snapshot"],
  ])) {
    context.sheet.define(id, label, "time");
    const keys = { shape, size };
    const plan = { part: label, ids: [id], rounds, warmUp: 3, shape };
    const peers = look === "top" ? withFloors(context.peers, CALLS, BARE_LOG) : context.peers;
    await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
      const order = { kind: "gets", keys, look };
      // On a slow machine the rounds for warming up are too short to read every session once.
      if (!peer.slow) await worker.ask({ ...order, reads: WARMING_READS, msMax: 1_000, seed: 1 });
      return {
        peer: peer.name,
        ...pace(peer, rounds),
        turn: async (round) => {
          const reads = size === "small" ? 20_000 : 2_000;
          return { [id]: await worker.ask({ ...order, reads, msMax: 60, seed: round + 9 }) };
        },
      };
    });
  }
  for (const [id, label, shape, size] of /** @type {const} */ ([
    ["get new small", "new, small", SMALL_650, "small"],
    ["get new large", "new, large", LARGE_650, "large"],
  ])) {
    context.sheet.define(id, label, "time");
    const keys = { shape, size };
    const count = keysOf(keys).length;
    const plan = { part: label, ids: [id], rounds: Math.min(9, rounds), warmUp: 1, shape };
    await turnsOfWorkers({ ...context, peers: plainPeers(context.peers) }, plan, (worker, peer) => ({
      peer: peer.name,
      ...pace(peer, plan.rounds),
      turn: async (round) => {
        const order = { kind: "newGets", keys, reads: 100, msMax: 100, offset: (round + 9) % count };
        return { [id]: await worker.ask(order) };
      },
    }));
  }
}
