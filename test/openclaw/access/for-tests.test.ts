/**
 * Goal: what OpenClaw's tests ask of its cache and its queue has an answer here that they can go on with.
 * Method: updates that wait for the test; both backends of a store.
 */
import { readFileSync, utimesSync, writeFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  clearSessionStoreCacheForTest,
  drainSessionStoreLockQueuesForTest,
  getSessionStoreLockQueueSizeForTest,
  invalidateSessionStoreCache,
  loadSessionStore,
  readSessionStoreReadOnly,
  updateSessionStore,
  withSessionStoreLockForTest,
} from "../../../src/openclaw/index.js";
import { BACKENDS, gatewayFolder, loaded, session } from "../support/gateway-folder.js";

describe.each(BACKENDS)("on a %s", (backend) => {
  it("updates are counted while they run, and waited for", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1) });
    let finish = (): void => {};
    const asked = new Promise<void>((resolve) => (finish = resolve));
    const update = updateSessionStore(storePath, async (store) => {
      await asked;
      store["a"]!.label = "done";
    });
    expect(getSessionStoreLockQueueSizeForTest()).toBe(1);
    const drained = drainSessionStoreLockQueuesForTest();
    finish();
    await drained;
    expect(getSessionStoreLockQueueSizeForTest()).toBe(0);
    expect(loaded(storePath)["a"]?.label).toBe("done");
    await update;
  });

  it("callers of the lock take turns, and its error is theirs", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1) });
    const order: number[] = [];
    const turn = (number: number) =>
      withSessionStoreLockForTest(storePath, async () => {
        order.push(number);
        await Promise.resolve();
        order.push(number);
        return number;
      });
    expect(await Promise.all([turn(1), turn(2)])).toEqual([1, 2]);
    expect(order).toEqual([1, 1, 2, 2]);
    const failing = withSessionStoreLockForTest(storePath, () => Promise.reject(new Error("mine")));
    await expect(failing).rejects.toThrow("mine");
    expect(await turn(3)).toBe(3);
  });

  it("a store that was let go of is opened anew", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1) });
    loadSessionStore(storePath);
    clearSessionStoreCacheForTest();
    expect(Object.keys(loadSessionStore(storePath))).toEqual(["a"]);
    await updateSessionStore(storePath, (store) => void (store["b"] = session(1)));
    expect(Object.keys(readSessionStoreReadOnly(storePath))).toEqual(["a", "b"]);
  });
});

it("a file that looks as it did is read anew", async () => {
  const { storePath } = await gatewayFolder("legacy file", { a: session(1) });
  const long = new Date(Math.floor(Date.now() / 1000) * 1000 - 60_000);
  utimesSync(storePath, long, long);
  expect(loaded(storePath)["a"]?.updatedAt).toBe(1);
  writeFileSync(storePath, readFileSync(storePath, "utf8").replace('"updatedAt": 1', '"updatedAt": 2'));
  utimesSync(storePath, long, long);
  expect(statSync(storePath).mtimeMs).toBe(long.getTime());
  expect(loaded(storePath)["a"]?.updatedAt).toBe(1);
  invalidateSessionStoreCache(storePath);
  expect(loaded(storePath)["a"]?.updatedAt).toBe(2);
});

it("a store that cannot be read has no sessions for a look", async () => {
  const { storePath } = await gatewayFolder("legacy file");
  writeFileSync(storePath, "{");
  expect(readSessionStoreReadOnly(storePath)).toEqual({});
});
