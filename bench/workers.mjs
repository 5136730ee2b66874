// @ts-check
/** Starts worker.mjs processes and talks to them. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));

/**
 * @typedef {{ peer: string, folder: string, durability: import("./peers/peer.mjs").Durability }} Which
 * @typedef {{ updates: number, milliseconds: number, worstUs: number }} Burst
 * @typedef {{ milliseconds: number, keys: string[] }} ColdList
 */

export class Worker {
  /** @readonly */
  #child;
  /** @readonly @type {Promise<never>} */
  #lost;
  #ending = false;

  /** @param {Which} which */
  constructor(which) {
    this.#child = fork(WORKER, [JSON.stringify(which)], { execArgv: ["--expose-gc"] });
    // One listener for all that is asked; some of it is asked often.
    this.#lost = once(this.#child, "exit").then(([code, signal]) => {
      if (this.#ending) return new Promise(() => {});
      throw new Error(`a worker ended with ${signal ?? code}`);
    });
    this.#lost.catch(() => {});
  }

  /**
   * @template T
   * @param {object} order
   * @returns {Promise<T>}
   */
  async ask(order) {
    const answered = new Promise((resolve) => this.#child.once("message", resolve));
    this.#child.send(order);
    const answer = /** @type {{ error?: string, result: T }} */ (await Promise.race([answered, this.#lost]));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result;
  }

  async end() {
    this.#ending = true;
    const exited = once(this.#child, "exit");
    this.#child.send({ kind: "end" });
    await exited;
  }
}

/**
 * One question to one new process.
 * @template T
 * @param {Which} which
 * @param {object} order
 * @returns {Promise<T>}
 */
export async function askOnce(which, order) {
  const worker = new Worker(which);
  try {
    return await worker.ask(order);
  } finally {
    await worker.end();
  }
}
