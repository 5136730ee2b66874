/**
 * Goal: a dry run of create and of restore writes nothing, refuses what the real one refuses, and says what the real one then does.
 * Method: the simulated disk, compared before and after; the figures of the plan against those of the real run behind it.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { BACKUPS, BackupMachine, commit, isChange, RESTORED, STORE } from "./backup-machine.js";

async function withStore(): Promise<BackupMachine> {
  const machine = new BackupMachine();
  const store = await machine.open();
  for (let n = 0; n < 10; n++) await commit(store);
  await store.checkpoint();
  await commit(store);
  await store.close();
  return machine;
}

/** Nothing is changed, by a process that makes no call that could. */
async function dry<R>(
  machine: BackupMachine,
  work: (host: ReturnType<BackupMachine["process"]>) => Promise<R>,
): Promise<R> {
  const host = machine.process("ticking");
  host.fs.log = [];
  const before = machine.disk.tree();
  try {
    return await work(host);
  } finally {
    expect(machine.disk.tree()).toEqual(before);
    expect(host.fs.log.filter(isChange)).toEqual([]);
  }
}

const figuresOf = ({
  sessions,
  revision,
  files,
  bytes,
  writtenBytes,
  damaged,
}: Awaited<ReturnType<typeof createBackupOn>>): object => ({
  sessions,
  revision,
  files,
  bytes,
  writtenBytes,
  damaged,
});

describe("create", () => {
  it("comes to what it says, the first time and incrementally", async () => {
    const machine = await withStore();
    for (let round = 0; round < 2; round++) {
      const plan = await dry(machine, (host) => createBackupOn(host, STORE, BACKUPS, { dryRun: true }));
      expect(plan).toMatchObject({ dryRun: true, path: BACKUPS });
      expect(plan.writtenBytes).toBeGreaterThan(0);
      const done = await createBackupOn(machine.process(), STORE, BACKUPS);
      expect(figuresOf(done)).toEqual(figuresOf(plan));
      expect(done.dryRun).toBe(false);
      const store = await machine.open();
      await commit(store);
      await store.close();
    }
  });

  it("refuses what the real one refuses", async () => {
    const machine = await withStore();
    machine.disk.makeDirectory("/mnt/other");
    machine.disk.writeRaw("/mnt/other/photo.jpg", "x");
    const other = await machine.open(machine.process(), "/home/gateway/other.d");
    await other.close();
    await createBackupOn(machine.process(), "/home/gateway/other.d", "/mnt/theirs");
    for (const [place, code, create] of [
      ["/mnt/other", "backup_place", true],
      [`${STORE}/x`, "backup_place", true],
      ["/mnt/theirs", "backup_place", true],
      [BACKUPS, "backup_not_found", false],
    ] as const)
      await dry(machine, (host) =>
        expect(createBackupOn(host, STORE, place, { dryRun: true, create })).rejects.toMatchObject({ code }),
      );
  });
});

describe("restore", () => {
  it("says what it would restore, and refuses a place that is taken or a backup that is damaged", async () => {
    const machine = await withStore();
    await createBackupOn(machine.process(), STORE, BACKUPS);
    const plan = await dry(machine, (host) => restoreBackupOn(host, BACKUPS, RESTORED, { dryRun: true }));
    await dry(machine, (host) =>
      expect(restoreBackupOn(host, BACKUPS, STORE, { dryRun: true })).rejects.toMatchObject({
        code: "backup_place",
      }),
    );
    const done = await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    expect({ ...done, durationMs: 0 }).toEqual({ ...plan, dryRun: false, durationMs: 0 });
    const [prefix = ""] = machine.disk.names(`${BACKUPS}/objects`);
    const [name = ""] = machine.disk.names(`${BACKUPS}/objects/${prefix}`);
    machine.disk.writeRaw(`${BACKUPS}/objects/${prefix}/${name}`, "x");
    await dry(machine, (host) =>
      expect(restoreBackupOn(host, BACKUPS, `${RESTORED}2`, { dryRun: true })).rejects.toMatchObject({
        code: "backup_damaged",
      }),
    );
  });
});
