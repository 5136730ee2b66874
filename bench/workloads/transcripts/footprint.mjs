// @ts-check
import { diskUsage } from "../../../examples/demo/disk-usage.mjs";
import { keyOf } from "../../data/entries.mjs";
import { SMALL_650 } from "../../runner/stores.mjs";
import { able, contendersOf, plainPeers, takeTurns } from "../../runner/turns.mjs";
import { askOnce } from "../../runner/workers.mjs";

export const title = "footprint of transcripts";
export const note =
  "What messages of 1,024 bytes take of the disk when nothing is left in a log: how much larger the store is than the same one without " +
  "them, in blocks that the disk gives and in bytes of files. One transcript with all of them, or 100 that grew side by " +
  "side. The first transcript is read, and must have all its items.";
export const keeps = "transcripts";

const ITEMS = 100_000;
const ITEMS_QUICK = 2_000;

/** @param {import("../../runner/turns.mjs").Context} context */
export async function run({ sheet, stores, peers: all, quick }) {
  const count = quick ? ITEMS_QUICK : ITEMS;
  for (const [id, transcripts] of /** @type {const} */ ([
    ["items on disk", 1],
    ["items on disk, 100", 100],
  ])) {
    const each = count / transcripts;
    const label = `${transcripts === 1 ? "" : `${transcripts} x `}${each.toLocaleString("en-US")}`;
    sheet.define(id, `${label}, on disk`, "bytes");
    sheet.define(`${id}, files`, `${label}, in files`, "bytes");
    const shape = { ...SMALL_650, items: { transcripts, each } };
    const plan = { part: label, ids: [id, `${id}, files`], rounds: 1, warmUp: 0 };
    const peers = able(plainPeers(all), shape);
    const contenders = await contendersOf(sheet, plan, peers, async (peer) => {
      const without = diskUsage(await stores.get(peer, SMALL_650));
      const folder = await stores.get(peer, shape);
      return {
        peer: peer.name,
        async turn() {
          const used = diskUsage(folder);
          const files = used.apparent - without.apparent;
          return { [id]: used.allocated - without.allocated, [`${id}, files`]: files };
        },
        async end() {
          const order = { kind: "newItems", key: keyOf(0), count: each };
          await askOnce({ peer: peer.name, folder, durability: "os" }, order);
        },
      };
    });
    await takeTurns(sheet, plan, contenders);
  }
}
