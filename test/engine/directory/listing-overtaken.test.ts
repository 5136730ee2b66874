/**
 * Goal: a listing is of one instant though its own process reads the log on between two slices of it, and though it is made
 * from files because the catalog is gone.
 * Method: behind every single step of a listing another process works, checkpoints included, and the listing process hears of
 * it. Money is moved between sessions: every listing must see the same sum.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { openOn, start, STORE, type Process } from "../../support/processes.js";
import { atStep, bootStepping } from "./meanwhile.js";

const KEYS = ["a", "b", "c", "d"];

async function accounts(options = {}): Promise<{ disk: SimulatedDisk; writer: Process }> {
  const disk = new SimulatedDisk();
  const writer = await start(disk, "writer", { durability: "os", ...options });
  for (const [index, key] of KEYS.entries()) await writer.store.put(key, { money: 25, updatedAt: index });
  return { disk, writer };
}

function transfer({ store }: Process): Promise<void> {
  return store.transact(async (tx) => {
    await tx.put("a", { money: 5, updatedAt: 100 });
    await tx.delete("b");
    await tx.put("d", { money: 45, updatedAt: 102 });
    await tx.put("e", { money: 25, updatedAt: 101 });
  });
}

async function expectAfterTransfer({ store }: Process, label: string): Promise<void> {
  const { sessions } = await store.list({ orderBy: "updatedAt" });
  expect(
    sessions.map(({ key }) => key),
    label,
  ).toEqual(["c", "a", "e", "d"]);
  expect(await store.count(), label).toBe(4);
}

const sum = (sessions: readonly { entry: Readonly<Record<string, unknown>> }[]): number =>
  sessions.reduce((total, { entry }) => total + Number(entry["money"]), 0);

const MEANWHILE: Readonly<Record<string, (writer: Process) => Promise<unknown>>> = {
  "a transaction": transfer,
  "a transaction and checkpoints": async (writer) => {
    for (let round = 0; round < 3; round++) {
      if (round === 1) await transfer(writer); // in a segment that the reader never sees
      await writer.store.put("c", { money: 25, updatedAt: 2 });
      await writer.store.checkpoint();
    }
  },
};

describe.each(Object.keys(MEANWHILE))("%s behind any step of", (name) => {
  it("a first listing", async () => {
    for (let at = 1, reached = true; reached; at++) {
      const { disk, writer } = await accounts();
      await writer.store.checkpoint();
      const machine = bootStepping(disk, "reader");
      const reader = await openOn(machine, { cacheBytes: 0 });
      const step = atStep(machine, at, async () => {
        await MEANWHILE[name]!(writer);
        reader.store.getSync("e");
      });
      const { sessions } = await reader.store.list();
      expect(sum(sessions), `step ${at}`).toBe(100);
      expect(sessions, `step ${at}`).toHaveLength(4);
      machine.runtime.between = undefined;
      reached = step.reached;
      if (reached) await expectAfterTransfer(reader, `step ${at}`);
      expect(reader.warnings).toEqual([]);
    }
  });

  it("a listing that takes several slices to put together", async () => {
    const { disk, writer } = await accounts();
    for (let index = 0; index < 600; index++) await writer.store.put(`b${index}`, { money: 0 });
    for (let at = 1, reached = true; reached; at++) {
      const copy = disk.clone();
      const other = await start(copy, "other", { durability: "os" });
      const machine = bootStepping(copy, "reader");
      const reader = await openOn(machine);
      await reader.store.count();
      const step = atStep(machine, at, async () => {
        await MEANWHILE[name]!(other);
        reader.store.getSync("e");
      });
      expect(sum((await reader.store.list()).sessions), `step ${at}`).toBe(100);
      reached = step.reached;
      expect(at === 1 ? reached : true).toBe(true);
    }
  });
});

describe("made from files, while a transaction's files come one by one", () => {
  it.each(["list", "count"] as const)("%s: all of it or nothing", async (method) => {
    const { disk, writer } = await accounts();
    await writer.store.checkpoint();
    writer.fs.kill();
    const segment = `${STORE}/.store/log/${disk.names(`${STORE}/.store/log`)[0]!}`;
    const future = disk.clone();
    await transfer(await start(future, "future", { durability: "os" }));
    for (const name of disk.names(`${STORE}/.store`)) {
      if (name.startsWith("catalog-")) disk.removeRaw(`${STORE}/.store/${name}`);
    }
    let overtaken = 0;
    for (let at = 1, reached = true; reached; at++) {
      const copy = disk.clone();
      const reader = await start(copy, "reader");
      let calls = 0;
      reader.fs.onCall = () => {
        if (++calls !== at) return;
        copy.writeRaw(segment, future.readRaw(segment)!);
        copy.removeRaw(`${STORE}/b`); // deleted; "e" has no file yet
      };
      if (method === "count") expect(await reader.store.count(), `call ${at}`).toBe(4);
      else expect(sum((await reader.store.list()).sessions), `call ${at}`).toBe(100);
      reached = calls >= at;
      if (reached) overtaken++;
    }
    expect(overtaken).toBeGreaterThan(8);
  });
});
