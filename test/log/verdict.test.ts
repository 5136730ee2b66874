/**
 * Goal: what becomes of a line of the log is exactly what rules 1 - 6 say.
 * Method: one named test a rule. Rule 4 is a table of every state that a key can be in, times every kind of op, times
 * every base that matters, with the expected fate written down by hand, not computed. A line stands where the test puts
 * it: the first behind the header at offset 1, so that its revision is `FIRST + 1`.
 */
import { describe, expect, it } from "vitest";
import type { LogHeader, LogLine, LogOp, LogRecord, LogSeal } from "../../src/format/log-line.js";
import { newLedger, type SegmentLedger } from "../../src/log/segment-ledger.js";
import { decide, settle } from "../../src/log/verdict.js";

const SEGMENT = 7;
const FIRST = 100;
/** Revision of the last commit before the segment: revisions skip. */
const AFTER = 93;

let numbers = 0;

function record(...ops: LogOp[]): LogLine & { kind: "record" } {
  const line: LogRecord = { w: "writer", n: ++numbers, g: SEGMENT, t: 0, ops };
  return { kind: "record", record: line };
}

function sealLine(seal: Partial<LogSeal> = {}): LogLine {
  return { kind: "seal", seal: { seal: SEGMENT + 1, ...seal } };
}

function headerOf(segment: number, firstRevision: number, after = firstRevision - 1): LogHeader {
  return { segment, firstRevision, after, store: "store", stage: `${segment}-c0ffee` };
}

function opened(): SegmentLedger {
  const ledger = newLedger(SEGMENT);
  const header = headerOf(SEGMENT, FIRST, AFTER);
  expect(decide(ledger, { kind: "header", header }, 0, 1)).toEqual({ fate: "header" });
  return ledger;
}

function fate(ledger: SegmentLedger, line: LogLine, offset: number): string | number {
  const verdict = decide(ledger, line, offset, offset + LINE_BYTES);
  return verdict.fate === "committed" ? verdict.revision : verdict.fate;
}

const LINE_BYTES = 10;
const SET: LogOp = { k: "k", s: { whole: true } };
const UNREADABLE: LogLine = { kind: "unreadable", reason: "no checksum", zeros: false };

describe("rule 1: what is written so and is no line counts for nothing", () => {
  it("and is no gap: what comes behind it counts", () => {
    const ledger = opened();
    expect(fate(ledger, { kind: "malformed", reason: "not JSON" }, 1)).toBe("malformed");
    expect(fate(ledger, record(SET), 30)).toBe(FIRST + 30);
    expect(ledger.gap).toBeUndefined();
  });

  it.each<[string, LogLine]>([
    ["a record", record(SET)],
    ["a seal", sealLine()],
  ])("%s before the header is malformed", (_name, line) => {
    const ledger = newLedger(SEGMENT);
    expect(fate(ledger, line, 0)).toBe("malformed");
    expect(ledger).toMatchObject({ sealed: false, gap: undefined, lastRevision: 0 });
  });

  it("what has a wrong checksum is a gap, and the first one is remembered", () => {
    const ledger = opened();
    expect(fate(ledger, UNREADABLE, 40)).toBe("undecided");
    expect(fate(ledger, UNREADABLE, 60)).toBe("undecided");
    expect(ledger.gap).toBe(40);
  });

  it("a header says what the segment begins with", () => {
    expect(opened()).toMatchObject({
      firstRevision: FIRST,
      after: AFTER,
      lastRevision: AFTER,
      stage: "7-c0ffee",
      gap: undefined,
    });
  });
});

describe("rule 2: behind the first seal everything is superseded", () => {
  it("records, seals, headers and what cannot be read", () => {
    const ledger = opened();
    expect(fate(ledger, record(SET), 1)).toBe(FIRST + 1);
    expect(fate(ledger, sealLine(), 2)).toBe("sealed");
    for (const line of [record({ k: "other", s: {} }), sealLine({ firstRevision: 999, gap: 0 }), UNREADABLE])
      expect(fate(ledger, line, 3)).toBe("superseded");
    expect(ledger).toMatchObject({ lastRevision: FIRST + 1, wantedFirstRevision: 0, sealed: true });
    expect(ledger.gap).toBeUndefined();
    expect(ledger.sealedGap).toBeUndefined();
  });

  it("a seal may ask for a higher first revision of the next segment", () => {
    const ledger = opened();
    expect(fate(ledger, sealLine({ firstRevision: 500 }), 1)).toBe("sealed");
    expect(ledger.wantedFirstRevision).toBe(500);
  });

  describe("a seal that names a gap", () => {
    it.each([39, 40, 41])("says nothing new to a process that can read those bytes: gap %i", (gap) => {
      const ledger = opened();
      expect(fate(ledger, record(SET), 40)).toBe(FIRST + 40);
      expect(fate(ledger, sealLine({ gap }), 90)).toBe("sealed");
      expect(ledger).toMatchObject({ gap: undefined, sealedGap: gap, lastRevision: FIRST + 40 });
    });

    it("and more bytes than a process has read says that they were cut off: it is in doubt", () => {
      const ledger = opened();
      expect(fate(ledger, record(SET), 40)).toBe(FIRST + 40);
      const bytes = 40 + LINE_BYTES + 1;
      expect(fate(ledger, sealLine({ gap: 45, firstRevision: 900, bytes }), 90)).toBe("sealed");
      expect(ledger).toMatchObject({ gap: 45, sealedGap: 45, sealedBytes: bytes, lastRevision: FIRST + 40 });
    });

    it("and as many bytes as a process has read says nothing new to it", () => {
      const ledger = opened();
      expect(fate(ledger, record(SET), 40)).toBe(FIRST + 40);
      const bytes = 40 + LINE_BYTES;
      expect(fate(ledger, sealLine({ gap: 40, firstRevision: 900, bytes }), 90)).toBe("sealed");
      expect(ledger).toMatchObject({ gap: undefined, sealedGap: 40, sealedBytes: bytes });
    });

    it("does not move a gap that this process has met before it", () => {
      const ledger = opened();
      expect(fate(ledger, UNREADABLE, 40)).toBe("undecided");
      expect(fate(ledger, sealLine({ gap: 60 }), 90)).toBe("sealed");
      expect(ledger).toMatchObject({ gap: 40, sealedGap: 60 });
    });
  });
});

describe("rule 3: what stands in a place that is not its own has replaced what was there", () => {
  const { record: composed } = record(SET);

  it.each<[string, LogLine]>([
    ["a record of an earlier segment", { kind: "record", record: { ...composed, n: 10_000, g: 6 } }],
    ["a record of a later segment", { kind: "record", record: { ...composed, n: 10_000, g: 8 } }],
    ["a second header", { kind: "header", header: headerOf(SEGMENT, FIRST, AFTER) }],
    ["the header of another segment", { kind: "header", header: headerOf(6, 50) }],
    ["the seal of the segment before", { kind: "seal", seal: { seal: SEGMENT } }],
    ["the seal of a later segment", { kind: "seal", seal: { seal: SEGMENT + 2 } }],
  ])("%s is a gap", (_name, line) => {
    const ledger = opened();
    expect(fate(ledger, line, 40)).toBe("undecided");
    expect(ledger).toMatchObject({ gap: 40, sealed: false, firstRevision: FIRST, lastRevision: AFTER });
    expect(ledger.behind.size).toBe(0);
  });

  it("a header that is not the first line leaves the segment without one", () => {
    const ledger = newLedger(SEGMENT);
    const header = headerOf(SEGMENT, FIRST, AFTER);
    expect(decide(ledger, { kind: "header", header }, 85, 200, 0)).toEqual({ fate: "undecided" });
    expect(ledger).toMatchObject({ firstRevision: undefined, gap: 0 });
  });

  it("the header of another segment in place of the first line leaves the segment without one", () => {
    const ledger = newLedger(SEGMENT);
    expect(fate(ledger, { kind: "header", header: headerOf(8, 500) }, 0)).toBe("undecided");
    expect(ledger).toMatchObject({ firstRevision: undefined, gap: 0 });
  });

  it.each([
    ["the same number again", 5],
    ["a lower number", 4],
  ])("%s of a writer is a gap", (_name, n) => {
    const ledger = opened();
    const of = (number: number): LogLine => ({ kind: "record", record: { ...composed, n: number } });
    expect(fate(ledger, of(5), 1)).toBe(FIRST + 1);
    expect(fate(ledger, of(n), 40)).toBe("undecided");
    expect(ledger).toMatchObject({ gap: 40, lastRevision: FIRST + 1 });
  });

  it("what it is glued to may be what is left of a good line: the gap begins there", () => {
    for (const line of [
      UNREADABLE,
      sealLine({ seal: SEGMENT }),
      { kind: "record", record: { ...composed, g: 6 } },
    ] as const) {
      const ledger = opened();
      expect(decide(ledger, line, 50, 60, 40)).toEqual({ fate: "undecided" });
      expect(ledger.gap).toBe(40);
    }
  });

  it("a record that did not commit has come further as well", () => {
    const ledger = opened();
    const patch = { ...composed, n: 5, ops: [{ k: "k", b: 5, p: {} }] };
    expect(fate(ledger, { kind: "record", record: patch }, 1)).toBe("superseded");
    expect(fate(ledger, { kind: "record", record: patch }, 40)).toBe("undecided");
    expect(ledger.gap).toBe(40);
  });

  it("a writer's numbers may skip, and writers count for themselves", () => {
    const ledger = opened();
    for (const [index, [w, n]] of (
      [
        ["a", 5],
        ["b", 1],
        ["a", 9],
        ["b", 2],
      ] as const
    ).entries())
      expect(fate(ledger, { kind: "record", record: { ...composed, w, n } }, index + 1)).toBe(
        FIRST + index + 1,
      );
  });
});

describe("rule 6: behind a gap nothing is decided", () => {
  it("it is noted which sessions are changed there, and by which line last; a check is no change", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "before", s: {} }), 1)).toBe(FIRST + 1);
    expect(fate(ledger, UNREADABLE, 10)).toBe("undecided");
    expect(fate(ledger, record({ k: "a", s: {} }, { k: "b", b: 4, d: 1 }, { k: "checked", b: 0 }), 20)).toBe(
      "undecided",
    );
    expect(fate(ledger, record({ k: "a", b: FIRST + 20, p: {} }), 30)).toBe("undecided");
    expect(Object.fromEntries(ledger.behind)).toEqual({ a: FIRST + 30, b: FIRST + 20 });
    expect(Object.fromEntries(ledger.changed)).toEqual({ before: FIRST + 1 });
    expect(ledger.lastRevision).toBe(FIRST + 1);
  });

  it("a seal ends the segment there too", () => {
    const ledger = opened();
    expect(fate(ledger, UNREADABLE, 10)).toBe("undecided");
    expect(fate(ledger, sealLine(), 20)).toBe("sealed");
    expect(ledger).toMatchObject({ sealed: true, gap: 10 });
  });
});

describe("settle: what the next segment's header says of the last commit before it", () => {
  function damaged(): SegmentLedger {
    const ledger = opened();
    expect(fate(ledger, record(SET), 20)).toBe(FIRST + 20);
    expect(fate(ledger, UNREADABLE, 40)).toBe("undecided");
    expect(fate(ledger, record({ k: "behind", s: {} }), 60)).toBe("undecided");
    expect(fate(ledger, sealLine(), 90)).toBe("sealed");
    return ledger;
  }

  it("a commit in front of the gap: nothing is lost, and no session is in doubt", () => {
    const ledger = damaged();
    expect(settle(ledger, headerOf(8, FIRST + 120, FIRST + 39))).toBe(true);
    expect(ledger.gap).toBeUndefined();
    expect(ledger.behind.size).toBe(0);
  });

  it.each([40, 60, 119])("a commit in the gap or behind it, at byte %i: the doubt stays", (offset) => {
    const ledger = damaged();
    expect(settle(ledger, headerOf(8, FIRST + 120, FIRST + offset))).toBe(true);
    expect(ledger.gap).toBe(40);
    expect(Object.fromEntries(ledger.behind)).toEqual({ behind: FIRST + 60 });
  });

  it("a commit behind the last one that this process has decided: that is lost, and nothing else shows it", () => {
    const ledger = opened();
    expect(fate(ledger, record(SET), 20)).toBe(FIRST + 20);
    expect(fate(ledger, sealLine(), 90)).toBe("sealed");
    expect(settle(ledger, headerOf(8, FIRST + 120, FIRST + 50))).toBe(true);
    expect(ledger.gap).toBe(50);
  });

  it("nothing, where the process that made the segment could not know", () => {
    const ledger = opened();
    expect(fate(ledger, record(SET), 20)).toBe(FIRST + 20);
    expect(fate(ledger, sealLine(), 90)).toBe("sealed");
    expect(settle(ledger, headerOf(8, FIRST + 120))).toBe(true);
    expect(ledger.gap).toBeUndefined();
  });

  it("a commit before the last one that this process has decided takes that back", () => {
    expect(settle(damaged(), headerOf(8, FIRST + 120, FIRST + 19))).toBe(false);
    expect(settle(damaged(), headerOf(8, FIRST + 120, FIRST + 20))).toBe(true);
  });
});

/** How the key came to its state; lines stand one byte apart, so that the next revision is `NEXT`. */
const HISTORIES: Record<string, LogOp[]> = {
  untouched: [
    { k: "x", s: {} },
    { k: "y", s: {} },
    { k: "z", s: {} },
  ],
  "set at 101": [
    { k: "x", s: {} },
    { k: "k", s: {} },
    { k: "z", s: {} },
  ],
  "set, then patched at 102": [
    { k: "x", s: {} },
    { k: "k", s: {} },
    { k: "k", b: 101, p: { a: 1 } },
  ],
  "set, then deleted at 102": [
    { k: "x", s: {} },
    { k: "k", s: {} },
    { k: "k", b: 101, d: 1 },
  ],
  "deleted as its first change": [
    { k: "x", s: {} },
    { k: "k", b: 50, d: 1 },
    { k: "z", s: {} },
  ],
  "only checked": [
    { k: "x", s: {} },
    { k: "k", b: 50 },
    { k: "z", s: {} },
  ],
};
const NEXT = FIRST + 3;

/** Bases: none, must not exist, before the segment, its first revision, the latest change, something in between. */
type Bases = Record<"none" | 0 | 99 | 100 | 101 | 102, "commit" | "superseded" | "undecided">;

const ALWAYS: Bases = {
  none: "commit",
  0: "commit",
  99: "commit",
  100: "undecided",
  101: "undecided",
  102: "undecided",
};
/** Bases above this one should be commits of the segment, and are not there. */
const lostFrom = (lowest: number, bases: Bases): Bases => ({
  ...bases,
  ...(lowest <= 100 && { 100: "undecided" }),
  ...(lowest <= 101 && { 101: "undecided" }),
  102: "undecided",
});
const only = (...bases: (keyof Bases)[]): Bases => ({
  none: bases.includes("none") ? "commit" : "superseded",
  0: bases.includes(0) ? "commit" : "superseded",
  99: bases.includes(99) ? "commit" : "superseded",
  100: bases.includes(100) ? "commit" : "superseded",
  101: bases.includes(101) ? "commit" : "superseded",
  102: bases.includes(102) ? "commit" : "superseded",
});

/** A patch and a check always have a base, and a patch one above 0: `log-line.ts` sees to that. */
const TABLE: Record<string, Record<"set" | "patch" | "delete" | "check", Bases>> = {
  untouched: { set: ALWAYS, patch: lostFrom(100, only()), delete: ALWAYS, check: ALWAYS },
  "only checked": { set: ALWAYS, patch: lostFrom(100, only()), delete: ALWAYS, check: ALWAYS },
  "set at 101": {
    set: lostFrom(102, only("none", 101)),
    patch: lostFrom(102, only(101)),
    delete: lostFrom(102, only("none", 101)),
    check: lostFrom(102, only(101)),
  },
  "set, then patched at 102": {
    set: only("none", 102),
    patch: only(102),
    delete: only("none", 102),
    check: only(102),
  },
  "set, then deleted at 102": {
    set: only("none", 0),
    patch: only(),
    delete: only("none", 0),
    check: only(0),
  },
  "deleted as its first change": {
    set: only("none", 0),
    patch: only(),
    delete: only("none", 0),
    check: only(0),
  },
};

const CHANGES = {
  set: { s: { whole: true } },
  patch: { p: { field: 1 } },
  delete: { d: 1 as const },
  check: {},
};

describe("rule 4: bases", () => {
  const rows = Object.entries(TABLE).flatMap(([history, kinds]) =>
    Object.entries(kinds).flatMap(([kind, bases]) =>
      Object.entries(bases)
        .filter(([base]) => !(base === "none" && (kind === "patch" || kind === "check")))
        .filter(([base]) => !(base === "0" && kind === "patch"))
        .map(([base, expected]) => ({ history, kind: kind as keyof typeof CHANGES, base, expected })),
    ),
  );

  it.each(rows)("a key $history: $kind with base $base: $expected", ({ history, kind, base, expected }) => {
    const ledger = opened();
    for (const [index, op] of HISTORIES[history]!.entries())
      expect(fate(ledger, record(op), index)).toBe(FIRST + index);
    const changed = new Map(ledger.changed);
    const op = { k: "k", ...(base === "none" ? {} : { b: Number(base) }), ...CHANGES[kind] };
    expect(fate(ledger, record(op), NEXT - FIRST)).toBe(expected === "commit" ? NEXT : expected);
    if (expected === "undecided") {
      expect(ledger.gap).toBe(Number(base) - FIRST);
      expect(ledger.behind.get("k")).toBe(kind === "check" ? Number(base) : NEXT);
    } else expect(ledger.gap).toBeUndefined();
    if (expected !== "commit" || kind === "check") expect(ledger.changed).toEqual(changed);
    else expect(ledger.changed.get("k")).toBe(kind === "delete" ? 0 : NEXT);
    expect(ledger.lastRevision).toBe(expected === "commit" ? NEXT : NEXT - 1);
  });
});

describe("rule 4 by itself, whatever log-line.ts lets through", () => {
  it("a patch of a session that was deleted in this segment is superseded", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "k", b: 5, d: 1 }), 1)).toBe(FIRST + 1);
    expect(fate(ledger, record({ k: "k", b: 0, p: { field: 1 } }), 2)).toBe("superseded");
  });
});

describe("rule 5: one op that fails supersedes the record", () => {
  const good: LogOp = { k: "good", b: 5, s: { whole: true } };
  const bad: LogOp = { k: "bad", b: 5, p: { field: 1 } };

  it.each([
    ["last", [good, bad]],
    ["first", [bad, good]],
  ])("the %s one, and nothing of it counts", (_name, ops) => {
    const ledger = opened();
    expect(fate(ledger, record(...ops), 1)).toBe("superseded");
    expect(ledger.changed.size).toBe(0);
    expect(ledger.lastRevision).toBe(AFTER);
    expect(fate(ledger, record(good), 80)).toBe(FIRST + 80);
  });

  it("ops do not see each other: all are tested against what was before the record", () => {
    const ledger = opened();
    const ops: LogOp[] = [
      { k: "a", b: 3 },
      { k: "b", b: 4, s: {} },
      { k: "c", b: 5, d: 1 },
    ];
    expect(fate(ledger, record(...ops), 80)).toBe(FIRST + 80);
    expect(Object.fromEntries(ledger.changed)).toEqual({ b: FIRST + 80, c: 0 });
  });

  it("a record of checks alone takes a revision and changes nothing", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "a", b: 0 }, { k: "b", b: 99 }), 1)).toBe(FIRST + 1);
    expect(ledger.changed.size).toBe(0);
    expect(fate(ledger, record(SET), 70)).toBe(FIRST + 70);
  });
});
