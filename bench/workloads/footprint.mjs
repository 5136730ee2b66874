// @ts-check
import { diskUsage } from "../../examples/demo/disk-usage.mjs";
import { LARGE_650, SMALL_650 } from "../runner/stores.mjs";
import { able, contendersOf, pace, plainPeers, takeTurns } from "../runner/turns.mjs";
import { askOnce } from "../runner/workers.mjs";

export const title = "footprint";
export const note =
  "What 650 sessions take: of the disk, in blocks that it gives and in bytes of files; and of a new process's memory " +
  "when it holds every one of them and has looked into it (a peer's loaded code is not counted above idle).";

/** @param {import("../runner/turns.mjs").Context} context */
export async function run(context) {
  const { sheet, stores, quick } = context;
  sheet.define("disk large", "650 large, on disk", "bytes");
  sheet.define("disk large, files", "650 large, in files", "bytes");
  sheet.define("disk small", "650 small, on disk", "bytes");
  sheet.define("memory large", "650 large, memory above idle", "bytes");
  sheet.define("memory large, whole", "650 large, whole process", "bytes");
  const rounds = quick ? 2 : 5;
  const ids = ["disk large", "disk large, files", "disk small", "memory large", "memory large, whole"];
  const plan = { part: title, ids, rounds, warmUp: 0 };
  const peers = able(plainPeers(context.peers), LARGE_650);
  const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
    const folder = await stores.get(peer, LARGE_650);
    const used = diskUsage(folder);
    sheet.add("disk large", peer.name, used.allocated);
    sheet.add("disk large, files", peer.name, used.apparent);
    sheet.add("disk small", peer.name, diskUsage(await stores.get(peer, SMALL_650)).allocated);
    // A slow one would take minutes to read them one by one.
    const order = { kind: "memory", keys: { shape: LARGE_650, size: "large" }, listed: peer.slow };
    return {
      peer: peer.name,
      ...pace(peer, rounds),
      turn: async () => {
        const which = { peer: peer.name, folder, durability: /** @type {const} */ ("os") };
        const memory = /** @type {{ growth: number, total: number }} */ (await askOnce(which, order));
        return { "memory large": memory.growth, "memory large, whole": memory.total };
      },
    };
  });
  await takeTurns(sheet, plan, contenders);
}
