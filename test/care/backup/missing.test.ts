/**
 * Goal: a session whose file is gone costs that session and no backup: it is told when the backup is made, and what was made is restored.
 * Method: a cold session of the simulated store loses its file, or its folder becomes a link, before a backup is made.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, RESTORED, STORE } from "./backup-machine.js";

async function cold(): Promise<BackupMachine> {
  const machine = new BackupMachine();
  const store = await machine.open();
  await commit(store);
  await store.checkpoint();
  await store.close();
  return machine;
}

async function backedUp(machine: BackupMachine): Promise<void> {
  const told: unknown[] = [];
  const report = await createBackupOn(machine.process(), STORE, BACKUPS, {
    onWarning: ({ code, data }) => void told.push({ code, key: data["key"] }),
  });
  expect(report).toMatchObject({ sessions: 2, damaged: 1 });
  expect(told).toEqual([{ code: "entry_corrupt", key: "c" }]);
  expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
  await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  const restored = await machine.open(machine.process(), RESTORED);
  const { sessions, damaged } = await restored.list();
  expect(sessions.map(({ key }) => key)).toEqual(["agent:main:a", "agent:main:b"]);
  expect(damaged).toMatchObject([{ key: "c" }]);
}

describe("a session that the catalog knows, and that has no file", () => {
  it("the file was removed", async () => {
    const machine = await cold();
    machine.process().fs.unlink(`${STORE}/c/meta.json`);
    await backedUp(machine);
  });

  it("its folder was moved away, and a link put in its place", async () => {
    const machine = await cold();
    machine.process().fs.rename(`${STORE}/c`, "/home/gateway/moved");
    machine.disk.symlink(`${STORE}/c`, "/home/gateway/moved");
    await backedUp(machine);
  });

  it("is not told of where it was deleted while the backup was made", async () => {
    const machine = await cold();
    const store = await machine.open();
    const host = machine.process("ticking");
    let deleted: Promise<void> | undefined;
    host.fs.onCall = ({ name, args }) => {
      if (name !== "readdir" || !String(args[0]).endsWith("/.store/blobs")) return;
      deleted ??= store.delete("c").then(() => store.flush());
    };
    const told: string[] = [];
    const { sessions } = await createBackupOn(host, STORE, BACKUPS, {
      onWarning: ({ message }) => void told.push(message),
    });
    await deleted;
    expect(machine.disk.names(`${STORE}/c`)).not.toContain("meta.json");
    expect(told).toEqual([]);
    expect(sessions).toBe(2);
  });
});
