/**
 * Goal: a session that cannot be read costs only itself, in every function, and there is a way out: replace it or delete it.
 * Method: in a directory the file of a checkpointed session is overwritten; in a legacy file a member is no object.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import {
  closeSessionStores,
  configureSessionMaintenance,
  configureSessionStores,
  loadSessionStore,
  loadSessionStoreSummary,
  readSessionUpdatedAt,
  recordSessionMetaFromInbound,
  saveSessionStore,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
} from "../../src/openclaw/index.js";
import { encodeDirectorySessionStoreKey } from "../../src/openclaw/directory/folder-names.js";
import { openDirectoryStore } from "../../src/store/open.js";
import {
  BACKENDS,
  gatewayFolder,
  loaded,
  session,
  type BackendKind,
  type GatewayFolder,
} from "./support/gateway-folder.js";

const BAD = "agent:main:bad";

interface Place extends GatewayFolder {
  readonly warnings: string[];
}

async function damaged(backend: BackendKind): Promise<Place> {
  const sessions = { a: session(1), [BAD]: session(2), z: session(3) };
  const place = await gatewayFolder(
    backend,
    backend === "directory" ? sessions : { ...sessions, [BAD]: "damaged" },
  );
  const warnings: string[] = [];
  configureSessionStores({ onWarning: ({ message }) => warnings.push(message) });
  if (backend === "directory") {
    const store = await openDirectoryStore(place.storePath, { durability: "os" });
    await store.checkpoint();
    await store.close();
    const file = join(place.folder, "sessions.d", encodeDirectorySessionStoreKey(BAD), "meta.json");
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, "damaged");
  }
  return { ...place, warnings };
}

const corrupt = expect.objectContaining({
  code: "entry_corrupt",
  data: expect.objectContaining({ key: BAD }) as object,
});

describe.each(BACKENDS)("a damaged session on a %s", (backend) => {
  it("is missing from what is loaded, and a warning names it; the others are there", async () => {
    const { storePath, warnings } = await damaged(backend);
    expect(loaded(storePath)).toEqual({ a: session(1), z: session(3) });
    expect(Object.keys(loadSessionStoreSummary(storePath))).toEqual(["a", "z"]);
    expect(readSessionUpdatedAt({ storePath, sessionKey: BAD })).toBeUndefined();
    expect(readSessionUpdatedAt({ storePath, sessionKey: "z" })).toBe(3);
    loadSessionStore(storePath, { skipCache: true });
    await vi.waitFor(() => expect(warnings).toEqual([expect.stringContaining(BAD)]));
  });

  it("does not stop updates of others, of one or of all", async () => {
    const { storePath } = await damaged(backend);
    await updateSessionStoreEntry({ storePath, sessionKey: "a", update: () => ({ label: "x" }) });
    await updateLastRoute({ storePath, sessionKey: "new", channel: "slack", to: "C" });
    await updateSessionStore(storePath, (store) => {
      for (const entry of Object.values(store)) entry.model = "m";
    });
    const store = loadSessionStore(storePath);
    store["z"]!.label = "y";
    await saveSessionStore(storePath, store);
    expect(loaded(storePath)).toMatchObject({
      a: { label: "x", model: "m" },
      z: { label: "y", model: "m" },
      new: { lastTo: "C", model: "m" },
    });
    await expect(updateSessionStoreEntry({ storePath, sessionKey: BAD, update: () => ({}) })).rejects.toEqual(
      corrupt,
    );
  });

  it("is an error with a code where it is read, and nothing begins afresh by itself", async () => {
    const { storePath } = await damaged(backend);
    const at = { storePath, sessionKey: BAD };
    await expect(updateSessionStoreEntry({ ...at, update: () => ({ label: "x" }) })).rejects.toEqual(corrupt);
    await expect(updateLastRoute({ ...at, channel: "slack", to: "C" })).rejects.toEqual(corrupt);
    await expect(recordSessionMetaFromInbound({ ...at, ctx: { From: "x", Provider: "y" } })).rejects.toEqual(
      corrupt,
    );
    const read = (store: Record<string, unknown>): unknown => (store[BAD] ??= session(9));
    await expect(updateSessionStore(storePath, read)).rejects.toEqual(corrupt);
    await expect(updateSessionStore(storePath, (store) => void (BAD in store))).rejects.toEqual(corrupt);
    await expect(updateSessionStoreEntry({ ...at, update: () => ({}) })).rejects.toEqual(corrupt);
  });

  it.each(["a mutator", "saveSessionStore"])("can be replaced as a whole by %s", async (way) => {
    const { storePath } = await damaged(backend);
    if (way === "a mutator") await updateSessionStore(storePath, (store) => void (store[BAD] = session(9)));
    else {
      const store = loadSessionStore(storePath);
      store[BAD] = session(9);
      await saveSessionStore(storePath, store);
    }
    expect(loaded(storePath)).toEqual({ a: session(1), [BAD]: session(9), z: session(3) });
    await updateSessionStoreEntry({ storePath, sessionKey: BAD, update: () => ({ label: "x" }) });
    await closeSessionStores();
    expect(loaded(storePath)[BAD]?.label).toBe("x");
  });

  it("can be deleted", async () => {
    const { storePath, warnings } = await damaged(backend);
    await updateSessionStore(storePath, (store) => void delete store[BAD]);
    await closeSessionStores();
    warnings.length = 0;
    expect(loaded(storePath)).toEqual({ a: session(1), z: session(3) });
    expect(warnings).toEqual([]);
    const made = await updateLastRoute({ storePath, sessionKey: BAD, channel: "slack", to: "C" });
    expect(loaded(storePath)[BAD]).toEqual(made);
  });

  it("keeps every transcript and archive, for nobody knows which are its own", async () => {
    const { storePath, folder } = await damaged(backend);
    if (backend === "legacy file") return; // a text refers to nothing
    configureSessionMaintenance({});
    onTestFinished(() => configureSessionMaintenance(undefined));
    const archive = join(folder, "x.jsonl.deleted.2020-01-01T00-00-00.000Z");
    writeFileSync(archive, "");
    const kept: unknown[] = [];
    await updateSessionStore(storePath, () => {}, {
      maintenanceOverride: {},
      onMaintenanceApplied: ({ keptArchives }) => void kept.push(...keptArchives),
    });
    expect(kept).toMatchObject([{ archive }]);
  });
});

describe("null in a legacy file", () => {
  it("is no session, as old gateways mean it, and stays until it is replaced", async () => {
    const place = await gatewayFolder("legacy file", { a: session(1), gone: null });
    const { storePath } = place;
    const warnings: string[] = [];
    configureSessionStores({ onWarning: ({ code }) => warnings.push(code) });
    await updateSessionStore(storePath, (store) => {
      expect("gone" in store).toBe(false);
      expect(store["gone"]).toBeUndefined();
      store["a"] = null as never;
    });
    expect(await place.stored()).toEqual({ gone: null });
    await updateLastRoute({ storePath, sessionKey: "gone", channel: "slack", to: "C" });
    expect(Object.keys(await place.stored())).toEqual(["gone"]);
    expect(loaded(storePath)["gone"]?.lastTo).toBe("C");
    expect(warnings).toEqual([]);
  });
});
