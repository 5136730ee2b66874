/**
 * Goal: whatever is changed, missing or added in a folder of backups, verify says so, names the file, and restore refuses it.
 * Method: one backup on the simulated disk; each byte of each of its files flipped, each file taken away, files added.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, RESTORED, STORE } from "./backup-machine.js";

async function withBackup(): Promise<{ machine: BackupMachine; name: string }> {
  const machine = new BackupMachine();
  const store = await machine.open();
  for (let n = 0; n < 12; n++) await commit(store);
  await store.checkpoint();
  await commit(store);
  const { name } = await createBackupOn(machine.process(), STORE, BACKUPS);
  await store.close();
  return { machine, name };
}

/** Files of the backup itself: not the record, which tells of it, nor the marker. */
function filesOf(machine: BackupMachine): string[] {
  const { disk } = machine;
  const objects = `${BACKUPS}/objects`;
  return [
    ...disk.names(`${BACKUPS}/manifests`).map((name) => `${BACKUPS}/manifests/${name}`),
    ...disk
      .names(objects)
      .flatMap((prefix) => disk.names(`${objects}/${prefix}`).map((name) => `${objects}/${prefix}/${name}`)),
  ];
}

describe("verify", () => {
  it("finds each flipped byte, and restore refuses the backup", { timeout: 60_000 }, async () => {
    const { machine, name } = await withBackup();
    let flips = 0;
    for (const path of filesOf(machine)) {
      const bytes = machine.disk.readRaw(path)!;
      // Every byte of short files; of long ones their ends and every 97th, so that each piece and each line is met.
      const step = bytes.length > 600 ? 97 : 1;
      for (
        let at = 0;
        at < bytes.length;
        at += at + step < bytes.length ? step : Math.max(1, bytes.length - 1 - at)
      ) {
        const flipped = Buffer.from(bytes);
        flipped[at] = flipped[at]! ^ 1;
        machine.disk.writeRaw(path, flipped);
        flips++;
        const report = await verifyBackupsOn(machine.process(), BACKUPS);
        expect(report.good, `${path} at ${at}`).toBe(false);
        expect(report.backups[0]?.problems[0], `${path} at ${at}`).toMatchObject({ what: "damaged", path });
        if (flips % 20 === 0) {
          await expect(restoreBackupOn(machine.process(), BACKUPS, RESTORED)).rejects.toMatchObject({
            code: "backup_damaged",
          });
          expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
        }
      }
      machine.disk.writeRaw(path, bytes);
    }
    expect(flips).toBeGreaterThan(300);
    expect(await verifyBackupsOn(machine.process(), BACKUPS)).toMatchObject({
      good: true,
      backups: [{ name }],
    });
  });

  it("finds each missing file, and what is too short or too long", async () => {
    const { machine } = await withBackup();
    for (const path of filesOf(machine)) {
      const bytes = machine.disk.readRaw(path)!;
      const { fs } = machine.process();
      for (const other of [
        bytes.subarray(0, -1),
        Buffer.concat([bytes, Buffer.from("x")]),
        Buffer.alloc(0),
      ]) {
        if (other.equals(bytes)) continue;
        machine.disk.writeRaw(path, other);
        expect((await verifyBackupsOn(machine.process(), BACKUPS)).good, path).toBe(false);
      }
      fs.unlink(path);
      if (path.includes("/manifests/")) {
        await expect(verifyBackupsOn(machine.process(), BACKUPS)).rejects.toMatchObject({
          code: "backup_not_found",
        });
      } else {
        const { backups } = await verifyBackupsOn(machine.process(), BACKUPS);
        expect(backups[0]?.problems[0], path).toMatchObject({ what: "missing", path });
      }
      machine.disk.writeRaw(path, bytes);
    }
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
  });

  it("names files that no backup put there", async () => {
    const { machine } = await withBackup();
    const added = ["notes.txt", "manifests/old.json", `objects/ab/${"ab".repeat(31)}`, "objects/zz"];
    machine.disk.makeDirectory(`${BACKUPS}/objects/ab`);
    for (const name of added) machine.disk.writeRaw(`${BACKUPS}/${name}`, "x");
    const report = await verifyBackupsOn(machine.process(), BACKUPS);
    expect(report.unknown.map(({ path }) => path).sort()).toEqual(
      added.map((name) => `${BACKUPS}/${name}`).sort(),
    );
    expect(report).toMatchObject({ good: false, backups: [{ problemCount: 0 }] });
  });

  it("is remembered: the list says that a backup was found damaged, and that it is good again", async () => {
    const { machine, name } = await withBackup();
    const [manifest = ""] = filesOf(machine);
    const bytes = machine.disk.readRaw(manifest)!;
    machine.disk.writeRaw(manifest, bytes.toString().replace("sessions", "sessionz"));
    await verifyBackupsOn(machine.process(), BACKUPS);
    machine.disk.writeRaw(manifest, bytes);
    expect((await listBackupsOn(machine.process(), BACKUPS)).backups).toMatchObject([{ name, good: false }]);
    await verifyBackupsOn(machine.process(), BACKUPS, { name: "latest" });
    expect((await listBackupsOn(machine.process(), BACKUPS)).backups).toMatchObject([{ name, good: true }]);
  });

  it("a manifest that leads out of the new store is refused, however well it is signed", async () => {
    const { name } = await withBackup();
    const { composePart, parsePart } = await import("../../../src/care/backup/rows.js");
    const part = composePart(
      new Map([
        ["../../etc/x", { path: "../../etc/x", bytes: 0, sha256: "0".repeat(64), modifiedAt: 0, inode: "1" }],
      ]),
    );
    expect(() => parsePart(part)).toThrow("no file of a store");
    for (const path of ["", "/a", "a//b", "a/../b", "./a", "a/.", "a\0b", "a\\b"])
      expect(() => parsePart(Buffer.from(JSON.stringify([path])))).toThrow("no file of a store");
    expect(name).toMatch(/^\d{8}T\d{9}Z-[0-9a-f]{6}$/);
  });

  it("deep finds what the store itself had damaged, and says which session", async () => {
    const machine = new BackupMachine();
    const store = await machine.open();
    for (let n = 0; n < 4; n++) await commit(store);
    await store.checkpoint();
    await store.close();
    const path = `${STORE}/c/meta.json`;
    const bytes = machine.disk.readRaw(path)!;
    bytes[bytes.length - 5] = bytes[bytes.length - 5]! ^ 1;
    machine.disk.writeRaw(path, bytes);
    await createBackupOn(machine.process(), STORE, BACKUPS);
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
    const report = await verifyBackupsOn(machine.process(), BACKUPS, { deep: true, scratch: "/tmp" });
    expect(report.good).toBe(false);
    expect(report.backups[0]?.problems[0]?.file).toContain("c/meta.json");
    expect(machine.disk.names("/tmp")).toEqual([]);
  });
});
