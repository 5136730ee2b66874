/**
 * Goal: writers of one key take turns in order, idle keys cost nothing, and nobody who gives up blocks the line.
 * Method: enter, observe who was let in after each leave.
 */
import { describe, expect, test } from "vitest";
import { KeyQueue } from "../../src/store/key-queue.js";

/** Lets every promise that can settle do so. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("KeyQueue", () => {
  test("an idle key is taken at once, a held one is not", () => {
    const queue = new KeyQueue();
    expect(queue.tryEnter("a")).toBe(true);
    expect(queue.tryEnter("a")).toBe(false);
    expect(queue.tryEnter("b")).toBe(true);
    queue.leave("a");
    expect(queue.tryEnter("a")).toBe(true);
  });

  test("nothing is kept for keys that nobody holds", async () => {
    const queue = new KeyQueue();
    await queue.enter("a");
    const next = queue.enter("a");
    queue.leave("a");
    await next;
    expect(queue.size).toBe(1);
    queue.leave("a");
    expect(queue.size).toBe(0);
  });

  test("first come, first served, one at a time", async () => {
    const queue = new KeyQueue();
    const admitted: number[] = [];
    queue.tryEnter("a");
    for (const number of [1, 2, 3, 4]) void queue.enter("a").then(() => admitted.push(number));
    for (const number of [1, 2, 3, 4]) {
      await settle();
      expect(admitted).toHaveLength(number - 1);
      queue.leave("a");
    }
    await settle();
    expect(admitted).toEqual([1, 2, 3, 4]);
    expect(queue.tryEnter("a")).toBe(false);
  });

  test("who joins while the line moves comes last", async () => {
    const queue = new KeyQueue();
    const admitted: string[] = [];
    queue.tryEnter("a");
    void queue.enter("a").then(() => admitted.push("first"));
    queue.leave("a");
    void queue.enter("a").then(() => admitted.push("second"));
    expect(queue.tryEnter("a")).toBe(false);
    await settle();
    expect(admitted).toEqual(["first"]);
    queue.leave("a");
    await settle();
    expect(admitted).toEqual(["first", "second"]);
  });

  test.each([[[0]], [[1]], [[2]], [[0, 1]], [[1, 2]], [[0, 2]], [[0, 1, 2]]])(
    "waiters %j give up, the others are served",
    async (leaving) => {
      const queue = new KeyQueue();
      queue.tryEnter("a");
      const admitted: number[] = [];
      const refused: number[] = [];
      const controllers = [0, 1, 2].map((number) => {
        const controller = new AbortController();
        queue.enter("a", controller.signal).then(
          () => admitted.push(number),
          () => refused.push(number),
        );
        return controller;
      });
      for (const number of leaving) controllers[number]!.abort();
      const staying = [0, 1, 2].filter((number) => !leaving.includes(number));
      for (const _ of staying) {
        queue.leave("a");
        await settle();
      }
      await settle();
      expect(admitted).toEqual(staying);
      expect(refused).toEqual(leaving);
      queue.leave("a");
      expect(queue.size).toBe(0);
    },
  );

  test("a signal that aborts after the turn came changes nothing", async () => {
    const queue = new KeyQueue();
    const controller = new AbortController();
    queue.tryEnter("a");
    const turn = queue.enter("a", controller.signal);
    queue.leave("a");
    controller.abort();
    await turn;
    expect(queue.tryEnter("a")).toBe(false);
  });

  test("an aborted signal takes nothing, and its reason comes out", async () => {
    const queue = new KeyQueue();
    const reason = new Error("enough");
    await expect(queue.enter("a", AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(queue.size).toBe(0);
  });

  test("several keys are taken in the order of the keys, so that nobody waits in a circle", async () => {
    const queue = new KeyQueue();
    const order: string[] = [];
    const use = async (name: string, keys: string[]) => {
      const held = await queue.enterAll(keys);
      await settle();
      order.push(name);
      queue.leaveAll(held);
    };
    const using = [use("one", ["a", "b"]), use("two", ["b", "a"]), use("three", ["c", "b", "b"])];
    for (let turns = 0; turns < 20; turns++) await settle();
    expect(order.toSorted()).toEqual(["one", "three", "two"]);
    await Promise.all(using);
    expect(queue.size).toBe(0);
  });

  test("giving up while taking several lets go of those taken", async () => {
    const queue = new KeyQueue();
    const controller = new AbortController();
    queue.tryEnter("b");
    const taking = queue.enterAll(["a", "b"], controller.signal);
    await settle();
    expect(queue.tryEnter("a")).toBe(false);
    controller.abort(new Error("enough"));
    await expect(taking).rejects.toThrow("enough");
    expect(queue.tryEnter("a")).toBe(true);
  });
});
