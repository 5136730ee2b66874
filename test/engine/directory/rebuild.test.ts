/**
 * Goal: session folders without `.store` are never mistaken for nothing, and a store is made of them alone: everything that their
 * files say, behind every revision, with what is lost named, however many processes do it and wherever they die.
 * Method: stores lose their `.store` and have files damaged, moved and doubled; rebuilds run at the same time, with a kill and a
 * power cut at every call.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import { rebuildDirectoryStoreOn } from "../../../src/store/rebuild.js";
import { ManualRuntime } from "../../../src/testing/manual-runtime.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { SimulatedDisk } from "../../../src/testing/simulated/disk.js";
import type { SimulatedFileSystem } from "../../../src/testing/simulated/file-system.js";
import { BIG, codeOf, failureOf, snapshot, useSandbox, type Entry, type Sandbox } from "./sandbox.js";

const holder = useSandbox();

const SESSIONS: Record<string, Entry> = {
  a: { updatedAt: 3 },
  "agent:main:main": { updatedAt: 1, text: "x" },
  ["long ".repeat(60)]: { updatedAt: 2 },
};
const KEYS = Object.keys(SESSIONS);

let seed = 0;

const rebuild = (box: Sandbox, options = {}) =>
  rebuildDirectoryStoreOn(nodeFileSystem, new ManualRuntime({ seed: ++seed }), box.path, options);

/** As `cp -r sessions.d/* elsewhere/` leaves it. */
async function withoutDotFiles(sessions: Record<string, Entry> = SESSIONS): Promise<Sandbox> {
  const { box } = holder;
  await box.filled(sessions);
  rmSync(box.at(".store"), { recursive: true });
  return box;
}

describe("opening session folders without .store", () => {
  it("is store_incomplete, which names the next step, and changes nothing", async () => {
    const box = await withoutDotFiles();
    const before = snapshot(box.path);
    for (const options of [{}, { readOnly: true }, { create: false }]) {
      const error = await failureOf(() => box.open(options));
      expect(error).toMatchObject({ code: "store_incomplete", data: { path: box.path } });
      expect(error.message).toMatch(/rebuild/);
    }
    expect(snapshot(box.path)).toEqual(before);
  });

  it("other people's folders are still not_a_store", async () => {
    const { box } = holder;
    mkdirSync(box.at("photos"), { recursive: true, mode: 0o700 });
    writeFileSync(box.at("photos", "meta.json"), '{"camera":1}');
    expect(await codeOf(() => box.open())).toBe("not_a_store");
  });
});

describe("a rebuild", () => {
  it("makes a store of what the files say, behind every revision", async () => {
    const box = await withoutDotFiles();
    const highest = Math.max(...KEYS.map((key) => box.revisionOf(key)));
    const planned = await rebuild(box, { dryRun: true });
    expect(existsSync(box.at(".store"))).toBe(false);
    const report = await rebuild(box);
    expect(report).toEqual(planned);
    expect(report).toEqual({
      path: box.path,
      rebuilt: true,
      sessions: 3,
      revision: highest,
      damaged: [],
      renamed: [],
      surplus: [],
      missingValues: [],
    });
    const store = await box.open();
    const { sessions } = await store.list({ orderBy: "updatedAt" });
    expect(sessions.map(({ key, entry }) => [key, entry])).toEqual(
      Object.entries(SESSIONS).sort(([, a], [, b]) => Number(a["updatedAt"]) - Number(b["updatedAt"])),
    );
    expect(box.warnings).toEqual([]);
    expect((await store.update("a", (entry) => ({ ...entry, more: 1 })))?.revision).toBeGreaterThan(highest);
    await store.checkpoint();
    const next = await box.reopen();
    expect(await next.count()).toBe(3);
    expect(await next.get("a")).toEqual({ updatedAt: 3, more: 1 });
    expect(box.warnings).toEqual([]);
  });

  it("names damaged files, and leaves them where they are", async () => {
    const box = await withoutDotFiles();
    writeFileSync(box.entryFile("a"), "damage");
    const report = await rebuild(box);
    expect(report).toMatchObject({
      sessions: 2,
      damaged: [{ key: "a", path: box.entryFile("a"), missing: false }],
    });
    expect(readFileSync(box.entryFile("a"), "utf8")).toBe("damage");
    const store = await box.open();
    expect((await store.list()).damaged).toMatchObject([{ key: "a" }]);
    await store.put("a", { healed: true });
    expect(await store.count()).toBe(3);
  });

  it("goes by the keys in the files, whatever the folders are called", async () => {
    const box = await withoutDotFiles();
    renameSync(box.folderOf("agent:main:main"), box.at("agent_main_main"));
    cpSync(box.folderOf("a"), box.at("a copy"), { recursive: true });
    const report = await rebuild(box);
    expect(report.renamed).toEqual([
      {
        key: "agent:main:main",
        from: "agent_main_main",
        to: "agent%3Amain%3Amain",
        left: ".agent_main_main.renamed",
      },
    ]);
    expect(report.surplus).toEqual([{ key: "a", path: box.at("a copy", "meta.json") }]);
    expect(existsSync(box.at("a copy", "meta.json"))).toBe(true);
    const store = await box.open();
    for (const key of KEYS) expect(await store.get(key)).toEqual(SESSIONS[key]);
    expect(await store.count()).toBe(3);
  });

  it("does not put a session where something else is, nor forget its revision", async () => {
    const box = await withoutDotFiles();
    renameSync(box.folderOf("a"), box.at("elsewhere"));
    mkdirSync(box.folderOf("a"), { mode: 0o700 });
    writeFileSync(box.entryFile("a"), "damage");
    box.writeEntry(box.at("elsewhere", "meta.json"), "a", 9000, { updatedAt: 3 });
    const report = await rebuild(box);
    expect(report).toMatchObject({ sessions: 2, revision: 9000, renamed: [] });
    expect(report.damaged).toMatchObject([{ key: "a" }]);
    expect(report.surplus).toEqual([{ key: "a", path: box.at("elsewhere", "meta.json") }]);
    const store = await box.open();
    expect(await store.revision()).toBe(9000);
    expect((await store.put("b", {})).revision).toBeGreaterThan(9000);
  });

  it("names what lacks its shared values, session by session and field by field", async () => {
    const box = await withoutDotFiles({ a: { big: BIG, list: [BIG, `${BIG}!`] }, b: { small: 1 } });
    const report = await rebuild(box);
    expect(report.missingValues.map(({ key, field, hashes }) => [key, field, hashes.length])).toEqual([
      ["a", "big", 1],
      ["a", "list", 2],
    ]);
    const store = await box.open();
    expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("blob_missing");
    await store.put("a", { big: BIG });
    expect((await store.get("a"))?.["big"]).toBe(BIG);
  });

  it("makes no store of a folder without sessions", async () => {
    const { box } = holder;
    mkdirSync(box.at("photos"), { recursive: true, mode: 0o700 });
    for (const dryRun of [true, false]) {
      expect(await codeOf(() => rebuild(box, { dryRun }))).toBe("not_a_store");
    }
    expect(existsSync(box.at(".store"))).toBe(false);
  });

  it("does nothing where .store is there, or no folder is", async () => {
    const { box } = holder;
    expect(await codeOf(() => rebuild(box))).toBe("store_not_found");
    await box.filled({ ...SESSIONS, big: { big: BIG } });
    const before = snapshot(box.path);
    expect(await rebuild(box)).toMatchObject({ rebuilt: false, sessions: 4, missingValues: [] });
    expect(snapshot(box.path)).toEqual(before);
    await expect(rebuild(box, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
    await expect(rebuild(box, { unknown: 1 })).rejects.toThrow(TypeError);
  });
});

describe("several rebuilds, and crashes", () => {
  const PATH = "/sessions.d";

  let highest = 0;

  /** Three sessions, one of them in a folder of another name. */
  async function lost(): Promise<SimulatedDisk> {
    const disk = new SimulatedDisk();
    const store = await openDirectoryStoreOn<Entry>(disk.mount("past"), new ManualRuntime({ seed: 1 }), PATH);
    for (const key of ["a", "b", "c"]) await store.put(key, { key });
    highest = await store.revision();
    await store.checkpoint();
    await store.close();
    disk.writeRaw(`${PATH}/other/meta.json`, disk.readRaw(`${PATH}/c/meta.json`)!);
    disk.removeRaw(`${PATH}/c`);
    disk.removeRaw(`${PATH}/.store`);
    return disk;
  }

  const start = (fs: SimulatedFileSystem) =>
    rebuildDirectoryStoreOn(fs, new ManualRuntime({ seed: ++seed }), PATH);

  async function expectWhole(disk: SimulatedDisk): Promise<void> {
    const store = await openDirectoryStoreOn<Entry>(
      disk.mount("next"),
      new ManualRuntime({ seed: ++seed }),
      PATH,
    );
    expect((await store.list()).sessions.map(({ key, entry }) => [key, entry["key"]])).toEqual([
      ["a", "a"],
      ["b", "b"],
      ["c", "c"],
    ]);
    expect(await store.revision()).toBe(highest);
    expect((await store.put("d", {})).revision).toBeGreaterThan(highest);
    await store.checkpoint();
    await store.close();
    expect(Object.keys(disk.tree()).filter((path) => path.includes(".building-"))).toEqual([]);
  }

  it("two at once: one store comes of it", async () => {
    const disk = await lost();
    const reports = await Promise.all([start(disk.mount("one")), start(disk.mount("two"))]);
    expect(reports.filter(({ rebuilt }) => rebuilt)).toHaveLength(1);
    await expectWhole(disk);
  });

  it.each(["killed", "durable-only", "random"] as const)(
    "dying at every call (%s): the next one finishes",
    async (how) => {
      const origin = await lost();
      for (let at = 1; ; at++) {
        const disk = origin.clone(seededRandom(at));
        const fs = disk.mount("dying");
        fs.onCall = (call) => {
          if (call.index === at) fs.kill();
        };
        const rebuilding = start(fs).catch(() => {});
        await Promise.race([rebuilding, turns()]);
        const finished = !fs.killed;
        if (how !== "killed") disk.powerCut(how);
        await start(disk.mount("again"));
        await expectWhole(disk);
        if (!finished) continue;
        expect(at).toBeGreaterThan(40);
        return;
      }
    },
  );
});

/** Long enough for everything that can still happen without a dead process. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
}
