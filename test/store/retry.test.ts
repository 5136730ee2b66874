/**
 * Goal: retries come at once first, then with growing random pauses, are bounded, and can be called off.
 * Method: a runtime whose time stands still until it is moved.
 */
import { describe, expect, test } from "vitest";
import { ATTEMPTS_MAX, beforeRetry } from "../../src/store/retry.js";
import { ManualRuntime } from "../../src/testing/manual-runtime.js";

class MaximalRuntime extends ManualRuntime {
  readonly delays: number[] = [];
  held = 0;

  override keepAlive(): () => void {
    this.held += 1;
    return () => void (this.held -= 1);
  }

  override random(): number {
    return 1;
  }

  override setTimer(callback: () => void, ms: number) {
    this.delays.push(ms);
    return super.setTimer(callback, ms);
  }
}

describe("beforeRetry", () => {
  test("the first few come at once", () => {
    const runtime = new ManualRuntime();
    for (let attempt = 1; attempt < 8; attempt++) {
      expect(beforeRetry(runtime, "update", "a", attempt, undefined)).toBeUndefined();
    }
    expect(runtime.pendingTimers).toBe(0);
  });

  test("every eighth has a pause; they grow and stay below a bound", () => {
    const runtime = new MaximalRuntime();
    for (let attempt = 8; attempt < ATTEMPTS_MAX; attempt++) {
      void beforeRetry(runtime, "update", "a", attempt, undefined);
    }
    expect(runtime.delays).toEqual([1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64]);
  });

  test("a pause ends when its time is over", async () => {
    const runtime = new ManualRuntime();
    const pause = beforeRetry(runtime, "update", "a", 96, undefined);
    runtime.advance(64);
    await pause;
    expect(runtime.pendingTimers).toBe(0);
  });

  test("a pause keeps the process alive, and only as long as it lasts", async () => {
    const runtime = new MaximalRuntime();
    const controller = new AbortController();
    const pause = beforeRetry(runtime, "update", "a", 96, undefined);
    const aborted = beforeRetry(runtime, "update", "a", 96, controller.signal);
    expect(runtime.held).toBe(2);
    controller.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    expect(runtime.held).toBe(1);
    runtime.advance(64);
    await pause;
    expect(runtime.held).toBe(0);
  });

  test("the last attempt ends in a conflict that names key and attempts", () => {
    const runtime = new ManualRuntime();
    expect(() => beforeRetry(runtime, "update", "agent:main", ATTEMPTS_MAX, undefined)).toThrow(
      expect.objectContaining({ code: "conflict", data: { key: "agent:main", attempts: 100 } }),
    );
  });

  test("an abort ends the pause and takes the timer away", async () => {
    const runtime = new ManualRuntime();
    const controller = new AbortController();
    const reason = new Error("enough");
    const pause = beforeRetry(runtime, "update", "a", 96, controller.signal);
    controller.abort(reason);
    await expect(pause).rejects.toBe(reason);
    expect(runtime.pendingTimers).toBe(0);
    expect(() => beforeRetry(runtime, "update", "a", 1, controller.signal)).toThrow(reason);
  });
});
