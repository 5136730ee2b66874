/**
 * Goal: however a watch ends, nothing of it is left behind. Method: a fake engine iteration whose signal and listeners
 * are looked at from outside.
 */
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import type { Engine, EngineChange } from "../../src/engine/contract.js";
import { createSessionStore } from "../../src/store/session-store.js";
import { FakeEngine, settle, type Counter } from "./fake-engine.js";

function watched() {
  const engine = new FakeEngine();
  const signals: (AbortSignal | undefined)[] = [];
  const changes = engine.changes.bind(engine);
  engine.changes = (options) => {
    signals.push(options.signal);
    return changes(options);
  };
  return { engine, signals, store: createSessionStore<Counter>(engine) };
}

describe("watch", () => {
  test("every way out aborts the engine's iteration and takes the listeners away", async () => {
    const { signals, store } = watched();
    const controller = new AbortController();
    const { signal } = controller;
    await store.put("a", { count: 1 });
    for await (const _ of store.watch({ since: 0, signal })) break;
    const iterator = store.watch({ signal })[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const notStarted = store.watch({ signal })[Symbol.asyncIterator]();
    await notStarted.return?.();
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true]);
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("a watch that nobody starts ends with its signal, or with the store", async () => {
    const { signals, store } = watched();
    const controller = new AbortController();
    store.watch({ signal: controller.signal });
    store.watch();
    controller.abort();
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false]);
    await store.close();
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
  });

  test("a signal that aborted before does not reach the engine", async () => {
    const { signals, store } = watched();
    for await (const _ of store.watch({ signal: AbortSignal.abort() })) expect.unreachable();
    expect(signals).toEqual([]);
  });

  test("a change that the engine had in hand when the abort came is not delivered", async () => {
    const { engine, store } = watched();
    const controller = new AbortController();
    let deliver = (_: EngineChange): void => {};
    engine.changes = async function* () {
      yield await new Promise<EngineChange>((resolve) => {
        deliver = resolve;
      });
    };
    const iterator = store.watch({ signal: controller.signal })[Symbol.asyncIterator]();
    const next = iterator.next();
    await settle();
    controller.abort();
    deliver({ key: "a", revision: 1, kind: "delete", modifiedAt: 7, last: true });
    expect((await next).done).toBe(true);
  });

  test("the engine's failures are typed; those that an abort caused are not failures", async () => {
    const { engine, store } = watched();
    const failing: Engine["changes"] = ({ signal }) => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          if (signal?.aborted !== true) await settle();
          throw Object.assign(new Error(), { code: "EIO", syscall: "read" });
        },
      }),
    });
    engine.changes = failing;
    await expect(store.watch()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "io_error" });
    const controller = new AbortController();
    const next = store.watch({ signal: controller.signal })[Symbol.asyncIterator]().next();
    controller.abort();
    expect((await next).done).toBe(true);
  });
});
