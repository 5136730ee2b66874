// @ts-check
/**
 * Updates of 10,000 sessions for so long that sessiondir has checkpointed at least ten log segments, one process, os.
 * Two figures: updates per second while that goes on, and with the time until everything is in its file.
 */
import { Random } from "../../examples/demo/sessions.mjs";
import { nextTurn } from "../entries.mjs";
import { byTurns, countUpdates, NotVerified, updateAll, verifyCount } from "../measure.mjs";
import { keysOf } from "../stores.mjs";
import { closeAll, openAll, plainPeers, rowsAgainstPeers } from "../workload.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "sustained";

const SESSIONS = 10_000;
const ZIPF_EXPONENT = 0.99;
const CHECKPOINTS_MIN = 10;

/** @param {Context} context */
export async function run(context) {
  const random = new Random(99);
  const zipf = zipfDraw(SESSIONS, random);
  const uniform = () => random.below(SESSIONS);
  return [
    ...(await measure(context, "zipf", zipf, context.quick ? 15_000 : 50_000, "sustained zipf")),
    ...(await measure(context, "uniform", uniform, context.quick ? 5_000 : 20_000, "sustained uniform")),
  ];
}

/**
 * @param {Context} context
 * @param {string} draw
 * @param {() => number} next
 * @param {number} updates In a round.
 * @param {import("../goals.mjs").GoalName} goal
 */
async function measure(context, draw, next, updates, goal) {
  const shape = { sessions: SESSIONS, use: draw };
  const rounds = context.quick ? 1 : 5;
  const opened = await openAll(context, "os", shape, plainPeers(context));
  const keys = keysOf(shape).small;
  /** @type {Record<string, number[]>} */
  const settled = {};
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {};
  for (const [name, store] of opened) {
    const withSettling = (settled[name] = /** @type {number[]} */ ([]));
    contenders[name] = async () => {
      const drawn = Array.from({ length: updates }, () => keys[next()] ?? "");
      const start = performance.now();
      await updateAll(store, drawn, nextTurn);
      const updated = performance.now();
      await store.settle();
      withSettling.push((updates * 1000) / (performance.now() - start));
      return (updates * 1000) / (updated - start);
    };
  }
  const firstSegment = opened.get(context.ours.name)?.segments() ?? 0;
  const rates = await byTurns({ rounds, warmUp: 0 }, contenders);
  const checkpoints = (opened.get(context.ours.name)?.segments() ?? 0) - firstSegment;
  for (const [name, store] of opened)
    verifyCount(`updates by ${name}`, await countUpdates(store), rounds * updates);
  await closeAll(opened);
  if (!context.quick && checkpoints < CHECKPOINTS_MIN)
    throw new NotVerified(`only ${checkpoints} checkpoints`);
  const label = `${draw}, ${checkpoints} checkpoints`;
  return [
    ...rowsAgainstPeers(context, { label, unit: "rate", goal }, rates),
    ...rowsAgainstPeers(context, { label: `${label}, until all is in files`, unit: "rate" }, settled),
  ];
}

/**
 * @param {number} count
 * @param {Random} random
 * @returns {() => number} Draws from 0 to below count; 0 most often. Which sessions are busy says nothing else.
 */
function zipfDraw(count, random) {
  const cumulative = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) cumulative[rank] = sum += 1 / (rank + 1) ** ZIPF_EXPONENT;
  return () => {
    const wanted = random.next() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] ?? sum) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
