/**
 * Goal: functions of the caller that use the store while it is in the middle of something break nothing.
 * Method: a process reads the log of another one, and its `onWarning` and `updatedAt` ask the store meanwhile.
 */
import { expect, it } from "vitest";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { logLine } from "./sandbox.js";
import { settled, start, turn, type Process } from "../../support/processes.js";

const logOf = (disk: SimulatedDisk): string => {
  const [path] = Object.keys(disk.tree()).filter((name) => name.includes("/.store/log/0"));
  return path ?? "no log";
};

it("a warning's listener that uses the store does not make lines count twice", async () => {
  const disk = new SimulatedDisk();
  const other = await start(disk, "other");
  let looked = 0;
  const holder: { process?: Process } = {};
  const process = await start(disk, "listening", {
    onWarning: () => {
      looked++;
      void holder.process?.store.revision();
    },
  });
  holder.process = process;
  await settled(other.store.put("x", { n: 1 }), other);
  disk.writeRaw(
    logOf(disk),
    Buffer.concat([disk.readRaw(logOf(disk)) ?? Buffer.alloc(0), logLine({ hint: "of a later version" })]),
  );
  await settled(other.store.put("x", { n: 2 }), other);
  const last = await settled(other.store.put("y", { n: 3 }), other);

  expect(await process.store.revision()).toBe(last.revision);
  await turn();
  expect(looked).toBeGreaterThan(0);
  const put = await settled(process.store.put("z", { n: 1 }), process, other);
  expect(put.revision).toBeGreaterThan(last.revision);
  expect(await other.store.revision()).toBe(put.revision);
});

it("updatedAt that uses its own store gets an error, and the log is read right", async () => {
  const disk = new SimulatedDisk();
  const holder: { process?: Process } = {};
  const errors: unknown[] = [];
  const process = await start(disk, "one", {
    updatedAt: (): number => {
      try {
        holder.process?.store.getSync("a");
      } catch (error) {
        errors.push(error);
      }
      return 0;
    },
  });
  holder.process = process;
  const other = await start(disk, "other");
  await settled(other.store.put("a", { n: 1 }), other);
  await settled(process.store.list(), process);
  const { revision } = await settled(other.store.put("b", { n: 1 }), other);
  expect(await process.store.revision()).toBe(revision);
  expect(errors.some((error) => error instanceof TypeError)).toBe(true);
});
