// @ts-check
import { join } from "node:path";
import { keyOf } from "../data/entries.mjs";
import { OPENING, peerNamed } from "../peers/index.mjs";
import { median } from "../report/statistics.mjs";
import { SMALL_100_000, SMALL_650 } from "../runner/stores.mjs";
import { able, contendersOf, pace, plainPeers, takeTurns, withFloors } from "../runner/turns.mjs";
import { askOnce, liveOnce } from "../runner/workers.mjs";

export const title = "open and get";
export const note =
  "Opens a store and reads one session, as a command-line tool does: in a process that has just started and loaded the " +
  "peer's code, and again in the same process. «Whole» is from the start of that process to the value, Node and the " +
  "peer's code included; «load» is the part of the peer's code, native parts included. The files are in the system's " +
  "cache. «Log»: after 8,000 updates that nobody tidied up. The floor makes the very system calls that sessiondir made, " +
  "one after the other, and nothing else.";

const AGAIN = 12;
/** Leaves about two megabytes in the log of a sessiondir store that was just checkpointed: half a segment. */
const UPDATES = 8_000;

/** @param {import("../runner/turns.mjs").Context} context */
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
 * @param {import("../runner/turns.mjs").Context} context
 * @param {{ id: string, label: string, shape: import("../runner/stores.mjs").Shape, prepared: "tidy" | "updated" }} part
 */
async function measure(context, { id, label, shape, prepared }) {
  const { sheet, stores, quick } = context;
  const [again, whole, load] = [`${id}, again`, `${id}, whole`, `${id}, load`];
  sheet.define(id, `${label}, new process`, "time");
  sheet.define(again, `${label}, again`, "time");
  sheet.define(whole, `${label}, whole`, "time");
  sheet.define(load, `${label}, load`, "time");
  const rounds = quick ? 3 : 9;
  const plan = { part: label, ids: [id, again, whole, load], rounds, warmUp: 1 };
  const peers = able(plainPeers(context.peers), shape).filter(({ slow }) => prepared === "tidy" || !slow);
  const contenders = await contendersOf(sheet, plan, withFloors(peers, OPENING), async (peer) => {
    const folder = peer.floor
      ? await recordOpening(context, shape, { key: keyOf(0) }, id)
      : await stores.get(peer, shape);
    const which = { peer: peer.name, folder, durability: /** @type {const} */ ("os") };
    const update = {
      kind: "updates",
      keys: { shape, size: "small" },
      draw: "uniform",
      seed: 5,
      updates: UPDATES,
      msMax: 20_000,
    };
    if (!peer.floor) await askOnce(which, prepared === "tidy" ? { kind: "tidy" } : update);
    else sheet.remark(id, peer.name, /** @type {string} */ (await askOnce(which, { kind: "version" })));
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      turn: async (/** @type {number} */ round) => {
        const key = keyOf(((round + 9) * 97) % shape.sessions);
        const times = liveOnce({ ...which, key, again: peer.slow ? 3 : AGAIN });
        return {
          [id]: times.openMs * 1000,
          [again]: median(times.againMs) * 1000,
          [whole]: times.wholeMs * 1000,
          [load]: times.loadMs * 1000,
        };
      },
    };
  });
  await takeTurns(sheet, plan, contenders);
}

/**
 * @param {import("../runner/turns.mjs").Context} context
 * @param {import("../runner/stores.mjs").Shape} shape Of the store of sessiondir, as its turns will find it.
 * @param {{ key: string } | { newest: number }} question
 * @param {string} id
 * @returns {Promise<string>} The folder of the floor.
 */
export async function recordOpening({ stores }, shape, question, id) {
  const folder = await stores.get(peerNamed("sessiondir"), shape);
  const to = join(stores.folder, `opening ${id}`);
  await askOnce({ peer: "sessiondir", folder, durability: "os" }, { kind: "record", question, to });
  return to;
}
