// @ts-check
import { LARGE_650, SMALL_650 } from "../runner/stores.mjs";
import { APPEND_ON_POOL, BARE_LOG, CALLS, CLOCK, OVERWRITE_ON_POOL } from "../peers/index.mjs";
import {
  able,
  contendersOf,
  isInGoals,
  plainPeers,
  takeTurns,
  verifyCount,
  withFloors,
} from "../runner/turns.mjs";
import { sharedClockUs } from "../orders/session.mjs";
import { Worker } from "../runner/workers.mjs";

export const title = "several processes";
export const note =
  "Processes update one store at the same time, as fast as they can: each its own sessions («distinct»), or all the same " +
  "ten («hot»). They open the store and warm up first, then begin at one instant. «Worst» is the longest time from one " +
  "finished update to the next in any of them. «Until all is in files» adds the time of work that was put off. CPU is " +
  "that of all processes together, for one update, work put off included. «16 at once»: each process has so many updates under " +
  "way, as a gateway that answers several people has; stores that block their process do one after the other all the same.";

const HOT_KEYS = 10;
/** The compiler is done after some ten thousand updates of each process; one that waits for a disk makes few of them. */
const WARMING_MS = { os: 1_500, disk: 5_000 };
/** Of the peers whose ratio is no goal. */
const SHORT_WARMING_MS = 1_000;
const START_DELAY_US = 50_000;

/**
 * @typedef {object} Part
 * @property {string} id
 * @property {string} label
 * @property {number} processes
 * @property {import("../peers/peer.mjs").Durability} durability
 * @property {import("../runner/stores.mjs").Shape} shape
 * @property {boolean} [hot]
 * @property {number} [atOnce] How many updates of a process wait at the same time, each of another session.
 * @property {boolean} [quick] Also when there is little time.
 */

/** @type {readonly Part[]} */
const PARTS = [
  { id: "1 process os", label: "1, os", processes: 1, durability: "os", shape: SMALL_650 },
  { id: "2 processes os", label: "2, os, distinct", processes: 2, durability: "os", shape: SMALL_650 },
  {
    id: "4 processes os",
    label: "4, os, distinct",
    processes: 4,
    durability: "os",
    shape: SMALL_650,
    quick: true,
  },
  {
    id: "4 processes os hot",
    label: "4, os, hot",
    processes: 4,
    durability: "os",
    shape: SMALL_650,
    hot: true,
    quick: true,
  },
  {
    id: "4 processes os large",
    label: "4, os, distinct, large",
    processes: 4,
    durability: "os",
    shape: LARGE_650,
  },
  {
    id: "4 processes disk",
    label: "4, disk, distinct",
    processes: 4,
    durability: "disk",
    shape: SMALL_650,
    quick: true,
  },
  {
    id: "4 processes disk hot",
    label: "4, disk, hot",
    processes: 4,
    durability: "disk",
    shape: SMALL_650,
    hot: true,
  },
  {
    id: "4 processes disk at once",
    label: "4, disk, distinct, 16 at once",
    processes: 4,
    durability: "disk",
    shape: SMALL_650,
    atOnce: 16,
  },
];

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  for (const part of PARTS) if (!context.quick || part.quick) await measure(context, part);
}

/** @param {import("../runner/turns.mjs").Context} context @param {Part} part */
async function measure(context, part) {
  const { sheet, quick, stores } = context;
  const { id, label, durability, shape } = part;
  const ids = [id, `${id}, worst`, `${id}, settled`, `${id}, cpu`];
  sheet.define(id, label, "rate");
  sheet.define(`${id}, worst`, `${label}: worst`, "time");
  sheet.define(`${id}, settled`, `${label}: until all is in files`, "rate");
  sheet.define(`${id}, cpu`, `${label}: CPU`, "time");
  const taking = able(plainPeers(context.peers), shape, durability).filter((peer) => takesPart(peer, part));
  const peers = withFloors(taking, ...floorsOf(part));
  /** @type {Crew[]} */
  const crews = [];
  try {
    const plan = { part: label, ids, rounds: 3, warmUp: 1 };
    const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
      const crew = new Crew(peer, await stores.get(peer, shape), part);
      crews.push(crew);
      return crew.contender(lengthOf(peer, part, quick));
    });
    await takeTurns(sheet, plan, contenders);
  } finally {
    await Promise.all(crews.map((crew) => crew.end()));
  }
}

/**
 * All peers that can work in four processes; the other parts have only the peers that come near.
 * @param {import("../peers/peer.mjs").Peer} peer
 * @param {Part} part
 */
function takesPart(peer, { processes, shape, durability, hot, atOnce }) {
  if (processes > 1 && !peer.manyProcesses) return false;
  if (shape === LARGE_650) return !peer.slow;
  if (durability === "disk" && (hot || atOnce !== undefined)) return !peer.slow;
  return !peer.noisy || (processes === 4 && durability === "os");
}

/** @param {Part} part */
function floorsOf({ processes, durability, shape, atOnce }) {
  if (processes < 4 || shape === LARGE_650 || atOnce !== undefined) return [];
  return durability === "os" ? [CALLS, BARE_LOG, CLOCK] : [BARE_LOG, APPEND_ON_POOL, OVERWRITE_ON_POOL];
}

/**
 * The two whose ratio is a goal are measured longest, everybody in four processes at least three seconds.
 * @param {import("../peers/peer.mjs").Peer} peer
 * @param {Part} part
 * @param {boolean} quick
 */
function lengthOf(peer, { processes }, quick) {
  if (quick) return { rounds: 2, milliseconds: 300 };
  if (processes < 4) return { rounds: 2, milliseconds: 600 };
  return isInGoals(peer) && !peer.floor
    ? { rounds: 3, milliseconds: 2_000 }
    : { rounds: 2, milliseconds: 1_500 };
}

/** The processes that work on the store of one peer. */
class Crew {
  /** @readonly @type {Worker[]} */
  #workers;
  /** @readonly */
  #part;
  /** @readonly */
  #peer;
  #total = 0;

  /** @param {import("../peers/peer.mjs").Peer} peer @param {string} folder @param {Part} part */
  constructor(peer, folder, part) {
    this.#part = part;
    this.#peer = peer;
    const which = { peer: peer.name, folder, durability: part.durability };
    this.#workers = Array.from({ length: part.processes }, () => new Worker(which));
  }

  /** @returns {Promise<number>} */
  async #sum() {
    return /** @type {Promise<number>} */ (this.#workers[0]?.ask({ kind: "sum" }));
  }

  /**
   * @param {{ rounds: number, milliseconds: number }} length
   * @returns {Promise<import("../runner/turns.mjs").Contender>}
   */
  async contender({ rounds, milliseconds }) {
    const { name, slow, untraceable } = this.#peer;
    const before = await this.#sum();
    return {
      peer: name,
      rounds,
      ...(slow && { warmUp: 0 }),
      turn: (round) => this.#burst(round, round < 0 ? this.#warmingMs(milliseconds) : milliseconds),
      end: async () => {
        if (!untraceable) verifyCount("updates", (await this.#sum()) - before, this.#total);
      },
    };
  }

  /** @param {number} milliseconds Of a round. */
  #warmingMs(milliseconds) {
    const quick = milliseconds < 600;
    if (quick || this.#peer.slow) return Math.min(500, milliseconds);
    const inGoals = isInGoals(this.#peer) && !this.#peer.floor;
    return inGoals ? WARMING_MS[this.#part.durability] : SHORT_WARMING_MS;
  }

  /** @param {number} round @param {number} milliseconds */
  async #burst(round, milliseconds) {
    const { id, shape, hot, processes, atOnce = 1 } = this.#part;
    const size = shape.large > 0 ? "large" : "small";
    const startUs = sharedClockUs() + START_DELAY_US;
    const all = await Promise.all(
      this.#workers.map((worker, number) => {
        const keys = hot
          ? { shape, size, first: HOT_KEYS }
          : { shape, size, share: { number, of: processes } };
        const seed = (round + 9) * 31 + number;
        const order = { kind: "burst", milliseconds, seed, keys, startUs, atOnce };
        return /** @type {Promise<import("../orders/write.mjs").Done>} */ (worker.ask(order));
      }),
    );
    const settling = sharedClockUs();
    const cpu = await Promise.all(
      this.#workers.map(
        (worker) => /** @type {Promise<{ cpuUs: number }>} */ (worker.ask({ kind: "settle" })),
      ),
    );
    const settleUs = sharedClockUs() - settling;
    const updates = all.reduce((sum, done) => sum + done.updates, 0);
    const longestUs = Math.max(...all.map(({ us }) => us));
    const cpuUs = [...all, ...cpu].reduce((sum, one) => sum + one.cpuUs, 0);
    this.#total += updates;
    const worst = { [`${id}, worst`]: Math.max(...all.map(({ worstUs }) => worstUs)) };
    // It does nothing, as often as it can.
    if (this.#peer.name === CLOCK) return worst;
    return {
      [id]: all.reduce((sum, done) => sum + (done.updates * 1e6) / done.us, 0),
      ...worst,
      [`${id}, settled`]: (updates * 1e6) / (longestUs + settleUs),
      [`${id}, cpu`]: cpuUs / updates,
    };
  }

  async end() {
    await Promise.all(this.#workers.map((worker) => worker.end()));
  }
}
