/**
 * Goal: shared values are removed in two phases and never too early, found wherever a removal or a power cut left
 * them, and believed only if their bytes are right.
 * Method: a `BlobStore` on a simulated disk, with the log's part (which segment is active, what is referenced) played by
 * the test.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { BlobStore } from "../../src/entries/blobs.js";
import { EntryWriter, readEntryFile } from "../../src/entries/entry-file.js";
import { Layout } from "../../src/format/layout.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { seededRandom } from "../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../src/testing/simulated-disk.js";
import type { SimulatedFileSystem } from "../../src/testing/simulated-file-system.js";

const layout = new Layout("/s");
const STAGE = "1-c0ffee";
const CONTENT = Buffer.from('["a value that several sessions share"]');
const HASH = createHash("sha256").update(CONTENT).digest("hex");
const REFERENCE = { hash: HASH, bytes: CONTENT.length, nested: false };

interface Fixture {
  readonly disk: SimulatedDisk;
  readonly fs: SimulatedFileSystem;
  readonly blobs: BlobStore;
}

async function fixture(): Promise<Fixture> {
  const disk = new SimulatedDisk();
  for (const folder of [layout.stageFolder(STAGE), layout.blobs, layout.trash]) disk.makeDirectory(folder);
  const fs = disk.mount("process");
  const bytesMax = 1024 * 1024;
  const writing = new BlobStore(fs, layout, new ManualRuntime(), { bytesMax });
  expect(await writing.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
  const blobs = new BlobStore(fs, layout, new ManualRuntime({ seed: 2 }), { bytesMax });
  return { disk, fs, blobs };
}

function trash(disk: SimulatedDisk): string[] {
  return Object.keys(disk.tree(layout.trash)).map((path) => path.slice(layout.trash.length + 1));
}

function empty(blobs: BlobStore, activeSegment: number, referenced = false): Promise<void> {
  return blobs.emptyTrash(() => ({ activeSegment, isReferenced: () => referenced }));
}

describe("O14: removal in two phases", () => {
  it("a value that was moved to the trash stays until the segment that was active then is sealed", async () => {
    const { disk, blobs } = await fixture();
    await blobs.discard(HASH);
    expect(trash(disk).every((name) => /^[0-9a-f]{64}\.[0-9a-f]{16}$/.test(name))).toBe(true);
    await empty(blobs, 7);
    const stamped = trash(disk);
    expect(stamped).not.toEqual([]);
    expect(stamped.every((name) => name.endsWith(".7"))).toBe(true);
    await empty(blobs, 7);
    expect(trash(disk)).toEqual(stamped);
    await empty(blobs, 8);
    expect(trash(disk)).toEqual([]);
  });

  it("a value that is referenced after all goes back to its place, whatever segment is active", async () => {
    const { disk, blobs } = await fixture();
    await blobs.discard(HASH);
    await empty(blobs, 7);
    await empty(blobs, 9, true);
    expect(trash(disk)).toEqual([]);
    expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
  });

  it("F15: every move has a name of its own, so an older removal cannot hit a later move", async () => {
    const { disk, blobs } = await fixture();
    await blobs.discard(HASH);
    const first = trash(disk);
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    await blobs.discard(HASH);
    const later = trash(disk).filter((name) => !first.includes(name));
    expect(later).not.toEqual([]);
  });

  it("F15: it keeps a name in the trash, though somebody who uses it again takes the first one away", async () => {
    const { disk, fs, blobs } = await fixture();
    let first = "";
    fs.onCall = ({ name, args }) => void (name === "link" && (first = String(args[1])));
    await blobs.discard(HASH);
    disk.removeRaw(first);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("nothing is removed when the log cannot tell who is referenced", async () => {
    const { disk, blobs } = await fixture();
    await blobs.discard(HASH);
    await blobs.emptyTrash(() => undefined);
    expect(trash(disk)).not.toEqual([]);
  });
});

describe("a power cut at every call of", () => {
  const referenced = { activeSegment: 9, isReferenced: () => true };
  const WORK: Readonly<Record<string, (blobs: BlobStore, disk: SimulatedDisk) => Promise<unknown>>> = {
    "a removal's first phase": (blobs) => blobs.discard(HASH),
    "the mark": async (blobs, disk) => {
      await discarded(disk);
      await empty(blobs, 7);
    },
    "the way back": async (blobs, disk) => {
      await discarded(disk);
      await blobs.emptyTrash(() => referenced);
    },
  };

  /** Durably in the trash and nowhere else, as a removal leaves it. */
  async function discarded(disk: SimulatedDisk): Promise<void> {
    disk.writeRaw(`${layout.trash}/${HASH}.00c0ffee`, CONTENT);
    disk.removeRaw(layout.blob(HASH));
  }

  it.each(Object.keys(WORK))("%s: the value is still somewhere", async (name) => {
    for (let at = 1, finished = false; !finished; at++) {
      for (let seed = 1; seed <= 8; seed++) {
        const { disk, fs, blobs } = await fixture();
        const before = fs.calls;
        fs.onCall = ({ index }) => {
          if (index - before === at) fs.kill();
        };
        await Promise.race([WORK[name]!(blobs, disk).catch(() => {}), turn()]);
        finished = !fs.killed;
        disk.powerCut("random", seededRandom(seed));
        const next = new BlobStore(disk.mount("next"), layout, new ManualRuntime(), { bytesMax: 1024 });
        expect(next.load(REFERENCE), `call ${at}, seed ${seed}`).toEqual(CONTENT);
      }
    }
  });

  /** Long enough for everything that can still happen without a dead process. */
  function turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }
});

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

  it("and has a link from elsewhere is replaced by one of our own", async () => {
    const { fs, blobs } = await fixture();
    fs.link(layout.blob(HASH), "/theirs");
    expect(await blobs.ensure(REFERENCE, CONTENT, STAGE)).toBe("done");
    expect(fs.lstat(layout.blob(HASH)).links).toBe(1);
  });

  it("discarded by somebody else, and put back just now, stays in its place", async () => {
    const { disk, fs, blobs } = await fixture();
    let taken = 0;
    fs.onCall = ({ name, args }) => {
      if (name !== "lstat" || !String(args[0]).startsWith(layout.trash) || taken++ > 0) return;
      for (const path of trash(disk)) disk.removeRaw(`${layout.trash}/${path}`);
    };
    await blobs.discard(HASH);
    expect(taken).toBe(1);
    expect(disk.readRaw(layout.blob(HASH))).toEqual(CONTENT);
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
    const { blobs } = await fixture();
    await blobs.discard(HASH);
    expect(await blobs.ensure(REFERENCE, undefined, STAGE)).toBe("done");
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("a reader finds it in the trash, and leaves it there", async () => {
    const { disk, blobs } = await fixture();
    await blobs.discard(HASH);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
    expect(trash(disk)).not.toEqual([]);
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
    const { fs } = await fixture();
    const blobs = new BlobStore(fs, layout, new ManualRuntime(), { bytesMax: CONTENT.length - 1 });
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

  it("a second name that goes while it is looked for is no link from elsewhere", async () => {
    const { disk, fs, blobs } = await fixture();
    const other = `${layout.stageFolder(STAGE)}/temp`;
    keepBothNames(fs, layout.blob(HASH), other);
    let fenced = 0;
    fs.onCall = ({ name, args }) => {
      if (name === "readdir" && args[0] === layout.stage && fenced++ === 0) disk.removeRaw(other);
    };
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
    expect(fenced).toBe(1);
  });

  it("the name in the trash goes, though the value is referenced", async () => {
    const { disk, fs, blobs } = await fixture();
    keepBothNames(fs, layout.blob(HASH), `${layout.trash}/${HASH}.c0ffee.7`);
    await empty(blobs, 9, true);
    expect(trash(disk)).toEqual([]);
    expect(blobs.load(REFERENCE)).toEqual(CONTENT);
  });

  it("an entry file is good; with a link from anywhere else it is not", async () => {
    const { fs } = await fixture();
    const writer = new EntryWriter(fs, layout, new ManualRuntime());
    const state = { key: "k", revision: 1, modifiedAt: 0, stored: { n: 1 } };
    expect(await writer.write(state, STAGE, { sync: false })).toBe("done");
    keepBothNames(fs, layout.entryFile("k"), `${layout.stageFolder(STAGE)}/temp`);
    expect(readEntryFile(fs, layout, "k")).toMatchObject({ status: "present", revision: 1 });
    fs.link(layout.entryFile("k"), "/outside");
    expect(readEntryFile(fs, layout, "k")).toMatchObject({ status: "corrupt" });
  });
});
