/**
 * Goal: every function that writes looks after its store, on both backends, with the configuration of the process or its own.
 * Method: real folders with old sessions and their transcripts, written through the public functions.
 */
import { existsSync, readdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  capEntryCount,
  configureSessionMaintenance,
  configureSessionStores,
  loadSessionStore,
  migrateSessionStoreToDirectory,
  pruneStaleEntries,
  recordSessionMetaFromInbound,
  resolveMaintenanceConfig,
  rotateSessionFile,
  saveSessionStore,
  updateLastRoute,
  updateSessionStore,
  updateSessionStoreEntry,
  type SessionMaintenanceReport,
  type SessionMaintenanceWarning,
  type SessionStoreRecord,
} from "../../../src/openclaw/index.js";
import { BACKENDS, gatewayFolder, loaded, session, type GatewayFolder } from "../support/gateway-folder.js";

const DAY = 86_400_000;
const ago = (days: number): number => Date.now() - days * DAY;

async function placeWithOldSessions(backend: (typeof BACKENDS)[number]): Promise<GatewayFolder> {
  const place = await gatewayFolder(backend, {
    active: session(ago(60), { sessionId: "active" }),
    old: session(ago(31), { sessionId: "old" }),
    fresh: session(ago(1), { sessionId: "fresh" }),
  });
  for (const name of ["active", "old", "fresh"]) writeFileSync(join(place.folder, `${name}.jsonl`), name);
  return place;
}

const archives = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => (name.includes(".jsonl.deleted.") ? [name.split(".")[0] ?? ""] : []));

/** Each writes to the session "active". */
const WRITERS: Readonly<Record<string, (storePath: string) => Promise<unknown>>> = {
  updateSessionStore: (storePath) =>
    updateSessionStore(storePath, (store) => void (store["active"]!.label = "x"), {
      activeSessionKey: "active",
    }),
  saveSessionStore: (storePath) => {
    const store = loadSessionStore(storePath);
    store["active"]!.label = "x";
    return saveSessionStore(storePath, store, { activeSessionKey: "active" });
  },
  updateSessionStoreEntry: (storePath) =>
    updateSessionStoreEntry({ storePath, sessionKey: "Active", update: () => ({ label: "x" }) }),
  updateLastRoute: (storePath) =>
    updateLastRoute({ storePath, sessionKey: "active", channel: "telegram", to: "1" }),
  recordSessionMetaFromInbound: (storePath) =>
    recordSessionMetaFromInbound({
      storePath,
      sessionKey: "active",
      ctx: { Provider: "telegram", From: "x" },
    }),
};

describe.each(BACKENDS)("on a %s", (backend) => {
  beforeEach(() => configureSessionMaintenance({}));
  afterEach(() => configureSessionMaintenance(undefined));

  it.each(Object.keys(WRITERS))(
    "%s removes what is old, archives it, and keeps what is active",
    async (name) => {
      const { storePath, folder } = await placeWithOldSessions(backend);
      await WRITERS[name]?.(storePath);
      expect(Object.keys(loaded(storePath)).sort()).toEqual(["active", "fresh"]);
      expect(archives(folder)).toEqual(["old"]);
      expect(existsSync(join(folder, "active.jsonl"))).toBe(true);
    },
  );

  it("a configuration that is wrong is refused before anything is written", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const wrong = { ...resolveMaintenanceConfig({}), maxEntries: 0 };
    const update = (): Promise<unknown> =>
      updateSessionStore(storePath, (store) => void (store["active"]!.label = "x"), {
        maintenanceConfig: wrong,
        activeSessionKey: "active",
      });
    await expect(update()).rejects.toThrow(TypeError);
    expect(loaded(storePath)["active"]?.label).toBeUndefined();
  });

  it("a call's own configuration comes first, with its report", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const reports: SessionMaintenanceReport[] = [];
    await updateSessionStore(storePath, (store) => void (store["fresh"]!.label = "x"), {
      activeSessionKey: "fresh",
      maintenanceConfig: resolveMaintenanceConfig({ pruneAfter: false, maxEntries: 1 }),
      onMaintenanceApplied: (report) => void reports.push(report),
    });
    expect(reports).toMatchObject([{ mode: "enforce", beforeCount: 3, afterCount: 1, pruned: 0, capped: 2 }]);
    expect(Object.keys(loaded(storePath))).toEqual(["fresh"]);
  });

  it("warn mode warns of the active session and removes nothing", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const warnings: SessionMaintenanceWarning[] = [];
    await updateSessionStore(storePath, (store) => void (store["active"]!.label = "x"), {
      activeSessionKey: "active",
      maintenanceConfig: resolveMaintenanceConfig({ mode: "warn", maxEntries: 1 }),
      onWarn: (warning) => void warnings.push(warning),
    });
    expect(warnings).toMatchObject([{ activeSessionKey: "active", wouldCap: true, totalEntries: 3 }]);
    expect(Object.keys(loaded(storePath))).toHaveLength(3);
  });

  it("maintenance that is asked for by hand runs although nothing was written and nothing was configured", async () => {
    const { storePath, folder } = await placeWithOldSessions(backend);
    const reports: SessionMaintenanceReport[] = [];
    const byHand = (maintenanceOverride: object, skipMaintenance = false): Promise<void> =>
      updateSessionStore(storePath, () => {}, {
        maintenanceOverride,
        skipMaintenance,
        onMaintenanceApplied: (report) => void reports.push(report),
      });
    configureSessionMaintenance(undefined);
    await byHand({ mode: "enforce" }, true);
    await byHand({ mode: "warn" });
    expect(reports).toMatchObject([{ mode: "warn", stale: 2, beforeCount: 3, afterCount: 3 }]);
    await byHand({ mode: "enforce" });
    expect(reports[1]).toMatchObject({ mode: "enforce", pruned: 2, beforeCount: 3, afterCount: 1 });
    expect(Object.keys(loaded(storePath))).toEqual(["fresh"]);
    expect(archives(folder).sort()).toEqual(["active", "old"]);
    await expect(byHand({ maxEntries: 0 })).rejects.toThrow(TypeError);
  });

  it("maintenance by hand that fails says so to the caller; after a write it is a warning", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const warnings: string[] = [];
    configureSessionStores({ onWarning: ({ code, message }) => warnings.push(`${code} ${message}`) });
    const fails = (): never => {
      throw new Error("the gateway's own mistake");
    };
    const options = { maintenanceOverride: {}, onMaintenanceApplied: fails };
    await expect(updateSessionStore(storePath, () => {}, options)).rejects.toThrow("own mistake");
    expect(warnings).toEqual([]);
    await updateSessionStore(storePath, (store) => void (store["fresh"]!.label = "x"), options);
    expect(loaded(storePath)["fresh"]?.label).toBe("x");
    expect(warnings).toEqual([expect.stringMatching(/^maintenance_failed .*own mistake/)]);
  });

  it("warn mode speaks on the fast paths too", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const warnings: unknown[] = [];
    configureSessionStores({ onWarning: ({ code, data }) => warnings.push({ code, data }) });
    configureSessionMaintenance({ mode: "warn", maxDiskBytes: 1 });
    await recordSessionMetaFromInbound({
      storePath,
      sessionKey: "active",
      ctx: { Provider: "telegram", From: "x" },
    });
    expect(warnings).toMatchObject([
      { code: "maintenance_would_remove", data: { path: storePath, activeSessionKey: "active" } },
      { code: "maintenance_over_budget", data: { path: storePath, maxBytes: 1 } },
    ]);
    expect(Object.keys(loaded(storePath))).toHaveLength(3);
  });

  it("an archive that another tool has made of a live transcript is kept, and reported", async () => {
    const { storePath, folder } = await placeWithOldSessions(backend);
    const archived = (name: string): string => join(folder, `${name}.jsonl.deleted.2020-01-01T00-00-00.000Z`);
    renameSync(join(folder, "fresh.jsonl"), archived("fresh"));
    writeFileSync(archived("nobody"), "");
    const reports: SessionMaintenanceReport[] = [];
    const onMaintenanceApplied = (report: SessionMaintenanceReport): void => void reports.push(report);
    await updateSessionStore(storePath, () => {}, { maintenanceOverride: {}, onMaintenanceApplied });
    const kept = { source: join(folder, "fresh.jsonl"), archive: archived("fresh") };
    expect(reports).toMatchObject([{ expiredArchives: 1, keptArchives: [kept] }]);
    expect(existsSync(archived("fresh"))).toBe(true);
    expect(existsSync(archived("nobody"))).toBe(false);
  });

  it("a session of which a gateway has said that it begins afresh keeps its settings", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    const afresh = (store: SessionStoreRecord): void => void (store["fresh"]!.updatedAt = 0);
    await updateSessionStore(storePath, afresh, { maintenanceOverride: {} });
    expect(loaded(storePath)["fresh"]).toMatchObject({ updatedAt: 0, sessionId: "fresh" });
  });

  it("skipMaintenance, a call that writes nothing, and a process that was told nothing remove nothing", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    await updateSessionStore(storePath, (store) => void (store["fresh"]!.label = "x"), {
      skipMaintenance: true,
    });
    await updateSessionStore(storePath, () => {});
    configureSessionMaintenance(undefined);
    await updateSessionStore(storePath, (store) => void (store["fresh"]!.label = "y"));
    expect(Object.keys(loaded(storePath))).toHaveLength(3);
  });

  it("a transcript that another session refers to, and a link in a transcript's place, stay", async () => {
    const { storePath, folder } = await gatewayFolder(backend, {
      old: session(ago(31), { sessionId: "shared" }),
      linked: session(ago(31), { sessionId: "linked" }),
      fork: session(ago(1), { sessionId: "fork", sessionFile: "shared.jsonl" }),
    });
    writeFileSync(join(folder, "shared.jsonl"), "");
    writeFileSync(join(folder, "target"), "");
    symlinkSync(join(folder, "target"), join(folder, "linked.jsonl"));
    await updateLastRoute({ storePath, sessionKey: "fork", channel: "telegram", to: "1" });
    expect(Object.keys(loaded(storePath))).toEqual(["fork"]);
    expect(archives(folder)).toEqual([]);
    expect(existsSync(join(folder, "linked.jsonl"))).toBe(true);
  });

  it("another case of a key is the same session: alive as long as the newest is; __proto__ is a key like any other", async () => {
    const stored = JSON.stringify({
      "Agent:A": session(ago(1)),
      "agent:a": session(ago(40)),
      "AGENT:B": session(ago(40)),
    });
    const hostile = `{"__proto__":${JSON.stringify(session(ago(40)))},"constructor":${JSON.stringify(session(ago(1)))},`;
    const all = JSON.parse(hostile + stored.slice(1)) as Record<string, unknown>;
    const { storePath } = await gatewayFolder(backend, all);
    await updateLastRoute({ storePath, sessionKey: "x", channel: "telegram", to: "1" });
    expect(Object.keys(loaded(storePath)).sort()).toEqual(["agent:a", "constructor", "x"]);
    expect(loaded(storePath)["agent:a"]?.updatedAt).toBeGreaterThan(ago(2));
    expect(({} as Record<string, unknown>)["sessionId"]).toBeUndefined();
  });

  it("the functions on whole stores work on what loadSessionStore gives, and in a mutator", async () => {
    const { storePath } = await placeWithOldSessions(backend);
    configureSessionMaintenance(undefined);
    const removed = await updateSessionStore(storePath, (store) => {
      const preserveKeys = new Set(["active"]);
      return pruneStaleEntries(store, 30 * DAY, { preserveKeys }) + capEntryCount(store, 1, { preserveKeys });
    });
    expect(removed).toBe(2);
    expect(Object.keys(loaded(storePath))).toEqual(["active"]);
    expect(pruneStaleEntries(loadSessionStore(storePath), 30 * DAY)).toBe(1);
    expect(Object.keys(loaded(storePath))).toEqual(["active"]);
  });

  it("rotates a legacy file, and has nothing to do for a directory", async () => {
    const { storePath, folder } = await placeWithOldSessions(backend);
    const rotates = backend === "legacy file";
    expect(await rotateSessionFile(storePath, 10)).toBe(rotates);
    expect(await rotateSessionFile(storePath)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.includes(".bak."))).toHaveLength(rotates ? 1 : 0);
  });
});

it("goes on after a migration", async () => {
  const { storePath, folder } = await placeWithOldSessions("legacy file");
  configureSessionMaintenance({});
  try {
    await migrateSessionStoreToDirectory(storePath);
    await updateSessionStore(storePath, (store) => void (store["active"]!.label = "x"), {
      activeSessionKey: "active",
    });
    expect(Object.keys(loaded(storePath)).sort()).toEqual(["active", "fresh"]);
    expect(archives(folder)).toEqual(["old"]);
  } finally {
    configureSessionMaintenance(undefined);
  }
});
