// @ts-check
/**
 * Reads of sessions that were read before, by a process that would see any other process's commit. sessiondir and the
 * caching peer hand out one shared object; the plain peer parses a new one each time.
 */
import { Random } from "../../examples/demo/sessions.mjs";
import { byTurns, NotVerified } from "../measure.mjs";
import { keysOf } from "../stores.mjs";
import { closeAll, openAll, rowsAgainstPeers } from "../workload.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "warm get";

/** @param {Context} context */
export async function run(context) {
  const rounds = context.quick ? 5 : 25;
  const small = await measure(context, { sessions: 650 }, "small", rounds, 4_000, readSmall);
  const large = await measure(context, { sessions: 650, large: 650 }, "large", rounds, 300, readSmall);
  const touched = await measure(context, { sessions: 650, large: 650 }, "large", rounds, 300, readSnapshot);
  return [
    ...rowsAgainstPeers(context, { label: "get, small", unit: "time", goal: "get small" }, small),
    ...rowsAgainstPeers(context, { label: "get, large", unit: "time", goal: "get large" }, large),
    ...rowsAgainstPeers(context, { label: "get, large, looks into skillsSnapshot", unit: "time" }, touched),
  ];
}

/** @param {import("../entries.mjs").Entry} entry */
function readSmall(entry) {
  return entry.contextTokens === 200_000 ? 1 : 0;
}

/** @param {import("../entries.mjs").Entry} entry */
function readSnapshot(entry) {
  return entry.skillsSnapshot?.prompt.length === 17_308 ? 1 : 0;
}

/**
 * @param {Context} context
 * @param {{ sessions: number, large?: number }} shape
 * @param {"small" | "large"} size
 * @param {number} rounds
 * @param {number} reads
 * @param {(entry: import("../entries.mjs").Entry) => number} look 1 if the entry is as it should be.
 */
async function measure(context, shape, size, rounds, reads, look) {
  const opened = await openAll(context, "os", shape);
  const random = new Random(1);
  const keys = Array.from({ length: reads }, () => random.pick(keysOf(shape)[size]));
  const batch = (/** @type {import("../peers/peer.mjs").OpenPeer} */ store) => () => {
    let good = 0;
    const start = performance.now();
    for (const key of keys) {
      const entry = store.get(key);
      if (entry !== undefined) good += look(entry);
    }
    const took = performance.now() - start;
    if (good !== reads) throw new NotVerified(`${reads - good} of ${reads} reads gave a wrong entry`);
    return (took * 1000) / reads;
  };
  const contenders = Object.fromEntries([...opened].map(([name, store]) => [name, batch(store)]));
  const samples = await byTurns({ rounds, warmUp: 4 }, contenders);
  await closeAll(opened);
  return samples;
}
