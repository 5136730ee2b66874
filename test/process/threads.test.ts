/**
 * Goal: threads of one process, and stores of one thread, are no more to each other than processes are: nothing is
 * lost between them, all see the same changes in the same order, and closing or killing one does not touch another.
 * Method: worker threads with several stores each on one folder, some through a symlinked path, count and watch;
 * a thread is terminated in mid-operation.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, it, onTestFinished } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import type { Message } from "./support/child.js";
import { temporaryFolder } from "./support/temporary-folder.js";
import { Traffic } from "./support/traffic.js";

const OPTIONS = { durability: "os", flushDelayMs: 10 } as const;

interface Counter {
  readonly count: number;
  readonly [name: string]: number;
}

/** A program as a thread of this process. */
class Thread {
  readonly #worker: Worker;
  readonly #messages: Message[] = [];
  #waiting: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(program: string, argument: object) {
    const path = fileURLToPath(new URL(`./programs/${program}.mjs`, import.meta.url));
    this.#worker = new Worker(path, { workerData: argument, execArgv: [] });
    this.#worker.on("message", (message: Message) => {
      this.#messages.push(message);
      this.#waiting?.();
    });
    this.#worker.on("error", (error) => {
      this.#failure = error;
      this.#waiting?.();
    });
    this.#worker.on("exit", (code) => {
      this.#failure ??= new Error(`the thread ended with ${code}`);
      this.#waiting?.();
    });
    onTestFinished(() => this.end());
  }

  async next(event: string): Promise<Message> {
    for (;;) {
      for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
        if (message.event === event) return message;
        if (message.event === "failed") throw new Error(String(message["message"]));
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => (this.#waiting = resolve));
    }
  }

  say(message: Message): void {
    this.#worker.postMessage(message);
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}

it("several stores in several threads share one folder, also through a symlink", async () => {
  const folder = temporaryFolder();
  const store = join(folder, "sessions.d");
  mkdirSync(store, { mode: 0o700 });
  symlinkSync("sessions.d", join(folder, "alias.d"));
  symlinkSync(folder, join(folder, "elsewhere"));
  const paths = [store, join(folder, "alias.d"), join(folder, "elsewhere/alias.d")];
  const threads = Array.from({ length: 4 }, (_, index) => {
    return new Thread("thread", { paths, name: `thread${index}`, updates: 600, keys: 5, options: OPTIONS });
  });
  await Promise.all(threads.map((thread) => thread.next("counted")));

  const own = await openDirectoryStore<Counter>(join(folder, "sessions.json"), OPTIONS);
  const revision = await own.revision();
  for (const thread of threads) thread.say({ event: "finish", revision });
  const reports = await Promise.all(threads.map((thread) => thread.next("done")));

  const { sessions } = await own.list();
  await own.close();
  const counts = sessions.map(({ key, entry }) => [key, entry.count]);
  expect(counts).toEqual(Array.from({ length: 5 }, (_, index) => [`counter:${index}`, 480]));
  for (const { entry } of sessions) {
    expect(entry).toEqual({ count: 480, thread0: 120, thread1: 120, thread2: 120, thread3: 120 });
  }
  const every = reports[0]?.["revisions"] as number[];
  expect(every).toHaveLength(4 * 600);
  expect(every.at(-1)).toBe(revision);
  expect(every.every((one, index) => index === 0 || one > (every[index - 1] ?? one))).toBe(true);
  for (const { revisions, views } of reports) {
    expect(revisions).toEqual(every);
    expect(views).toEqual(paths.map(() => counts));
  }
});

it("stores of one thread do not end with each other", async () => {
  const folder = temporaryFolder();
  symlinkSync("real", join(folder, "alias"));
  const first = await openDirectoryStore<Counter>(join(folder, "real"), OPTIONS);
  const second = await openDirectoryStore<Counter>(join(folder, "alias"), OPTIONS);
  const third = await openDirectoryStore<Counter>(join(folder, "real"), OPTIONS);
  const changes = third.watch()[Symbol.asyncIterator]();
  const { revision } = await first.put("a", { count: 1 });
  expect(second.getSync("a")).toEqual({ count: 1 });
  await first.close();
  const updated = await second.update("a", (entry) => ({ ...entry, count: (entry?.count ?? 0) + 1 }));
  expect(third.getSync("a")).toEqual({ count: 2 });
  expect((await changes.next()).value).toMatchObject({
    key: "a",
    revision,
    record: { entry: { count: 1 } },
  });
  expect((await changes.next()).value).toMatchObject({
    key: "a",
    revision: updated?.revision,
    record: { entry: { count: 2 } },
  });
  await second.checkpoint();
  await second.close();
  await third.delete("a");
  expect((await changes.next()).value).toMatchObject({ key: "a", kind: "delete" });
  await third.close();
  expect(await changes.next()).toEqual({ done: true, value: undefined });
});

it("a thread that is terminated in mid-operation loses nothing that it was promised", async () => {
  const traffic = new Traffic(temporaryFolder(), {
    hot: 4,
    cold: 20,
    accounts: 4,
    lanes: 4,
    options: { ...OPTIONS, segmentBytes: 16 * 1024 },
  });
  await traffic.prepare();
  const threads = Array.from({ length: 4 }, (_, index) => {
    return new Thread("traffic", traffic.argument(`thread${index}`, index, index < 2 ? 500 : 1_000_000));
  });
  for (const thread of threads.slice(2)) for (let pace = 0; pace < 8; pace++) await thread.next("progress");
  await Promise.all(threads.slice(2).map((thread) => thread.end()));
  await Promise.all(threads.slice(0, 2).map((thread) => thread.next("done")));
  const store = await traffic.open();
  const settlement = await traffic.settle(store);
  await store.close();
  expect(settlement.wrong).toEqual([]);
  expect(settlement.money).toBe(4000);
  expect(settlement.promised).toBeGreaterThan(2 * 500);
});
