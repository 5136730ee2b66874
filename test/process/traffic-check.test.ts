/**
 * Goal: what the workers of the process tests excuse, a shared value that is gone when it is touched, is excused only of a
 * session that has gone on since it was listed. A value that is lost ends a worker.
 * Method: the file of a value is removed by hand, under a listing that has not touched it, and under a worker.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { DirectorySessionStore } from "../../src/index.js";
import { lookAtShared, PROMPT_LENGTH } from "./programs/shared-value.mjs";
import { start } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { Traffic, type TrafficEntry } from "./support/traffic.js";

/** No worker changes it: they have fewer sessions that come and go. */
const KEY = "churn:999";
const ENTRY: TrafficEntry = { updatedAt: 1, shared: { prompt: "x".repeat(PROMPT_LENGTH) } };

async function scene(): Promise<{ traffic: Traffic; store: DirectorySessionStore<TrafficEntry> }> {
  const traffic = new Traffic(temporaryFolder(), {
    hot: 2,
    cold: 2,
    accounts: 2,
    lanes: 1,
    options: { durability: "os" },
  });
  await traffic.prepare();
  const writer = await traffic.open();
  await writer.put(KEY, ENTRY);
  await writer.close();
  const store = await traffic.open(); // it has not read the value
  onTestFinished(() => store.close());
  return { traffic, store };
}

async function listed(store: DirectorySessionStore<TrafficEntry>) {
  const session = (await store.list()).sessions.find(({ key }) => key === KEY);
  if (session === undefined) throw new Error(`no ${KEY} in the listing`);
  return session;
}

function loseTheValue({ store }: Traffic): void {
  const blobs = join(store, ".store", "blobs");
  const all = readdirSync(blobs, { recursive: true, encoding: "utf8" });
  const values = all.filter((name) => name.endsWith(".json"));
  expect(values).toHaveLength(1);
  for (const name of values) rmSync(join(blobs, name));
}

describe("a shared value", () => {
  it("that is there is right", async () => {
    const { store } = await scene();
    expect(await lookAtShared(store, await listed(store))).toBe("right");
  });

  it("of another length is wrong", async () => {
    const { store } = await scene();
    await store.put(KEY, { updatedAt: 2, shared: { prompt: "x".repeat(PROMPT_LENGTH - 1) } });
    await expect(lookAtShared(store, await listed(store))).rejects.toThrow("has a wrong shared value");
  });

  it.each([
    ["changed", (store: DirectorySessionStore<TrafficEntry>) => store.put(KEY, { updatedAt: 2 })],
    ["deleted", (store: DirectorySessionStore<TrafficEntry>) => store.delete(KEY)],
  ])("that is gone is excused if its session was %s since", async (_name, goOn) => {
    const { traffic, store } = await scene();
    const session = await listed(store);
    const other = await traffic.open();
    await goOn(other);
    await other.close();
    loseTheValue(traffic);
    expect(await lookAtShared(store, session)).toBe("gone on");
  });

  it("that is gone is not excused if its session is as it was listed", async () => {
    const { traffic, store } = await scene();
    const session = await listed(store);
    loseTheValue(traffic);
    await expect(lookAtShared(store, session)).rejects.toThrow("its shared value is gone");
  });

  it("that cannot be read for any other reason is never excused", async () => {
    const { store } = await scene();
    const error = Object.assign(new Error("EIO"), { code: "blob_corrupt" });
    const entry = {
      get shared(): never {
        throw error;
      },
    };
    await expect(lookAtShared(store, { key: KEY, revision: 0, entry })).rejects.toBe(error);
  });

  it("that is lost ends a worker that lists its session", async () => {
    const { traffic } = await scene();
    loseTheValue(traffic);
    const worker = start("traffic", traffic.argument("worker.0", 1, 60));
    await expect(worker.finished()).rejects.toThrow(
      `${KEY} is as it was listed, but its shared value is gone`,
    );
  });
});
