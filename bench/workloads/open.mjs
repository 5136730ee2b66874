// @ts-check
import { keyOf } from "../entries.mjs";
import { median } from "../statistics.mjs";
import { SMALL_100_000, SMALL_650 } from "../stores.mjs";
import { able, contendersOf, pace, plainPeers, takeTurns } from "../turns.mjs";
import { askOnce } from "../workers.mjs";

export const title = "open and get";
export const note =
  "Opens a store and reads one session: in a process that has just started and loaded the peer's code, as a " +
  "command-line tool does, and again in the same process. The files are in the system's cache. «Log»: after 8,000 " +
  "updates that nobody tidied up.";

const AGAIN = 12;
/** Leaves about two megabytes in the log of a sessiondir store that was just checkpointed: half a segment. */
const UPDATES = 8_000;

/** @param {import("../turns.mjs").Context} context */
export async function run(context) {
  for (const [id, label, shape, prepared] of /** @type {const} */ ([
    ["open 650", "650", SMALL_650, "tidy"],
    ["open 100000", "100,000", SMALL_100_000, "tidy"],
    ["open log", "650, log", { ...SMALL_650, use: "log" }, "updated"],
  ])) {
    if (context.quick && shape.sessions > 10_000) continue;
    await measure(context, { id, label, shape, prepared });
  }
}

/**
 * @param {import("../turns.mjs").Context} context
 * @param {{ id: string, label: string, shape: import("../stores.mjs").Shape, prepared: "tidy" | "updated" }} part
 */
async function measure(context, { id, label, shape, prepared }) {
  const { sheet, stores, quick } = context;
  const again = `${id}, again`;
  sheet.define(id, `${label}, new process`, "time");
  sheet.define(again, `${label}, again`, "time");
  const rounds = quick ? 3 : 9;
  const plan = { part: label, ids: [id, again], rounds, warmUp: 1 };
  const peers = able(plainPeers(context.peers), shape).filter(({ slow }) => prepared === "tidy" || !slow);
  const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
    const which = {
      peer: peer.name,
      folder: await stores.get(peer, shape),
      durability: /** @type {const} */ ("os"),
    };
    const update = {
      kind: "updates",
      keys: { shape, size: "small" },
      draw: "uniform",
      seed: 5,
      updates: UPDATES,
      msMax: 20_000,
    };
    await askOnce(which, prepared === "tidy" ? { kind: "tidy" } : update);
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      turn: async (/** @type {number} */ round) => {
        const key = keyOf(((round + 9) * 97) % shape.sessions);
        const order = { kind: "opens", key, again: peer.slow ? 3 : AGAIN };
        const [first = Number.NaN, ...others] = /** @type {number[]} */ (await askOnce(which, order));
        return { [id]: first * 1000, [again]: median(others) * 1000 };
      },
    };
  });
  await takeTurns(sheet, plan, contenders);
}
