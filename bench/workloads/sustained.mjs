// @ts-check
import { SMALL_10_000 } from "../stores.mjs";
import { isRival, plainPeers, turnsOfWorkers, verifyCount } from "../turns.mjs";

export const title = "sustained";
export const note =
  "10,000 small sessions, one process, os, so many updates that sessiondir finishes ten checkpoints while it is measured " +
  "(or goes on for 24 seconds); their time is in the figure. «Until all is in files» adds the time until nothing is left " +
  "to be done, the rest of the checkpoints included.";

const CHECKPOINTS_MIN = 10;
/** A round goes on for that long at most, however slow the machine. */
const US_MAX = 12_000_000;

/** @param {import("../turns.mjs").Context} context */
export async function run(context) {
  await measure(context, "zipf", context.quick ? 15_000 : 100_000);
  await measure(context, "uniform", context.quick ? 5_000 : 60_000);
}

/**
 * @param {import("../turns.mjs").Context} context
 * @param {"zipf" | "uniform"} draw
 * @param {number} updates In a round; sessiondir goes on until it has finished its share of the checkpoints.
 */
async function measure(context, draw, updates) {
  const { sheet } = context;
  const ids = [`sustained ${draw}`, `sustained ${draw}, settled`, `sustained ${draw}, cpu`];
  const [during = "", settled = "", cpu = ""] = ids;
  const name = draw === "zipf" ? "Zipf 0.99" : "uniform";
  sheet.define(during, name, "rate");
  sheet.define(settled, `${name}, until all is in files`, "rate");
  sheet.define(cpu, `${name}: CPU of one`, "time");
  const keys = { shape: SMALL_10_000, size: "small" };
  const rounds = context.quick ? 1 : 2;
  const peers = plainPeers(context.peers).filter(({ slow }) => !slow);
  const plan = { part: name, ids, rounds, warmUp: 1, shape: SMALL_10_000 };
  await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
    const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
    const isOurs = peer.name === "sessiondir";
    let [total, checkpoints, checkpointsInAll] = [0, 0, 0];
    return {
      peer: peer.name,
      ...(!isRival(peer) && { rounds: 1 }),
      async turn(round) {
        const order = { kind: "updates", keys, draw, seed: 7, updates: round < 0 ? 3_000 : updates };
        const atStart = /** @type {number} */ (await worker.ask({ kind: "checkpoints" }));
        const sum = { updates: 0, us: 0, cpuUs: 0 };
        for (let more = true; more;) {
          const msMax = US_MAX / 1_000 / 4;
          const done = /** @type {import("../orders/write.mjs").Done} */ (
            await worker.ask({ ...order, msMax })
          );
          sum.updates += done.updates;
          sum.us += done.us;
          sum.cpuUs += done.cpuUs;
          const over = /** @type {number} */ (await worker.ask({ kind: "checkpoints" })) - atStart;
          more = isOurs && round >= 0 && !context.quick && over < CHECKPOINTS_MIN / rounds && sum.us < US_MAX;
          if (!more && round >= 0) checkpoints += over;
        }
        const later = /** @type {{ us: number, cpuUs: number }} */ (await worker.ask({ kind: "settle" }));
        total += sum.updates;
        const allOver = /** @type {number} */ (await worker.ask({ kind: "checkpoints" })) - atStart;
        if (round >= 0) checkpointsInAll += allOver;
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
