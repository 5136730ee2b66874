/**
 * Goal: however a process ends, what it was promised is kept; and a store neither keeps a process alive that is
 * done nor lets one die that waits for an answer.
 * Method: programs end in the middle of their updates, by a signal, an exception, or just by coming to their last
 * line. They tell each acknowledgement before they go on, and the store is compared with what they told.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { start, type Child } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { untidiness } from "./support/tidy-store.js";

interface Counter {
  readonly count: number;
}

describe.each(["os", "disk"] as const)("with durability %s", (durability) => {
  function run(ending: string): { child: Child; path: string } {
    const path = join(temporaryFolder(), "sessions.d");
    return { child: start("ending", { path, ending, options: { durability } }), path };
  }

  it.each([
    { ending: "process.exit", code: 7 },
    { ending: "uncaught exception", code: 1 },
    { ending: "unhandled rejection", code: 1 },
  ])("$ending in the middle of updates keeps what was acknowledged", async ({ ending, code }) => {
    const { child, path } = run(ending);
    expect((await child.ended).code).toBe(code);
    await expectKept(path, child, 8);
  });

  it("SIGTERM in the middle of updates keeps what was acknowledged", async () => {
    const { child, path } = run("SIGTERM");
    await child.next("busy");
    child.signal("SIGTERM");
    expect((await child.ended).signal).toBe("SIGTERM");
    await expectKept(path, child, 8);
  });

  it("close on SIGTERM finishes what runs, refuses the rest, and the process ends by itself", async () => {
    const { child, path } = run("SIGTERM with a handler that closes");
    await child.next("busy");
    child.signal("SIGTERM");
    await child.finished();
    expect(child.messages.filter(({ event }) => event === "closed")).toHaveLength(1);
    const refused = child.messages.filter(({ event }) => event === "refused");
    expect(refused.map(({ code }) => code)).toEqual(Array.from({ length: 8 }, () => "closed"));
    await expectKept(path, child, 0);
  });

  it.each([
    "the end of the program",
    "the end of the program, with a watch that nobody awaits",
    "the end of the program, with a loop that was left",
    "a close",
  ])("the process ends by itself, with code 0: %s", async (ending) => {
    const { child, path } = run(ending);
    await child.finished();
    await expectKept(path, child, 0);
  });

  it("awaiting changes keeps a process alive until the watch is aborted", async () => {
    const { child, path } = run("an aborted watch");
    await child.next("watching");
    for (const key of ["a", "b", "stop"]) {
      // Another process takes its time to start: a watcher that is not kept alive is gone by then.
      const writer = start("writing", { path, keys: [key] });
      await writer.finished();
      expect((await child.next("change"))["key"]).toBe(key);
    }
    await child.next("ended");
    await child.finished();
  });

  it.each(["a back-off", "a transaction's back-off"])("the process lives through %s", async (ending) => {
    const { child, path } = run(ending);
    await child.finished();
    expect(await child.next("updated")).toMatchObject({ attempts: 21, entry: { count: 1 } });
    await expectKept(path, child, 0);
  });

  it("an aborted back-off is settled before the process ends", async () => {
    const { child } = run("an aborted back-off");
    await child.finished();
    expect(await child.next("refused")).toMatchObject({ message: "enough" });
  });

  it("the process lives through a listing", async () => {
    const { child } = run("a listing in slices");
    await child.finished();
    expect(await child.next("listed")).toMatchObject({ sessions: 0 });
  });
});

/**
 * Every acknowledged update counts, each lane's last one may count without having been acknowledged, and what the
 * process left lying about is tidied up by the next one.
 */
async function expectKept(path: string, child: Child, unacknowledged: number): Promise<void> {
  const promised = new Map<string, number>();
  for (const { event, key } of child.messages) {
    if (event === "acknowledged") promised.set(String(key), (promised.get(String(key)) ?? 0) + 1);
  }
  const store = await openDirectoryStore<Counter>(path);
  const { sessions } = await store.list();
  let more = 0;
  for (const { key, entry } of sessions) {
    const surplus = entry.count - (promised.get(key) ?? 0);
    expect([key, surplus >= 0 && surplus <= 1]).toEqual([key, true]);
    more += surplus;
    promised.delete(key);
  }
  expect([...promised.keys()]).toEqual([]);
  expect(more).toBeLessThanOrEqual(unacknowledged);
  await store.flush();
  await store.checkpoint();
  expect(untidiness(path, sessions)).toEqual([]);
  await store.close();
}
