/**
 * Goal: an empty folder goes; whatever is in a folder keeps it, and what is no folder stays.
 * Method: each of them on the real file system; the other name that POSIX allows, and a failure, on a simulated disk.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import { removeIfEmpty } from "../../src/fs/remove-if-empty.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

it("removes a folder that is empty, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-empty-"));
  const at = (name: string): string => join(folder, name);
  try {
    for (const name of ["empty", "full", "target"]) mkdirSync(at(name));
    writeFileSync(at("full/file"), "");
    writeFileSync(at("file"), "");
    symlinkSync(at("target"), at("link"));
    for (const name of ["empty", "full", "file", "link", "nothing"])
      await removeIfEmpty(nodeFileSystem, at(name));
    expect(readdirSync(folder).sort()).toEqual(["file", "full", "link", "target"]);
    expect(readdirSync(at("full"))).toEqual(["file"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it.each(["EEXIST", "ENOTEMPTY"])(
  "takes %s for a folder that is not empty, and no other failure",
  async (errno) => {
    const fs = new SimulatedDisk().mount("one");
    let code = errno;
    fs.onCall = ({ name, args }) => {
      throw systemError(code, { name, args });
    };
    await removeIfEmpty(fs, "/folder");
    code = "EBUSY";
    await expect(removeIfEmpty(fs, "/folder")).rejects.toMatchObject({ code: "EBUSY" });
  },
);
