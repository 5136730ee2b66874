/**
 * Goal: a value that outlived its session in somebody's hands can be put again, however much of it was removed.
 * Method: a big value with big parts; its session is deleted, and checkpoints remove the blobs, all of them or all
 * but the outer one (as a removal that was cut short leaves them). Then the object from memory is put under
 * another key, and a second process reads it.
 */
import { expect, test } from "vitest";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";

interface Entry {
  parts: { name: string; text: string }[];
}

const entry = (): Entry => ({
  parts: Array.from({ length: 100 }, (_, index) => ({
    name: `part ${index}`,
    text: `${index} `.repeat(3000),
  })),
});

async function openOn(disk: SimulatedDisk, name: string, seed: number) {
  return openDirectoryStoreOn<Entry>(disk.mount(name), new ManualRuntime({ seed }), "/sessions.d", {
    durability: "os",
  });
}

const blobsOf = (disk: SimulatedDisk): string[] =>
  Object.keys(disk.tree()).filter((path) => /\/blobs\/..\/./.test(path));

test.each(["all", "all parts"])("is written again after %s of it was removed", async (removed) => {
  const disk = new SimulatedDisk();
  const store = await openOn(disk, "writer", 1);
  await store.put("a", entry());
  const outer =
    blobsOf(disk).find((path) => disk.readRaw(path)?.includes('"$blob"')) ?? "no blob refers to others";
  const held = await store.get("a");
  expect(held?.parts[99]?.text).toHaveLength(3000 * 3); // loads it: it is in memory from now on
  const outerBytes = disk.readRaw(outer) ?? Buffer.alloc(0);
  await store.delete("a");
  for (let round = 0; round < 3; round++) await store.checkpoint();
  expect(blobsOf(disk)).toEqual([]);
  if (removed === "all parts") disk.writeRaw(outer, outerBytes);

  await store.put("b", held as Entry);

  const other = await openOn(disk, "reader", 2);
  expect(await other.get("b")).toEqual(entry());
  await other.close();
  await store.close();
});
