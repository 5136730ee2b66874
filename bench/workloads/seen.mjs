// @ts-check
import { keyOf } from "../data/entries.mjs";
import { SMALL_650 } from "../runner/stores.mjs";
import { able, contendersOf, pace, plainPeers, takeTurns } from "../runner/turns.mjs";
import { Worker } from "../runner/workers.mjs";

export const title = "seen by another process";
export const note =
  "From the beginning of an update in one process until another one has read it. «Reading»: the other process reads " +
  "again and again. «Told»: it sleeps until it is told, by `watch` where the store has one (sessiondir), by the file " +
  "system's notifications and reads after each where it has none (everybody else).";

const TOLD = "seen, told";
const READING = "seen, reading";

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, stores, quick } = context;
  sheet.define(READING, "reading", "time");
  sheet.define(TOLD, "told", "time");
  const rounds = quick ? 6 : 18;
  /** @type {Worker[]} */
  const workers = [];
  try {
    for (const [id, how] of /** @type {const} */ ([
      [READING, "reads"],
      [TOLD, "told"],
    ])) {
      const plan = { part: how, ids: [id], rounds, warmUp: 3 };
      const peers = able(plainPeers(context.peers), SMALL_650).filter((peer) => peer.manyProcesses);
      const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
        const which = {
          peer: peer.name,
          folder: await stores.get(peer, SMALL_650),
          durability: /** @type {const} */ ("os"),
        };
        const [writer, reader] = [new Worker(which), new Worker(which)];
        workers.push(writer, reader);
        const key = keyOf(3);
        // A gateway has its compiler's work behind it.
        const keys = { shape: SMALL_650, size: "small" };
        const updates = 2_000;
        const reads = 10_000;
        await writer.ask({ kind: "updates", keys, draw: "uniform", seed: 1, updates, msMax: 300 });
        await reader.ask({ kind: "gets", keys, reads, msMax: 300, seed: 1, look: "top" });
        return {
          peer: peer.name,
          ...pace(peer, rounds),
          async turn() {
            await reader.ask({ kind: "arm", key, how });
            const [seenUs, { begunUs }] = await Promise.all([
              reader.ask({ kind: "seen" }),
              writer.ask({ kind: "stampedUpdate", key }),
            ]);
            return { [id]: /** @type {number} */ (seenUs) - /** @type {number} */ (begunUs) };
          },
        };
      });
      await takeTurns(sheet, plan, contenders);
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}
