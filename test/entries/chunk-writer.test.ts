/**
 * Goal: a file of a transcript is made whole or not at all, never replaced, never made in place; a line is written to its place alone,
 * and only if it is not there (T1 to T4).
 * Method: a `ChunkWriter` on a simulated disk; what others do at a call is done to the disk directly.
 */
import { describe, expect, it } from "vitest";
import { ChunkWriter } from "../../src/entries/chunk-writer.js";
import { crc32Number } from "../../src/format/crc32.js";
import { Layout } from "../../src/format/layout.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import type { SimulatedCall } from "../../src/testing/simulated/file-system.js";

const layout = new Layout("/s");
const STAGE = "1-c0ffee";
const FOLDER = layout.sessionFolder("k");
const PATH = layout.chunk("k", "main", { first: 1, born: 7 });
const WHOLE = Buffer.from("header\nline\n");

function fixture() {
  const disk = new SimulatedDisk();
  disk.makeDirectory(layout.stageFolder(STAGE));
  const fs = disk.mount("process");
  const writer = new ChunkWriter(fs, layout, new ManualRuntime());
  const calls: SimulatedCall[] = [];
  fs.log = calls;
  return { disk, fs, writer, names: () => calls.map(({ name }) => name) };
}

const make = (writer: ChunkWriter, sync = false): ReturnType<ChunkWriter["make"]> =>
  writer.make(PATH, FOLDER, STAGE, WHOLE, { sync });

describe("T2: a chunk is made", () => {
  it("whole, with its folder, and its other name goes", async () => {
    const { disk, writer, fs } = fixture();
    expect(await make(writer)).toBe("made");
    expect(disk.readRaw(PATH)).toEqual(WHOLE);
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
    expect(fs.openPaths).toEqual([]);
  });

  it("never in the place of one that is there", async () => {
    const { disk, writer } = fixture();
    disk.writeRaw(PATH, "another process has written more");
    expect(await make(writer)).toBe("there");
    expect(disk.readRaw(PATH)?.toString()).toBe("another process has written more");
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
  });

  it("not once its staging folder is gone, and no empty folder stays", async () => {
    const { disk, writer } = fixture();
    disk.removeRaw(layout.stageFolder(STAGE));
    expect(await make(writer)).toBe("fenced");
    expect(disk.names("/s")).toEqual([".store"]);
  });

  it("not once what was staged is gone, and no empty folder stays", async () => {
    const { disk, fs, writer } = fixture();
    fs.onCall = ({ name }) => {
      if (name === "link") disk.removeRaw(layout.stageFolder(STAGE));
    };
    expect(await make(writer)).toBe("fenced");
    expect(disk.names("/s")).toEqual([".store"]);
  });

  it("again when a sweeper took its empty folder", async () => {
    const { disk, fs, writer } = fixture();
    let swept = 0;
    fs.onCall = ({ name }) => {
      if (name === "link" && swept++ < 3) disk.removeRaw(FOLDER);
    };
    expect(await make(writer)).toBe("made");
    expect(swept).toBe(4);
    expect(disk.readRaw(PATH)).toEqual(WHOLE);
  });

  it("not for ever", async () => {
    const { disk, fs, writer } = fixture();
    fs.onCall = ({ name }) => {
      if (name === "link") disk.removeRaw(FOLDER);
    };
    await expect(make(writer)).rejects.toMatchObject({ code: "io_error", data: { path: FOLDER } });
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
  });

  it("not through a link that stands in the folder's place", async () => {
    const { disk, writer } = fixture();
    disk.makeDirectory("/elsewhere");
    disk.symlink(FOLDER, "/elsewhere");
    await expect(make(writer)).rejects.toMatchObject({ code: "file_unsafe" });
    expect(disk.names("/elsewhere")).toEqual([]);
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
  });

  it.each(["link", "mkdir"] as const)("nor is anything left of it when %s fails", async (failing) => {
    const { disk, fs, writer } = fixture();
    fs.onCall = ({ name }) => {
      if (name === failing) throw Object.assign(new Error("EIO"), { code: "EIO" });
    };
    await expect(make(writer)).rejects.toMatchObject({ code: "EIO" });
    expect(disk.names(layout.stageFolder(STAGE))).toEqual([]);
  });
});

describe("T3: a chunk that begins with lines of another one", () => {
  it("is durable before it has its name", async () => {
    const { writer, names } = fixture();
    await make(writer, true);
    expect(names().filter((name) => name === "fdatasync" || name === "link")).toEqual(["fdatasync", "link"]);
  });

  it("others are synced when it comes to that", async () => {
    const { writer, names } = fixture();
    await make(writer);
    expect(names()).not.toContain("fdatasync");
  });
});

describe("T1: a line is written", () => {
  const place = async (writer: ChunkWriter, at: number, text: string, durable = false): Promise<void> => {
    const chunk = writer.open(PATH, FOLDER);
    if (chunk === undefined) throw new Error(`no ${PATH}`);
    try {
      await chunk.place(at, Buffer.from(text));
      if (durable) await chunk.sync();
    } finally {
      chunk.close();
    }
  };

  it("to its place, whatever is in front of it and behind", async () => {
    const { disk, writer, fs } = fixture();
    disk.writeRaw(PATH, "header\nXXXX\nnext\n");
    await place(writer, 7, "line\n");
    expect(disk.readRaw(PATH)?.toString()).toBe("header\nline\nnext\n");
    expect(fs.openPaths).toEqual([]);
  });

  it("behind the end", async () => {
    const { disk, writer } = fixture();
    disk.writeRaw(PATH, "header\n");
    await place(writer, 7, "line\n");
    expect(disk.readRaw(PATH)?.toString()).toBe("header\nline\n");
  });

  it("not if it is there", async () => {
    const { disk, writer, names } = fixture();
    disk.writeRaw(PATH, "header\nline\n");
    await place(writer, 7, "line\n");
    expect(names()).not.toContain("write");
    expect(names()).not.toContain("fdatasync");
  });

  it("also where only its beginning is there", async () => {
    const { disk, writer } = fixture();
    disk.writeRaw(PATH, "header\nli");
    await place(writer, 7, "line\n");
    expect(disk.readRaw(PATH)?.toString()).toBe("header\nline\n");
  });

  it.each(["header\nline\n", "header\n"])("and made durable, whoever wrote it: %j", async (before) => {
    const { disk, writer } = fixture();
    disk.writeRaw(PATH, before);
    const fs = disk.mount("another process");
    const fd = fs.open(PATH, "update");
    fs.write(fd, Buffer.from(before), 0, before.length, 0);
    await place(writer, 7, "line\n", true);
    disk.powerCut("durable-only");
    expect(disk.readRaw(PATH)?.toString()).toBe("header\nline\n");
  });

  it("whole, if the system takes little at a time", async () => {
    const { disk, fs, writer } = fixture();
    disk.writeRaw(PATH, "header\n");
    fs.onCall = ({ name }) => (name === "write" ? { shortWrite: 2 } : undefined);
    await place(writer, 7, "line\n");
    expect(disk.readRaw(PATH)?.toString()).toBe("header\nline\n");
  });

  it("not for ever, if the system takes nothing", async () => {
    const { disk, fs, writer } = fixture();
    disk.writeRaw(PATH, "header\n");
    fs.onCall = ({ name }) => (name === "write" ? { shortWrite: 0 } : undefined);
    await expect(place(writer, 7, "line\n")).rejects.toMatchObject({ code: "EIO" });
    expect(fs.openPaths).toEqual([]);
  });
});

describe("T4: nothing is made in place", () => {
  it.each([true, false])("of a chunk that is not there; its folder is: %s", (folder) => {
    const { disk, writer } = fixture();
    if (folder) disk.makeDirectory(FOLDER);
    expect(writer.open(PATH, FOLDER)).toBeUndefined();
    expect(disk.readRaw(PATH)).toBeUndefined();
  });

  it("nor through a link that stands in the folder's place", () => {
    const { disk, writer } = fixture();
    disk.makeDirectory("/elsewhere");
    disk.writeRaw(`/elsewhere/${PATH.split("/").at(-1)}`, "foreign");
    disk.symlink(FOLDER, "/elsewhere");
    expect(() => writer.open(PATH, FOLDER)).toThrow(expect.objectContaining({ code: "file_unsafe" }));
    expect(disk.readRaw(`/elsewhere/${PATH.split("/").at(-1)}`)?.toString()).toBe("foreign");
  });
});

describe("T5: whether lines are there is told by their checksum", () => {
  const has = (text: string, from: number, to: number, there: string): boolean => {
    const { disk, writer, fs } = fixture();
    disk.writeRaw(PATH, there);
    const chunk = writer.open(PATH, FOLDER);
    const crc = crc32Number(Buffer.from(text).subarray(from, to));
    const answer = chunk?.has({ from, to, crc }) ?? false;
    chunk?.close();
    expect(fs.openPaths).toEqual([]);
    return answer;
  };

  it("of those alone", () => {
    expect(has("header\nline\nnext\n", 7, 12, "HEADER\nline\nNEXT")).toBe(true);
  });

  it.each(["header\nlyne\n", "header\nlin", "header\n", "", "header\n\0\0\0\0\0", "header\n line\n"])(
    "and they are not in %j",
    (there) => {
      expect(has("header\nline\n", 7, 12, there)).toBe(false);
    },
  );

  it("also where they are longer than what is read at once", () => {
    const long = "x".repeat(600 * 1024);
    expect(has(long, 0, long.length, long)).toBe(true);
    expect(has(long, 0, long.length, long.slice(1))).toBe(false);
  });
});

it("a chunk is removed once, and by any number of processes", async () => {
  const { disk, writer } = fixture();
  disk.writeRaw(PATH, WHOLE);
  await writer.remove("k", "main", { first: 1, born: 7 });
  await writer.remove("k", "main", { first: 1, born: 7 });
  expect(disk.readRaw(PATH)).toBeUndefined();
});
