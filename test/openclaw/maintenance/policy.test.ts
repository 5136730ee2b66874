/**
 * Goal: which sessions the limits take is one decision, whatever backend they lie in.
 * Method: the pure functions on tables of sessions; nothing lies anywhere.
 */
import { describe, expect, it } from "vitest";
import type { SessionEntry } from "../../../src/openclaw/entry/session-entry.js";
import type { ListedSession } from "../../../src/openclaw/maintenance/maintained-store.js";
import {
  compareAge,
  isStale,
  tooMany,
  tooOld,
  warningFor,
} from "../../../src/openclaw/maintenance/policy.js";
import { Protection } from "../../../src/openclaw/maintenance/protection.js";

const NOW = 1000;
const entry = (updatedAt: unknown): SessionEntry => ({ sessionId: "s", updatedAt }) as SessionEntry;
const sessions = (times: Readonly<Record<string, unknown>>): ListedSession[] =>
  Object.entries(times).map(([key, time]) => ({ key, entry: entry(time), revision: 1 }));
const keysOf = (listed: readonly ListedSession[]): string[] => listed.map(({ key }) => key);
const protection = new Protection(["KEPT"], NOW);

describe("age", () => {
  it.each([
    [99, true],
    [100, false],
    [0, false],
    [undefined, false],
    ["99", false],
    [Number.NaN, false],
  ])("a session last used at %s is stale before 100: %s", (time, stale) => {
    expect(isStale(entry(time), 100)).toBe(stale);
  });

  it("what is damaged has no age", () => {
    expect(isStale(undefined, 100)).toBe(false);
    expect(isStale(null as unknown as SessionEntry, 100)).toBe(false);
  });

  it("those that are kept whatever their age are not too old", () => {
    const listed = sessions({ old: 1, kept: 1, "agent:a:telegram:group:1": 1, fresh: 500, none: undefined });
    expect(keysOf(tooOld(listed, { cutoff: 100, protection }))).toEqual(["old"]);
    expect(tooOld(listed, { cutoff: Number.NEGATIVE_INFINITY, protection })).toEqual([]);
  });
});

describe("number", () => {
  it("takes the oldest that may go, and no more than there are too many", () => {
    const listed = sessions({ kept: 1, a: 2, b: 3, c: 4 });
    expect(keysOf(tooMany(listed, 2, { protection }))).toEqual(["a", "b"]);
    expect(keysOf(tooMany(listed, 9, { protection }))).toEqual(["a", "b", "c"]);
  });

  it("a session without a time is older than any other", () => {
    expect(compareAge(entry(undefined), entry(0))).toBeLessThan(0);
    expect(compareAge(entry(Number.NaN), entry(undefined))).toBe(0);
    expect(compareAge(entry(2), entry(1))).toBeGreaterThan(0);
  });
});

describe("the active session", () => {
  const limits = { pruneAfterMs: 100, maxEntries: 2, nowMs: NOW };

  it.each([
    [950, 1, undefined],
    [899, 1, { wouldPrune: true, wouldCap: false }],
    [950, 2, { wouldPrune: false, wouldCap: true }],
    [899, 2, { wouldPrune: true, wouldCap: true }],
  ])("used at %s, with %s kept before it", (time, before, expected) => {
    const warning = warningFor("a", entry(time), 3, before, limits);
    if (expected === undefined) expect(warning).toBeNull();
    else expect(warning).toMatchObject({ activeSessionKey: "a", totalEntries: 3, ...expected });
  });

  it("a conversation that lasts is never in danger, nor any where no limit is set", () => {
    expect(warningFor("agent:a:telegram:group:1", entry(1), 3, 2, limits)).toBeNull();
    expect(warningFor("a", entry(1), 3, 2, { pruneAfterMs: 0, maxEntries: 0, nowMs: NOW })).toBeNull();
  });
});
