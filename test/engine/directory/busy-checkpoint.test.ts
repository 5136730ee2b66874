/**
 * Goal: a checkpoint ends although its sessions never hold still (with ten hot keys and four processes, checkpoints
 * used to fail "60 times in a row" and segments piled up).
 * Method: before every single system call of the checkpoint, the same process and another one change the session.
 */
import { expect, test } from "vitest";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";

interface Counter {
  n: number;
}

const openOn = (fs: ReturnType<SimulatedDisk["mount"]>, seed: number) =>
  openDirectoryStoreOn<Counter>(fs, new ManualRuntime({ seed }), "/sessions.d", { durability: "os" });

test("ends although its session changes all the time", async () => {
  const disk = new SimulatedDisk();
  const fs = disk.mount("checkpointing");
  const store = await openOn(fs, 1);
  const other = await openOn(disk.mount("other"), 2);
  await store.put("hot", { n: 0 });
  let updates = 0;
  const count = (entry: Counter | undefined): Counter => ({ n: (entry?.n ?? 0) + 1 });
  fs.gate = async () => {
    if (updates >= 2000) return;
    updates += 2;
    fs.gate = undefined; // what the updates themselves call
    await store.update("hot", count);
    await other.update("hot", count);
    fs.gate = gate;
  };
  const gate = fs.gate;
  await store.checkpoint();
  fs.gate = undefined;

  expect(updates).toBeGreaterThan(10);
  expect(updates).toBeLessThan(2000);
  expect(Object.keys(disk.tree()).filter((path) => path.includes("/log/0"))).toHaveLength(1);
  expect(await other.get("hot")).toEqual({ n: updates });
  await other.close();
  await store.close();
});
