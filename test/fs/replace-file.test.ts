/**
 * Goal: whenever the power fails, the name leads to the old file or to the new one, whole; a call that fails leaves nothing
 * aside.
 * Method: a simulated disk whose power is cut before each call, and whose calls fail one by one.
 */
import { expect, it } from "vitest";
import { replaceFile } from "../../src/fs/replace-file.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

/** A disk whose file is durable. */
function diskWithFile(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.makeDirectory("/folder");
  disk.writeRaw("/folder/file", "old");
  return disk;
}

const replace = (fs: Parameters<typeof replaceFile>[0]): Promise<void> =>
  replaceFile(fs, "/folder/aside", "/folder/file", Buffer.from("new"));

it("is whole at every instant, and durable at the end", async () => {
  const disk = diskWithFile();
  const fs = disk.mount("one");
  const found = new Set<string | undefined>();
  fs.onCall = () => {
    for (const kept of ["durable-only", "keep-all"] as const) {
      const then = disk.clone();
      then.powerCut(kept);
      found.add(then.readRaw("/folder/file")?.toString());
    }
    return undefined;
  };
  await replace(fs);
  expect(found).toEqual(new Set(["old", "new"]));
  disk.powerCut("durable-only");
  expect(disk.tree()).toEqual({ "/folder/": "", "/folder/file": "new" });
});

it("leaves nothing aside when a call fails, and the old file when it was not replaced", async () => {
  for (const name of ["open", "write", "fdatasync", "rename", "fsync"]) {
    const disk = diskWithFile();
    const fs = disk.mount("one");
    let failed = false;
    fs.onCall = (call) => {
      if (call.name !== name || failed) return undefined;
      failed = true;
      throw systemError("EIO", call);
    };
    await expect(replace(fs), name).rejects.toMatchObject({ code: "EIO" });
    expect(disk.readRaw("/folder/file")?.toString(), name).toBe(name === "fsync" ? "new" : "old");
    expect(disk.readRaw("/folder/aside"), name).toBeUndefined();
    expect(fs.openPaths, name).toEqual([]);
  }
});
