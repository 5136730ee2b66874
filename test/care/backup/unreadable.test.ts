/**
 * Goal: what the system does not give of one session costs that session, or that file of it, and no backup: it is named when the backup is
 * made, in its manifest, and when it is restored, and all else is verified and comes back.
 * Method: calls on one session's folder or file of the simulated store fail while a backup is made.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import type { SimulatedCall } from "../../../src/testing/simulated/file-system.js";
import { systemError } from "../../../src/testing/simulated/system-error.js";
import { BACKUPS, BackupMachine, commit, KEYS, RESTORED, STORE } from "./backup-machine.js";

type Code = "EACCES" | "EIO" | "EPERM";

async function machineWith(work: (machine: BackupMachine) => Promise<void>): Promise<BackupMachine> {
  const machine = new BackupMachine();
  await work(machine);
  return machine;
}

const cold = (): Promise<BackupMachine> =>
  machineWith(async (machine) => {
    const store = await machine.open();
    await commit(store);
    await store.checkpoint();
    await store.close();
  });

/** Where the program sees a path of the store, whatever it calls the store's folder. */
const ends = (call: SimulatedCall, end: string): boolean => String(call.args[0]).endsWith(end);

/** A backup during which some calls fail. @returns What it told. */
async function backup(
  machine: BackupMachine,
  code: Code,
  fails: (call: SimulatedCall) => boolean,
): Promise<{ report: Awaited<ReturnType<typeof createBackupOn>>; told: object[] }> {
  const host = machine.process();
  let failed = 0;
  host.fs.onCall = (call) => {
    if (!fails(call)) return;
    failed++;
    throw systemError(code, call);
  };
  const told: object[] = [];
  const report = await createBackupOn(host, STORE, BACKUPS, {
    onWarning: ({ code: what, data }) => void told.push({ code: what, ...data }),
  });
  expect(failed).toBeGreaterThan(0);
  return { report, told };
}

const KEY = "c";
const REASONS = {
  EACCES: "this user may not read it",
  EPERM: "this user may not read it",
  EIO: "the disk cannot read it",
};

describe("a session's folder that cannot be read", () => {
  it.each([
    ["readdir", "EACCES"],
    ["readdir", "EIO"],
    ["lstat", "EIO"],
    ["readdir", "EPERM"],
  ] as const)("%s fails with %s: the backup has all else, and names it", async (name, code) => {
    const machine = await cold();
    const { report, told } = await backup(
      machine,
      code,
      (call) => call.name === name && ends(call, `/${KEY}`),
    );
    const leftOut = [{ path: KEY, key: KEY, reason: REASONS[code] }];
    expect(report).toMatchObject({ sessions: 2, damaged: 1, leftOut });
    expect(told).toEqual([{ code: "file_unsafe", path: `${STORE}/${KEY}`, key: KEY }]);
    await expectAllBut(machine, KEY, leftOut);
  });

  it("of a store without a catalog: the log tells whose it is, and has the record", async () => {
    const machine = await machineWith(async (one) => {
      const store = await one.open();
      await commit(store);
      await store.flush();
    });
    const isFolder = (call: SimulatedCall): boolean => call.name === "readdir" && ends(call, `/${KEY}`);
    const { report } = await backup(machine, "EACCES", isFolder);
    expect(report).toMatchObject({ sessions: 3, damaged: 1, leftOut: [{ path: KEY, key: KEY }] });
  });

  it("is backed up whole by the next one, when it can be read again", async () => {
    const machine = await cold();
    await backup(machine, "EACCES", (call) => call.name === "readdir" && ends(call, `/${KEY}`));
    const report = await createBackupOn(machine.process(), STORE, BACKUPS);
    expect(report).toMatchObject({ sessions: 3, damaged: 0, warnings: [] });
    expect(report.leftOut).toBeUndefined();
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    const restored = await machine.open(machine.process(), RESTORED);
    expect((await restored.list()).sessions.map(({ key }) => key)).toEqual(KEYS);
  });

  it("of a session that the log changes: the record is in the backup, its transcripts' files are not", async () => {
    const machine = await cold();
    const store = await machine.open();
    await commit(store);
    const { report, told } = await backup(
      machine,
      "EACCES",
      (call) => call.name === "readdir" && ends(call, `/${KEY}`),
    );
    expect(report).toMatchObject({ sessions: 3, damaged: 1, leftOut: [{ path: KEY, key: KEY }] });
    expect(told).toHaveLength(1);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
    const restored = await machine.open(machine.process(), RESTORED);
    expect(await restored.get(KEY)).toEqual(await store.get(KEY));
    // No item is handed out as if it were the first one.
    await expect(
      (async () => {
        for await (const item of restored.iterateItems(KEY, { transcript: "main" })) void item;
      })(),
    ).rejects.toMatchObject({ code: "transcript_damaged" });
  });
});

describe("a file that cannot be read", () => {
  it.each([
    ["lstat", "EIO"],
    ["open", "EACCES"],
    ["open", "EPERM"],
    ["open", "EIO"],
  ] as const)("a session's entry: %s fails with %s", async (name, code) => {
    const machine = await cold();
    const { report, told } = await backup(
      machine,
      code,
      (call) => call.name === name && ends(call, `/${KEY}/meta.json`),
    );
    const leftOut = [{ path: `${KEY}/meta.json`, key: KEY, reason: REASONS[code] }];
    expect(report).toMatchObject({ sessions: 2, damaged: 1, leftOut });
    expect(told).toEqual([{ code: "file_unsafe", path: `${STORE}/${KEY}/meta.json`, key: KEY }]);
    await expectAllBut(machine, KEY, leftOut);
  });

  it("a shared value that a session in the log needs: the backup is made all the same, and said to be without it", async () => {
    const machine = await machineWith(async (one) => {
      const store = await one.open();
      await commit(store);
      await store.close();
    });
    const isValue = (call: SimulatedCall): boolean =>
      call.name === "open" &&
      call.args[1] === "read" &&
      /\/blobs\/..\/[0-9a-f]{64}\.json$/.test(String(call.args[0]));
    const { report, told } = await backup(machine, "EACCES", isValue);
    expect(report).toMatchObject({ sessions: 3, damaged: KEYS.length });
    expect(told).toEqual(KEYS.map(() => expect.objectContaining({ code: "file_unsafe" }) as object));
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  });

  it("a folder of shared values: the same", async () => {
    const machine = await cold();
    const { report } = await backup(
      machine,
      "EACCES",
      (call) => call.name === "readdir" && /\/blobs\/[0-9a-f]{2}$/.test(String(call.args[0])),
    );
    const folder = { path: expect.stringMatching(/^\.store\/blobs\/..$/) as string, reason: REASONS.EACCES };
    expect(report).toMatchObject({ sessions: 3, damaged: KEYS.length, leftOut: KEYS.map(() => folder) });
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  });
});

describe("what is no part of the store is not left out silently", () => {
  it.each([
    ["the store's own folder of values", "/.store/blobs"],
    ["the store itself", "/."],
  ])("%s: no backup is made", async (_, end) => {
    const machine = await cold();
    const host = machine.process();
    host.fs.onCall = (call) => {
      if (call.name === "readdir" && ends(call, end)) throw systemError("EACCES", call);
    };
    await expect(createBackupOn(host, STORE, BACKUPS)).rejects.toMatchObject({ code: "io_error" });
    expect(machine.disk.names(`${BACKUPS}/manifests`)).toEqual([]);
  });

  it("the folder of backups fails: that is no damage of the store", async () => {
    const machine = await cold();
    const host = machine.process();
    host.fs.onCall = (call) => {
      const [path, mode] = call.args;
      if (call.name === "open" && mode === "create" && String(path).includes("/making/"))
        throw systemError("EIO", call);
    };
    await expect(createBackupOn(host, STORE, BACKUPS)).rejects.toMatchObject({ code: "io_error" });
  });
});

async function expectAllBut(machine: BackupMachine, lost: string, leftOut: readonly object[]): Promise<void> {
  expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
  const { backups } = await listBackupsOn(machine.process(), BACKUPS);
  expect(backups).toMatchObject([{ damaged: 1, leftOut, good: true }]);
  const { leftOut: told } = await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  expect(told).toEqual(leftOut);
  const restored = await machine.open(machine.process(), RESTORED);
  const { sessions, damaged } = await restored.list();
  expect(sessions.map(({ key }) => key)).toEqual(KEYS.filter((key) => key !== lost));
  expect(damaged).toMatchObject([{ key: lost }]);
}
