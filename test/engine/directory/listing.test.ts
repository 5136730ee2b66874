/**
 * Goal: a listing is of one instant, whatever happens while it reads files, and it finds every session, whether its
 * catalog is there or not.
 * Method: a simulated disk on which another process commits, deletes and checkpoints between any two system calls of
 * a listing of cold sessions. Money is moved between sessions: every listing must see the same sum.
 */
import { describe, expect, it } from "vitest";
import type { StoreWarning } from "../../../src/errors.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";

interface Account {
  readonly money: number;
  readonly updatedAt: number;
}

const PATH = "/sessions.d";
const KEYS = ["a", "b", "c", "d"];
let seed = 0;

/** Its clock moves with every look at it, so that each slice is a single step. */
class HastyRuntime extends ManualRuntime {
  override monotonic(): number {
    this.advance(100);
    return super.monotonic();
  }
}

function openOn(
  fs: SimulatedFileSystem,
  warnings: StoreWarning[] = [],
  cacheBytes = 0,
): Promise<DirectorySessionStore<Account>> {
  return openDirectoryStoreOn<Account>(fs, new HastyRuntime({ seed: ++seed }), PATH, {
    durability: "os",
    cacheBytes,
    flushDelayMs: 1_000_000_000,
    onWarning: (warning) => warnings.push(warning),
  });
}

/** The store of a process that has made an account for each of {@link KEYS}. */
async function openAccounts(disk: SimulatedDisk): Promise<DirectorySessionStore<Account>> {
  const writer = await openOn(disk.mount("writer"));
  for (const [index, key] of KEYS.entries()) await writer.put(key, { money: 25, updatedAt: index });
  await writer.checkpoint();
  return writer;
}

describe("a listing while another process works", () => {
  const WORK: Record<string, (writer: DirectorySessionStore<Account>, time: number) => Promise<unknown>> = {
    transfer: (writer, time) =>
      writer.transact(async (tx) => {
        const from = (await tx.get("a"))!;
        const to = (await tx.get("d"))!;
        await tx.put("a", { money: from.money - 5, updatedAt: time });
        await tx.put("d", { money: to.money + 5, updatedAt: time });
      }),
    "transfer and checkpoint": async (writer, time) => {
      await WORK["transfer"]!(writer, time);
      await writer.checkpoint();
    },
    "a session that moves": async (writer, time) => {
      const money = (await writer.get("b"))?.money ?? 25;
      await writer.transact(async (tx) => {
        await tx.delete("b");
        await tx.put("e", { money, updatedAt: time });
      });
    },
  };

  it.each(Object.keys(WORK))("%s, between any two of its calls: one instant", async (name) => {
    for (let at = 1; ; at++) {
      const disk = new SimulatedDisk();
      await using writer = await openAccounts(disk);
      const fs = disk.mount("reader");
      await using reader = await openOn(fs);
      let working: Promise<unknown> | undefined;
      const start = fs.calls;
      // The listing stands still at its call number `at` until the other process has done its work.
      let parked = false;
      const listing = (async () => {
        fs.onCall = (call) => {
          if (parked || call.index - start !== at) return;
          parked = true;
          working = WORK[name]!(writer, 100);
        };
        return reader.list({ orderBy: "updatedAt" });
      })();
      const { sessions } = await listing;
      await working;
      fs.onCall = undefined;
      const sum = sessions.reduce((total, { entry }) => total + entry.money, 0);
      expect(sum, `${name} at call ${at}`).toBe(100);
      expect(sessions).toHaveLength(4);
      const order = sessions.map(({ entry, key }) => [entry.updatedAt, key]);
      expect(order).toEqual(order.toSorted(([a, x], [b, y]) => Number(a) - Number(b) || (x! < y! ? -1 : 1)));
      const after = await reader.list();
      expect(after.sessions.reduce((total, { entry }) => total + entry.money, 0)).toBe(100);
      if (!parked) {
        expect(at).toBeGreaterThan(10);
        return;
      }
    }
  });
});

describe("the same listing again", () => {
  async function openWithTwoListings(disk: SimulatedDisk): Promise<DirectorySessionStore<Account>> {
    const reader = await openOn(disk.mount("reader"), [], 1_000_000);
    reader.listSync(); // reads the files
    reader.listSync(); // from memory: the answer that is kept
    return reader;
  }

  it.each([
    ["by this process", "reader"],
    ["by another one", "writer"],
  ] as const)("sees every commit since, %s", async (_who, name) => {
    const disk = new SimulatedDisk();
    await using writer = await openAccounts(disk);
    await using reader = await openWithTwoListings(disk);
    const store = { reader, writer }[name];
    await store.patch("b", { money: 26 });
    expect(reader.listSync().sessions.map(({ entry }) => entry.money)).toEqual([25, 26, 25, 25]);
    await store.delete("a");
    expect(reader.listSync().sessions.map(({ key }) => key)).toEqual(["b", "c", "d"]);
    await store.checkpoint();
    expect(reader.listSync().sessions.map(({ key }) => key)).toEqual(["b", "c", "d"]);
  });

  it("sees what the log no longer has, after sleeping through whole segments", async () => {
    const disk = new SimulatedDisk();
    await using writer = await openAccounts(disk);
    await using reader = await openWithTwoListings(disk);
    await writer.patch("b", { money: 26 });
    for (let time = 0; time < 2; time++) expect(reader.listSync().sessions).toHaveLength(4);
    await writer.checkpoint();
    await writer.delete("a"); // in a segment that the reader never sees
    await writer.checkpoint();
    expect(reader.listSync().sessions.map(({ key }) => key)).toEqual(["b", "c", "d"]);
  });

  it("gives each question its own answer", async () => {
    const disk = new SimulatedDisk();
    await (await openAccounts(disk)).close();
    await using reader = await openWithTwoListings(disk);
    const keysOf = (query: Parameters<typeof reader.listSync>[0]): string =>
      reader
        .listSync(query)
        .sessions.map(({ key }) => key)
        .join("");
    expect(keysOf({})).toBe("abcd");
    expect(keysOf({ limit: 2 })).toBe("ab");
    expect(keysOf({ descending: true })).toBe("dcba");
    expect(keysOf({ descending: true, limit: 1 })).toBe("d");
    expect(keysOf({ prefix: "b" })).toBe("b");
    expect(keysOf({ prefix: "c" })).toBe("c");
    expect(keysOf({ updatedAfter: 0 })).toBe("bcd");
    expect(keysOf({ updatedAfter: 1 })).toBe("cd");
    expect(keysOf({ updatedBefore: 1 })).toBe("a");
    expect(keysOf({ updatedBefore: 2 })).toBe("ab");
    const first = reader.listSync({ limit: 1 });
    const second = reader.listSync({ limit: 1, cursor: first.cursor! });
    const third = reader.listSync({ limit: 1, cursor: second.cursor! });
    expect([first, second, third].map(({ sessions }) => sessions[0]?.key)).toEqual(["a", "b", "c"]);
  });

  it("gives records of their own to everybody who asks", async () => {
    const disk = new SimulatedDisk();
    await (await openAccounts(disk)).close();
    await using reader = await openWithTwoListings(disk);
    const mine = reader.listSync().sessions;
    (mine as unknown[]).length = 0;
    expect(reader.listSync().sessions.length).toBe(4);
  });

  it("keeps no session for which there is no room", async () => {
    const disk = new SimulatedDisk();
    await using writer = await openAccounts(disk);
    await writer.put("z", { money: 0, updatedAt: 9, note: "long ".repeat(200) } as Account);
    await writer.checkpoint();
    const fs = disk.mount("reader");
    await using reader = await openOn(fs, [], 1000);
    const filesRead = (): number => {
      fs.log = [];
      expect(reader.listSync({ updatedBefore: 5 }).sessions.length).toBe(4);
      return fs.log.filter(({ args }) => String(args[0]).endsWith("meta.json")).length;
    };
    expect(filesRead()).toBeGreaterThan(0);
    expect(filesRead()).toBe(0);
    for (let time = 0; time < 2; time++) expect(reader.getSync("z")).toMatchObject({ money: 0 }); // takes all the room
    expect(filesRead()).toBeGreaterThan(0);
  });

  it("does not have what was found to be removed by hand", async () => {
    const disk = new SimulatedDisk();
    await (await openAccounts(disk)).close();
    await using reader = await openOn(disk.mount("reader"), [], 1); // has room for no session
    await reader.put("e", { money: 0, updatedAt: 9 });
    const all = (): string[] => reader.listSync().sessions.map(({ key }) => key);
    expect(all()).toEqual([...KEYS, "e"]);
    const hot = reader.listSync({ prefix: "e" });
    expect(hot.sessions.length).toBe(1);
    disk.removeRaw(`${PATH}/b/meta.json`);
    expect(all()).toEqual(["a", "c", "d", "e"]);
    expect(all()).toEqual(["a", "c", "d", "e"]);
  });
});

describe("what a listing is made from", () => {
  it("the catalog: no entry file is opened for a count", async () => {
    const disk = new SimulatedDisk();
    await (await openAccounts(disk)).close();
    const fs = disk.mount("reader");
    await using store = await openOn(fs);
    fs.log = [];
    expect(await store.count()).toBe(4);
    expect(fs.log.filter(({ args }) => String(args[0]).includes("meta.json"))).toEqual([]);
  });

  it.each(["missing", "damaged", "of another segment"])(
    "the files, when the catalog is %s: once, with a warning",
    async (how) => {
      const disk = new SimulatedDisk();
      await using writer = await openAccounts(disk);
      await writer.close();
      const catalog = Object.keys(disk.tree(`${PATH}/.store`)).find((path) => path.includes("/catalog-"))!;
      const content = disk.readRaw(catalog)!;
      disk.removeRaw(catalog);
      if (how === "damaged") disk.writeRaw(catalog, content.subarray(0, content.length - 1));
      if (how === "of another segment") disk.writeRaw(`${PATH}/.store/catalog-0`, content);
      const warnings: StoreWarning[] = [];
      await using store = await openOn(disk.mount("next"), warnings);
      for (let time = 0; time < 3; time++) {
        expect((await store.list()).sessions.map(({ key }) => key)).toEqual(KEYS);
      }
      expect(warnings.map(({ code }) => code)).toEqual(["catalog_rebuilt"]);
      await store.put("e", { money: 0, updatedAt: 9 });
      await store.checkpoint();
      await store.close();
      const later: StoreWarning[] = [];
      await using fresh = await openOn(disk.mount("later"), later);
      expect(await fresh.count()).toBe(5);
      expect(later).toEqual([]);
    },
  );

  it("pages: each session once, though others change in between", async () => {
    const disk = new SimulatedDisk();
    await using writer = await openAccounts(disk);
    await using store = await openOn(disk.mount("reader"));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({ limit: 1, ...(cursor !== undefined && { cursor }) });
      seen.push(...page.sessions.map(({ key }) => key));
      cursor = page.cursor;
      await writer.put("a", { money: 25, updatedAt: seen.length + 10 });
    } while (cursor !== undefined);
    expect(seen).toEqual(KEYS);
  });
});

it("an answer that there is more leads to the name of what somebody removed by hand", async () => {
  const disk = new SimulatedDisk();
  const writer = await openDirectoryStoreOn<object>(disk.mount("writer"), new ManualRuntime(), PATH);
  for (const key of ["s1", "s2", "x"]) await writer.put(key, {});
  await writer.checkpoint();
  await writer.close();
  const runtime = new ManualRuntime({ seed: ++seed });
  const warnings: StoreWarning[] = [];
  await using store = await openDirectoryStoreOn<object>(disk.mount("reader"), runtime, PATH, {
    onWarning: (warning) => warnings.push(warning),
  });
  const first = { prefix: "s", limit: 1 };
  for (let time = 0; time < 2; time++) expect(await store.list(first)).toHaveProperty("cursor");
  disk.removeRaw(`${PATH}/s2`);
  disk.writeRaw(`${PATH}/x/meta.json`, "damage"); // so that the answer that finds out is not kept
  expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["s1"]);
  expect(new Set(warnings.map(({ data }) => data["key"]))).toEqual(new Set(["s2", "x"]));
  const { sessions, cursor } = await store.list(first);
  expect(sessions.map(({ key }) => key)).toEqual(["s1"]);
  // The catalog knows it, so there is a further page, which names it.
  const next = await store.list({ ...first, cursor });
  expect(next).toMatchObject({ sessions: [], damaged: [{ key: "s2", missing: true }] });
  expect(next.cursor).toBeUndefined();
});
