// @ts-check
/**
 * What a workload has measured: figures, each with the samples of every peer that did it. A peer whose work was not
 * verified loses all its samples of the workload's part, and says why.
 */

/**
 * @typedef {"time" | "rate" | "bytes"} Unit Microseconds, operations per second, bytes. Less is better but for rates.
 *
 * @typedef {object} Figure
 * @property {string} id Unique in all workloads.
 * @property {string} label
 * @property {Unit} unit
 * @property {Record<string, number[]>} samples By the names of peers, in the order of rounds.
 * @property {Record<string, string>} remarks By the names of peers.
 */

export class Sheet {
  /** @readonly @type {Map<string, Figure>} */
  #figures = new Map();
  /** @readonly @type {{ peer: string, part: string, reason: string }[]} */
  failures = [];

  /** @param {string} id @param {string} label @param {Unit} unit */
  define(id, label, unit) {
    const none = Object.create(null);
    if (!this.#figures.has(id))
      this.#figures.set(id, { id, label, unit, samples: none, remarks: Object.create(null) });
  }

  /** @param {string} id @param {string} peer @param {number} value */
  add(id, peer, value) {
    const { samples } = this.#figure(id);
    (samples[peer] ??= []).push(value);
  }

  /** @param {string} id @param {string} peer @param {string} text */
  remark(id, peer, text) {
    this.#figure(id).remarks[peer] = text;
  }

  /**
   * @param {string} peer
   * @param {string} part What was done, for people.
   * @param {readonly string[]} ids
   * @param {unknown} error
   */
  fail(peer, part, ids, error) {
    for (const id of ids) delete this.#figure(id).samples[peer];
    const reason = error instanceof Error ? error.message : String(error);
    this.failures.push({ peer, part, reason: reason.split("\n    at ")[0]?.slice(0, 300) ?? reason });
  }

  figures() {
    return [...this.#figures.values()];
  }

  /** @param {string} id */
  #figure(id) {
    const figure = this.#figures.get(id);
    if (figure === undefined) throw new RangeError(`no figure is called ${id}`);
    return figure;
  }
}
