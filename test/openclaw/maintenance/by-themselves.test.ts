/**
 * Goal: the parts of the maintenance that a gateway calls by themselves do what it asks, and never more.
 * Method: both backends of a store in the temporary folder, with transcripts and archives beside it.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  archiveRemovedSessionTranscripts,
  configureSessionMaintenance,
  enforceSessionDiskBudget,
  isDirectorySessionStoreActive,
  resolveMaintenanceConfig,
  resolveMaintenanceConfigFromInput,
  runQuotaSuspensionMaintenance,
} from "../../../src/openclaw/index.js";
import { BACKENDS, gatewayFolder, session } from "../support/gateway-folder.js";

describe.each(BACKENDS)("on a %s", (backend) => {
  it("transcripts of removed sessions are put aside, by their reason, but not those that others have", async () => {
    const { folder, storePath } = await gatewayFolder(backend);
    for (const name of ["a.jsonl", "named.jsonl", "kept.jsonl"]) writeFileSync(join(folder, name), "x");
    const folders = await archiveRemovedSessionTranscripts({
      removedSessionFiles: new Map([
        ["a", undefined],
        ["b", "named.jsonl"],
        ["kept", undefined],
        ["out", "../outside.jsonl"],
      ]),
      referencedSessionIds: new Set(["kept"]),
      storePath,
      reason: "reset",
      restrictToStoreDir: true,
    });
    expect([...folders]).toEqual([folder]);
    const names = readdirSync(folder).filter((name) => name.includes(".jsonl"));
    expect(names.map((name) => name.replace(/\d{4}-.*/, "<time>")).sort()).toEqual([
      "a.jsonl.reset.<time>",
      "kept.jsonl",
      "named.jsonl.reset.<time>",
    ]);
    const again = {
      removedSessionFiles: [] as [string, undefined][],
      referencedSessionIds: new Set<string>(),
    };
    expect((await archiveRemovedSessionTranscripts({ ...again, storePath, reason: "deleted" })).size).toBe(0);
  });

  it("the size of a folder: looked at, tried out, and kept, by archives alone", async () => {
    const { folder, storePath, stored } = await gatewayFolder(backend, { a: session(1) });
    const archives = [1, 2, 3].map((day) => `s.jsonl.deleted.2026-01-0${day}T00-00-00.000Z`);
    for (const name of [...archives, "live.jsonl"]) writeFileSync(join(folder, name), "x".repeat(1000));
    const maintenance = { maxDiskBytes: 3500, highWaterBytes: 2700 };
    const ask = { store: {}, storePath, maintenance, warnOnly: false };
    const there = () => archives.filter((name) => readdirSync(folder).includes(name));

    const logged: string[] = [];
    const log = { warn: () => logged.push("warn"), info: () => logged.push("info") };
    expect(await enforceSessionDiskBudget({ ...ask, warnOnly: true, log })).toMatchObject({
      removedFiles: 0,
      overBudget: true,
    });
    const removed: string[] = [];
    const tried = await enforceSessionDiskBudget({
      ...ask,
      dryRun: true,
      onRemoveFile: (path) => removed.push(path),
    });
    expect(tried).toMatchObject({ removedFiles: 2, freedBytes: 2000, removedEntries: 0, overBudget: false });
    expect(removed).toEqual(archives.slice(0, 2).map((name) => join(folder, name)));
    expect(there()).toEqual(archives);
    expect(await enforceSessionDiskBudget({ ...ask, log })).toEqual(tried);
    expect(there()).toEqual(archives.slice(2));
    expect(logged).toEqual(["warn", "info"]);
    expect(Object.keys(await stored())).toEqual(["a"]);
    const none = { maxDiskBytes: null, highWaterBytes: null };
    expect(await enforceSessionDiskBudget({ ...ask, maintenance: none })).toBeNull();
  });

  it("suspended sessions go on in time, and the note goes later", async () => {
    const suspended = { state: "suspended" as const, suspendedAt: 1000, laneId: "lane" };
    const place = await gatewayFolder(backend, {
      a: session(1, { quotaSuspension: suspended }),
      b: session(1, { quotaSuspension: { ...suspended, expectedResumeBy: 5000 } }),
      c: session(1),
    });
    const run = (now: number) =>
      runQuotaSuspensionMaintenance({ storePath: place.storePath, now, ttlMs: 1000 });
    const version = await place.version();
    expect(await run(1999)).toEqual({ resumed: [], cleared: 0 });
    expect(await place.version()).toBe(version);
    expect(await run(2000)).toEqual({ resumed: [{ sessionKey: "a", laneId: "lane" }], cleared: 0 });
    expect((await place.stored())["a"]?.quotaSuspension).toEqual({ ...suspended, state: "resuming" });
    expect(await run(3000)).toEqual({ resumed: [], cleared: 1 });
    expect((await place.stored())["a"]).not.toHaveProperty("quotaSuspension");
    expect((await place.stored())["b"]?.quotaSuspension?.state).toBe("suspended");
  });
});

it("looking for suspended sessions makes no store", async () => {
  const { folder } = await gatewayFolder("legacy file");
  const storePath = join(folder, "none.json");
  expect(await runQuotaSuspensionMaintenance({ storePath })).toEqual({ resumed: [], cleared: 0 });
  expect(readdirSync(folder)).toEqual(["sessions.json"]);
  expect(isDirectorySessionStoreActive(storePath)).toBe(false);
});

it("a configuration is read by itself, whatever the process was told", () => {
  configureSessionMaintenance({ maxEntries: 3 });
  try {
    expect(resolveMaintenanceConfig().maxEntries).toBe(3);
    expect(resolveMaintenanceConfigFromInput().maxEntries).toBe(500);
    expect(resolveMaintenanceConfigFromInput({ maxEntries: 7 })).toMatchObject({
      maxEntries: 7,
      mode: "enforce",
    });
  } finally {
    configureSessionMaintenance(undefined);
  }
});
