/**
 * Goal: a watcher gets every change once and in order, or is told that it cannot.
 * Method: watchers on a simulated disk that start anywhere, fall behind, sleep through segments or have no
 * notifications, compared with the commits that were made.
 */
import { describe, expect, it } from "vitest";
import type { StoreWarning } from "../../../src/errors.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore, SessionChange, WatchOptions } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import { settled } from "../../support/processes.js";
import { codeOf, failureOf } from "./sandbox.js";

type Entry = Record<string, unknown>;
type Store = DirectorySessionStore<Entry>;

let seed = 0;

async function openOn(disk: SimulatedDisk, name: string, canWatch = true) {
  const warnings: StoreWarning[] = [];
  const runtime = new ManualRuntime({ seed: ++seed });
  const store: Store = await openDirectoryStoreOn<Entry>(disk.mount(name, { canWatch }), runtime, "/s.d", {
    durability: "os",
    onWarning: (warning) => warnings.push(warning),
  });
  return { store, runtime, warnings };
}

/** The next `count` changes, then the watch is left. */
async function take(store: Store, count: number, options?: WatchOptions): Promise<SessionChange<Entry>[]> {
  const found: SessionChange<Entry>[] = [];
  if (count === 0) return found;
  for await (const change of store.watch(options)) {
    found.push(change);
    if (found.length === count) return found;
  }
  return found;
}

const brief = (change: SessionChange<Entry>): string => `${change.revision} ${change.kind} ${change.key}`;

describe("from any revision", () => {
  it("gives what came after it, with the entries of then", async () => {
    const { store } = await openOn(new SimulatedDisk(), "one");
    const revisions = [0];
    const done = async (write: Promise<unknown>): Promise<void> => {
      await write;
      revisions.push(await store.revision());
    };
    await done(store.put("a", { version: 1 }));
    await done(store.put("b", { version: 2 }));
    await done(store.patch("a", { version: 3 }));
    const both = store.transact(async (tx) => {
      await tx.put("c", { version: 4 });
      await tx.delete("b");
    });
    await done(both);
    await done(store.put("b", { version: 5 }));
    expect(revisions).toEqual(revisions.toSorted((one, other) => one - other));
    const counted = [
      [1, "put a"],
      [2, "put b"],
      [3, "put a"],
      [4, "put c"],
      [4, "delete b"],
      [5, "put b"],
    ] as const;
    for (const [commits, since] of revisions.slice(0, 5).entries()) {
      const expected = counted.filter(([commit]) => commit > commits);
      const found = await take(store, expected.length, { since });
      const lines = expected.map(([commit, what]) => `${revisions[commit]} ${what}`);
      expect(found.map(brief).sort(), `since ${since}`).toEqual(lines.toSorted());
      expect(found.map(({ revision }) => revision)).toEqual(expected.map(([commit]) => revisions[commit]));
      for (const { kind, record, revision } of found) {
        const version = revisions.indexOf(revision);
        expect(record?.entry).toEqual(kind === "delete" ? undefined : { version });
      }
    }
    expect((await take(store, 2, { since: 0, prefix: "b" })).map(brief)).toEqual([
      `${revisions[2]} put b`,
      `${revisions[4]} delete b`,
    ]);
    await store.close();
  });

  it("that was checkpointed away: revision_too_old, with the revision to go on from", async () => {
    const { store } = await openOn(new SimulatedDisk(), "one");
    const { revision: since } = await store.put("a", { version: 1 });
    await store.put("a", { version: 2 });
    const { revision: last } = await store.put("a", { version: 3 });
    await store.checkpoint();
    const { revision } = await store.put("a", { version: 4 });
    const error = await failureOf(() => take(store, 1, { since }));
    expect(error.code).toBe("revision_too_old");
    expect(error.data).toEqual({ since, revision });
    expect((await take(store, 1, { since: last })).map(brief)).toEqual([`${revision} put a`]);
    await store.close();
  });

  it("of the future: revision_unknown, also in a store that was restored to an older state", async () => {
    const disk = new SimulatedDisk();
    const { store } = await openOn(disk, "one");
    const { revision: known } = await store.put("a", { version: 1 });
    const backup = disk.clone();
    const { revision } = await store.put("a", { version: 2 });
    await store.close();
    const { store: restored } = await openOn(backup, "two");
    const error = await failureOf(() => take(restored, 1, { since: revision }));
    expect(error).toMatchObject({ code: "revision_unknown", data: { since: revision, revision: known } });
    // What another process has committed by then is not of the future.
    const { store: other } = await openOn(backup, "three");
    const next = await other.put("b", {});
    const waiting = take(restored, 1, { since: next.revision });
    const last = await other.put("c", {});
    expect((await waiting).map(brief)).toEqual([`${last.revision} put c`]);
    for (const opened of [restored, other]) await opened.close();
  });
});

describe("changes of another process", () => {
  it("arrive through the system's notifications", async () => {
    const disk = new SimulatedDisk();
    const { store, warnings } = await openOn(disk, "watcher");
    const { store: writer } = await openOn(disk, "writer");
    const waiting = take(store, 3);
    const made: string[] = [];
    for (let version = 1; version <= 3; version++) {
      made.push(`${(await writer.put("a", { version })).revision} put a`);
    }
    expect((await waiting).map(brief)).toEqual(made);
    expect(warnings).toEqual([]);
    await store.close();
    await writer.close();
  });

  it("arrive by looking where there are no notifications, and a warning says so", async () => {
    const disk = new SimulatedDisk();
    const { store, runtime, warnings } = await openOn(disk, "watcher", false);
    const { store: writer } = await openOn(disk, "writer");
    const found: string[] = [];
    const watching = (async () => {
      for await (const change of store.watch()) found.push(brief(change));
    })();
    await Promise.resolve();
    const { revision } = await writer.put("a", {});
    await Promise.resolve();
    expect(found).toEqual([]);
    runtime.advance(150);
    await new Promise((resolve) => setImmediate(resolve));
    expect(found).toEqual([`${revision} put a`]);
    expect(warnings.map(({ code }) => code)).toEqual(["watch_polling"]);
    await store.close();
    await watching;
    await writer.close();
  });

  it("that the watcher slept through: it is told, and gets no gap", async () => {
    const disk = new SimulatedDisk();
    const { store, runtime } = await openOn(disk, "watcher", false);
    const { store: writer } = await openOn(disk, "writer");
    await writer.put("a", { version: 1 });
    const watching = store.watch()[Symbol.asyncIterator]();
    for (let round = 0; round < 3; round++) {
      await writer.put("a", { round });
      await writer.checkpoint();
    }
    await writer.put("b", {});
    runtime.advance(150); // now it looks
    expect(await codeOf(() => watching.next())).toBe("revision_too_old");
    expect((await watching.next()).done).toBe(true);
    expect(await store.get("b")).toEqual({});
    await store.close();
    await writer.close();
  });

  it("across seals and checkpoints that it follows: every one, once", async () => {
    const disk = new SimulatedDisk();
    const { store } = await openOn(disk, "watcher");
    const { store: writer } = await openOn(disk, "writer");
    const waiting = take(store, 30);
    const made: string[] = [];
    for (let round = 0; round < 30; round++) {
      const { revision } = await writer.put(`k${round % 4}`, { round });
      made.push(`${revision} put k${round % 4}`);
      if (round % 7 === 6) await writer.checkpoint();
      await store.get("k0");
    }
    expect((await waiting).map(brief)).toEqual(made);
    await store.close();
    await writer.close();
  });
});

describe("a consumer that is slow", () => {
  it("goes back to reading the log, and misses nothing", async () => {
    const { store } = await openOn(new SimulatedDisk(), "one");
    const watching = store.watch()[Symbol.asyncIterator]();
    const total = 12_000; // more than are kept for one
    const revisions: number[] = [];
    for (let index = 0; index < total; index++)
      revisions.push((await store.put(`k${index % 5}`, { index })).revision);
    const consume = async (): Promise<void> => {
      for (let index = 0; index < total; index++) {
        const { value } = (await watching.next()) as { value: SessionChange<Entry> };
        if (value.revision !== revisions[index])
          throw new Error(`${value.revision} instead of ${revisions[index]}`);
      }
    };
    await settled(consume());
    const { revision } = await store.put("last", {});
    expect(brief((await watching.next()).value as SessionChange<Entry>)).toBe(`${revision} put last`);
    await watching.return?.();
    await store.close();
  });

  /** Much of it, and none of it in shared values. */
  const large = (n: number): Entry =>
    Object.fromEntries(Array.from({ length: 200 }, (_, field) => [`field ${field}`, `${n} `.repeat(1000)]));

  it("of large entries goes back to reading the log long before there are many of them", async () => {
    const { store } = await openOn(new SimulatedDisk(), "one");
    const watching = store.watch()[Symbol.asyncIterator]();
    const few = store.watch({ prefix: "small" })[Symbol.asyncIterator]();
    for (let n = 10; n < 60; n++) await store.put(`k${n % 5}`, large(n)); // 30 MB
    const { revision: small } = await store.put("small", {});
    for (let n = 10; n < 60; n++) {
      const { value } = await watching.next();
      expect((value as SessionChange<Entry>).record?.entry["field 7"]).toBe(large(n)["field 7"]);
    }
    await watching.return?.();
    const unread = store.watch()[Symbol.asyncIterator]();
    for (let n = 10; n < 60; n++) await store.put(`k${n % 5}`, large(n));
    await store.checkpoint(); // and now the log does not have them either
    expect(await codeOf(() => unread.next())).toBe("revision_too_old");
    // Who waits for others only has nothing of it in its queue.
    expect(brief((await few.next()).value as SessionChange<Entry>)).toBe(`${small} put small`);
    await few.return?.();
    await store.close();
  });

  it("and the next one have lists of their own", async () => {
    const { store } = await openOn(new SimulatedDisk(), "one");
    const first = store.watch()[Symbol.asyncIterator]();
    const { revision: one } = await store.put("a", {});
    const second = store.watch()[Symbol.asyncIterator]();
    const { revision: two } = await store.put("b", {});
    expect(brief((await second.next()).value as SessionChange<Entry>)).toBe(`${two} put b`);
    expect(brief((await first.next()).value as SessionChange<Entry>)).toBe(`${one} put a`);
    expect(brief((await first.next()).value as SessionChange<Entry>)).toBe(`${two} put b`);
    await first.return?.();
    await second.return?.();
    await store.close();
  });
});

it("ends when the store is closed or the signal aborts, and leaves no watcher behind", async () => {
  const disk = new SimulatedDisk();
  const { store } = await openOn(disk, "one");
  const abort = new AbortController();
  const aborted = take(store, 1, { signal: abort.signal });
  const closed = take(store, 1);
  abort.abort();
  expect(await aborted).toEqual([]);
  await store.close();
  expect(await closed).toEqual([]);
});

describe("changes of transcripts", () => {
  type Told = readonly [what: string, ...told: unknown[]];

  const told = ({ key, kind, transcript, last }: SessionChange<Entry>): Told =>
    kind === "transcript" ? [`${key}${last ? "." : ""}`, transcript] : [`${kind} ${key}${last ? "." : ""}`];

  /** What one process does, commit by commit, and what a watcher of everything is told of it. */
  const COMMITS: readonly (readonly [(store: Store) => Promise<unknown>, readonly Told[]])[] = [
    [
      (store) => store.append("a", [1, 2, 3], { ids: ["1", "2", "3"] }),
      [["a.", { name: "main", first: 1, last: 3, length: 3 }]],
    ],
    // It changes nothing, and is no commit, or one of which there is nothing to tell.
    [(store) => store.append("a", [2, 3], { ids: ["2", "3"] }), []],
    [
      (store) =>
        store.transact(async (tx) => {
          await tx.append("a", [4]);
          await tx.append("b", ["x"], { transcript: "notes" });
          await tx.put("a", { count: 4 });
        }),
      [
        ["put a"],
        ["a", { name: "main", first: 4, last: 4, length: 4 }],
        ["b.", { name: "notes", first: 1, last: 1, length: 1 }],
      ],
    ],
    [
      (store) =>
        store.transact(async (tx) => {
          await tx.transcript("a");
          await tx.put("b", {});
        }),
      [["put b."]],
    ],
    [(store) => store.truncate("a", { length: 2 }), [["a.", { name: "main", truncatedAfter: 2, length: 2 }]]],
    [(store) => store.trim("a", { length: 1 }), [["a.", { name: "main", length: 1 }]]],
    [
      (store) => store.replaceSuffix("a", { from: 2, items: [2] }, ["two", "three"]),
      [["a.", { name: "main", truncatedAfter: 0, first: 5, last: 6, length: 2 }]],
    ],
    [(store) => store.removeTranscript("a"), [["a.", { name: "main", removed: true, length: 0 }]]],
    [(store) => store.removeTranscript("a"), []],
    [(store) => store.append("a", ["again"]), [["a.", { name: "main", first: 1, last: 1, length: 1 }]]],
    [
      (store) =>
        store.transact(async (tx) => {
          await tx.removeTranscript("a");
          await tx.append("a", ["anew"]);
        }),
      [["a.", { name: "main", removed: true, first: 1, last: 1, length: 1 }]],
    ],
    [(store) => store.delete("b"), [["delete b."]]],
  ];
  const ALL = COMMITS.flatMap(([, changes]) => changes);

  async function watched(options?: WatchOptions, count = ALL.length): Promise<Told[]> {
    const disk = new SimulatedDisk();
    const { store: writer } = await openOn(disk, "writer");
    const { store: reader } = await openOn(disk, "reader");
    const watching = options === undefined ? take(reader, count) : undefined;
    for (const [commit] of COMMITS) await commit(writer);
    const found = await (watching ?? take(reader, count, options));
    for (const store of [writer, reader]) await store.close();
    return found.map(told);
  }

  it.each([
    ["live", undefined],
    ["replayed", { since: 0 }],
  ])("are told with the commits that they are part of, %s", async (_name, options) => {
    expect(await watched(options)).toEqual(ALL);
  });

  it("are of the sessions of a prefix, and the last one of these ends a commit", async () => {
    const ofB = ALL.filter(([what]) => what.includes("b")).map(([what, ...rest]) => [what, ...rest]);
    expect(await watched({ since: 0, prefix: "b" }, ofB.length)).toEqual(ofB);
    const ofA = await watched({ since: 0, prefix: "a" }, 4);
    expect(ofA.map(([what]) => what)).toEqual(["a.", "put a", "a.", "a."]);
  });

  it("are told from any commit on, behind a checkpoint as well", async () => {
    const disk = new SimulatedDisk();
    const { store, ...rest } = await openOn(disk, "one");
    await store.append("a", [1]);
    await settled(store.checkpoint(), { ...rest, fs: disk.mount("unused") });
    const since = await store.revision();
    const { revision } = await store.append("a", [2]);
    await store.append("a", [3]);
    expect((await take(store, 2, { since })).map(told)).toEqual([
      ["a.", { name: "main", first: 2, last: 2, length: 2 }],
      ["a.", { name: "main", first: 3, last: 3, length: 3 }],
    ]);
    expect((await take(store, 1, { since: revision })).map(told)).toEqual([
      ["a.", { name: "main", first: 3, last: 3, length: 3 }],
    ]);
    await store.close();
  });
});
