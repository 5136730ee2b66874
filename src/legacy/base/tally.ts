/**
 * What a reading, a merge or a whole run came to. It is a value: who reads returns one, it is added to others, and an attempt
 * that is thrown away drops its own, so nothing is ever taken off a count again.
 */
import type { EntryCounts, LegacyWarning, Refusal } from "./types.js";

export interface Tally {
  readonly counts: EntryCounts;
  /** At most the first 1,000; `counts.refused` counts all. */
  readonly refusals: readonly Refusal[];
  readonly warnings: readonly LegacyWarning[];
}

/** A million refusals are one problem, not a million: the rest is counted. */
const REFUSALS_MAX = 1000;

export const EMPTY_TALLY: Tally = {
  counts: { read: 0, kept: 0, merged: 0, unchanged: 0, refused: 0 },
  refusals: [],
  warnings: [],
};

export function sumOf(...tallies: readonly Tally[]): Tally {
  const counts = { ...EMPTY_TALLY.counts };
  for (const tally of tallies)
    for (const name of Object.keys(counts) as (keyof EntryCounts)[]) counts[name] += tally.counts[name];
  return {
    counts,
    refusals: tallies.flatMap(({ refusals }) => refusals).slice(0, REFUSALS_MAX),
    warnings: tallies.flatMap(({ warnings }) => warnings),
  };
}

export function withWarnings(tally: Tally, warnings: readonly LegacyWarning[]): Tally {
  return { ...tally, warnings: [...tally.warnings, ...warnings] };
}

/** Entries that were refused, as they come. */
export class Refusals {
  #count = 0;
  readonly #named: Refusal[] = [];

  add(refusal: Refusal): void {
    this.#count++;
    if (this.#named.length < REFUSALS_MAX) this.#named.push(refusal);
  }

  get count(): number {
    return this.#count;
  }

  get named(): readonly Refusal[] {
    return this.#named;
  }
}
