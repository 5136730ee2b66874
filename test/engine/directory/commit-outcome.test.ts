/**
 * Goal: an error of a commit says truly whether it may count.
 * Method: the sync of a new segment fails, of which the commit would have been the first record.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import { FULL_SEGMENT, settled, start } from "../../support/processes.js";

it.each(["disk", "os"] as const)(
  "%s: a commit that never was appended is not reported as written",
  async (durability) => {
    const disk = new SimulatedDisk();
    const process = await start(disk, "one", { durability, segmentBytes: 4096 });
    await settled(process.store.put("fill", FULL_SEGMENT), process);
    process.fs.onCall = (call: SimulatedCall) => (call.name === "fdatasync" ? { failSync: true } : undefined);
    const put = settled(process.store.put("k", { n: 1 }), process);
    await expect(put).rejects.toMatchObject({ code: "durability_unknown", data: { written: false } });
    const other = await start(disk, "other");
    expect(await other.store.get("k")).toBeUndefined();
  },
);
