// @ts-check
/**
 * A workload is one file in workloads/ that exports `title` and `run`. It measures, verifies what it did, and returns
 * rows; throwing `NotVerified` means that there is no result.
 */

/**
 * @typedef {object} Context
 * @property {import("./stores.mjs").Stores} stores
 * @property {import("./peers/peer.mjs").Peer} ours
 * @property {import("./peers/peer.mjs").Peer[]} peers Ours first, then those that work on this machine.
 * @property {boolean} quick Fewer rounds, and no store of 100,000 sessions.
 *
 * @typedef {object} Row
 * @property {string} label
 * @property {"time" | "rate" | "bytes"} unit Microseconds, operations per second, bytes. Less is better but for rates.
 * @property {number[]} ours A sample for every round.
 * @property {string} against
 * @property {number[]} theirs Of the same rounds.
 * @property {import("./goals.mjs").GoalName} [goal]
 *
 * @typedef {{ title: string, run: (context: Context) => Promise<Row[]> }} Workload
 */

/**
 * One row for each peer; the goal is against the plain one.
 * @param {Context} context
 * @param {Pick<Row, "label" | "unit" | "goal">} row
 * @param {Record<string, number[]>} samples By the names of the peers.
 * @returns {Row[]}
 */
export function rowsAgainstPeers({ ours, peers }, { label, unit, goal }, samples) {
  const others = peers.filter((peer) => peer !== ours && samples[peer.name] !== undefined);
  const mine = samples[ours.name] ?? [];
  if (others.length === 0)
    return [{ label, unit, ours: mine, against: "", theirs: [], ...(goal && { goal }) }];
  return others.map((peer, index) => ({
    label,
    unit,
    ours: mine,
    against: peer.name,
    theirs: samples[peer.name] ?? [],
    ...(goal && index === 0 && { goal }),
  }));
}

/**
 * @template T
 * @param {readonly { name: string }[]} peers
 * @param {(name: string) => T} make
 * @returns {Record<string, T>}
 */
export function perPeer(peers, make) {
  return Object.fromEntries(peers.map(({ name }) => [name, make(name)]));
}

/** Those that read from disk on every read; the caching forms are measured only where they differ. @param {Context} context */
export function plainPeers({ peers }) {
  return peers.filter(({ name }) => !name.includes(","));
}

/**
 * @param {Context} context
 * @param {import("./peers/peer.mjs").Durability} durability
 * @param {{ sessions: number, large?: number, use?: string }} shape
 * @param {import("./peers/peer.mjs").Peer[]} [peers]
 * @returns {Promise<Map<string, import("./peers/peer.mjs").OpenPeer>>}
 */
export async function openAll({ stores, peers: all }, durability, shape, peers = all) {
  const opened = new Map();
  for (const peer of peers) opened.set(peer.name, await peer.open(await stores.get(peer, shape), durability));
  return opened;
}

/** @param {Map<string, import("./peers/peer.mjs").OpenPeer>} opened */
export async function closeAll(opened) {
  for (const store of opened.values()) await store.close();
}
