/**
 * Goal: whatever others do while a rollback runs, the file that counts afterwards has what was committed and what an old gateway
 * wrote, and one side is always there.
 * Method: one rollback on the simulated disk, with others acting at the very call where it hurts.
 */
import { expect, it } from "vitest";
import { migrateOn } from "../../../src/legacy/migrate.js";
import { rollbackOn } from "../../../src/legacy/back/rollback.js";
import type { RollbackReport } from "../../../src/legacy/base/types.js";
import type { ErrorData } from "../../../src/errors.js";
import { openDirectoryStoreOn } from "../../../src/store/open.js";
import type { DirectorySessionStore } from "../../../src/store/types.js";
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

const lateIn = ({ warnings }: RollbackReport): ErrorData[] =>
  warnings.filter(({ code }) => code === "late_commits").map(({ data }) => data);

const backupIn = ({ backups }: RollbackReport): string | undefined =>
  backups.find((path) => path.startsWith(DIRECTORY));

/** The file has its name by now, and the store is about to lose its own. */
const afterWriting = ({ name, args }: SimulatedCall): boolean =>
  name === "lstat" && String(args[0]).startsWith(`${DIRECTORY}.saved-`);
const whileWriting = ({ name }: SimulatedCall): boolean => name === "fdatasync";
const movesStore = ({ name, args }: SimulatedCall): boolean => name === "rename" && args[0] === DIRECTORY;

interface Meanwhile {
  /** What another process does. */
  readonly commits?: (store: DirectorySessionStore<object>) => Promise<unknown>;
  /** Before each call of the rollback from then on. */
  readonly awake?: (call: SimulatedCall) => void;
}

const putLate = (store: DirectorySessionStore<object>): Promise<unknown> =>
  store.put("late", { updatedAt: 2 });

/** A rollback that sleeps before the call `isIt` while others commit. */
async function whileCommitting(
  machine: LegacyMachine,
  isIt: (call: SimulatedCall) => boolean,
  { commits = putLate, awake = () => {} }: Meanwhile = {},
): Promise<RollbackReport> {
  const host = machine.process();
  let running: Promise<RollbackReport> | undefined;
  const { release } = await parkedAt(host, isIt, () => (running = rollbackOn(host, FILE)));
  const { fs, runtime } = machine.process();
  const store = await openDirectoryStoreOn<object>(fs, runtime, DIRECTORY);
  await commits(store);
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
  expect(lateIn(report)).toEqual([{ path: backupIn(report), sessions: 1 }]);
});

it("what is late is counted in sessions that the file now has another of, or no more", async () => {
  const machine = await withStore();
  const commits = async (store: DirectorySessionStore<object>): Promise<void> => {
    for (let count = 0; count < 5; count++) await store.put("late", { updatedAt: count });
    await store.put("a", { updatedAt: 3 });
    await store.delete("b");
  };
  const report = await whileCommitting(machine, afterWriting, { commits });
  expect(sessionsIn(machine)).toEqual({ a: { updatedAt: 3 }, late: { updatedAt: 4 } });
  expect(lateIn(report)).toEqual([{ path: backupIn(report), sessions: 3 }]);
});

it("a late commit that leaves the sessions as they were is said, and none is counted", async () => {
  const machine = await withStore();
  const commits = (store: DirectorySessionStore<object>): Promise<unknown> => store.append("a", ["late"]);
  const report = await whileCommitting(machine, afterWriting, { commits });
  expect(sessionsIn(machine)).toEqual(SESSIONS);
  expect(lateIn(report)).toEqual([{ path: backupIn(report), sessions: 0 }]);
});

it("what is committed while late commits are written is written too", async () => {
  const machine = await withStore();
  const { fs, runtime } = machine.process();
  let later: DirectorySessionStore<object> | undefined;
  const commits = async (store: DirectorySessionStore<object>): Promise<void> => {
    await store.put("late", { updatedAt: 2 });
    later = await openDirectoryStoreOn<object>(fs, runtime, DIRECTORY, { durability: "os" });
  };
  let moved = false;
  const awake = (call: SimulatedCall): void => {
    moved ||= movesStore(call);
    // The late commits have been read, and their file is being synced.
    if (!moved || !whileWriting(call) || later === undefined) return;
    const own = later;
    later = undefined;
    void own.put("later", { updatedAt: 3 }).then(() => own.close());
  };
  const report = await whileCommitting(machine, afterWriting, { commits, awake });
  expect(sessionsIn(machine)).toEqual({
    ...SESSIONS,
    late: { updatedAt: 2 },
    later: { updatedAt: 3 },
  });
  expect(lateIn(report)).toEqual([
    { path: backupIn(report), sessions: 1 },
    { path: backupIn(report), sessions: 1 },
  ]);
});

it("a late commit is not written over what an old gateway has written since, and that is said", async () => {
  const machine = await withStore();
  const theirs = { old: { updatedAt: 9 } };
  let moved = false;
  const awake = (call: SimulatedCall): void => {
    if (moved && call.name === "fsync") {
      moved = false;
      machine.disk.writeRaw(FILE, pretty(theirs));
    }
    moved ||= movesStore(call);
  };
  const report = await whileCommitting(machine, afterWriting, { awake });
  expect(sessionsIn(machine)).toEqual(theirs);
  expect(lateIn(report)).toEqual([{ path: backupIn(report) }]);
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
  expect(await machine.sessions(backupIn(report))).toEqual(sessionsIn(machine));
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
