/**
 * Goal: a prune removes what nobody asked to keep and nothing that a backup needs, whatever happens beside it.
 * Method: the simulated disk; a backup that is made while a prune runs, with both suspended at every call in turn.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, STORE } from "./backup-machine.js";

async function withBackups(count: number): Promise<{ machine: BackupMachine; names: string[] }> {
  const machine = new BackupMachine();
  const store = await machine.open();
  const names: string[] = [];
  for (let n = 0; n < count; n++) {
    await commit(store);
    if (n % 3 === 2) await store.checkpoint();
    names.unshift((await createBackupOn(machine.process(), STORE, BACKUPS)).name);
  }
  await store.close();
  return { machine, names };
}

function objects({ disk }: BackupMachine): number {
  return disk
    .names(`${BACKUPS}/objects`)
    .reduce((sum, prefix) => sum + disk.names(`${BACKUPS}/objects/${prefix}`).length, 0);
}

describe("prune", () => {
  it("says first what it would do, does that, and what is left is whole", async () => {
    const { machine, names } = await withBackups(8);
    const before = objects(machine);
    const plan = await pruneBackupsOn(machine.process(), BACKUPS, { last: 2 }, { dryRun: true });
    expect(plan).toMatchObject({
      dryRun: true,
      kept: names.slice(0, 2),
      removed: names.slice(2),
      postponed: false,
    });
    expect(objects(machine)).toBe(before);
    const done = await pruneBackupsOn(machine.process(), BACKUPS, { last: 2 });
    expect({ ...done, dryRun: true, freedBytes: 0, durationMs: 0 }).toEqual({
      ...plan,
      freedBytes: 0,
      durationMs: 0,
    });
    expect(done.freedBytes).toBeGreaterThan(0);
    expect(objects(machine)).toBeLessThan(before);
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
    expect((await listBackupsOn(machine.process(), BACKUPS)).backups.map(({ name }) => name)).toEqual(
      names.slice(0, 2),
    );
  });

  it("never removes the newest, nor the newest that was good, and wants a rule", async () => {
    const { machine, names } = await withBackups(3);
    await expect(pruneBackupsOn(machine.process(), BACKUPS, {})).rejects.toThrow(TypeError);
    await expect(pruneBackupsOn(machine.process(), BACKUPS, { last: -1 })).rejects.toThrow(TypeError);
    const path = `${BACKUPS}/manifests/${names[0]}.json`;
    machine.disk.writeRaw(path, "damaged\n");
    await verifyBackupsOn(machine.process(), BACKUPS);
    const { kept } = await pruneBackupsOn(machine.process(), BACKUPS, { last: 0 });
    expect(kept).toEqual(names.slice(0, 2));
    expect(await verifyBackupsOn(machine.process(), BACKUPS, { name: names[1] })).toMatchObject({
      good: true,
    });
  });

  it(
    "beside a backup that is made leaves what that relies on, wherever the two are",
    { timeout: 120_000 },
    async () => {
      const { machine: prepared } = await withBackups(6);
      const store = await prepared.open();
      await commit(store);
      await store.close();
      let postponed = 0;
      let swept = 0;
      // Which call of the backup the prune comes before, and which call of the prune the backup goes on before.
      const probe = prepared.copy().process();
      await createBackupOn(probe, STORE, BACKUPS);
      const creates = probe.fs.calls;
      for (let first = 1; first <= creates; first += 3) {
        const machine = prepared.copy();
        const creating = machine.process();
        const pruning = machine.process();
        let other: Promise<unknown> | undefined;
        creating.fs.gate = (call) => {
          if (call.index < first || other !== undefined) return undefined;
          other = pruneBackupsOn(pruning, BACKUPS, { last: 1 }).then((report) => {
            if (report.postponed) postponed++;
            else swept++;
          });
          return first % 2 === 0 ? other.then(() => {}) : undefined; // goes on beside it, or behind it
        };
        const { name } = await createBackupOn(creating, STORE, BACKUPS);
        await other;
        const report = await verifyBackupsOn(machine.process(), BACKUPS);
        expect(report.good, `call ${first}`).toBe(true);
        expect(report.backups.map((backup) => backup.name)).toContain(name);
      }
      expect(postponed).toBeGreaterThan(5);
      expect(swept).toBeGreaterThan(0);
    },
  );

  it(
    "that sleeps in the middle takes nothing from a backup that was made meanwhile",
    { timeout: 120_000 },
    async () => {
      const { machine: prepared, names } = await withBackups(6);
      // As after a prune that was killed: what the newest backup had is there, and nobody needs it until the next one does.
      prepared.disk.removeRaw(`${BACKUPS}/manifests/${names[0]}.json`);
      const probe = prepared.copy().process();
      await pruneBackupsOn(probe, BACKUPS, { last: 2 });
      let fenced = 0;
      for (let asleep = 1; asleep <= probe.fs.calls; asleep++) {
        const machine = prepared.copy();
        const pruning = machine.process();
        let wake = (): void => {};
        let sleeping = false;
        pruning.fs.gate = (call) => {
          if (sleeping || call.index < asleep) return undefined;
          sleeping = true;
          return new Promise<void>((resolve) => (wake = resolve));
        };
        const pruned = pruneBackupsOn(pruning, BACKUPS, { last: 2 });
        await new Promise(setImmediate);
        const { name } = await createBackupOn(machine.process(), STORE, BACKUPS);
        wake();
        const report = await pruned;
        if (report.postponed) fenced++;
        const verified = await verifyBackupsOn(machine.process(), BACKUPS);
        expect(verified.good, `call ${asleep}`).toBe(true);
        expect(verified.backups.map((backup) => backup.name)).toEqual(
          expect.arrayContaining([name, names[1]!]),
        );
      }
      expect(fenced).toBeGreaterThan(3);
    },
  );
});

it("files of more than one piece stay whole", async () => {
  const machine = new BackupMachine();
  const store = await machine.open();
  await store.put("a", { value: "x".repeat(300 * 1024) });
  await store.checkpoint();
  await store.close();
  await createBackupOn(machine.process(), STORE, BACKUPS);
  const again = await machine.open();
  await again.put("b", { value: "y".repeat(300 * 1024) });
  await again.close();
  const { name } = await createBackupOn(machine.process("still", 1), STORE, BACKUPS);
  expect(await pruneBackupsOn(machine.process("still", 2), BACKUPS, { last: 1 })).toMatchObject({
    kept: [name],
    postponed: false,
  });
  expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
});
