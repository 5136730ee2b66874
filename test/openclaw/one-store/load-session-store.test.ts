/**
 * Goal: `loadSessionStore` and what reads beside it give a gateway what it had, on both backends, and cost nothing.
 * Method: a store written past the layer, looked at through it; copies are counted, time is compared with time.
 */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  loadSessionStore,
  loadSessionStoreSummary,
  readSessionUpdatedAt,
  resolveSessionStoreEntry,
  saveSessionStore,
  updateSessionStoreEntry,
} from "../../../src/openclaw/index.js";
import { copiedEntryCount } from "../../../src/openclaw/entry/copy.js";
import type { SessionStoreRecord } from "../../../src/openclaw/entry/session-entry.js";
import {
  BACKENDS,
  gatewayFolder,
  loaded,
  plain,
  session,
  writeElsewhere,
} from "../support/gateway-folder.js";

describe.each(BACKENDS)("loadSessionStore on a %s", (backend) => {
  it("has every session, and behaves as the object that it was", async () => {
    const sessions = { "agent:main:a": session(1, { label: "one" }), "agent:main:b": session(2) };
    const { storePath } = await gatewayFolder(backend, sessions);

    const store = loadSessionStore(storePath);

    expect(Object.keys(store)).toEqual(["agent:main:a", "agent:main:b"]);
    expect(Object.entries(store)).toEqual(Object.entries(sessions));
    expect(Object.values(store)).toEqual(Object.values(sessions));
    expect(plain(store)).toEqual(sessions);
    expect(store).toEqual(sessions);
    expect({ ...store }).toEqual(sessions);
    expect(structuredClone(store)).toEqual(sessions);
    expect(structuredClone(loadSessionStore(storePath, { skipCache: true }))).toEqual(sessions);
    expect(structuredClone(store["agent:main:a"])).toEqual(sessions["agent:main:a"]);
    expect("agent:main:a" in store).toBe(true);
    expect(Object.hasOwn(store, "agent:main:b")).toBe(true);
    expect("agent:main:c" in store).toBe(false);
    const names: string[] = [];
    for (const name in store) names.push(name);
    expect(names).toEqual(Object.keys(sessions));
    delete store["agent:main:a"];
    expect(Object.keys(store)).toEqual(["agent:main:b"]);
    expect(store["agent:main:a"]).toBeUndefined();
    store["agent:main:c"] = session(3);
    expect(Object.keys(store)).toEqual(["agent:main:b", "agent:main:c"]);
    expect(Object.assign({}, store)).toEqual({ "agent:main:b": session(2), "agent:main:c": session(3) });
  });

  it("without a clone is lazy, and the caller's own all the same", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1), b: session(2) });
    const store = loadSessionStore(storePath, { clone: false });
    store["a"]!.label = "mine";
    expect(Object.keys(store)).toEqual(["a", "b"]);
    expect(structuredClone({ ...store })["a"]?.label).toBe("mine");
    expect(loaded(storePath)["a"]).toEqual(session(1));
    await saveSessionStore(storePath, store);
    expect(loaded(storePath)["a"]?.label).toBe("mine");
  });

  it("what no session can be is refused when it is saved, with nothing written", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1) });
    for (const wrong of [{ b: 5 }, { "  ": session(1) }]) {
      const store = Object.assign(loadSessionStore(storePath), wrong);
      await expect(saveSessionStore(storePath, store as SessionStoreRecord)).rejects.toThrow(TypeError);
    }
    expect(loaded(storePath)).toEqual({ a: session(1) });
  });

  it("gives each caller an object of its own, down to the deepest part", async () => {
    const deep = session(1, { origin: { label: "x", nested: { list: [1, { two: 2 }] } } });
    const { storePath } = await gatewayFolder(backend, { a: deep });
    const first = loadSessionStore(storePath);
    const origin = first["a"]!.origin as { label: string; nested: { list: [number, { two: number }] } };
    origin.label = "changed";
    origin.nested.list[1].two = 3;
    first["a"]!.model = "changed";
    delete first["a"]!["sessionId" as string];

    expect(loaded(storePath)["a"]).toEqual(deep);
  });

  it("copies the entries that are touched, and no others", async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`agent:main:${n}`, session(n)]));
    const { storePath } = await gatewayFolder(backend, many);

    const before = copiedEntryCount();
    const store = loadSessionStore(storePath);
    expect(Object.keys(store)).toHaveLength(200);
    expect("agent:main:7" in store).toBe(true);
    expect(copiedEntryCount()).toBe(before);
    store["agent:main:7"]!.model = "x";
    store["agent:main:7"]!.label = "y";
    expect(copiedEntryCount()).toBe(before + 1);
  });

  it("does not copy a big field until that is touched", async () => {
    const prompt = "skill ".repeat(10_000);
    const skillsSnapshot = { prompt, skills: [{ name: "one" }], version: 1 };
    const { storePath } = await gatewayFolder(backend, { a: session(1, { skillsSnapshot }) });
    const store = loadSessionStore(storePath);
    const entry = store["a"]!;
    expect(Object.getOwnPropertyDescriptor(entry, "skillsSnapshot")?.get).toBeTypeOf("function");
    entry.skillsSnapshot!.version = 2;
    entry.skillsSnapshot!.skills.push({ name: "two" });
    expect(entry.skillsSnapshot).toEqual({ prompt, skills: [{ name: "one" }, { name: "two" }], version: 2 });
    expect(loaded(storePath)["a"]!.skillsSnapshot).toEqual(skillsSnapshot);
  });

  it("sees what others commit, at once", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const { storePath } = place;
    expect(loadSessionStore(storePath)["a"]?.updatedAt).toBe(1);
    for (let n = 2; n < 30; n++) {
      await writeElsewhere(place, "a", () => session(n));
      expect(loadSessionStore(storePath)["a"]?.updatedAt).toBe(n);
      expect(readSessionUpdatedAt({ storePath, sessionKey: "a" })).toBe(n);
    }
    await writeElsewhere(place, "a", () => undefined);
    expect(Object.keys(loadSessionStore(storePath))).toEqual([]);
  });

  it("is a snapshot: what comes later is not in it", async () => {
    const place = await gatewayFolder(backend, { a: session(1), b: session(1) });
    const store = loadSessionStore(place.storePath);
    await writeElsewhere(place, "a", () => session(9));
    await writeElsewhere(place, "c", () => session(9));
    expect(plain(store)).toEqual({ a: session(1), b: session(1) });
  });

  it("takes any name for a session", async () => {
    const names = ["__proto__", "constructor", "tostring", "then", "tojson", "7", "hasownproperty"];
    const { storePath } = await gatewayFolder(
      backend,
      Object.fromEntries(names.map((name, n) => [name, session(n + 1)])),
    );
    const store = loadSessionStore(storePath);
    expect(new Set(Object.keys(store))).toEqual(new Set(names));
    for (const [n, name] of names.entries()) expect(store[name]?.updatedAt).toBe(n + 1);
    expect(loadSessionStore(storePath)["valueof"]).toBeUndefined();
    await updateSessionStoreEntry({ storePath, sessionKey: "__proto__", update: () => ({ label: "x" }) });
    expect(loadSessionStore(storePath)["__proto__"]?.label).toBe("x");
    expect(({} as { label?: string }).label).toBeUndefined();
  });

  it("reads old field names by their new ones", async () => {
    const { storePath } = await gatewayFolder(backend, {
      a: session(1, { provider: "telegram", lastProvider: "telegram", lastTo: "1", room: "#general" }),
      b: session(1, { channel: "slack", provider: "openai", groupChannel: "#x", room: "#y" }),
    });
    const { a, b } = loaded(storePath);
    expect(a).toMatchObject({ channel: "telegram", lastChannel: "telegram", groupChannel: "#general" });
    expect(a).not.toHaveProperty("provider");
    expect(a).not.toHaveProperty("lastProvider");
    expect(a).not.toHaveProperty("room");
    expect(b).toMatchObject({ channel: "slack", provider: "openai", groupChannel: "#x" });
    expect(b).not.toHaveProperty("room");
  });

  it("brings both notations of the route together", async () => {
    const { storePath } = await gatewayFolder(backend, {
      older: session(1, {
        lastChannel: " Telegram ",
        lastTo: "5",
        lastAccountId: "Bot 1",
        lastThreadId: 7.9,
      }),
      newer: session(1, { deliveryContext: { channel: "slack", to: "C1", threadId: "17.1" } }),
      both: session(1, {
        lastChannel: "slack",
        lastTo: "C2",
        deliveryContext: { channel: "telegram", to: "5" },
      }),
      model: session(1, { model: " gpt ", modelProvider: " " }),
    });
    const store = loaded(storePath);
    expect(store["older"]).toMatchObject({
      lastChannel: "telegram",
      lastAccountId: "bot-1",
      lastThreadId: 7,
      deliveryContext: { channel: "telegram", to: "5", accountId: "bot-1", threadId: 7 },
    });
    expect(store["newer"]).toMatchObject({ lastChannel: "slack", lastTo: "C1", lastThreadId: "17.1" });
    expect(store["both"]?.deliveryContext).toEqual({ channel: "slack", to: "C2" });
    expect(store["model"]).toEqual(session(1, { model: "gpt" }));
  });

  it("merges the cases of a key by the newest updatedAt", async () => {
    const { storePath } = await gatewayFolder(backend, {
      "agent:main:x": session(5, { label: "canonical" }),
      "Agent:Main:X": session(9, { label: "newest" }),
      " agent:MAIN:x ": session(7, { label: "between" }),
      "agent:main:Only": session(3),
      "agent:main:same": session(4, { label: "canonical" }),
      "agent:main:SAME": session(4, { label: "other" }),
    });
    const store = loadSessionStore(storePath);
    expect(Object.keys(store).sort()).toEqual(["agent:main:only", "agent:main:same", "agent:main:x"]);
    expect(store["agent:main:x"]?.label).toBe("newest");
    expect(store["agent:main:same"]?.label).toBe("canonical");
    const only = resolveSessionStoreEntry({ store, sessionKey: "AGENT:main:ONLY" });
    expect(only.existing?.updatedAt).toBe(3);
    for (const key of ["AGENT:main:ONLY", "agent:main:Only"])
      expect([store[key], key in store, Object.hasOwn(store, key)]).toEqual([undefined, false, false]);
    expect(resolveSessionStoreEntry({ store, sessionKey: " Agent:MAIN:X" })).toEqual({
      normalizedKey: "agent:main:x",
      existing: store["agent:main:x"],
      legacyKeys: [],
    });
    expect(readSessionUpdatedAt({ storePath, sessionKey: "agent:main:X" })).toBe(9);
  });

  it("answers best effort where that is promised", async () => {
    const { storePath } = await gatewayFolder(backend, {
      a: session(5, { lastChannel: "slack", lastTo: "C" }),
    });
    expect(readSessionUpdatedAt({ storePath, sessionKey: " A " })).toBe(5);
    expect(readSessionUpdatedAt({ storePath, sessionKey: "  " })).toBeUndefined();
    expect(readSessionUpdatedAt({ storePath, sessionKey: "b" })).toBeUndefined();
    expect(readSessionUpdatedAt({ storePath: "/dev/null/x.json", sessionKey: "a" })).toBeUndefined();
    expect(plain(loadSessionStoreSummary(storePath))).toEqual({
      a: { lastChannel: "slack", lastTo: "C", updatedAt: 5 },
    });
    expect(plain(loadSessionStoreSummary("/dev/null/x.json"))).toEqual({});
  });

  it("knows a store by its real path", async () => {
    const { folder, storePath } = await gatewayFolder(backend, { a: session(1) });
    symlinkSync(folder, join(folder, "alias"));
    mkdirSync(join(folder, "other"));
    symlinkSync(storePath, join(folder, "other", "sessions.json")); // dangles once the store is a directory
    for (const path of [join(folder, "alias", "sessions.json"), join(folder, "other", "sessions.json")]) {
      await updateSessionStoreEntry({ storePath: path, sessionKey: "a", update: () => ({ label: path }) });
      expect(loadSessionStore(storePath)["a"]?.label).toBe(path);
    }
  });
});

describe("a store that is not there", () => {
  it("has no sessions, and becomes a sessions.json with the first one", async () => {
    const { folder } = await gatewayFolder("legacy file");
    const storePath = join(folder, "agents", "new", "sessions.json");
    expect(plain(loadSessionStore(storePath))).toEqual({});
    await saveSessionStore(storePath, { a: session(1) });
    expect(loaded(storePath)).toEqual({ a: session(1) });
  });
});

describe("a sessions.json that cannot be understood", () => {
  it.each([
    ["", /is empty/],
    ['{"a": {"sessionId":', /cannot be read/],
    ["[]", /not an object of sessions/],
  ])("is an error and stays as it is: %j", async (text, message) => {
    const { storePath } = await gatewayFolder("legacy file");
    writeFileSync(storePath, text);
    expect(() => loadSessionStore(storePath)).toThrow(message);
    await expect(saveSessionStore(storePath, { a: session(1) })).rejects.toMatchObject({
      code: "legacy_invalid",
      data: { path: storePath },
    });
    const { readFileSync } = await import("node:fs");
    expect(readFileSync(storePath, "utf8")).toBe(text);
  });

  it("keeps what is no session", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1), broken: null, list: [1], n: 5 });
    expect(Object.keys(loadSessionStore(place.storePath))).toEqual(["a"]);
    await updateSessionStoreEntry({
      storePath: place.storePath,
      sessionKey: "a",
      update: () => ({ label: "x" }),
    });
    expect(await place.stored()).toMatchObject({ broken: null, list: [1], n: 5, a: { label: "x" } });
  });
});

describe("resolveSessionStoreEntry on an object of the caller's own", () => {
  it("finds the newest of all cases, and names the others", () => {
    const store: SessionStoreRecord = { A: session(2), a: session(1), " a": session(3), b: session(9) };
    expect(resolveSessionStoreEntry({ store, sessionKey: "A" })).toEqual({
      normalizedKey: "a",
      existing: session(3),
      legacyKeys: ["A", " a"],
    });
  });
});
