/**
 * Goal: a big value that is replaced again and again costs a file now and then, and not one for each change.
 * Method: a simulated disk whose calls are counted, a store that changes a big field; then another process reads it.
 */
import { expect, test } from "vitest";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";

interface Entry {
  n: number;
  prompt: string;
}

const CHANGES = 1000;
const prompt = (n: number): string => `${n} `.padEnd(30_000, "words ");

async function openOn(disk: SimulatedDisk, name: string) {
  const runtime = new ManualRuntime({ seed: 1 });
  return { runtime, store: await openDirectoryStoreOn<Entry>(disk.mount(name), runtime, "/s", {}) };
}

function blobsMade(disk: SimulatedDisk): () => number {
  const made = new Set<string>();
  const look = (): void => {
    for (const path of Object.keys(disk.tree())) if (/\/blobs\/..\/./.test(path)) made.add(path);
  };
  return () => {
    look();
    return made.size;
  };
}

test.each(["put", "patch", "update"] as const)(
  "a big field that %s changes a thousand times",
  async (how) => {
    const disk = new SimulatedDisk();
    const { store } = await openOn(disk, "writer");
    const made = blobsMade(disk);
    await store.put("k", { n: 0, prompt: prompt(0) });
    expect(made()).toBe(1);
    for (let n = 1; n <= CHANGES; n++) {
      if (how === "put") await store.put("k", { n, prompt: prompt(n) });
      if (how === "patch") await store.patch("k", { n, prompt: prompt(n) });
      if (how === "update") await store.update("k", (entry) => ({ ...entry, n, prompt: prompt(n) }));
      if (n % 100 === 0) made();
    }
    expect(made()).toBeLessThan(5);
    await store.flush();
    const { store: other } = await openOn(disk, "reader");
    expect(await other.get("k")).toEqual({ n: CHANGES, prompt: prompt(CHANGES) });
    await other.close();
    await store.close();
  },
);

test("what no file had is replaced inline, what a file has becomes a shared value again", async () => {
  const disk = new SimulatedDisk();
  const { store } = await openOn(disk, "writer");
  const made = blobsMade(disk);
  await store.put("k", { n: 0, prompt: prompt(0) });
  await store.put("k", { n: 1, prompt: prompt(1) });
  expect(made()).toBe(1);
  await store.flush();
  await store.put("k", { n: 2, prompt: prompt(2) });
  expect(made()).toBe(2);
  await store.flush();
  await store.patch("k", { n: 3 });
  await store.patch("k", { prompt: prompt(2) });
  expect(await store.get("k")).toEqual({ n: 3, prompt: prompt(2) });
  await store.close();
});
