/**
 * Goal: a process that has just started lists the newest sessions from the front of the catalog, without reading the
 * rest of it, and gives the answer that the whole index would give.
 * Method: a simulated disk with a catalog much longer than what is read of it. The live log changes, deletes and adds
 * sessions at random, up to where nearly all that was read is outdated; another process commits between any two system
 * calls; files are damaged. A process that lists by key first has an index: its answer is the one to be equal to.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { StoreWarning } from "../../../src/errors.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore, ListQuery } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";

interface Entry {
  readonly updatedAt: number;
  readonly n?: number;
}
type Store = DirectorySessionStore<Entry>;

const PATH = "/sessions.d";
const SESSIONS = 3000;
const LOG_READ_BYTES = 1024 * 1024;
const NEWEST: ListQuery = { orderBy: "updatedAt", descending: true, limit: 50 };
let seed = 0;

async function openOn(
  disk: SimulatedDisk,
  warnings: StoreWarning[] = [],
): Promise<{ store: Store; fs: SimulatedFileSystem }> {
  const fs = disk.mount(`process ${++seed}`);
  const store = await openDirectoryStoreOn<Entry>(fs, new ManualRuntime({ seed }), PATH, {
    durability: "os",
    flushDelayMs: 1_000_000_000,
    onWarning: (warning) => warnings.push(warning),
  });
  return { store, fs };
}

/** What a process with an index answers. */
async function fromIndex(disk: SimulatedDisk, query: ListQuery): Promise<unknown> {
  const { store } = await openOn(disk);
  await store.count();
  return store.listSync(query);
}

const key = (index: number): string => `agent:main:telegram:direct:${7_000_000_000 + index}`;

let filled: SimulatedDisk;

beforeAll(async () => {
  filled = new SimulatedDisk();
  const { store } = await openOn(filled);
  for (let index = 0; index < SESSIONS; index++) await store.put(key(index), { updatedAt: index >> 1 });
  await store.checkpoint();
  await store.close();
});

describe("the newest sessions in a new process", () => {
  it("cost one read of the catalog's front and their own files", async () => {
    const { store, fs } = await openOn(filled.clone());
    let bytes = 0;
    let opened = 0;
    fs.onCall = ({ name, args }) => {
      if (name === "read" && args[3] !== LOG_READ_BYTES) bytes = Math.max(bytes, Number(args[3]));
      if (name === "open" && String(args[0]).endsWith("meta.json")) opened++;
    };
    const { sessions } = store.listSync(NEWEST);
    expect(opened).toBe(50);
    expect(bytes).toBeLessThanOrEqual(64 * 1024);
    fs.onCall = undefined;
    expect(sessions).toHaveLength(50);
    expect(sessions[0]).toMatchObject({ key: key(SESSIONS - 1) });
    expect(await fromIndex(filled.clone(), NEWEST)).toEqual(store.listSync(NEWEST));
  });

  it("are right whatever the live log has made of them", async () => {
    for (let round = 0; round < 12; round++) {
      const disk = filled.clone();
      const { store: writer } = await openOn(disk);
      const random = seededRandom(round);
      // Up to where hardly anything is left of what is read from the catalog.
      const changes = [0, 1, 20, 200, 900, 1500][round % 6] as number;
      for (let step = 0; step < changes; step++) {
        const target = key(SESSIONS - 1 - (round < 6 ? step : Math.floor(random() * 1000)));
        const kind = random();
        if (kind < (round < 6 ? 0.99 : 0.6)) await writer.delete(target);
        else await writer.put(target, { updatedAt: Math.floor(random() * SESSIONS), n: step });
      }
      for (const limit of [1, 50, 128]) {
        const { store } = await openOn(disk);
        const query = { ...NEWEST, limit };
        expect(store.listSync(query), `round ${round}, limit ${limit}`).toEqual(await fromIndex(disk, query));
      }
    }
  });

  it("go on with the next page from the index", async () => {
    const { store } = await openOn(filled.clone());
    const first = store.listSync(NEWEST);
    const second = store.listSync({ ...NEWEST, cursor: first.cursor! });
    expect([...first.sessions, ...second.sessions].map((session) => session.key)).toEqual(
      Array.from({ length: 100 }, (_, index) => key(SESSIONS - 1 - index)),
    );
  });

  it("are all that there are, with no further page, in a store that is smaller than the front", async () => {
    const disk = new SimulatedDisk();
    const { store: writer } = await openOn(disk);
    for (let index = 0; index < 5; index++) await writer.put(key(index), { updatedAt: index });
    await writer.checkpoint();
    await writer.delete(key(4));
    const { store } = await openOn(disk);
    const { sessions, cursor } = store.listSync(NEWEST);
    expect(sessions.map((session) => session.key)).toEqual([3, 2, 1, 0].map(key));
    expect(cursor).toBeUndefined();
  });

  it("are of one instant while another process commits between any two calls", async () => {
    const seen = new Set<string>();
    for (let at = 1; at < 270; at += 7) {
      const disk = filled.clone();
      const { store: writer } = await openOn(disk);
      const { store, fs } = await openOn(disk);
      let calls = 0;
      const work: Promise<unknown>[] = [];
      fs.onCall = () => {
        if (++calls !== at) return;
        work.push(writer.put(key(3), { updatedAt: 10_000 }), writer.delete(key(SESSIONS - 1)));
      };
      const keys = store.listSync(NEWEST).sessions.map((session) => session.key);
      await Promise.all(work);
      const before = Array.from({ length: 50 }, (_, index) => key(SESSIONS - 1 - index));
      const between = [key(3), ...before.slice(0, 49)];
      const after = [key(3), ...before.slice(1)];
      expect([before, between, after]).toContainEqual(keys);
      seen.add(keys[0] ?? "");
    }
    expect(seen.size).toBe(2);
  });

  it("leave a damaged one out, with a warning, like every listing", async () => {
    const disk = filled.clone();
    const folder = Object.keys(disk.tree(PATH)).find((path) =>
      path.includes(String(7_000_000_000 + SESSIONS - 7)),
    )!;
    disk.writeRaw(`${folder.replace(/\/$/, "").replace(/\/meta\.json$/, "")}/meta.json`, "{");
    const warnings: StoreWarning[] = [];
    const { store } = await openOn(disk, warnings);
    const { sessions } = store.listSync(NEWEST);
    await Promise.resolve();
    expect(sessions.map((session) => session.key)).not.toContain(key(SESSIONS - 7));
    expect(sessions[0]).toMatchObject({ key: key(SESSIONS - 1) });
    expect(warnings.map((warning) => warning.code)).toEqual(["entry_corrupt"]);
  });

  it("leave out one of which an older copy was put back, with a warning", async () => {
    const disk = new SimulatedDisk();
    const { store: writer } = await openOn(disk);
    for (let index = 0; index < 3; index++) await writer.put(key(index), { updatedAt: index });
    await writer.flush();
    const path = Object.keys(disk.tree(PATH)).find((name) => name.includes("7000000001/meta.json"))!;
    const older = disk.readRaw(path)!;
    await writer.put(key(1), { updatedAt: 5 });
    await writer.checkpoint();
    disk.writeRaw(path, older);
    const warnings: StoreWarning[] = [];
    const { store } = await openOn(disk, warnings);
    const { sessions } = store.listSync(NEWEST);
    await Promise.resolve();
    expect(sessions.map((session) => session.key)).toEqual([key(2), key(0)]);
    expect(warnings.map((warning) => warning.code)).toEqual(["entry_corrupt"]);
  });

  it("are found without a catalog, or with one that is cut off", async () => {
    const disk = filled.clone();
    for (const file of Object.keys(disk.tree(PATH)).filter((path) => path.includes("/catalog-"))) {
      const damaged = disk.clone();
      damaged.writeRaw(file, String(disk.readRaw(file)).slice(0, 100));
      const { store } = await openOn(damaged, []);
      expect(store.listSync(NEWEST).sessions[0]).toMatchObject({ key: key(SESSIONS - 1) });
    }
  });
});
