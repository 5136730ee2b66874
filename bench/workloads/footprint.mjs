// @ts-check
/** What 650 large sessions take: of the disk, and of a new process's memory that has looked into every one of them. */
import { diskUsage } from "../../examples/demo/disk-usage.mjs";
import { byTurns, NotVerified } from "../measure.mjs";
import { keysOf } from "../stores.mjs";
import { plainPeers, rowsAgainstPeers } from "../workload.mjs";
import { askOnce } from "../workers.mjs";

/** @typedef {import("../workload.mjs").Context} Context */

export const title = "footprint";

const SHAPE = { sessions: 650, large: 650, use: "footprint" };

/** @param {Context} context */
export async function run(context) {
  const keys = keysOf(SHAPE).large;
  /** @type {Record<"allocated" | "apparent" | "growth", Record<string, number[]>>} */
  const { allocated, apparent, growth } = { allocated: {}, apparent: {}, growth: {} };
  /** @type {Record<string, () => Promise<number>>} */
  const contenders = {};
  for (const peer of plainPeers(context)) {
    const folder = await context.stores.get(peer, SHAPE);
    const used = diskUsage(folder);
    allocated[peer.name] = [used.allocated];
    apparent[peer.name] = [used.apparent];
    const grown = (growth[peer.name] = /** @type {number[]} */ ([]));
    contenders[peer.name] = async () => {
      const memory = /** @type {{ growth: number, total: number, held: number, chars: number }} */ (
        await askOnce({ peer: peer.name, folder, durability: "os" }, { kind: "memory", keys })
      );
      if (memory.chars !== 17_308 * keys.length) throw new NotVerified("entries were not loaded");
      grown.push(memory.growth);
      return memory.total;
    };
  }
  const total = await byTurns({ rounds: context.quick ? 3 : 7, warmUp: 0 }, contenders);
  return [
    ...rowsAgainstPeers(context, { label: "disk, allocated", unit: "bytes", goal: "disk usage" }, allocated),
    ...rowsAgainstPeers(context, { label: "disk, in files", unit: "bytes" }, apparent),
    ...rowsAgainstPeers(
      context,
      { label: "memory, above an idle Node", unit: "bytes", goal: "memory" },
      growth,
    ),
    ...rowsAgainstPeers(context, { label: "memory, whole process", unit: "bytes" }, total),
  ];
}
