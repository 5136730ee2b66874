/**
 * Goal: a reader goes from one segment to the next exactly when that one follows, knows where the one before ended whatever
 * became of its seal, and stops where others went on without what it had read.
 * Method: logs of two segments and more, of which headers, seals or whole segments are wrong or missing.
 */
import { describe, expect, it } from "vitest";
import { liveRun } from "../../src/format/layout.js";
import { encodeLogLine } from "../../src/format/log-line.js";
import { append, diskWith, HEADER, layout, NEXT, Reading } from "./reading.js";
import { headerLine as header, recordLine as encoded } from "./segments.js";

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
