/**
 * Goal: no link leads the store out of its folder: nothing outside is read as data, written, moved or removed,
 * whatever of the store is a link, from the start or from one call to the next (fault 28).
 * Method: each part of a store is moved outside and a link left in its place (so that following it would work), or
 * replaced by a link to somebody else's folder or file with tempting names in it. Then every operation is tried; the
 * outside is compared with what it was, down to the times of change.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { fence } from "../../../../src/entries/fence.js";
import { SessionStoreError } from "../../../../src/errors.js";
import { Layout } from "../../../../src/format/layout.js";
import { nodeFileSystem } from "../../../../src/fs/node-file-system.js";
import { openDirectoryStoreOn, openSessionStore } from "../../../../src/store/open.js";
import { ManualRuntime } from "../../../../src/testing/manual-runtime.js";
import { SimulatedDisk } from "../../../../src/testing/simulated/disk.js";
import {
  BIG,
  codeOf,
  failureOf,
  logLine,
  snapshot,
  useSandbox,
  type Entry,
  type Sandbox,
  type Store,
} from "../sandbox.js";

const POSIX = process.platform !== "win32";

const holder = useSandbox();
beforeEach(() => mkdirSync(holder.box.outside(), { mode: 0o700 }));

/** Everything a store can do; each call may fail, but only with a typed error. Returns the codes. */
async function everything(store: Store): Promise<string[]> {
  const calls: readonly (() => unknown)[] = [
    async () => JSON.stringify(await store.get("a")),
    async () => JSON.stringify((await store.list()).sessions),
    () => store.count(),
    () => store.stats(),
    () => store.put("new", { big: `${BIG} new` }),
    () => store.update("a", (entry) => ({ ...entry, more: `${BIG} more` })),
    () => store.put("again", { big: BIG }),
    () => store.delete("b"),
    () => store.delete("gone"),
    () => store.flush(),
    () => store.checkpoint(),
    () => store.put("last", { updatedAt: 1 }),
    () => store.checkpoint(),
    () => store.close(),
  ];
  const codes: string[] = [];
  for (const call of calls) {
    try {
      await call();
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error;
      expect(error.message).not.toContain("/proc/self/fd");
      codes.push(error.code);
    }
  }
  return codes;
}

/** Sessions in their files, one of them (`hot`) in the log only, blobs, a catalog, and one blob in the trash. */
async function fullStore(): Promise<Sandbox> {
  const { box } = holder;
  await box.filled({
    a: { updatedAt: 1, big: BIG },
    b: { updatedAt: 2 },
    gone: { updatedAt: 3, big: `${BIG} gone` },
  });
  const store = await box.open();
  await store.delete("gone");
  await store.checkpoint();
  await store.put("hot", { updatedAt: 4 });
  await store.close();
  rmSync(box.folderOf("hot"), { recursive: true, force: true });
  const stage = readdirSync(box.at(".store", "stage")).at(-1)!;
  expect(stage).toMatch(/^\d+-/);
  return box;
}

/** Names of folders inside a store, by what they are. */
const FOLDERS: Record<string, (box: Sandbox) => string> = {
  ".store": (box) => box.at(".store"),
  log: (box) => box.at(".store", "log"),
  stage: (box) => box.at(".store", "stage"),
  "the staging folder": (box) => box.at(".store", "stage", readdirSync(box.at(".store", "stage")).at(-1)!),
  blobs: (box) => box.at(".store", "blobs"),
  "a blob folder": (box) => dirname(box.blobs()[0]!),
  trash: (box) => box.at(".store", "trash"),
  quarantine: (box) => box.at(".store", "quarantine"),
  "a session's folder": (box) => box.folderOf("a"),
  "the folder of a session to delete": (box) => box.folderOf("b"),
  "the folder of a session in the log": (box) => box.folderOf("hot"),
};

const FILES: Record<string, (box: Sandbox) => string> = {
  "format.json": (box) => box.at(".store", "format.json"),
  "a segment": (box) => box.segment(),
  "a blob": (box) => box.blobs()[0]!,
  "the catalog": (box) =>
    box.at(
      ".store",
      readdirSync(box.at(".store")).find((name) => name.startsWith("catalog-"))!,
    ),
  "meta.json": (box) => box.entryFile("a"),
  "meta.json of a session to delete": (box) => box.entryFile("b"),
};

/** Moves a thing outside and leaves a link: following it would find everything that it should. */
function moveOutside(box: Sandbox, path: string): string {
  const moved = box.outside("moved", basename(path));
  mkdirSync(dirname(moved), { recursive: true, mode: 0o700 });
  if (existsSync(path)) renameSync(path, moved);
  else mkdirSync(moved);
  symlinkSync(moved, path);
  return moved;
}

/** Puts a link to a foreign folder there, which holds files with all the names that a store knows. */
function lureOutside(box: Sandbox, path: string): void {
  const lure = box.outside("theirs");
  mkdirSync(join(lure, "1-00ff"), { recursive: true });
  mkdirSync(join(lure, "log"));
  for (const folder of [lure, join(lure, "1-00ff")]) {
    for (const name of ["meta.json", "00000001.jsonl", "segment", "00ff00ff", "format.json", "catalog-1"]) {
      writeFileSync(join(folder, name), `theirs: ${name}`);
    }
    for (const blob of box.blobs()) {
      writeFileSync(join(folder, basename(blob)), "theirs");
      writeFileSync(join(folder, `${basename(blob, ".json")}.00ff.1`), "theirs");
    }
  }
  rmSync(path, { recursive: true, force: true });
  symlinkSync(relative(dirname(path), lure), path);
}

const PLANTS = { moved: moveOutside, "somebody else's": lureOutside };

/** A segment that was moved away while the store has it open is still the store's log: that is no link followed. */
function snapshotBesidesOpenLog(box: Sandbox): Record<string, string> {
  const all = Object.entries(snapshot(box.outside()));
  return Object.fromEntries(all.filter(([path]) => !/moved\/.*\d{8}\.jsonl$/.test(path)));
}

/** Opening may be refused; then nothing can be done through the store at all. */
async function openOrRefuse(box: Sandbox): Promise<Store | string> {
  try {
    return await box.open({ cacheBytes: 0 });
  } catch (error) {
    if (error instanceof SessionStoreError) return error.code;
    throw error;
  }
}

const REFUSED_AT_OPEN = new Set([
  ".store",
  "log",
  "stage",
  "blobs",
  "trash",
  "quarantine",
  "format.json",
  "a segment",
]);

describe.runIf(POSIX).each(Object.entries({ ...FOLDERS, ...FILES }))("%s is a link", (name, find) => {
  describe.each(Object.entries(PLANTS))("to a place that is %s", (_kind, plant) => {
    it("from the start: refused or isolated, and the outside is as it was", async () => {
      const box = await fullStore();
      const path = find(box);
      plant(box, path);
      const before = snapshot(box.outside());
      for (let round = 0; round < 2; round++) {
        const store = await openOrRefuse(box);
        expect(typeof store === "string").toBe(REFUSED_AT_OPEN.has(name));
        if (typeof store === "string") expect(store).toBe("file_unsafe");
        else await everything(store);
        expect(snapshot(box.outside())).toEqual(before);
      }
    });

    it("since the store was opened: refused or isolated, and the outside is as it was", async () => {
      const box = await fullStore();
      const path = find(box);
      const store = await box.open({ cacheBytes: 0 });
      plant(box, path);
      const before = snapshotBesidesOpenLog(box);
      await everything(store);
      expect(snapshotBesidesOpenLog(box)).toEqual(before);
    });

    it("since a listing and a flush: the same", async () => {
      const box = await fullStore();
      const path = find(box);
      const store = await box.open({ cacheBytes: 0 });
      await store.list();
      await store.put("hot", { updatedAt: 5 });
      await store.put("b", { updatedAt: 5 });
      await store.flush();
      plant(box, path);
      const before = snapshotBesidesOpenLog(box);
      await everything(store);
      expect(snapshotBesidesOpenLog(box)).toEqual(before);
    });

    it("for a reader: nothing is read through it", async () => {
      const box = await fullStore();
      const path = find(box);
      plant(box, path);
      const store = await openOrRefuseReader(box);
      if (store === undefined) return;
      const { sessions } = await store.list();
      for (const { key, entry } of sessions) {
        expect(["a", "b", "hot"]).toContain(key);
        expect([1, 2, 4]).toContain((entry as { updatedAt?: number }).updatedAt);
      }
      if (name === "a session's folder" || name === "meta.json") {
        expect(await codeOf(() => store.get("a"))).toBe("entry_corrupt");
        expect(sessions.map(({ key }) => key)).toEqual(["b", "hot"]);
      }
    });
  });
});

async function openOrRefuseReader(box: Sandbox): Promise<Store | undefined> {
  try {
    return await box.open({ readOnly: true, cacheBytes: 0 });
  } catch (error) {
    if (error instanceof SessionStoreError) return undefined;
    throw error;
  }
}

describe.runIf(POSIX)("what is deleted", () => {
  it("is never a file behind a link in place of the session's folder", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.delete("b");
    const moved = moveOutside(box, box.folderOf("b"));
    const before = snapshot(box.outside());
    await store.flush();
    await store.checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(existsSync(join(moved, "meta.json"))).toBe(true);
    expect(lstatSync(box.folderOf("b")).isSymbolicLink()).toBe(true);
    expect((await store.list()).sessions.map(({ key }) => key)).toEqual(["a", "hot"]);
  });

  it("is a link in place of meta.json, and not its target", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.delete("b");
    const moved = moveOutside(box, box.entryFile("b"));
    await store.checkpoint();
    expect(existsSync(moved)).toBe(true);
    expect(existsSync(box.folderOf("b"))).toBe(false);
    expect(await (await box.reopen()).get("b")).toBeUndefined();
  });

  it("is never behind a link called like an unfinished store", async () => {
    const box = await fullStore();
    mkdirSync(box.outside("theirs", "deep"), { recursive: true });
    writeFileSync(box.outside("theirs", "deep", "file"), "theirs");
    symlinkSync(box.outside("theirs"), box.at(".store.building-00ff"));
    mkdirSync(box.at(".store.building-11ff"));
    symlinkSync(box.outside("theirs"), box.at(".store.building-11ff", "log"));
    const before = snapshot(box.outside());
    await (await box.open()).checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(readdirSync(box.path).filter((name) => name.includes("building"))).toEqual([]);
  });

  it("is never behind a link called like a staging folder, or inside one", async () => {
    const box = await fullStore();
    mkdirSync(box.outside("theirs"));
    writeFileSync(box.outside("theirs", "file"), "theirs");
    symlinkSync(box.outside("theirs"), box.at(".store", "stage", "1-00ff"));
    const [own] = readdirSync(box.at(".store", "stage")).filter((name) => name !== "1-00ff");
    symlinkSync(box.outside("theirs"), box.at(".store", "stage", own!, "00ff"));
    const before = snapshot(box.outside());
    const store = await box.open();
    await store.checkpoint();
    expect(snapshot(box.outside())).toEqual(before);
    expect(box.segments()).toHaveLength(1);
    expect(readdirSync(box.at(".store", "stage"))).not.toContain("1-00ff");
  });
});

describe.runIf(POSIX)("what is read", () => {
  it.each(["blobs", "a blob folder", ".store"])(
    "is no shared value behind a link in place of %s",
    async (name) => {
      const box = await fullStore();
      for (const readOnly of [true, false]) {
        const store = await box.open({ readOnly, cacheBytes: 0 });
        const path = FOLDERS[name]!(box);
        const moved = moveOutside(box, path);
        const error = await failureOf(async () => (await store.get("a"))?.["big"]);
        expect(error.code).toBe("file_unsafe");
        expect(error.message).toContain(path);
        if (!readOnly) expect(await codeOf(() => store.put("c", { big: BIG }))).toBe("file_unsafe");
        rmSync(path);
        renameSync(moved, path);
        expect((await store.get("a"))?.["big"]).toBe(BIG);
      }
    },
  );

  it("is no shared value in a trash that is a link", async () => {
    const box = await fullStore();
    const [blob] = box.blobs();
    const store = await box.open({ cacheBytes: 0 });
    renameSync(blob!, box.at(".store", "trash", `${basename(blob!, ".json")}.00ff`));
    moveOutside(box, box.at(".store", "trash"));
    const before = snapshot(box.outside());
    expect(await codeOf(async () => (await store.get("a"))?.["big"])).toBe("file_unsafe");
    expect(snapshot(box.outside())).toEqual(before);
  });

  it.each(["log", ".store"])("is no further segment behind a link in place of %s", async (name) => {
    const box = await fullStore();
    const store = await box.open({ readOnly: true, cacheBytes: 0 });
    const number = Number(basename(box.segment()).slice(0, 8));
    const { storeId } = (await store.stats()).directory!;
    appendFileSync(box.segment(), logLine({ seal: number + 1 }));
    const header = { segment: number + 1, firstRevision: 99, stage: `${number + 1}-00`, store: storeId };
    const record = { w: "f0", n: 1, g: number + 1, t: 1, ops: [{ k: "planted", s: { theirs: true } }] };
    const next = box.segment().replace(/\d{8}\.jsonl$/, `${String(number + 1).padStart(8, "0")}.jsonl`);
    writeFileSync(next, Buffer.concat([logLine(header), logLine(record)]), { mode: 0o600 });
    moveOutside(box, FOLDERS[name]!(box));
    expect(await codeOf(() => store.get("planted"))).toBe("file_unsafe");
  });
});

describe.runIf(POSIX)("the fence by itself", () => {
  it.each(["stage", ".store"])("refuses to empty a folder behind a link in place of %s", async (name) => {
    const box = await fullStore();
    lureOutside(box, FOLDERS[name]!(box));
    const before = snapshot(box.outside());
    await expect(fence(nodeFileSystem, new Layout(box.path), 1_000_000)).rejects.toMatchObject({
      code: "file_unsafe",
    });
    expect(snapshot(box.outside())).toEqual(before);
  });
});

describe.runIf(POSIX)("a session's folder that is a link", () => {
  it("costs that session its file and nobody else's, and heals when it goes", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.put("a", { updatedAt: 7 });
    await store.put("z", { updatedAt: 8 });
    moveOutside(box, box.folderOf("a"));
    expect(await codeOf(() => store.flush())).toBe("file_unsafe");
    expect(existsSync(box.entryFile("z"))).toBe(true);
    expect(await store.get("a")).toEqual({ updatedAt: 7 });
    expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 7 });
    rmSync(box.folderOf("a"));
    const again = await box.reopen();
    await again.checkpoint();
    expect(box.segments()).toHaveLength(1);
    expect(await (await box.reopen()).get("a")).toEqual({ updatedAt: 7 });
  });

  it("is not believed by a checkpoint, though what is behind it is right", async () => {
    const box = await fullStore();
    const store = await box.open();
    await store.put("a", { updatedAt: 7 });
    await store.flush();
    moveOutside(box, box.folderOf("a"));
    expect(await codeOf(() => store.checkpoint())).toBe("file_unsafe");
    expect(await store.get("a")).toEqual({ updatedAt: 7 });
  });
});

describe.runIf(POSIX)("links on the way to a store", () => {
  it("to its folder and to a parent are the same store", async () => {
    const box = await fullStore();
    symlinkSync(box.path, box.outside("alias.d"));
    symlinkSync(box.root, box.outside("parent"));
    const direct = await box.open();
    for (const path of [box.outside("alias.d"), box.outside("parent", "sessions.d")]) {
      await using store = await openSessionStore<Entry>(path, { durability: "os" });
      const { revision } = await store.put("through", { path });
      expect((await direct.read("through"))?.revision).toBe(revision);
      expect((await store.stats()).directory?.path).toBe(box.path);
    }
  });

  it("dangling: refused rather than made behind it", async () => {
    const { box } = holder;
    symlinkSync(box.outside("nowhere"), box.path);
    const before = snapshot(box.outside());
    const outcome = await openOrRefuse(box);
    // A link of ours to a place in our own folders is our wish: the store is where it points.
    if (typeof outcome === "string") expect(snapshot(box.outside())).toEqual(before);
    else expect((await outcome.stats()).directory?.path).toBe(box.outside("nowhere"));
  });

  it("in a circle: refused", async () => {
    const { box } = holder;
    symlinkSync(box.outside("b"), box.outside("a"));
    symlinkSync(box.outside("a"), box.outside("b"));
    symlinkSync(box.outside("a"), box.path);
    expect(await openOrRefuse(box)).toBe("path_untrusted");
  });

  it("put in place of the open store's folder: it says so, and nothing is written where the link leads", async () => {
    const box = await fullStore();
    const store = await box.open();
    mkdirSync(box.outside("theirs"));
    const moved = join(box.root, "moved.d");
    renameSync(box.path, moved);
    symlinkSync(box.outside("theirs"), box.path);
    const before = snapshot(box.outside());
    await store.put("later", { updatedAt: 6 }).catch(() => {}); // with "os", a second may pass until it is noticed
    expect(await codeOf(() => store.checkpoint())).toBe("store_gone");
    expect(snapshot(box.outside())).toEqual(before);
  });
});

describe("a link that appears in the middle of an operation", () => {
  /** What is swapped, and the calls after which it happens: every folder that the operation names later again. */
  const SWAPS = [
    "/sessions.d/.store",
    "/sessions.d/.store/stage",
    "/sessions.d/.store/trash",
    "/sessions.d/b",
  ];

  it.each(SWAPS)("%s: the next operation refuses, whichever call it came behind", async (path) => {
    for (let at = 1; ; at++) {
      const disk = new SimulatedDisk();
      const fs = disk.mount("writer");
      const runtime = new ManualRuntime({ seed: at });
      const store = await openDirectoryStoreOn<Entry>(fs, runtime, "/sessions.d", {
        durability: "os",
        onWarning: () => {},
      });
      await store.put("a", { big: BIG });
      await store.put("b", { version: 1 });
      await store.checkpoint();
      await store.delete("b");
      const start = fs.calls;
      let swapped = false;
      fs.onCall = (call) => {
        if (swapped || call.index < start + at) return;
        swapped = true;
        disk.removeRaw(path);
        disk.makeDirectory("/outside");
        for (const name of ["meta.json", "1-00ff", "segment", "00ff"])
          disk.writeRaw(`/outside/${name}`, "theirs");
        disk.symlink(path, "/outside");
      };
      await store.flush().catch(typed);
      fs.onCall = undefined;
      if (!swapped) {
        await store.close();
        break; // the operation has fewer calls than that
      }
      const before = disk.tree("/outside");
      for (const call of [
        () => store.checkpoint(),
        () => store.put("c", { big: `${BIG}!` }),
        () => store.close(),
      ]) {
        await call().catch(typed);
      }
      expect(disk.tree("/outside")).toEqual(before);
      expect(at).toBeLessThan(1000);
    }
  });
});

function typed(error: unknown): void {
  expect(error).toBeInstanceOf(SessionStoreError);
}

it.runIf(POSIX)(
  "an operator's copy that turned folders into links is refused, and a real copy is not",
  async () => {
    const box = await fullStore();
    const copy = box.outside("copy.d");
    mkdirSync(copy, { mode: 0o700 });
    symlinkSync(box.at(".store"), join(copy, ".store"));
    for (const key of ["a", "b"]) symlinkSync(box.folderOf(key), join(copy, key));
    const before = snapshot(box.path);
    expect(await codeOf(() => openSessionStore(copy))).toBe("file_unsafe");
    expect(snapshot(box.path)).toEqual(before);
    cpSync(box.path, box.outside("real.d"), { recursive: true });
    await using store = await openSessionStore<Entry>(box.outside("real.d"), { durability: "os" });
    expect(await store.count()).toBe(3);
  },
);
