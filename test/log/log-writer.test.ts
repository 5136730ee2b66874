/**
 * Goal: a record is written whole, however long it is, and what no reader would accept is not written.
 * Method: a `LogWriter` on a simulated disk, and records of all lengths.
 */
import { expect, it } from "vitest";
import { Layout } from "../../src/format/layout.js";
import { LINE_BYTES_MAX } from "../../src/format/limits.js";
import { encodeLogLine } from "../../src/format/log-line.js";
import { LogWriter } from "../../src/log/log-writer.js";
import { LogTail, type LogObserver } from "../../src/log/log-tail.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";

const layout = new Layout("/s");
const HEADER = encodeLogLine('{"segment":1,"firstRevision":1,"store":"id","stage":"1-c0ffee"}');

function fixture() {
  const disk = new SimulatedDisk();
  disk.writeRaw(layout.segment(1), HEADER);
  const observer: LogObserver = {
    committed: () => {},
    entered: () => {},
    dropped: () => {},
    rewound: () => {},
    foundHole: () => {},
  };
  const fs = disk.mount("writer");
  const tail = new LogTail(fs, layout, "id", "append", observer);
  tail.catchUp();
  const writer = new LogWriter(fs, tail, observer, "w");
  const append = (text: string): number | undefined => {
    const record = { w: "w", n: writer.nextNumber(), g: 1, t: 0, ops: [{ k: "k", s: { text } }] };
    return writer.append(tail.active, record, [{ text }]);
  };
  return { disk, append };
}

it.each([1, 100, 3000, 5400, 5500, 16_300, 16_400, 70_000])(
  "a record with %i letters is written whole",
  (length) => {
    const { disk, append } = fixture();
    for (const letter of ["x", "\u20ac"]) append(letter.repeat(length));
    expect(append("the end")).toBe(3);
    const texts = String(disk.readRaw(layout.segment(1)))
      .split("\n")
      .slice(1, -1)
      .map((line) => (JSON.parse(line.slice(9)) as { ops: [{ s: { text: string } }] }).ops[0].s.text);
    expect(texts).toEqual(["x".repeat(length), "\u20ac".repeat(length), "the end"]);
  },
);

it("a record longer than a line may be is refused, and the log is as before", () => {
  const { disk, append } = fixture();
  const writing = (): unknown => append("x".repeat(LINE_BYTES_MAX));
  expect(writing).toThrow(expect.objectContaining({ code: "record_too_large" }));
  expect(disk.readRaw(layout.segment(1))).toEqual(HEADER);
});
