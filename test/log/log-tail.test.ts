/**
 * Goal: the same bytes get the same verdicts, however they are read: in one piece, in tiny buffers, while they are being
 * written, by reads that come back short. And a log that cannot be read is an error, never a shorter log.
 * Method: random segments of good lines, torn writes, damage and seals, read in random ways and compared with one plain
 * read; and single segments with lines, and ends, of every kind.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLogLine } from "../../src/format/log-line.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { TORN_BYTES_MAX } from "../../src/log/log-tail.js";
import { systemError } from "../../src/testing/simulated/system-error.js";
import { interceptCalls } from "../support/intercept-calls.js";
import { append, diskWith, HEADER, layout, NEXT, Reading } from "./reading.js";
import { anySteps, composeSegment, headerLine as header, recordLine as encoded } from "./segments.js";

const segment = anySteps.map(composeSegment);

function outcomeOf(bytes: Uint8Array): object {
  const reading = new Reading(diskWith(bytes).mount("plain"));
  reading.read();
  return reading.outcome;
}

/** Reads that come back with fewer bytes than there are; how many each gives is taken from a list, in turn. */
function shortReads(fs: FileSystem, counts: readonly number[]): FileSystem {
  let turn = 0;
  return interceptCalls(fs, {
    read: (fd, buffer, offset, length, position) =>
      fs.read(fd, buffer, offset, Math.min(length, counts[turn++ % counts.length] ?? length), position),
  });
}

describe("O1: a verdict depends on the bytes alone", () => {
  it("not on the size of the buffer", () => {
    fc.assert(
      fc.property(segment, fc.integer({ min: 1, max: 200 }), (bytes, size) => {
        const reading = new Reading(diskWith(bytes).mount("small"), size);
        reading.read();
        expect(reading.outcome).toEqual(outcomeOf(bytes));
      }),
    );
  });

  it("not on how many bytes a read gives", () => {
    fc.assert(
      fc.property(segment, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (bytes, counts) => {
        const reading = new Reading(shortReads(diskWith(bytes).mount("short"), counts), 4096);
        reading.read();
        expect(reading.outcome).toEqual(outcomeOf(bytes));
      }),
    );
  });

  it("not on how far it was written when somebody looked", () => {
    fc.assert(
      fc.property(segment, fc.array(fc.nat(2000)), (bytes, cuts) => {
        const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
        const begin = header(1, 10).length;
        const disk = diskWith(bytes.subarray(0, begin));
        const writer = disk.mount("writer");
        const fd = writer.open(layout.segment(1), "append");
        const reading = new Reading(disk.mount("reader"));
        let written = begin;
        for (const end of ends) {
          reading.read();
          if (end <= written) continue;
          writer.write(fd, bytes, written, end - written);
          written = end;
        }
        reading.read();
        // What comes late behind the seal of a damaged segment is not looked at again: neither what it mentions, nor where it ends.
        const any = expect.anything() as unknown;
        const { active } = reading.tail;
        const late = { behind: any, ...(active.damaged && { wantedFirstRevision: any }) };
        expect(reading.outcome).toEqual({ ...outcomeOf(bytes), ...late });
      }),
    );
  });

  it("bytes that cannot be read are a gap, and only once they have a newline; behind it nothing is decided", () => {
    const [first, second] = [encoded(1, 1, [{ k: "a", s: {} }]), encoded(2, 1, [{ k: "b", s: {} }])];
    const hole = Buffer.concat([second.subarray(0, 12), Buffer.alloc(5), second.subarray(17)]);
    const disk = diskWith(Buffer.concat([HEADER, first, hole.subarray(0, -1)]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.active.damaged).toBe(false);
    const third = encoded(3, 1, [{ k: "c", s: {} }]);
    append(disk, Buffer.concat([Buffer.from("\n"), third]));
    reading.tail.catchUp();
    const gap = HEADER.length + first.length;
    expect(reading.told).toEqual([`1: 1 is ${NEXT}`, `gap in 1 at ${gap}, zeros`]);
    expect(reading.tail.active.ledger).toMatchObject({ sealed: false, lastRevision: NEXT, gap });
    expect([...reading.tail.active.ledger.behind]).toEqual([["c", 10 + gap + hole.length]]);
  });

  it("a record that a torn write stands in front of counts at its own place, and the torn one does not", () => {
    const torn = encoded(1, 1, [{ k: "a", s: {} }]).subarray(0, 30);
    const disk = diskWith(Buffer.concat([HEADER, torn, encoded(2, 1, [{ k: "b", s: {} }])]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([`1: 2 is ${NEXT + 30}`]);
  });

  it("a malformed line is told, and what is behind it counts", () => {
    const line = encodeLogLine('{"truncate":1}');
    const reading = new Reading(
      diskWith(Buffer.concat([HEADER, line, encoded(1, 1, [{ k: "a", s: {} }])])).mount("reader"),
    );
    reading.tail.catchUp();
    expect(reading.told).toEqual([`malformed in 1 at ${HEADER.length}`, `1: 1 is ${NEXT + line.length}`]);
  });

  it("a record that is glued to a damaged header is mentioned, and not decided", () => {
    const torn = HEADER.subarray(0, 40);
    const disk = diskWith(Buffer.concat([torn, encoded(1, 1, [{ k: "a", s: {} }])]));
    const reading = new Reading(disk.mount("reader"), undefined, { firstRevision: 10, after: 9 });
    reading.tail.catchUp();
    expect(reading.told).toEqual(["gap in 1 at 0"]);
    expect([...reading.tail.active.ledger.behind]).toEqual([["a", 50]]);
  });

  it("no line behind a damaged header is passed over while nothing says where the segment begins", () => {
    const torn = HEADER.subarray(0, 40);
    const lines = [encoded(1, 1, [{ k: "a", s: {} }]), encoded(2, 1, [{ k: "b", s: {} }])];
    const reading = new Reading(diskWith(Buffer.concat([torn, ...lines])).mount("reader"));
    for (const _again of [1, 2]) expect(() => reading.tail.catchUp()).toThrow("no valid header line");
    expect(reading.told).toEqual([]);
    reading.beginning = { firstRevision: 10, after: 9 };
    reading.tail.catchUp();
    expect(reading.told).toEqual(["gap in 1 at 0"]);
    expect([...reading.tail.active.ledger.behind]).toEqual([
      ["a", 50],
      ["b", 50 + (lines[0]?.length ?? 0)],
    ]);
  });

  it("what belongs elsewhere is a gap", () => {
    const reading = new Reading(
      diskWith(Buffer.concat([HEADER, encoded(1, 2, [{ k: "a", s: {} }])])).mount("reader"),
    );
    reading.tail.catchUp();
    expect(reading.told).toEqual([`gap in 1 at ${HEADER.length}`]);
  });

  it("a replacement character of the text's own is no damage", () => {
    const line = encoded(1, 1, [{ k: "a", s: { text: "\ufffd" } }]);
    const reading = new Reading(diskWith(Buffer.concat([header(1, 10), line])).mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([`1: 1 is ${NEXT}`]);
  });

  it("a last line without its newline is not decided, and is as soon as it has one", () => {
    const whole = Buffer.concat([header(1, 10), encoded(1, 1, [{ k: "a", s: {} }])]);
    const disk = diskWith(whole.subarray(0, -1));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([]);
    append(disk, Buffer.from("\n"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([`1: 1 is ${NEXT}`]);
  });
});

describe("a log that cannot be read", () => {
  it("is an error, even if the read before the bad sector gave something", () => {
    const bytes = Buffer.concat([
      header(1, 10),
      encoded(1, 1, [{ k: "a", s: {} }]),
      encoded(2, 1, [{ k: "b", s: {} }]),
    ]);
    const bad = bytes.length - 20;
    const fs = diskWith(bytes).mount("reader");
    fs.onCall = (call) => {
      if (call.name === "read" && (call.args[4] as number) >= bad) throw systemError("EIO", call);
    };
    const good = interceptCalls(fs, {
      read: (fd, buffer, offset, length, position) =>
        fs.read(fd, buffer, offset, position < bad ? Math.min(length, bad - position) : length, position),
    });
    const reading = new Reading(good);
    expect(() => reading.tail.catchUp()).toThrow(/EIO/);
    expect(() => reading.tail.catchUp()).toThrow(/EIO/);
  });
});

it.each([layout.store, layout.log])("a log behind a link in place of %s is not read", (folder) => {
  const disk = diskWith(header(1, 10));
  disk.makeDirectory("/theirs");
  disk.mount("mover").rename(folder, "/theirs/moved");
  disk.symlink(folder, "/theirs/moved");
  const reading = new Reading(disk.mount("reader"));
  expect(() => reading.tail.catchUp()).toThrow(expect.objectContaining({ code: "file_unsafe" }));
});

describe("a line that is longer than any valid one", () => {
  const LONG = TORN_BYTES_MAX + 1024 * 1024;

  it.each([
    ["without a NUL byte", undefined, ""],
    ["with one in its first bytes", 1, ", zeros"],
    ["with one further on", LONG - 1, ", zeros"],
  ])("%s is a gap", (_where, at, zeros) => {
    const line = Buffer.alloc(LONG, "x");
    if (at !== undefined) line[at] = 0;
    const behind = encoded(1, 1, [{ k: "a", s: {} }]);
    const reading = new Reading(
      diskWith(Buffer.concat([HEADER, line, Buffer.from("\n"), behind])).mount("reader"),
    );
    reading.tail.catchUp();
    expect(reading.told).toEqual([`gap in 1 at ${HEADER.length}${zeros}`]);
    expect([...reading.tail.active.ledger.behind]).toEqual([["a", NEXT + LONG + 1]]);
  });

  it("may be a torn write and the line that was glued to it", () => {
    const long = encoded(1, 1, [{ k: "a", s: { x: "x".repeat(15 * 1024 * 1024) } }]);
    const torn = long.subarray(0, -3);
    const reading = new Reading(diskWith(Buffer.concat([HEADER, torn, long])).mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([`1: 1 is ${NEXT + torn.length}`]);
  });
});

describe("what stands behind the last newline", () => {
  const line = encoded(1, 1, [{ k: "a", s: {} }]);

  function reading(...parts: Buffer[]): Reading {
    const made = new Reading(diskWith(Buffer.concat([HEADER, ...parts])).mount("reader"));
    made.tail.catchUp();
    return made;
  }

  it.each([
    ["nothing", Buffer.alloc(0), true],
    ["a torn write", line.subarray(0, 20), true],
    ["a line without its newline", line.subarray(0, -1), true],
    ["zeros", Buffer.alloc(20), false],
    ["zeros behind a torn write", Buffer.concat([line.subarray(0, 20), Buffer.alloc(4)]), false],
    ["more than the buffer may hold", Buffer.alloc(40 * 1024 * 1024, "x"), false],
  ])("%s: whether a line may be glued to it", (_name, bytes, torn) => {
    const { tail } = reading(bytes);
    expect(tail.isTornAtEnd(tail.active)).toBe(torn);
  });

  it("what others have appended meanwhile is theirs to judge, who read on", () => {
    const disk = diskWith(Buffer.concat([HEADER, Buffer.alloc(5)]));
    const { tail } = new Reading(disk.mount("reader"));
    tail.catchUp();
    append(disk, Buffer.from("\n"));
    expect(tail.isTornAtEnd(tail.active)).toBe(true);
  });

  it.each([
    ["without", "x", ""],
    ["with", "\0", ", zeros"],
  ])("is entered as a gap once, %s zeros", (_name, byte, zeros) => {
    const made = reading(Buffer.alloc(20, byte));
    for (let time = 0; time < 2; time++) made.tail.gapAtEnd(made.tail.active);
    expect(made.told).toEqual([`gap in 1 at ${HEADER.length}${zeros}`]);
    expect(made.tail.active.damaged).toBe(true);
  });
});
