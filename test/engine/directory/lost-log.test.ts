/**
 * Goal: a store whose log is gone goes on behind everything that files and catalogs tell of: one log, however many
 * processes begin it and wherever they die.
 * Method: the log of a store on a simulated disk is taken away; processes open it at the same time, and with a kill
 * at every call.
 */
import { expect, it } from "vitest";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { logLine } from "./sandbox.js";

const PATH = "/sessions.d";
/** Revision of the last commit before the log was lost. */
let last = 0;

const openOn = (fs: SimulatedFileSystem, seed: number): Promise<DirectorySessionStore<object>> =>
  openDirectoryStoreOn<object>(fs, new ManualRuntime({ seed }), PATH, {
    durability: "os",
    onWarning: () => {},
  });

/** Nine commits, the last a delete, so that no file has the highest revision; then the log is gone. */
async function withoutLog(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const store = await openOn(disk.mount("past"), 1);
  for (let version = 1; version <= 7; version++) await store.put("a", { version });
  await store.put("b", {});
  await store.checkpoint();
  await store.delete("b");
  last = await store.revision();
  await store.checkpoint();
  await store.close();
  for (const path of logOf(disk)) disk.removeRaw(path);
  return disk;
}

function logOf(disk: SimulatedDisk): string[] {
  return Object.keys(disk.tree(`${PATH}/.store/log`));
}

/** @param before Revision of the last commit. */
async function expectGoesOn(store: DirectorySessionStore<object>, before = last): Promise<void> {
  expect(await store.get("a")).toMatchObject({ version: 7 });
  expect(await store.get("b")).toBeUndefined();
  expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a"]);
  expect(await store.revision()).toBe(before);
}

it("is begun again behind the last revision of all, deletions included", async () => {
  const disk = await withoutLog();
  const store = await openOn(disk.mount("next"), 2);
  await expectGoesOn(store);
  const [path = ""] = logOf(disk);
  const header = String(disk.readRaw(path));
  expect(header).toContain(`"firstRevision":${last + 1},"after":${last},`);
  expect((await store.put("c", {})).revision).toBe(last + 1 + header.length);
  await store.close();
  expect(logOf(disk)).toHaveLength(1);
});

it("is begun again behind the revisions of files that no catalog knows", async () => {
  const disk = new SimulatedDisk();
  const past = await openOn(disk.mount("past"), 1);
  for (let version = 1; version <= 3; version++) await past.put("a", { version });
  const before = await past.revision();
  await past.flush();
  await past.close();
  for (const path of logOf(disk)) disk.removeRaw(path);
  const store = await openOn(disk.mount("next"), 2);
  expect(await store.revision()).toBe(before);
  const { revision } = await store.put("b", {});
  expect(revision).toBeGreaterThan(before);
  expect((await store.update("a", () => ({ version: 4 })))?.revision).toBeGreaterThan(revision);
});

it("a listing from before is no answer, though the new log goes on where its own ended", async () => {
  const disk = new SimulatedDisk();
  const old = await openOn(disk.mount("old"), 1);
  const { revision: inFile } = await old.put("a", {});
  await old.flush();
  await old.put("b", {}); // in the lost log only
  const keysOf = async (): Promise<string[]> => (await old.list()).sessions.map(({ key }) => key);
  expect([await keysOf(), await keysOf()]).toEqual([
    ["a", "b"],
    ["a", "b"],
  ]);
  const [segment] = logOf(disk);
  disk.writeRaw(segment!, Buffer.concat([disk.readRaw(segment!)!, logLine({ seal: 2 })]));
  disk.removeRaw(segment!);
  const next = await openOn(disk.mount("next"), 2);
  expect(await next.revision()).toBe(inFile);
  await next.put("c", {});
  expect(await keysOf()).toEqual(["a", "c"]);
});

it("a process that still has the lost log open goes over to the new one", async () => {
  const disk = new SimulatedDisk();
  const old = await openOn(disk.mount("old"), 1);
  await old.put("a", { version: 1 });
  await old.flush();
  for (const path of logOf(disk)) disk.removeRaw(path);
  const next = await openOn(disk.mount("next"), 2);
  await next.put("b", { version: 2 });
  const [segment] = logOf(disk);
  const number = Number(/(\d+)\.jsonl$/.exec(segment!)![1]);
  disk.writeRaw(segment!, Buffer.concat([disk.readRaw(segment!)!, logLine({ seal: number + 1 })]));
  await next.put("c", { version: 3 });
  expect(logOf(disk)).toHaveLength(2);
  await old.put("d", {}); // into its own segment, whose name is gone: nobody but a seal makes it look
  await old.checkpoint();
  expect(await old.get("b")).toEqual({ version: 2 });
  expect(await old.get("c")).toEqual({ version: 3 });
  expect(await old.get("d"), "in the lost log, and nowhere else").toBeUndefined();
  expect((await old.put("e", {})).revision).toBe((await next.read("e"))?.revision);
  await old.close();
  await next.close();
});

it.each(Array.from({ length: 30 }, (_, seed) => seed))(
  "by three at once: one log (schedule %i)",
  async (seed) => {
    const disk = await withoutLog();
    const random = seededRandom(seed + 1);
    const waiting: (() => void)[] = [];
    const mounts = ["p1", "p2", "p3"].map((name) => disk.mount(name));
    for (const mount of mounts) mount.gate = () => new Promise<void>((resolve) => waiting.push(resolve));
    let open = mounts.length;
    const opening = mounts.map((mount, index) =>
      openOn(mount, 10 * seed + index + 5).finally(() => (open -= 1)),
    );
    while (open > 0) {
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      waiting.splice(Math.floor(random() * waiting.length), 1)[0]?.();
    }
    for (const mount of mounts) mount.gate = undefined;
    for (const go of waiting.splice(0)) go();
    const stores = await Promise.all(opening);
    expect(logOf(disk)).toHaveLength(1);
    let before = last;
    for (const [index, store] of stores.entries()) {
      await expectGoesOn(store, before);
      before = (await store.update("a", (entry) => ({ ...entry, [`p${index}`]: true })))!.revision;
    }
    for (const store of stores) {
      expect(await store.get("a")).toEqual({ version: 7, p0: true, p1: true, p2: true });
      await store.close();
    }
  },
);

it.each(["killed", "durable-only", "random"] as const)(
  "dying at every call (%s): the next one goes on",
  async (how) => {
    for (let at = 1; ; at++) {
      const disk = (await withoutLog()).clone(seededRandom(at));
      const fs = disk.mount("dying");
      fs.onCall = (call) => {
        if (call.index === at) fs.kill();
      };
      const opening = openOn(fs, 3).then(
        (store) => store,
        () => undefined,
      );
      const store = await Promise.race([opening, turns()]);
      await Promise.race([store?.close().catch(() => {}), turns()]);
      const finished = !fs.killed;
      if (how !== "killed") disk.powerCut(how);
      const next = await openOn(disk.mount("next"), 4);
      await expectGoesOn(next);
      await next.put("c", {});
      await next.checkpoint();
      await next.close();
      expect(logOf(disk)).toHaveLength(1);
      if (finished) {
        expect(at).toBeGreaterThan(20);
        return;
      }
    }
  },
);

/** Long enough for everything that can still happen without a dead process. */
async function turns(): Promise<undefined> {
  for (let turn = 0; turn < 2000; turn++) await Promise.resolve();
}
