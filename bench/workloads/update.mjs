// @ts-check
import { LARGE_650, SMALL_100_000, SMALL_10_000, SMALL_650 } from "../runner/stores.mjs";
import { BARE_LOG, CALLS } from "../peers/index.mjs";
import { pace, plainPeers, turnsOfWorkers, verifyCount, withFloors } from "../runner/turns.mjs";

export const title = "update, os";
export const note =
  "Read, change, write one session after the other in one process; what was written survives a killed process, not a " +
  "power cut. Sessions are drawn at random from all of the store's, up to 650 of them. The event loop gets its turn " +
  "every 16 updates; work that a store puts off is done between the rounds and is not in these figures (it is in " +
  "«sustained» and in «a gateway day»).";

const IN_USE = 650;
const MS_MAX = 150;

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  for (const [id, label, shape, size, updates] of /** @type {const} */ ([
    ["update os 650", "650 small", SMALL_650, "small", 1_500],
    ["update os large", "650 large", LARGE_650, "large", 1_500],
    ["update os 10000", "10,000 small", SMALL_10_000, "small", 1_500],
    ["update os 100000", "100,000 small", SMALL_100_000, "small", 1_500],
  ])) {
    if (context.quick && shape.sessions > 10_000) continue;
    await measure(context, { id, label, shape, size, updates });
  }
}

/**
 * @param {import("../runner/turns.mjs").Context} context
 * @param {{ id: string, label: string, shape: import("../runner/stores.mjs").Shape,
 *   size: import("../data/entries.mjs").EntrySize, updates: number }} part
 */
async function measure(context, { id, label, shape, size, updates }) {
  const cpu = `${id}, cpu`;
  context.sheet.define(id, label, "time");
  context.sheet.define(cpu, `${label}: CPU`, "time");
  const keys = { shape, size, first: IN_USE };
  const rounds = context.quick ? 4 : 15;
  const plan = { part: label, ids: [id, cpu], rounds, warmUp: 4, shape };
  const stores = shape === SMALL_650 ? context.peers : plainPeers(context.peers);
  const peers = withFloors(stores, CALLS, BARE_LOG);
  await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
    const before = /** @type {number} */ (await worker.ask({ kind: "sum" }));
    let total = 0;
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      async turn(round) {
        const order = { kind: "updates", keys, draw: "uniform", seed: 100 + round, updates, msMax: MS_MAX };
        const done = /** @type {import("../orders/write.mjs").Done} */ (await worker.ask(order));
        total += done.updates;
        // What was put off must not slow the next one down.
        await worker.ask({ kind: "settle" });
        return { [id]: done.us / done.updates, [cpu]: done.cpuUs / done.updates };
      },
      async end() {
        verifyCount("updates", /** @type {number} */ (await worker.ask({ kind: "sum" })) - before, total);
      },
    };
  });
}
