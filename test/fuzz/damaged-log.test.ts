/**
 * Goal: damage never makes a process decide differently, only less, and it never goes unnoticed.
 * Method: random segments of honest writers, torn writes included, and random damage: bits, zeros, garbage, blocks of
 * another segment, a cut. The oracle is what was decided of the good bytes: of the damaged ones exactly
 * a beginning of that is decided, revisions included; if it is not all, there is a gap, and every change behind it whose line
 * can still be read is named.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  composeRecordJson,
  encodeLogLine,
  isChange,
  isTorn,
  parseLogLines,
  type LogRecord,
} from "../../src/format/log-line.js";
import { newLedger, type SegmentLedger } from "../../src/log/segment-ledger.js";
import { decide, settle } from "../../src/log/verdict.js";
import { composeSegment, FIRST_REVISION, honestSteps, recordLine, SEGMENT } from "../log/segments.js";

const SEED = Number(process.env["SESSIONDIR_SEED"] ?? 20261121);
const RUNS = 3000;
const NEWLINE = 0x0a;
const NEWLINE_BYTES = Buffer.from("\n");
/** Bytes from which it can be told that a line begins. */
const BEGINNING_BYTES = 12;

interface Decided {
  readonly ledger: SegmentLedger;
  readonly commits: { readonly at: number; readonly end: number; readonly record: LogRecord }[];
  /** Offset of the seal that ended it. */
  readonly sealedAt: number | undefined;
}

/** As every process does, and without any of its machinery. */
function decideAll(bytes: Buffer): Decided {
  const ledger = newLedger(SEGMENT);
  const commits: Decided["commits"] = [];
  let sealedAt: number | undefined;
  for (
    let start = 0, end = bytes.indexOf(NEWLINE);
    end >= 0;
    start = end + 1, end = bytes.indexOf(NEWLINE, start)
  ) {
    for (const { at, from, line } of parseLogLines(bytes, start, end)) {
      const verdict = decide(ledger, line, at, end + 1, from);
      if (verdict.fate === "sealed") sealedAt = at;
      if (verdict.fate !== "committed") continue;
      expect(verdict.revision).toBe(FIRST_REVISION + at);
      commits.push({ at, end, record: verdict.record });
    }
  }
  return { ledger, commits, sealedAt };
}

type Damage =
  | { readonly kind: "bit"; readonly at: number; readonly bit: number }
  | { readonly kind: "zeros"; readonly at: number; readonly length: number }
  | { readonly kind: "garbage"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "foreign block"; readonly at: number; readonly from: number; readonly length: number };

const place = fc.nat(100_000);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant("bit" as const), at: place, bit: fc.nat(7) }),
  fc.record({ kind: fc.constant("zeros" as const), at: place, length: fc.integer({ min: 1, max: 300 }) }),
  fc.record({
    kind: fc.constant("garbage" as const),
    at: place,
    bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  }),
  fc.record({
    kind: fc.constant("foreign block" as const),
    at: place,
    from: place,
    length: fc.integer({ min: 1, max: 600 }),
  }),
);

/** Another segment of the same store, by the same writer. */
const FOREIGN = Buffer.concat([
  ...Array.from({ length: 12 }, (_, n) =>
    recordLine(n + 1, SEGMENT + 1, [{ k: "abc".charAt(n % 3), s: { n } }]),
  ),
  encodeLogLine(`{"seal":${SEGMENT + 2}}`),
]);

function damaged(bytes: Buffer, damages: readonly Damage[]): Buffer {
  const result = Buffer.from(bytes);
  for (const one of damages) {
    const at = one.at % bytes.length;
    switch (one.kind) {
      case "bit":
        result[at] = (result[at] ?? 0) ^ (1 << one.bit);
        break;
      case "zeros":
        result.fill(0, at, Math.min(bytes.length, at + one.length));
        break;
      case "garbage":
        result.set(one.bytes.subarray(0, bytes.length - at), at);
        break;
      case "foreign block": {
        const from = one.from % FOREIGN.length;
        FOREIGN.copy(result, at, from, Math.min(FOREIGN.length, from + one.length));
      }
    }
  }
  return result;
}

/**
 * Four things that damage can make look like an honest segment, byte for byte, so that no reader could tell: it takes the
 * end of a line, brace and newline, and stops exactly where the next line begins (that is a torn write); it puts a
 * whole copy of the segment's own seal where a line begins; or an empty line there (what is behind that is damage, and seen); or it takes the end of a line that never had a newline.
 */
function looksHonest(good: Buffer, bad: Buffer, sealedAt: number | undefined): boolean {
  if (sealedAt !== undefined && sealedAt !== decideAll(good).sealedAt) return true;
  for (const { at, record } of decideAll(good).commits) {
    const end = at + encodeLogLine(composeRecordJson(record)).length - 1;
    if (good[end] !== NEWLINE && !bad.subarray(at, end).equals(good.subarray(at, end))) return true;
  }
  for (let at = good.indexOf(NEWLINE); at >= 0 && at + 1 < bad.length; at = good.indexOf(NEWLINE, at + 1)) {
    const next = good.subarray(at + 1, at + 1 + BEGINNING_BYTES);
    const intact = bad.subarray(at + 1, at + 1 + BEGINNING_BYTES).equals(next);
    if (bad[at + 1] === NEWLINE) return true;
    if (bad[at] !== NEWLINE && intact && isTorn(bad, bad.lastIndexOf(NEWLINE, at) + 1, at + 1)) return true;
  }
  return false;
}

/** Whether all bytes of a line, and what is in front of it and behind it, are as they were. */
function isIntact(good: Buffer, bad: Buffer, at: number, end: number): boolean {
  const from = good.lastIndexOf(NEWLINE, at) + 1;
  return bad.subarray(Math.max(0, from - 1), end + 1).equals(good.subarray(Math.max(0, from - 1), end + 1));
}

function checkAgainst(good: Buffer, bad: Buffer): "all" | "less" {
  const [known, found] = [decideAll(good), decideAll(bad)];
  fc.pre(!looksHonest(good, bad, found.sealedAt));
  expect(found.commits).toEqual(
    known.commits.slice(0, found.commits.length).map((commit, index) => ({
      ...commit,
      end: found.commits[index]?.end ?? commit.end, // a newline that is lost does not make a line another one
    })),
  );
  const lost = known.commits.slice(found.commits.length);
  const { ledger } = found;
  if (lost.length === 0) return "all";
  if (ledger.firstRevision === undefined) return "less"; // no process reads a segment without a header
  if (ledger.gap === undefined && !ledger.sealed) {
    // Cut off, or its last newline is lost: the missing seal is the gap, once a segment follows.
    expect(bad.subarray(bad.lastIndexOf(NEWLINE) + 1).length + (good.length - bad.length)).toBeGreaterThan(0);
    return "less";
  }
  expect(ledger.gap).toBeLessThanOrEqual(lost[0]?.at ?? 0);
  const numbers = new Map<string, number>();
  for (const { at, end, record } of lost) {
    if (!isIntact(good, bad, at, end) || record.n <= (numbers.get(record.w) ?? 0)) continue;
    for (const op of record.ops) {
      if (isChange(op)) expect(ledger.behind.get(op.k)).toBeGreaterThanOrEqual(FIRST_REVISION + at);
    }
  }
  // Who has read all of it says in the next header which commit was the last: that is never taken for a contradiction.
  const header = {
    segment: SEGMENT + 1,
    firstRevision: 1e6,
    after: known.ledger.lastRevision,
    store: "id",
    stage: "s",
  };
  expect(settle(ledger, header)).toBe(true);
  expect(ledger.gap).toBeDefined();
  return "less";
}

const SEAL = encodeLogLine(`{"seal":${SEGMENT + 1}}`);
const segment = fc
  .tuple(honestSteps, fc.boolean())
  .map(([steps, sealed]) => Buffer.concat(sealed ? [composeSegment(steps), SEAL] : [composeSegment(steps)]));

describe(`a damaged segment, seed ${SEED}`, () => {
  it.each<[string, fc.Arbitrary<Damage[]>]>([
    ["in one place", fc.tuple(damage)],
    ["in several", fc.array(damage, { minLength: 2, maxLength: 5 })],
  ])(
    "%s: what is decided of it is a beginning of what was, and the rest is known to be missing",
    (_name, damages) => {
      const outcomes = { all: 0, less: 0 };
      fc.assert(
        fc.property(segment, damages, (good, made) => {
          outcomes[checkAgainst(good, damaged(good, made))]++;
        }),
        { seed: SEED, numRuns: RUNS },
      );
      expect(Math.min(outcomes.all, outcomes.less)).toBeGreaterThan(RUNS / 50);
    },
  );

  it("by a cut: the same", () => {
    fc.assert(
      fc.property(segment, place, (good, length) => {
        checkAgainst(good, good.subarray(0, length % (good.length + 1)));
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });

  it("not at all: torn writes and the lines that were glued to them are no gap, and a power cut loses no more than it took", () => {
    fc.assert(
      fc.property(segment, fc.integer({ min: 1, max: 100 }), (good, zeros) => {
        const { ledger, commits, sealedAt } = decideAll(good);
        expect(ledger.gap).toBeUndefined();
        if (sealedAt !== undefined) return;
        // A complete line that lacks its newline, with zeros further on, is none of a power cut's.
        fc.pre(decideAll(Buffer.concat([good, SEAL])).commits.length === commits.length);
        const after = decideAll(Buffer.concat([good, Buffer.alloc(zeros), NEWLINE_BYTES]));
        expect(after.commits).toEqual(commits);
        expect(after.ledger.gap).toBeLessThanOrEqual(good.length);
        const next = { segment: SEGMENT + 1, firstRevision: 1e6, store: "id", stage: "s" };
        expect(settle(after.ledger, { ...next, after: ledger.lastRevision })).toBe(true);
        expect(after.ledger.gap).toBeUndefined();
      }),
      { seed: SEED, numRuns: RUNS },
    );
  });
});
