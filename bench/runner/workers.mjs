// @ts-check
/** Starts processes, each for one peer and one store: workers, which are talked to, and such as live only once. */
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { newerNode } from "../install.mjs";
import { peerNamed } from "../peers/index.mjs";

/** No order takes this long on a machine that works: a process that has not answered by then is stuck. */
const ANSWER_MS_MAX = 240_000;
const END_MS_MAX = 20_000;

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));
const COLD = fileURLToPath(new URL("cold.mjs", import.meta.url));

/** @typedef {{ peer: string, folder: string, durability: import("../peers/peer.mjs").Durability }} Which */

/** @type {Set<Worker>} */
const running = new Set();

export class Worker {
  /** @readonly */
  #child;
  /** @readonly @type {Promise<never>} */
  #lost;
  #ending = false;

  /** @param {Which} which */
  constructor(which) {
    const { execPath, env, stdio } = settingsOf(which);
    const settings = { execPath, env, execArgv: ["--expose-gc"] };
    this.#child = fork(WORKER, [JSON.stringify(which)], { ...settings, stdio: [...stdio, "ipc"] });
    running.add(this);
    // One listener for all that is asked; some of it is asked often.
    this.#lost = once(this.#child, "exit").then(([code, signal]) => {
      running.delete(this);
      if (this.#ending) return new Promise(() => {});
      throw new Error(`a worker ended with ${signal ?? code}`);
    });
    this.#lost.catch(() => {});
  }

  /** @param {object} order @returns {Promise<any>} What the order returned, as JSON can say it. */
  async ask(order) {
    const answered = new Promise((resolve) => this.#child.once("message", resolve));
    this.#child.send(order);
    const answer = /** @type {{ error?: string, result: unknown }} */ (
      await this.#within(ANSWER_MS_MAX, Promise.race([answered, this.#lost]))
    );
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer.result;
  }

  async end() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#ending = true;
    const exited = once(this.#child, "exit");
    this.#child.send({ kind: "end" });
    await this.#within(END_MS_MAX, exited).catch(() => {});
  }

  /**
   * @template T
   * @param {number} milliseconds
   * @param {Promise<T>} answer
   * @returns {Promise<T>}
   */
  async #within(milliseconds, answer) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => {
        this.kill();
        reject(new Error(`no answer within ${milliseconds / 1000} s`));
      }, milliseconds);
    });
    try {
      return await Promise.race([answer, /** @type {Promise<never>} */ (late)]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whoever waits for its answer hears that it was killed. */
  kill() {
    this.#child.kill("SIGKILL");
  }
}

/** @param {Which} which */
function settingsOf({ peer }) {
  const { newNode, noisy } = peerNamed(peer);
  return {
    execPath: (newNode ? newerNode() : undefined) ?? process.execPath,
    env: { ...process.env, NODE_NO_WARNINGS: "1" },
    // What goes wrong comes as an answer.
    stdio: /** @type {const} */ (["ignore", "ignore", noisy ? "ignore" : "inherit"]),
  };
}

/** What is still running when the benchmark is given up. */
export function killWorkers() {
  for (const worker of running) worker.kill();
}

/**
 * One question to one new process.
 * @param {Which} which
 * @param {object} order
 * @returns {Promise<any>}
 */
export async function askOnce(which, order) {
  const worker = new Worker(which);
  try {
    return await worker.ask(order);
  } finally {
    await worker.end();
  }
}

/**
 * The whole life of a process that does nothing else.
 * @param {import("./cold.mjs").Life} life
 * @returns {import("./cold.mjs").Times}
 */
export function liveOnce(life) {
  const { execPath, env, stdio } = settingsOf(life);
  const child = spawnSync(execPath, [COLD, JSON.stringify(life)], {
    env,
    stdio: [...stdio, "pipe"],
    timeout: ANSWER_MS_MAX,
  });
  if (child.status !== 0)
    throw child.error ?? new Error(`a process ended with ${child.signal ?? child.status}`);
  return JSON.parse(String(child.output[3]));
}
