/**
 * Goal: the hot path costs the system calls that it must and no other: one read for a warm get, read, write and
 * read back for an update; no open, stat, rename or lock.
 * Method: programs run under strace and mark regions; the calls of their main thread are compared with the exact
 * list. Timers that write entry files are put off. Only lists and numbers of calls are compared, never times.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { canTrace, trace, Trace, traced } from "./support/strace.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const ROUNDS = 10;
const READ = "pread64";

function always(calls: readonly string[]): string[][] {
  return Array.from({ length: ROUNDS }, () => [...calls]);
}

it("what the C library's allocator asks the system is no call of a program, also where another thread interrupts it", () => {
  const text = [
    '7 access("/sessiondir-mark/begin-put", F_OK) = -1 ENOENT',
    '7 openat(AT_FDCWD, "/proc/sys/vm/overcommit_memory", O_RDONLY|O_CLOEXEC <unfinished ...>',
    "8 fdatasync(18) = 0",
    "7 <... openat resumed>) = 19",
    '7 read(19, "0", 1) = 1',
    '7 write(18, "19", 2) = 2',
    "7 close(19 <unfinished ...>",
    "7 <... close resumed>) = 0",
    "7 close(19) = 0",
    '7 access("/sessiondir-mark/end-put", F_OK) = -1 ENOENT',
  ].join("\n");
  expect(new Trace(text).mainCalls("put")).toEqual([["write", "close"]]);
});

describe.runIf(canTrace)(traced("a warm store"), () => {
  it.each([
    { entryBytes: 300, kind: "small" },
    { entryBytes: 3500, kind: "bigger" },
  ])("with durability os reads, writes and reads back, with $kind entries", async ({ entryBytes }) => {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    const argument = { path, durability: "os", rounds: ROUNDS, entryBytes };
    const calls = await trace(folder, "warm-calls", argument);
    expect(calls.mainCalls("getSync")).toEqual(always([READ]));
    expect(calls.mainCalls("get")).toEqual(always([READ]));
    expect(calls.mainCalls("update")).toEqual(always([READ, "write", READ]));
    expect(calls.mainCalls("update without a change")).toEqual(always([READ]));
    expect(calls.mainCalls("put")).toEqual(always(["write", READ]));
    expect(calls.mainCalls("patch")).toEqual(always([READ, "write", READ]));
    expect(calls.mainCalls("transact")).toEqual(always([READ, READ, "write", READ]));
    expect(calls.mainCalls("listSync")).toEqual(always([READ]));
    expect(calls.mainCalls("revision")).toEqual(always([READ]));
    // A session that does not exist costs one look at its folder, the first time.
    expect(calls.mainCalls("getSync of nothing")).toEqual([[READ, "stat"], ...always([READ]).slice(1)]);
  });

  it("with durability disk waits for one fdatasync, which concurrent writes share", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "sessions.d");
    const calls = await trace(folder, "warm-calls", {
      path,
      durability: "disk",
      rounds: ROUNDS,
      entryBytes: 300,
    });
    const syncs = (name: string): number[] =>
      calls.regions(name).map((region) => region.filter((call) => call.name.endsWith("sync")).length);
    expect(syncs("update")).toEqual(Array.from({ length: ROUNDS }, () => 1));
    expect(syncs("getSync")).toEqual(Array.from({ length: ROUNDS }, () => 0));
    for (const count of syncs("64 puts")) expect(count).toBeLessThanOrEqual(2);
    for (const region of calls.regions("update")) {
      const files = region.filter(({ name }) => /open|stat|rename|link|mkdir|lock|access/.test(name));
      // Behind the sync, off the main thread: is the segment still where the store's path leads (O15)?
      expect(files.map(({ name }) => name)).toEqual(["stat"]);
    }
  });
});

describe.runIf(canTrace)(traced("a cold store"), () => {
  it("reads a session with six calls, and opens with a few plus one for each folder above", async () => {
    const folder = temporaryFolder();
    const other = join(folder, "other.d");
    await (await openDirectoryStore(other)).close();
    const shallow = join(folder, "sessions.d");
    const deep = join(folder, "a/b/c/sessions.d");
    mkdirSync(join(folder, "a/b/c"), { recursive: true, mode: 0o700 });
    const keys = Array.from({ length: ROUNDS }, (_, index) => `session:${index}`);
    const missing = keys.map((key) => `no ${key}`);
    const opens: Record<string, number>[] = [];
    for (const path of [shallow, deep]) {
      const store = await openDirectoryStore<object>(path);
      for (const key of keys) await store.put(key, { updatedAt: 1, text: "x".repeat(300) });
      await store.checkpoint();
      await store.close();
      const calls = await trace(folder, "cold-calls", { path, other, keys, missing, readOnly: false });
      expect(calls.mainCalls("get")).toEqual(always([READ, "stat", "openat", "stat", READ, "close"]));
      expect(calls.mainCalls("get again")).toEqual(always([READ]));
      // A missing file may be one that somebody removed: which catalog is the newest, and, once, what it names, and where in
      // its part a key would be: these keys come before all that are in it.
      const newest = ["openat", "stat", "getdents64", "getdents64", "close"];
      const look = ["openat", "stat", READ, "close"];
      const [first, ...others] = calls.mainCalls("get of nothing");
      expect(first).toEqual([READ, "stat", ...newest, ...look, ...look]);
      expect(others).toEqual(always([READ, "stat", ...newest]).slice(1));
      opens.push(count(calls.mainCalls("open")[0] ?? []));
    }
    const [atShallow = {}, atDeep = {}] = opens;
    console.log("opening a store", JSON.stringify({ folders: shallow.split("/").length, ...atShallow }));
    for (const name of ["openat", "close", READ, "getdents64", "statfs"])
      expect(atDeep[name]).toBe(atShallow[name]);
    expect(atDeep["stat"]).toBe((atShallow["stat"] ?? 0) + 3);
  });

  it("reads the log once, a megabyte at a time, and then has its sessions", async () => {
    const folder = temporaryFolder();
    const other = join(folder, "other.d");
    await (await openDirectoryStore(other)).close();
    const path = join(folder, "sessions.d");
    const keys = Array.from({ length: ROUNDS }, (_, index) => `session:${index}`);
    const store = await openDirectoryStore<object>(path, { durability: "os", flushDelayMs: 2 ** 30 });
    const reads: number[] = [];
    for (const megabytes of [0, 1, 2, 3]) {
      for (let step = 0; megabytes > 0 && step < 300; step++) {
        await store.put(keys[step % ROUNDS] ?? "", { step, text: "x".repeat(3500) });
      }
      const { directory } = await store.stats();
      expect(Math.trunc((directory?.logBytes ?? 0) / 2 ** 20)).toBe(megabytes);
      const calls = await trace(folder, "cold-calls", { path, other, keys, missing: [], readOnly: true });
      const before = megabytes === 0 ? [READ, "stat"] : [READ];
      expect(calls.mainCalls("get")).toEqual(always(before));
      reads.push(count(calls.mainCalls("open")[0] ?? [])[READ] ?? 0);
    }
    await store.close();
    console.log("reads of opening with a log of 0, 1, 2 and 3 MiB", reads.join(", "));
    expect(reads.map((count) => count - (reads[0] ?? 0))).toEqual([0, 1, 2, 3]);
  });
});

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
