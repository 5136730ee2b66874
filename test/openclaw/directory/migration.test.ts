/**
 * Goal: to the directory and back by OpenClaw's names: keys folded, results that tell the truth, nothing half done.
 * Method: real folders; what src/legacy/ promises about crashes is tested there.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  inspectSessionStoreMigration,
  migrateSessionStoreToDirectory,
  migrateSessionStoreToLegacy,
} from "../../../src/openclaw/directory/migration.js";
import type { RollbackReport } from "../../../src/legacy/base/types.js";
import { openDirectoryStore } from "../../../src/store/open.js";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sessiondir-migration-"));
  file = join(folder, "sessions.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const VARIANTS = `{
  "Agent:Main:Main": { "sessionId": "older", "updatedAt": 10 },
  "agent:main:main": { "sessionId": "newer", "updatedAt": 20, "unknownField": [1] },
  " agent:main:other ": { "sessionId": "other", "updatedAt": 30 },
  "__proto__": { "sessionId": "p", "updatedAt": 40 },
  "none": null
}`;

async function sessions(): Promise<Record<string, unknown>> {
  const store = await openDirectoryStore(file, { readOnly: true });
  const { sessions: records } = await store.list();
  await store.close();
  return Object.fromEntries(records.map(({ key, entry }) => [key, { ...entry }]));
}

describe("to the directory", () => {
  it("folds keys, merges variants by the newest, refuses what is none and says so", async () => {
    writeFileSync(file, VARIANTS);
    const before = await inspectSessionStoreMigration(file);
    expect(before).toMatchObject({
      status: "ready_to_migrate",
      legacyExists: true,
      directoryActive: false,
      legacyEntryCount: 5,
      normalizedEntryCount: 3,
    });
    expect(readdirSync(folder)).toEqual(["sessions.json"]);

    const result = await migrateSessionStoreToDirectory(file);
    expect(result).toMatchObject({
      storePath: file,
      outcome: "migrated",
      legacyEntries: 5,
      migratedEntries: 3,
    });
    expect(result.backupPath).toMatch(/sessions\.json\.saved-/);
    expect(readFileSync(result.backupPath ?? "", "utf8")).toBe(VARIANTS);
    expect(result.warnings.join("\n")).toContain("refused");
    expect(result.report.refusals).toMatchObject([{ key: "none", reason: "null_entry" }]);
    const found = await sessions();
    expect(Object.keys(found).sort()).toEqual(["__proto__", "agent:main:main", "agent:main:other"]);
    expect(found["agent:main:main"]).toEqual({ sessionId: "newer", updatedAt: 20, unknownField: [1] });

    expect(await inspectSessionStoreMigration(file)).toMatchObject({
      status: "already_directory",
      directoryActive: true,
      legacyExists: false,
    });
    expect(await migrateSessionStoreToDirectory(file)).toMatchObject({ outcome: "already_directory" });
  });

  it("a file that an old gateway wrote meanwhile is merged, and counts as migrated", async () => {
    writeFileSync(file, VARIANTS);
    await migrateSessionStoreToDirectory(file);
    writeFileSync(file, '{"Agent:Main:NEW":{"sessionId":"n","updatedAt":50}}');
    expect(await inspectSessionStoreMigration(file)).toMatchObject({
      status: "ready_to_migrate",
      directoryActive: true,
      legacyExists: true,
    });
    expect(await migrateSessionStoreToDirectory(file)).toMatchObject({ outcome: "migrated" });
    expect(Object.keys(await sessions())).toContain("agent:main:new");
  });

  it.each([
    ["[]", "invalid_legacy", "skipped_invalid"],
    ['{"a":', "invalid_legacy", "skipped_invalid"],
    ['{"a":null}', "invalid_legacy", "skipped_invalid"],
    ["{}", "empty_legacy", "skipped_empty"],
    ["", "empty_legacy", "skipped_empty"],
  ])("%j stays where it is", async (text, status, outcome) => {
    writeFileSync(file, text);
    const inspection = await inspectSessionStoreMigration(file);
    expect(inspection.status).toBe(status);
    expect(inspection.preview).toHaveLength(1);
    expect(await migrateSessionStoreToDirectory(file)).toMatchObject({ outcome, migratedEntries: 0 });
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(existsSync(join(folder, "sessions.d"))).toBe(false);
  });

  it("nothing is nothing", async () => {
    expect(await inspectSessionStoreMigration(file)).toMatchObject({
      status: "missing",
      legacyExists: false,
    });
    expect(await migrateSessionStoreToDirectory(file)).toMatchObject({ outcome: "missing", warnings: [] });
    expect(await migrateSessionStoreToLegacy(file)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("to the legacy file", () => {
  it("writes today's sessions, not those of the backup", async () => {
    writeFileSync(file, VARIANTS);
    await migrateSessionStoreToDirectory(file);
    const store = await openDirectoryStore<{ sessionId: string; updatedAt: number }>(file);
    await store.patch("agent:main:other", { updatedAt: 99 });
    await store.delete("__proto__");
    await store.close();
    const reports: RollbackReport[] = [];
    const onReport = (report: RollbackReport): void => void reports.push(report);
    expect(await migrateSessionStoreToLegacy(file, { dryRun: true, onReport })).toBe(true);
    expect(existsSync(file)).toBe(false);
    expect(await migrateSessionStoreToLegacy(file, { onReport })).toBe(true);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      "agent:main:main": { sessionId: "newer", updatedAt: 20, unknownField: [1] },
      "agent:main:other": { sessionId: "other", updatedAt: 99 },
    });
    expect(existsSync(join(folder, "sessions.d"))).toBe(false);
    expect(reports.map(({ dryRun }) => dryRun)).toEqual([true, false]);
    expect(await migrateSessionStoreToLegacy(file)).toBe(false);
  });

  it("a failure is an error with its code, and the directory is still authoritative", async () => {
    writeFileSync(file, VARIANTS);
    await migrateSessionStoreToDirectory(file);
    writeFileSync(file, '{"half":');
    await expect(migrateSessionStoreToLegacy(file)).rejects.toMatchObject({ code: "legacy_invalid" });
    expect(existsSync(join(folder, "sessions.d"))).toBe(true);
    expect(Object.keys(await sessions())).toHaveLength(3);
  });
});
