/**
 * Goal: the functions that change one session keep what gateways rely on: routes, activity, metadata, cases of keys.
 * Method: a store written and read past the layer, on both backends.
 */
import { describe, expect, it } from "vitest";
import {
  recordSessionMetaFromInbound,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
} from "../../../src/openclaw/index.js";
import { copiedEntryCount } from "../../../src/openclaw/entry/copy.js";
import type { SessionAcpMeta, SessionEntry } from "../../../src/openclaw/entry/session-entry.js";
import { BACKENDS, gatewayFolder, loaded, session, writeElsewhere } from "../support/gateway-folder.js";

const FUTURE = 9_000_000_000_000;

describe.each(BACKENDS)("updateSessionStoreEntry on a %s", (backend) => {
  it("patches fields and says when the session was used", async () => {
    const place = await gatewayFolder(backend, {
      a: session(1, { label: "x", model: "m", modelProvider: "p" }),
      b: session(1),
    });
    const before = Date.now();
    const entry = await updateSessionStoreEntry({
      storePath: place.storePath,
      sessionKey: " A ",
      update: async ({ label }) => ({ label: `${label}y`, thinkingLevel: "high" }),
    });
    expect(entry).toMatchObject({ label: "xy", thinkingLevel: "high", model: "m", modelProvider: "p" });
    expect(entry!.updatedAt).toBeGreaterThanOrEqual(before);
    expect(await place.stored()).toEqual({ a: entry, b: session(1) });
  });

  it("removes a field that is undefined, and a provider that belongs to another model", async () => {
    const { storePath } = await gatewayFolder(backend, {
      a: session(1, { label: "x", model: "m", modelProvider: "p" }),
    });
    const update = (): Partial<SessionEntry> =>
      ({ label: undefined, model: "other" }) as unknown as Partial<SessionEntry>;
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update });
    const { a } = loaded(storePath);
    expect(a).toMatchObject({ model: "other" });
    expect(a).not.toHaveProperty("label");
    expect(a).not.toHaveProperty("modelProvider");
  });

  it("does not let updatedAt go back", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(FUTURE) });
    await updateSessionStoreEntry({
      storePath,
      sessionKey: "a",
      update: () => ({ updatedAt: 5, label: "x" }),
    });
    expect(loaded(storePath)["a"]).toEqual({ ...session(FUTURE), label: "x" });
  });

  it("writes nothing for null, and nothing for a session that is not there", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const before = await place.version();
    const { storePath } = place;
    expect(await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => null })).toEqual(
      session(1),
    );
    expect(await updateSessionStoreEntry({ storePath, sessionKey: "b", update: () => ({}) })).toBeNull();
    expect(await place.version()).toBe(before);
  });

  it("gives the function a copy, and the caller another one", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1, { origin: { label: "x" } }) });
    const entry = await updateSessionStoreEntry({
      storePath,
      sessionKey: "a",
      update: (entry) => {
        entry.origin!.label = "mine";
        return { label: "y" };
      },
    });
    entry!.origin!.label = "mine";
    expect(loaded(storePath)["a"]).toMatchObject({ label: "y", origin: { label: "x" } });
  });

  it("touches one session", async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`s${n}`, session(n)]));
    const { storePath } = await gatewayFolder(backend, many);
    const before = copiedEntryCount();
    await updateSessionStoreEntry({ storePath, sessionKey: "s7", update: () => ({ label: "x" }) });
    expect(copiedEntryCount() - before).toBeLessThanOrEqual(3);
  });

  it("loses no update of many at once", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1, { totalTokens: 0 }) });
    await Promise.all(
      Array.from({ length: 25 }, () =>
        updateSessionStoreEntry({
          storePath,
          sessionKey: "a",
          update: async ({ totalTokens }) => ({ totalTokens: totalTokens! + 1 }),
        }),
      ),
    );
    expect(loaded(storePath)["a"]?.totalTokens).toBe(25);
  });

  it("merges the cases of a key into one session", async () => {
    const place = await gatewayFolder(backend, {
      "agent:main:x": session(5, { label: "old" }),
      "Agent:Main:X": session(9, { label: "new" }),
    });
    const { storePath } = place;
    await updateSessionStoreEntry({ storePath, sessionKey: "agent:main:X", update: () => ({ model: "m" }) });
    const stored = await place.stored();
    expect(Object.keys(stored)).toEqual(["agent:main:x"]);
    expect(stored["agent:main:x"]).toMatchObject({ sessionId: "id-9", label: "new", model: "m" });
  });

  it("keeps ACP metadata", async () => {
    const acp = { backend: "acpx" } as SessionAcpMeta;
    const { storePath } = await gatewayFolder(backend, { a: session(1, { acp }) });
    const update = (): Partial<SessionEntry> => ({ acp: undefined }) as unknown as Partial<SessionEntry>;
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update });
    expect(loaded(storePath)["a"]?.acp).toEqual(acp);
  });

  it("refuses a blank key", async () => {
    const { storePath } = await gatewayFolder(backend);
    await expect(updateSessionStoreEntry({ storePath, sessionKey: " ", update: () => ({}) })).rejects.toThrow(
      TypeError,
    );
    await expect(updateLastRoute({ storePath, sessionKey: "" })).rejects.toThrow(TypeError);
  });

  it("writes nothing when the function throws, and goes on afterwards", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const before = await place.version();
    const update = async (): Promise<never> => Promise.reject(new Error("no"));
    const { storePath } = place;
    await expect(updateSessionStoreEntry({ storePath, sessionKey: "a", update })).rejects.toThrow("no");
    expect(await place.version()).toBe(before);
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => ({ label: "x" }) });
    expect(loaded(storePath)["a"]?.label).toBe("x");
  });
});

describe.each(BACKENDS)("updateLastRoute on a %s", (backend) => {
  it("makes a session, and notes where replies go in both notations", async () => {
    const { storePath } = await gatewayFolder(backend);
    const entry = await updateLastRoute({
      storePath,
      sessionKey: "Agent:Main:New",
      channel: " Telegram ",
      to: " 5 ",
      accountId: "Bot",
      threadId: 7,
    });
    expect(entry.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(loaded(storePath)).toEqual({ "agent:main:new": entry });
    expect(entry).toMatchObject({
      lastChannel: "telegram",
      lastTo: "5",
      lastAccountId: "bot",
      lastThreadId: 7,
      deliveryContext: { channel: "telegram", to: "5", accountId: "bot", threadId: 7 },
    });
  });

  it("does not refresh activity", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(5) });
    await updateLastRoute({ storePath, sessionKey: "a", channel: "telegram", to: "5" });
    expect(loaded(storePath)["a"]?.updatedAt).toBe(5);
  });

  it("clears the thread for a new route without one; a session that began in a thread is in it again", async () => {
    const { storePath } = await gatewayFolder(backend, {
      a: session(1, {
        lastChannel: "slack",
        lastTo: "C1",
        lastThreadId: "17.1",
        lastAccountId: "one",
        deliveryContext: { channel: "slack", to: "C1", threadId: "17.1", accountId: "one" },
      }),
      began: session(1, {
        lastChannel: "slack",
        lastTo: "C1",
        lastThreadId: "2",
        origin: { threadId: "17.1" },
      }),
    });
    for (const sessionKey of ["a", "began"]) {
      const entry = await updateLastRoute({ storePath, sessionKey, channel: "slack", to: "C1" });
      expect(entry.lastThreadId).toBe(sessionKey === "a" ? undefined : "17.1");
    }
    const { a, began } = loaded(storePath);
    expect(a!.deliveryContext).toEqual({ channel: "slack", to: "C1", accountId: "one" });
    expect(a).not.toHaveProperty("lastThreadId");
    expect(began!.deliveryContext).toEqual({ channel: "slack", to: "C1", threadId: "17.1" });
  });

  it("makes no session that was not to be made", async () => {
    const { storePath, stored } = await gatewayFolder(backend, { a: session(1) });
    const route = { channel: "slack", to: "C1" };
    expect(
      await updateLastRoute({ storePath, sessionKey: "b", ...route, createIfMissing: false }),
    ).toBeNull();
    expect(Object.keys(await stored())).toEqual(["a"]);
    expect(
      await updateLastRoute({ storePath, sessionKey: "a", ...route, createIfMissing: false }),
    ).toMatchObject({
      lastTo: "C1",
    });
    expect(await updateLastRoute({ storePath, sessionKey: "b", ...route })).toMatchObject({ lastTo: "C1" });
  });

  it("keeps what is not given for the same channel, and drops it for another", async () => {
    const route = { channel: "slack", to: "C1", accountId: "one", threadId: "1" };
    const { storePath } = await gatewayFolder(backend, {
      same: session(1, { deliveryContext: route }),
      other: session(1, { deliveryContext: route }),
      none: session(1, { deliveryContext: route }),
    });
    await updateLastRoute({ storePath, sessionKey: "same", to: "C2" });
    await updateLastRoute({ storePath, sessionKey: "other", channel: "telegram", to: "5" });
    await updateLastRoute({ storePath, sessionKey: "none", deliveryContext: { threadId: "2" } });
    const { same, other, none } = loaded(storePath);
    expect(same!.deliveryContext).toEqual({ channel: "slack", to: "C2", accountId: "one" });
    expect(other!.deliveryContext).toEqual({ channel: "telegram", to: "5" });
    expect(none!.deliveryContext).toEqual({ ...route, threadId: "2" });
  });

  it("lets the delivery context win over the single fields", async () => {
    const { storePath } = await gatewayFolder(backend);
    const deliveryContext = { channel: "slack", to: "C1" };
    await updateLastRoute({
      storePath,
      sessionKey: "a",
      deliveryContext,
      channel: "slack",
      to: "C2",
      threadId: "9",
    });
    expect(loaded(storePath)["a"]?.deliveryContext).toEqual({ channel: "slack", to: "C1", threadId: "9" });
  });

  it("writes nothing if all of it is known", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const route = { storePath: place.storePath, sessionKey: "a", channel: "telegram", to: "5" };
    await updateLastRoute(route);
    const before = await place.version();
    await updateLastRoute(route);
    expect(await place.version()).toBe(before);
  });
});

describe.each(BACKENDS)("recordSessionMetaFromInbound on a %s", (backend) => {
  it("notes origin and group, and does not refresh activity", async () => {
    const { storePath } = await gatewayFolder(backend, {
      a: session(5, { origin: { label: "old", to: "me" } }),
    });
    const entry = await recordSessionMetaFromInbound({
      storePath,
      sessionKey: "A",
      ctx: {
        From: "discord:channel:123",
        Provider: "Discord",
        ChatType: "channel",
        GroupChannel: "#general",
        GroupSpace: "Guild",
        AccountId: "bot",
      },
    });
    expect(entry).toEqual({
      ...session(5),
      chatType: "channel",
      channel: "discord",
      groupId: "123",
      groupChannel: "#general",
      space: "Guild",
      displayName: "discord:guild#general",
      origin: {
        label: "#general",
        to: "me",
        provider: "discord",
        chatType: "channel",
        from: "discord:channel:123",
        accountId: "bot",
      },
      lastChannel: "discord",
      deliveryContext: { channel: "discord" },
    });
    expect(loaded(storePath)["a"]).toEqual(entry);
  });

  it("makes a session unless told not to, and leaves everything where a message says nothing", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(5) });
    const ctx = { From: "123", SenderName: "James", ChatType: "dm", Provider: "whatsapp" };
    const none = { storePath, sessionKey: "b", ctx, createIfMissing: false };
    expect(await recordSessionMetaFromInbound(none)).toBeNull();
    expect(await recordSessionMetaFromInbound({ storePath, sessionKey: "c", ctx: {} })).toBeNull();
    expect(await recordSessionMetaFromInbound({ storePath, sessionKey: "a", ctx: {} })).toEqual(session(5));
    const made = await recordSessionMetaFromInbound({ storePath, sessionKey: "b", ctx });
    expect(made).toMatchObject({
      origin: { label: "James", provider: "whatsapp", chatType: "direct", from: "123" },
    });
    expect(Object.keys(loaded(storePath))).toEqual(["a", "b"]);
  });
});

describe("an update of one session that somebody overtakes", () => {
  it("runs again on the fresh entry", async () => {
    const place = await gatewayFolder("directory", { a: session(1, { totalTokens: 1 }) });
    let runs = 0;
    await updateSessionStoreEntry({
      storePath: place.storePath,
      sessionKey: "a",
      update: async ({ totalTokens }) => {
        if (++runs === 1) await writeElsewhere(place, "a", () => session(1, { totalTokens: 10 }));
        return { totalTokens: totalTokens! + 1 };
      },
    });
    expect([runs, loaded(place.storePath)["a"]?.totalTokens]).toEqual([2, 11]);
  });

  it("finds cases of a key that another tool stored, before its first write and after a look at all", async () => {
    const place = await gatewayFolder("directory", { Early: session(5, { label: "early" }) });
    const { storePath } = place;
    await updateLastRoute({ storePath, sessionKey: "early", channel: "slack", to: "C" });
    expect(loaded(storePath)["early"]).toMatchObject({ sessionId: "id-5", label: "early" });
    await writeElsewhere(place, "Late", () => session(6));
    await updateSessionStore(storePath, (store) => Object.keys(store));
    await updateLastRoute({ storePath, sessionKey: "late", channel: "slack", to: "C" });
    expect(loaded(storePath)["late"]?.sessionId).toBe("id-6");
    expect(Object.keys(await place.stored())).toEqual(["early", "late"]);
  });
});
