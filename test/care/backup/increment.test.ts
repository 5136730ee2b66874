/**
 * Goal: what did not change is not read and not written again; what a damaged object had is written anew from the store.
 * Method: the simulated disk, bytes counted; calls of the process that makes the backup.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import {
  changesBetween,
  composePart,
  mergeParts,
  parsePart,
  addUp,
  type Changes,
  type Row,
} from "../../../src/care/backup/rows.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { seededRandom } from "../../../src/testing/seeded-random.js";
import { many } from "../../support/thoroughness.js";
import { BACKUPS, BackupMachine, isChange, RESTORED, STORE } from "./backup-machine.js";

const SESSIONS = 600;
const ROUNDS = many(300, 60);

async function withSessions(): Promise<BackupMachine> {
  const machine = new BackupMachine();
  const store = await machine.open();
  for (let n = 0; n < SESSIONS; n++) await store.put(`agent:main:${n}`, { n, text: "word ".repeat(30) });
  await store.checkpoint();
  await store.close();
  return machine;
}

describe("a second backup", () => {
  it("writes what changed and no more than 3 % of the bytes, and only reads the store", async () => {
    const machine = await withSessions();
    const first = await createBackupOn(machine.process(), STORE, BACKUPS);
    expect(first.sessions).toBe(SESSIONS);
    const store = await machine.open();
    for (let n = 0; n < SESSIONS / 100; n++)
      await store.put(`agent:main:${n * 100}`, { n: -1, text: "other ".repeat(30) });
    await store.checkpoint();
    await store.close();
    // Later, so that no file of before can have been written to at the same tick of the clock.
    const host = machine.process("still", 1);
    host.fs.log = [];
    const before = machine.disk.usedBytes;
    const second = await createBackupOn(host, STORE, BACKUPS);
    const written = machine.disk.usedBytes - before;
    expect(second.writtenBytes).toBeGreaterThan(0);
    expect(second.writtenBytes).toBeLessThan(first.writtenBytes * 0.03);
    expect(written).toBeLessThan(first.writtenBytes * 0.03);
    const inStore = host.fs.log.filter(
      (call) => isChange(call) && JSON.stringify(call.args).includes("gateway"),
    );
    expect(inStore).toEqual([]);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    const restored = await machine.open(machine.process(), RESTORED);
    expect(await restored.get("agent:main:100")).toMatchObject({ n: -1 });
    expect(await restored.get("agent:main:101")).toMatchObject({ n: 101 });
    expect(await restored.count()).toBe(SESSIONS);
  });

  it("does not open files again that did not change since the one before", async () => {
    const machine = await withSessions();
    await createBackupOn(machine.process(), STORE, BACKUPS);
    await createBackupOn(machine.process("still", 1), STORE, BACKUPS); // the first one's files were too young
    const host = machine.process("still", 2);
    host.fs.log = [];
    const third = await createBackupOn(host, STORE, BACKUPS);
    expect(third.writtenBytes).toBe(0);
    const opened = host.fs.log.filter(
      ({ name, args }) => name === "open" && String(args[0]).endsWith("/meta.json"),
    );
    expect(opened).toEqual([]);
  });

  it("reads a file again that may have been written to at the same tick of the clock", async () => {
    const machine = new BackupMachine();
    const { disk } = machine;
    const store = await machine.open();
    await store.put("a", { n: 1 });
    await store.checkpoint();
    await store.close();
    const path = `${STORE}/a/meta.json`;
    const modifiedAt = machine.process().runtime.now();
    disk.setStatus(path, { modifiedAt });
    await createBackupOn(machine.process(), STORE, BACKUPS);
    // The same bytes, inode and time: only that it was so young tells that it has to be read again.
    const other = Buffer.from(String(disk.readRaw(path)).replace('"n":1', '"n":2'));
    disk.writeRaw(path, other);
    disk.setStatus(path, { modifiedAt });
    await createBackupOn(machine.process(), STORE, BACKUPS);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    expect(disk.readRaw(`${RESTORED}/a/meta.json`)).toEqual(other);
  });

  it("writes anew what is damaged or gone in the folder, and says so", async () => {
    const machine = await withSessions();
    await createBackupOn(machine.process(), STORE, BACKUPS);
    const { disk } = machine;
    const objects = `${BACKUPS}/objects`;
    const paths = disk
      .names(objects)
      .flatMap((prefix) => disk.names(`${objects}/${prefix}`).map((name) => `${objects}/${prefix}/${name}`));
    paths.forEach((path, index) => {
      if (index % 50 === 0) disk.writeRaw(path, "damaged");
      if (index % 50 === 1) machine.process().fs.unlink(path);
    });
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(false);
    const warnings: string[] = [];
    const onWarning = ({ code }: { code: string }): void => void warnings.push(code);
    const { name } = await createBackupOn(machine.process(), STORE, BACKUPS, { onWarning });
    expect(new Set(warnings)).toEqual(new Set(["backup_object_rewritten"]));
    expect((await verifyBackupsOn(machine.process(), BACKUPS, { name })).good).toBe(true);
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true); // the store still has what the first one had
  });
});

describe("the list of files", () => {
  it("in parts adds up to the same, whatever changed, and its parts stay few", () => {
    const random = seededRandom(3);
    const row = (path: string, version: number): Row => ({
      path,
      bytes: version,
      sha256: version.toString(16).padStart(64, "0"),
      modifiedAt: version,
      inode: String(version),
      ...(version % 7 === 0 && { pieces: ["a".repeat(64), "b".repeat(64)] }),
    });
    let rows = new Map<string, Row>();
    let stored: { part: { sha256: string; rows: number; bytes: number }; bytes: Buffer }[] = [];
    let written = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      const next = new Map(rows);
      for (let change = 0; change < (round === 1 ? 2000 : 20); change++) {
        const path = `s${Math.floor(random() * 2000)}/meta.json`;
        if (random() < 0.2) next.delete(path);
        else next.set(path, row(path, round * 100 + change));
      }
      const load = (part: { sha256: string }): Changes =>
        parsePart(stored.find((one) => one.part.sha256 === part.sha256)!.bytes);
      const { changes, rest } = mergeParts(
        changesBetween(rows, next),
        stored.map(({ part }) => part),
        load,
      );
      const bytes = composePart(changes);
      if (round > 1) written += changes.size;
      const part = { sha256: String(round), rows: changes.size, bytes: bytes.length };
      stored = [{ part, bytes }, ...stored.filter((one) => rest.includes(one.part))];
      expect(addUp(stored.map((one) => parsePart(one.bytes)))).toEqual(next);
      expect(stored.length).toBeLessThan(12);
      rows = next;
    }
    expect(written / (ROUNDS - 1)).toBeLessThan(20 * 12); // by what changed, times a few merges
  });
});
