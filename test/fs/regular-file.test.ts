/**
 * Goal: whole files are read only if they are regular, ours and small enough, in four system calls; new files
 * are complete or gone.
 * Method: every kind of thing that may stand in place of a file, on the real file system; short writes, full
 * disks and call counts on the simulated one.
 */
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SessionStoreError } from "../../src/errors.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import {
  assertFolder,
  createFile,
  openRegularFile,
  readRegularFile,
  syncDirectory,
  syncDirectoryNow,
} from "../../src/fs/regular-file.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

const POSIX = process.platform !== "win32";
const LIMITS = { bytesMax: 1000 };

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-regular-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

function refusal(path: string, limits = LIMITS, fs: FileSystem = nodeFileSystem): SessionStoreError {
  try {
    readRegularFile(fs, path, limits);
  } catch (error) {
    if (error instanceof SessionStoreError) return error;
    throw error;
  }
  throw new Error(`${path} was read`);
}

describe("readRegularFile", () => {
  it.each([0, 1, 999, 1000])("reads a file of %i bytes", (size) => {
    writeFileSync(at("file"), "x".repeat(size));
    expect(readRegularFile(nodeFileSystem, at("file"), LIMITS).toString()).toBe("x".repeat(size));
  });

  it("lets ENOENT through", () => {
    expect(() => readRegularFile(nodeFileSystem, at("missing"), LIMITS)).toThrow(
      expect.objectContaining({ code: "ENOENT", syscall: "open" }),
    );
  });

  it("refuses a file over the limit, a sparse one too, and says which limit", () => {
    writeFileSync(at("file"), "x".repeat(1001));
    expect(refusal(at("file"))).toMatchObject({
      code: "file_unsafe",
      data: { path: at("file"), limit: 1000, actual: 1001 },
    });
    truncateSync(at("file"), 2 ** 40);
    expect(refusal(at("file")).data["actual"]).toBe(2 ** 40);
  });

  it.runIf(POSIX)(
    "refuses symlinks, folders, FIFOs and sockets without blocking, and reads a file whatever names it has",
    async () => {
      writeFileSync(at("outside"), "secret");
      symlinkSync("outside", at("symlink"));
      mkdirSync(at("directory"));
      execFileSync("mkfifo", [at("fifo")]);
      linkSync(at("outside"), at("hard"));
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(at("socket"), resolve));
      for (const name of ["symlink", "directory", "fifo", "socket"]) {
        const error = refusal(at(name));
        expect(error.code).toBe("file_unsafe");
        expect(error.message).toContain(at(name));
        expect(error.data["path"]).toBe(at(name));
      }
      await new Promise((resolve) => server.close(resolve));
      expect(readRegularFile(nodeFileSystem, at("hard"), LIMITS).toString()).toBe("secret");
    },
  );

  it.runIf(process.getuid?.() === 0)("refuses devices", () => {
    execFileSync("mknod", [at("zero"), "c", "1", "5"]);
    execFileSync("mknod", [at("nothing"), "c", "250", "250"]);
    expect(refusal(at("zero")).code).toBe("file_unsafe");
    expect(refusal(at("nothing")).code).toBe("file_unsafe");
  });

  it("costs four system calls", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "content");
    const fs = disk.mount("reader");
    fs.log = [];
    expect(readRegularFile(fs, "/file", LIMITS).toString()).toBe("content");
    expect(fs.log.map(({ name }) => name)).toEqual(["open", "fstat", "read", "close"]);
  });

  it("reads on when the file grew meanwhile, up to the limit, and leaks no descriptor", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "1234");
    const fs = disk.mount("reader");
    fs.onCall = (call) => {
      if (call.name === "read" && disk.readRaw("/file")!.length < 900)
        disk.writeRaw("/file", "y".repeat(900));
    };
    expect(readRegularFile(fs, "/file", LIMITS).toString()).toBe("y".repeat(900));
    disk.writeRaw("/file", "1234");
    fs.onCall = (call) => {
      if (call.name === "read") disk.writeRaw("/file", "y".repeat(5000));
    };
    expect(refusal("/file", LIMITS, fs).data["limit"]).toBe(1000);
    fs.onCall = (call) => {
      if (call.name === "read") throw systemError("EIO", call);
    };
    expect(() => readRegularFile(fs, "/file", { bytesMax: 9000 })).toThrow(
      expect.objectContaining({ code: "EIO" }),
    );
    expect(fs.openPaths).toEqual([]);
  });
});

describe("openRegularFile", () => {
  it("leaves the descriptor open, for appending too", () => {
    writeFileSync(at("file"), "abc");
    const { fd, status } = openRegularFile(nodeFileSystem, at("file"), "append", LIMITS);
    expect(status).toMatchObject({ kind: "file", size: 3 });
    expect(nodeFileSystem.write(fd, Buffer.from("d"), 0, 1)).toBe(1);
    nodeFileSystem.close(fd);
    expect(readRegularFile(nodeFileSystem, at("file"), LIMITS).toString()).toBe("abcd");
  });

  it("refuses a folder for appending as unsafe", () => {
    mkdirSync(at("folder"));
    expect(() => openRegularFile(nodeFileSystem, at("folder"), "append", LIMITS)).toThrow(
      expect.objectContaining({ code: "file_unsafe" }),
    );
  });
});

describe("assertFolder", () => {
  it("takes a folder itself, and neither a file nor a link to a folder", () => {
    mkdirSync(at("folder"));
    writeFileSync(at("file"), "");
    if (POSIX) symlinkSync("folder", at("link"));
    expect(assertFolder(nodeFileSystem, at("folder")).kind).toBe("directory");
    for (const [name, kind] of [["file", "file"], ...(POSIX ? [["link", "symlink"]] : [])] as const)
      expect(() => assertFolder(nodeFileSystem, at(name))).toThrow(
        expect.objectContaining({ code: "file_unsafe", data: { path: at(name), kind } }),
      );
    expect(() => assertFolder(nodeFileSystem, at("missing"))).toThrow(
      expect.objectContaining({ code: "ENOENT" }),
    );
  });
});

describe("createFile", () => {
  it("writes all bytes, however short the writes, and syncs if asked", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("writer");
    fs.onCall = (call) => (call.name === "write" ? { shortWrite: 3 } : undefined);
    fs.log = [];
    await createFile(fs, "/file", Buffer.from("0123456789"), { sync: true });
    expect(disk.readRaw("/file")!.toString()).toBe("0123456789");
    const names = fs.log.map(({ name }) => name);
    expect(names).toEqual(["open", "write", "write", "write", "write", "fdatasync", "close"]);
    fs.log = [];
    await createFile(fs, "/unsynced", Buffer.from("0"), { sync: false });
    expect(fs.log.map(({ name }) => name)).toEqual(["open", "write", "close"]);
  });

  it("leaves nothing behind on a full disk, and no descriptor", async () => {
    const disk = new SimulatedDisk({ capacityBytes: 5 });
    const fs = disk.mount("writer");
    await expect(createFile(fs, "/file", Buffer.alloc(10), { sync: true })).rejects.toMatchObject({
      code: "ENOSPC",
    });
    expect(disk.tree()).toEqual({});
    expect(disk.freeBytes).toBe(5);
    expect(fs.openPaths).toEqual([]);
  });

  it("does not touch a file that was there", async () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "theirs");
    await expect(
      createFile(disk.mount("w"), "/file", Buffer.alloc(1), { sync: false }),
    ).rejects.toMatchObject({
      code: "EEXIST",
    });
    expect(disk.tree()).toEqual({ "/file": "theirs" });
  });
});

describe("syncDirectory", () => {
  it("makes names durable, blocking or not", async () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("writer");
    await createFile(fs, "/one", Buffer.alloc(0), { sync: true });
    await syncDirectory(fs, "/");
    const then = disk.clone();
    then.powerCut("durable-only");
    expect(Object.keys(then.tree())).toEqual(["/one"]);
    await createFile(fs, "/two", Buffer.alloc(0), { sync: true });
    syncDirectoryNow(fs, "/");
    await createFile(fs, "/three", Buffer.alloc(0), { sync: true });
    disk.powerCut("durable-only");
    expect(Object.keys(disk.tree())).toEqual(["/one", "/two"]);
  });

  it("does nothing where folders cannot be synced", async () => {
    const fs = new SimulatedDisk().mount("windows", { directorySync: false });
    await syncDirectory(fs, "/");
    syncDirectoryNow(fs, "/");
    expect(fs.calls).toBe(0);
  });
});
