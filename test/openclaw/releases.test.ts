/**
 * Goal: where OpenClaw's releases contradict each other, the newest rules, and one setting gives the older ones.
 * Method: the same calls under both settings, on both backends of a store.
 */
import { describe, expect, it, onTestFinished } from "vitest";
import {
  capEntryCount,
  configureSessionStores,
  deriveSessionMetaPatch,
  getActiveSessionMaintenanceWarning,
  isProtectedSessionMaintenanceEntry,
  loadSessionStore,
  mergeSessionEntry,
  mergeSessionEntryPreserveActivity,
  mergeSessionEntryWithPolicy,
  normalizeDeliveryContext,
  normalizeSessionStore,
  normalizeStoreSessionKey,
  pruneStaleEntries,
  readSessionUpdatedAt,
  resolveGroupSessionKey,
  resolveMaintenanceConfigFromInput,
  resolveSessionStoreEntry,
  snapshotSessionOrigin,
  updateSessionStore,
  updateSessionStoreEntry,
  type SessionEntry,
} from "../../src/openclaw/index.js";
import { BACKENDS, gatewayFolder, loaded } from "./support/gateway-folder.js";

function follow(release: "2026.4" | "2026.5" | undefined): void {
  configureSessionStores({ release });
  onTestFinished(() => configureSessionStores({ release: undefined }));
}

const entry = (fields: Partial<SessionEntry> = {}): SessionEntry => ({
  sessionId: "s",
  updatedAt: 1,
  ...fields,
});

describe("keys", () => {
  it.each([
    ["Agent:Main:MAIN", "agent:main:main"],
    ["Agent:Main:Matrix:Channel:!AbC:Server.Org", "agent:main:matrix:channel:!AbC:Server.Org"],
    ["matrix:group:!AbC:Server:Thread:$EvEnT", "matrix:group:!AbC:Server:thread:$EvEnT"],
    ["Agent:Main:Signal:Group:AbC+/=:Thread:T", "agent:main:signal:group:AbC+/=:thread:t"],
    ["agent:main:signal:direct:+49ABC", "agent:main:signal:direct:+49abc"],
    ["  ", ""],
  ])("%j is %j", (key, normalized) => {
    expect(normalizeStoreSessionKey(key)).toBe(normalized);
    expect(normalizeStoreSessionKey(normalized)).toBe(normalized);
    follow("2026.4");
    expect(normalizeStoreSessionKey(key)).toBe(key.trim().toLowerCase());
  });

  describe.each(BACKENDS)("a session under its folded key, in a %s", (backend) => {
    const SIGNAL = "agent:main:signal:group:AbC=";
    const MATRIX = "agent:main:matrix:channel:!AbC:srv";

    it("is found, and gets its own key with the next change", async () => {
      const { storePath, stored } = await gatewayFolder(backend, {
        [SIGNAL.toLowerCase()]: entry({ label: "signal" }),
        [MATRIX.toLowerCase()]: entry({ label: "matrix", lastTo: "room:!AbC:srv" }),
      });
      for (const sessionKey of [SIGNAL, MATRIX]) {
        expect(readSessionUpdatedAt({ storePath, sessionKey })).toBe(1);
        expect(
          await updateSessionStoreEntry({ storePath, sessionKey, update: () => ({ systemSent: true }) }),
        ).toMatchObject({
          systemSent: true,
        });
      }
      expect(Object.keys(await stored()).sort()).toEqual([MATRIX, SIGNAL]);
      expect(loaded(storePath)[MATRIX]).toMatchObject({ label: "matrix", systemSent: true });
    });

    it("is not given to another Matrix room that differs in case alone", async () => {
      const { storePath, stored } = await gatewayFolder(backend, {
        [MATRIX.toLowerCase()]: entry({ lastTo: "room:!aBc:srv" }),
      });
      const store = loadSessionStore(storePath);
      expect(resolveSessionStoreEntry({ store, sessionKey: MATRIX }).existing).toBeUndefined();
      expect(resolveSessionStoreEntry({ store: { ...store }, sessionKey: MATRIX }).legacyKeys).toEqual([]);
      expect(await updateSessionStoreEntry({ storePath, sessionKey: MATRIX, update: () => ({}) })).toBeNull();
      expect(Object.keys(await stored())).toEqual([MATRIX.toLowerCase()]);
    });
  });
});

describe("what lasts", () => {
  it.each([
    ["agent:main:main", {}, false],
    ["agent:main:telegram:group:-1", {}, true],
    ["agent:main:slack:channel:c1", {}, true],
    ["agent:main:telegram:direct:5:topic:7", {}, true],
    ["agent:main:telegram:direct:5", {}, false],
    ["agent:main:x:thread:5", {}, true],
    ["agent:main:anything", { chatType: "group" as const }, true],
    ["agent:main:anything", { origin: { chatType: "channel" as const } }, true],
    ["agent:main:subagent:x:thread:5", { chatType: "group" as const }, false],
    ["agent:main:cron:job:telegram:group:1", {}, false],
    ["agent:main:telegram:group:-1:heartbeat", {}, false],
  ])("%s with %j: %s", (key, fields, lasts) => {
    expect(isProtectedSessionMaintenanceEntry(key, entry(fields))).toBe(lasts);
  });

  const sessions = () => ({
    "agent:a:x:group:1": entry(),
    "agent:a:one": entry(),
    "agent:a:two": entry({ updatedAt: 2 }),
  });

  it("is neither pruned nor capped, nor warned about", () => {
    const [pruned, capped] = [sessions(), sessions()];
    expect(pruneStaleEntries(pruned, 1000)).toBe(2);
    expect(Object.keys(pruned)).toEqual(["agent:a:x:group:1"]);
    expect(capEntryCount(capped, 2)).toBe(1);
    expect(Object.keys(capped)).toEqual(["agent:a:x:group:1", "agent:a:two"]);
    const active = {
      store: sessions(),
      activeSessionKey: "agent:a:x:group:1",
      pruneAfterMs: 1,
      maxEntries: 1,
    };
    expect(getActiveSessionMaintenanceWarning(active)).toBeNull();
  });

  it("up to April 2026 nothing lasts", () => {
    follow("2026.4");
    const all = sessions();
    expect(pruneStaleEntries(all, 1000)).toBe(3);
    const active = {
      store: sessions(),
      activeSessionKey: "agent:a:x:group:1",
      pruneAfterMs: 1,
      maxEntries: 1,
    };
    expect(getActiveSessionMaintenanceWarning(active)).toMatchObject({ wouldPrune: true });
  });
});

describe("entries", () => {
  it("a session with a new id began now", () => {
    const first = mergeSessionEntryWithPolicy(undefined, { sessionId: "a" }, { now: 5 });
    expect(first).toMatchObject({ sessionStartedAt: 5, updatedAt: 5 });
    const used = mergeSessionEntryWithPolicy(first, { label: "x" }, { now: 9 });
    expect(used).toMatchObject({ sessionStartedAt: 5, updatedAt: 9 });
    expect(mergeSessionEntryWithPolicy(used, { sessionId: "b" }, { now: 20 })).toMatchObject({
      sessionStartedAt: 20,
    });
    const known = mergeSessionEntryWithPolicy(used, { label: "y" }, { policy: "preserve-activity", now: 30 });
    expect(known).toMatchObject({ sessionStartedAt: 5, updatedAt: 9 });
    expect(mergeSessionEntryPreserveActivity(entry(), { label: "z" })).not.toHaveProperty("sessionStartedAt");
    follow("2026.4");
    expect(mergeSessionEntry(undefined, { sessionId: "a" })).not.toHaveProperty("sessionStartedAt");
  });

  const skillsSnapshot = { prompt: "p", skills: [], resolvedSkills: [{ name: "big" }] };

  it.each(BACKENDS)("resolved skills are not stored in a %s", async (backend) => {
    const { storePath, stored } = await gatewayFolder(backend, { old: entry({ skillsSnapshot }) });
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => null });
    await updateSessionStore(storePath, (store) => {
      store["a"] = entry({ skillsSnapshot: { ...skillsSnapshot } });
      store["old"]!.label = "x";
    });
    const { a, old } = await stored();
    expect([a?.skillsSnapshot, old?.skillsSnapshot]).toEqual([
      { prompt: "p", skills: [] },
      { prompt: "p", skills: [] },
    ]);
    follow("2026.4");
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => ({ skillsSnapshot }) });
    expect((await stored())["a"]?.skillsSnapshot).toEqual(skillsSnapshot);
  });

  it("a whole-store object is put in order in place", () => {
    const store = {
      a: entry({ lastChannel: "IMSG", lastTo: "5", model: " m " }),
      b: entry(),
      c: null as never,
    };
    const { b } = store;
    expect(normalizeSessionStore(store)).toBe(true);
    expect(store.a).toMatchObject({ model: "m", deliveryContext: { channel: "imessage", to: "5" } });
    expect(store.b).toBe(b);
    expect(normalizeSessionStore(store)).toBe(false);
  });

  it("an origin that is kept is a copy", () => {
    const origin = { from: "x" };
    expect(snapshotSessionOrigin({ origin })).toEqual(origin);
    expect(snapshotSessionOrigin({ origin })).not.toBe(origin);
    expect(snapshotSessionOrigin()).toBeUndefined();
  });
});

it("channels by their other names, and a WhatsApp group that says no provider", () => {
  expect(normalizeDeliveryContext({ channel: " iMsg " })).toEqual({ channel: "imessage" });
  expect(deriveSessionMetaPatch({ ctx: { Provider: "imsg" }, sessionKey: "a" })?.origin?.provider).toBe(
    "imessage",
  );
  expect(resolveGroupSessionKey({ From: "123-456@G.us" })).toEqual({
    key: "whatsapp:group:123-456@g.us",
    channel: "whatsapp",
    id: "123-456@g.us",
    chatType: "group",
  });
  expect(resolveGroupSessionKey({ From: "someone@example.org" })).toBeNull();
});

describe.each(BACKENDS)("loading a %s", (backend) => {
  const limits = {
    ...resolveMaintenanceConfigFromInput({ pruneAfter: "1d", maxEntries: 1 }),
    rotateBytes: undefined,
  };
  const sessions = {
    old: entry(),
    a: entry({ updatedAt: Date.now() }),
    b: entry({ updatedAt: Date.now() - 1000 }),
  };

  it("with maintenance leaves out what is too old or too much, and nothing is written", async () => {
    const { storePath, stored } = await gatewayFolder(backend, sessions);
    const load = (options: object) => Object.keys(loadSessionStore(storePath, options));
    expect(load({ runMaintenance: true, maintenanceConfig: limits, clone: false })).toEqual(["a"]);
    expect(load({ maintenanceConfig: limits })).toHaveLength(3);
    expect(load({ runMaintenance: true })).toHaveLength(3);
    expect(load({ runMaintenance: true, maintenanceConfig: { ...limits, mode: "warn" } })).toHaveLength(3);
    expect(Object.keys(await stored())).toHaveLength(3);
  });

  it("a result says that nothing is to be saved", async () => {
    const { storePath, stored } = await gatewayFolder(backend, { a: entry({ updatedAt: Date.now() }) });
    const change = (result: string) =>
      updateSessionStore(
        storePath,
        (store) => {
          store["a"]!.label = result;
          return result;
        },
        { skipSaveWhenResult: (given) => given === "no", maintenanceConfig: limits },
      );
    expect(await change("no")).toBe("no");
    expect((await stored())["a"]).not.toHaveProperty("label");
    expect(await change("yes")).toBe("yes");
    expect((await stored())["a"]?.label).toBe("yes");
  });
});
