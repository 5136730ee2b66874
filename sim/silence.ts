/**
 * Notices that a thread does not come to the end of one schedule: a call of it never ends.
 *
 * Looks are counted, not time. A process that was stopped, or has a small share of a busy machine, looks as seldom as it works;
 * by the clock a whole batch of good schedules was reported, and its outcome lost.
 */
import type { Seeds } from "./runner.js";

/** A schedule takes milliseconds. */
export const LOOKS_MAX = 120;
export const LOOK_MS = 1000;

export class Silence {
  #seed = 0;
  #looks = 0;

  /** @returns Whether the thread has been at this seed for too many looks. To be called every {@link LOOK_MS}. */
  look(seed: number): boolean {
    if (seed !== this.#seed) this.#looks = 0;
    this.#seed = seed;
    return ++this.#looks > LOOKS_MAX;
  }
}

/** What is left of a batch without one seed: nobody was told how the seeds in front of that one ended. */
export function without(seed: number, { first, count, only }: Seeds): Seeds[] {
  const parts = [
    { first, count: seed - first, only },
    { first: seed + 1, count: first + count - seed - 1, only },
  ];
  return parts.filter((part) => part.count > 0);
}
