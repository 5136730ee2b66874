// @ts-check
import { SMALL_650 } from "../runner/stores.mjs";
import { pace, plainPeers, turnsOfWorkers, verifyCount } from "../runner/turns.mjs";

export const title = "create and delete";
export const note =
  "Sessions come and go in a store of 650 small ones, one process, os: created one by one, looked at, deleted one by " +
  "one. For one session.";

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, quick } = context;
  sheet.define("create", "create", "time");
  sheet.define("delete", "delete", "time");
  const count = quick ? 200 : 500;
  const rounds = quick ? 3 : 7;
  const plan = { part: title, ids: ["create", "delete"], rounds, warmUp: 2, shape: SMALL_650 };
  await turnsOfWorkers({ ...context, peers: plainPeers(context.peers) }, plan, async (worker, peer) => {
    const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      async turn(round) {
        const { createUs, deleteUs } = /** @type {{ createUs: number, deleteUs: number }} */ (
          await worker.ask({ kind: "churn", count, seed: round + 9, msMax: 150 })
        );
        await worker.ask({ kind: "settle" });
        return { create: createUs, delete: deleteUs };
      },
      async end() {
        verifyCount(
          "other sessions' updates",
          /** @type {number} */ (await worker.ask({ kind: "sum" })),
          before,
        );
      },
    };
  });
}
