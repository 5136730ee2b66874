/**
 * Goal: a wrong place or argument is refused with a typed error that names it, before anything is made or changed.
 * Method: the simulated disk, compared before and after.
 */
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, RESTORED, STORE } from "./backup-machine.js";

async function withStore(): Promise<BackupMachine> {
  const machine = new BackupMachine();
  const store = await machine.open();
  await commit(store);
  await store.close();
  return machine;
}

describe("wrong places", () => {
  it("nothing there, other things there, a file, in the store, around the store", async () => {
    const machine = await withStore();
    machine.disk.makeDirectory("/mnt/other");
    machine.disk.writeRaw("/mnt/other/photo.jpg", "x");
    machine.disk.writeRaw("/mnt/file", "x");
    const before = machine.disk.tree();
    const host = machine.process();
    const refused = (work: Promise<unknown>, code: string): Promise<void> =>
      expect(work).rejects.toMatchObject({ code, data: { path: expect.any(String) as string } });
    await refused(createBackupOn(host, "/home/gateway/none.d", BACKUPS), "store_not_found");
    await refused(createBackupOn(host, "/mnt/other", BACKUPS), "not_a_store");
    for (const place of ["/mnt/other", "/mnt/file", `${STORE}/backups`, STORE, "/home/gateway", "/home"])
      await refused(createBackupOn(host, STORE, place), "backup_place");
    await refused(createBackupOn(host, STORE, BACKUPS, { create: false }), "backup_not_found");
    await refused(listBackupsOn(host, BACKUPS), "backup_not_found");
    await refused(verifyBackupsOn(host, BACKUPS), "backup_not_found");
    await refused(pruneBackupsOn(host, BACKUPS, { last: 1 }), "backup_not_found");
    await refused(restoreBackupOn(host, BACKUPS, RESTORED), "backup_not_found");
    await refused(listBackupsOn(host, "/mnt/other"), "backup_place");
    expect(machine.disk.tree()).toEqual(before);
  });

  it("another store's backups, and a restore to where something is", async () => {
    const machine = await withStore();
    const { name } = await createBackupOn(machine.process(), STORE, BACKUPS);
    const other = await machine.open(machine.process(), "/home/gateway/other.d");
    await other.close();
    await expect(createBackupOn(machine.process(), "/home/gateway/other.d", BACKUPS)).rejects.toMatchObject({
      code: "backup_place",
    });
    machine.disk.makeDirectory("/home/gateway/full.d");
    machine.disk.writeRaw("/home/gateway/full.d/x", "x");
    for (const to of [STORE, "/home/gateway/full.d", "/home/gateway/full.d/x", `${BACKUPS}/store`, BACKUPS])
      await expect(restoreBackupOn(machine.process(), BACKUPS, to)).rejects.toMatchObject({
        code: "backup_place",
      });
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: "20200101T000000000Z-000000" }),
    ).rejects.toMatchObject({
      code: "backup_not_found",
      data: { name: "20200101T000000000Z-000000" },
    });
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: "../manifests" }),
    ).rejects.toMatchObject({ code: "backup_not_found" });
    expect(machine.disk.names("/home/gateway").sort()).toEqual(["full.d", "other.d", "sessions.d"]);
    // An empty folder is as good as none.
    machine.disk.makeDirectory("/home/gateway/empty.d");
    await restoreBackupOn(machine.process(), BACKUPS, "/home/gateway/empty.d", { name });
    const restored = await machine.open(machine.process(), "/home/gateway/empty.d");
    expect(await restored.count()).toBe(3);
  });

  it("a store in the folder of its backups", async () => {
    const machine = await withStore();
    await createBackupOn(machine.process(), STORE, BACKUPS);
    machine.process().fs.rename(STORE, `${BACKUPS}/sessions.d`);
    await expect(createBackupOn(machine.process(), `${BACKUPS}/sessions.d`, BACKUPS)).rejects.toMatchObject({
      code: "backup_place",
    });
  });

  it("wrong arguments are a TypeError that names the argument", async () => {
    const machine = await withStore();
    const host = machine.process();
    await expect(createBackupOn(host, "", BACKUPS)).rejects.toThrow(/^store must/);
    await expect(createBackupOn(host, STORE, "a\0b")).rejects.toThrow(/^backups must/);
    await expect(createBackupOn(host, STORE, BACKUPS, { force: true } as never)).rejects.toThrow(/force/);
    await expect(createBackupOn(host, STORE, BACKUPS, { trust: "all" as never })).rejects.toThrow(
      /options\.trust/,
    );
    await expect(verifyBackupsOn(host, BACKUPS, { deep: 1 as never })).rejects.toThrow(/options\.deep/);
    await expect(restoreBackupOn(host, BACKUPS, RESTORED, { name: "" })).rejects.toThrow(/options\.name/);
    await expect(pruneBackupsOn(host, BACKUPS, { lst: 1 } as never)).rejects.toThrow(/lst/);
  });

  it("a folder that others may write to is not trusted", async () => {
    const machine = await withStore();
    machine.disk.makeDirectory("/mnt/open");
    machine.disk.setStatus("/mnt/open", { mode: 0o777 });
    await expect(createBackupOn(machine.process(), STORE, "/mnt/open/backups")).rejects.toMatchObject({
      code: "path_untrusted",
    });
  });
});

describe("what a store has that cannot be backed up", () => {
  it("a damaged log: no backup without a word, and the record says why", async () => {
    const machine = await withStore();
    const store = await machine.open();
    for (let n = 0; n < 3; n++) await commit(store);
    await store.close();
    const [segment = ""] = machine.disk.names(`${STORE}/.store/log`);
    const path = `${STORE}/.store/log/${segment}`;
    const bytes = machine.disk.readRaw(path)!;
    bytes[Math.floor(bytes.length / 2)] = bytes[Math.floor(bytes.length / 2)]! ^ 1;
    machine.disk.writeRaw(path, bytes);
    await expect(createBackupOn(machine.process(), STORE, BACKUPS)).rejects.toMatchObject({
      code: "log_damaged",
    });
    const { backups, attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(backups).toEqual([]);
    expect(attempts).toMatchObject([{ what: "create", outcome: "failed", error: { code: "log_damaged" } }]);
    expect(machine.disk.names(`${BACKUPS}/making`)).toEqual([]);
  });

  it("a log that was cut off at the end of a line", async () => {
    const machine = await withStore();
    const store = await machine.open();
    await commit(store);
    await store.flush(); // says how far the log is durable
    await store.close();
    const [segment = ""] = machine.disk.names(`${STORE}/.store/log`);
    const path = `${STORE}/.store/log/${segment}`;
    const bytes = machine.disk.readRaw(path)!;
    const end = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
    machine.disk.writeRaw(path, bytes.subarray(0, end));
    await expect(createBackupOn(machine.process(), STORE, BACKUPS)).rejects.toMatchObject({
      code: "log_damaged",
    });
  });

  it("a link in the place of a file: the file is left out, said, and counted", async () => {
    const machine = await withStore();
    const store = await machine.open();
    await store.checkpoint();
    await store.close();
    machine.process().fs.unlink(`${STORE}/c/meta.json`);
    machine.disk.writeRaw("/home/gateway/secret", "x");
    machine.disk.symlink(`${STORE}/c/meta.json`, "/home/gateway/secret");
    const warnings: string[] = [];
    const report = await createBackupOn(machine.process(), STORE, BACKUPS, {
      onWarning: ({ message }) => void warnings.push(message),
    });
    expect(report.damaged).toBe(1);
    expect(warnings).toEqual([expect.stringContaining(`${STORE}/c/meta.json`) as string]);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  });
});

describe("a file system that can do less", () => {
  it("folders that cannot be synced: it works, and is said", async () => {
    const machine = await withStore();
    const host = { ...machine.process(), fs: machine.disk.mount("bucket", { directorySync: false }) };
    const { warnings } = await createBackupOn(host, STORE, BACKUPS, { onWarning: () => {} });
    expect(warnings).toMatchObject([{ code: "durability_limited", data: { path: BACKUPS } }]);
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).good).toBe(true);
  });

  it("no hard links are made", async () => {
    const machine = await withStore();
    const host = machine.process();
    host.fs.log = [];
    await createBackupOn(host, STORE, BACKUPS);
    await restoreBackupOn(host, BACKUPS, RESTORED);
    expect(host.fs.log.filter(({ name }) => name === "link")).toEqual([]);
  });
});

describe("an abort", () => {
  it("leaves no claim, no half-made store, and an entry in the record", async () => {
    const machine = await withStore();
    const controller = new AbortController();
    const host = machine.process();
    host.fs.onCall = ({ name, args }) => {
      if (name === "rename" && String(args[1]).includes("/objects/")) controller.abort(new Error("enough"));
    };
    await expect(createBackupOn(host, STORE, BACKUPS, { signal: controller.signal })).rejects.toThrow(
      "enough",
    );
    expect(machine.disk.names(`${BACKUPS}/making`)).toEqual([]);
    const { attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(attempts).toMatchObject([
      { what: "create", outcome: "failed", error: { code: "Error", message: "enough" } },
    ]);
    await createBackupOn(machine.process(), STORE, BACKUPS);
    const stop = new AbortController();
    const restoring = machine.process();
    restoring.fs.onCall = ({ name, args }) => {
      if (name === "open" && String(args[0]).includes("restoring") && args[1] === "create")
        stop.abort(new Error("enough"));
    };
    await expect(restoreBackupOn(restoring, BACKUPS, RESTORED, { signal: stop.signal })).rejects.toThrow(
      "enough",
    );
    expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
  });
});
