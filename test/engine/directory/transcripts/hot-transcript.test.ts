/**
 * Goal: what the live log says of a transcript is, of each record, what a reader and a flusher need to know: the base that files have, what
 * of them may be read, which of them are alive, and the places of items (T4, T6, T7).
 * Method: ops go through the verdict, segment by segment, without any files; what comes of them is asked.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { LogRecord } from "../../../../src/format/log-line.js";
import type { TranscriptHead } from "../../../../src/format/transcript-head.js";
import { logItem, type LogItem, type TranscriptOp } from "../../../../src/format/transcript-op.js";
import { newLedger, type SegmentLedger } from "../../../../src/log/segment-ledger.js";
import type { Segment } from "../../../../src/log/segment.js";
import { clearTranscripts, commitTranscripts } from "../../../../src/log/transcript-verdict.js";
import type { HotTranscript } from "../../../../src/engine/directory/transcripts/hot-transcript.js";
import { HotTranscripts } from "../../../../src/engine/directory/transcripts/hot-transcripts.js";

const KEY = "k";

/** Ten numbers used, 8 items, 2 of them trimmed; the last file begins with number 6. */
const OLD: TranscriptHead = {
  since: 20,
  cut: 40,
  gone: 2,
  last: 10,
  total: 8,
  first: 6,
  born: 50,
  size: 600,
};

let transcripts: HotTranscripts;
let ledger: SegmentLedger;
let revision: number;

beforeEach(() => {
  transcripts = new HotTranscripts();
  revision = 0;
  begin(7);
});

/** A segment follows. */
function begin(segment: number): void {
  ledger = newLedger(segment);
  revision = Math.max(revision + 1, segment * 100);
}

function record(transcriptOps: readonly TranscriptOp[], ops: LogRecord["ops"] = []): void {
  revision += 10;
  const made: LogRecord = { w: "w", n: revision, g: ledger.number, t: 1, ops, transcripts: transcriptOps };
  for (const { k } of ops) clearTranscripts(ledger, k, revision);
  const effects = commitTranscripts(ledger, made, revision);
  const segment = { number: ledger.number, firstRevision: ledger.number * 100 } as Segment;
  transcripts.committed(segment, made, revision, effects);
}

const change = (members: Partial<TranscriptOp>): void => record([{ k: KEY, l: "main", ...members }]);
const items = (...texts: string[]): LogItem[] =>
  texts.map((text) => logItem(JSON.stringify(text), undefined));
const deleteSession = (): void => record([], [{ k: KEY, d: 1 }]);

function hot(): HotTranscript {
  const found = transcripts.get(KEY, "main");
  if (found === undefined) throw new Error("it is not known");
  return found;
}

const seqs = (): number[] => hot().items.map(({ seq }) => seq);

/** A truncation behind an item of the log. */
function truncateTo(seq: number): void {
  const { head, items: known } = hot();
  const kept = known.findLast((item) => item.seq <= seq);
  const chunk = hot().chunks.at(-1);
  if (head === undefined || kept === undefined || chunk === undefined) throw new Error("not in the log");
  const { header } = chunk;
  const n = kept.position - header.before;
  const body = kept.at + kept.bytes - chunk.headerBytes;
  change({
    e: head.cut,
    x: { of: head.born, keep: seq, first: header.first, before: header.before, n, body },
  });
}

describe("the base", () => {
  it("is what the first op brings, whatever later ones do, and files are read for it only", () => {
    change({ h: OLD, a: items("a") });
    change({ a: items("b") });
    expect(hot().base).toEqual(OLD);
    expect(hot().lastInFiles).toEqual({ seq: 10, position: 8, atEnd: true });
    expect(
      hot().readable(
        [
          { first: 1, born: 20 },
          { first: 6, born: 50 },
        ],
        revision,
      ),
    ).toEqual([
      { first: 1, born: 20 },
      { first: 6, born: 50, end: 600 },
    ]);
  });

  it("is what the segment that goes has left, and its items, cuts and files are let go of", () => {
    change({ h: OLD, a: items("a") });
    change({ e: 40, x: { of: 50, keep: 7, first: 6, before: 5, n: 2, body: 90 } });
    change({ a: items("b") });
    const left = hot().head!;
    begin(8);
    change({ h: left, a: items("c") });
    expect(seqs()).toEqual([12, 13]);
    transcripts.release(7);
    expect(hot().base).toEqual(left);
    expect(seqs()).toEqual([13]);
    expect(hot().chunks).toEqual([]);
    expect(hot().lastInFiles).toEqual({ seq: 12, position: 8, atEnd: true });
    const known = hot();
    transcripts.release(8);
    expect(transcripts.get(KEY, "main")).toBeUndefined();
    expect(known.isLetGo).toBe(true);
  });

  it("is not what another segment says, if one in between could not be read", () => {
    change({ h: OLD, a: items("a") });
    const { cuts } = hot();
    begin(8);
    const later = { ...OLD, last: 30, total: 28, size: 4000 };
    change({ h: later, a: items("b") });
    expect(hot().base).toEqual(later);
    expect(seqs()).toEqual([31]);
    expect(hot().cuts).toBeGreaterThan(cuts);
    expect(hot().isLostIn(7)).toBe(true);
    expect(hot().isLostIn(8)).toBe(false);
    expect(transcripts.changedIn(7)).toEqual([hot()]);
    transcripts.release(7);
    expect(hot().isLostIn(7)).toBe(false);
  });
});

describe("of what is cut", () => {
  it("files are read up to there, and the items behind it are gone", () => {
    change({ h: OLD, a: items("a") });
    const { cuts } = hot();
    change({ e: 40, x: { of: 50, keep: 7, first: 6, before: 5, n: 2, body: 90 } });
    expect(hot().cuts).toBe(cuts + 1);
    expect(seqs()).toEqual([]);
    expect(hot().lastInFiles).toEqual({ seq: 7, position: 7, atEnd: false });
    change({ a: items("b") });
    change({
      e: hot().head!.cut,
      x: { of: hot().head!.born, keep: 4, first: 13, before: 4, n: 0, body: 0 },
    });
    expect(hot().lastInFiles).toEqual({ seq: 4, position: 4, atEnd: false });
    expect(hot().chunks.map(({ first }) => first)).toEqual([13]);
  });

  it("what is live is what begins below, and what began since", () => {
    change({ h: OLD, a: items("a") });
    change({ e: 40, x: { of: 50, keep: 7, first: 6, before: 5, n: 2, body: 90 } });
    const born = revision;
    expect(hot().isLive({ first: 6, born: 50 })).toBe(false);
    expect(hot().isLive({ first: 6, born })).toBe(true);
    expect(hot().isLive({ first: 1, born: 20 })).toBe(true);
    expect(hot().isLive({ first: 6, born: born - 1 })).toBe(false);
    expect(hot().isLive({ first: 1, born: 51 })).toBe(false); // what no commit of the log began
    change({ e: born, x: { of: born, keep: 5, first: 12, before: 5, n: 0, body: 0 } });
    expect(hot().isLive({ first: 1, born: 20 })).toBe(true);
    expect(hot().isLive({ first: 6, born })).toBe(false);
  });

  it("items of the log that stay have their places in the new file", () => {
    change({ h: "none", a: items("a", "b", "c", "d") });
    const before = hot().items.map(({ at }) => at);
    const { headerBytes: old } = hot().chunks[0]!;
    truncateTo(3);
    const [chunk] = hot().chunks;
    expect(seqs()).toEqual([1, 2, 3]);
    expect(hot().items.map(({ at }) => at - chunk!.headerBytes)).toEqual(
      before.slice(0, 3).map((at) => at - old),
    );
    expect(hot().items.map((item) => item.chunk)).toEqual(
      [1, 2, 3].map(() => ({ first: 1, born: revision })),
    );
  });

  it("items in front of the new file stay where they are", () => {
    ledger.chunkBytes = 200;
    change({ h: "none", a: items("a", "b", "c", "d", "e", "f") });
    expect(hot().chunks.map(({ first }) => first)).toEqual([1, 3, 5]);
    const places = hot().items.map(({ chunk, at }) => ({ chunk, at }));
    change({
      e: hot().head!.cut,
      x: { of: revision, keep: 5, first: 5, before: 4, n: 1, body: hot().items[4]!.bytes },
    });
    expect(
      hot()
        .items.slice(0, 4)
        .map(({ chunk, at }) => ({ chunk, at })),
    ).toEqual(places.slice(0, 4));
    expect(hot().items[4]?.chunk).toEqual({ first: 5, born: revision });
    expect(hot().chunks.map(({ first }) => first)).toEqual([1, 3, 5]);
  });

  it("a removal leaves nothing, and what comes then begins anew", () => {
    change({ h: OLD, a: items("a") });
    const { cuts } = hot();
    change({ r: 1 });
    expect(hot().cuts).toBeGreaterThan(cuts);
    expect(hot().head).toBeUndefined();
    change({ a: items("b") });
    expect(seqs()).toEqual([1]);
    expect(hot().lastInFiles).toBeUndefined();
    expect(hot().isLive({ first: 1, born: 20 })).toBe(false);
    expect(hot().isLive({ first: 1, born: revision })).toBe(true);
  });

  it("a delete of the session is the same for all that it had", () => {
    change({ h: OLD, a: items("a") });
    const { cuts } = hot();
    deleteSession();
    expect(hot().cuts).toBeGreaterThan(cuts);
    expect(hot().head).toBeUndefined();
    expect(hot().revision).toBe(revision);
    expect(seqs()).toEqual([]);
    expect(hot().lastInFiles).toBeUndefined();
    expect(hot().isLive({ first: 6, born: 50 })).toBe(false);
  });
});

describe("a file may be read", () => {
  it("that took over items: for these, and it has others if the log appended some of them", () => {
    change({ h: OLD, a: items("a", "b") });
    const { bytes } = hot().items[0]!;
    change({ e: 40, x: { of: 50, keep: 11, first: 6, before: 5, n: 4, body: 90 + bytes } });
    const born = revision;
    const [chunk] = hot().chunks;
    const end = (chunk?.headerBytes ?? 0) + 90 + bytes;
    expect(hot().readable([{ first: 6, born }], revision)).toEqual([{ first: 6, born, end, further: true }]);
    change({ e: born, x: { of: born, keep: 7, first: 6, before: 5, n: 2, body: 90 } });
    expect(hot().readable([{ first: 6, born: revision }], revision)).toMatchObject([{ further: false }]);
  });

  it("that was cut off, if the one that takes its place is not made yet, up to anywhere", () => {
    change({ h: OLD });
    change({ h: OLD, a: items("a") });
    expect(hot().readable([{ first: 6, born: 55 }], revision)).toEqual([
      { first: 6, born: 55, ragged: true },
    ]);
  });

  it("not that the log began, nor that of a commit that was not read", () => {
    change({ h: "none", a: items("a") });
    expect(hot().readable([{ first: 1, born: revision }], revision)).toEqual([]); // there was no base
    begin(8);
    const head = hot().head!;
    transcripts.release(7);
    expect(transcripts.get(KEY, "main")).toBeUndefined();
    ledger.chunkBytes = 1; // each item is a chunk
    change({ h: head, a: items("b") });
    const chunks = [
      { first: 2, born: revision },
      { first: 3, born: revision + 1 },
    ];
    expect(hot().readable(chunks, revision)).toEqual([]);
  });
});

it("a chunk is trimmed away when the next one begins no later, and not before", () => {
  ledger.chunkBytes = 1;
  change({ h: "none", a: items("a", "b", "c") });
  const ids = hot().chunks.map(({ first, born }) => ({ first, born }));
  expect(ids.map((id) => hot().isTrimmed(id))).toEqual([false, false, false]);
  change({ a: items("d"), m: 3 });
  expect(ids.map((id) => hot().isTrimmed(id))).toEqual([true, false, false]);
  change({ a: items("e"), m: 1 });
  expect(ids.map((id) => hot().isTrimmed(id))).toEqual([true, true, true]);
});

describe("of all transcripts", () => {
  it("an op that changes nothing is not entered", () => {
    change({ h: OLD });
    expect(transcripts.get(KEY, "main")).toBeUndefined();
    change({ h: OLD, a: items("a") });
    const { revision: changed } = hot();
    change({ b: changed, v: 11 });
    expect(hot().revision).toBe(changed);
  });

  it("the latest delete of a session is known as long as a live segment has it", () => {
    change({ h: OLD, a: items("a") });
    deleteSession();
    begin(8);
    deleteSession();
    expect(transcripts.deletedAt(KEY)).toBe(revision);
    expect([7, 8, 9].map((segment) => transcripts.deletedIn(segment))).toEqual([[KEY], [KEY], []]);
    transcripts.release(7);
    expect(transcripts.deletedAt(KEY)).toBe(revision);
    expect(transcripts.deletedIn(7)).toEqual([]);
    transcripts.release(8);
    expect(transcripts.deletedAt(KEY)).toBe(0);
  });

  it("that segments were let go of is counted, and so is that all is forgotten", () => {
    change({ h: OLD, a: items("a") });
    const known = hot();
    const { cuts } = known;
    expect(transcripts.releases).toBe(0);
    transcripts.release(6);
    expect(transcripts.releases).toBe(1);
    expect(known.isLetGo).toBe(false);
    transcripts.clear();
    expect(transcripts.releases).toBe(2);
    expect(known.isLetGo).toBe(true);
    expect(known.cuts).toBeGreaterThan(cuts);
    expect([...transcripts.all()]).toEqual([]);
  });

  it("one of which the files are right is let go of, and another reading takes the place of all", () => {
    change({ h: OLD, a: items("a") });
    const known = hot();
    transcripts.forget(KEY, "main");
    expect(known.isLetGo).toBe(true);
    expect(transcripts.get(KEY, "main")).toBeUndefined();
    deleteSession();
    change({ a: items("b") });
    const other = transcripts;
    const mine = new HotTranscripts();
    mine.take(other);
    expect(mine.get(KEY, "main")).toBe(hot());
    expect(mine.deletedAt(KEY)).toBe(other.deletedAt(KEY));
  });

  it("only the newest texts stay in memory, and half of the room is free again", () => {
    const text = "x".repeat(1024 * 1024 - 2);
    change({ h: "none", a: items(text, text, text, text) });
    for (let more = 0; more < 4; more++) change({ a: items(text) });
    expect(hot().items.every(({ json }) => json !== undefined)).toBe(true);
    change({ a: items("the last one") });
    const left = hot().items.map(({ json }) => json !== undefined);
    expect(left).toEqual([false, false, false, false, false, true, true, true, true]);
  });
});
