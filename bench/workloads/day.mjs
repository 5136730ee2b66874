// @ts-check
import { DAY_SHAPE } from "../data/gateway-day.mjs";
import { able, isInGoals, plainPeers, takeTurns } from "../runner/turns.mjs";
import { askOnce } from "../runner/workers.mjs";

export const title = "a gateway day";
export const note =
  "Messages, cron runs, listings and cleanup as one gateway process does them, os, replayed as fast as possible; every " +
  "session is compared afterwards. bench/data/gateway-day.mjs says how the mix was derived. Slow peers replay only the " +
  "beginning of the day.";

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, stores, quick } = context;
  const ids = ["day", "day, settled", "day, worst", "day, cpu"];
  sheet.define("day", "operations", "rate");
  sheet.define("day, settled", "until all is in files", "rate");
  sheet.define("day, worst", "worst operation", "time");
  sheet.define("day, cpu", "CPU of one operation", "time");
  const contenders = able(plainPeers(context.peers), DAY_SHAPE).map((peer) => {
    return {
      peer: peer.name,
      ...(!isInGoals(peer) && { rounds: 1 }),
      turn: async (/** @type {number} */ round) => {
        const folder = await stores.get(peer, { ...DAY_SHAPE, use: `day-${round}` });
        const order = {
          kind: "day",
          events: quick ? 300 : 1_500,
          seed: 20,
          msMax: peer.slow ? 5_000 : 20_000,
        };
        const done =
          /** @type {{ done: number, of: number, us: number, settledUs: number, worstUs: number, cpuUs: number }} */ (
            await askOnce({ peer: peer.name, folder, durability: "os" }, order)
          );
        sheet.remark(
          "day",
          peer.name,
          `${done.done.toLocaleString("en-US")} of ${done.of.toLocaleString("en-US")} operations`,
        );
        return {
          day: (done.done * 1e6) / done.us,
          "day, settled": (done.done * 1e6) / done.settledUs,
          "day, worst": done.worstUs,
          "day, cpu": done.cpuUs / done.done,
        };
      },
    };
  });
  await takeTurns(sheet, { part: title, ids, rounds: quick ? 1 : 3, warmUp: 0 }, contenders);
}
