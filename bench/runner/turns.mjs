// @ts-check
/**
 * Measures contenders by turns, A B A B, so that whatever else the machine does hits all of them. The ratio of two is
 * taken round by round, and the median of these ratios is the result.
 */
import { JSONL, peerNamed } from "../peers/index.mjs";
import { Worker } from "./workers.mjs";

/**
 * @typedef {import("../peers/peer.mjs").Peer} Peer
 * @typedef {import("../peers/peer.mjs").Durability} Durability
 * @typedef {import("./sheet.mjs").Sheet} Sheet
 * @typedef {import("./stores.mjs").Shape} Shape
 *
 * @typedef {object} Context
 * @property {import("./stores.mjs").Stores} stores
 * @property {readonly Peer[]} peers Those that work on this machine, were asked for, and keep what the workload is about.
 * @property {Sheet} sheet
 * @property {boolean} quick Fewer rounds, no store of 100,000 sessions.
 *
 * @typedef {object} Contender
 * @property {string} peer
 * @property {(round: number) => Promise<Record<string, number>>} turn Samples by the ids of figures; negative rounds
 *   are for warming up, and their samples are thrown away.
 * @property {() => Promise<void>} [end] Verifies; throws if the work was not done.
 * @property {number} [rounds] Fewer than the others.
 * @property {number} [warmUp]
 *
 * @typedef {{ title: string, note: string, keeps?: "records" | "transcripts", run: (context: Context) => Promise<void> }} Workload
 *   `keeps`: what it is about; by default records.
 */

/**
 * @param {Sheet} sheet
 * @param {{ part: string, ids: readonly string[], rounds: number, warmUp: number }} plan
 * @param {Contender[]} contenders
 */
export async function takeTurns(sheet, { part, ids, rounds, warmUp }, contenders) {
  let left = contenders;
  const attempt = async (/** @type {Contender} */ contender, /** @type {() => Promise<void>} */ work) => {
    try {
      await work();
    } catch (error) {
      sheet.fail(contender.peer, part, ids, error);
      left = left.filter((other) => other !== contender);
    }
  };
  for (let round = -warmUp; round < rounds; round++) {
    // The one that begins changes as well.
    const first = Math.abs(round) % Math.max(1, left.length);
    for (const contender of [...left.slice(first), ...left.slice(0, first)]) {
      if (round >= (contender.rounds ?? rounds) || -round > (contender.warmUp ?? warmUp)) continue;
      await attempt(contender, async () => {
        const samples = await contender.turn(round);
        if (round < 0) return;
        for (const [id, value] of Object.entries(samples)) sheet.add(id, contender.peer, value);
      });
    }
  }
  for (const contender of left) await attempt(contender, async () => contender.end?.());
}

/**
 * A contender of each peer; one that cannot even begin has no figure and does not keep the others from it.
 * @param {Sheet} sheet
 * @param {{ part: string, ids: readonly string[] }} plan
 * @param {readonly Peer[]} peers
 * @param {(peer: Peer) => Promise<Contender>} make
 */
export async function contendersOf(sheet, { part, ids }, peers, make) {
  /** @type {Contender[]} */
  const contenders = [];
  for (const peer of peers) {
    try {
      contenders.push(await make(peer));
    } catch (error) {
      sheet.fail(peer.name, part, ids, error);
    }
  }
  return contenders;
}

/**
 * Starts a worker for each peer that can do it, with the store of that shape, lets `work` make a contender of each
 * one, and ends the workers after the turns.
 * @param {Context} context
 * @param {{ part: string, ids: readonly string[], rounds: number, warmUp: number, shape: Shape,
 *   durability?: Durability, peers?: readonly Peer[] }} plan
 * @param {(worker: Worker, peer: Peer) => Contender | Promise<Contender>} work
 */
export async function turnsOfWorkers(context, plan, work) {
  const { stores, sheet } = context;
  const { shape, durability = "os" } = plan;
  /** @type {Worker[]} */
  const workers = [];
  try {
    const peers = able(plan.peers ?? context.peers, shape, durability);
    const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
      const worker = new Worker({ peer: peer.name, folder: await stores.get(peer, shape), durability });
      workers.push(worker);
      await worker.ask({ kind: "open" });
      return work(worker, peer);
    });
    await takeTurns(sheet, plan, contenders);
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

/** @param {readonly Peer[]} peers @param {Shape} shape @param {Durability} durability */
export function able(peers, shape, durability = "os") {
  return peers.filter(
    ({ sessionsMax, durabilities }) => shape.sessions <= sessionsMax && durabilities.includes(durability),
  );
}

/**
 * Goals are ratios of sessiondir, better-sqlite3, plain JSONL files and floors, so these take all the turns; of the others, the ones that
 * need milliseconds for an update take the fewest.
 * @param {Peer} peer
 * @param {number} rounds
 * @returns {{ rounds?: number, warmUp?: number }}
 */
export function pace(peer, rounds) {
  if (isInGoals(peer)) return {};
  return peer.slow
    ? { rounds: Math.min(rounds, 3), warmUp: 1 }
    : { rounds: Math.max(Math.min(rounds, 3), Math.ceil(rounds / 3)) };
}

/** @param {Peer} peer */
export function isInGoals({ name, floor }) {
  return floor || name === "sessiondir" || name === "better-sqlite3" || name === JSONL;
}

/** The peers, and beside them the floors: the least work that any peer must do. @param {readonly Peer[]} peers @param {...string} floors */
export function withFloors(peers, ...floors) {
  return [...peers, ...floors.map(peerNamed)];
}

/**
 * @param {string} what
 * @param {number} found
 * @param {number} expected
 */
export function verifyCount(what, found, expected) {
  if (found !== expected) throw new Error(`not verified: ${what}: ${found} instead of ${expected}`);
}

/** SQLite in the form that keeps parsed entries is measured only where that makes a difference. */
export function plainPeers(/** @type {readonly Peer[]} */ peers) {
  return peers.filter(({ name }) => !name.endsWith(", caching"));
}
