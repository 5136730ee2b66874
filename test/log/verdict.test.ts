/**
 * Goal: what becomes of a line of the log is exactly what rules 1 - 5 say.
 * Method: one named test a rule. Rule 4 is a table of every state that a key can be in, times every kind of op, times
 * every base that matters, with the expected fate written down by hand, not computed.
 */
import { describe, expect, it } from "vitest";
import type { LogLine, LogOp, LogRecord } from "../../src/format/log-line.js";
import { decide, newLedger, type SegmentLedger } from "../../src/log/verdict.js";

const SEGMENT = 7;
const FIRST = 100;

let numbers = 0;

function record(...ops: LogOp[]): LogLine & { kind: "record" } {
  const line: LogRecord = { w: "writer", n: ++numbers, g: SEGMENT, t: 0, ops };
  return { kind: "record", record: line };
}

function opened(): SegmentLedger {
  const ledger = newLedger(SEGMENT);
  const header = { segment: SEGMENT, firstRevision: FIRST, store: "store", stage: "7-c0ffee" };
  expect(decide(ledger, { kind: "header", header })).toEqual({ fate: "header" });
  return ledger;
}

function fate(ledger: SegmentLedger, line: LogLine): string | number {
  const verdict = decide(ledger, line);
  return verdict.fate === "committed" ? verdict.revision : verdict.fate;
}

const SET: LogOp = { k: "k", s: { whole: true } };

describe("rule 1: what is no line is malformed", () => {
  it("and changes nothing", () => {
    const ledger = opened();
    expect(fate(ledger, { kind: "malformed", reason: "not JSON" })).toBe("malformed");
    expect(fate(ledger, record(SET))).toBe(FIRST);
  });

  it.each<[string, LogLine]>([
    ["a record", record(SET)],
    ["a seal", { kind: "seal", seal: { seal: 8 } }],
  ])("%s before the header is malformed", (_name, line) => {
    const ledger = newLedger(SEGMENT);
    expect(fate(ledger, line)).toBe("malformed");
    expect(ledger.sealed).toBe(false);
  });

  it("a second header, or one of another segment, is malformed", () => {
    const ledger = newLedger(SEGMENT);
    const header = (segment: number, firstRevision: number): LogLine => ({
      kind: "header",
      header: { segment, firstRevision, store: "store", stage: `${segment}-c0ffee` },
    });
    expect(fate(ledger, header(8, 1))).toBe("malformed");
    expect(fate(ledger, header(7, 100))).toBe("header");
    expect(fate(ledger, header(7, 500))).toBe("malformed");
    expect(ledger).toMatchObject({ firstRevision: 100, lastRevision: 99, stage: "7-c0ffee" });
  });
});

describe("rule 2: behind the first seal everything is superseded", () => {
  it.each<[string, LogLine, boolean]>([
    ["a seal", { kind: "seal", seal: { seal: 8 } }, false],
    ["a line with a NUL byte", { kind: "hole" }, true],
  ])("%s", (_name, line, hole) => {
    const ledger = opened();
    expect(fate(ledger, record(SET))).toBe(FIRST);
    expect(decide(ledger, line)).toEqual({ fate: "sealed", hole });
    expect(fate(ledger, record({ k: "other", s: {} }))).toBe("superseded");
    expect(fate(ledger, { kind: "seal", seal: { seal: 8, firstRevision: 999 } })).toBe("superseded");
    expect(fate(ledger, { kind: "hole" })).toBe("superseded");
    expect(ledger).toMatchObject({ lastRevision: FIRST, wantedFirstRevision: 0, sealed: true });
  });

  it("a seal may ask for a higher first revision of the next segment", () => {
    const ledger = opened();
    expect(fate(ledger, { kind: "seal", seal: { seal: 8, firstRevision: 500 } })).toBe("sealed");
    expect(ledger.wantedFirstRevision).toBe(500);
  });
});

describe("rule 3: a record that was composed for another segment is superseded", () => {
  it.each([6, 8])("segment %d", (g) => {
    const ledger = opened();
    const { record: composed } = record(SET);
    expect(fate(ledger, { kind: "record", record: { ...composed, g } })).toBe("superseded");
    expect(fate(ledger, record(SET))).toBe(FIRST);
  });
});

/** How the key came to its state, always with the next revision being `NEXT`. */
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
type Bases = Record<"none" | 0 | 99 | 100 | 101 | 102, "commit" | "superseded">;

const ALWAYS: Bases = {
  none: "commit",
  0: "commit",
  99: "commit",
  100: "superseded",
  101: "superseded",
  102: "superseded",
};
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
  untouched: { set: ALWAYS, patch: only(), delete: ALWAYS, check: ALWAYS },
  "only checked": { set: ALWAYS, patch: only(), delete: ALWAYS, check: ALWAYS },
  "set at 101": { set: only("none", 101), patch: only(101), delete: only("none", 101), check: only(101) },
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
      expect(fate(ledger, record(op))).toBe(FIRST + index);
    const changed = new Map(ledger.changed);
    const op = { k: "k", ...(base === "none" ? {} : { b: Number(base) }), ...CHANGES[kind] };
    expect(fate(ledger, record(op))).toBe(expected === "commit" ? NEXT : "superseded");
    if (expected === "superseded" || kind === "check") expect(ledger.changed).toEqual(changed);
    else expect(ledger.changed.get("k")).toBe(kind === "delete" ? 0 : NEXT);
    expect(ledger.lastRevision).toBe(expected === "commit" ? NEXT : NEXT - 1);
  });
});

describe("rule 4 by itself, whatever log-line.ts lets through", () => {
  it("a patch of a session that was deleted in this segment is superseded", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "k", b: 5, d: 1 }))).toBe(FIRST);
    expect(fate(ledger, record({ k: "k", b: 0, p: { field: 1 } }))).toBe("superseded");
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
    expect(fate(ledger, record(...ops))).toBe("superseded");
    expect(ledger.changed.size).toBe(0);
    expect(fate(ledger, record(good))).toBe(FIRST);
  });

  it("ops do not see each other: all are tested against what was before the record", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "a", b: 3 }, { k: "b", b: 4, s: {} }, { k: "c", b: 5, d: 1 }))).toBe(
      FIRST,
    );
    expect(Object.fromEntries(ledger.changed)).toEqual({ b: FIRST, c: 0 });
  });

  it("a record of checks alone takes a revision and changes nothing", () => {
    const ledger = opened();
    expect(fate(ledger, record({ k: "a", b: 0 }, { k: "b", b: 99 }))).toBe(FIRST);
    expect(ledger.changed.size).toBe(0);
    expect(fate(ledger, record(SET))).toBe(FIRST + 1);
  });
});
