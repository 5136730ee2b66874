/** Which backups the rules of a prune keep: a pure function of their names, which tell when each was begun. */
import { timeOfName } from "./folder.js";
import type { KeepRules } from "./types.js";

const DAY_MS = 24 * 60 * 60 * 1000;
/** 1970-01-01 was a Thursday: from the Monday before it there are three days. */
const DAYS_FROM_MONDAY = 3;

/** What a backup is the newest of, by rule. All in UTC. */
const PERIODS: Readonly<Record<Exclude<keyof KeepRules, "last">, (at: number) => string>> = {
  daily: (at) => String(Math.floor(at / DAY_MS)),
  weekly: (at) => String(Math.floor((Math.floor(at / DAY_MS) + DAYS_FROM_MONDAY) / 7)),
  monthly: (at) => new Date(at).toISOString().slice(0, 7),
};

/**
 * @param names Newest first.
 * @param timeOf When one was begun, by the clock of then: a name may say a later time, so that it sorts behind the one before.
 */
export function keptBy(
  names: readonly string[],
  rules: KeepRules,
  timeOf: (name: string) => number = timeOfName,
): Set<string> {
  const kept = new Set(names.slice(0, rules.last ?? 0));
  for (const [rule, periodOf] of Object.entries(PERIODS)) {
    let left = rules[rule as keyof KeepRules] ?? 0;
    let period: string | undefined;
    for (const name of names) {
      const own = periodOf(timeOf(name));
      if (own === period) continue;
      period = own;
      if (left-- <= 0) break;
      kept.add(name);
    }
  }
  return kept;
}
