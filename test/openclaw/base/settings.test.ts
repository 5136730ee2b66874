/**
 * Goal: a process says once when stores are migrated, whether `sessions.json` is mirrored, and how long locks are waited for.
 * Method: real folders; what lies there after each call.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import {
  closeSessionStores,
  configureSessionStores,
  loadSessionStore,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
} from "../../../src/openclaw/index.js";
import type { SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import { gatewayFolder, hasFile, loaded, session } from "../support/gateway-folder.js";

describe("configureSessionStores", () => {
  it.each<[unknown]>([
    [{ migrate: "sometimes" }],
    [{ mirror: 1 }],
    [{ durability: "none" }],
    [{ lockWaitMsMax: -1 }],
    [{ lockWaitMsMax: "1" }],
    [{ onWarning: "console" }],
    [{ toString: "x" }],
  ])("refuses what it does not know: %j", (settings) => {
    expect(() => configureSessionStores(settings as object)).toThrow(TypeError);
  });
});

describe("migrate: explicit", () => {
  it("never makes a directory by itself", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1) });
    await updateSessionStoreEntry({
      storePath: place.storePath,
      sessionKey: "a",
      update: () => ({ label: "x" }),
    });
    await updateSessionStore(place.storePath, (store) => void (store["b"] = session(1)));
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);
  });
});

describe("migrate: on-write", () => {
  it("makes a directory at the first change, and not before", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1), "Agent:B": session(2) });
    configureSessionStores({ migrate: "on-write" });
    const { storePath } = place;
    loadSessionStore(storePath);
    await updateSessionStore(storePath, (store) => Object.keys(store));
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => null });
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);

    await updateSessionStoreEntry({ storePath, sessionKey: "agent:b", update: () => ({ label: "x" }) });
    expect(hasFile(place, "sessions.json")).toBe(false);
    expect(readdirSync(place.folder).filter((name) => name.startsWith("sessions.json.saved-"))).toHaveLength(
      1,
    );
    expect(loaded(storePath)).toMatchObject({ a: session(1), "agent:b": { sessionId: "id-2", label: "x" } });
  });

  it("makes one where there was nothing", async () => {
    const { folder } = await gatewayFolder("legacy file");
    configureSessionStores({ migrate: "on-write" });
    const storePath = join(folder, "agents", "new", "sessions.json");
    const entry = await updateLastRoute({ storePath, sessionKey: "a", channel: "slack", to: "C" });
    expect(existsSync(join(folder, "agents", "new", "sessions.d", ".store"))).toBe(true);
    expect(loaded(storePath)).toEqual({ a: entry });
  });

  it("says why it cannot, and leaves the file as it is", async () => {
    const place = await gatewayFolder("legacy file");
    configureSessionStores({ migrate: "on-write" });
    writeFileSync(place.storePath, '{"a": {"updatedAt": 1}');
    const route = { storePath: place.storePath, sessionKey: "a", channel: "slack", to: "C" };
    await expect(updateLastRoute(route)).rejects.toMatchObject({ code: "legacy_invalid" });
    configureSessionStores({ migrate: "on-open" });
    await expect(updateLastRoute(route)).rejects.toMatchObject({ code: "legacy_invalid" });
    writeFileSync(place.storePath, "");
    await expect(updateLastRoute(route)).rejects.toMatchObject({ code: "legacy_invalid" });
    expect(readdirSync(place.folder)).toEqual(["sessions.json"]);
  });

  it("is done by one of many callers", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1, { totalTokens: 0 }) });
    configureSessionStores({ migrate: "on-write" });
    const { storePath } = place;
    await Promise.all(
      Array.from({ length: 10 }, () =>
        updateSessionStoreEntry({
          storePath,
          sessionKey: "a",
          update: ({ totalTokens }) => ({ totalTokens: totalTokens! + 1 }),
        }),
      ),
    );
    expect(loaded(storePath)["a"]?.totalTokens).toBe(10);
  });
});

describe("migrate: on-open", () => {
  it("makes a directory at the first asynchronous call", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1) });
    configureSessionStores({ migrate: "on-open" });
    loadSessionStore(place.storePath);
    expect(hasFile(place, "sessions.d")).toBe(false);
    await updateSessionStore(place.storePath, (store) => Object.keys(store));
    expect(hasFile(place, "sessions.d")).toBe(true);
    expect(loaded(place.storePath)).toEqual({ a: session(1) });
  });
});

describe("mirror", () => {
  it("keeps sessions.json in step with the directory, in the background", async () => {
    const place = await gatewayFolder("directory", { a: session(1) });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      configureSessionStores({ mirror: true });
      const { storePath } = place;
      await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => ({ label: "x" }) });
      await vi.waitFor(
        async () => {
          await vi.advanceTimersByTimeAsync(5000);
          expect(inFile(storePath)["a"]?.label).toBe("x");
        },
        { timeout: 20_000 },
      );
      await updateLastRoute({ storePath, sessionKey: "b", channel: "slack", to: "C" });
    } finally {
      vi.useRealTimers();
    }
    await closeSessionStores();
    expect(inFile(place.storePath)).toEqual(loaded(place.storePath));
    expect(Object.keys(inFile(place.storePath))).toEqual(["a", "b"]);
  });

  it("is not there unless it was asked for", async () => {
    const place = await gatewayFolder("directory", { a: session(1) });
    await updateLastRoute({ storePath: place.storePath, sessionKey: "b", channel: "slack", to: "C" });
    await closeSessionStores();
    expect(hasFile(place, "sessions.json")).toBe(false);
  });
});

describe("closeSessionStores", () => {
  it("lets go of everything, and the next call opens anew", async () => {
    const place = await gatewayFolder("directory", { a: session(1) });
    await updateLastRoute({ storePath: place.storePath, sessionKey: "b", channel: "slack", to: "C" });
    await Promise.all([closeSessionStores(), closeSessionStores()]);
    expect(Object.keys(loadSessionStore(place.storePath))).toEqual(["a", "b"]);
    await updateLastRoute({ storePath: place.storePath, sessionKey: "c", channel: "slack", to: "C" });
    expect(Object.keys(loadSessionStore(place.storePath))).toEqual(["a", "b", "c"]);
  });
});

function inFile(storePath: string): SessionStoreRecord {
  return JSON.parse(readFileSync(storePath, "utf8")) as SessionStoreRecord;
}
