// @ts-check
/** The stores that workloads share: made when first asked for, the same sessions for every peer. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf, makeEntries } from "./entries.mjs";

export class Stores {
  /** @readonly */
  folder = realpathSync(mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), "sessiondir-bench-")));
  /** @readonly @type {Map<string, Promise<string>>} */
  #made = new Map();

  /**
   * @param {import("./peers/peer.mjs").Peer} peer
   * @param {object} shape
   * @param {number} shape.sessions
   * @param {number} [shape.large] How many of them are large. Default 0.
   * @param {string} [shape.use] Stores of different uses are different stores.
   * @returns {Promise<string>} The folder of the store.
   */
  get(peer, { sessions, large = 0, use = "" }) {
    // The two forms of one peer differ in how they read: they share their files.
    const files = peer.name.replace(/,.*/, "");
    const name = [files, sessions, large, use].filter((part) => part !== "").join("-");
    let made = this.#made.get(name);
    if (made === undefined) {
      const folder = join(this.folder, name);
      const step = Math.floor(sessions / Math.max(1, large));
      const isLarge = (/** @type {number} */ index) =>
        large > 0 && index % step === 0 && index / step < large;
      const entries = makeEntries(sessions, (index) => (isLarge(index) ? "large" : "small"));
      made = peer.fill(folder, entries).then(() => folder);
      this.#made.set(name, made);
    }
    return made;
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @param {{ sessions: number, large?: number }} shape @returns {{ small: string[], large: string[] }} */
export function keysOf({ sessions, large = 0 }) {
  const step = Math.floor(sessions / Math.max(1, large));
  /** @type {{ small: string[], large: string[] }} */
  const keys = { small: [], large: [] };
  for (let index = 0; index < sessions; index++) {
    const isLarge = large > 0 && index % step === 0 && index / step < large;
    keys[isLarge ? "large" : "small"].push(keyOf(index));
  }
  return keys;
}
