/** Goal: the rules of a prune keep what they say. Method: names of backups at chosen times; a random test with a plain oracle. */
import { describe, expect, it } from "vitest";
import { backupName, timeOfName } from "../../../src/care/backup/folder.js";
import { keptBy } from "../../../src/care/backup/keep.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";

const HOUR_MS = 3_600_000;
const at = (iso: string): string => backupName(Date.parse(iso), "000000");

/** Newest first. */
function every(hours: number, count: number, newest = Date.UTC(2026, 10, 30, 12)): string[] {
  return Array.from({ length: count }, (_, index) => backupName(newest - index * hours * HOUR_MS, "abcdef"));
}

describe("the rules of a prune", () => {
  it("a name tells when it was begun, and sorts by it", () => {
    const time = Date.UTC(2026, 10, 30, 19, 12, 48, 123);
    expect(backupName(time, "1a2b3c")).toBe("20261130T191248123Z-1a2b3c");
    expect(timeOfName("20261130T191248123Z-1a2b3c")).toBe(time);
  });

  it("last, daily, weekly and monthly, each by itself", () => {
    const names = every(6, 400); // 100 days
    expect([...keptBy(names, { last: 3 })]).toEqual(names.slice(0, 3));
    expect([...keptBy(names, { daily: 3 })].map((name) => name.slice(0, 11))).toEqual([
      "20261130T12",
      "20261129T18",
      "20261128T18",
    ]);
    // 2026-11-30 is a Monday.
    expect([...keptBy(names, { weekly: 3 })].map((name) => name.slice(0, 11))).toEqual([
      "20261130T12",
      "20261129T18",
      "20261122T18",
    ]);
    expect([...keptBy(names, { monthly: 3 })].map((name) => name.slice(0, 11))).toEqual([
      "20261130T12",
      "20261031T18",
      "20260930T18",
    ]);
    expect(keptBy(names, { last: 0 }).size).toBe(0);
    expect(keptBy([], { last: 5, daily: 5 }).size).toBe(0);
  });

  it("periods without a backup do not count", () => {
    const names = [at("2026-11-30T10:00:00Z"), at("2026-11-02T10:00:00Z"), at("2026-01-02T10:00:00Z")];
    expect([...keptBy(names, { daily: 2 })]).toEqual(names.slice(0, 2));
    expect([...keptBy(names, { monthly: 2 })]).toEqual([names[0], names[2]]);
  });

  it("the union of all rules, as a plain oracle has it", () => {
    const random = seededRandom(7);
    for (let round = 0; round < 200; round++) {
      const names = [
        ...new Set(
          Array.from({ length: 40 }, () =>
            backupName(Date.UTC(2026, 0, 1) + Math.floor(random() * 400 * 24) * HOUR_MS, "000000"),
          ),
        ),
      ]
        .sort()
        .reverse();
      const rules = {
        last: Math.floor(random() * 4),
        daily: Math.floor(random() * 6),
        weekly: Math.floor(random() * 6),
        monthly: Math.floor(random() * 6),
      };
      const newestOf = (periodOf: (date: Date) => string, count: number): string[] => {
        const newest = new Map<string, string>();
        for (const name of names) {
          const period = periodOf(new Date(timeOfName(name)));
          if (!newest.has(period)) newest.set(period, name);
        }
        return [...newest.values()].slice(0, count);
      };
      const monday = (date: Date): string => {
        const day = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()));
        day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
        return day.toISOString();
      };
      const expected = new Set([
        ...names.slice(0, rules.last),
        ...newestOf((date) => date.toISOString().slice(0, 10), rules.daily),
        ...newestOf(monday, rules.weekly),
        ...newestOf((date) => date.toISOString().slice(0, 7), rules.monthly),
      ]);
      expect([...keptBy(names, rules)].sort(), `round ${round}`).toEqual([...expected].sort());
    }
  });
});
