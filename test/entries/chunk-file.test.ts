/**
 * Goal: a chunk gives its lines in both directions and finds any of them by number or position without being read whole; and what is
 * damaged in it is named by its byte.
 * Method: chunks of many lines on a simulated disk, whose read bytes are counted, and one damage of each kind.
 */
import { describe, expect, it } from "vitest";
import { ChunkFile } from "../../src/entries/chunk-file.js";
import { composeChunkHeader, composeItemLine } from "../../src/format/transcript-lines.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";

const PATH = "/s/k/main.000000000005-7.jsonl";
const HEADER = { first: 5, since: 3, cut: 7, last: 8, before: 4, gone: 0 };

/** Items with the numbers 5, 10, 15 …, at positions 5, 6, 7 …, and where their lines begin. */
function chunk(count: number, text = "x".repeat(200)): { bytes: Buffer; starts: number[] } {
  const parts = [composeChunkHeader("k", "main", HEADER)];
  const starts: number[] = [];
  let end = parts[0]?.length ?? 0;
  for (let index = 0; index < count; index++) {
    const header = { seq: 5 + 5 * index, position: 5 + index, revision: 9, time: 1, gone: 0, id: undefined };
    const line = composeItemLine(header, JSON.stringify({ index, text }));
    starts.push(end);
    end += line.length;
    parts.push(line);
  }
  return { bytes: Buffer.concat(parts), starts };
}

function opened(bytes: Buffer, options?: Parameters<typeof ChunkFile.open>[2]) {
  const disk = new SimulatedDisk();
  disk.writeRaw(PATH, bytes);
  const fs = disk.mount("reader");
  let read = 0;
  fs.onCall = ({ name, args }) => {
    if (name === "read") read += args[3] as number;
  };
  return { fs, file: ChunkFile.open(fs, PATH, options), bytesRead: () => read };
}

const seqOf = (file: ChunkFile, line: Parameters<ChunkFile["parse"]>[0]): number => file.parse(line).seq;
const damage = (offset: number): unknown =>
  expect.objectContaining({
    code: "transcript_damaged",
    data: expect.objectContaining({ path: PATH, offset }) as unknown,
  });

describe("lines", () => {
  it.each([0, 1, 3, 2000])("of a chunk of %i come forwards and backwards, with their places", (count) => {
    const { bytes, starts } = chunk(count);
    const { file, fs } = opened(bytes);
    expect(file.header).toEqual(HEADER);
    expect([file.key, file.transcript]).toEqual(["k", "main"]);
    const forwards = [...file.forwards(file.body)];
    expect(forwards.map(({ at }) => at)).toEqual(starts);
    expect(forwards.map((line) => seqOf(file, line))).toEqual(starts.map((_at, index) => 5 + 5 * index));
    const backwards = [...file.backwards(file.end)];
    expect(backwards.map(({ at }) => at)).toEqual(starts.toReversed());
    expect(file.last()?.seq).toBe(count === 0 ? undefined : 5 * count);
    file.close();
    expect(fs.openPaths).toEqual([]);
  });

  it("that are longer than a block come whole", () => {
    const { bytes, starts } = chunk(3, "y".repeat(300_000));
    const { file } = opened(bytes);
    expect([...file.forwards(file.body)].map(({ at }) => at)).toEqual(starts);
    expect([...file.backwards(file.end)].map(({ at }) => at)).toEqual(starts.toReversed());
  });

  it("behind the bytes that count are none", () => {
    const { bytes, starts } = chunk(3);
    const { file } = opened(Buffer.concat([bytes, Buffer.from("half a li")]), { end: starts[2] as number });
    expect([...file.forwards(file.body)]).toHaveLength(2);
    expect(file.last()?.seq).toBe(10);
    expect(file.find(15)).toBe(starts[2]);
  });
});

describe("a line is found", () => {
  const { bytes, starts } = chunk(3000);

  it.each([1, 2, 3, 777, 1500, 2999, 3000])("by number and by position: the %ith", (nth) => {
    for (const [wanted, by] of [
      [5 * nth, "seq"],
      [5 * nth - 4, "seq"],
      [4 + nth, "position"],
    ] as const) {
      const { file, bytesRead } = opened(bytes);
      expect(file.find(wanted, by)).toBe(starts[nth - 1]);
      expect(bytesRead()).toBeLessThan(bytes.length / 6);
      expect(file.scan(wanted, by)).toBe(starts[nth - 1]);
    }
  });

  it("nowhere, if it is behind the last one", () => {
    const { file } = opened(bytes);
    expect(file.find(15_001)).toBe(bytes.length);
    expect(file.scan(15_001)).toBe(bytes.length);
  });

  it("the last one without the rest of the file", () => {
    const { file, bytesRead } = opened(bytes);
    expect(file.last()?.seq).toBe(15_000);
    expect(bytesRead()).toBeLessThan(bytes.length / 6);
  });
});

describe("damage is named by its byte:", () => {
  const { bytes, starts } = chunk(40);
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] as number) ^ 1;
    return copy;
  };

  it("the first line", () => {
    expect(() => opened(flipped(12)).file.header).toThrow(damage(0));
    expect(() => opened(Buffer.from("no newline")).file.header).toThrow(damage(0));
    expect(() => opened(Buffer.alloc(0)).file.header).toThrow(damage(0));
  });

  it.each([
    ["session", { key: "other", transcript: "main", first: 5 }],
    ["transcript", { key: "k", transcript: "other", first: 5 }],
    ["beginning", { key: "k", transcript: "main", first: 6 }],
  ])("a first line of another %s", (_name, whose) => {
    expect(() => opened(bytes, { whose }).file.header).toThrow(damage(0));
  });

  it("a line, and no other one", () => {
    const { file } = opened(flipped((starts[20] as number) + 100));
    const lines = [...file.forwards(file.body)];
    expect(() => file.parse(lines[20] as (typeof lines)[0])).toThrow(damage(starts[20] as number));
    for (const [index, line] of lines.entries())
      if (index !== 20) expect(seqOf(file, line)).toBe(5 + 5 * index);
  });

  it("a line without an end", () => {
    const { file } = opened(bytes.subarray(0, -1));
    expect(() => [...file.forwards(file.body)]).toThrow(damage(starts[39] as number));
    expect(() => file.last()).toThrow(expect.objectContaining({ code: "transcript_damaged" }));
  });

  it.each([
    ["in the middle", (index: number) => index > 150 && index < 250],
    ["at the beginning", (index: number) => index < 350],
    ["at the end", (index: number) => index >= 50],
    ["everywhere", () => true],
  ] as const)("lines that do not begin as an item does, %s: others are found", (_where, isDamaged) => {
    const many = chunk(400);
    const copy = Buffer.from(many.bytes);
    for (const [index, at] of many.starts.entries()) if (isDamaged(index)) copy.fill(0, at, at + 30);
    const { file } = opened(copy);
    for (let index = 0; index < 400; index++) {
      const next = many.starts.findIndex((_at, other) => other >= index && !isDamaged(other));
      expect(file.find(5 + 5 * index)).toBe(next < 0 ? copy.length : many.starts[next]);
    }
  });
});
