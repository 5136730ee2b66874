/**
 * Goal: all bytes are written, in order, whatever a single write takes; a write that takes nothing is a failure, not a wait.
 * Method: a simulated disk that takes fewer bytes than offered, for contents that are written at once and off the thread.
 */
import { expect, it } from "vitest";
import type { FileSystem } from "../../src/fs/file-system.js";
import { writeAll } from "../../src/fs/write-all.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";

it.each([
  [10, 3, 4],
  [16 * 1024, 16 * 1024, 1],
  [40_000, 15_000, 3],
])("writes %i bytes, %i at a time", async (bytes, shortWrite, writes) => {
  const disk = new SimulatedDisk();
  const fs = disk.mount("one");
  fs.onCall = ({ name }) => (name === "write" ? { shortWrite } : undefined);
  const fd = fs.open("/file", "create");
  const content = Buffer.from(Array.from({ length: bytes }, (_, at) => at % 251));
  fs.log = [];
  await writeAll(fs, fd, content);
  expect(disk.readRaw("/file")!.equals(content)).toBe(true);
  expect(fs.log.map(({ name }) => name)).toEqual(Array<string>(writes).fill("write"));
});

it.each([10, 40_000])("gives up when nothing of %i bytes is taken", async (bytes) => {
  const fs = new SimulatedDisk().mount("one");
  const fd = fs.open("/file", "create");
  let writes = 0;
  fs.onCall = ({ name }) => {
    if (name !== "write") return undefined;
    if (++writes > 3) throw new Error("it is tried again and again");
    return { shortWrite: 0 };
  };
  await expect(writeAll(fs as FileSystem, fd, Buffer.alloc(bytes))).rejects.toMatchObject({
    code: "EIO",
    syscall: "write",
  });
});
