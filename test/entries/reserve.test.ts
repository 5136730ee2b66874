/**
 * Goal: the reserve holds real blocks from the moment that it has its name, whatever the power does, and is never in the way.
 * Method: a `Reserve` on a simulated disk, with power cuts and little room.
 */
import { expect, it } from "vitest";
import { Reserve, RESERVE_BYTES, reserveBytesOn } from "../../src/entries/reserve.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { layout, STAGE } from "./blob-fixture.js";

function reserveOn(disk: SimulatedDisk): Reserve {
  disk.makeDirectory(layout.stageFolder(STAGE));
  return new Reserve(disk.mount("one"), layout, new ManualRuntime({ seed: 1 }));
}

it("is durable, and nothing that could be stored as a hole or compressed", async () => {
  const disk = new SimulatedDisk();
  expect(await reserveOn(disk).make(STAGE, 65_536)).toBe(true);
  disk.powerCut("durable-only");
  const content = disk.readRaw(layout.reserve)!;
  expect(content).toHaveLength(65_536);
  const pieces = new Set(
    Array.from({ length: 64 }, (_, at) => content.toString("hex", at * 1024, at * 1024 + 16)),
  );
  expect(pieces.size).toBe(64);
});

it("is not made where there is no room, and leaves nothing behind", async () => {
  const disk = new SimulatedDisk({ capacityBytes: 10_000 });
  const reserve = reserveOn(disk);
  expect(await reserve.make(STAGE, 20_000)).toBe(false);
  expect(disk.usedBytes).toBe(0);
  expect(reserve.bytes()).toBe(0);
});

it("is not made by a process that was fenced, nor is another one's harmed", async () => {
  const disk = new SimulatedDisk();
  const reserve = reserveOn(disk);
  expect(await reserve.make(STAGE, 1000)).toBe(true);
  disk.removeRaw(layout.stageFolder(STAGE));
  expect(await reserve.make(STAGE, 2000)).toBe(false);
  expect(reserve.bytes()).toBe(1000);
});

it("is replaced by a larger one, and given up once", async () => {
  const disk = new SimulatedDisk();
  const reserve = reserveOn(disk);
  await reserve.make(STAGE, 1000);
  await reserve.make(STAGE, 2000);
  expect(reserve.bytes()).toBe(2000);
  expect(await reserve.giveUp()).toBe(true);
  expect(await reserve.giveUp()).toBe(false);
  expect(disk.usedBytes).toBe(0);
});

it("takes a small part of a small disk", () => {
  expect(reserveBytesOn(1e12, RESERVE_BYTES)).toBe(RESERVE_BYTES);
  expect(reserveBytesOn(1_600_000, RESERVE_BYTES)).toBe(100_000);
  expect(reserveBytesOn(Number.POSITIVE_INFINITY, RESERVE_BYTES)).toBe(RESERVE_BYTES);
});
