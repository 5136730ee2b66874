// @ts-check
/** The stores that workloads share: made when first asked for, the same sessions for every peer. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keyOf } from "../data/entries.mjs";
import { itemOf } from "../data/items.mjs";
import { askOnce } from "./workers.mjs";

/**
 * @typedef {object} Shape
 * @property {number} sessions
 * @property {number} large How many of them are large.
 * @property {{ transcripts: number, each: number }} [items] So many sessions, the first ones, have so many.
 * @property {string} [use] Stores of different uses are different stores.
 */

export const SMALL_650 = { sessions: 650, large: 0 };
export const LARGE_650 = { sessions: 650, large: 650 };
export const SMALL_10_000 = { sessions: 10_000, large: 0 };
export const SMALL_100_000 = { sessions: 100_000, large: 0 };

export class Stores {
  /** @readonly */
  folder = realpathSync(mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), "sessiondir-bench-")));
  /** @readonly @type {Map<string, Promise<string>>} */
  #made = new Map();

  /**
   * @param {import("../peers/peer.mjs").Peer} peer
   * @param {Shape} shape
   * @returns {Promise<string>} The folder of the store.
   */
  get(peer, shape) {
    const { sessions, large, items, use = "" } = shape;
    const filled = items === undefined ? [] : [items.transcripts, "of", items.each];
    const name = [peer.name.replace(/\W+/g, "-"), sessions, large, ...filled, use].join("-");
    let made = this.#made.get(name);
    if (made === undefined) {
      const folder = join(this.folder, name);
      made = askOnce({ peer: peer.name, folder, durability: "os" }, { kind: "fill", shape }).then(
        () => folder,
      );
      this.#made.set(name, made);
    }
    return made;
  }

  remove() {
    // Hundreds of thousands of files: three times as fast as what follows.
    if (process.platform !== "win32") spawnSync("rm", ["-rf", this.folder]);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @param {Shape} shape @returns {(index: number) => import("../data/entries.mjs").EntrySize} */
export function sizesOf({ sessions, large }) {
  const step = Math.floor(sessions / Math.max(1, large));
  return (index) => (large > 0 && index % step === 0 && index / step < large ? "large" : "small");
}

/**
 * Items of a store's transcripts, as they come while all of them grow.
 * @param {Shape} shape
 * @returns {Generator<[key: string, item: import("../data/items.mjs").Item]>}
 */
export function* itemsOf({ items: { transcripts, each } = { transcripts: 0, each: 0 } }) {
  for (let n = 0; n < each; n++)
    for (let number = 0; number < transcripts; number++) yield [keyOf(number), itemOf(0, n)];
}

/**
 * Sessions of a store, as an order to a worker names them.
 * @typedef {object} Selection
 * @property {Shape} shape
 * @property {import("../data/entries.mjs").EntrySize} size
 * @property {number} [first] Only this many, from the beginning.
 * @property {{ number: number, of: number }} [share] Only the part of one worker among several.
 */

/** @param {Selection} selection @returns {string[]} */
export function keysOf({ shape, size, first = Infinity, share = { number: 0, of: 1 } }) {
  const sizeOf = sizesOf(shape);
  const keys = [];
  for (let index = 0; index < shape.sessions && keys.length < first; index++)
    if (sizeOf(index) === size) keys.push(keyOf(index));
  return keys.filter((_, index) => index % share.of === share.number);
}
