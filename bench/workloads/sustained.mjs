// @ts-check
import { SMALL_10_000 } from "../runner/stores.mjs";
import { isInGoals, plainPeers, turnsOfWorkers, verifyCount } from "../runner/turns.mjs";

export const title = "sustained";
export const note =
  "10,000 small sessions, one process, os, all options at their defaults. sessiondir goes on until ten checkpoints are " +
  "over while it is measured (how many there were is beside its figure); their time is in the figure. better-sqlite3 does " +
  "as many updates, or goes on for as long where it is slower; the others, whose pace hardly changes, less. «Until all is " +
  "in files» adds the time until nothing is left to be done, the rest of the checkpoints included.";

const CHECKPOINTS = 10;
/** A round of sessiondir, or of a peer that is in a goal, takes at most this long. */
const US_MAX = 120_000_000;
/** A round of a peer that is in no goal. */
const SHORT_US_MAX = 5_000_000;
/**
 * A peer works in slices of this many updates, or of this long; after each the benchmark checks whether it was enough.
 */
const SLICE = 50_000;
const SLICE_MS_MAX = 3_000;

/** @typedef {{ updates: number, us: number, cpuUs: number, checkpoints: number }} Sum */

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  await measure(context, "zipf");
  await measure(context, "uniform");
}

/**
 * @param {import("../runner/turns.mjs").Context} context
 * @param {"zipf" | "uniform"} draw
 */
async function measure(context, draw) {
  const { sheet, quick } = context;
  const during = `sustained ${draw}`;
  const settled = `sustained ${draw}, settled`;
  const cpu = `sustained ${draw}, cpu`;
  const name = draw === "zipf" ? "Zipf 0.99" : "uniform";
  sheet.define(during, name, "rate");
  sheet.define(settled, `${name}, until all is in files`, "rate");
  sheet.define(cpu, `${name}: CPU of one`, "time");
  const keys = { shape: SMALL_10_000, size: "small" };
  const rounds = quick ? 1 : 2;
  const peers = plainPeers(context.peers).filter(({ slow }) => !slow);
  const plan = { part: name, ids: [during, settled, cpu], rounds, warmUp: 1, shape: SMALL_10_000 };
  /** What sessiondir did in its latest round. */
  let latest = { updates: Infinity, us: SHORT_US_MAX };
  await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
    const isOurs = peer.name === "sessiondir";
    const isEnough = (/** @type {Sum} */ { updates, us, checkpoints }) => {
      if (quick) return true;
      if (isOurs) return checkpoints >= CHECKPOINTS / rounds || us >= US_MAX;
      if (isInGoals(peer)) return updates >= latest.updates || us >= latest.us;
      return updates >= 2 * SLICE || us >= SHORT_US_MAX;
    };
    const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
    let total = 0;
    let checkpoints = 0;
    let checkpointsInAll = 0;
    return {
      peer: peer.name,
      ...(!isInGoals(peer) && { rounds: 1 }),
      async turn(round) {
        const count = async () => /** @type {number} */ (await worker.ask({ kind: "checkpoints" }));
        const updates = round < 0 ? 3_000 : quick ? SLICE / 5 : SLICE;
        const order = { kind: "updates", keys, draw, seed: 7, updates, msMax: SLICE_MS_MAX };
        const atStart = await count();
        /** @type {Sum} */
        const sum = { updates: 0, us: 0, cpuUs: 0, checkpoints: 0 };
        do {
          const done = /** @type {import("../orders/write.mjs").Done} */ (await worker.ask(order));
          sum.updates += done.updates;
          sum.us += done.us;
          sum.cpuUs += done.cpuUs;
          sum.checkpoints = (await count()) - atStart;
        } while (round >= 0 && !isEnough(sum));
        const later = /** @type {{ us: number, cpuUs: number }} */ (await worker.ask({ kind: "settle" }));
        total += sum.updates;
        if (round >= 0) {
          checkpoints += sum.checkpoints;
          checkpointsInAll += (await count()) - atStart;
          if (isOurs) latest = sum;
        }
        return {
          [during]: (sum.updates * 1e6) / sum.us,
          [settled]: (sum.updates * 1e6) / (sum.us + later.us),
          [cpu]: (sum.cpuUs + later.cpuUs) / sum.updates,
        };
      },
      async end() {
        verifyCount("updates", /** @type {number} */ (await worker.ask({ kind: "sum" })) - before, total);
        if (!isOurs) return;
        sheet.remark(during, peer.name, `${checkpoints} checkpoints`);
        sheet.remark(settled, peer.name, `${checkpointsInAll} checkpoints`);
      },
    };
  });
}
