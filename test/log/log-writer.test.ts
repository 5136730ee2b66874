/**
 * Goal: a record is written whole, however long it is, and what no reader would accept is not written. A write that was
 * torn is left to itself; a writer says that its record does not count only if it never will.
 * Method: a `LogWriter` on a simulated disk, records of all lengths, and writes that are cut at every byte.
 */
import { describe, expect, it } from "vitest";
import { Layout } from "../../src/format/layout.js";
import { LINE_BYTES_MAX } from "../../src/format/limits.js";
import { encodeLogLine } from "../../src/format/log-line.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { LogWriter } from "../../src/log/log-writer.js";
import { LogTail, type LogObserver } from "../../src/log/log-tail.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { headerLine, recordLine } from "./segments.js";

const layout = new Layout("/s");
const HEADER = headerLine(1, 1);
const NEWLINE = Buffer.from("\n");

type Write = FileSystem["write"];

function fixture() {
  const disk = new SimulatedDisk();
  disk.writeRaw(layout.segment(1), HEADER);
  const fs = disk.mount("writer");
  const write = fs.write.bind(fs);
  /** What becomes of the next writes, in turn. */
  const cuts: ((...args: Parameters<Write>) => number)[] = [];
  fs.write = (...args) => (cuts.shift() ?? write)(...args);
  const observer: LogObserver = {
    committed: (_segment, commit) => writer.saw(commit),
    entered: () => {},
    dropped: () => {},
    rewound: () => {},
  };
  const tail = new LogTail(fs, layout, "id", "append", observer);
  const writer = new LogWriter(fs, tail, observer, "w");
  tail.catchUp();
  const append = (text: string): number | undefined => {
    const record = { w: "w", n: writer.nextNumber(), g: 1, t: 0, ops: [{ k: "k", s: { text } }] };
    return writer.append(tail.active, record, [{ text }])?.revision;
  };
  const bytes = (): Buffer => Buffer.from(disk.readRaw(layout.segment(1)) ?? []);
  /** The next write is cut after so many bytes, and others append something before it is read back. */
  const cutAfter = (count: number, others: Buffer = Buffer.alloc(0)): void => {
    cuts.push((fd, data, offset, length) => {
      const written = Math.min(length, count);
      if (written > 0) write(fd, data, offset, written);
      if (others.length > 0) write(fd, others, 0, others.length);
      return written;
    });
  };
  return { disk, tail, writer, append, bytes, cutAfter };
}

function lengthOf(text: string, n = 1): number {
  return recordLine(n, 1, [{ k: "k", s: { text } }]).length;
}

it.each([1, 100, 3000, 5400, 5500, 16_300, 16_400, 70_000])(
  "a record with %i letters is written whole",
  (length) => {
    const { append, bytes } = fixture();
    for (const letter of ["x", "\u20ac"]) append(letter.repeat(length));
    const end = bytes().length;
    expect(append("the end")).toBe(1 + end);
    const texts = String(bytes())
      .split("\n")
      .slice(1, -1)
      .map((line) => (JSON.parse(line.slice(9)) as { ops: [{ s: { text: string } }] }).ops[0].s.text);
    expect(texts).toEqual(["x".repeat(length), "\u20ac".repeat(length), "the end"]);
  },
);

it("a record longer than a line may be is refused, and the log is as before", () => {
  const { append, bytes } = fixture();
  const writing = (): unknown => append("x".repeat(LINE_BYTES_MAX));
  expect(writing).toThrow(expect.objectContaining({ code: "record_too_large" }));
  expect(bytes()).toEqual(HEADER);
});

it("a record's revision is the segment's first one and the offset of its line", () => {
  const { append } = fixture();
  expect(append("a")).toBe(1 + HEADER.length);
  expect(append("b")).toBe(1 + HEADER.length + lengthOf("a"));
});

describe("a write that is cut short", () => {
  it("anywhere: the record does not count, nothing ends it, and the next one is glued to it", () => {
    for (let cut = 0; cut < lengthOf("a") - 1; cut++) {
      const { append, bytes, cutAfter, tail } = fixture();
      cutAfter(cut);
      expect(() => append("a"), `${cut}`).toThrow(expect.objectContaining({ code: "ENOSPC" }));
      expect(bytes().length).toBe(HEADER.length + cut);
      expect(append("b"), `${cut}`).toBe(1 + HEADER.length + cut);
      expect(bytes().subarray(HEADER.length + cut)).toEqual(recordLine(2, 1, [{ k: "k", s: { text: "b" } }]));
      expect(tail.active.damaged).toBe(false);
    }
  });

  it("in front of the newline: its writer appends that, and it counts", () => {
    const { append, bytes, cutAfter } = fixture();
    cutAfter(lengthOf("a") - 1);
    expect(append("a")).toBe(1 + HEADER.length);
    expect(bytes().at(-1)).toBe(0x0a);
    expect(append("b")).toBe(1 + HEADER.length + lengthOf("a"));
  });

  it("in front of the newline, with another's line glued to it: it counts", () => {
    const { append, bytes, cutAfter } = fixture();
    cutAfter(lengthOf("a") - 1, recordLine(1, 1, [{ k: "other", s: {} }], "x"));
    expect(append("a")).toBe(1 + HEADER.length);
    expect(String(bytes()).split("\n")).toHaveLength(3);
  });

  it("in front of the newline, with another's torn write behind it: nobody can say whether it will count", () => {
    const { append, bytes, cutAfter } = fixture();
    const torn = recordLine(1, 1, [{ k: "other", s: {} }], "x").subarray(0, 30);
    cutAfter(lengthOf("a") - 1, torn);
    expect(() => append("a")).toThrow(expect.objectContaining({ code: "commit_unknown" }));
    expect(bytes().at(-1)).not.toBe(0x0a);
    const at = bytes().length;
    expect(append("b")).toBe(1 + at); // which makes the first one count as well
  });

  it("anywhere, with another's line glued to it: it does not count", () => {
    const { append, cutAfter, tail } = fixture();
    cutAfter(40, recordLine(1, 1, [{ k: "other", s: {} }], "x"));
    expect(() => append("a")).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    expect([...tail.active.ledger.changed]).toEqual([["other", 1 + HEADER.length + 40]]);
  });
});

describe("a record that stands in or behind bytes that cannot be read", () => {
  it.each([
    ["whole", 1000],
    ["cut short", 40],
  ])("and is %s: nobody can say whether it counts", (_name, cut) => {
    const { append, bytes, cutAfter, disk } = fixture();
    const damage = Buffer.from("damage\n");
    disk.writeRaw(layout.segment(1), Buffer.concat([HEADER, damage]));
    cutAfter(cut);
    expect(() => append("a")).toThrow(expect.objectContaining({ code: "commit_unknown" }));
    expect(bytes().length).toBeGreaterThan(HEADER.length + damage.length);
  });

  it("so it is where the log was cut off under its writer", () => {
    const { append, disk } = fixture();
    expect(append("a")).toBe(1 + HEADER.length);
    disk.writeRaw(layout.segment(1), HEADER);
    expect(() => append("b")).toThrow(
      expect.objectContaining({
        code: "commit_unknown",
        cause: expect.objectContaining({ code: "log_damaged" }),
      }),
    );
  });
});

describe("a seal", () => {
  function sealed(rest: Buffer, seal = {}) {
    const made = fixture();
    const { disk, tail, writer, bytes } = made;
    disk.writeRaw(layout.segment(1), Buffer.concat([HEADER, rest]));
    tail.catchUp();
    writer.seal(tail.active, seal);
    return { ...made, behind: bytes().subarray(HEADER.length + rest.length) };
  }
  const line = recordLine(1, 1, [{ k: "k", s: {} }], "x");

  it("is glued to a torn write", () => {
    const { tail, behind } = sealed(line.subarray(0, 30));
    expect(behind).toEqual(encodeLogLine('{"seal":2}'));
    expect(tail.active).toMatchObject({ damaged: false, ledger: { sealed: true } });
  });

  it("lets a line count that lacks only its newline", () => {
    const { tail } = sealed(line.subarray(0, -1));
    expect(tail.active.ledger).toMatchObject({ sealed: true, lastRevision: 1 + HEADER.length });
  });

  it.each([
    ["zeros", Buffer.alloc(16)],
    ["text", Buffer.from("something else")],
  ])("gets a newline in front behind %s, or it could not be read itself", (_name, rest) => {
    const { tail, behind } = sealed(rest, { gap: HEADER.length });
    expect(behind).toEqual(Buffer.concat([NEWLINE, encodeLogLine(`{"seal":2,"gap":${HEADER.length}}`)]));
    expect(tail.active.ledger).toMatchObject({ sealed: true, gap: HEADER.length, sealedGap: HEADER.length });
  });

  it("that is torn itself is written again", () => {
    const { tail, writer, cutAfter, bytes } = fixture();
    cutAfter(7);
    writer.seal(tail.active);
    expect(tail.active.ledger.sealed).toBe(true);
    const seal = encodeLogLine('{"seal":2}');
    expect(bytes().subarray(HEADER.length)).toEqual(Buffer.concat([seal.subarray(0, 7), seal]));
  });
});
