/**
 * Goal: shared values are durable before they are named, found wherever a removal or a power cut left them, and believed
 * only if their bytes are right.
 * Method: a `BlobStore` and its trash on a simulated disk.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { EntryWriter, readEntryFile } from "../../src/entries/entry-file.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import type { SimulatedFileSystem } from "../../src/testing/simulated/file-system.js";
import {
  CONTENT,
  discarded,
  discardOne,
  empty,
  fixture,
  HASH,
  layout,
  PAST_STAGE,
  processOn,
  REFERENCE,
  STAGE,
} from "./blob-fixture.js";

describe("O14: a value that is there when it is needed", () => {
  it("and that nobody has synced, after a restore by hand, is made durable", async () => {
    const { disk, fs, blobs } = await fixture();
    disk.removeRaw(layout.blob(HASH));
    const restored = fs.open(layout.blob(HASH), "create");
    fs.write(restored, CONTENT, 0, CONTENT.length);
    fs.close(restored);
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    disk.powerCut("durable-only");
    expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
  });

  it("and is not there is durable before it has its name", async () => {
    const { disk, fs, blobs } = await fixture();
    disk.removeRaw(layout.blob(HASH));
    const calls: string[] = [];
    fs.onCall = ({ name }) => void calls.push(name);
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    const written = calls.slice(calls.indexOf("write"));
    expect(written.indexOf("fdatasync")).toBeGreaterThan(0);
    expect(written.indexOf("fdatasync")).toBeLessThan(written.indexOf("rename"));
  });

  it("and damaged is replaced by the good one in the trash", async () => {
    const { disk, blobs } = await fixture();
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee`, CONTENT);
    disk.writeRaw(layout.blob(HASH), CONTENT.toString().replace("share", "shore"));
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("and damaged is replaced by the good one when the trash is emptied", async () => {
    const process = await fixture();
    const { disk, blobs } = process;
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee.5`, CONTENT);
    disk.writeRaw(layout.blob(HASH), CONTENT.toString().replace("share", "shore"));
    await empty(process, 6, { referenced: true });
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("and has a name elsewhere is used as it is: nobody can write to it by that name but us", async () => {
    const { fs, blobs } = await fixture();
    fs.link(layout.blob(HASH), "/snapshot");
    const { inode } = fs.lstat(layout.blob(HASH));
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    expect(fs.lstat(layout.blob(HASH))).toMatchObject({ inode, links: 2 });
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it.each(["who has its content", "who has not"])(
    "whose sync failed is written anew by a writer %s: the next sync would say that it is clean",
    async (who) => {
      const { fs, blobs, disk } = await fixture();
      fs.onCall = ({ name }) => (name === "fdatasync" ? { failSync: true } : undefined);
      await expect(blobs.ensure(REFERENCE, CONTENT, STAGE)).rejects.toMatchObject({ code: "EIO" });
      fs.onCall = undefined;
      disk.writeRaw(layout.blob(HASH), CONTENT); // what the page cache still says
      const { inode } = fs.lstat(layout.blob(HASH));
      expect(await blobs.ensure(REFERENCE, who.endsWith("content") ? CONTENT : undefined, STAGE)).toBe(
        "done",
      );
      expect(fs.lstat(layout.blob(HASH)).inode).not.toBe(inode);
      disk.powerCut("durable-only");
      expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
    },
  );

  it("damaged in its place and in the trash is made anew by a writer that has the content", async () => {
    const process = await fixture();
    const { disk, blobs } = process;
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee.4`, "damage");
    disk.removeRaw(layout.blob(HASH));
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
    await empty(process, 6, { referenced: true });
    expect(discarded(disk)).toEqual([]);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });
});

describe("links in place of the store's folders", () => {
  it.each(["blobs", "trash", "stage"])("%s: no value is made or read through them", async (name) => {
    const { disk, fs, blobs } = await fixture();
    const folder = `${layout.store}/${name}`;
    disk.makeDirectory("/theirs");
    fs.rename(folder, "/theirs/moved");
    disk.symlink(folder, "/theirs/moved");
    const before = disk.tree("/theirs");
    const other = Buffer.from('["another value"]');
    const hash = createHash("sha256").update(other).digest("hex");
    const making = blobs.ensure({ hash, bytes: other.length, nested: false }, other, STAGE);
    await expect(making).rejects.toMatchObject({ code: "file_unsafe" });
    if (name === "blobs") {
      expect(() => blobs.load(REFERENCE)).toThrow(expect.objectContaining({ code: "file_unsafe" }));
    }
    expect(disk.tree("/theirs")).toEqual(before);
  });
});

describe("finding a value", () => {
  it("a writer without the content takes it back from the trash", async () => {
    const { blobs, trash } = await fixture();
    await discardOne(trash);
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("the name in the trash of a discarder that was fenced goes with that", async () => {
    const { disk, blobs } = await fixture();
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee.${PAST_STAGE}`, CONTENT);
    disk.removeRaw(layout.blob(HASH));
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(discarded(disk)).toEqual([]);
  });

  it("two writers that take it back at once leave nothing in the staging folder", async () => {
    const { disk, fs, blobs } = await fixture();
    const name = `${layout.trash}/${HASH}.00c0ffee.5`;
    fs.rename(layout.blob(HASH), name);
    fs.onCall = (call) => {
      if (call.name !== "rename") return;
      fs.onCall = undefined;
      fs.link(name, layout.blob(HASH));
    };
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
  });

  it("a reader finds it in the trash, and leaves it there", async () => {
    const { disk, blobs, trash } = await fixture();
    await discardOne(trash);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
    expect(discarded(disk)).not.toEqual([]);
  });

  it("a value that is nowhere is missing, one with other bytes is damaged", async () => {
    const { disk, blobs } = await fixture();
    disk.writeRaw(layout.blob(HASH), CONTENT.toString().replace("share", "shore"));
    expect(() => blobs.load(REFERENCE)).toThrow(expect.objectContaining({ code: "blob_corrupt" }));
    disk.removeRaw(layout.blob(HASH));
    expect(() => blobs.load(REFERENCE)).toThrow(expect.objectContaining({ code: "blob_missing" }));
    await expect(blobs.ensure(REFERENCE, undefined, STAGE)).rejects.toMatchObject({ code: "blob_missing" });
  });

  it("a value that is larger than any may be is not read", async () => {
    const { blobs } = processOn((await fixture()).disk, 3, CONTENT.length - 1);
    expect(() => blobs.load(REFERENCE)).toThrow(expect.objectContaining({ code: "file_unsafe" }));
  });

  it("a writer whose staging folder is gone is told", async () => {
    const { disk, blobs } = await fixture();
    disk.removeRaw(layout.blob(HASH));
    disk.removeRaw(layout.stageFolder(STAGE));
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("fenced");
  });
});

/** What a power cut leaves of a rename whose two folders it treats each for itself. */
function keepBothNames(fs: SimulatedFileSystem, path: string, other: string): void {
  fs.link(path, other);
}

describe("a file that a power cut left under both names of a rename", () => {
  it.each([
    ["a staging folder", `${layout.stageFolder(STAGE)}/temp`],
    ["the trash", `${layout.trash}/${HASH}.c0ffee`],
  ])("a shared value, also in %s, is good for readers and writers", async (_where, other) => {
    const { fs, blobs } = await fixture();
    keepBothNames(fs, layout.blob(HASH), other);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
  });

  it("the name in the trash goes, though the value is referenced", async () => {
    const process = await fixture();
    const { disk, fs, blobs } = process;
    keepBothNames(fs, layout.blob(HASH), `${layout.trash}/${HASH}.c0ffee.5`);
    await empty(process, 6, { referenced: true });
    expect(discarded(disk)).toEqual([]);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("an entry file is good, and so it is with a name in a snapshot", async () => {
    const { fs } = await fixture();
    const policy = { isInLog: () => false, isOvertaken: () => false, onWarning: () => {} };
    const writer = new EntryWriter(fs, layout, new ManualRuntime(), policy);
    const state = { key: "k", revision: 1, modifiedAt: 0, stored: { n: 1 } };
    expect(await writer.write(state, STAGE, { sync: false })).toBe("done");
    keepBothNames(fs, layout.entryFile("k"), `${layout.stageFolder(STAGE)}/temp`);
    expect(readEntryFile(fs, layout, "k")).toMatchObject({ status: "present", revision: 1 });
    fs.link(layout.entryFile("k"), "/snapshot");
    expect(readEntryFile(fs, layout, "k")).toMatchObject({ status: "present", revision: 1 });
  });
});
