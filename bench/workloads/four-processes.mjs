// @ts-check
/** Four processes update one store at the same time, as fast as they can. */
import { byTurns, countUpdates, verifyCount } from "../measure.mjs";
import { keysOf } from "../stores.mjs";
import { plainPeers, rowsAgainstPeers } from "../workload.mjs";
import { Worker } from "../workers.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "four processes";

const PROCESSES = 4;
const HOT_KEYS = 10;

/** @param {Context} context */
export async function run(context) {
  const small = keysOf({ sessions: 650 }).small;
  const large = keysOf({ sessions: 650, large: 650 }).large;
  const own = (/** @type {string[]} */ keys) => (/** @type {number} */ worker) =>
    keys.filter((_, index) => index % PROCESSES === worker);
  const hot = () => small.slice(0, HOT_KEYS);
  const runs = /** @type {const} */ ([
    ["os, own sessions", "os", { sessions: 650, use: "own" }, own(small), "4 processes os"],
    ["os, 10 hot sessions", "os", { sessions: 650, use: "hot" }, hot, "4 processes os"],
    ["os, own sessions, large", "os", { sessions: 650, large: 650, use: "own" }, own(large), undefined],
    ["disk, own sessions", "disk", { sessions: 650, use: "disk" }, own(small), "4 processes disk"],
  ]);
  const rows = [];
  for (const [label, durability, shape, keysOf, goal] of runs) {
    if (context.quick && "large" in shape) continue;
    const { rates, worst } = await measure(context, durability, shape, keysOf);
    rows.push(...rowsAgainstPeers(context, { label, unit: "rate", ...(goal && { goal }) }, rates));
    const worstGoal =
      durability === "os" && goal ? { goal: /** @type {const} */ ("4 processes os worst") } : {};
    rows.push(...rowsAgainstPeers(context, { label: `${label}: worst`, unit: "time", ...worstGoal }, worst));
  }
  return rows;
}

/**
 * @param {Context} context
 * @param {import("../peers/peer.mjs").Durability} durability
 * @param {{ sessions: number, large?: number, use?: string }} shape
 * @param {(worker: number) => string[]} keysOf
 */
async function measure(context, durability, shape, keysOf) {
  const milliseconds = context.quick ? 300 : 2_000;
  const rounds = context.quick ? 3 : 7;
  /** @type {Record<string, number[]>} */
  const worst = {};
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {};
  const finishers = [];
  for (const peer of plainPeers(context)) {
    const folder = await context.stores.get(peer, shape);
    const which = { peer: peer.name, folder, durability };
    const workers = Array.from({ length: PROCESSES }, () => new Worker(which));
    for (const worker of workers) await worker.ask({ kind: "open" });
    const start = await peer.open(folder, durability);
    const before = await countUpdates(start);
    await start.close();
    let [total, round] = [0, 0];
    const worstOfRounds = (worst[peer.name] = /** @type {number[]} */ ([]));
    contenders[peer.name] = async () => {
      round++;
      const bursts = /** @type {import("../workers.mjs").Burst[]} */ (
        await Promise.all(
          workers.map((worker, index) =>
            worker.ask({ kind: "burst", milliseconds, seed: round * 31 + index, keys: keysOf(index) }),
          ),
        )
      );
      // What was put off must not slow the next one down.
      await Promise.all(workers.map((worker) => worker.ask({ kind: "settle" })));
      total += bursts.reduce((sum, { updates }) => sum + updates, 0);
      if (round > 1) worstOfRounds.push(Math.max(...bursts.map(({ worstUs }) => worstUs)));
      return bursts.reduce((sum, burst) => sum + (burst.updates * 1000) / burst.milliseconds, 0);
    };
    finishers.push(async () => {
      for (const worker of workers) await worker.end();
      const end = await peer.open(folder, durability);
      verifyCount(`updates by four ${peer.name} processes`, (await countUpdates(end)) - before, total);
      await end.close();
    });
  }
  const rates = await byTurns({ rounds, warmUp: 1 }, contenders);
  for (const finish of finishers) await finish();
  return { rates, worst };
}
