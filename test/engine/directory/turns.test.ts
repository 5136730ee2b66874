/**
 * Goal: a program that awaits one commit after the other, with durability "os", keeps nothing else in its process from going on: its
 * own timers, the store's files and checkpoints.
 * Method: turns of the event loop are counted while commits are awaited in a loop, on a real file system.
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { Sandbox, type Store } from "./sandbox.js";

let sandbox: Sandbox;
beforeEach(() => void (sandbox = new Sandbox()));
afterEach(() => sandbox.dispose());

const COMMITS = 640;

it.each<[string, (store: Store, n: number) => Promise<unknown>]>([
  ["put", (store, n) => store.put("k", { n })],
  ["patch", (store, n) => store.patch("k", { n })],
  ["update", (store, n) => store.update("k", () => ({ n }))],
  ["append", (store, n) => store.append("k", [n])],
  ["transact", (store, n) => store.transact((tx) => tx.put("k", { n }))],
])("the event loop has its turns while %s is awaited in a loop", async (_name, commit) => {
  const store = await sandbox.open();
  await store.put("k", { n: -1 });
  let turns = 0;
  let done = false;
  const count = (): void => {
    turns++;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  for (let n = 0; n < COMMITS; n++) await commit(store, n);
  done = true;
  expect(turns).toBeGreaterThanOrEqual(5);
});
