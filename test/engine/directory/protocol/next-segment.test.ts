/**
 * Goal: the next segment is made behind the very file that the seal was read from, in the store's own folders, and whoever
 * reads a segment while its maker tidies up behind it is not told of a link that is gone.
 * Method: what happens at one critical call is done to the disk directly.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import { settled, start, STORE, turn, type Entry } from "../../../support/processes.js";

const LOG = `${STORE}/.store/log`;
const SEGMENT_1 = `${LOG}/00000001.jsonl`;
const SEGMENT_2 = `${LOG}/00000002.jsonl`;
const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

describe("O7, F1: a file that was put in the sealed segment's place", () => {
  it("is not the one that the seal was read from: nothing follows it, and it is read anew", async () => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { segmentBytes: 4096 });
    await a.store.put("k", { n: 0 });
    const backup = disk.readRaw(SEGMENT_1) ?? Buffer.alloc(0);
    await a.store.put("bulk", BULK);
    a.fs.gate = (call) => {
      // The next segment is staged: now somebody restores a backup from before the seal.
      if (call.name === "link" && call.args[1] === SEGMENT_2) return undefined;
      if (call.name !== "mkdir" || !String(call.args[0]).includes("/stage/2-")) return undefined;
      disk.removeRaw(SEGMENT_1);
      disk.writeRaw(SEGMENT_1, backup);
      return undefined;
    };
    const put = a.store.put("k", { n: 1 });
    await turn();
    await settled(put, a);
    const b = await start(disk, "B");
    expect(await b.store.get("k")).toEqual({ n: 1 });
    expect(await b.store.get("bulk")).toBeUndefined();
    a.fs.gate = undefined;
    await settled(a.store.checkpoint(), a); // knows nothing any more of what it had read there before
    expect((await a.store.list()).sessions.map(({ key }) => key)).toEqual(["k"]);
  });
});

describe("O7: a link in place of a folder of the store", () => {
  it.each(["log", "stage"])("%s: no segment is made through it", async (name) => {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A", { segmentBytes: 4096 });
    await a.store.put("bulk", BULK);
    const folder = `${STORE}/.store/${name}`;
    disk.makeDirectory("/theirs");
    const mover = disk.mount("mover");
    mover.rename(folder, "/theirs/moved");
    disk.symlink(folder, "/theirs/moved");
    const before = disk.tree("/theirs");
    await expect(settled(a.store.put("k", { n: 1 }), a)).rejects.toMatchObject({ code: "file_unsafe" });
    expect(disk.tree("/theirs")).toEqual(before);
  });
});
