/**
 * Goal: on a plain object, the limits remove what they say, never what is alive, and never everything by a slip.
 * Method: objects with every kind of age, case variants, running sessions and hostile keys.
 */
import { describe, expect, it, test } from "vitest";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import {
  capEntryCount,
  getActiveSessionMaintenanceWarning,
  pruneStaleEntries,
} from "../../../src/openclaw/maintenance/whole-store.js";

const DAY = 86_400_000;
const NOW = 1_795_200_000_000;
const aged = (days: number, more: Partial<SessionEntry> = {}): SessionEntry => ({
  sessionId: `s${days}`,
  updatedAt: NOW - days * DAY,
  ...more,
});
const withoutTime = (): SessionEntry => ({ sessionId: "none" }) as SessionEntry;

describe("pruneStaleEntries", () => {
  it("removes what is older, in place, and tells", () => {
    const store: SessionStoreRecord = { old: aged(31), edge: aged(30), fresh: aged(1), none: withoutTime() };
    const told: string[] = [];
    const pruned = pruneStaleEntries(store, 30 * DAY, { nowMs: NOW, onPruned: ({ key }) => told.push(key) });
    expect(pruned).toBe(1);
    expect(told).toEqual(["old"]);
    expect(Object.keys(store)).toEqual(["edge", "fresh", "none"]);
  });

  it("has 30 days as its default", () => {
    const store = { old: { sessionId: "a", updatedAt: Date.now() - 31 * DAY }, fresh: withoutTime() };
    expect(pruneStaleEntries(store)).toBe(1);
    expect(Object.keys(store)).toEqual(["fresh"]);
  });

  it("keeps what it is told to, in any case, and what is running", () => {
    const store: SessionStoreRecord = {
      "Agent:Main": aged(90),
      "agent:other": aged(90),
      running: aged(0.5, { status: "running" }),
      acp: aged(0.5, { acp: { state: "running" } as NonNullable<SessionEntry["acp"]> }),
      startedJustNow: aged(90, { status: "running", startedAt: NOW - 1000 }),
      killedLongAgo: aged(90, { status: "running" }),
      done: aged(0.5, { status: "done" }),
    };
    pruneStaleEntries(store, 3600_000, { nowMs: NOW, preserveKeys: new Set([" agent:MAIN "]) });
    expect(Object.keys(store)).toEqual(["Agent:Main", "running", "acp", "startedJustNow"]);
  });

  it("__proto__ and constructor are ordinary keys", () => {
    const store = JSON.parse(
      '{"__proto__":{"updatedAt":1},"constructor":{"updatedAt":1}}',
    ) as SessionStoreRecord;
    expect(pruneStaleEntries(store, DAY, { nowMs: NOW })).toBe(2);
    expect(Object.keys(store)).toEqual([]);
    expect(({} as Record<string, unknown>)["updatedAt"]).toBeUndefined();
  });

  test.each([0, -1, Infinity])("a limit of %d removes nothing", (limit) => {
    const store = { a: aged(9999) };
    expect(pruneStaleEntries(store, limit, { nowMs: NOW })).toBe(0);
  });

  it("what is no number, or no session, is not guessed at", () => {
    const damaged = { a: null, b: "text", c: { updatedAt: "1" }, d: [] } as unknown;
    expect(pruneStaleEntries(damaged as SessionStoreRecord, DAY)).toBe(0);
    expect(() => pruneStaleEntries({}, NaN)).toThrow(TypeError);
    expect(() => pruneStaleEntries({}, "30d" as never)).toThrow(TypeError);
  });
});

describe("capEntryCount", () => {
  it("keeps the most recently used; those without a time go first, ties from the end", () => {
    const store: SessionStoreRecord = {
      a: aged(3),
      none: withoutTime(),
      b: aged(1),
      tie1: aged(2),
      tie2: aged(2),
    };
    const told: string[] = [];
    expect(capEntryCount(store, 3, { nowMs: NOW, onCapped: ({ key }) => told.push(key) })).toBe(2);
    expect(told).toEqual(["none", "a"]);
    expect(capEntryCount(store, 2, { nowMs: NOW })).toBe(1);
    expect(Object.keys(store)).toEqual(["b", "tie1"]);
  });

  it("what must stay counts, and may exceed the limit", () => {
    const store: SessionStoreRecord = { old: aged(9), run: aged(0.5, { status: "running" }), b: aged(0.1) };
    expect(capEntryCount(store, 1, { nowMs: NOW, preserveKeys: new Set(["OLD"]) })).toBe(1);
    expect(Object.keys(store)).toEqual(["old", "run"]);
    expect(capEntryCount(store, 1, { nowMs: NOW, preserveKeys: new Set(["old"]) })).toBe(0);
  });

  test.each([0, -5, Infinity])("a limit of %d removes nothing", (limit) => {
    const store = { a: aged(1), b: aged(2) };
    expect(capEntryCount(store, limit)).toBe(0);
    expect(() => capEntryCount(store, NaN)).toThrow(TypeError);
  });
});

describe("getActiveSessionMaintenanceWarning", () => {
  const limits = { pruneAfterMs: 30 * DAY, maxEntries: 2, nowMs: NOW };

  it("is null for a session that would stay, and for none", () => {
    const store = { a: aged(1), b: aged(2), c: aged(3) };
    expect(getActiveSessionMaintenanceWarning({ store, activeSessionKey: " A ", ...limits })).toBeNull();
    expect(getActiveSessionMaintenanceWarning({ store, activeSessionKey: "x", ...limits })).toBeNull();
    expect(getActiveSessionMaintenanceWarning({ store, activeSessionKey: "  ", ...limits })).toBeNull();
  });

  it("says which limit would remove it", () => {
    const store = { a: aged(1), b: aged(2), c: aged(40) };
    expect(getActiveSessionMaintenanceWarning({ store, activeSessionKey: "c", ...limits })).toEqual({
      activeSessionKey: "c",
      activeUpdatedAt: NOW - 40 * DAY,
      totalEntries: 3,
      pruneAfterMs: 30 * DAY,
      maxEntries: 2,
      wouldPrune: true,
      wouldCap: true,
    });
    const off = { ...limits, maxEntries: 0, pruneAfterMs: 0 };
    expect(getActiveSessionMaintenanceWarning({ store, activeSessionKey: "c", ...off })).toBeNull();
  });

  it("of sessions used at the same time the earlier ones stay", () => {
    const store = { a: aged(1), b: aged(1), c: aged(1) };
    const asked = (activeSessionKey: string): boolean =>
      getActiveSessionMaintenanceWarning({ store, activeSessionKey, ...limits }) !== null;
    expect([asked("a"), asked("b"), asked("c")]).toEqual([false, false, true]);
    capEntryCount(store, 2, { nowMs: NOW });
    expect(Object.keys(store)).toEqual(["a", "b"]);
  });
});
