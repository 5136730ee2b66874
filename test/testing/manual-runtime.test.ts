/**
 * Goal: time moves only when told to, timers fire in order, and a seed repeats everything.
 * Method: a handful of timers, and two runtimes with one seed.
 */
import { describe, expect, it } from "vitest";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";
import { seededRandom } from "../../src/testing/seeded-random.js";

describe("ManualRuntime", () => {
  it("fires timers in the order in which they are due, with the clock at that moment", () => {
    const runtime = new ManualRuntime({ now: 1000 });
    const fired: [string, number, number][] = [];
    const note = (name: string) => (): void => {
      fired.push([name, runtime.now(), runtime.monotonic()]);
    };
    runtime.setTimer(note("late"), 50);
    runtime.setTimer(() => {
      note("early")();
      runtime.setTimer(note("set by a timer"), 5);
    }, 10);
    runtime.setTimer(note("early too"), 10);
    runtime.setTimer(note("cancelled"), 20).cancel();
    runtime.setTimer(note("later than asked for"), 51);
    expect(runtime.pendingTimers).toBe(4);
    runtime.advance(50);
    expect(fired).toEqual([
      ["early", 1010, 10],
      ["early too", 1010, 10],
      ["set by a timer", 1015, 15],
      ["late", 1050, 50],
    ]);
    expect(runtime.runNextTimer()).toBe(true);
    expect(fired.at(-1)).toEqual(["later than asked for", 1051, 51]);
    expect(runtime.runNextTimer()).toBe(false);
  });

  it("lets the wall clock jump without anybody noticing", () => {
    const runtime = new ManualRuntime({ now: 1000 });
    let fired = false;
    runtime.setTimer(() => (fired = true), 10);
    runtime.setNow(-5);
    expect([runtime.now(), runtime.monotonic(), fired]).toEqual([-5, 0, false]);
    runtime.advance(10);
    expect([runtime.now(), runtime.monotonic(), fired]).toEqual([5, 10, true]);
  });

  it("repeats chance and names with the same seed", () => {
    const [a, b, c] = [5, 5, 6].map((seed) => new ManualRuntime({ seed }));
    const draw = (runtime: ManualRuntime): unknown[] => [runtime.random(), runtime.randomName(8)];
    const drawn = draw(a!);
    expect(draw(b!)).toEqual(drawn);
    expect(draw(c!)).not.toEqual(drawn);
    expect(drawn[1]).toMatch(/^[0-9a-f]{16}$/);
  });

  it.each(["microtask", "event-loop"] as const)("yields for a %s", async (yields) => {
    const order: string[] = [];
    setImmediate(() => order.push("event loop"));
    await new ManualRuntime({ yields }).yieldToEventLoop();
    order.push("yielded");
    expect(order[0]).toBe(yields === "microtask" ? "yielded" : "event loop");
  });
});

describe("seededRandom", () => {
  it("stays in [0, 1), spreads evenly, and is the same for ever", () => {
    const random = seededRandom(42);
    const counts = Array.from({ length: 10 }, () => 0);
    for (let index = 0; index < 100_000; index++) counts[Math.floor(random() * 10)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(seededRandom(1)()).toBe(0.6270739405881613);
  });
});
