/**
 * Goal: work on the way out of a full disk has the room of the reserve for itself; other work of the same process that looks
 * after the reserve at that moment does not take it again. The log takes a part of the room that there is.
 * Method: a store's disk with no room but the reserve; the looks come at the worst moments.
 */
import { expect, it } from "vitest";
import { RESERVE_BYTES } from "../../../src/entries/reserve.js";
import { Layout } from "../../../src/format/layout.js";
import { SessionStoreError } from "../../../src/errors.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { Space } from "../../../src/engine/directory/space.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { boot, STORE, turn } from "../../support/processes.js";

const layout = new Layout(STORE);
const STAGE = "1-0000000000000001";
const OPTIONS = { segmentBytes: 1024 * 1024, reserveBytes: RESERVE_BYTES };

async function fullDisk(
  unwritten = 0,
): Promise<{ disk: SimulatedDisk; space: Space; fs: ReturnType<typeof boot>["fs"] }> {
  const disk = new SimulatedDisk({ capacityBytes: 64 * RESERVE_BYTES });
  const { fs, runtime } = boot(disk, "A");
  for (const folder of [layout.root, layout.store, layout.stage, layout.stageFolder(STAGE)]) fs.mkdir(folder);
  const space = new Space({
    ...OPTIONS,
    fs,
    layout,
    runtime,
    stage: () => STAGE,
    unwritten: () => unwritten,
  });
  expect(await space.tend()).toBe(true);
  disk.freeBytes = 0;
  return { disk, space, fs };
}

const unexpected = (): Promise<never> => Promise.reject(new Error("there is a reserve"));

it("no reserve is made while work is done in the room of the old one; afterwards it is", async () => {
  const { disk, space } = await fullDisk();
  await space.spendReserve(async () => {
    expect(await space.tend()).toBe(false);
    expect(disk.freeBytes).toBeGreaterThanOrEqual(RESERVE_BYTES);
  }, unexpected);
  expect(await space.tend()).toBe(true);
  expect(disk.freeBytes).toBeLessThan(RESERVE_BYTES);
});

it("a reserve that is being made is waited for, and given up", async () => {
  const { disk, space, fs } = await fullDisk();
  disk.removeRaw(layout.reserve);
  const begun = new Promise<void>((resolve) => {
    fs.onCall = ({ name }) => {
      if (name === "open") resolve();
    };
  });
  const tending = space.tend();
  await begun;
  const spent = space.spendReserve(() => Promise.resolve(disk.freeBytes), unexpected);
  for (let turns = 0; turns < 20; turns++) await turn();
  expect(await spent).toBeGreaterThan(RESERVE_BYTES / 2);
  await tending;
});

it("other work is done instead where there is no reserve", async () => {
  const { disk, space } = await fullDisk();
  disk.removeRaw(layout.reserve);
  disk.freeBytes = 0;
  expect(await space.spendReserve(unexpected, () => Promise.resolve("otherwise"))).toBe("otherwise");
  expect(space.short).toBe(true);
});

it("a segment is full the earlier, the less room there is", async () => {
  const { disk, space } = await fullDisk();
  disk.freeBytes = 1000 * OPTIONS.segmentBytes;
  await space.tend();
  expect(space.logBytesMax).toBe(OPTIONS.segmentBytes);
  disk.freeBytes = 20 * OPTIONS.segmentBytes;
  await space.tend();
  expect(space.logBytesMax).toBeLessThan(OPTIONS.segmentBytes / 2);
  expect(space.logBytesMax).toBeGreaterThan(0);
});

it("commits wait for files that would take much of the room that is left", async () => {
  const { disk, space } = await fullDisk(100);
  disk.freeBytes = 1000 * OPTIONS.segmentBytes;
  await space.tend();
  expect(space).toMatchObject({ inDebt: false, mustWait: false });
  disk.freeBytes = 5 * OPTIONS.segmentBytes;
  await space.tend();
  expect(space).toMatchObject({ inDebt: true, mustWait: true });
});

it("commits wait for a look when they have taken much of the room that was left", async () => {
  const { disk, space } = await fullDisk();
  disk.freeBytes = 8 * OPTIONS.segmentBytes;
  await space.tend();
  space.took(OPTIONS.segmentBytes / 2);
  expect(space.mustWait).toBe(false);
  space.took(OPTIONS.segmentBytes);
  expect(space.mustWait).toBe(true);
  await space.tend();
  expect(space.mustWait).toBe(false);
});

it("what kept the dead from being removed is what a commit without room is told", async () => {
  const { space } = await fullDisk();
  const damage = new SessionStoreError("log_damaged", "Mend the log.", { data: { segment: 7 } });
  const failure = space.full(damage);
  expect(failure).toMatchObject({ code: "disk_full", data: { reason: "log_damaged" }, cause: damage });
  expect(failure.message).toMatch(/could not be removed: Mend the log\. Nothing was changed/);
  expect(space.full(systemError("ENOSPC", { name: "write", args: [] })).message).toMatch(
    /was removed already\. Nothing was changed/,
  );
});
