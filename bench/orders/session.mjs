// @ts-check
/** What a worker has at hand: the peer, its store once opened, and the lists of keys that orders name. */
import { peerNamed } from "../peers/index.mjs";
import { keysOf } from "../runner/stores.mjs";

export class Session {
  /** @readonly */
  which;
  /** @type {Promise<import("../peers/peer.mjs").PeerModule> | undefined} */
  #module;
  /** @type {Promise<import("../peers/peer.mjs").OpenPeer> | undefined} */
  #store;
  /** @readonly @type {Map<string, string[]>} */
  #keys = new Map();
  /** @readonly @type {Map<string, number>} How many items this process has appended to a transcript. */
  appended = new Map();
  /** @readonly @type {Map<string, import("../data/entries.mjs").Entry>} What it made of entries that it patched. */
  patched = new Map();

  /** @param {import("../runner/workers.mjs").Which} which */
  constructor(which) {
    this.which = which;
  }

  module() {
    return (this.#module ??= peerNamed(this.which.peer).load());
  }

  /** Loads the peer's code, native parts included, without touching a store. */
  async load() {
    await (await this.module()).version(this.which.folder);
  }

  /** The store that stays open. */
  store() {
    return (this.#store ??= this.openAnother());
  }

  /** @returns {Promise<import("../peers/peer.mjs").OpenTranscripts>} */
  async transcripts() {
    const { transcripts } = await this.store();
    if (transcripts === undefined) throw new Error(`${this.which.peer} keeps no transcripts`);
    return transcripts;
  }

  async openAnother() {
    return (await this.module()).open(this.which.folder, this.which.durability);
  }

  async close() {
    await (await this.#store)?.close();
    this.#store = undefined;
  }

  /** @param {import("../runner/stores.mjs").Selection} selection */
  keys(selection) {
    const name = JSON.stringify(selection);
    const keys = this.#keys.get(name) ?? keysOf(selection);
    this.#keys.set(name, keys);
    return keys;
  }
}

/** @returns {number} Microseconds that this process has spent computing, in itself and in the system. */
export function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** @returns {number} Microseconds of a clock that all processes share. */
export function sharedClockUs() {
  return Number(process.hrtime.bigint() / 10n) / 100;
}

/** @param {number} startUs Of that clock. */
export async function waitUntil(startUs) {
  const wait = (startUs - sharedClockUs()) / 1000;
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
}

export const nextTurnOfLoop = () => new Promise((resolve) => setImmediate(resolve));
