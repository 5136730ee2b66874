// @ts-check
import { APPEND_BLOCKING, APPEND_ON_POOL, BARE_LOG, CALLS, OVERWRITE_ON_POOL } from "../peers/index.mjs";
import { SMALL_650 } from "../runner/stores.mjs";
import {
  able,
  contendersOf,
  pace,
  plainPeers,
  takeTurns,
  verifyCount,
  withFloors,
} from "../runner/turns.mjs";
import { Worker } from "../runner/workers.mjs";

export const title = "update, disk";
export const note =
  "One durable update after the other in one process, 650 small sessions; each figure is the median of a round, for a " +
  "disk that stalls now and then says nothing about anybody. Beside them the least that anybody can do: append as many " +
  "bytes to a file and fdatasync it, on the thread pool (a program with other things to do, like sessiondir), and " +
  "blocking the whole process (like the SQLite packages); and the same with a file that does not grow (like SQLite's " +
  "write-ahead log once it is used again).";

const ID = "update disk";
const WARMING_UPDATES = 20_000;
const WARMING_MS = 4_000;

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, stores } = context;
  sheet.define(ID, "650 small", "time");
  const rounds = context.quick ? 5 : 15;
  const updates = context.quick ? 60 : 150;
  const keys = { shape: SMALL_650, size: "small" };
  /** @type {Worker[]} */
  const workers = [];
  const plan = { part: "650 small", ids: [ID], rounds, warmUp: 1 };
  const floors = [CALLS, BARE_LOG, APPEND_ON_POOL, APPEND_BLOCKING, OVERWRITE_ON_POOL];
  const peers = withFloors(able(plainPeers(context.peers), SMALL_650, "disk"), ...floors);
  try {
    const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
      const worker = new Worker({
        peer: peer.name,
        folder: await stores.get(peer, SMALL_650),
        durability: "disk",
      });
      workers.push(worker);
      const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
      let total = 0;
      const order = { kind: "updates", keys, draw: "uniform", seed: 1, msMax: peer.slow ? 300 : 1_500 };
      const update = async (/** @type {number} */ count, msMax = order.msMax) => {
        const done = /** @type {import("../orders/write.mjs").Done} */ (
          await worker.ask({ ...order, updates: count, msMax, each: true })
        );
        total += done.updates;
        await worker.ask({ kind: "settle" });
        return done.medianUs;
      };
      // The compiler needs some ten thousand calls before it is done; a gateway has them behind it in an hour.
      await update(WARMING_UPDATES, peer.slow ? order.msMax : WARMING_MS);
      return {
        peer: peer.name,
        ...pace(peer, rounds),
        turn: async () => ({ [ID]: await update(updates) }),
        async end() {
          const sum = /** @type {number} */ (await worker.ask({ kind: "sum" }));
          if (!peer.untraceable) verifyCount("updates", sum - before, total);
        },
      };
    });
    await takeTurns(sheet, plan, contenders);
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}
