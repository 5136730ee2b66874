/**
 * Goal: a power cut on the simulated disk loses what a real one loses, and nothing that was synced.
 * Method: what was measured on ext4, one row of that table after the other; then random cuts of the
 * same disk, many times, to see that exactly the states that may survive do survive.
 */
import { describe, expect, it } from "vitest";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";

function append(fs: SimulatedFileSystem, fd: number, text: string): void {
  const bytes = Buffer.from(text);
  expect(fs.write(fd, bytes, 0, bytes.length)).toBe(bytes.length);
}

function create(fs: SimulatedFileSystem, path: string, text: string, options = { sync: false }): void {
  const fd = fs.open(path, "create");
  append(fs, fd, text);
  if (options.sync) fs.fdatasync(fd);
  fs.close(fd);
}

function syncFolder(fs: SimulatedFileSystem, path: string): void {
  const fd = fs.open(path, "directory");
  fs.fsync(fd);
  fs.close(fd);
}

/** The trees that random cuts of copies of this disk leave, each as JSON, with how often. */
function survivors(disk: SimulatedDisk, runs = 400): Map<string, number> {
  const found = new Map<string, number>();
  for (let seed = 1; seed <= runs; seed++) {
    const copy = disk.clone(seededRandom(seed));
    copy.powerCut("random");
    const tree = JSON.stringify(copy.tree());
    found.set(tree, (found.get(tree) ?? 0) + 1);
  }
  return found;
}

function trees(...expected: Record<string, string>[]): string[] {
  return expected.map((tree) => JSON.stringify(tree)).sort();
}

describe("what a power cut really loses", () => {
  it("replace by temp + rename, file synced, folder not: the old version may be back", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "old");
    const fs = disk.mount("a");
    create(fs, "/temp", "new", { sync: true });
    syncFolder(fs, "/");
    fs.rename("/temp", "/file");
    const worst = disk.clone();
    worst.powerCut("durable-only");
    expect(worst.tree()).toEqual({ "/file": "old", "/temp": "new" });
    expect([...survivors(disk).keys()].sort()).toEqual(
      trees(
        { "/file": "old", "/temp": "new" },
        { "/file": "old" },
        { "/file": "new", "/temp": "new" },
        { "/file": "new" },
      ),
    );
  });

  it("create by temp + rename, file synced, folder not: nothing", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    create(fs, "/temp", "new", { sync: true });
    fs.rename("/temp", "/file");
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({});
  });

  it("create, folder synced, file not: a file of 0 bytes", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    create(fs, "/temp", "new");
    fs.rename("/temp", "/file");
    syncFolder(fs, "/");
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({ "/file": "" });
  });

  it("replace without any sync: old and new may both be gone", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "old");
    const fs = disk.mount("a");
    create(fs, "/temp", "new");
    fs.rename("/temp", "/file");
    expect([...survivors(disk).keys()]).toContain(JSON.stringify({ "/file": "" }));
  });

  it("mkdir + synced file inside, folders not synced: nothing", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    fs.mkdir("/folder");
    create(fs, "/folder/file", "new", { sync: true });
    const synced = disk.clone();
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({});

    syncFolder(synced.mount("b"), "/");
    synced.powerCut("durable-only");
    expect(synced.tree()).toEqual({ "/folder/": "" });
  });

  it("unlink, folder not synced: the file is back, with its content", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/file", "content");
    const fs = disk.mount("a");
    fs.unlink("/file");
    expect(disk.tree()).toEqual({});
    expect([...survivors(disk).keys()].sort()).toEqual(trees({}, { "/file": "content" }));
    syncFolder(fs, "/");
    expect([...survivors(disk).keys()]).toEqual(trees({}));
  });

  it("append without fdatasync: the tail is lost; with it: kept", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/log", "1");
    const fs = disk.mount("a");
    const fd = fs.open("/log", "append");
    append(fs, fd, "2");
    fs.fdatasync(fd);
    append(fs, fd, "3");
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({ "/log": "12" });
  });
});

describe("random power cuts", () => {
  it("keep any subset of the writes, torn or with holes, but never a byte that was not written", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/log", "");
    const fs = disk.mount("a");
    const fd = fs.open("/log", "append");
    append(fs, fd, "S");
    fs.fdatasync(fd);
    append(fs, fd, "aa");
    append(fs, fd, "bb");
    const found = [...survivors(disk, 2000).keys()].map(
      (tree) => (JSON.parse(tree) as { "/log": string })["/log"],
    );
    for (const expected of ["S", "Saa", "Sa", "Saabb", "S\0\0bb", "S\0\0", "Saa\0\0", "Sa\0b"]) {
      expect(found).toContain(expected);
    }
    for (const content of found) {
      expect(content.startsWith("S")).toBe(true);
      for (const [index, character] of content.split("").entries()) {
        expect(["\0", "Saabb"[index]]).toContain(character);
      }
    }
  });

  it("tear a large write at its sectors", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const fd = fs.open("/log", "create");
    syncFolder(fs, "/");
    append(fs, fd, "x".repeat(2048));
    const found = [...survivors(disk, 500).keys()];
    expect(found.some((tree) => /\\u0000x{512}(\\u0000|")/.test(tree))).toBe(true);
  });

  it("decide on each name independently, also of one rename between two folders", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/a/x", "x");
    disk.makeDirectory("/b");
    disk.mount("a").rename("/a/x", "/b/x");
    const folders = { "/a/": "", "/b/": "" };
    const found = survivors(disk);
    expect([...found.keys()].map((tree) => JSON.parse(tree) as unknown)).toEqual(
      expect.arrayContaining([
        folders,
        { ...folders, "/a/x": "x" },
        { ...folders, "/b/x": "x" },
        { ...folders, "/a/x": "x", "/b/x": "x" },
      ]),
    );
    expect(found.size).toBe(4);
  });

  it("may keep any state that a name went through since the last sync", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    for (const text of ["1", "2", "3"]) {
      create(fs, "/temp", text, { sync: true });
      fs.rename("/temp", "/file");
    }
    fs.unlink("/file");
    const files = [...survivors(disk, 1000).keys()].map(
      (tree) => (JSON.parse(tree) as Record<string, string>)["/file"],
    );
    expect(new Set(files)).toEqual(new Set([undefined, "1", "2", "3"]));
  });

  it("leave one folder one place, and no cycle", () => {
    const disk = new SimulatedDisk();
    disk.makeDirectory("/a/x");
    const fs = disk.mount("a");
    fs.rename("/a/x", "/x");
    fs.rename("/a", "/x/a");
    for (const tree of survivors(disk).keys()) {
      const paths = Object.keys(JSON.parse(tree) as object);
      expect(paths.filter((path) => path.endsWith("/a/")).length).toBeLessThanOrEqual(1);
      expect(paths.filter((path) => path.endsWith("/x/")).length).toBeLessThanOrEqual(1);
    }
  });

  it("with the same seed leave the same", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    for (let index = 0; index < 50; index++) create(fs, `/${index}`, "x".repeat(index * 40));
    const cut = (seed: number): Record<string, string> => {
      const copy = disk.clone(seededRandom(seed));
      copy.powerCut("random");
      return copy.tree();
    };
    expect(cut(7)).toEqual(cut(7));
    expect(cut(7)).not.toEqual(cut(8));
  });

  it("keep everything in mode keep-all, and leave nothing to lose", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    fs.mkdir("/folder");
    create(fs, "/folder/file", "content");
    disk.powerCut("keep-all");
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({ "/folder/": "", "/folder/file": "content" });
  });
});

describe("a power cut", () => {
  it("counts links and room anew, and keeps inode numbers", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    create(fs, "/file", "12345", { sync: true });
    syncFolder(fs, "/");
    const { inode } = fs.lstat("/file");
    fs.link("/file", "/second");
    create(fs, "/lost", "123");
    expect(disk.usedBytes).toBe(8);
    disk.powerCut("durable-only");
    expect(disk.usedBytes).toBe(5);
    expect(disk.mount("b").lstat("/file")).toMatchObject({ links: 1, size: 5, inode });
  });

  it("may be followed by another one at any time", () => {
    const disk = new SimulatedDisk({ random: seededRandom(3) });
    const fs = disk.mount("a");
    const fd = fs.open("/log", "create");
    append(fs, fd, "one");
    fs.fdatasync(fd);
    syncFolder(fs, "/");
    for (let index = 0; index < 20; index++) {
      disk.powerCut("random");
      const next = disk.mount(`after ${index}`);
      const again = next.open("/log", "append");
      append(next, again, "x");
    }
    expect(disk.readRaw("/log")!.toString()).toMatch(/^one/);
  });

  it("restores a removed folder with what was durable in it", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/folder/file", "x");
    const fs = disk.mount("a");
    fs.unlink("/folder/file");
    fs.rmdir("/folder");
    disk.powerCut("durable-only");
    expect(disk.tree()).toEqual({ "/folder/": "", "/folder/file": "x" });
    const after = disk.mount("b");
    after.mkdir("/folder/inside");
    expect(after.realpath("/folder/inside")).toBe("/folder/inside");
  });
});

describe("a failed sync", () => {
  it("loses the data for good, though readers still see it and the next sync succeeds", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/log", "1");
    const fs = disk.mount("a");
    const fd = fs.open("/log", "append");
    append(fs, fd, "2");
    fs.onCall = (call) => (call.name === "fdatasync" ? { failSync: true } : undefined);
    expect(() => fs.fdatasync(fd)).toThrow(expect.objectContaining({ code: "EIO", syscall: "fdatasync" }));
    fs.onCall = undefined;
    expect(disk.readRaw("/log")!.toString()).toBe("12");
    append(fs, fd, "3");
    fs.fdatasync(fd);
    disk.powerCut("keep-all");
    expect(disk.readRaw("/log")!.toString()).toEqual("1\u00003");
  });

  it("and what is written again can be synced again", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    disk.writeRaw("/file", "");
    const fd = fs.open("/file", "update");
    fs.write(fd, Buffer.from("abcdefgh"), 0, 8, 0);
    fs.onCall = () => ({ failSync: true });
    expect(() => fs.fdatasync(fd)).toThrow(expect.objectContaining({ code: "EIO" }));
    fs.onCall = undefined;
    fs.write(fd, Buffer.from("cd"), 0, 2, 2);
    fs.write(fd, Buffer.from("gh"), 0, 2, 6);
    fs.fdatasync(fd);
    disk.powerCut("durable-only");
    expect(disk.readRaw("/file")!.toString()).toEqual("\0\0cd\0\0gh");
  });
});

describe("a full disk", () => {
  it("takes what fits, then says ENOSPC; removing makes room again", () => {
    const disk = new SimulatedDisk({ capacityBytes: 10 });
    const fs = disk.mount("a");
    const fd = fs.open("/file", "create");
    expect(fs.write(fd, Buffer.alloc(7), 0, 7)).toBe(7);
    expect(fs.write(fd, Buffer.alloc(7), 0, 7)).toBe(3);
    expect(() => fs.write(fd, Buffer.alloc(7), 0, 7)).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    for (const call of [
      () => fs.mkdir("/folder"),
      () => fs.open("/other", "create"),
      () => fs.link("/file", "/l"),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    }
    fs.unlink("/file");
    expect(disk.freeBytes).toBe(0);
    fs.close(fd);
    expect(disk.freeBytes).toBe(10);
    disk.freeBytes = 0;
    expect(() => fs.mkdir("/folder")).toThrow(expect.objectContaining({ code: "ENOSPC" }));
  });
});

describe("a clone", () => {
  it("goes its own way, whoever appends or overwrites first", () => {
    const disk = new SimulatedDisk();
    const fs = disk.mount("a");
    const creator = fs.open("/file", "create");
    append(fs, creator, "12");
    const appender = fs.open("/file", "append");
    append(fs, appender, "34");
    const copy = disk.clone();
    append(fs, creator, "x"); // at its own position: overwrites the 3
    append(fs, appender, "5");
    const other = copy.mount("b");
    append(other, other.open("/file", "append"), "6789");
    expect(disk.tree()).toEqual({ "/file": "12x45" });
    expect(copy.tree()).toEqual({ "/file": "12346789" });
    fs.fdatasync(appender);
    disk.powerCut("keep-all");
    copy.powerCut("durable-only");
    expect(disk.tree()).toEqual({ "/file": "12x45" });
    expect(copy.tree()).toEqual({});
  });
});

describe("the raw door", () => {
  it("writes, reads, links, plants and removes behind everybody's back, durably", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/a/b/file", "one");
    const { inode } = disk.mount("a").lstat("/a/b/file");
    disk.writeRaw("/a/b/file", "two!");
    disk.symlink("/a/link", "b/file");
    disk.makeSpecial("/a/fifo");
    disk.setStatus("/a/b", { mode: 0o755, owner: 7, modifiedAt: 5 });
    disk.powerCut("durable-only");
    const fs = disk.mount("b");
    expect(fs.lstat("/a/b/file")).toMatchObject({ inode, size: 4 });
    expect(fs.lstat("/a/b")).toMatchObject({ mode: 0o755, owner: 7, modifiedAt: 5 });
    expect(fs.lstat("/a/fifo").kind).toBe("other");
    expect(disk.readRaw("/a/link")!.toString()).toBe("two!");
    expect(disk.readRaw("/a/nothing")).toBeUndefined();
    expect(disk.tree("/a")).toEqual({
      "/a/b/": "",
      "/a/b/file": "two!",
      "/a/fifo": "",
      "/a/link": "-> b/file",
    });
    disk.removeRaw("/a");
    expect(disk.tree()).toEqual({});
    expect(disk.usedBytes).toBe(0);
    disk.removeRaw("/a");
  });

  it("takes names such as __proto__ for names", () => {
    const disk = new SimulatedDisk();
    disk.writeRaw("/__proto__/constructor", "x");
    expect(Object.entries(disk.tree())).toEqual([
      ["/__proto__/", ""],
      ["/__proto__/constructor", "x"],
    ]);
  });
});
