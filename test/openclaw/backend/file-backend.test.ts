/**
 * Goal: a `sessions.json` that was not migrated is changed so that nothing gets lost: beside old gateways, beside a migration that
 * begins at any instant, and whatever fails.
 * Method: real files; others act inside calls of the file system, at each place of a write in turn.
 */
import {
  existsSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FileSystem } from "../../../src/fs/file-system.js";
import { nodeFileSystem } from "../../../src/fs/node-file-system.js";
import { migrateLegacyStore } from "../../../src/legacy/migrate.js";
import { systemRuntime } from "../../../src/runtime.js";
import { openDirectoryStore } from "../../../src/store/open.js";
import { FileBackend } from "../../../src/openclaw/backend/file-backend.js";
import { KeyQueue } from "../../../src/store/key-queue.js";
import { loadSessionStore, updateSessionStoreEntry } from "../../../src/openclaw/index.js";
import type { SessionEntry, SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import { StoreMovedSignal } from "../../../src/openclaw/backend/store-backend.js";
import { configureSessionStores } from "../../../src/openclaw/base/settings.js";
import {
  gatewayFolder,
  loaded,
  migrate,
  plain,
  session,
  type GatewayFolder,
} from "../support/gateway-folder.js";

function backendOn({ storePath, folder }: GatewayFolder, calls: Partial<FileSystem> = {}): FileBackend {
  const fs = { ...nodeFileSystem, ...calls };
  return new FileBackend({ fs, runtime: systemRuntime }, storePath, {
    turns: new KeyQueue(),
    settings: () => ({ migrateFirst: false, lockWaitMsMax: 5000 }),
    removeFromDirectory: async (keys) => {
      await using store = await openDirectoryStore<SessionEntry>(join(folder, "sessions.d"));
      for (const key of keys) await store.delete(key);
    },
  });
}

function addOne(backend: FileBackend): Promise<unknown> {
  return backend.updateAll((view) => {
    view.store["a"]!.totalTokens = (view.store["a"]!.totalTokens ?? 0) + 1;
    view.store["new"] = session(5);
    delete view.store["gone"];
  }, {});
}

const BEFORE = { a: session(1, { totalTokens: 1 }), gone: session(1), same: session(1) };
const AFTER = { a: session(1, { totalTokens: 2 }), same: session(1), new: session(5) };

describe("a write of a legacy file", () => {
  it("leaves one complete file, private, and nothing else", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    await addOne(backendOn(place));
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);
    expect(readFileSync(place.storePath, "utf8")).toBe(JSON.stringify(AFTER, null, 2));
    expect(statSync(place.storePath).mode & 0o777).toBe(0o600);
  });

  it("leaves members in it that are no sessions, in their places", async () => {
    const { a, same } = BEFORE;
    const place = await gatewayFolder("legacy file", BEFORE);
    const odd = { note: "by hand", a, list: [1], none: null, same };
    writeFileSync(place.storePath, JSON.stringify(odd));
    await addOne(backendOn(place));
    expect(readFileSync(place.storePath, "utf8")).toBe(
      JSON.stringify({ ...odd, a: AFTER.a, new: AFTER.new }, null, 2),
    );
  });

  it("is synced before it has the name, and the name after", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const order: string[] = [];
    const later = {
      ...nodeFileSystem.later,
      fdatasync: async (fd: number) => {
        order.push("sync file");
        return nodeFileSystem.later.fdatasync(fd);
      },
      fsync: async (fd: number) => {
        order.push("sync folder");
        return nodeFileSystem.later.fsync(fd);
      },
    };
    const rename = (from: string, to: string): void => {
      order.push("rename");
      nodeFileSystem.rename(from, to);
    };
    await addOne(backendOn(place, { later, rename }));
    expect(order).toEqual(["sync file", "rename", "sync folder"]);
  });

  it("leaves the old file whole when the disk is full", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const full = Object.assign(new Error("full"), { code: "ENOSPC", syscall: "write" });
    const later = { ...nodeFileSystem.later, fdatasync: () => Promise.reject(full) };
    await expect(addOne(backendOn(place, { later }))).rejects.toMatchObject({ code: "disk_full" });
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);
    expect(await place.stored()).toEqual(BEFORE);
  });

  it("removes what a killed writer left", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    writeFileSync(join(place.folder, "sessions.json.writing-0000000000000000-aa"), "{");
    await addOne(backendOn(place));
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);
  });

  it("begins again when its lock was broken", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    let runs = 0;
    await backendOn(place).updateAll((view) => {
      const a = view.store["a"]!;
      a.totalTokens = a.totalTokens! + 1;
      if (++runs > 1) return;
      // An old gateway found us too slow, took the lock, wrote, and let go.
      const sessions = JSON.parse(readFileSync(place.storePath, "utf8")) as SessionStoreRecord;
      sessions["a"]!.totalTokens = 10;
      writeFileSync(place.storePath, JSON.stringify(sessions));
      rmSync(`${place.storePath}.lock`);
    }, {});
    expect([runs, (await place.stored())["a"]?.totalTokens]).toEqual([2, 11]);
  });

  it("gives up with a typed error when it is broken every time", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const never = backendOn(place).updateAll((view) => {
      view.store["a"]!.label = "x";
      rmSync(`${place.storePath}.lock`);
    }, {});
    await expect(never).rejects.toMatchObject({ code: "legacy_changing" });
    expect(await place.stored()).toEqual(BEFORE);
  });
});

describe("a cached legacy file", () => {
  it("is read again whenever it could be another one, also within one tick of the clock", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1, { label: "0" }) });
    const backend = backendOn(place);
    const mtime = new Date(Date.now() + 3_600_000); // still to come: nobody can say that it has settled
    for (let n = 1; n < 10; n++) {
      // Same inode, same size, same time.
      writeFileSync(place.storePath, JSON.stringify({ a: session(1, { label: String(n) }) }, null, 2));
      utimesSync(place.storePath, mtime, mtime);
      expect(backend.readOne("a")?.label).toBe(String(n));
    }
  });

  it("is not read again when it is the same", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const old = new Date(Date.now() - 10_000);
    utimesSync(place.storePath, old, old);
    const backend = backendOn(place);
    const first = backend.snapshot();
    expect(backend.snapshot()).toBe(first);
    expect(backend.snapshot({ skipCache: true })).not.toBe(first);
  });
});

describe("a migration that comes while a legacy file is being written", () => {
  it("before the lock: the write is refused, and is made in the directory", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    await migrate(place);
    await expect(addOne(backendOn(place))).rejects.toBeInstanceOf(StoreMovedSignal);
    expect(existsSync(place.storePath)).toBe(false);
  });

  it("while the mutator runs: the same", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const moved = backendOn(place).updateAll(async (view) => {
      view.store["a"]!.label = "x";
      await migrate(place);
    }, {});
    await expect(moved).rejects.toBeInstanceOf(StoreMovedSignal);
    expect(loaded(place.storePath)).toEqual(BEFORE);
  });

  it("through the public functions nothing of it is seen", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    let runs = 0;
    const entry = await updateSessionStoreEntry({
      storePath: place.storePath,
      sessionKey: "a",
      update: async ({ totalTokens }) => {
        if (++runs === 1) await migrate(place);
        return { totalTokens: totalTokens! + 1 };
      },
    });
    expect([runs, entry?.totalTokens]).toEqual([2, 2]);
    expect(loaded(place.storePath)["a"]?.totalTokens).toBe(2);
  });

  it("between the last look and the rename: what was written is merged into the directory", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    // Prepared aside, put in place in the very call of the rename.
    const aside = await gatewayFolder("legacy file", BEFORE);
    await migrate(aside);
    let first = true;
    const rename = (from: string, to: string): void => {
      if (first && to === place.storePath) {
        first = false;
        renameSync(join(aside.folder, "sessions.d"), join(place.folder, "sessions.d"));
      }
      nodeFileSystem.rename(from, to);
    };
    await addOne(backendOn(place, { rename }));
    expect(first).toBe(false);
    expect(loaded(place.storePath)).toEqual(AFTER);
    expect(existsSync(place.storePath)).toBe(false);
  });

  it("and moves the temporary file away: it is written to the directory", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    const rename = (from: string, to: string): void => {
      if (to === place.storePath) rmSync(from);
      nodeFileSystem.rename(from, to);
    };
    const backend = backendOn(place, { rename });
    await expect(addOne(backend)).rejects.toMatchObject({ code: "legacy_changing" });
    expect(await place.stored()).toEqual(BEFORE);
  });

  it("killed in the middle: neither backend is there, and nobody takes that for an empty store", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    renameSync(place.storePath, `${place.storePath}.merging-2026-01-01T00-00-00.000Z-abcd`);
    expect(() => loadSessionStore(place.storePath)).toThrow(/is being migrated/);
    await expect(addOne(backendOn(place))).rejects.toMatchObject({ code: "legacy_changing" });
    await migrateLegacyStore(place.storePath);
    expect(loaded(place.storePath)).toEqual(BEFORE);
  });
});

describe("a first write to a directory", () => {
  it("waits for whoever is still writing the legacy file", async () => {
    const place = await gatewayFolder("legacy file", BEFORE);
    configureSessionStores({ lockWaitMsMax: 40 });
    await migrate(place);
    const createdAt = new Date().toISOString();
    writeFileSync(`${place.storePath}.lock`, JSON.stringify({ pid: process.ppid, createdAt }));
    const update = { storePath: place.storePath, sessionKey: "a", update: () => ({ label: "x" }) };
    await expect(updateSessionStoreEntry(update)).rejects.toMatchObject({ code: "legacy_locked" });
    expect(loaded(place.storePath)["a"]).not.toHaveProperty("label");
    rmSync(`${place.storePath}.lock`);
    await updateSessionStoreEntry(update);
    expect(loaded(place.storePath)["a"]?.label).toBe("x");
    // From then on the lock means nothing to it.
    writeFileSync(`${place.storePath}.lock`, JSON.stringify({ pid: process.ppid, createdAt }));
    await updateSessionStoreEntry({ ...update, update: () => ({ label: "y" }) });
    expect(plain(loadSessionStore(place.storePath))["a"]?.label).toBe("y");
  });
});
