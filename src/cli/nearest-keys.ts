/**
 * "Did you mean …?" for session keys. Looks at a bounded part of the store: the keys that share the longest beginning
 * with what was typed.
 */
import type { Store } from "./open-store.js";

const CANDIDATES_MAX = 200;
const SUGGESTIONS_MAX = 3;

/** Keys that look like this one, the nearest first; none when nothing does. */
export async function nearestKeys(store: Store, key: string): Promise<string[]> {
  const lower = key.toLowerCase();
  // At least a third must be as it is; a shorter common ground is chance.
  const limit = Math.floor(key.length / 3);
  const scored: { key: string; distance: number }[] = [];
  for (const candidate of await candidateKeys(store, key)) {
    const distance = editDistance(lower, candidate.toLowerCase(), limit);
    if (distance <= limit) scored.push({ key: candidate, distance });
  }
  scored.sort((a, b) => a.distance - b.distance);
  return scored.slice(0, SUGGESTIONS_MAX).map((found) => found.key);
}

/** Keys with the same beginning, cut at one colon after the other until some are found. */
async function candidateKeys(store: Store, key: string): Promise<string[]> {
  for (let prefix = key; ;) {
    const { sessions } = await store.list({ prefix, limit: CANDIDATES_MAX });
    if (sessions.length > 0 || prefix === "") return sessions.map((session) => session.key);
    const colon = prefix.slice(0, -1).lastIndexOf(":");
    prefix = prefix.slice(0, colon + 1);
  }
}

/** Levenshtein's distance, or something above `limit` as soon as it is known to be that far. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      current.push(
        Math.min(
          (previous[column] ?? 0) + 1,
          (current[column - 1] ?? 0) + 1,
          (previous[column - 1] ?? 0) + same,
        ),
      );
    }
    if (Math.min(...current) > limit) return limit + 1;
    previous = current;
  }
  return previous[b.length] ?? 0;
}
