/**
 * Goal: what an old gateway writes during or after a migration is noticed and merged by newest updatedAt; nothing is
 * lost, nothing wins wholesale, what was deleted stays deleted (fault 34).
 * Method: foreign files beside a store on the simulated disk; an old gateway in a loop between any two calls of a
 * migration.
 */
import { describe, expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
import {
  DIRECTORY,
  expectSameSessions,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  type Sessions,
} from "../legacy-machine.js";

const SOURCE: Sessions = {
  a: { updatedAt: 10, v: "source" },
  b: { updatedAt: 10, v: "source" },
  c: { updatedAt: 10, v: "source" },
  d: { updatedAt: 10, v: "source" },
  e: { v: "source" },
  g: { v: "source" },
};

async function migrated(
  change: (store: DirectorySessionStore<Record<string, unknown>>) => Promise<void>,
): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SOURCE));
  const host = machine.process();
  await migrateOn(host, FILE);
  const store = await openDirectoryStoreOn<Record<string, unknown>>(host.fs, host.runtime, DIRECTORY);
  await change(store);
  await store.close();
  return machine;
}

/** The store moved on: b newer, c deleted, g changed without a time. The old gateway wrote all it had back, with changes of its own. */
const FOREIGN: Sessions = {
  a: { updatedAt: 20, v: "old gateway" },
  b: { updatedAt: 15, v: "old gateway" },
  c: { updatedAt: 10, v: "source" },
  d: { updatedAt: 10, v: "source" },
  e: { v: "old gateway" },
  f: { updatedAt: 1, v: "old gateway" },
  g: { v: "old gateway" },
};
const MERGED: Sessions = {
  a: { updatedAt: 20, v: "old gateway" },
  b: { updatedAt: 30, v: "store" },
  d: { updatedAt: 10, v: "source" },
  e: { v: "old gateway" },
  f: { updatedAt: 1, v: "old gateway" },
  g: { v: "store" },
};

async function withForeignFile(): Promise<LegacyMachine> {
  const machine = await migrated(async (store) => {
    await store.put("b", { updatedAt: 30, v: "store" });
    await store.delete("c");
    await store.put("g", { v: "store" });
  });
  machine.disk.writeRaw(FILE, pretty(FOREIGN));
  return machine;
}

describe("a file that an old gateway wrote after the migration", () => {
  it("is merged session by session and becomes a backup; the plan says the same", async () => {
    const machine = await withForeignFile();
    const plan = await migrateOn(machine.process(), FILE, { dryRun: true });
    const report = await migrateOn(machine.process(), FILE);
    expect(report).toMatchObject({
      outcome: "merged",
      entries: { read: 7, kept: 3, merged: 2, unchanged: 2, refused: 0 },
    });
    expect(plan).toMatchObject({ outcome: "merged", entries: report.entries });
    expect(report.warnings.map(({ code }) => code)).toEqual(["foreign_merged", "store_won"]);
    expectSameSessions(await machine.sessions(), MERGED);
    expect(machine.files(`${FILE}.saved-`)).toContain(pretty(FOREIGN));
    expect(machine.names()).not.toContain("sessions.json");
    expect((await migrateOn(machine.process(), FILE)).outcome).toBe("already_directory");
  });

  it("is merged again and again as it is written again", async () => {
    const machine = await withForeignFile();
    await migrateOn(machine.process(), FILE);
    machine.disk.writeRaw(FILE, pretty({ ...FOREIGN, a: { updatedAt: 40, v: "again" } }));
    await migrateOn(machine.process(), FILE);
    expectSameSessions(await machine.sessions(), { ...MERGED, a: { updatedAt: 40, v: "again" } });
  });

  it("stays where it is when it is damaged, and nothing of it is merged", async () => {
    const machine = await withForeignFile();
    const before = await machine.sessions();
    machine.disk.writeRaw(FILE, pretty(FOREIGN).slice(0, -3));
    const report = await migrateOn(machine.process(), FILE);
    expect(report).toMatchObject({ outcome: "skipped_invalid", error: { code: "legacy_invalid" } });
    expectSameSessions(await machine.sessions(), before ?? {});
    expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(FOREIGN).slice(0, -3));
    expect(machine.names().filter((name) => name.includes(".merging-"))).toEqual([]);
  });

  it("does not take sessions away that it lacks", async () => {
    const machine = await withForeignFile();
    machine.disk.writeRaw(FILE, "{}");
    const report = await migrateOn(machine.process(), FILE);
    expect(report.warnings.map(({ code }) => code)).toEqual(["foreign_missing"]);
    expect(Object.keys((await machine.sessions()) ?? {})).toEqual(["a", "b", "d", "e", "g"]);
  });

  it("killed at every call: nothing is lost, and the next run finishes", async () => {
    await killAtEveryChange(
      withForeignFile,
      (host) => migrateOn(host, FILE),
      async (machine, at) => {
        expect((await migrateOn(machine.process(), FILE)).outcome, at).toMatch(
          /^(merged|already_directory)$/,
        );
        expectSameSessions(await machine.sessions(), MERGED);
        expect(machine.files(`${FILE}.saved-`).sort(), at).toEqual([pretty(FOREIGN), pretty(SOURCE)].sort());
      },
    );
  }, 120_000);
});

describe("an old gateway that writes while the migration runs", () => {
  it.each(["by rename", "in place"])(
    "%s, at any call: its session is in the store in the end",
    async (how) => {
      for (let index = 1, wrote = true; wrote; index++) {
        const machine = new LegacyMachine();
        machine.disk.writeRaw(FILE, pretty(SOURCE));
        const host = machine.process();
        wrote = false;
        host.fs.onCall = (call) => {
          if (call.index !== index) return;
          wrote = true;
          const found = machine.disk.readRaw(FILE)?.toString() ?? "{}";
          if (how === "by rename") machine.disk.removeRaw(FILE);
          const sessions = JSON.parse(found) as Sessions;
          machine.disk.writeRaw(
            FILE,
            pretty({ ...sessions, during: { updatedAt: 99 }, a: { updatedAt: 99, v: "during" } }),
          );
        };
        const pump = setInterval(() => host.runtime.runNextTimer(), 1);
        const report = await migrateOn(host, FILE);
        clearInterval(pump);
        host.fs.onCall = undefined;
        expect(report.outcome, `call ${index}: ${JSON.stringify(report)}`).toMatch(/^(migrated|merged)$/);
        await migrateOn(machine.process(), FILE);
        const expected = { ...SOURCE, during: { updatedAt: 99 }, a: { updatedAt: 99, v: "during" } };
        expectSameSessions(await machine.sessions(), wrote ? expected : SOURCE);
      }
    },
    120_000,
  );

  it("all the time: the migration ends, with what was written so far and a warning", async () => {
    const machine = new LegacyMachine();
    machine.disk.writeRaw(FILE, pretty(SOURCE));
    const host = machine.process();
    let writes = 0;
    host.fs.onCall = (call) => {
      if (call.index % 7 !== 0) return;
      writes++;
      machine.disk.removeRaw(FILE);
      machine.disk.writeRaw(
        FILE,
        pretty({ ...SOURCE, [`w${writes}`]: { updatedAt: writes }, a: { updatedAt: 1000 + writes } }),
      );
    };
    const pump = setInterval(() => host.runtime.runNextTimer(), 1);
    const report = await migrateOn(host, FILE);
    clearInterval(pump);
    host.fs.onCall = undefined;
    expect(report.outcome).toMatch(/^(migrated|merged|failed)$/);
    await migrateOn(machine.process(), FILE);
    expect((await machine.sessions())?.["a"]).toEqual({ updatedAt: 1000 + writes });
  });
});
