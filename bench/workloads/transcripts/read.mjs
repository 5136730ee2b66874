// @ts-check
import { keyOf } from "../../data/entries.mjs";
import { SMALL_650 } from "../../runner/stores.mjs";
import { able, contendersOf, pace, plainPeers, takeTurns } from "../../runner/turns.mjs";
import { askOnce } from "../../runner/workers.mjs";

/**
 * @typedef {import("../../runner/turns.mjs").Context} Context
 * @typedef {{ openUs: number, readUs: number, cpuUs: number, peak: number }} Read
 */

export const title = "read items";
export const note =
  "A transcript of 100,000 messages of 1,024 bytes, in the system's cache, nothing in a log; a new process for each round, which " +
  "has loaded the peer's code. It opens the store, looks at the clock, and reads: «opening alone» is until then, «beyond " +
  "opening» from then on, so their sum is opening and reading. All items: one after the other in their order, each looked " +
  "at; with opening, and with the CPU of all threads and the peak of the process's whole memory. Every item's number, and the " +
  "characters of all texts, are compared with what was appended.";
export const keeps = "transcripts";

const ITEMS = 100_000;
const ITEMS_QUICK = 2_000;
const NEWEST = 50;

/** @param {Context} context */
export async function run(context) {
  const { quick } = context;
  const count = quick ? ITEMS_QUICK : ITEMS;
  const shape = { ...SMALL_650, items: { transcripts: 1, each: count } };
  const label = count.toLocaleString("en-US");
  const { sheet } = context;
  sheet.define("open items", "opening alone", "time");
  sheet.define("newest items", `${NEWEST} newest of ${label}, beyond opening`, "time");
  sheet.define("open and newest items", `opening and ${NEWEST} newest`, "time");
  await measure(context, {
    shape,
    part: `${NEWEST} newest of ${label}`,
    ids: ["open items", "newest items", "open and newest items"],
    rounds: quick ? 1 : 19,
    newest: NEWEST,
    samples: ({ openUs, readUs }) => ({
      "open items": openUs,
      "newest items": readUs,
      "open and newest items": openUs + readUs,
    }),
  });
  sheet.define("all items", `all of ${label}, with opening`, "time");
  sheet.define("all items, cpu", `all of ${label}: CPU`, "time");
  sheet.define("all items, peak", `all of ${label}: peak of memory`, "bytes");
  await measure(context, {
    shape,
    part: `all of ${label}`,
    ids: ["all items", "all items, cpu", "all items, peak"],
    rounds: quick ? 1 : 9,
    samples: ({ openUs, readUs, cpuUs, peak }) => ({
      "all items": openUs + readUs,
      "all items, cpu": cpuUs,
      "all items, peak": peak,
    }),
  });
}

/**
 * @param {Context} context
 * @param {{ shape: import("../../runner/stores.mjs").Shape, part: string, ids: readonly string[], rounds: number,
 *   newest?: number, samples: (read: Read) => Record<string, number> }} plan
 */
async function measure({ sheet, stores, peers: all }, plan) {
  const { shape, rounds, newest, samples } = plan;
  const peers = able(plainPeers(all), shape);
  const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
    const folder = await stores.get(peer, shape);
    const which = { peer: peer.name, folder, durability: /** @type {const} */ ("os") };
    const order = { kind: "newItems", key: keyOf(0), count: shape.items?.each, newest };
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      turn: async () => samples(/** @type {Read} */ (await askOnce(which, order))),
    };
  });
  await takeTurns(sheet, { ...plan, warmUp: rounds > 1 ? 1 : 0 }, contenders);
}
