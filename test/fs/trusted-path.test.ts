/**
 * Goal: a store is opened only where nobody else can swap it, the refusal names the folder and its cure, and a
 * pinned root stays the folder that was checked.
 * Method: the whole chain on a simulated disk, where owners and modes are free to choose; then the same on the real
 * file system as far as root is needed for it.
 */
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SessionStoreError } from "../../src/errors.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { nodeFileSystem } from "../../src/fs/node-file-system.js";
import {
  assertLocalFileSystem,
  assertTrustedFolders,
  assertTrustedParents,
  openTrustedRoot,
} from "../../src/fs/trusted-path.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

const ME = 1000;
const OTHER = 2000;

function refusal(call: () => unknown): SessionStoreError {
  try {
    call();
  } catch (error) {
    if (error instanceof SessionStoreError) return error;
    throw error;
  }
  throw new Error("it was trusted");
}

describe.runIf(process.platform !== "win32")("on a simulated disk", () => {
  let disk: SimulatedDisk;
  const mount = (): ReturnType<SimulatedDisk["mount"]> => disk.mount("me", { userId: ME });
  const own = (path: string, owner: number, mode?: number): void =>
    disk.setStatus(path, mode === undefined ? { owner } : { owner, mode });

  beforeEach(() => {
    disk = new SimulatedDisk();
    disk.makeDirectory("/home/me/store");
    own("/home", 0, 0o755);
    own("/home/me", ME, 0o755);
    own("/home/me/store", ME);
  });

  it("opens a trusted store: one lstat a folder, an open and an fstat", () => {
    const fs = mount();
    fs.log = [];
    const root = openTrustedRoot(fs, "/home/me/store");
    expect(root.realPath).toBe("/home/me/store");
    expect(fs.log.map(({ name }) => name)).toEqual(["lstat", "lstat", "lstat", "lstat", "open", "fstat"]);
    root.close();
    root.close();
    expect(fs.openPaths).toEqual([]);
  });

  it("gives a prefix through the descriptor where that works, and the real path elsewhere", () => {
    disk.writeRaw("/home/me/store/file", "x");
    const fs = mount();
    const root = openTrustedRoot(fs, "/home/me/store");
    expect(root.path).toMatch(/^\/proc\/self\/fd\/\d+\/\.$/);
    expect(root.display(`${root.path}/log/1`)).toBe("/home/me/store/log/1");
    expect(fs.lstat(root.path)).toMatchObject({ kind: "directory", inode: root.inode });
    fs.close(fs.open(root.path, "directory"));
    disk.mount("other").rename("/home/me", "/home/moved");
    expect(fs.lstat(`${root.path}/file`).kind).toBe("file");

    const plain = disk.mount("plain", { userId: ME, pinnedRoot: false });
    own("/home/moved", ME);
    const unpinned = openTrustedRoot(plain, "/home/moved/store");
    expect(unpinned.path).toBe("/home/moved/store");
    expect(unpinned.display("/home/moved/store/x")).toBe("/home/moved/store/x");
  });

  it.each([
    ["a foreign store", "/home/me/store", OTHER, 0o700, "chown -h 1000 /home/me/store"],
    ["a foreign parent", "/home/me", OTHER, 0o755, "chown -h 1000 /home/me"],
    ["a store that its group may write", "/home/me/store", ME, 0o770, "chmod go-w /home/me/store"],
    ["a store that all may write", "/home/me/store", ME, 0o702, "chmod go-w /home/me/store"],
    ["a sticky store that all may write", "/home/me/store", ME, 0o1777, "chmod go-w /home/me/store"],
    ["a parent that its group may write", "/home/me", ME, 0o775, "chmod go-w /home/me"],
    ["a grandparent that all may write", "/home", 0, 0o777, "chmod go-w /home"],
    ["a sticky parent of somebody else", "/home/me", OTHER, 0o1777, "chown -h 1000 /home/me"],
    ["a root folder that all may write", "/", 0, 0o777, "chmod go-w /"],
    ["a foreign root folder", "/", OTHER, 0o755, "chown -h 1000 /"],
  ])("refuses %s and says how to mend it", (_name, path, owner, mode, cure) => {
    own(path, owner, mode);
    const fs = mount();
    const error = refusal(() => openTrustedRoot(fs, "/home/me/store"));
    expect(error.code).toBe("path_untrusted");
    const told = { path, owner, mode: mode.toString(8).padStart(4, "0"), folders: 1, mend: cure };
    expect(error.data).toEqual(told);
    expect(error.message).toContain(cure);
    expect(fs.openPaths).toEqual([]);
  });

  it("names all folders that offend at once, with one command for all", () => {
    own("/home/me", ME, 0o775);
    own("/home/me/store", ME, 0o775);
    disk.makeDirectory("/home/me/store/.store");
    own("/home/me/store/.store", ME, 0o770);
    const error = refusal(() => openTrustedRoot(mount(), "/home/me/store", "owner", [".store", "missing"]));
    const mend = "chmod go-w /home/me /home/me/store /home/me/store/.store";
    expect(error.data).toEqual({ path: "/home/me", owner: ME, mode: "0775", folders: 3, mend });
    for (const told of ["/home/me can", "/home/me/store can", "/home/me/store/.store can", mend])
      expect(error.message).toContain(told);
    own("/home", OTHER, 0o755);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/store")).data).toMatchObject({
      folders: 3,
      mend: "chown -h 1000 /home && chmod go-w /home/me /home/me/store",
    });
  });

  it("tells what offends although the way behind it is closed", () => {
    own("/home/me", OTHER, 0o700);
    const fs = mount();
    fs.onCall = (call) => {
      if (call.name === "lstat" && call.args[0] === "/home/me/store") throw systemError("EACCES", call);
    };
    expect(refusal(() => openTrustedRoot(fs, "/home/me/store")).data["path"]).toBe("/home/me");
  });

  it("takes a folder that its group may write with trust: group, and none that all may write", () => {
    own("/home/me", 0, 0o2775);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/store")).message).toMatch(
      /as root.*--trust group/,
    );
    openTrustedRoot(mount(), "/home/me/store", "group").close();
    expect(assertTrustedParents(mount(), "/home/me/new", "group").missing).toEqual(["new"]);
    own("/home/me/store", ME, 0o2770);
    openTrustedRoot(mount(), "/home/me/store", "group").close();
    expect(assertTrustedFolders(mount(), ["/home/me/store", "/home/me/none"], "group")).toEqual([
      "/home/me/none",
    ]);
    for (const [owner, mode] of [
      [ME, 0o777],
      [0, 0o2777],
      [OTHER, 0o770],
    ] as const) {
      own("/home/me/store", owner, mode);
      expect(refusal(() => openTrustedRoot(mount(), "/home/me/store", "group")).code).toBe("path_untrusted");
    }
  });

  it("quotes the path in the cure for a shell", () => {
    disk.makeDirectory("/home/me/it's mine; rm");
    own("/home/me/it's mine; rm", ME, 0o777);
    const error = refusal(() => openTrustedRoot(mount(), "/home/me/it's mine; rm"));
    expect(error.message).toContain(`chmod go-w '/home/me/it'\\''s mine; rm'`);
  });

  it("trusts a sticky folder for children that this user or root owns, for nobody else's", () => {
    disk.makeDirectory("/tmp/mine/store");
    own("/tmp", 0, 0o1777);
    own("/tmp/mine", ME);
    own("/tmp/mine/store", ME);
    openTrustedRoot(mount(), "/tmp/mine/store").close();
    own("/tmp/mine", 0, 0o755);
    openTrustedRoot(mount(), "/tmp/mine/store").close();
    own("/tmp/mine", OTHER, 0o755);
    expect(refusal(() => openTrustedRoot(mount(), "/tmp/mine/store")).data["path"]).toBe("/tmp/mine");
  });

  it("takes a folder of the store's own only if nobody else can change what is in it", () => {
    disk.symlink("/home/me/link", "store");
    own("/home/me/link", ME);
    assertTrustedFolders(mount(), ["/home/me/store"]);
    expect(refusal(() => assertTrustedFolders(mount(), ["/home/me/link"])).code).toBe("file_unsafe");
    for (const [owner, mode] of [
      [OTHER, 0o700],
      [ME, 0o770],
      [ME, 0o1777],
    ] as const) {
      own("/home/me/store", owner, mode);
      expect(refusal(() => assertTrustedFolders(mount(), ["/home/me/store"])).code).toBe("path_untrusted");
    }
  });

  it("lets root use only root's folders", () => {
    const error = refusal(() => openTrustedRoot(disk.mount("root", { userId: 0 }), "/home/me/store"));
    expect(error.data["path"]).toBe("/home/me");
  });

  it("asks for no owner and no mode where users have no numbers", () => {
    own("/home/me", OTHER, 0o777);
    openTrustedRoot(disk.mount("windows", { userId: undefined }), "/home/me/store").close();
  });

  it("follows trusted symlinks and identifies the store by its real path", () => {
    disk.symlink("/home/me/alias", "store");
    own("/home/me/alias", ME);
    disk.symlink("/srv", "/home/me/../me/alias");
    const root = openTrustedRoot(mount(), "/srv");
    expect(root.realPath).toBe("/home/me/store");
    const direct = openTrustedRoot(mount(), "/home/me/store");
    expect([root.inode, root.device]).toEqual([direct.inode, direct.device]);
  });

  it("refuses a symlink that somebody else owns, or could replace", () => {
    disk.symlink("/home/me/alias", "store");
    own("/home/me/alias", OTHER);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/alias")).data["path"]).toBe("/home/me/alias");
    own("/home/me/alias", ME);
    disk.makeDirectory("/open");
    own("/open", 0, 0o777);
    disk.symlink("/open/alias", "/home/me/store");
    expect(refusal(() => openTrustedRoot(mount(), "/open/alias")).data["path"]).toBe("/open");
    own("/open", 0, 0o1777);
    openTrustedRoot(mount(), "/open/alias").close();
    own("/open/alias", OTHER);
    expect(refusal(() => openTrustedRoot(mount(), "/open/alias")).data["path"]).toBe("/open/alias");
  });

  it("checks the folders between two symlinks, which realpath hides", () => {
    disk.makeDirectory("/open");
    own("/open", 0, 0o777);
    disk.symlink("/open/second", "/home/me/store");
    disk.symlink("/home/me/first", "/open/second");
    own("/home/me/first", ME);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/first")).data["path"]).toBe("/open");
  });

  it("checks the real chain of a symlink's target", () => {
    disk.makeDirectory("/shared/store");
    own("/shared", ME, 0o777);
    own("/shared/store", ME);
    disk.symlink("/home/me/alias", "/shared/store");
    own("/home/me/alias", ME);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/alias")).data["path"]).toBe("/shared");
  });

  it("follows forty symlinks, and no more", () => {
    for (let link = 0; link < 41; link++) disk.symlink(`/link${link}`, `/link${link + 1}`);
    disk.symlink("/link41", "/home/me/store");
    openTrustedRoot(mount(), "/link2").close();
    expect(refusal(() => openTrustedRoot(mount(), "/link1")).message).toContain("too many symlinks");
  });

  it("ends on symlinks that go in circles", () => {
    disk.symlink("/a", "/b");
    disk.symlink("/b", "/a");
    expect(refusal(() => openTrustedRoot(mount(), "/a/store")).code).toBe("path_untrusted");
  });

  it("lets ENOENT through, for a dangling symlink too", () => {
    disk.symlink("/home/me/dangling", "nothing");
    own("/home/me/dangling", ME);
    for (const path of ["/home/me/missing", "/home/me/dangling", "/nowhere/at/all"]) {
      expect(() => openTrustedRoot(mount(), path)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    }
  });

  it("refuses a file in place of the store or of a parent", () => {
    disk.writeRaw("/home/me/file", "");
    own("/home/me/file", ME);
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/file")).code).toBe("not_a_store");
    expect(refusal(() => openTrustedRoot(mount(), "/home/me/file/store")).code).toBe("not_a_store");
  });

  it("notices that the store was replaced between the check and the open", () => {
    const fs = mount();
    fs.onCall = (call) => {
      if (call.name !== "open") return;
      disk.removeRaw("/home/me/store");
      disk.makeDirectory("/home/me/store");
      own("/home/me/store", ME);
    };
    expect(refusal(() => openTrustedRoot(fs, "/home/me/store")).code).toBe("path_untrusted");
    expect(fs.openPaths).toEqual([]);
  });

  it("passes the system's errors on", () => {
    const fs = mount();
    fs.onCall = (call) => {
      if (call.name === "lstat" && call.index === 3) throw systemError("EACCES", call);
    };
    expect(() => openTrustedRoot(fs, "/home/me/store")).toThrow(expect.objectContaining({ code: "EACCES" }));
  });

  it("checks the way to a store that is yet to be made, and says what is missing", () => {
    disk.symlink("/home/me/data", "/var/data");
    own("/home/me/data", ME);
    disk.makeDirectory("/var/data");
    own("/var", 0, 0o755);
    own("/var/data", ME);
    expect(assertTrustedParents(mount(), "/home/me/data/agents/main/sessions.d")).toEqual({
      realPath: "/var/data/agents/main/sessions.d",
      existing: "/var/data",
      missing: ["agents", "main", "sessions.d"],
    });
    expect(assertTrustedParents(mount(), "/home/me/store")).toMatchObject({ missing: [] });
    own("/var/data", 0, 0o1777);
    assertTrustedParents(mount(), "/var/data/new");
    disk.makeDirectory("/var/data/theirs");
    own("/var/data/theirs", OTHER, 0o755);
    const theirs = refusal(() => assertTrustedParents(mount(), "/var/data/theirs"));
    expect(theirs.data["path"]).toBe("/var/data/theirs");
    own("/var/data", ME, 0o770);
    expect(refusal(() => assertTrustedParents(mount(), "/var/data/new")).data["path"]).toBe("/var/data");
    own("/var/data", OTHER, 0o755);
    expect(refusal(() => assertTrustedParents(mount(), "/var/data/new")).data["path"]).toBe("/var/data");
  });
});

describe("assertLocalFileSystem", () => {
  const on = (type: bigint | undefined): FileSystem =>
    new SimulatedDisk().mount("x", { fileSystemType: type });

  it.each([0x6969n, 0x517bn, 0xff534d42n, 0xfe534d42n, 0x01021997n, 0x5346414fn, 0x73757245n, 0x00c36400n])(
    "refuses 0x%s",
    (type) => {
      const error = refusal(() => assertLocalFileSystem(on(type), "/"));
      expect(error.code).toBe("file_system_unsupported");
      expect(error.data["type"]).toBe(`0x${type.toString(16)}`);
    },
  );

  it("knows what is local and what it cannot tell", () => {
    expect(assertLocalFileSystem(on(0xef53n), "/")).toBe("local");
    expect(assertLocalFileSystem(on(0x01021994n), "/")).toBe("local");
    expect(assertLocalFileSystem(on(0x65735546n), "/")).toBe("unknown");
    expect(assertLocalFileSystem(on(0x6a656a63n), "/")).toBe("unknown");
    expect(assertLocalFileSystem(on(undefined), "/")).toBe("unknown");
  });
});

describe.runIf(process.getuid?.() === 0)("on the real file system, as root", () => {
  const NOBODY = 65534;
  let base = "";
  beforeEach(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), "sessiondir-trust-")));
    mkdirSync(join(base, "parent/store"), { recursive: true, mode: 0o700 });
  });
  afterEach(() => rmSync(base, { recursive: true, force: true }));
  const store = (): string => join(base, "parent/store");
  const untrusted = (path: string): unknown =>
    refusal(() => openTrustedRoot(nodeFileSystem, path)).data["path"];

  it("opens a store under the sticky temporary folder", () => {
    const root = openTrustedRoot(nodeFileSystem, store());
    expect(root.realPath).toBe(store());
    root.close();
  });

  it("refuses foreign owners, open modes and foreign symlinks", () => {
    chownSync(join(base, "parent"), NOBODY, NOBODY);
    expect(untrusted(store())).toBe(join(base, "parent"));
    chownSync(join(base, "parent"), 0, 0);
    chmodSync(join(base, "parent"), 0o770);
    expect(untrusted(store())).toBe(join(base, "parent"));
    chmodSync(join(base, "parent"), 0o1777);
    openTrustedRoot(nodeFileSystem, store()).close();
    symlinkSync("parent/store", join(base, "alias"));
    openTrustedRoot(nodeFileSystem, join(base, "alias")).close();
    lchownSync(join(base, "alias"), NOBODY, NOBODY);
    expect(untrusted(join(base, "alias"))).toBe(join(base, "alias"));
  });

  it.runIf(process.platform === "linux")("stays with the pinned folder after its path was swapped", () => {
    const root = openTrustedRoot(nodeFileSystem, store());
    renameSync(store(), join(base, "parent/away"));
    mkdirSync(store());
    nodeFileSystem.close(nodeFileSystem.open(`${root.path}/file`, "create"));
    expect(nodeFileSystem.readdir(join(base, "parent/away"))).toEqual(["file"]);
    expect(nodeFileSystem.readdir(store())).toEqual([]);
    expect(nodeFileSystem.lstat(root.path)).toMatchObject({ kind: "directory", inode: root.inode });
    nodeFileSystem.close(nodeFileSystem.open(root.path, "directory"));
    const stop = nodeFileSystem.watch(root.path, () => {});
    expect(stop).toBeDefined();
    stop!();
    root.close();
  });

  it("tells that the temporary folder is on a local disk", () => {
    expect(assertLocalFileSystem(nodeFileSystem, base)).toBe("local");
  });
});
