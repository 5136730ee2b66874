/**
 * Goal: whatever others do while a rollback runs, the file that counts afterwards has what was committed and what an old gateway
 * wrote, and one side is always there.
 * Method: one rollback on the simulated disk, with others acting at the very call where it hurts.
 */
import { expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { rollbackOn } from "../../../src/legacy/back/rollback.js";
import type { RollbackReport } from "../../../src/legacy/base/types.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import { DIRECTORY, FILE, LegacyMachine, parkedAt, pretty, type Sessions } from "../legacy-machine.js";

const SESSIONS: Sessions = { a: { updatedAt: 1 }, b: { updatedAt: 1 } };

async function withStore(): Promise<LegacyMachine> {
  const machine = new LegacyMachine();
  machine.disk.writeRaw(FILE, pretty(SESSIONS));
  expect((await migrateOn(machine.process(), FILE)).outcome).toBe("migrated");
  return machine;
}

const sessionsIn = (machine: LegacyMachine): Sessions =>
  JSON.parse(machine.disk.readRaw(FILE)?.toString() ?? "null") as Sessions;

const codesOf = ({ warnings }: RollbackReport): string[] => warnings.map(({ code }) => code);

/** The file has its name by now, and the store is about to lose its own. */
const afterWriting = ({ name, args }: SimulatedCall): boolean =>
  name === "lstat" && String(args[0]).startsWith(`${DIRECTORY}.saved-`);
const whileWriting = ({ name }: SimulatedCall): boolean => name === "fdatasync";
const movesStore = ({ name, args }: SimulatedCall): boolean => name === "rename" && args[0] === DIRECTORY;

/** A rollback that sleeps before the call `isIt` while others commit a session. */
async function whileCommitting(
  machine: LegacyMachine,
  isIt: (call: SimulatedCall) => boolean,
  awake: (call: SimulatedCall) => void = () => {},
): Promise<RollbackReport> {
  const host = machine.process();
  let running: Promise<RollbackReport> | undefined;
  const { release } = await parkedAt(host, isIt, () => (running = rollbackOn(host, FILE)));
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<object>(fs, runtime, DIRECTORY);
  await store.put("late", { updatedAt: 2 });
  await store.close();
  host.fs.onCall = awake;
  release();
  const report = await running!;
  expect(report).toMatchObject({ outcome: "rolled_back" });
  expect(await machine.sessions()).toBeUndefined();
  return report;
}

it("a commit while the file is written is in it, and nothing is late", async () => {
  const machine = await withStore();
  const report = await whileCommitting(machine, whileWriting);
  expect(sessionsIn(machine)).toEqual({ ...SESSIONS, late: { updatedAt: 2 } });
  expect(codesOf(report)).not.toContain("late_commits");
});

it("a commit after the file was written is added to it, and said", async () => {
  const machine = await withStore();
  const report = await whileCommitting(machine, afterWriting);
  expect(sessionsIn(machine)).toEqual({ ...SESSIONS, late: { updatedAt: 2 } });
  expect(codesOf(report)).toContain("late_commits");
});

it("a late commit is not written over what an old gateway has written since", async () => {
  const machine = await withStore();
  const theirs = { old: { updatedAt: 9 } };
  let moved = false;
  await whileCommitting(machine, afterWriting, (call) => {
    if (moved && call.name === "fsync") {
      moved = false;
      machine.disk.writeRaw(FILE, pretty(theirs));
    }
    moved ||= movesStore(call);
  });
  expect(sessionsIn(machine)).toEqual(theirs);
});

it("what an old gateway writes in the last moment is merged before the store goes", async () => {
  const machine = await withStore();
  const host = machine.process();
  let wrote = false;
  host.fs.onCall = (call) => {
    if (wrote || !afterWriting(call)) return;
    wrote = true;
    machine.disk.removeRaw(FILE);
    machine.disk.writeRaw(FILE, pretty({ ...SESSIONS, old: { updatedAt: 9 } }));
  };
  const report = await rollbackOn(host, FILE);
  expect(report.outcome).toBe("rolled_back");
  expect(codesOf(report)).toContain("foreign_merged");
  expect(sessionsIn(machine)).toEqual({ ...SESSIONS, old: { updatedAt: 9 } });
  const [backup] = report.backups.filter((path) => path.startsWith(DIRECTORY));
  expect(await machine.sessions(backup)).toEqual(sessionsIn(machine));
});

it("the store comes back if the file is gone by the time it was moved", async () => {
  const machine = await withStore();
  const host = machine.process();
  let taken = false;
  host.fs.onCall = (call) => {
    if (taken || !movesStore(call)) return;
    taken = true; // by a migration, for which the directory still counted
    machine.process().fs.rename(FILE, `${FILE}.saved-others`);
  };
  const report = await rollbackOn(host, FILE);
  expect(taken).toBe(true);
  expect(report.outcome).toBe("rolled_back");
  expect(sessionsIn(machine)).toEqual(SESSIONS);
});

it("takes away what others were making from the store", async () => {
  const machine = await withStore();
  machine.disk.writeRaw(`${FILE}.writing-0000000000000001-aa`, "{");
  machine.disk.writeRaw(`${DIRECTORY}.building-aa/.store/format.json`, "{");
  const host = machine.process();
  machine.disk.setStatus(`${DIRECTORY}.building-aa`, { modifiedAt: host.runtime.now() }); // not stale
  expect((await rollbackOn(host, FILE)).outcome).toBe("rolled_back");
  expect(machine.names().filter((name) => !name.includes(".saved-"))).toEqual(["sessions.json"]);
});
