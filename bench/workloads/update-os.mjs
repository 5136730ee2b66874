// @ts-check
/**
 * Read, change, write one session after the other in one process; survives a killed process, not a power cut.
 *
 * The event loop gets its turn every few updates, so what sessiondir does in the background meanwhile is in the
 * figures; what it has put off beyond the end of a batch is not (`sustained` has all of it).
 */
import { Random } from "../../examples/demo/sessions.mjs";
import { nextTurn } from "../entries.mjs";
import { byTurns, countUpdates, updateAll, verifyCount } from "../measure.mjs";
import { keysOf } from "../stores.mjs";
import { closeAll, openAll, perPeer, plainPeers, rowsAgainstPeers } from "../workload.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "update, os";

const SMALL_STORE = { sessions: 650 };
const LARGE_STORE = { sessions: 650, large: 650 };
const HUGE_STORE = { sessions: 100_000, large: 650 };
/** In the huge store, the sessions that are in use. */
const IN_USE = 650;

/** @param {Context} context */
export async function run(context) {
  const rounds = context.quick ? 5 : 25;
  const small = await measure(context, SMALL_STORE, inUse(SMALL_STORE, "small"), rounds, 1_000);
  const large = await measure(context, LARGE_STORE, inUse(LARGE_STORE, "large"), rounds, 100);
  const rows = [
    ...rowsAgainstPeers(context, { label: "650 small", unit: "time", goal: "update os small" }, small),
    ...rowsAgainstPeers(context, { label: "650 large", unit: "time", goal: "update os large" }, large),
  ];
  if (context.quick) return rows;
  const hugeSmall = await measure(context, HUGE_STORE, inUse(HUGE_STORE, "small"), rounds, 1_000);
  const hugeLarge = await measure(context, HUGE_STORE, inUse(HUGE_STORE, "large"), rounds, 100);
  const anySession = keysOf(HUGE_STORE).small;
  const spread = await measure(context, HUGE_STORE, anySession, rounds, 1_000);
  const ours = context.ours.name;
  rows.push(
    ...rowsAgainstPeers(
      context,
      { label: "100,000, 650 small in use", unit: "time", goal: "update os small" },
      hugeSmall,
    ),
    ...rowsAgainstPeers(
      context,
      { label: "100,000, 650 large in use", unit: "time", goal: "update os large" },
      hugeLarge,
    ),
    ...rowsAgainstPeers(context, { label: "100,000, any of them, cold", unit: "time" }, spread),
  );
  for (const [label, many, few] of /** @type {const} */ ([
    ["100,000 against 650, small", hugeSmall, small],
    ["100,000 against 650, large", hugeLarge, large],
  ])) {
    const theirs = few[ours] ?? [];
    rows.push({
      label,
      unit: "time",
      ours: many[ours] ?? [],
      against: "itself at 650",
      theirs,
      goal: "update flat",
    });
  }
  return rows;
}

/**
 * @param {{ sessions: number, large?: number }} shape
 * @param {"small" | "large"} size
 */
function inUse(shape, size) {
  const keys = keysOf(shape)[size];
  const step = Math.floor(keys.length / Math.min(keys.length, IN_USE));
  return keys.filter((_, index) => index % step === 0).slice(0, IN_USE);
}

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number }} shape
 * @param {string[]} keys
 * @param {number} rounds
 * @param {number} updates In a round.
 */
async function measure(context, shape, keys, rounds, updates) {
  const peers = shape === HUGE_STORE ? plainPeers(context) : context.peers;
  const samples = /** @type {Record<string, number[]>} */ ({});
  // The forms of one peer share a store: they take turns with ours, but are not open at once.
  for (const group of groups(peers, context.ours)) {
    const opened = await openAll(context, "os", shape, group);
    const random = new Random(shape.sessions);
    const before = new Map();
    for (const [name, store] of opened) before.set(name, await countUpdates(store));
    const contenders = perPeer(group, (name) => {
      const store = /** @type {import("../peers/peer.mjs").OpenPeer} */ (opened.get(name));
      return () =>
        updateAll(
          store,
          Array.from({ length: updates }, () => random.pick(keys)),
          nextTurn,
        );
    });
    const warmUp = 4;
    const found = await byTurns({ rounds, warmUp }, contenders);
    for (const [name, store] of opened) {
      verifyCount(
        `updates by ${name}`,
        (await countUpdates(store)) - before.get(name),
        (rounds + warmUp) * updates,
      );
      samples[name] ??= found[name] ?? [];
    }
    await closeAll(opened);
  }
  return samples;
}

/**
 * @param {import("../peers/peer.mjs").Peer[]} peers
 * @param {import("../peers/peer.mjs").Peer} ours
 */
function groups(peers, ours) {
  const others = peers.filter((peer) => peer !== ours);
  return others.length === 0 ? [[ours]] : others.map((peer) => [ours, peer]);
}
