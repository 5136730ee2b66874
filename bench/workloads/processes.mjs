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
import { Crew, figuresOf } from "../runner/crew.mjs";

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
      const which = { peer: peer.name, folder: await stores.get(peer, shape), durability };
      const crew = new Crew(which, part.processes);
      crews.push(crew);
      return contender(crew, peer, part, lengthOf(peer, part, quick));
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

/**
 * @param {Crew} crew
 * @param {import("../peers/peer.mjs").Peer} peer
 * @param {Part} part
 * @param {{ rounds: number, milliseconds: number }} length
 * @returns {Promise<import("../runner/turns.mjs").Contender>}
 */
async function contender(crew, peer, part, { rounds, milliseconds }) {
  const { id, shape, hot, processes, atOnce = 1 } = part;
  const size = shape.large > 0 ? "large" : "small";
  const sum = async () => /** @type {number} */ (await crew.first.ask({ kind: "sum" }));
  const before = await sum();
  let total = 0;
  return {
    peer: peer.name,
    rounds,
    ...(peer.slow && { warmUp: 0 }),
    async turn(round) {
      const ms = round < 0 ? warmingMs(peer, part, milliseconds) : milliseconds;
      const burst = await crew.burst((number, startUs) => {
        const keys = hot
          ? { shape, size, first: HOT_KEYS }
          : { shape, size, share: { number, of: processes } };
        const seed = (round + 9) * 31 + number;
        return { kind: "burst", milliseconds: ms, seed, keys, startUs, atOnce };
      });
      total += burst.count;
      return figuresOf(id, burst, peer.name);
    },
    async end() {
      if (!peer.untraceable) verifyCount("updates", (await sum()) - before, total);
    },
  };
}

/**
 * @param {import("../peers/peer.mjs").Peer} peer
 * @param {Part} part
 * @param {number} milliseconds Of a round.
 */
function warmingMs(peer, { durability }, milliseconds) {
  const quick = milliseconds < 600;
  if (quick || peer.slow) return Math.min(500, milliseconds);
  return isInGoals(peer) && !peer.floor ? WARMING_MS[durability] : SHORT_WARMING_MS;
}
