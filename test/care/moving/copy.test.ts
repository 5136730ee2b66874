/**
 * Goal: a copy has every session of its source with its transcripts, in step with what changes meanwhile; wherever it is killed, the same
 * call finishes it; and nothing that is not of the copy is touched.
 * Method: stores in memory that are changed at every step; a target on a simulated disk, dead before its Nth change for every N. Both
 * engines with files and servers: test/process/postgres.
 */
import { describe, expect, it } from "vitest";
import { compareStores, copySessions, COPY_MARK, type CopyProgress } from "../../../src/moving/index.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { LegacyHost } from "../../../src/legacy/base/host.js";
import { DIRECTORY, killAtEveryChange, LegacyMachine } from "../../legacy/legacy-machine.js";
import { contentOf, fullStore, memoryStore, type Entry, type Store } from "./support/stores.js";

const LONG = 1200;

async function source(): Promise<Store> {
  const store = await fullStore(await memoryStore());
  await store.put("__proto__", { constructor: 1 });
  await store.append("only a transcript", ["a", { b: 1 }], { ids: ["1", undefined] });
  for (let first = 0; first < LONG; first += 400)
    await store.append(
      "long",
      Array.from({ length: 400 }, (_, index) => first + index),
    );
  await store.truncate("long", { afterSeq: 1100 });
  await store.trim("long", { beforeSeq: 3 });
  return store;
}

const contents = (store: Store): ReturnType<typeof contentOf> =>
  contentOf(store, ["only a transcript", "long"]);

describe("a copy", () => {
  it("has all that its source has, and no mark", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const progress: CopyProgress[] = [];
    const report = await copySessions(from, to, { onProgress: (now) => void progress.push(now) });
    expect(await contents(to)).toEqual(await contents(from));
    expect(report).toMatchObject({
      resumed: false,
      replaced: 0,
      unchanged: 0,
      removed: 0,
      damaged: [],
      refused: [],
    });
    expect(report.compared).toMatchObject({ equal: true, sessions: report.created });
    expect(report.revision).toBe(await from.revision());
    expect(progress.at(-1)).toMatchObject({ phase: "comparing", done: report.created });
    expect(await compareStores(from, to)).toMatchObject({ equal: true, differenceCount: 0 });
  });

  it("has what changed while it was made", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const changes = [
      () => from.put("agent:main:many:3", { changed: true }),
      () => from.delete("agent:main:many:4"),
      () => from.append("long", ["new"]),
      () => from.truncate("long", { afterSeq: 50 }),
      () => from.put("new", { n: 1 }),
      () => from.removeTranscript("only a transcript"),
    ];
    const report = await copySessions(from, to, {
      onProgress: ({ phase }) => {
        if (phase === "copying") void changes.pop()?.();
      },
    });
    expect(changes).toEqual([]);
    expect(report.followed).toBeGreaterThan(3);
    expect(report.removed).toBeGreaterThan(0);
    expect(await contents(to)).toEqual(await contents(from));
  });

  it("refuses a target with sessions, a copy that is not complete, and the store itself", async () => {
    const [from, to] = [await source(), await memoryStore()];
    await to.put("mine", { n: 1 });
    await expect(copySessions(from, to)).rejects.toMatchObject({
      code: "copy_refused",
      data: { reason: "not_empty" },
    });
    await expect(copySessions(from, from)).rejects.toMatchObject({ data: { reason: "not_empty" } });
    const empty = await memoryStore();
    await expect(copySessions(empty, empty)).rejects.toMatchObject({ data: { reason: "same_store" } });
    expect(await empty.count()).toBe(0);
    await to.put(COPY_MARK, {});
    await expect(copySessions(to, empty)).rejects.toMatchObject({ data: { reason: "incomplete_source" } });
    expect(await to.count()).toBe(2);
  });

  it("into sessions that are there leaves all others as they are", async () => {
    const [from, to] = [await source(), await memoryStore()];
    await to.put("mine", { n: 1 });
    await to.put("agent:main:many:3", { other: true });
    const report = await copySessions(from, to, { intoExisting: true });
    expect(report).toMatchObject({ replaced: 1, removed: 0, compared: { equal: true } });
    expect(await contents(to)).toEqual({
      ...(await contents(from)),
      mine: { entry: { n: 1 }, transcripts: {} },
    });
  });

  it("that was stopped is gone on with, and what the source has no more goes", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const stop = new AbortController();
    const stopped = copySessions(from, to, {
      signal: stop.signal,
      onProgress: ({ done }) => done > 5 && stop.abort(new Error("enough")),
    });
    await expect(stopped).rejects.toThrow("enough");
    expect(await to.get(COPY_MARK)).toBeDefined();
    const [copied] = (await to.list({ prefix: "agent:" })).sessions;
    await from.delete(copied?.key ?? "");
    const report = await copySessions(from, to);
    expect(report).toMatchObject({ resumed: true, removed: 1 });
    expect(report.unchanged).toBeGreaterThan(0);
    expect(await contents(to)).toEqual(await contents(from));
  });

  it("names what the target does not take, and has the rest", async () => {
    const from = await source();
    const { openSessionStore } = await import("../../../src/index.js");
    const to = await openSessionStore<Entry>("memory:", { limits: { itemBytesMax: 1000 } });
    await from.put("big", { n: 1 });
    await from.append("big", ["x".repeat(2000)]);
    const report = await copySessions(from, to);
    expect(report.refused).toMatchObject([
      { key: "big", message: expect.not.stringMatching(/^line/) as string },
    ]);
    expect(report.compared).toMatchObject({ equal: true });
    expect(await to.get("agent:main:many:1")).toEqual(await from.get("agent:main:many:1"));
  });

  it("that differs in the end is told", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const spoiled = new Proxy(to, {
      get: (store, name) => {
        const value: unknown = Reflect.get(store, name);
        if (name === "read")
          return async (key: string) => {
            const record = await store.read(key);
            return key === "agent:main:many:2" && record ? { ...record, entry: { spoiled: 1 } } : record;
          };
        return typeof value === "function" ? (value.bind(store) as unknown) : value;
      },
    });
    await expect(copySessions(from, spoiled)).rejects.toMatchObject({
      code: "copy_differs",
      data: { key: "agent:main:many:2", what: "entry", differences: 1 },
    });
    expect((await compareStores(from, spoiled, { ignoreOthers: true })).differences).toEqual([
      { key: "agent:main:many:2", what: "entry" },
    ]);
  });
});

describe("following", () => {
  it("keeps the copy in step until a revision is in it", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const behind: number[] = [];
    const start = await from.revision();
    const report = copySessions(from, to, {
      follow: { untilRevision: start + 300 },
      onProgress: (now) => now.phase === "following" && behind.push(now.behind),
    });
    while ((await from.revision()) < start + 300) {
      const n = await from.revision();
      if (n % 7 === 0) await from.truncate("hot", { length: 3 });
      else if (n % 11 === 0) await from.trim("hot", { length: 5 });
      else if (n % 13 === 0) await from.removeTranscript("hot");
      else if (n % 5 === 0) await from.put("hot", { n });
      await from.append("hot", [{ n }], { ids: [`i${n}`] });
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const { revision, followed, compared } = await report;
    expect(revision).toBeGreaterThanOrEqual(start + 300);
    expect(followed).toBeGreaterThan(1);
    expect(compared).toMatchObject({ equal: true });
    expect(behind.at(-1)).toBe(0);
    expect(await to.get(COPY_MARK)).toBeUndefined();
    expect(await contents(to)).toEqual(await contents(from));
  });

  it("ends when it is told to, with all that was there", async () => {
    const [from, to] = [await source(), await memoryStore()];
    const stop = new AbortController();
    let told = 0;
    await copySessions(from, to, {
      follow: { stop: stop.signal },
      onProgress: ({ phase }) => {
        if (phase !== "following") return;
        if (++told === 1) void from.append("long", ["last words"]);
        else stop.abort();
      },
    });
    expect(await contents(to)).toEqual(await contents(from));
    expect(await to.get(COPY_MARK)).toBeUndefined();
  });

  it("looks at everything again when the changes are forgotten", async () => {
    const [from, to] = [await source(), await memoryStore()];
    let watches = 0;
    const { SessionStoreError } = await import("../../../src/index.js");
    const forgetful = new Proxy(from, {
      get: (store, name) => {
        const value: unknown = Reflect.get(store, name);
        if (name === "watch" && watches++ === 0)
          // oxlint-disable-next-line require-yield -- a watch that fails before it gives anything
          return async function* () {
            await store.put("agent:main:many:1", { late: true });
            await store.delete("agent:main:many:0");
            throw new SessionStoreError("revision_too_old", "gone", { data: {} });
          };
        return typeof value === "function" ? (value.bind(store) as unknown) : value;
      },
    });
    await copySessions(forgetful, to);
    expect(watches).toBe(2);
    expect(await contentOf(to)).toEqual(await contentOf(from)); // of a disguised store nobody knows transcripts without a record
  });
});

describe("killed at every change", () => {
  const open = (host: LegacyHost): Promise<Store> =>
    openDirectoryStoreOn<Entry>(host.fs, host.runtime, DIRECTORY, {
      segmentBytes: 16 * 1024,
      onWarning: () => {},
    });

  it("a copy is finished by the next one", { timeout: 120_000 }, async () => {
    const from = await memoryStore();
    await from.put("a", { n: 1, prompt: "skill ".repeat(1000) });
    await from.append("a", ["x", "y"], { ids: ["1", "2"] });
    for (let first = 0; first < LONG; first += 400)
      await from.append(
        "long",
        Array.from({ length: 400 }, (_, index) => first + index),
      );
    await from.put("long", { n: 2 });
    const expected = await contentOf(from);
    const seen = new Set<boolean>();
    const changes = await killAtEveryChange(
      async () => {
        const machine = new LegacyMachine();
        await (await open(machine.process())).close();
        return machine;
      },
      async (host) => {
        const store = await open(host);
        await copySessions(from, store);
        await store.close();
      },
      async (machine, at) => {
        const store = await open(machine.process());
        const isComplete = (await store.get("a")) !== undefined && (await store.get(COPY_MARK)) === undefined;
        const report = await copySessions(from, store, { intoExisting: isComplete });
        seen.add(report.resumed);
        expect(await contentOf(store), at).toEqual(expected);
        await store.close();
      },
    );
    expect(changes).toBeGreaterThan(15);
    expect(seen.size).toBe(2);
  });
});
