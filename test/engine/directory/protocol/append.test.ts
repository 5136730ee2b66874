/**
 * Goal: what an append reports is what the log says, in the rare cases too: a disk that stores other bytes than it was given,
 * a record whose end is missing, a record of one's own that turns up late, a seal behind torn bytes.
 * Method: one process, and instructions for its single writes; another process tells what the log says.
 */
import { expect, it } from "vitest";
import type { FileSystem } from "../../../../src/fs/file-system.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../../src/testing/simulated/system-error.js";
import { interceptCalls } from "../../../support/intercept-calls.js";
import { settled, start, STORE, type Entry, type ProcessOptions } from "../../../support/processes.js";

const SEGMENT_1 = `${STORE}/.store/log/00000001.jsonl`;
const plusOne = (entry: Entry | undefined): Entry => ({ n: ((entry?.["n"] as number | undefined) ?? 0) + 1 });

function textOf({ args }: SimulatedCall): string {
  const [, buffer, offset, length] = args as Parameters<FileSystem["write"]>;
  return Buffer.from(buffer).toString("latin1", offset, offset + length);
}

it("a record that the disk stores with another byte may count or not, and is never repeated", async () => {
  const disk = new SimulatedDisk();
  let flips = 0;
  const through: ProcessOptions["through"] = (fs) =>
    interceptCalls(fs, {
      write: (fd, buffer, offset, length) => {
        if (flips === 0) return fs.write(fd, buffer, offset, length);
        flips--;
        const other = Uint8Array.from(buffer);
        other[offset + length - 5]! ^= 1;
        return fs.write(fd, other, offset, length);
      },
    });
  const a = await start(disk, "A", { through });
  flips = 1;
  await expect(a.store.update("k", plusOne)).rejects.toMatchObject({ code: "commit_unknown" });
  expect(flips).toBe(0);
  expect(disk.readRaw(SEGMENT_1)?.toString().match(/"ops"/g)).toHaveLength(1);
  // What it was nobody can read any more; what is written whole goes on in the next segment.
  await expect(a.store.update("k", plusOne)).rejects.toMatchObject({
    code: "log_damaged",
    data: { key: "k" },
  });
  const { revision } = await settled(a.store.put("k", { n: 1 }), a);
  const b = await start(disk, "B");
  expect(await b.store.read("k")).toMatchObject({ revision, entry: { n: 1 } });
  expect(await b.store.update("k", plusOne)).toMatchObject({ entry: { n: 2 } });
});

it("a record without its newline that we end ourselves has committed", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  a.fs.onCall = (call) => {
    if (call.name !== "write") return;
    a.fs.onCall = undefined;
    return { shortWrite: (call.args[3] as number) - 1 };
  };
  const header = disk.readRaw(SEGMENT_1)!.length;
  expect(await a.store.update("k", plusOne)).toMatchObject({ revision: 1 + header, entry: { n: 1 } });
  expect(await (await start(disk, "B")).store.get("k")).toEqual({ n: 1 });
});

it("a record of unknown fate that commits late is not taken for the one that ends it", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  let writes = 0;
  a.fs.onCall = (call) => {
    if (call.name !== "write") return;
    if (writes++ === 0) return { shortWrite: (call.args[3] as number) - 1 };
    throw systemError("ENOSPC", call);
  };
  await expect(a.store.update("k", plusOne)).rejects.toMatchObject({ code: "commit_unknown" });
  a.fs.onCall = undefined;
  const record = await a.store.update("k", plusOne);
  expect(record).toMatchObject({ entry: { n: 3 } });
  expect(await (await start(disk, "B")).store.read("k")).toMatchObject({
    revision: record?.revision,
    entry: { n: 3 },
  });
});

it("the fate of a record is not taken for that of the next one", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  const lacking = [1, 40];
  a.fs.onCall = (call) => {
    if (call.name !== "write" || (call.args[3] as number) === 1) return;
    const bytes = lacking.shift();
    return bytes === undefined ? undefined : { shortWrite: (call.args[3] as number) - bytes };
  };
  const first = await a.store.put("k", { n: 1 }); // we ended its line
  // Its first record is torn; it is made again once there is room, and takes a revision behind that.
  const torn = disk.readRaw(SEGMENT_1)!.length;
  const put = settled(a.store.put("l", { n: "x".repeat(100) }), a);
  const { revision } = await put;
  expect(revision).toBeGreaterThan(torn + 1);
  expect(first.revision).toBeLessThan(torn);
  expect(lacking).toEqual([]);
  expect(await (await start(disk, "B")).store.read("l")).toMatchObject({
    revision,
    entry: { n: "x".repeat(100) },
  });
});

it("a seal behind the torn bytes of a dead writer counts the first time", async () => {
  const disk = new SimulatedDisk();
  const a = await start(disk, "A");
  await a.store.put("k", { n: 1 });
  disk.writeRaw(SEGMENT_1, `${String(disk.readRaw(SEGMENT_1))}0badc0de {"w":"dead`);
  const seals: string[] = [];
  a.fs.onCall = (call) => {
    if (call.name === "write" && textOf(call).includes('{"seal"')) seals.push(textOf(call));
  };
  await a.store.checkpoint();
  expect(seals).toHaveLength(1);
});
