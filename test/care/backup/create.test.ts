/**
 * Goal: a backup of a store in use is the store as of one revision, and what did not change is not written again.
 * Method: the real code on the simulated disk; writers that number their commits go on while backups are made, and each
 * restored store has to show the commits up to its revision and no other.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import {
  BACKUPS,
  BackupMachine,
  commit,
  expectPrefix,
  KEYS,
  RESTORED,
  revisionsOf,
  STORE,
} from "./backup-machine.js";

describe("a backup", () => {
  it("of an idle store is restored as it was, verified, listed and recorded", async () => {
    const machine = new BackupMachine();
    const store = await machine.open();
    for (let n = 0; n < 40; n++) await commit(store);
    const { revision } = await store.stats();
    const report = await createBackupOn(machine.process(), STORE, BACKUPS);
    expect(report).toMatchObject({
      revision,
      sessions: KEYS.length,
      damaged: 0,
      path: BACKUPS,
      warnings: [],
    });
    expect(report.writtenBytes).toBeGreaterThan(0);
    const verified = await verifyBackupsOn(machine.process(), BACKUPS, { deep: true, scratch: "/tmp" });
    expect(verified).toMatchObject({
      good: true,
      unknown: [],
      backups: [{ name: report.name, problemCount: 0 }],
    });
    expect(verified.backups[0]?.deep).toEqual({ sessions: 3, transcripts: 3, items: 120 });
    expect(machine.disk.names("/tmp")).toEqual([]);
    expect(await restoreBackupOn(machine.process(), BACKUPS, RESTORED)).toMatchObject({
      store: RESTORED,
      revision,
    });
    const restored = await machine.open(machine.process(), RESTORED);
    expect(await expectPrefix(restored, await revisionsOf(store))).toBe(40);
    // The restored store is one like any other: it goes on, flushes, checkpoints.
    await commit(restored);
    await restored.checkpoint();
    expect(await expectPrefix(restored, await revisionsOf(restored))).toBe(41);
    const { backups, attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(backups).toMatchObject([{ name: report.name, revision, good: true }]);
    expect(attempts.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual([
      "restore done",
      "verify done",
      "create done",
    ]);
  });

  it("has the shared values that came while its files were copied", async () => {
    const machine = new BackupMachine();
    const store = await machine.open();
    await commit(store);
    await store.checkpoint();
    const host = machine.process("ticking");
    let puts = 0;
    let put: Promise<unknown> | undefined;
    host.fs.onCall = ({ name, args }) => {
      // Behind the first look at values, before the log is read to its end; in each attempt.
      if (name === "lstat" && String(args[0]).endsWith("/c"))
        put = store.put("new", { value: `${++puts} `.repeat(400) });
    };
    const { revision } = await createBackupOn(host, STORE, BACKUPS);
    await put;
    expect(puts).toBe(1); // nothing was begun anew
    expect(revision).toBe(await store.revision());
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    const restored = await machine.open(machine.process(), RESTORED);
    expect(JSON.stringify(await restored.get("new"))).toContain("1 1 1 ");
  });

  it("of a store in use is a prefix of its log, whatever checkpoints do meanwhile", async () => {
    const machine = new BackupMachine();
    const store = await machine.open();
    let stop = false;
    const writing = (async () => {
      for (let n = 0; !stop; n++) {
        await commit(store);
        if (n % 7 === 0) await store.checkpoint();
        await new Promise(setImmediate);
      }
    })();
    const names: string[] = [];
    for (let round = 0; round < 25; round++)
      names.push((await createBackupOn(machine.process("ticking"), STORE, BACKUPS)).name);
    stop = true;
    await writing;
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
    const revisions = await revisionsOf(store);
    const seen = new Set<number>();
    for (const name of names) {
      const to = `${RESTORED}-${name}`;
      await restoreBackupOn(machine.process(), BACKUPS, to, { name });
      const restored = await machine.open(machine.process(), to);
      seen.add(await expectPrefix(restored, revisions));
      await restored.close();
    }
    expect(seen.size).toBeGreaterThan(15); // they were taken at different instants
  });
});
