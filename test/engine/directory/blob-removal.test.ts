/**
 * Goal: a shared value that is used is neither lost nor carried to the trash and back, whatever others commit and checkpoint
 * while a removal goes on; what nobody uses goes, whoever wrote the last catalog.
 * Method: a removal by a process that has just come reads the catalog in slices: others work behind a slice. Later in the
 * removal they work while one call of it is held.
 */
import { describe, expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import {
  bigText,
  openOn,
  settled,
  start,
  STORE,
  turn,
  type Entry,
  type Process,
} from "../../support/processes.js";
import { atStep, bootStepping } from "./meanwhile.js";

const TRASH = `${STORE}/.store/trash`;
const BIG = { big: bigText("value"), bigOf: "value" };
const BULK: Entry = Object.fromEntries(
  Array.from({ length: 50 }, (_, index) => [`f${index}`, "x".repeat(100)]),
);

/** A checkpointed session, and a value that nobody refers to. */
async function withValue(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("x", {});
  await a.store.checkpoint();
  await a.store.close();
  await plantValue(disk);
  return disk;
}

/** As a writer leaves it that was killed before its record. */
async function plantValue(disk: SimulatedDisk): Promise<void> {
  const elsewhere = disk.clone();
  await (await start(elsewhere, "writer")).store.put("k", BIG);
  for (const path of Object.keys(elsewhere.tree(`${STORE}/.store/blobs`)))
    if (!path.endsWith("/")) disk.writeRaw(path, elsewhere.readRaw(path)!);
}

/** What is moved to the trash from here on. */
function discards({ fs }: Process): string[] {
  const moved: string[] = [];
  fs.onCall = ({ name, args }) => {
    const to = String(args[1]);
    if (name === "link" && to.includes("/trash/") && !String(args[0]).includes("/trash/")) moved.push(to);
  };
  return moved;
}

it("O14: a value that is referred to behind the first look at the log stays in its place", async () => {
  const disk = await withValue();
  const machine = bootStepping(disk, "remover");
  const remover = await openOn(machine);
  const b = await start(disk, "B");
  const moved = discards(remover);
  const step = atStep(machine, 1, () => b.store.put("k", BIG));
  await settled(remover.store.checkpoint(), remover);
  expect(step.reached).toBe(true);
  expect(moved).toEqual([]);
});

it("O14: so does one that is referred to in the log, and not in the catalog yet", async () => {
  const disk = await withValue();
  const b = await start(disk, "B", { segmentBytes: 4096, durability: "os" });
  await b.store.put("bulk", BULK); // seals the segment
  await b.store.put("k", BIG); // in the next one
  b.fs.kill();
  const remover = await start(disk, "remover");
  const moved = discards(remover);
  remover.runtime.runNextTimer(); // goes on with the checkpoint, and seals nothing
  for (let turns = 0; turns < 300; turns++) await turn();
  expect(disk.names(`${STORE}/.store/log`)).toHaveLength(1);
  expect(moved).toEqual([]);
});

it("O14: nothing goes when the log has moved past the catalog that was read", async () => {
  const disk = await withValue();
  const machine = bootStepping(disk, "remover");
  const remover = await openOn(machine);
  const b = await start(disk, "B");
  const step = atStep(machine, 1, async () => {
    await b.store.put("k", BIG);
    for (let round = 0; round < 2; round++) {
      await b.store.checkpoint();
      await b.store.put("tick", { round });
    }
  });
  await settled(remover.store.checkpoint(), remover);
  expect(step.reached).toBe(true);
  expect(disk.names(TRASH)).toEqual([]);
});

/** Stops a process before a call to which a path is given that a test accepts, and for good. */
function parkAt({ fs }: Process, name: string, path: RegExp): { reached: boolean; release: () => void } {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const parking = {
    reached: false,
    release: () => {
      fs.gate = undefined;
      release();
    },
  };
  fs.gate = (call) => {
    parking.reached ||= call.name === name && call.args.some((arg) => path.test(String(arg)));
    return parking.reached ? released : undefined;
  };
  return parking;
}

async function reached(parking: { readonly reached: boolean }): Promise<void> {
  for (let turns = 0; turns < 300 && !parking.reached; turns++) await turn();
  expect(parking.reached).toBe(true);
}

it("O14: the mark is of the segment that is active when the log was read once more, after the move", async () => {
  const disk = await withValue();
  const remover = await start(disk, "remover");
  const parking = parkAt(remover, "link", /\/trash\//);
  const removing = remover.store.checkpoint();
  await reached(parking);
  const b = await start(disk, "B", { segmentBytes: 4096, durability: "os" });
  await b.store.put("bulk", BULK);
  await b.store.put("k", {}); // segment 3
  parking.release();
  await settled(removing, remover);
  expect(disk.names(TRASH).map((name) => name.replace(/^.*\./, ""))).toEqual(["3"]);
});

it("O14: nothing is marked when the log has moved past the catalog that was read", async () => {
  const disk = await withValue();
  const remover = await start(disk, "remover");
  const parking = parkAt(remover, "link", /\/trash\//);
  const removing = remover.store.checkpoint();
  await reached(parking);
  const b = await start(disk, "B");
  await b.store.put("k", BIG);
  for (let round = 0; round < 2; round++) {
    await b.store.checkpoint();
    await b.store.put("tick", { round });
  }
  parking.release();
  await settled(removing, remover);
  expect(disk.names(TRASH)).not.toEqual([]);
  for (const name of disk.names(TRASH)) expect(name).toMatch(/^[0-9a-f]{64}\.[0-9a-f]{16}\.2-[0-9a-f]+$/);
  await settled(b.store.checkpoint(), b);
  expect(disk.names(TRASH)).toEqual([]);
  expect((await (await start(disk, "C")).store.get("k"))?.["big"]).toBe(BIG.big);
});

it("nothing goes while a session cannot be read: it may refer to anything", async () => {
  const disk = await withValue();
  const store = `${STORE}/.store`;
  for (const name of disk.names(store)) if (name.startsWith("catalog-")) disk.removeRaw(`${store}/${name}`);
  disk.writeRaw(`${STORE}/x/meta.json`, "{");
  const remover = await start(disk, "remover");
  await settled(remover.store.checkpoint(), remover);
  expect(disk.names(TRASH)).toEqual([]);
});

describe("a value that refers to others", () => {
  async function withParts(): Promise<{ disk: SimulatedDisk; a: Process; outer: string }> {
    const disk = new SimulatedDisk();
    const a = await start(disk, "A");
    const parts = [1, 2, 3].map((part) => ({ text: bigText(`part ${part}`) }));
    await a.store.put("k", { parts });
    const blobs = Object.keys(disk.tree(`${STORE}/.store/blobs`)).filter((path) => path.endsWith(".json"));
    expect(blobs).toHaveLength(4);
    return { disk, a, outer: blobs.find((path) => disk.readRaw(path)!.includes('"$blob"'))! };
  }

  it("keeps those", async () => {
    const { disk, a } = await withParts();
    const moved = discards(a);
    await settled(a.store.checkpoint(), a);
    expect([moved, disk.names(TRASH)]).toEqual([[], []]);
  });

  it("and is gone keeps all that there is, for nobody knows to what", async () => {
    const { disk, a, outer } = await withParts();
    disk.removeRaw(outer);
    const moved = discards(a);
    await settled(a.store.checkpoint(), a);
    expect([moved, disk.names(TRASH)]).toEqual([[], []]);
    await turn();
    expect(a.warnings.map(({ code }) => code)).toContain("blob_missing");
  });
});

it("what nobody refers to goes, though others wrote the catalogs since this process wrote one", async () => {
  const disk = new SimulatedDisk();
  const [a, b] = [await start(disk, "A"), await start(disk, "B")];
  for (const { store } of [a, b, b]) {
    await store.put("x", {});
    await store.checkpoint();
  }
  await plantValue(disk);
  await settled(a.store.checkpoint(), a); // nothing changed: it writes no catalog of its own
  expect(disk.names(TRASH)).not.toEqual([]);
});
