/**
 * Goal: what becomes of a change of a transcript is exactly what rules 7 - 11 say, and each item's number and place.
 * Method: one named test a rule, and a table of what an op may demand. A line stands where the test puts it; what it does to a
 * transcript is written down by hand, bytes apart, which are counted with the lines themselves.
 */
import { describe, expect, it } from "vitest";
import type { LogLine, LogOp, LogRecord } from "../../src/format/log-line.js";
import type { TranscriptHead } from "../../src/format/transcript-head.js";
import {
  CHUNK_BYTES,
  composeChunkHeader,
  composeItemLine,
  type ChunkHeader,
  type ItemHeader,
} from "../../src/format/transcript-lines.js";
import { logItem, type LogItem, type Recut, type TranscriptOp } from "../../src/format/transcript-op.js";
import { newLedger, type SegmentLedger } from "../../src/log/segment-ledger.js";
import { inLedger, type TranscriptEffect } from "../../src/log/transcript-verdict.js";
import { decide, settle, type Committed } from "../../src/log/verdict.js";

const SEGMENT = 7;
const FIRST = 100;
const LINE_BYTES = 10;
const TIME = 1_795_231_551_994;

type Members = Omit<TranscriptOp, "k" | "l">;

/** A transcript of before the segment: 9 numbers used, 7 came, 3 of them trimmed; its last chunk begins with number 8. */
const OLD: TranscriptHead = { since: 20, cut: 40, gone: 3, last: 9, total: 7, first: 8, born: 50, size: 600 };

let numbers = 0;

function line(
  ops: readonly LogOp[],
  transcripts: readonly TranscriptOp[] | undefined,
  o?: LogRecord["o"],
): LogLine {
  const record: LogRecord = {
    w: "writer",
    n: ++numbers,
    g: SEGMENT,
    t: TIME,
    ops,
    ...(transcripts !== undefined && { transcripts }),
    ...(o !== undefined && { o }),
  };
  return { kind: "record", record };
}

const op = (members: Members, l = "main", k = "k"): TranscriptOp => ({ k, l, ...members });
const change = (members: Members): LogLine => line([], [op(members)]);
const items = (...ids: (string | undefined)[]): LogItem[] => ids.map((id) => logItem('"hi"', id));
/** So many items without ids. */
const some = (count: number): LogItem[] => items(...Array.from<undefined>({ length: count }));

function opened(chunk?: number): SegmentLedger {
  const ledger = newLedger(SEGMENT);
  const header = { segment: SEGMENT, firstRevision: FIRST, after: 93, store: "store", stage: "7-c0ffee" };
  decide(ledger, { kind: "header", header: chunk === undefined ? header : { ...header, chunk } }, 0, 1);
  return ledger;
}

function fate(ledger: SegmentLedger, given: LogLine, offset: number): string | number {
  const verdict = decide(ledger, given, offset, offset + LINE_BYTES);
  return verdict.fate === "committed" ? verdict.revision : verdict.fate;
}

/** What a change does that must commit. */
function effect(ledger: SegmentLedger, given: LogLine, offset: number): TranscriptEffect {
  const verdict = decide(ledger, given, offset, offset + LINE_BYTES);
  expect(verdict.fate).toBe("committed");
  const [only] = (verdict as Committed).transcripts ?? [];
  if (only === undefined) throw new Error("no transcript");
  return only;
}

const seqs = ({ items: placed }: TranscriptEffect): number[] => placed.map(({ seq }) => seq);
const positions = ({ items: placed }: TranscriptEffect): number[] => placed.map(({ position }) => position);

function headerBytes(header: ChunkHeader): number {
  return composeChunkHeader("k", "main", header).length;
}

function lineBytes(seq: number, revision: number, rest: Partial<ItemHeader> = {}): number {
  return composeItemLine(
    { seq, revision, time: TIME, position: seq, gone: 0, id: undefined, ...rest },
    '"hi"',
  ).length;
}

describe("rule 7: the first op on a transcript in a segment carries its head", () => {
  it("and a record without it is void", () => {
    const ledger = opened();
    expect(fate(ledger, change({ b: 0, a: some(1) }), 1)).toBe("superseded");
    expect(fate(ledger, change({ b: FIRST - 1, a: some(1) }), 20)).toBe("superseded");
    expect(inLedger(ledger, "k", "main")).toBeUndefined();
  });

  it("that says what the transcript was before the segment, or that there was none", () => {
    const ledger = opened();
    expect(effect(ledger, change({ h: OLD, a: some(1) }), 1)).toMatchObject({
      before: OLD,
      after: { since: 20, cut: 40, gone: 3, last: 10, total: 8, first: 8, born: 50 },
      chunks: [],
    });
    expect(effect(ledger, line([], [op({ h: "none", a: some(1) }, "other")]), 20)).toMatchObject({
      before: undefined,
      after: { since: 120, cut: 120, gone: 0, last: 1, total: 1, first: 1, born: 120 },
    });
  });

  it("which says nothing any more once the segment knows the transcript", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: some(2) }), 1);
    expect(effect(ledger, change({ h: OLD, a: some(1) }), 20)).toMatchObject({
      before: { last: 2 },
      after: { since: 101, last: 3 },
    });
    expect(effect(ledger, change({ h: "none", a: some(1) }), 40).after).toMatchObject({ last: 4 });
  });

  it("of this name and this key only", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: some(1) }), 1);
    expect(fate(ledger, line([], [op({ b: 101, a: some(1) }, "other")]), 20)).toBe("undecided");
    const again = opened();
    effect(again, change({ h: "none", a: some(1) }), 1);
    expect(fate(again, line([], [op({ b: 0, a: some(1) }, "main", "other")]), 20)).toBe("superseded");
  });

  it("a change of this segment that the writer has read and that is not there is a gap", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: some(1) }), 1);
    expect(fate(ledger, change({ b: 150, a: some(1) }), 80)).toBe("undecided");
    expect(ledger.gap).toBe(50);
    expect(ledger.transcriptsBehind.get("k")?.get("main")?.revision).toBe(180);
    expect(inLedger(ledger, "k", "main")).toMatchObject({ revision: 101, head: { last: 1 } });
  });

  it("also of a transcript that the segment does not know at all", () => {
    const ledger = opened();
    expect(fate(ledger, change({ b: FIRST, a: some(1) }), 80)).toBe("undecided");
    expect(ledger.gap).toBe(0);
  });

  it("a later change than the one that was read is none: appends do not exclude each other", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: some(1) }), 1);
    effect(ledger, change({ b: 101, a: some(1) }), 20);
    expect(seqs(effect(ledger, change({ b: 101, a: some(1) }), 40))).toEqual([3]);
    expect(ledger.gap).toBeUndefined();
  });

  it("a record whose other session lacks its base is a gap as a whole", () => {
    const ledger = opened();
    expect(fate(ledger, line([{ k: "k", b: 150, s: {} }], [op({ h: "none", a: some(1) })]), 80)).toBe(
      "undecided",
    );
    expect(ledger.gap).toBe(50);
    expect(ledger.transcriptsBehind.get("k")?.get("main")?.revision).toBe(180);
  });
});

describe("rule 6: behind a gap it is only noted which transcripts are mentioned", () => {
  function withGap(): SegmentLedger {
    const ledger = opened();
    expect(fate(ledger, { kind: "unreadable", reason: "no checksum", zeros: false }, 40)).toBe("undecided");
    return ledger;
  }

  it("with the revision of the latest, if it counts", () => {
    const ledger = withGap();
    expect(fate(ledger, change({ h: "none", a: some(1) }), 60)).toBe("undecided");
    expect(fate(ledger, change({ h: "none", a: some(1) }), 80)).toBe("undecided");
    expect(ledger.transcriptsBehind).toEqual(
      new Map([["k", new Map([["main", { revision: 180, items: 1 }]])]]),
    );
    expect(ledger.transcripts.size).toBe(0);
  });

  it("no checks", () => {
    const ledger = withGap();
    expect(fate(ledger, line([{ k: "k", s: {} }], [op({ h: OLD, v: 9 })]), 60)).toBe("undecided");
    expect(ledger.transcriptsBehind.size).toBe(0);
  });

  it("a delete of a session mentions all of its transcripts", () => {
    const ledger = withGap();
    expect(fate(ledger, line([{ k: "k", d: 1 }], undefined), 60)).toBe("undecided");
    expect(ledger.transcriptsBehind).toEqual(new Map([["k", new Map([["", { revision: 160, items: 0 }]])]]));
  });

  it("and that is forgotten when the next segment says that nothing behind the gap counts", () => {
    const ledger = withGap();
    fate(ledger, change({ h: "none", a: some(1) }), 60);
    settle(ledger, { segment: 8, firstRevision: 300, after: 93, store: "store", stage: "8-c0ffee" });
    expect(ledger.transcriptsBehind.size).toBe(0);
  });
});

describe("rule 8: what an op demands must hold", () => {
  const demands: [string, Members, boolean][] = [
    ["its cut", { e: 40 }, true],
    ["another cut", { e: 41 }, false],
    ["no transcript", { e: 0 }, false],
    ["its last number", { v: 9 }, true],
    ["a lower last number", { v: 8 }, false],
    ["a higher last number", { v: 10 }, false],
    ["its length, which is without trimmed ones", { c: 4 }, true],
    ["a length with trimmed ones", { c: 7 }, false],
    ["all of it", { e: 40, v: 9, c: 4 }, true],
    ["one of it wrongly", { e: 40, v: 9, c: 5 }, false],
  ];

  it.each(demands)("of a transcript of before: %s", (_name, members, holds) => {
    expect(fate(opened(), change({ h: OLD, ...members, a: some(1) }), 1)).toBe(holds ? 101 : "superseded");
  });

  it.each(demands)("of one that the segment has changed: %s", (_name, members, holds) => {
    const ledger = opened();
    // One item is cut off and one comes: as long as before, with another cut and another last number.
    const cut = { of: 50, keep: 8, first: 10, before: 6, n: 0, body: 0 };
    effect(ledger, change({ h: OLD, e: 40, x: cut, a: some(1) }), 1);
    const moved = {
      ...members,
      ...(members.e !== undefined && { e: members.e === 40 ? 101 : members.e }),
      ...(members.v !== undefined && { v: members.v + 1 }),
    };
    expect(fate(ledger, change({ b: 101, ...moved, a: some(1) }), 30)).toBe(holds ? 130 : "superseded");
  });

  it.each<[string, Members, boolean]>([
    ["no cut", { e: 0 }, true],
    ["a cut", { e: 40 }, false],
    ["no number", { v: 0 }, true],
    ["a number", { v: 1 }, false],
    ["no items", { c: 0 }, true],
    ["an item", { c: 1 }, false],
  ])("of none: %s", (_name, members, holds) => {
    expect(fate(opened(), change({ h: "none", ...members, a: some(1) }), 1)).toBe(holds ? 101 : "superseded");
  });

  const recut: Recut = { of: 50, keep: 8, first: 8, before: 5, n: 1, body: 77 };

  it.each<[string, Partial<Recut>, boolean]>([
    ["of the last chunk", {}, true],
    ["of another chunk", { of: 49 }, false],
    ["up to the last item", { keep: 9, n: 2 }, true],
    ["behind the last number", { keep: 10 }, false],
    ["of more items than there are", { n: 3 }, false],
    ["that begins behind the next item", { first: 11, before: 7, n: 0, keep: 9, body: 0 }, false],
    ["that begins with the next item", { first: 10, before: 7, n: 0, keep: 9, body: 0 }, true],
  ])("a recut %s", (_name, members, holds) => {
    const given = change({ h: OLD, e: 40, x: { ...recut, ...members } });
    expect(fate(opened(), given, 1)).toBe(holds ? 101 : "superseded");
  });

  it("a recut of no transcript is void", () => {
    expect(fate(opened(), change({ h: "none", e: 0, x: { ...recut, of: 0, keep: 0, n: 0 } }), 1)).toBe(
      "superseded",
    );
  });

  it("one op that fails voids the record, with its sessions and its other transcripts", () => {
    const ledger = opened();
    const given = [op({ h: "none", a: some(1) }), op({ h: OLD, v: 8 }, "other")];
    expect(fate(ledger, line([{ k: "k", s: {} }], given), 1)).toBe("superseded");
    expect(ledger.changed.size).toBe(0);
    expect(inLedger(ledger, "k", "main")).toBeUndefined();
    expect(inLedger(ledger, "k", "other")).toBeUndefined();
  });

  it("a session that fails voids the record, with its transcripts", () => {
    const ledger = opened();
    expect(fate(ledger, line([{ k: "k", b: 3, p: {} }], [op({ h: "none", a: some(1) })]), 1)).toBe(
      "superseded",
    );
    expect(inLedger(ledger, "k", "main")).toBeUndefined();
  });

  it("a check commits, and changes nothing", () => {
    const ledger = opened();
    const { before, after, items: placed, chunks } = effect(ledger, change({ h: OLD, v: 9 }), 1);
    expect(after).toBe(before);
    expect([placed, chunks]).toEqual([[], []]);
    expect(inLedger(ledger, "k", "main")).toMatchObject({ revision: 0, head: OLD });
    // The head is known now, and yet nothing was changed that a writer could have read.
    expect(effect(ledger, change({ b: 0, a: some(1) }), 20).after).toMatchObject({ last: 10 });
  });
});

describe("rule 9: an item whose id the segment has appended is left out", () => {
  it("and the record stands, with the others", () => {
    const ledger = opened();
    expect(effect(ledger, change({ h: OLD, a: items("x", "y") }), 1).skipped).toEqual([]);
    const second = effect(ledger, change({ b: 101, a: items("z", "x", undefined, "y") }), 20);
    expect(second).toMatchObject({ skipped: [1, 3], after: { last: 13, total: 11 } });
    expect(second.items.map(({ seq, index }) => [seq, index])).toEqual([
      [12, 0],
      [13, 2],
    ]);
  });

  it("twice in one op, too", () => {
    const found = effect(opened(), change({ h: "none", a: items("x", "x", undefined, undefined) }), 1);
    expect(found).toMatchObject({ skipped: [1], after: { last: 3 } });
  });

  it("if none is left, the op changes nothing, with its trim", () => {
    const ledger = opened();
    effect(ledger, change({ h: OLD, a: items("x") }), 1);
    const { before, after, skipped } = effect(ledger, change({ b: 101, a: items("x"), m: 1 }), 20);
    expect(after).toBe(before);
    expect(skipped).toEqual([0]);
    expect(inLedger(ledger, "k", "main")?.revision).toBe(101);
  });

  it("not in another transcript", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: items("x") }), 1);
    expect(effect(ledger, line([], [op({ h: "none", a: items("x") }, "other")]), 20).skipped).toEqual([]);
  });

  it("not once it was cut off, and again as soon as it is back", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: items("x", "y") }), 1);
    const cut = { of: 101, keep: 1, first: 1, before: 0, n: 1, body: 9 };
    expect(effect(ledger, change({ b: 101, e: 101, x: cut }), 20)).toMatchObject({
      after: { last: 2, total: 1 },
    });
    expect(effect(ledger, change({ b: 120, a: items("x", "y") }), 40)).toMatchObject({
      skipped: [0],
      after: { last: 3, total: 2 },
    });
    expect(effect(ledger, change({ b: 140, a: items("y") }), 60).skipped).toEqual([0]);
  });

  it("not if the same op cuts it off", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: items("x", "y") }), 1);
    const cut = { of: 101, keep: 1, first: 1, before: 0, n: 1, body: 9 };
    expect(effect(ledger, change({ b: 101, e: 101, x: cut, a: items("y", "x") }), 20)).toMatchObject({
      skipped: [1],
      after: { last: 3, total: 2 },
    });
  });

  it("not once it was trimmed away", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: items("x", "y"), m: 1 }), 1);
    expect(effect(ledger, change({ b: 101, a: items("x", "y") }), 20).skipped).toEqual([1]);
  });

  it("not once the transcript was removed, nor if the same op removes it", () => {
    const ledger = opened();
    effect(ledger, change({ h: "none", a: items("x") }), 1);
    expect(effect(ledger, change({ b: 101, r: 1, a: items("x") }), 20)).toMatchObject({
      skipped: [],
      after: { last: 1 },
    });
    effect(ledger, change({ b: 120, r: 1 }), 40);
    expect(effect(ledger, change({ b: 140, a: items("x") }), 60).skipped).toEqual([]);
  });
});

describe("rule 9: each item has a number and a place", () => {
  const header: ChunkHeader = { first: 1, since: 101, cut: 101, last: 0, before: 0, gone: 0 };

  it("the first one behind the header line of a new chunk", () => {
    const { chunks, items: placed, after } = effect(opened(), change({ h: "none", a: some(2) }), 1);
    const at = headerBytes(header);
    expect(chunks).toEqual([{ first: 1, born: 101, header, headerBytes: at, recut: undefined }]);
    const bytes = lineBytes(1, 101);
    expect(placed).toMatchObject([
      { seq: 1, position: 1, chunk: { first: 1, born: 101 }, at, bytes },
      { seq: 2, position: 2, chunk: { first: 1, born: 101 }, at: at + bytes, bytes },
    ]);
    expect(after?.size).toBe(at + 2 * bytes);
  });

  it("in the last chunk of before, where that ends", () => {
    const { chunks, items: placed, after } = effect(opened(), change({ h: OLD, a: some(2) }), 1);
    expect(chunks).toEqual([]);
    const rest = (position: number): Partial<ItemHeader> => ({ position, gone: 3 });
    const first = lineBytes(10, 101, rest(8));
    const second = lineBytes(11, 101, rest(9));
    expect(placed).toMatchObject([
      { seq: 10, position: 8, gone: 3, chunk: { first: 8, born: 50 }, at: 600, bytes: first },
      { seq: 11, position: 9, gone: 3, chunk: { first: 8, born: 50 }, at: 600 + first, bytes: second },
    ]);
    expect(after).toEqual({ ...OLD, last: 11, total: 9, size: 600 + first + second });
  });

  it.each<[string, number | undefined, number]>([
    ["as the format says", undefined, CHUNK_BYTES],
    ["as the segment's header says", 700, 700],
  ])("a full chunk is followed by another one: %s", (_name, chunk, full) => {
    const begun: ChunkHeader = { first: 10, since: 20, cut: 40, last: 9, before: 7, gone: 3 };
    const given = (size: number): TranscriptEffect =>
      effect(opened(chunk), change({ h: { ...OLD, size }, a: some(1) }), 1);
    expect(given(full - 1)).toMatchObject({
      chunks: [],
      items: [{ at: full - 1, chunk: { first: 8, born: 50 } }],
    });
    const at = headerBytes(begun);
    expect(given(full)).toMatchObject({
      chunks: [{ first: 10, born: 101, header: begun, headerBytes: at, recut: undefined }],
      items: [{ at, chunk: { first: 10, born: 101 } }],
      after: { first: 10, born: 101 },
    });
  });

  it("chunks roll in the middle of an op", () => {
    const { chunks, items: placed } = effect(opened(300), change({ h: "none", a: some(8) }), 1);
    const [one = { headerBytes: 0 }] = chunks;
    const each = Math.ceil((300 - one.headerBytes) / lineBytes(1, 101));
    expect(chunks.map(({ first }) => first)).toEqual([1, 1 + each, 1 + 2 * each].slice(0, chunks.length));
    expect(chunks.length).toBeGreaterThan(1);
    for (const { seq, chunk } of placed) expect(chunk.first).toBe(seq - ((seq - 1) % each));
    expect(chunks[1]?.header).toEqual({ ...header, first: 1 + each, last: each, before: each });
  });

  it("an item's bytes are those of its line, whatever it is", () => {
    const given = [logItem('{"é":"\\n"}', 'i"d'), logItem("{}", undefined), logItem('{"$x":1}', undefined)];
    const { items: placed } = effect(opened(), change({ h: OLD, a: given }), 1);
    for (const [index, { seq, position, gone, bytes, item }] of placed.entries()) {
      const head = { seq, position, gone, revision: 101, time: TIME, id: item.id };
      expect(bytes).toBe(composeItemLine(head, given[index]?.json ?? "").length);
    }
  });

  it("two transcripts of one record do not know of each other", () => {
    const verdict = decide(
      opened(),
      line([], [op({ h: "none", a: some(2) }), op({ h: OLD, a: some(1) }, "other")]),
      1,
      9,
    );
    const { transcripts } = verdict as Committed;
    expect(transcripts?.map(({ op: { l }, after }) => [l, after?.last])).toEqual([
      ["main", 2],
      ["other", 10],
    ]);
  });
});

describe("rule 9: a recut begins the last chunk anew", () => {
  const recut: Recut = { of: 50, keep: 8, first: 8, before: 5, n: 1, body: 77 };
  /** Numbers go on from the highest that was ever used. */
  const begun: ChunkHeader = { first: 8, since: 20, cut: 101, last: 9, before: 5, gone: 3 };

  it("with what is left, and numbers are not used again", () => {
    const {
      chunks,
      after,
      items: placed,
    } = effect(opened(), change({ h: OLD, e: 40, x: recut, a: some(1) }), 1);
    const bytes = headerBytes(begun);
    expect(chunks).toEqual([{ first: 8, born: 101, header: begun, headerBytes: bytes, recut }]);
    expect(placed).toMatchObject([{ seq: 10, position: 7, at: bytes + 77, chunk: { first: 8, born: 101 } }]);
    const line10 = lineBytes(10, 101, { position: 7, gone: 3 });
    expect(after).toEqual({ ...OLD, cut: 101, last: 10, total: 7, born: 101, size: bytes + 77 + line10 });
  });

  it("one that leaves nothing has a header line, and the next item comes behind it", () => {
    const all: Recut = { of: 50, keep: 0, first: 10, before: 3, n: 0, body: 0 };
    const {
      chunks,
      after,
      items: placed,
    } = effect(opened(), change({ h: OLD, e: 40, x: all, a: some(1) }), 1);
    expect(chunks).toMatchObject([{ first: 10, header: { before: 3, last: 9 }, recut: all }]);
    expect(placed).toMatchObject([{ seq: 10, position: 4, at: chunks[0]?.headerBytes }]);
    expect(after).toMatchObject({ last: 10, total: 4, gone: 3, cut: 101 });
  });

  it("one that leaves all items only takes trimmed ones out: it is no cut", () => {
    const compact: Recut = { of: 50, keep: 9, first: 8, before: 5, n: 2, body: 150 };
    expect(effect(opened(), change({ h: OLD, e: 40, v: 9, x: compact, g: 5 }), 1).after).toMatchObject({
      cut: 40,
      last: 9,
      total: 7,
      gone: 5,
      born: 101,
    });
  });

  it("what is trimmed by the same op is in its header", () => {
    const compact: Recut = { of: 50, keep: 9, first: 8, before: 5, n: 2, body: 150 };
    const { chunks } = effect(opened(), change({ h: OLD, e: 40, x: compact, g: 5 }), 1);
    expect(chunks).toMatchObject([{ header: { gone: 5, cut: 40 } }]);
  });

  it("what another process has trimmed meanwhile stays trimmed", () => {
    const ledger = opened();
    effect(ledger, change({ h: OLD, a: some(1), m: 1 }), 1); // all of the older ones
    const { after } = effect(ledger, change({ b: 101, e: 40, x: recut }), 20);
    expect(after).toMatchObject({ gone: 7, total: 7, last: 10, cut: 120 });
  });
});

describe("rule 9: a trim counts only together with something that is written", () => {
  it.each<[string, Members]>([
    ["by position", { e: 40, g: 5 }],
    ["by length", { m: 1 }],
  ])("%s: alone it changes nothing", (_name, members) => {
    const ledger = opened();
    const { before, after } = effect(ledger, change({ h: OLD, ...members }), 1);
    expect(after).toBe(before);
    expect(inLedger(ledger, "k", "main")?.revision).toBe(0);
  });

  it.each<[string, Members, number]>([
    ["by position", { e: 40, g: 5 }, 5],
    ["by length, with those that come", { m: 2 }, 6],
    ["by a length that there is not", { m: 100 }, 3],
    ["by a position that was trimmed before", { e: 40, g: 1 }, 3],
    ["by a position that there is not", { e: 40, g: 100 }, 8],
    ["by a length of 0", { m: 0 }, 8],
  ])("%s: with an item it does", (_name, members, gone) => {
    const { after, items: placed } = effect(opened(), change({ h: OLD, a: some(1), ...members }), 1);
    expect(after).toMatchObject({ gone, total: 8 });
    expect(placed).toMatchObject([{ gone }]);
  });

  it("counts items that were left out not", () => {
    const ledger = opened();
    effect(ledger, change({ h: OLD, a: items("x") }), 1);
    expect(effect(ledger, change({ b: 101, a: items("x", "y"), m: 3 }), 20).after).toMatchObject({
      total: 9,
      gone: 6,
    });
  });

  it("of a new transcript takes the oldest of those that come", () => {
    const found = effect(opened(), change({ h: "none", a: some(3), m: 1 }), 1);
    expect(found.after).toMatchObject({ gone: 2, total: 3, last: 3 });
    expect(found.chunks).toMatchObject([{ header: { gone: 2 } }]);
  });
});

describe("rule 10: after a delete of its session there is no transcript", () => {
  it("and what comes needs no head", () => {
    const ledger = opened();
    effect(ledger, change({ h: OLD, a: items("x") }), 1);
    expect(fate(ledger, line([{ k: "k", d: 1 }], undefined), 20)).toBe(120);
    expect(inLedger(ledger, "k", "main")).toMatchObject({ head: undefined, revision: 120 });
    expect(effect(ledger, change({ b: 120, a: items("x") }), 40)).toMatchObject({
      before: undefined,
      skipped: [],
      after: { since: 140, last: 1, total: 1, gone: 0 },
    });
  });

  it("nor one that the segment had not mentioned, whatever a head says", () => {
    const ledger = opened();
    expect(fate(ledger, line([{ k: "k", d: 1 }], undefined), 1)).toBe(101);
    expect(fate(ledger, change({ h: OLD, v: 9, a: some(1) }), 20)).toBe("superseded");
    expect(seqs(effect(ledger, change({ h: OLD, a: some(1) }), 40))).toEqual([1]);
    expect(inLedger(ledger, "other", "main")).toBeUndefined();
  });

  it("a writer that has read it and finds it not is in front of a gap", () => {
    const ledger = opened();
    expect(fate(ledger, line([{ k: "k", d: 1 }], undefined), 1)).toBe(101);
    expect(fate(ledger, change({ b: 150, a: some(1) }), 80)).toBe("undecided");
    expect(ledger.gap).toBe(50);
  });

  it("a removal ends one transcript, with its numbers", () => {
    const ledger = opened();
    effect(ledger, line([], [op({ h: OLD, a: some(1) }), op({ h: OLD, a: some(1) }, "other")]), 1);
    expect(effect(ledger, change({ b: 101, r: 1 }), 20)).toMatchObject({
      after: undefined,
      items: [],
      chunks: [],
    });
    expect(inLedger(ledger, "k", "other")).toMatchObject({ head: { last: 10 } });
    const made = effect(ledger, change({ b: 120, e: 0, a: some(2) }), 40);
    expect(seqs(made)).toEqual([1, 2]);
    expect(positions(made)).toEqual([1, 2]);
    expect(made.after).toMatchObject({ since: 140, cut: 140, gone: 0, first: 1, born: 140 });
  });

  it("a removal with items begins anew in the same commit", () => {
    expect(effect(opened(), change({ h: OLD, r: 1, a: some(1) }), 1)).toMatchObject({
      before: OLD,
      after: { since: 101, last: 1, total: 1, gone: 0, first: 1, born: 101 },
      chunks: [{ header: { since: 101, last: 0, before: 0, gone: 0 } }],
    });
  });
});

describe("rule 11: what was committed under a name is not committed under it again", () => {
  const HASH = "0".repeat(64);
  const under = (id: string, hash = HASH): LogLine => line([], [op({ h: "none", a: some(1) })], [id, hash]);

  it("whatever it is, and the first one is remembered", () => {
    const ledger = opened();
    expect(fate(ledger, under("x"), 1)).toBe(101);
    expect(fate(ledger, under("x"), 20)).toBe("superseded");
    expect(fate(ledger, under("x", "1".repeat(64)), 40)).toBe("superseded");
    expect(fate(ledger, under("y"), 60)).toBe(160);
    expect(ledger.operations).toEqual(
      new Map([
        ["x", { hash: HASH, revision: 101 }],
        ["y", { hash: HASH, revision: 160 }],
      ]),
    );
    expect(inLedger(ledger, "k", "main")).toMatchObject({ head: { last: 2 } });
  });

  it("of sessions, too", () => {
    const ledger = opened();
    expect(fate(ledger, line([{ k: "k", s: {} }], undefined, ["x", HASH]), 1)).toBe(101);
    expect(fate(ledger, line([{ k: "k", s: {} }], undefined, ["x", HASH]), 20)).toBe("superseded");
  });

  it("what did not commit was not committed", () => {
    const ledger = opened();
    expect(fate(ledger, line([], [op({ h: OLD, v: 1 })], ["x", HASH]), 1)).toBe("superseded");
    expect(ledger.operations.size).toBe(0);
    expect(fate(ledger, under("x"), 20)).toBe(120);
  });
});
