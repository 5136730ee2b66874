/**
 * Goal: long work gives the event loop its turn in time, gives the same result as without, and ends in its error.
 * Method: a clock that the work itself moves.
 */
import { describe, expect, it } from "vitest";
import { runInSlices, runNow, sortInSlices } from "../../../src/engine/directory/time-slices.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";

class CountingRuntime extends ManualRuntime {
  yields = 0;

  override yieldToEventLoop(): Promise<void> {
    this.yields += 1;
    return super.yieldToEventLoop();
  }
}

function* work(steps: number, step: () => void): Generator<void, string> {
  for (let index = 0; index < steps; index++) {
    step();
    yield;
  }
  return "done";
}

describe("runInSlices", () => {
  it("gives way every few milliseconds", async () => {
    const runtime = new CountingRuntime();
    const result = await runInSlices(
      work(100, () => runtime.advance(1)),
      runtime,
    );
    expect(result).toBe("done");
    expect(runtime.yields).toBeGreaterThanOrEqual(10);
    expect(runtime.yields).toBeLessThan(50);
  });

  it("does not give way when there is no need to", async () => {
    const runtime = new CountingRuntime();
    await runInSlices(
      work(100_000, () => {}),
      runtime,
    );
    expect(runtime.yields).toBe(0);
  });

  it("ends in the work's own error, also in a later slice", async () => {
    const runtime = new CountingRuntime();
    let steps = 0;
    const failing = work(100, () => {
      runtime.advance(1);
      if (++steps === 50) throw new Error("in the middle");
    });
    await expect(runInSlices(failing, runtime)).rejects.toThrow("in the middle");
    expect(runtime.yields).toBeGreaterThan(0);
  });
});

it("runNow runs through", () => {
  let steps = 0;
  expect(runNow(work(1000, () => void (steps += 1)))).toBe("done");
  expect(steps).toBe(1000);
});

describe("sortInSlices", () => {
  it.each([0, 1, 2, 2047, 2048, 2049, 4096, 10_000])("sorts %i items like toSorted, stably", (count) => {
    const random = seededRandom(count + 1);
    const items = Array.from({ length: count }, (_, index) => ({ rank: Math.floor(random() * 20), index }));
    const compare = (a: { rank: number }, b: { rank: number }): number => a.rank - b.rank;
    const before = [...items];
    expect(runNow(sortInSlices(items, compare))).toEqual(items.toSorted(compare));
    expect(items).toEqual(before);
  });

  it("yields at least once for every few thousand items", () => {
    const items = Array.from({ length: 50_000 }, (_, index) => -index);
    const sorting = sortInSlices(items, (a, b) => a - b);
    let yields = 0;
    while (sorting.next().done !== true) yields += 1;
    expect(yields).toBeGreaterThan(50_000 / 2048);
  });
});
