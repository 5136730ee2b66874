// @ts-check
import { SMALL_650 } from "../runner/stores.mjs";
import { pace, plainPeers, turnsOfWorkers, verifyCount } from "../runner/turns.mjs";

export const title = "a big field that changes";
export const note =
  "One session among 650 small ones, one process, os: a field of 30 KB that is another one after each of 1,000 updates, " +
  "until nothing is left to be done. Bytes are what the process has had written to the disk (`write_bytes` of Linux).";

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, quick } = context;
  sheet.define("big field", "an update", "time");
  sheet.define("big field, cpu", "an update: CPU", "time");
  sheet.define("big field, written", "1,000 updates, written to disk", "bytes");
  const ids = ["big field", "big field, cpu", "big field, written"];
  const updates = quick ? 200 : 1_000;
  const rounds = quick ? 2 : 5;
  const plan = { part: title, ids, rounds, warmUp: 1, shape: SMALL_650 };
  const peers = plainPeers(context.peers).filter(({ slow }) => !slow);
  await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
    const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
    let total = 0;
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      async turn(round) {
        const { us, cpuUs, written } = /** @type {import("../orders/write.mjs").Replaced} */ (
          await worker.ask({ kind: "replaceField", updates, bytes: 30_000, seed: round + 9 })
        );
        total += updates;
        return {
          "big field": us / updates,
          "big field, cpu": cpuUs / updates,
          "big field, written": (written * 1_000) / updates,
        };
      },
      async end() {
        const sum = /** @type {number} */ (await worker.ask({ kind: "sum" }));
        verifyCount("updates of the big field", sum, before + total);
      },
    };
  });
}
