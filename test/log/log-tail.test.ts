/**
 * Goal: the same bytes get the same verdicts, however they are read: in one piece, in tiny buffers, while they are being
 * written, by reads that come back short. And a log that cannot be read is an error, never a shorter log.
 * Method: random segments of good lines, damaged lines, seals, holes and torn ends, read in random ways and compared
 * with one plain read.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeLogLine } from "../../src/format/log-line.js";
import { Layout, liveRun } from "../../src/format/layout.js";
import { LogTail, type LogObserver } from "../../src/log/log-tail.js";
import type { FileSystem } from "../../src/fs/file-system.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";
import { systemError } from "../../src/testing/simulated/system-error.js";

const layout = new Layout("/s");

function header(segment: number, firstRevision: number): Buffer {
  return encodeLogLine(JSON.stringify({ segment, firstRevision, store: "id", stage: `${segment}-c0ffee` }));
}

/** Reads a log and notes down everything that it is told. */
class Reading implements LogObserver {
  readonly told: string[] = [];
  readonly tail: LogTail;

  constructor(fs: FileSystem, bufferBytes?: number) {
    this.tail = new LogTail(fs, layout, "id", "read", this);
    if (bufferBytes !== undefined) this.tail.buffer = Buffer.alloc(bufferBytes);
  }

  /** Everything told, and where it stands. */
  get outcome(): unknown {
    const { active, revision } = this.tail;
    const { sealed, wantedFirstRevision, changed } = active.ledger;
    return {
      told: this.told,
      revision,
      sealed,
      wantedFirstRevision,
      changed: [...changed],
      position: active.position,
    };
  }

  committed: LogObserver["committed"] = (segment, record, revision) =>
    void this.told.push(`${segment.number}: ${record.n} is ${revision}`);
  entered: LogObserver["entered"] = (segment) => void this.told.push(`entered ${segment.number}`);
  dropped: LogObserver["dropped"] = (segment) => void this.told.push(`dropped ${segment.number}`);
  foundHole: LogObserver["foundHole"] = (segment) => void this.told.push(`hole in ${segment.number}`);
  rewound = (): void => {};
}

const key = fc.constantFrom("a", "b", "c");
const base = fc.constantFrom(0, 1, 9, 10, 11, 12, 13);
const op = fc.oneof(
  fc.record({ k: key, s: fc.record({ text: fc.string({ maxLength: 60 }) }) }),
  fc.record({ k: key, b: base, s: fc.constant({}) }),
  fc.record({ k: key, b: base, d: fc.constant(1 as const) }),
  fc.record({ k: key, b: fc.constantFrom(10, 11, 12), p: fc.constant({ field: 1 }) }),
  fc.record({ k: key, b: base }),
);

const line: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(fc.nat(1000), op).map(([n, made]) => encoded(n, 1, [made])) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(1000), op).map(([n, made]) => encoded(n, 2, [made])) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from([...bytes, 0x0a])) },
  { weight: 1, arbitrary: fc.constant(Buffer.from("\n")) },
  { weight: 1, arbitrary: fc.constant(encodeLogLine('{"seal":2}')) },
  {
    weight: 1,
    arbitrary: fc.nat(30).map((length) => encoded(7, 1, [{ k: "a", s: {} }]).subarray(0, length)),
  },
  { weight: 1, arbitrary: fc.nat(20).map((length) => Buffer.alloc(length)) },
);

function encoded(n: number, g: number, ops: readonly object[]): Buffer {
  return encodeLogLine(JSON.stringify({ w: "w", n, g, t: 0, ops }));
}

const segment = fc.array(line, { maxLength: 25 }).map((lines) => Buffer.concat([header(1, 10), ...lines]));

function diskWith(bytes: Uint8Array): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.writeRaw(layout.segment(1), bytes);
  disk.makeDirectory(layout.stage);
  return disk;
}

function outcomeOf(bytes: Uint8Array): unknown {
  const reading = new Reading(diskWith(bytes).mount("plain"));
  reading.tail.catchUp();
  return reading.outcome;
}

/** Reads that come back with fewer bytes than there are; how many each gives is taken from a list, in turn. */
function shortReads(fs: FileSystem, counts: readonly number[]): FileSystem {
  let turn = 0;
  return new Proxy(fs, {
    get(target, name) {
      if (name === "read") {
        return (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
          target.read(
            fd,
            buffer,
            offset,
            Math.min(length, counts[turn++ % counts.length] ?? length),
            position,
          );
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value as () => unknown).bind(target) : value;
    },
  });
}

describe("O1: a verdict depends on the bytes alone", () => {
  it("not on the size of the buffer", () => {
    fc.assert(
      fc.property(segment, fc.integer({ min: 1, max: 200 }), (bytes, size) => {
        const reading = new Reading(diskWith(bytes).mount("small"), size);
        reading.tail.catchUp();
        expect(reading.outcome).toEqual(outcomeOf(bytes));
      }),
    );
  });

  it("not on how many bytes a read gives", () => {
    fc.assert(
      fc.property(segment, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (bytes, counts) => {
        const reading = new Reading(shortReads(diskWith(bytes).mount("short"), counts), 4096);
        reading.tail.catchUp();
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
          reading.tail.catchUp();
          if (end <= written) continue;
          writer.write(fd, bytes, written, end - written);
          written = end;
        }
        reading.tail.catchUp();
        expect(reading.outcome).toEqual(outcomeOf(bytes));
      }),
    );
  });

  it("rule 2: a line with a NUL byte ends the segment, and only once it has its newline", () => {
    const [first, second] = [encoded(1, 1, [{ k: "a", s: {} }]), encoded(2, 1, [{ k: "b", s: {} }])];
    const hole = Buffer.concat([second.subarray(0, 12), Buffer.alloc(5), second.subarray(17)]);
    const disk = diskWith(Buffer.concat([header(1, 10), first, hole.subarray(0, -1)]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.active.ledger.sealed).toBe(false);
    const fs = disk.mount("writer");
    const rest = Buffer.concat([Buffer.from("\n"), second]);
    fs.write(fs.open(layout.segment(1), "append"), rest, 0, rest.length);
    reading.tail.catchUp();
    expect(reading.told).toEqual(["1: 1 is 10", "hole in 1"]);
    expect(reading.tail.active.ledger).toMatchObject({ sealed: true, lastRevision: 10 });
  });

  it("a replacement character of the text's own is no damage", () => {
    const line = encoded(1, 1, [{ k: "a", s: { text: "\ufffd" } }]);
    const reading = new Reading(diskWith(Buffer.concat([header(1, 10), line])).mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual(["1: 1 is 10"]);
  });

  it("a last line without its newline is not decided, and is as soon as it has one", () => {
    const whole = Buffer.concat([header(1, 10), encoded(1, 1, [{ k: "a", s: {} }])]);
    const disk = diskWith(whole.subarray(0, -1));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual([]);
    const fs = disk.mount("writer");
    fs.write(fs.open(layout.segment(1), "append"), Buffer.from("\n"), 0, 1);
    reading.tail.catchUp();
    expect(reading.told).toEqual(["1: 1 is 10"]);
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
    const good = new Proxy(fs, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (name !== "read")
          return typeof value === "function" ? (value as () => unknown).bind(target) : value;
        return (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
          target.read(
            fd,
            buffer,
            offset,
            position < bad ? Math.min(length, bad - position) : length,
            position,
          );
      },
    });
    const reading = new Reading(good);
    expect(() => reading.tail.catchUp()).toThrow(/EIO/);
    expect(() => reading.tail.catchUp()).toThrow(/EIO/);
  });
});

describe("a segment whose header cannot be believed", () => {
  const behind = encoded(1, 2, [{ k: "a", s: {} }]);
  const foreign = { segment: 2, firstRevision: 12, store: "another", stage: "2-c0ffee" };
  it.each([
    ["of another store", "log_foreign", encodeLogLine(JSON.stringify(foreign))],
    ["that goes back behind the segment before", "log_damaged", header(2, 10)],
    ["that is damaged", "log_damaged", Buffer.from("00000000 {}\n")],
    ["that is a hole", "log_damaged", Buffer.concat([Buffer.alloc(20), Buffer.from("\n")])],
  ])("%s is an error, and nothing of it counts", (_what, code, line) => {
    const first = Buffer.concat([header(1, 10), encoded(1, 1, [{ k: "a", s: {} }])]);
    const disk = diskWith(Buffer.concat([first, encodeLogLine('{"seal":2}')]));
    disk.writeRaw(layout.segment(2), Buffer.concat([line, behind]));
    const reading = new Reading(disk.mount("reader"));
    for (let look = 0; look < 2; look++) {
      expect(() => reading.tail.catchUp()).toThrow(expect.objectContaining({ code }));
    }
    expect(reading.told.filter((told) => told.startsWith("2"))).toEqual([]);
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

describe("rule 2 in a line that is longer than any valid one", () => {
  const LONG = 17 * 1024 * 1024;

  it.each([
    ["in its first bytes", 1],
    ["further on", LONG - 1],
  ])("a NUL byte %s ends the segment", (_where, at) => {
    const line = Buffer.alloc(LONG, "x");
    line[at] = 0;
    const behind = encoded(1, 1, [{ k: "a", s: {} }]);
    const reading = new Reading(
      diskWith(Buffer.concat([header(1, 10), line, Buffer.from("\n"), behind])).mount("reader"),
    );
    reading.tail.catchUp();
    expect(reading.told).toEqual(["hole in 1"]);
    expect(reading.tail.active.ledger.sealed).toBe(true);
  });

  it("without one it is malformed, and what comes behind it counts", () => {
    const behind = encoded(1, 1, [{ k: "a", s: {} }]);
    const line = Buffer.concat([Buffer.alloc(LONG, "x"), Buffer.from("\n")]);
    const reading = new Reading(diskWith(Buffer.concat([header(1, 10), line, behind])).mount("reader"));
    reading.tail.catchUp();
    expect(reading.told).toEqual(["1: 1 is 10"]);
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
    expect(reading.told).toEqual(["3: 2 is 30"]);
  });

  it("a reader at a seal without successor is at the end, and goes on when there is one", () => {
    const disk = diskWith(Buffer.concat([header(1, 10), encodeLogLine('{"seal":2}')]));
    const reading = new Reading(disk.mount("reader"));
    reading.tail.catchUp();
    expect(reading.tail.active.number).toBe(1);
    disk.writeRaw(layout.segment(2), Buffer.concat([header(2, 10), encoded(1, 2, [{ k: "a", s: {} }])]));
    reading.tail.catchUp();
    expect(reading.told).toEqual(["entered 2", "2: 1 is 10"]);
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
    expect(reading.told).toEqual(["4: 1 is 40"]);
  });
});
