/**
 * Goal: `updateSessionStore` and `saveSessionStore` write exactly what was changed, never lose what others wrote, and keep what
 * gateways rely on, on both backends.
 * Method: a store written and read past the layer; writes by others are put between the steps of a mutator.
 */
import { describe, expect, it, vi } from "vitest";
import { openDirectoryStore } from "../../../src/store/open.js";
import {
  loadSessionStore,
  resolveSessionStoreEntry,
  saveSessionStore,
  updateSessionStore,
} from "../../../src/openclaw/index.js";
import { StoreSnapshot } from "../../../src/openclaw/backend/snapshot.js";
import { copiedEntryCount } from "../../../src/openclaw/entry/copy.js";
import type { SessionAcpMeta, SessionEntry } from "../../../src/openclaw/entry/session-entry.js";
import {
  BACKENDS,
  gatewayFolder,
  loaded,
  plain,
  session,
  writeElsewhere,
} from "../support/gateway-folder.js";

const ACP: SessionAcpMeta = {
  backend: "acpx",
  agent: "codex",
  runtimeSessionName: "one",
  mode: "persistent",
  state: "idle",
  lastActivityAt: 1,
};

describe.each(BACKENDS)("updateSessionStore on a %s", (backend) => {
  it("sets, changes and removes, and returns what the mutator returned", async () => {
    const place = await gatewayFolder(backend, { a: session(1), b: session(2), c: session(3) });
    const result = await updateSessionStore(place.storePath, (store) => {
      store["a"]!.label = "changed";
      delete store["b"];
      store["new"] = session(4, { label: "new" });
      return Object.keys(store);
    });
    expect(result).toEqual(["a", "c", "new"]);
    expect(await place.stored()).toEqual({
      a: session(1, { label: "changed" }),
      c: session(3),
      new: session(4, { label: "new" }),
    });
  });

  it("writes nothing when nothing was changed", async () => {
    const skillsSnapshot = { prompt: "x".repeat(10_000), skills: [] };
    const place = await gatewayFolder(backend, {
      a: session(1, { label: "x", skillsSnapshot }),
      B: session(1),
    });
    const before = await place.version();
    await updateSessionStore(place.storePath, () => {});
    await updateSessionStore(place.storePath, (store) => Object.entries(store).length);
    await updateSessionStore(place.storePath, (store) => {
      store["a"]!.label = "y";
      store["a"]!.label = "x";
      store["a"] = { ...store["a"]!, model: undefined as unknown as string };
      store["gone"] = session(1);
      delete store["gone"];
      delete store["never"];
    });
    await updateSessionStore(place.storePath, (store) => {
      store["a"] = structuredClone(store["a"]!);
    });
    await saveSessionStore(place.storePath, loadSessionStore(place.storePath));
    expect(await place.version()).toBe(before);
  });

  it("writes the fields that were changed, and leaves those that others changed", async () => {
    const place = await gatewayFolder(backend, { a: session(1, { model: "old", label: "old" }) });
    const stale = loadSessionStore(place.storePath);
    await writeElsewhere(place, "a", (entry) => ({ ...entry!, model: "theirs" }));
    await writeElsewhere(place, "b", () => session(2));
    stale["a"]!.label = "ours";
    await saveSessionStore(place.storePath, stale);
    expect(await place.stored()).toEqual({
      a: session(1, { model: "theirs", label: "ours" }),
      b: session(2),
    });
  });

  it("shows the mutator every commit that was made before it began", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    loadSessionStore(place.storePath);
    for (let n = 2; n < 12; n++) {
      await writeElsewhere(place, "a", () => session(n));
      expect(await updateSessionStore(place.storePath, (store) => store["a"]?.updatedAt)).toBe(n);
    }
  });

  it("copies the entry that is touched, and no other", async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`agent:main:${n}`, session(n)]));
    const { storePath } = await gatewayFolder(backend, many);
    const before = copiedEntryCount();
    await updateSessionStore(storePath, (store) => {
      const { existing } = resolveSessionStoreEntry({ store, sessionKey: "Agent:Main:7" });
      existing!.label = "x";
    });
    expect(copiedEntryCount()).toBe(before + 1);
  });

  it("lets a mutator be asynchronous, and the mutators of one process take turns", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(1, { totalTokens: 0 }) });
    let running = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        updateSessionStore(storePath, async (store) => {
          expect(++running).toBe(1);
          const tokens = store["a"]!.totalTokens!;
          await new Promise((resolve) => setImmediate(resolve));
          store["a"]!.totalTokens = tokens + 1;
          running--;
        }),
      ),
    );
    expect(loaded(storePath)["a"]?.totalTokens).toBe(20);
  });

  it("writes nothing when the mutator throws", async () => {
    const place = await gatewayFolder(backend, { a: session(1) });
    const before = await place.version();
    await expect(
      updateSessionStore(place.storePath, (store) => {
        store["a"]!.label = "x";
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await place.version()).toBe(before);
    await updateSessionStore(place.storePath, (store) => void (store["a"]!.label = "y"));
    expect(loaded(place.storePath)["a"]?.label).toBe("y");
  });

  it("removes the other cases of a key when the session is written", async () => {
    const place = await gatewayFolder(backend, {
      "agent:main:x": session(5, { label: "old" }),
      "Agent:Main:X": session(9, { label: "new" }),
      "agent:MAIN:y": session(1),
      "Untouched:Z": session(1),
    });
    await updateSessionStore(place.storePath, (store) => {
      store["agent:main:x"]!.model = "m";
      delete store["agent:main:X"]; // tidying up the other cases is not removing the session
      delete store["agent:main:y"];
    });
    expect(await place.stored()).toEqual({
      "agent:main:x": session(9, { label: "new", model: "m" }),
      "Untouched:Z": session(1),
    });
  });

  it("keeps ACP metadata unless dropping it was allowed", async () => {
    const place = await gatewayFolder(backend, { a: session(1, { acp: ACP }), b: session(1, { acp: ACP }) });
    await updateSessionStore(
      place.storePath,
      (store) => {
        store["a"] = session(2, { label: "replaced" });
        store["b"] = session(2, { label: "replaced" });
      },
      { allowDropAcpMetaSessionKeys: [" B "] },
    );
    expect(await place.stored()).toEqual({
      a: session(2, { label: "replaced", acp: ACP }),
      b: session(2, { label: "replaced" }),
    });
    await updateSessionStore(place.storePath, (store) => void delete store["a"]);
    expect(Object.keys(await place.stored())).toEqual(["b"]);
  });

  it("does not let updatedAt go back", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(100), b: session(1) });
    await updateSessionStore(storePath, (store) => {
      store["a"] = { ...store["a"]!, updatedAt: 50, label: "x" };
      store["b"]!.updatedAt = 7;
    });
    expect(loaded(storePath)).toEqual({
      a: { ...session(100), label: "x" },
      b: { ...session(1), updatedAt: 7 },
    });
  });

  it("writes old field names and routes in order with the next change of the session, not before", async () => {
    const old = session(1, { provider: "telegram", lastProvider: "telegram", lastTo: "5" });
    const place = await gatewayFolder(backend, { a: old, b: old });
    await updateSessionStore(place.storePath, (store) => void (store["a"]!.label = "x"));
    const { a, b } = await place.stored();
    expect(b).toEqual(old);
    expect(a).toEqual({
      ...session(1, { channel: "telegram", lastChannel: "telegram", lastTo: "5", label: "x" }),
      deliveryContext: { channel: "telegram", to: "5" },
    });
  });

  it("takes undefined and null as removal, and renames", async () => {
    const place = await gatewayFolder(backend, {
      a: session(1, { label: "x" }),
      b: session(1),
      c: session(1),
    });
    await updateSessionStore(place.storePath, (store) => {
      store["renamed"] = store["a"]!;
      delete store["a"];
      store["b"] = undefined as unknown as SessionEntry;
      store["c"] = null as unknown as SessionEntry;
    });
    expect(await place.stored()).toEqual({ renamed: session(1, { label: "x" }) });
  });

  it("folds the keys that a mutator assigns", async () => {
    const place = await gatewayFolder(backend);
    await updateSessionStore(place.storePath, (store) => {
      store[" Agent:Main:NEW "] = session(1);
      expect(store["agent:main:new"]).toBeUndefined();
      store[" Agent:Main:NEW "].label = "x";
    });
    expect(await place.stored()).toEqual({ "agent:main:new": session(1, { label: "x" }) });
  });
});

describe.each(BACKENDS)("updatedAt on a %s", (backend) => {
  it("stays when it comes earlier, or not at all, and is 0 when a mutator says so", async () => {
    const { storePath } = await gatewayFolder(backend, { a: session(9), b: session(9), c: session(9) });
    await updateSessionStore(storePath, (store) => {
      store["a"]!.updatedAt = 5;
      store["b"] = { sessionId: "b" } as SessionEntry;
      store["c"]!.updatedAt = 0;
    });
    const { a, b, c } = loaded(storePath);
    expect([a?.updatedAt, b?.updatedAt, c?.updatedAt]).toEqual([9, 9, 0]);
    const store = loadSessionStore(storePath);
    store["a"]!.updatedAt = 0;
    await saveSessionStore(storePath, store);
    expect(loaded(storePath)["a"]?.updatedAt).toBe(0);
  });
});

describe.each(BACKENDS)("saveSessionStore on a %s", (backend) => {
  it("takes an object of the caller's own as the whole store", async () => {
    const place = await gatewayFolder(backend, { a: session(9, { label: "x", acp: ACP }), b: session(2) });
    await saveSessionStore(place.storePath, { a: session(5), C: session(3), c: session(4) });
    expect(loaded(place.storePath)).toEqual({ a: session(5), c: session(4) });
  });

  it("writes only what differs", async () => {
    const place = await gatewayFolder(backend, { a: session(1), b: session(2) });
    const before = await place.version();
    await saveSessionStore(place.storePath, { a: session(1), b: session(2) });
    expect(await place.version()).toBe(before);
  });

  it("brings in what was changed in a loaded object, deletions and new sessions included", async () => {
    const place = await gatewayFolder(backend, { a: session(1), b: session(2), c: session(3) });
    const store = loadSessionStore(place.storePath);
    delete store["a"];
    store["d"] = session(4);
    store["b"]!.label = "x";
    await writeElsewhere(place, "b", () => undefined);
    await writeElsewhere(place, "e", () => session(5));
    await saveSessionStore(place.storePath, store);
    expect(await place.stored()).toEqual({
      b: session(2, { label: "x" }),
      c: session(3),
      d: session(4),
      e: session(5),
    });
  });
});

describe("a mutator that somebody overtakes", () => {
  it("runs again on the fresh state, for entries that it read and entries that it wrote", async () => {
    const place = await gatewayFolder("directory", { a: session(1), b: session(1, { totalTokens: 1 }) });
    const seen: unknown[] = [];
    await updateSessionStore(place.storePath, async (store) => {
      const tokens = store["b"]?.totalTokens;
      seen.push(tokens);
      if (seen.length === 1) await writeElsewhere(place, "b", () => session(1, { totalTokens: 5 }));
      store["a"]!.totalTokens = tokens!;
    });
    expect(seen).toEqual([1, 5]);
    expect(loaded(place.storePath)["a"]?.totalTokens).toBe(5);
  });

  it("runs again for a session that was made or removed meanwhile", async () => {
    const place = await gatewayFolder("directory", { b: session(1) });
    const seen: string[][] = [];
    await updateSessionStore(place.storePath, async (store) => {
      seen.push(["a", "b"].filter((key) => key in store));
      if (seen.length === 1) {
        await writeElsewhere(place, "a", () => session(1, { label: "theirs" }));
        await writeElsewhere(place, "b", () => undefined);
      }
      if (!("a" in store)) store["a"] = session(2, { label: "ours" });
      store["c"] = session(3);
    });
    expect(seen).toEqual([["b"], ["a"]]);
    expect(loaded(place.storePath)).toEqual({ a: session(1, { label: "theirs" }), c: session(3) });
  });

  it("does not run again for entries that it did not touch", async () => {
    const place = await gatewayFolder("directory", { a: session(1), b: session(1) });
    let runs = 0;
    await updateSessionStore(place.storePath, async (store) => {
      runs++;
      Object.keys(store);
      store["a"]!.label = "x";
      await writeElsewhere(place, "b", () => session(2));
    });
    expect(runs).toBe(1);
    expect(loaded(place.storePath)["b"]).toEqual(session(2));
  });

  it("gives up with a typed error when somebody is always faster", async () => {
    const { storePath } = await gatewayFolder("directory", { a: session(1) });
    await using other = await openDirectoryStore<SessionEntry>(storePath, { durability: "os" });
    let runs = 0;
    const never = updateSessionStore(storePath, async (store) => {
      const entry = store["a"]!;
      await other.put("a", session(10 + ++runs));
      entry.label = "x";
    });
    await expect(never).rejects.toMatchObject({ code: "conflict", data: { key: "a" } });
    expect(runs).toBe(100);
  });

  it("returns a result of one instant, even if nothing is written", async () => {
    const { storePath } = await gatewayFolder("directory", { a: session(1), b: session(1), c: session(1) });
    await using other = await openDirectoryStore<SessionEntry>(storePath, { durability: "os" });
    let runs = 0;
    const read = await updateSessionStore(storePath, async (store) => {
      const a = store["a"]!.updatedAt;
      if (++runs === 1) {
        await other.transact(async (tx) => {
          await tx.put("a", session(2));
          await tx.put("b", session(2));
        });
      }
      return [a, store["b"]!.updatedAt];
    });
    expect([runs, read]).toEqual([2, [2, 2]]);
  });

  it("reads one session for one session, however many there are", async () => {
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`s${n}`, session(n)]));
    const place = await gatewayFolder("directory", many);
    await updateSessionStore(place.storePath, (store) => void (store["s1"]!.label = "x"));
    await writeElsewhere(place, "s2", () => session(5000));
    const list = vi.spyOn(StoreSnapshot.prototype, "keys");
    await updateSessionStore(
      place.storePath,
      (store) => void (store["s1"]!.label = `y${store["s2"]!.updatedAt}`),
    );
    expect(list).not.toHaveBeenCalled();
    list.mockRestore();
    expect(loaded(place.storePath)["s1"]?.label).toBe("y5000");
  });

  it("compares more entries than fit into one record", async () => {
    const many = Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`s${n}`, session(n)]));
    const place = await gatewayFolder("directory", { ...many, sum: session(1) });
    let runs = 0;
    await updateSessionStore(place.storePath, async (store) => {
      runs++;
      const sum = Object.values(store).reduce((total, { totalTokens = 0 }) => total + totalTokens, 0);
      if (runs === 1) await writeElsewhere(place, "s650", () => session(650, { totalTokens: 3 }));
      store["sum"]!.contextTokens = sum;
    });
    expect(runs).toBe(2);
    expect(loaded(place.storePath)["sum"]?.contextTokens).toBe(3);
    expect(plain(loadSessionStore(place.storePath))).toHaveProperty("s699");
  });
});

// Each of these has no keys, and the whole store would have been removed for it.
it.each([[new Map()], [[]], [Promise.resolve({})], [null], [undefined]])(
  "saveSessionStore(%o) is a wrong argument and removes nothing",
  async (wrong) => {
    const place = await gatewayFolder(BACKENDS[0], { a: session(1) });
    await expect(saveSessionStore(place.storePath, wrong as never)).rejects.toThrow(TypeError);
    expect(await place.stored()).toEqual({ a: session(1) });
  },
);
