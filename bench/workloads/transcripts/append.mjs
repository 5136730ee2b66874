// @ts-check
import { APPEND_ON_POOL, BARE_LOG, CALLS } from "../../peers/index.mjs";
import { SMALL_650 } from "../../runner/stores.mjs";
import { pace, plainPeers, turnsOfWorkers, verifyCount, withFloors } from "../../runner/turns.mjs";

/**
 * @typedef {import("../../runner/turns.mjs").Context} Context
 * @typedef {import("../../orders/write.mjs").Done} Done
 * @typedef {import("../../peers/peer.mjs").Peer} Peer
 * @typedef {import("../../runner/workers.mjs").Worker} Worker
 */

export const title = "append";
export const note =
  "One message of 1,024 bytes of JSON after the other to the ends of 50 transcripts, drawn at random, in one process. «And patch»: " +
  "three fields of the session's entry change in the same commit. The event loop gets its turn every 16 appends. Work that " +
  "a store puts off is done between the rounds: «until all is in files» and CPU include it. On a disk a figure is the " +
  "median of a round's single writes, and updates of small sessions are measured in the same rounds. Afterwards every " +
  "transcript is read, and must have what was appended and nothing else.";
export const keeps = "transcripts";

/** Sessions in use at the same time. */
const BUSY = 50;
const APPENDS = 1_500;
const MS_MAX = 250;
/** The compiler needs some ten thousand calls before it is done. */
const WARMING_WRITES = 20_000;
const WARMING_MS = 3_000;
const WARMING_MS_QUICK = 100;

/** @param {Context} context */
export async function run(context) {
  await inMemory(context);
  await onDisk(context);
}

/** @param {string} use A store of its own: what is in its transcripts is what its worker put there. */
function keysFor(use) {
  return { shape: { ...SMALL_650, use }, size: "small", first: BUSY };
}

/**
 * «os»: the append alone and the append with a patch by turns, in the same process.
 * @param {Context} context
 */
async function inMemory(context) {
  const { sheet, quick } = context;
  const ids = [
    "append os",
    "append os, settled",
    "append os, cpu",
    "append patch os",
    "append patch os, cpu",
  ];
  sheet.define("append os", "append, os", "time");
  sheet.define("append os, settled", "append, os: until all is in files", "time");
  sheet.define("append os, cpu", "append, os: CPU", "time");
  sheet.define("append patch os", "append and patch, os", "time");
  sheet.define("append patch os, cpu", "append and patch, os: CPU", "time");
  const keys = keysFor("append");
  const rounds = quick ? 3 : 21;
  const plan = { part: "append, os", ids, rounds, warmUp: 1, shape: keys.shape };
  const peers = withFloors(plainPeers(context.peers), CALLS, BARE_LOG);
  await turnsOfWorkers({ ...context, peers }, plan, async (worker, peer) => {
    const counted = new Counted(worker, peer);
    const patches = peer.records && !peer.floor;
    const warming = { keys, seed: 1, appends: WARMING_WRITES, msMax: quick ? WARMING_MS_QUICK : WARMING_MS };
    await counted.append({ ...warming, patch: false });
    if (patches) await counted.append({ ...warming, patch: true });
    const append = async (/** @type {number} */ round, /** @type {boolean} */ patch) => {
      const seed = 100 + round;
      const done = await counted.append({ keys, seed, appends: APPENDS, msMax: MS_MAX, patch });
      const later = /** @type {{ us: number, cpuUs: number }} */ (await worker.ask({ kind: "settle" }));
      const id = patch ? "append patch os" : "append os";
      return {
        [id]: done.us / done.updates,
        ...(!patch && { [`${id}, settled`]: (done.us + later.us) / done.updates }),
        [`${id}, cpu`]: (done.cpuUs + later.cpuUs) / done.updates,
      };
    };
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      async turn(round) {
        if (!patches) return append(round, false);
        const patchedFirst = round % 2 === 0;
        return { ...(await append(round, patchedFirst)), ...(await append(round, !patchedFirst)) };
      },
      end: () => counted.verify(),
    };
  });
}

/** @param {Context} context */
async function onDisk(context) {
  const { sheet, quick } = context;
  sheet.define("append disk", "append, disk", "time");
  sheet.define("append disk, update", "update beside it, disk", "time");
  const keys = keysFor("append disk");
  const rounds = quick ? 2 : 15;
  const writes = quick ? 20 : 150;
  const plan = {
    part: "append, disk",
    ids: ["append disk", "append disk, update"],
    rounds,
    warmUp: 1,
    shape: keys.shape,
    durability: /** @type {const} */ ("disk"),
    peers: withFloors(plainPeers(context.peers), CALLS, BARE_LOG, APPEND_ON_POOL),
  };
  await turnsOfWorkers(context, plan, async (worker, peer) => {
    const counted = new Counted(worker, peer);
    const updates = peer.records && !peer.floor;
    const warmingMs = quick ? WARMING_MS_QUICK : WARMING_MS;
    const order = { keys, seed: 1, msMax: 1_500, each: true };
    const write = async (/** @type {"append" | "update"} */ what, /** @type {object} */ more) => {
      const { medianUs } = await counted[what]({ ...order, ...more });
      await worker.ask({ kind: "settle" });
      return medianUs;
    };
    await write("append", { appends: WARMING_WRITES, msMax: warmingMs });
    if (updates) await write("update", { updates: WARMING_WRITES, msMax: warmingMs });
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      turn: async () => ({
        "append disk": await write("append", { appends: writes }),
        ...(updates && { "append disk, update": await write("update", { updates: writes }) }),
      }),
      end: () => counted.verify(),
    };
  });
}

/** A worker, and what it says it has written. */
class Counted {
  /** @readonly */
  #worker;
  /** @readonly */
  #peer;
  #appended = 0;

  /** @param {Worker} worker @param {Peer} peer */
  constructor(worker, peer) {
    this.#worker = worker;
    this.#peer = peer;
  }

  /** @param {object} order @returns {Promise<Done>} */
  async append(order) {
    const done = /** @type {Done} */ (await this.#worker.ask({ kind: "appends", ...order }));
    this.#appended += done.updates;
    return done;
  }

  /** @param {object} order @returns {Promise<Done>} */
  async update(order) {
    return /** @type {Promise<Done>} */ (this.#worker.ask({ kind: "updates", draw: "uniform", ...order }));
  }

  /** A floor has only a number. */
  async verify() {
    const kind = this.#peer.floor ? "countItems" : "verifyAppended";
    verifyCount("items", /** @type {number} */ (await this.#worker.ask({ kind })), this.#appended);
  }
}
