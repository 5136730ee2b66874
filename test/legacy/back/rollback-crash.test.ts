/**
 * Goal: a rollback cannot half-happen, and gives exactly what the store has. Killed before any of its calls, one side
 * counts and has everything; the next run finishes. A failing disk changes nothing.
 * Method: the real code on the simulated disk, killed or failed at call N for every N.
 */
import { describe, expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { rollbackOn } from "../../../src/legacy/back/rollback.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import {
  DIRECTORY,
  expectSameSessions,
  failCall,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  someSessions,
  type Sessions,
} from "../legacy-machine.js";

const BEFORE = someSessions();
const KEY = "agent:main:Telegram:1";
const AFTER: Sessions = {
  ...BEFORE,
  [KEY]: { ...BEFORE[KEY], model: "new", updatedAt: 2e12 },
  "agent:new": { a: 1 },
};
Object.defineProperty(AFTER, "__proto__", { value: BEFORE["__proto__"], enumerable: true });

async function withStore(): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(BEFORE));
  const { fs, runtime } = machine.process();
  expect((await migrateOn({ fs, runtime }, FILE)).outcome).toBe("migrated");
  const store = await openDirectoryStoreOn<Record<string, unknown>>(fs, runtime, DIRECTORY);
  await store.update(KEY, (entry) => ({ ...entry, model: "new", updatedAt: 2e12 }));
  await store.put("agent:new", { a: 1 });
  await store.close();
  return machine;
}

async function expectOneSideAndFinish(machine: LegacyMachine, at: string): Promise<void> {
  const stored = await machine.sessions();
  if (stored === undefined)
    expectSameSessions(JSON.parse(machine.disk.readRaw(FILE)?.toString() ?? "null"), AFTER);
  else expectSameSessions(stored, AFTER);
  const report = await rollbackOn(machine.process(), FILE);
  expect(report.outcome, `${at}: ${JSON.stringify(report)}`).toMatch(/^(rolled_back|already_legacy)$/);
  expect(machine.disk.readRaw(FILE)?.toString() === pretty(AFTER), at).toBe(true);
  expect(await machine.sessions()).toBeUndefined();
}

it("gives the file that an old gateway would have written, and the way back gives the same store", async () => {
  const machine = await withStore();
  const report = await rollbackOn(machine.process(), DIRECTORY);
  expect(report).toMatchObject({
    outcome: "rolled_back",
    entries: { read: 4, kept: 4 },
    warnings: [],
    refusals: [],
  });
  expect(machine.disk.readRaw(FILE)?.toString()).toBe(pretty(AFTER));
  expectSameSessions(await machine.sessions(report.backups[0]), AFTER);
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  expectSameSessions(await machine.sessions(), AFTER);
});

it("merges what an old gateway wrote before it rolls back", async () => {
  const machine = await withStore();
  const foreign = {
    ...BEFORE,
    [KEY]: { ...BEFORE[KEY], updatedAt: 3e12, by: "old gateway" },
    added: { updatedAt: 1 },
  };
  machine.disk.writeRaw(FILE, pretty(foreign));
  const report = await rollbackOn(machine.process(), FILE);
  expect(report.outcome).toBe("rolled_back");
  expect(report.warnings.map(({ code }) => code)).toContain("foreign_merged");
  const written = JSON.parse(machine.disk.readRaw(FILE)?.toString() ?? "") as Sessions;
  expect(written[KEY]).toMatchObject({ by: "old gateway" });
  expect(written).toHaveProperty("added");
  expect(written).toHaveProperty(["agent:new"]);
});

it("says what it would do, and does not do it", async () => {
  const machine = await withStore();
  const before = machine.disk.tree();
  expect(await rollbackOn(machine.process(), FILE, { dryRun: true })).toMatchObject({
    outcome: "rolled_back",
    dryRun: true,
  });
  expect(machine.disk.tree()).toEqual(before);
});

describe("a rollback that is killed", () => {
  it("at every change: one side is authoritative, and the next run finishes", async () => {
    await killAtEveryChange(withStore, (host) => rollbackOn(host, FILE), expectOneSideAndFinish);
  }, 60_000);

  it("by a power cut", async () => {
    await killAtEveryChange(withStore, (host) => rollbackOn(host, FILE), expectOneSideAndFinish, "random");
  }, 60_000);
});

it("a disk that is full at any call loses nothing", async () => {
  const prepared = await withStore();
  for (let nth = 1, full = true; full; nth++) {
    const machine = prepared.copy();
    const host = machine.process();
    const failure = failCall(host.fs, nth, "ENOSPC");
    const { outcome } = await rollbackOn(host, FILE);
    expect(["failed", "rolled_back"]).toContain(outcome);
    full = failure.struck !== undefined;
    host.fs.onCall = undefined;
    await expectOneSideAndFinish(machine, `call ${nth}: ${failure.struck?.name}`);
  }
}, 60_000);
