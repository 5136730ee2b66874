/**
 * Goal: whichever backend a store has, sessions stay apart, and none is lost, hidden, or left half written. Reviewers found each of
 * these faults in earlier directory stores for this gateway.
 * Method: one test for each fault, through the functions that gateways call.
 */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  loadSessionStore,
  saveSessionStore,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
} from "../../src/openclaw/index.js";
import { migrateLegacyStore } from "../../src/legacy/migrate.js";
import {
  BACKENDS,
  gatewayFolder,
  hasFile,
  loaded,
  migrate,
  session,
  writeElsewhere,
} from "./support/gateway-folder.js";

describe.each(BACKENDS)("on a %s", (backend) => {
  it("keys that look alike stay apart", async () => {
    const keys = [
      "agent:main:a",
      "agent--main--a",
      "agent-main-a",
      "agent/main/a",
      "agent%3amain",
      "..",
      "a.",
      "con",
    ];
    const { storePath } = await gatewayFolder(backend);
    for (const [n, sessionKey] of keys.entries())
      await updateLastRoute({ storePath, sessionKey, channel: "telegram", to: String(n) });
    const store = loadSessionStore(storePath);
    expect(keys.map((key) => store[key]?.lastTo)).toEqual(keys.map((_, n) => String(n)));
    expect(Object.keys(store)).toHaveLength(keys.length);
  });

  it("a change in place is seen at once, whatever the folder's time says", async () => {
    const place = await gatewayFolder(backend, { a: session(1, { lastTo: "old", sendPolicy: "allow" }) });
    const { storePath, folder } = place;
    const { atime, mtime } = statSync(folder);
    loadSessionStore(storePath);
    await writeElsewhere(place, "a", () => session(1, { lastTo: "new", sendPolicy: "deny" }));
    utimesSync(folder, atime, mtime);
    expect(loadSessionStore(storePath)["a"]).toMatchObject({ lastTo: "new", sendPolicy: "deny" });
  });

  it("a read, a merge and a write of one session lose no update", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1, { totalTokens: 0 }) });
    const add = [
      () =>
        updateSessionStoreEntry({
          storePath,
          sessionKey: "a",
          update: async (e) => ({ totalTokens: e.totalTokens! + 1 }),
        }),
      () => updateSessionStore(storePath, async (store) => void (store["a"]!.totalTokens! += 1)),
      () => updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "C" }),
    ];
    await Promise.all(Array.from({ length: 30 }, (_, n) => add[n % 3]!()));
    expect(loaded(storePath)["a"]).toMatchObject({ totalTokens: 20, lastTo: "C" });
  });

  it("no write leaves a lock or a temporary file behind", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const before = readdirSync(place.folder);
    await updateSessionStore(place.storePath, (store) => void (store["b"] = session(2)));
    await updateLastRoute({ storePath: place.storePath, sessionKey: "a", channel: "slack", to: "C" });
    expect(readdirSync(place.folder)).toEqual(before);
  });

  it("two store files in one folder are two stores", async () => {
    const { folder, storePath } = await gatewayFolder(backend, { a: session(1) });
    const other = join(folder, "other.json");
    await saveSessionStore(other, { b: session(2) });
    if (backend === "directory") await migrateLegacyStore(other);
    await updateLastRoute({ storePath: other, sessionKey: "b", channel: "slack", to: "C" });
    expect(Object.keys(loadSessionStore(storePath))).toEqual(["a"]);
    expect(Object.keys(loadSessionStore(other))).toEqual(["b"]);
  });

  it("a store that is reached through two names is one store", async () => {
    const { folder, storePath } = await gatewayFolder(backend, { a: session(1, { totalTokens: 0 }) });
    const alias = mkdtempSync(join(tmpdir(), "sessiondir-alias-"));
    onTestFinished(() => rmSync(alias, { recursive: true, force: true }));
    symlinkSync(folder, join(alias, "sessions"));
    const names = [
      storePath,
      join(alias, "sessions", "sessions.json"),
      join(folder, "..", folder.split("/").at(-1)!, "sessions.json"),
    ];
    await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        updateSessionStore(names[n % 3]!, async (store) => {
          const tokens = store["a"]!.totalTokens!;
          await new Promise((resolve) => setImmediate(resolve));
          store["a"]!.totalTokens = tokens + 1;
        }),
      ),
    );
    expect(loaded(storePath)["a"]?.totalTokens).toBe(12);
  });

  it("names of Object.prototype are sessions like any other", async () => {
    const { storePath } = await gatewayFolder(backend);
    for (const key of ["__proto__", "constructor", "prototype"]) {
      await updateSessionStore(storePath, (store) => {
        store[key] = JSON.parse(`{"sessionId":"x","updatedAt":1,"__proto__":{"polluted":true}}`) as never;
      });
    }
    expect(Object.keys(loadSessionStore(storePath)).sort()).toEqual([
      "__proto__",
      "constructor",
      "prototype",
    ]);
    const entry = loadSessionStore(storePath)["__proto__"]!;
    expect(Object.keys(entry)).toContain("__proto__");
    expect(Object.getPrototypeOf(entry)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(entry["polluted"]).toBeUndefined();
  });
});

describe("a directory that is not a complete store", () => {
  it("does not hide the sessions of sessions.json", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1) });
    mkdirSync(join(place.folder, "sessions.d"));
    mkdirSync(join(place.folder, "sessions.d.building-0123456789abcdef"));
    expect(loaded(place.storePath)).toEqual({ a: session(1) });
    await updateLastRoute({ storePath: place.storePath, sessionKey: "b", channel: "slack", to: "C" });
    expect(Object.keys(await place.stored())).toEqual(["a", "b"]);
  });
});

describe("a sessions.json with nothing but null in it", () => {
  it("is not taken for a store without sessions and migrated", async () => {
    const place = await gatewayFolder("legacy file", { a: null, b: null });
    await expect(migrate(place)).rejects.toThrow("skipped_invalid");
    expect(hasFile(place, "sessions.d")).toBe(false);
    await updateLastRoute({ storePath: place.storePath, sessionKey: "c", channel: "slack", to: "C" });
    expect(await place.stored()).toMatchObject({ a: null, b: null, c: { lastTo: "C" } });
  });
});

describe("a sessions.json that is a symlink to somebody else's file", () => {
  it("is that store, and the link stays", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1) });
    const alias = join(place.folder, "elsewhere.json");
    symlinkSync(place.storePath, alias);
    await updateLastRoute({ storePath: alias, sessionKey: "a", channel: "slack", to: "C" });
    expect((await place.stored())["a"]?.lastTo).toBe("C");
    symlinkSync("round.json", join(place.folder, "circle.json"));
    symlinkSync("circle.json", join(place.folder, "round.json"));
    expect(() => loadSessionStore(join(place.folder, "circle.json"))).toThrow(
      expect.objectContaining({ code: "file_unsafe" }),
    );
  });

  it("is refused where it is no regular file", async () => {
    const place = await gatewayFolder("legacy file");
    rmSync(place.storePath);
    mkdirSync(place.storePath);
    expect(() => loadSessionStore(place.storePath)).toThrow(expect.objectContaining({ code: "file_unsafe" }));
    const route = { storePath: place.storePath, sessionKey: "a", channel: "slack", to: "C" };
    await expect(updateLastRoute(route)).rejects.toMatchObject({ code: "file_unsafe" });
    writeFileSync(join(place.folder, "x"), "");
  });
});
