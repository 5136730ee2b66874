/**
 * Goal: neither a clock that jumps nor company (a prune beside a restore or a verify, a damaged backup beside good ones) makes people take
 * an old backup for the newest, lose a good one, or hear of damage where there is none.
 * Method: simulated processes whose clocks are hours apart; a prune runs inside of another process's call.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, RESTORED, STORE, type Host } from "./backup-machine.js";

/** A backup for each clock, each with one commit more. @param hours What the clock says, from the first one. */
async function backups(...hours: readonly number[]): Promise<{ machine: BackupMachine; names: string[] }> {
  const machine = new BackupMachine();
  const names: string[] = [];
  for (const hour of hours) {
    const store = await machine.open();
    await commit(store);
    await store.close();
    names.push((await createBackupOn(machine.process("still", hour), STORE, BACKUPS)).name);
  }
  return { machine, names };
}

function damage(machine: BackupMachine, name: string): void {
  machine.disk.writeRaw(`${BACKUPS}/manifests/${name}.json`, "x");
}

describe("a clock that was set back", () => {
  it.each([-3, -24, -24 * 365 * 40])(
    "by %d hours: the newest backup is the one that was made last",
    async (hours) => {
      const { machine, names } = await backups(0, hours, hours + 1);
      const { name, revision } = await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
      expect(name).toBe(names[2]);
      const { backups: listed } = await listBackupsOn(machine.process(), BACKUPS);
      expect(listed.map((one) => one.name)).toEqual(names.toReversed());
      expect(listed[0]?.revision).toBe(revision);
      // What was begun when is told by the clock of then.
      expect(listed[0]!.startedAt).toBeLessThan(listed[2]!.startedAt);
    },
  );

  it("the days of backups are those of when they were made, so that no day's goes for a wrong one", async () => {
    // The clock was three days ahead at the first one, and names go on behind it.
    const { machine, names } = await backups(72, 0, 24, 48);
    const { kept } = await pruneBackupsOn(machine.process("still", 49), BACKUPS, { daily: 9 });
    expect(kept).toEqual(names.toReversed());
  });

  it("a claim of before that, which nobody holds, is gone an hour later", async () => {
    const { machine } = await backups(0, 1);
    const claim = `${BACKUPS}/making/0123456789abcdef`;
    machine.disk.makeDirectory(claim);
    machine.disk.setStatus(claim, { modifiedAt: Date.UTC(2036, 0) });
    expect(await pruneBackupsOn(machine.process("still", 2), BACKUPS, { last: 1 })).toMatchObject({
      postponed: true,
    });
    expect(machine.disk.names(claim)).toEqual([]);
    expect(await pruneBackupsOn(machine.process("still", 4), BACKUPS, { last: 1 })).toMatchObject({
      postponed: false,
    });
    expect(machine.disk.names(`${BACKUPS}/making`)).toEqual([]);
  });
});

describe("a prune", () => {
  it("keeps a good backup of a day whose newest one is damaged", async () => {
    const { machine, names } = await backups(0, 1, 24, 25);
    damage(machine, names[1]!);
    const { kept, removed, postponed } = await pruneBackupsOn(machine.process("still", 26), BACKUPS, {
      daily: 2,
    });
    expect(postponed).toBe(true); // nobody knows what the damaged one needs
    expect(kept).toEqual([names[3], names[1], names[0]]);
    expect(removed).toEqual([names[2]]);
  });

  /** What a prune leaves of a backup, by the time that somebody who has read its manifest reads on. */
  function pruneInside(machine: BackupMachine, host: Host, name: string): void {
    let isKnown = false;
    host.fs.onCall = (call) => {
      const path = String(call.args[0]);
      if (call.name !== "open") return;
      if (path.endsWith(`/${name}.json`)) isKnown = true;
      if (!isKnown || !path.includes("/objects/")) return;
      host.fs.onCall = undefined;
      machine.disk.removeRaw(`${BACKUPS}/manifests/${name}.json`);
      for (const prefix of machine.disk.names(`${BACKUPS}/objects`))
        for (const hash of machine.disk.names(`${BACKUPS}/objects/${prefix}`))
          machine.disk.removeRaw(`${BACKUPS}/objects/${prefix}/${hash}`);
    };
  }

  it("beside a restore of what it removes: that is said, and not that the backup is damaged", async () => {
    const { machine, names } = await backups(0, 1);
    const host = machine.process();
    pruneInside(machine, host, names[0]!);
    await expect(restoreBackupOn(host, BACKUPS, RESTORED, { name: names[0]! })).rejects.toMatchObject({
      code: "backup_not_found",
      data: { name: names[0] },
    });
    expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
  });

  it("beside a verify of what it removes: the others are good", async () => {
    const { machine, names } = await backups(0, 1);
    const host = machine.process();
    pruneInside(machine, host, names[0]!);
    const { good, backups: verified } = await verifyBackupsOn(host, BACKUPS);
    expect(verified.map(({ name }) => name)).toEqual([names[1]]);
    expect(good).toBe(true);
  });
});

describe("two first attempts at once", () => {
  const RECORD = `${BACKUPS}/record.jsonl`;

  async function machineWithStore(): Promise<BackupMachine> {
    const machine = new BackupMachine();
    const store = await machine.open();
    await commit(store);
    await store.close();
    return machine;
  }

  it("make the record together: the other one makes it first", async () => {
    const machine = await machineWithStore();
    const warned: string[] = [];
    const onWarning = ({ code }: { readonly code: string }): void => void warned.push(code);
    const host = machine.process();
    let other: Promise<unknown> | undefined;
    host.fs.gate = async ({ name, args }) => {
      if (name !== "open" || args[0] !== RECORD) return;
      await (other ??= createBackupOn(machine.process(), STORE, BACKUPS, { onWarning }));
    };
    await createBackupOn(host, STORE, BACKUPS, { onWarning });
    expect(other).toBeDefined();
    expect(warned).toEqual([]);
    const { attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(attempts.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual(["create done", "create done"]);
  });

  it("keep each other's lines: the other one writes into the record that this one has just made", async () => {
    const machine = await machineWithStore();
    const host = machine.process();
    let isMade = false;
    host.fs.onCall = ({ name, args }) => {
      if (name === "open") isMade ||= args[0] === RECORD && args[1] === "create";
      if (name !== "write" || !isMade) return;
      host.fs.onCall = undefined;
      const { fs } = machine.process();
      const line = Buffer.from(`${JSON.stringify({ id: "other", at: 1, what: "verify" })}\n`);
      const fd = fs.open(RECORD, "append");
      fs.write(fd, line, 0, line.length);
      fs.close(fd);
    };
    await createBackupOn(host, STORE, BACKUPS);
    const { attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(attempts.map(({ what, outcome }) => `${what} ${outcome}`)).toEqual([
      "create done",
      "verify killed",
    ]);
  });
});
