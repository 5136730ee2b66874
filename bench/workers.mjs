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

  /** @param {Which} which */
  constructor(which) {
    this.#child = fork(WORKER, [JSON.stringify(which)], { execArgv: ["--expose-gc"] });
  }

  /**
   * @template T
   * @param {object} order
   * @returns {Promise<T>}
   */
  async ask(order) {
    this.#child.send(order);
    const exited = once(this.#child, "exit").then(([code, signal]) => {
      throw new Error(`a worker ended with ${signal ?? code}`);
    });
    const [answer] = await Promise.race([once(this.#child, "message"), exited]);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result;
  }

  async end() {
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
