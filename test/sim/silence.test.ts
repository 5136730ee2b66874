/**
 * Goal: a thread that does not come to the end of a schedule is noticed, one that works slowly is not; and no seed of its batch
 * is lost.
 * Method: looks at seeds, as the program takes them.
 */
import { expect, it } from "vitest";
import { LOOKS_MAX, Silence, without } from "../../sim/silence.js";

function looksUntilSilent(seedOf: (look: number) => number, looks: number): number | undefined {
  const silence = new Silence();
  for (let look = 1; look <= looks; look++) if (silence.look(seedOf(look))) return look;
  return undefined;
}

it("a thread at one seed for all looks is silent, also if it got somewhere before", () => {
  expect(looksUntilSilent(() => 7, 10 * LOOKS_MAX)).toBe(LOOKS_MAX + 1);
  expect(looksUntilSilent((look) => Math.min(look, 50), 10 * LOOKS_MAX)).toBe(LOOKS_MAX + 50);
});

it("a thread that comes to another seed now and then is not, however long its batch takes", () => {
  expect(looksUntilSilent((look) => Math.floor(look / LOOKS_MAX), 200 * LOOKS_MAX)).toBeUndefined();
});

it("the seeds of a batch are run again, in front of the silent one and behind it", () => {
  const batch = { first: 400, count: 200, only: undefined };
  const seedsOf = (seed: number): number[] =>
    without(seed, batch).flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, index) => first + index),
    );
  for (const silent of [400, 401, 522, 598, 599]) {
    const seeds = seedsOf(silent);
    expect(seeds).toHaveLength(199);
    expect(new Set([...seeds, silent]).size).toBe(200);
    expect([seeds.every((seed) => seed >= 400 && seed < 600), seeds.includes(silent)]).toEqual([true, false]);
  }
});
