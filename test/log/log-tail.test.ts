/**
 * Goal: the same bytes get the same verdicts, however they are read: in one piece, in tiny buffers, while they are being
 * written, by reads that come back short. And a log that cannot be read is an error, never a shorter log.
 * Method: random segments of good lines, torn writes, damage and seals, read in random ways and compared with one plain
 * read; and segments that are followed, cut off, or contradicted by their successor.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLogLine } from "../../src/format/log-line.js";
import { Layout, liveRun } from "../../src/format/layout.js";
import { LogTail, type LogObserver, TORN_BYTES_MAX } from "../../src/log/log-tail.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";
import { interceptCalls } from "../support/intercept-calls.js";
import { anySteps, composeSegment, headerLine as header, recordLine as encoded } from "./segments.js";

const layout = new Layout("/s");

/** Reads a log and notes down everything that it is told. */
class Reading implements LogObserver {
  readonly told: string[] = [];
  readonly tail: LogTail;

  constructor(
    fs: FileSystem,
    bufferBytes?: number,
    private readonly beginning?: { readonly firstRevision: number; readonly after: number },
  ) {
    this.tail = new LogTail(fs, layout, "id", "read", this);
    if (bufferBytes !== undefined) this.tail.buffer = Buffer.alloc(bufferBytes);
  }

  /** Reads to the end, or up to a seal that takes back what was read before it. */
  read(): void {
    try {
      this.tail.catchUp();
    } catch (error) {
      expect(error).toMatchObject({ code: "log_damaged" });
      this.#contradicted = true;
    }
  }

  beginningOf = (): typeof this.beginning => this.beginning;

  #contradicted = false;

  /** Everything told, and where it stands. */
  get outcome(): object {
    const { active, revision } = this.tail;
    const { sealed, sealedGap, wantedFirstRevision, changed, gap, behind } = active.ledger;
    return {
      told: this.told,
      contradicted: this.#contradicted,
      revision,
      sealed,
      sealedGap,
      wantedFirstRevision,
      changed: [...changed],
      gap,
      behind: [...behind],
      position: active.position,
    };
  }

  committed: LogObserver["committed"] = (segment, record, revision) =>
    void this.told.push(`${segment.number}: ${record.n} is ${revision}`);
  sealed: Required<LogObserver>["sealed"] = (segment) => void this.told.push(`sealed ${segment.number}`);
  entered: LogObserver["entered"] = (segment) => void this.told.push(`entered ${segment.number}`);
  dropped: LogObserver["dropped"] = (segment) => void this.told.push(`dropped ${segment.number}`);
  foundGap: Required<LogObserver>["foundGap"] = (segment, offset) =>
    void this.told.push(`gap in ${segment.number} at ${offset}${segment.zeros ? ", zeros" : ""}`);
  foundMalformed: Required<LogObserver>["foundMalformed"] = (segment, offset) =>
    void this.told.push(`malformed in ${segment.number} at ${offset}`);
  rewound = (): void => {};
}

const segment = anySteps.map(composeSegment);
const HEADER = header(1, 10);
/** Revision of the first line behind the header. */
const NEXT = 10 + HEADER.length;

function diskWith(bytes: Uint8Array): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.writeRaw(layout.segment(1), bytes);
  disk.makeDirectory(layout.stage);
  return disk;
}

function append(disk: SimulatedDisk, bytes: Buffer): void {
  const fs = disk.mount("writer");
  fs.write(fs.open(layout.segment(1), "append"), bytes, 0, bytes.length);
}

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
        // What comes late behind the seal of a damaged segment is not looked at again.
        const behind = expect.anything() as unknown;
        expect(reading.outcome).toEqual({ ...outcomeOf(bytes), behind });
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

describe("a segment whose header cannot be believed", () => {
  const behind = encoded(1, 2, [{ k: "a", s: {} }]);
  const foreign = { segment: 2, firstRevision: 5000, after: 4999, store: "another", stage: "2-c0ffee" };
  it.each([
    ["of another store", "log_foreign", encodeLogLine(JSON.stringify(foreign))],
    ["that goes back behind the segment before", "log_damaged", header(2, 10)],
    ["that is damaged", "log_damaged", Buffer.from("00000000 {}\n")],
    ["of another segment", "log_damaged", header(3, 5000)],
    ["that is a hole", "log_damaged", Buffer.concat([Buffer.alloc(20), Buffer.from("\n")])],
  ])("%s is an error, and nothing of it counts", (_what, code, line) => {
    const first = Buffer.concat([HEADER, encoded(1, 1, [{ k: "a", s: {} }])]);
    const disk = diskWith(Buffer.concat([first, encodeLogLine('{"seal":2}')]));
    disk.writeRaw(layout.segment(2), Buffer.concat([line, behind]));
    const reading = new Reading(disk.mount("reader"));
    for (let look = 0; look < 2; look++) {
      expect(() => reading.tail.catchUp()).toThrow(expect.objectContaining({ code }));
    }
    expect(reading.told.filter((told) => told.startsWith("2:"))).toEqual([]);
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

describe("a segment whose seal is missing though another follows", () => {
  const first = encoded(1, 1, [{ k: "a", s: {} }]);
  const successor = (after: number): Buffer =>
    Buffer.concat([header(2, 5000, after), encoded(2, 2, [{ k: "b", s: {} }])]);

  it.each([
    ["was cut off", Buffer.alloc(0), ""],
    ["is in bytes without a newline", Buffer.from("x".repeat(30)), ""],
  ])("the seal %s: the rest is a gap, and reading goes on in the next segment", (_name, rest, zeros) => {
    const disk = diskWith(Buffer.concat([HEADER, first, rest]));
    disk.writeRaw(layout.segment(2), successor(4999));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    const gap = HEADER.length + first.length;
    expect(reading.told).toEqual([
      `1: 1 is ${NEXT}`,
      `gap in 1 at ${gap}${zeros}`,
      "entered 2",
      "sealed 1",
      `2: 2 is ${5000 + header(2, 5000).length}`,
    ]);
    expect(reading.tail.segments[0]?.damaged).toBe(true);
  });

  it("is no gap if the next segment says that nothing was committed there", () => {
    const disk = diskWith(Buffer.concat([HEADER, first]));
    disk.writeRaw(layout.segment(2), successor(NEXT));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.segments[0]?.damaged).toBe(false);
  });

  it("a damaged segment is left as soon as another follows, whatever became of its seal", () => {
    const disk = diskWith(Buffer.concat([HEADER, Buffer.from("damage\n")]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.active.number).toBe(1);
    disk.writeRaw(layout.segment(2), successor(4999));
    reading.tail.catchUp();
    expect(reading.tail.active.number).toBe(2);
  });

  it("a seal that came after the last read, and before the list of segments, is read", () => {
    const torn = first.subarray(0, 20);
    const disk = diskWith(Buffer.concat([HEADER, torn]));
    const fs = disk.mount("reader");
    const reading = new Reading(fs);
    reading.tail.catchUp();
    let listed = 0;
    fs.onCall = ({ name }) => {
      if (name !== "readdir" || listed++ > 0) return;
      append(disk, Buffer.concat([first, encodeLogLine('{"seal":2}')]));
      disk.writeRaw(layout.segment(2), successor(4999));
    };
    reading.tail.catchUp();
    expect(reading.told.slice(0, 3)).toEqual([`1: 1 is ${NEXT + 20}`, "sealed 1", "entered 2"]);
    expect(reading.tail.segments.some((one) => one.damaged)).toBe(false);
  });
});

describe("a process that has read what others went on without", () => {
  const lines = [
    encoded(1, 1, [{ k: "a", s: {} }]),
    encoded(2, 1, [{ k: "b", s: {} }]),
    encoded(3, 1, [{ k: "c", d: 1 }]),
  ];

  function reading() {
    const disk = diskWith(Buffer.concat([HEADER, ...lines]));
    const made = new Reading(disk.mount("reader"));
    made.tail.catchUp();
    return { disk, made, told: [...made.told] };
  }

  it("as the next header says stops, at once and for good, and names the sessions", () => {
    const { disk, made, told } = reading();
    append(disk, encodeLogLine('{"seal":2}'));
    const behind = encoded(1, 2, [{ k: "d", s: {} }]);
    disk.writeRaw(layout.segment(2), Buffer.concat([header(2, 5000, NEXT), behind]));
    for (let look = 0; look < 3; look++) {
      expect(() => made.tail.catchUp()).toThrow(
        expect.objectContaining({
          code: "log_damaged",
          data: expect.objectContaining({ segment: 1, keys: "b, c" }),
        }),
      );
    }
    expect(made.told.filter((line) => line.includes(" is "))).toEqual(told);
  });
});

describe("O11: which segments are live", () => {
  it("the contiguous run that ends in the highest; what lies below a gap is garbage", () => {
    expect(liveRun([])).toEqual([]);
    expect(liveRun([3])).toEqual([3]);
    expect(liveRun([5, 3, 4])).toEqual([3, 4, 5]);
    expect(liveRun([1, 2, 5, 6])).toEqual([5, 6]);
    expect(liveRun([1, 3])).toEqual([3]);
  });

  it("a reader begins above the gap", () => {
    const disk = diskWith(Buffer.concat([header(1, 10), encoded(1, 1, [{ k: "a", s: {} }])]));
    disk.writeRaw(layout.segment(3), Buffer.concat([header(3, 30), encoded(2, 3, [{ k: "a", s: {} }])]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([`3: 2 is ${30 + header(3, 30).length}`]);
  });

  it("a reader at a seal without successor is at the end, and goes on when there is one", () => {
    const disk = diskWith(Buffer.concat([header(1, 10), encodeLogLine('{"seal":2}')]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.active.number).toBe(1);
    disk.writeRaw(layout.segment(2), Buffer.concat([header(2, 500), encoded(1, 2, [{ k: "a", s: {} }])]));
    reading.tail.catchUp();
    expect(reading.told.slice(1)).toEqual([
      "entered 2",
      "sealed 1",
      `2: 1 is ${500 + header(2, 500).length}`,
    ]);
  });

  it("a reader whose next segment is gone rewinds", () => {
    const disk = diskWith(Buffer.concat([header(1, 10), encodeLogLine('{"seal":2}')]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    disk.writeRaw(layout.segment(4), Buffer.concat([header(4, 40), encoded(1, 4, [{ k: "a", s: {} }])]));
    disk.removeRaw(layout.segment(1));
    const { epoch } = reading.tail;
    reading.tail.catchUp();
    expect(reading.tail.epoch).toBe(epoch + 1);
    expect(reading.told).toEqual(["sealed 1", `4: 1 is ${40 + header(4, 40).length}`]);
  });
});
