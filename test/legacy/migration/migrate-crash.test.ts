/**
 * Goal: a migration cannot half-happen. Killed at any moment, with or without a power cut, exactly one side has
 * all sessions; the next run finishes and leaves nothing behind. A full disk at any call changes nothing.
 * Method: the real code on the simulated disk, killed before its Nth change, or failed at its Nth call, for every N. Slow,
 * because a migration makes hundreds of calls, and after the failure of each another one has to run to its end.
 */
import { describe, expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import {
  DIRECTORY,
  expectSameSessions,
  failCall,
  FILE,
  killAtEveryChange,
  LegacyMachine,
  pretty,
  someSessions,
} from "../legacy-machine.js";

const SESSIONS = someSessions();

function withLegacyFile(): LegacyMachine {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  return machine;
}

/** Exactly one side is authoritative and has everything; then another run finishes. */
async function expectOneSideAndFinish(machine: LegacyMachine, at: string): Promise<void> {
  const stored = await machine.sessions();
  // The file may be under the name that it has while it is being merged: the next run gives it its name back.
  const [text] = [...machine.files(FILE).slice(0, 1), ...machine.files(`${FILE}.merging-`)];
  if (stored === undefined)
    expect(text === pretty(SESSIONS), `${at}: the file is not what it was`).toBe(true);
  else expectSameSessions(stored, SESSIONS);
  const report = await migrateOn(machine.process(), FILE);
  expect(report.outcome, `${at}: ${JSON.stringify(report)}`).toMatch(/^(migrated|merged|already_directory)$/);
  expect(report.entries.refused).toBe(0);
  expectSameSessions(await machine.sessions(), SESSIONS);
  // A power cut may leave a renamed file under both names; then there are two backups of the same.
  const backups = machine.files(`${FILE}.saved-`).map((text) => text === pretty(SESSIONS));
  expect([...new Set(backups)], at).toEqual([true]);
  expect(
    machine.names().filter((name) => name !== "sessions.d" && !name.includes(".saved-")),
    at,
  ).toEqual([]);
}

describe("a migration that is killed", () => {
  it("at every change: one side is authoritative, and the next run finishes", async () => {
    const changes = await killAtEveryChange(
      withLegacyFile,
      (host) => migrateOn(host, FILE),
      expectOneSideAndFinish,
    );
    expect(changes).toBeGreaterThan(50);
  }, 60_000);

  it.each(["durable-only", "keep-all", "random"] as const)(
    "by a power cut of mode %s",
    async (powerCut) => {
      await killAtEveryChange(
        withLegacyFile,
        (host) => migrateOn(host, FILE),
        expectOneSideAndFinish,
        powerCut,
      );
    },
    60_000,
  );
});

describe("a disk that fails at one call", () => {
  it.each(["ENOSPC", "EIO"] as const)(
    "with %s: the report says so, nothing is lost, and the next run finishes",
    async (code) => {
      for (let nth = 1, failed = true; failed; nth++) {
        const machine = withLegacyFile();
        const host = machine.process();
        const failure = failCall(host.fs, nth, code);
        const report = await migrateOn(host, FILE);
        failed = failure.struck !== undefined;
        const at = `call ${nth}: ${failure.struck?.name}`;
        if (report.outcome === "failed") {
          expect(["disk_full", "io_error"], at).toContain(report.error?.code);
          expect(report.next).toBe(`sessiondir migrate --store ${FILE}`);
        } else expect(report.outcome, `${at}: ${JSON.stringify(report.error)}`).toBe("migrated");
        // A descriptor whose close fails cannot but leak.
        if (failure.struck?.name !== "close") expect(host.fs.openPaths, at).toEqual([]);
        host.fs.onCall = undefined;
        await expectOneSideAndFinish(machine, at);
      }
    },
    120_000,
  );

  it("by being full: no byte of the building folder stays", async () => {
    const machine = withLegacyFile();
    const before = machine.disk.tree();
    machine.disk.freeBytes = 3000;
    const report = await migrateOn(machine.process(), FILE);
    expect(report.outcome).toBe("failed");
    expect(report.error?.code).toBe("disk_full");
    expect(machine.disk.tree()).toEqual(before);
  });
});

it("a builder that was suspended and wakes up after others have migrated and rolled on changes nothing", async () => {
  const machine = withLegacyFile();
  const slow = machine.process();
  let wake: (() => void) | undefined;
  let parked: (() => void) | undefined;
  const isParked = new Promise<void>((resolve) => (parked = resolve));
  slow.fs.gate = (call) => {
    if (call.name !== "rename" || call.args[1] !== DIRECTORY) return undefined;
    parked?.();
    return new Promise((resolve) => (wake = resolve));
  };
  const late = migrateOn(slow, FILE);
  await isParked;
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  machine.disk.removeRaw(DIRECTORY); // as after a rollback
  const newer = { now: { updatedAt: 2e12 } };
  machine.disk.writeRaw(FILE, pretty(newer));
  slow.fs.gate = undefined;
  wake?.();
  expect((await late).outcome).toBe("migrated"); // anew, from what counts now
  expectSameSessions(await machine.sessions(), newer);
});
