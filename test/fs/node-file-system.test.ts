/**
 * Goal: the real file system keeps the port's promises: exact modes under any umask, no symlink followed at the
 * last name, nothing blocks, and the deferred calls do what the blocking ones do.
 * Method: a temporary folder; the umask of this test process is changed and put back.
 */
import { execFileSync, spawn } from "node:child_process";
import {
  existsSync,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeFileSystem as fs } from "../../src/fs/node-file-system.js";
import { errnoOf } from "../../src/errors.js";

const POSIX = process.platform !== "win32";
const ROOT = process.getuid?.() === 0;
const NOBODY = 65534;

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-node-fs-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

function errno(call: () => unknown): string | undefined {
  try {
    call();
  } catch (error) {
    return errnoOf(error);
  }
  return "no error";
}

async function withUmask(mask: number, body: () => Promise<void> | void): Promise<void> {
  const before = process.umask(mask);
  try {
    await body();
  } finally {
    process.umask(before);
  }
}

describe.runIf(POSIX)("modes", () => {
  it.each([0, 0o022, 0o277, 0o777])("are exact under umask %o", async (mask) => {
    await withUmask(mask, async () => {
      fs.close(fs.open(at("file"), "create"));
      await fs.later.close(await fs.later.open(at("later-file"), "create"));
      fs.mkdir(at("folder"));
      await fs.later.mkdir(at("later-folder"));
    });
    expect(modeOf(at("file"))).toBe("600");
    expect(modeOf(at("later-file"))).toBe("600");
    expect(modeOf(at("folder"))).toBe("700");
    expect(modeOf(at("later-folder"))).toBe("700");
  });

  it.runIf(ROOT)("are exact for a user who is not root, and the file is usable at once", async () => {
    chownSync(folder, NOBODY, NOBODY);
    await withUmask(0o777, async () => {
      process.seteuid!(NOBODY);
      try {
        fs.mkdir(at("folder"));
        const fd = fs.open(at("folder/file"), "create");
        fs.write(fd, Buffer.from("x"), 0, 1);
        fs.close(fd);
        fs.close(fs.open(at("folder/file"), "append"));
      } finally {
        process.seteuid!(0);
      }
    });
    expect(modeOf(at("folder/file"))).toBe("600");
    expect(lstatSync(at("folder/file")).uid).toBe(NOBODY);
  });
});

describe("open", () => {
  it("creates only what does not exist, and never truncates", () => {
    writeFileSync(at("file"), "content");
    expect(errno(() => fs.open(at("file"), "create"))).toBe("EEXIST");
    fs.close(fs.open(at("file"), "append"));
    expect(readFileSync(at("file"), "utf8")).toBe("content");
  });

  it.runIf(POSIX)("does not follow a symlink at the last name", async () => {
    writeFileSync(at("file"), "");
    symlinkSync("file", at("link"));
    symlinkSync("nothing", at("dangling"));
    expect(errno(() => fs.open(at("link"), "read"))).toBe("ELOOP");
    expect(errno(() => fs.open(at("link"), "append"))).toBe("ELOOP");
    expect(errno(() => fs.open(at("dangling"), "create"))).toBe("EEXIST");
    symlinkSync(".", at("folder-link"));
    expect(errno(() => fs.open(at("folder-link"), "directory"))).toMatch(/ELOOP|ENOTDIR/);
    await expect(fs.later.open(at("link"), "read")).rejects.toMatchObject({ code: "ELOOP" });
  });

  it.runIf(POSIX)("does not block on a FIFO, and refuses a socket", async () => {
    execFileSync("mkfifo", [at("fifo")]);
    // Whoever waits for a writer nevertheless gets one, and not only the time limit of the run.
    const writer = spawn("sh", ["-c", `sleep 5; : > "${at("waited")}"; : > "${at("fifo")}"`], {
      stdio: "ignore",
    });
    const fd = fs.open(at("fifo"), "read");
    writer.kill();
    expect(existsSync(at("waited"))).toBe(false);
    expect(fs.fstat(fd).kind).toBe("other");
    fs.close(fd);
    const appended = fs.open(at("fifo"), "append");
    expect(fs.fstat(appended).kind).toBe("other");
    fs.close(appended);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at("socket"), resolve));
    expect(errno(() => fs.open(at("socket"), "read"))).toMatch(/ENXIO|EOPNOTSUPP/);
    await new Promise((resolve) => server.close(resolve));
  });

  it.runIf(ROOT)("opens a device only so that fstat can tell", () => {
    execFileSync("mknod", [at("device"), "c", "1", "3"]);
    const fd = fs.open(at("device"), "read");
    expect(fs.fstat(fd).kind).toBe("other");
    fs.close(fd);
  });
});

describe.each(["blocking", "deferred"] as const)("%s calls", (form) => {
  it("write, append, read, sync, link, rename, list and remove", async () => {
    const calls = form === "deferred" ? fs.later : fs;
    const created = await calls.open(at("a"), "create");
    expect(await calls.write(created, Buffer.from("-one-"), 1, 3)).toBe(3);
    const appended = await calls.open(at("a"), "append");
    expect(await calls.write(appended, Buffer.from("two"), 0, 3)).toBe(3);
    await calls.fdatasync(appended);
    await calls.fsync(appended);
    const buffer = Buffer.alloc(8);
    expect(await calls.read(appended, buffer, 1, 7, 2)).toBe(4);
    expect(buffer.toString()).toBe("\0etwo\0\0\0");
    expect(await calls.read(appended, buffer, 0, 8, 6)).toBe(0);
    await calls.link(at("a"), at("b"));
    const status = await calls.fstat(created);
    expect(status).toMatchObject({ kind: "file", size: 6, links: 2, mode: 0o600 });
    expect(await calls.lstat(at("b"))).toEqual(status);
    expect(Math.abs(status.modifiedAt - Date.now())).toBeLessThan(60_000);
    await calls.close(created);
    await calls.close(appended);
    await calls.mkdir(at("folder"));
    await calls.rename(at("b"), at("folder/c"));
    expect((await calls.readdir(folder)).sort()).toEqual(["a", "folder"]);
    await calls.unlink(at("folder/c"));
    await calls.rmdir(at("folder"));
    expect(await calls.readdir(folder)).toEqual(["a"]);
  });

  it("fail with the system's own errors", async () => {
    const calls = form === "deferred" ? fs.later : fs;
    const missing = at("missing");
    for (const call of [
      () => calls.lstat(missing),
      () => calls.open(missing, "read"),
      () => calls.readdir(missing),
      () => calls.unlink(missing),
      () => calls.rmdir(missing),
      () => calls.mkdir(at("missing/deeper")),
      () => calls.rename(missing, at("x")),
      () => calls.link(missing, at("x")),
    ]) {
      await expect((async () => await call())()).rejects.toMatchObject({ code: "ENOENT" });
    }
  });
});

describe("what the platform can do", () => {
  it.runIf(process.platform === "linux")("pins folders, syncs them, and knows its file systems", () => {
    expect(fs.guarantees).toEqual({ directorySync: true, pinnedRoot: true });
    expect(fs.fileSystemType("/proc")).toBe(0x9fa0n);
    expect(fs.userId()).toBe(process.getuid!());
  });

  it.runIf(POSIX)("reads symlinks and real paths", () => {
    symlinkSync("target/of/it", at("link"));
    expect(fs.readlink(at("link"))).toBe("target/of/it");
    symlinkSync(".", at("self"));
    expect(fs.realpath(at("self"))).toBe(fs.realpath(folder));
  });

  it.runIf(POSIX)("lists sticky and set-id bits in the mode, and counts hard links", () => {
    writeFileSync(at("file"), "");
    chmodSync(at("file"), 0o4755);
    linkSync(at("file"), at("other"));
    expect(fs.lstat(at("file"))).toMatchObject({ mode: 0o4755, links: 2 });
  });
});

describe("watch", () => {
  it("hears of a change, and stops", async () => {
    let heard: () => void = () => {};
    const change = new Promise<void>((resolve) => (heard = resolve));
    const stop = fs.watch(folder, () => heard());
    expect(stop).toBeDefined();
    writeFileSync(at("file"), "");
    await change;
    stop!();
    stop!();
  });

  it("gives undefined for a folder that does not exist", () => {
    expect(fs.watch(at("missing"), () => {})).toBeUndefined();
  });
});
