// @ts-check
/** The processes that work on one store of one peer at the same time. */
import { CLOCK } from "../peers/index.mjs";
import { sharedClockUs } from "../orders/session.mjs";
import { Worker } from "./workers.mjs";

/**
 * @typedef {import("../orders/write.mjs").Done} Done
 *
 * @typedef {object} Burst What they did together.
 * @property {number} count
 * @property {readonly number[]} counts Of each process.
 * @property {number} rate In a second.
 * @property {number} settledRate The same with the time of work that was put off.
 * @property {number} worstUs The longest time from one finished write to the next in any of them.
 * @property {number} cpuUs Of one, in all processes, work put off included.
 */

/**
 * What a burst says of a workload, by the ids of its figures.
 * @param {string} id @param {Burst} burst @param {string} peer
 * @returns {Record<string, number>}
 */
export function figuresOf(id, { rate, worstUs, settledRate, cpuUs }, peer) {
  const worst = { [`${id}, worst`]: worstUs };
  // It does nothing, as often as it can.
  if (peer === CLOCK) return worst;
  return { [id]: rate, ...worst, [`${id}, settled`]: settledRate, [`${id}, cpu`]: cpuUs };
}

/** Until they all have their orders. */
const START_DELAY_US = 50_000;

export class Crew {
  /** @readonly @type {readonly [Worker, ...Worker[]]} */
  #workers;

  /** @param {import("./workers.mjs").Which} which @param {number} processes */
  constructor(which, processes) {
    this.#workers = [new Worker(which), ...Array.from({ length: processes - 1 }, () => new Worker(which))];
  }

  get first() {
    return this.#workers[0];
  }

  /**
   * @param {(number: number, startUs: number) => object} orderOf What each process is told, and when it is to begin.
   * @returns {Promise<Burst>}
   */
  async burst(orderOf) {
    const startUs = sharedClockUs() + START_DELAY_US;
    const all = await Promise.all(
      this.#workers.map(
        (worker, number) => /** @type {Promise<Done>} */ (worker.ask(orderOf(number, startUs))),
      ),
    );
    const settling = sharedClockUs();
    const later = await Promise.all(
      this.#workers.map(
        (worker) => /** @type {Promise<{ cpuUs: number }>} */ (worker.ask({ kind: "settle" })),
      ),
    );
    const settleUs = sharedClockUs() - settling;
    const counts = all.map(({ updates }) => updates);
    const count = counts.reduce((sum, one) => sum + one, 0);
    const longestUs = Math.max(...all.map(({ us }) => us));
    return {
      count,
      counts,
      rate: all.reduce((sum, done) => sum + (done.updates * 1e6) / done.us, 0),
      settledRate: (count * 1e6) / (longestUs + settleUs),
      worstUs: Math.max(...all.map(({ worstUs }) => worstUs)),
      cpuUs: [...all, ...later].reduce((sum, one) => sum + one.cpuUs, 0) / count,
    };
  }

  async end() {
    await Promise.all(this.#workers.map((worker) => worker.end()));
  }
}
