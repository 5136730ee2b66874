/** Goal: each target opens the right store. Method: open, write, look at what is there. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openDirectoryStore, openDirectoryStoreSync, openSessionStore } from "../../src/index.js";
import { systemRuntime } from "../../src/runtime.js";
import { openDirectoryStoreOn } from "../../src/store/open.js";
import { SimulatedDisk } from "../../src/testing/simulated/disk.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-open-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("openSessionStore", () => {
  test("a legacy file stands for the directory beside it, and is not touched", async () => {
    await using store = await openSessionStore(join(folder, "sessions.json"));
    await store.put("a", { turns: 1 });
    expect(existsSync(join(folder, "sessions.d", ".store", "format.json"))).toBe(true);
    expect(existsSync(join(folder, "sessions.json"))).toBe(false);
    expect((await store.stats()).engine).toBe("directory");
  });

  test("a legacy file with sessions is not hidden by a new, empty store", async () => {
    const file = join(folder, "sessions.json");
    for (const text of ['{ "a": { "turns": 1 } }', "[]", "not JSON", `{${" ".repeat(100)}}`]) {
      writeFileSync(file, text);
      for (const options of [{}, { readOnly: true }]) {
        const opening = openSessionStore(file, options);
        await expect(opening).rejects.toMatchObject({ code: "not_migrated", data: { legacyFile: file } });
      }
      expect(() => openDirectoryStoreSync(file)).toThrow(/sessiondir migrate/);
      expect(existsSync(join(folder, "sessions.d"))).toBe(false);
    }
    for (const text of ["", " {}\n"]) {
      writeFileSync(file, text);
      await (await openSessionStore(file)).close();
      rmSync(join(folder, "sessions.d"), { recursive: true });
    }
    writeFileSync(file, '{ "a": { "turns": 1 } }');
    await (await openSessionStore(join(folder, "sessions.d"))).close();
    await (await openSessionStore(file)).close(); // there is a store now: it counts
  });

  test("openDirectoryStoreSync opens what is there, and makes nothing", async () => {
    const path = join(folder, "x.d");
    expect(() => openDirectoryStoreSync(path)).toThrow(
      expect.objectContaining({ code: "store_not_found" }) as Error,
    );
    expect(existsSync(path)).toBe(false);
    await using one = await openDirectoryStore<{ turns: number }>(path);
    await one.put("a", { turns: 1 });
    await using two = openDirectoryStoreSync<{ turns: number }>(path);
    expect(two.getSync("a")).toEqual({ turns: 1 });
    await two.put("a", { turns: 2 });
    expect(one.getSync("a")).toEqual({ turns: 2 });
    rmSync(join(path, ".store/log"), { recursive: true });
    expect(() => openDirectoryStoreSync(path)).toThrow(/openDirectoryStore, which makes/);
  });

  test("create: false opens what is there, and makes nothing", async () => {
    const path = join(folder, "x.d");
    await expect(openSessionStore(path, { create: false })).rejects.toMatchObject({
      code: "store_not_found",
    });
    mkdirSync(path);
    await expect(openSessionStore(path, { create: false })).rejects.toMatchObject({
      code: "store_not_found",
    });
    expect(readdirSync(path)).toEqual([]);
    await (await openSessionStore(path)).close();
    await (await openSessionStore(path, { create: false })).close();
  });

  test("two names of one store are one store", async () => {
    await using one = await openSessionStore<{ turns: number }>(join(folder, "x.json"));
    await using two = await openDirectoryStore<{ turns: number }>(join(folder, "x.d"));
    await one.put("a", { turns: 1 });
    expect(two.getSync("a")).toEqual({ turns: 1 });
  });

  test("every memory: is a store of its own", async () => {
    await using one = await openSessionStore("memory:");
    await using two = await openSessionStore("memory:");
    await one.put("a", {});
    expect(await two.count()).toBe(0);
    expect((await one.stats()).engine).toBe("memory");
  });

  test("readOnly does not create a store", async () => {
    const opening = openSessionStore(join(folder, "none.d"), { readOnly: true });
    await expect(opening).rejects.toMatchObject({ code: "store_not_found" });
    expect(existsSync(join(folder, "none.d"))).toBe(false);
  });

  test("wrong arguments are TypeErrors before anything is touched", async () => {
    await expect(openSessionStore("postgres://host/db")).rejects.toThrow(TypeError);
    await expect(openDirectoryStore("memory:")).rejects.toThrow(TypeError);
    await expect(openSessionStore(join(folder, "x"), { durability: "no" as never })).rejects.toThrow(
      /durability/,
    );
    expect(existsSync(join(folder, "x"))).toBe(false);
  });

  test("a failed system call is a typed error that names the path", async () => {
    const fileSystem = new SimulatedDisk().mount("test");
    fileSystem.onCall = ({ name }) => {
      if (name === "mkdir")
        throw Object.assign(new Error("no"), { code: "EACCES", syscall: "mkdir", path: "/s.d" });
    };
    await expect(openDirectoryStoreOn(fileSystem, systemRuntime, "/s.d")).rejects.toMatchObject({
      name: "SessionStoreError",
      code: "io_error",
      data: { errno: "EACCES" },
    });
  });
});
