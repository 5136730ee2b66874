/**
 * Goal: whatever lies in a folder of backups, whoever put it there: a typed error or a problem that is named, never another exception,
 * and never a file outside of the new store, or one in it that is no store's.
 * Method: manifests and lists with right checksums are forged on the simulated disk; nothing but the claimed place may change.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createBackupOn } from "../../../src/care/backup/create.js";
import { BackupFolder } from "../../../src/care/backup/folder.js";
import { listBackupsOn } from "../../../src/care/backup/list.js";
import { readManifest, type Manifest } from "../../../src/care/backup/manifest.js";
import { pruneBackupsOn } from "../../../src/care/backup/prune.js";
import { restoreBackupOn } from "../../../src/care/backup/restore.js";
import { isStorePath } from "../../../src/care/backup/rows.js";
import { verifyBackupsOn } from "../../../src/care/backup/verify.js";
import { BACKUPS, BackupMachine, commit, RESTORED, STORE } from "./backup-machine.js";

const FORGED = "20990101T000000000Z-abcdef";

async function withBackup(): Promise<{ readonly machine: BackupMachine; readonly name: string }> {
  const machine = new BackupMachine();
  const store = await machine.open();
  await commit(store);
  await store.close();
  const { name } = await createBackupOn(machine.process(), STORE, BACKUPS);
  return { machine, name };
}

const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

function put(machine: BackupMachine, bytes: Buffer): string {
  const hash = hashOf(bytes);
  const objects = `${BACKUPS}/objects`;
  const prefix = hash.slice(0, 2);
  if (!machine.disk.names(objects).includes(prefix)) machine.disk.makeDirectory(`${objects}/${prefix}`);
  machine.disk.writeRaw(`${objects}/${prefix}/${hash}`, bytes);
  return hash;
}

function putManifest(machine: BackupMachine, json: string, name = FORGED): void {
  const text = `${hashOf(Buffer.from(json))} ${json}\n`;
  machine.disk.writeRaw(`${BACKUPS}/manifests/${name}.json`, Buffer.from(text));
}

/** The backup that is there once more, with other members or further files. */
function forge(
  machine: BackupMachine,
  name: string,
  members: object,
  rows: readonly (readonly unknown[])[] = [],
): void {
  const { fs } = machine.process();
  const storeId = /"storeId":"(\w+)"/.exec(
    String(machine.disk.readRaw(`${BACKUPS}/sessiondir-backups.json`)),
  )![1]!;
  const real = readManifest(fs, new BackupFolder(BACKUPS, storeId), name) as Manifest;
  const part = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const added = { sha256: put(machine, part), rows: rows.length, bytes: part.length };
  const lists = rows.length === 0 ? real.lists : [added, ...real.lists];
  const files = real.files + rows.length;
  putManifest(machine, JSON.stringify({ form: 1, ...real, files, lists, name: FORGED, ...members }));
}

/** What every command makes of it. */
async function tryAll(machine: BackupMachine): Promise<void> {
  const host = machine.process();
  const coded = (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => {
      expect(error).toMatchObject({ name: "SessionStoreError" });
    });
  const { backups } = await listBackupsOn(host, BACKUPS);
  for (const { startedAt, endedAt, verifiedAt } of backups)
    for (const time of [startedAt, endedAt, verifiedAt])
      expect(() => new Date(time).toISOString()).not.toThrow();
  await coded(verifyBackupsOn(host, BACKUPS, { deep: true, scratch: "/tmp" }));
  expect(machine.disk.names("/tmp")).toEqual([]);
  for (const rule of ["last", "daily", "weekly", "monthly"])
    await coded(pruneBackupsOn(host, BACKUPS, { [rule]: 9 }, { dryRun: true }));
  await coded(createBackupOn(host, STORE, BACKUPS, { onWarning: () => {} }));
}

describe("a manifest with a right checksum", () => {
  it.each([
    ["null", "null"],
    ["a number", "5"],
    ["an array", "[]"],
    ["text", '"x"'],
    ["no JSON", "{"],
    ["__proto__", '{"form":1,"__proto__":{"name":"x"}}'],
    ["nested deeply", `{"form":1,"lists":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
  ])("that is %s: damaged, and no other exception", async (_, json) => {
    const { machine, name } = await withBackup();
    putManifest(machine, json);
    await tryAll(machine);
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: FORGED }),
    ).rejects.toMatchObject({ code: "backup_damaged" });
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name });
  });

  it.each([
    ["another store's id", { storeId: "another" }],
    ["times that no calendar has", { startedAt: 9e15, endedAt: 9e15 }],
    ["a huge revision", { revision: 1e300 }],
    ["a staging folder that leads out", { stages: ["../../x"] }],
    ["a list that is no hash", { lists: [{ sha256: "../../../etc/passwd", rows: 1, bytes: 1 }] }],
    ["more files than it lists", { files: 5000 }],
    ["another name", { name: "20260101T000000000Z-aaaaaa" }],
  ])("with %s: damaged", async (_, members) => {
    const { machine, name } = await withBackup();
    forge(machine, name, members);
    await tryAll(machine);
    const { backups } = await verifyBackupsOn(machine.process(), BACKUPS);
    expect(backups.filter(({ problemCount }) => problemCount > 0)).toMatchObject([{ name: FORGED }]);
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: FORGED }),
    ).rejects.toMatchObject({ code: "backup_damaged" });
    expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
  });

  it.each([
    ["another revision", { revision: 5 }],
    ["more sessions", { sessions: 50 }],
  ])("with %s than it has: only who opens it can tell, and a restore does", async (_, members) => {
    const { machine, name } = await withBackup();
    forge(machine, name, members);
    await tryAll(machine);
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: FORGED }),
    ).rejects.toMatchObject({ code: "backup_damaged" });
    expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
    const { backups } = await verifyBackupsOn(machine.process(), BACKUPS, { deep: true, scratch: "/tmp" });
    const bad = backups.filter(({ problemCount }) => problemCount > 0);
    expect(bad).toMatchObject([{ name: FORGED }]);
    expect(backups.length).toBeGreaterThan(1); // one that does not open hides no other one
  });

  it("whose name is no time is none", async () => {
    const { machine, name } = await withBackup();
    for (const wrong of [
      "99999999T999999999Z-aaaaaa",
      "20261301T000000000Z-aaaaaa",
      "20260101T000000000Z-AAAAAA",
    ])
      putManifest(machine, "{}", wrong);
    await tryAll(machine);
    expect((await listBackupsOn(machine.process(), BACKUPS)).backups.at(-1)?.name).toBe(name);
    expect((await verifyBackupsOn(machine.process(), BACKUPS)).unknown).toHaveLength(3);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED);
  });
});

describe("a list with a right checksum", () => {
  it.each([
    "../evil",
    "/etc/evil",
    "a/../../evil",
    ".bashrc",
    ".hidden/meta.json",
    ".store/meta.json",
    ".store.building-aa/format.json",
    ".store/stage/1-ab/x",
    ".store/reserve",
    ".store/durable",
    ".store/../../evil",
    "a",
    "a/b",
    "a/meta.json/x",
    "a/authorized_keys",
    "a/.meta.json",
    "__proto__",
    `${"n".repeat(300)}/meta.json`,
    `${"d/".repeat(30)}meta.json`,
    "a\0/meta.json",
    "",
    "/",
  ])("with the path %j: nothing is restored", async (path) => {
    const { machine, name } = await withBackup();
    expect(isStorePath(path)).toBe(false);
    const content = Buffer.from("x");
    forge(machine, name, {}, [[path, 1, put(machine, content), 1, "1"]]);
    const before = machine.disk.names("/");
    await tryAll(machine);
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: FORGED }),
    ).rejects.toMatchObject({ code: "backup_damaged" });
    expect(machine.disk.names("/home/gateway")).toEqual(["sessions.d"]);
    expect(machine.disk.names("/")).toEqual(before);
  });

  it("with the pieces of a file in another order: damaged", async () => {
    const { machine, name } = await withBackup();
    const [one, two] = [Buffer.from("one"), Buffer.from("two")];
    const whole = hashOf(Buffer.concat([one, two]));
    const row = ["a/meta.json", 6, whole, 1, "1", [put(machine, two), put(machine, one)]];
    forge(machine, name, {}, [row]);
    const { backups } = await verifyBackupsOn(machine.process(), BACKUPS, { name: FORGED });
    expect(backups[0]?.problems).toMatchObject([{ what: "damaged", file: "a/meta.json" }]);
    await expect(
      restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name: FORGED }),
    ).rejects.toMatchObject({ code: "backup_damaged" });
  });

  it("has every path that a store has", async () => {
    const { machine, name } = await withBackup();
    for (const path of [
      "__proto__/meta.json",
      "x~84a0/%2Emain.000000000001-17.jsonl",
      ".store/operations-6",
      ".store/catalog-6",
      ".store/catalog-6-4dbb0b523a03f03d",
    ])
      expect(isStorePath(path), path).toBe(true);
    await restoreBackupOn(machine.process(), BACKUPS, RESTORED, { name });
  });
});

describe("a record that anybody wrote", () => {
  it("tells what is an attempt, and nothing else", async () => {
    const { machine } = await withBackup();
    const path = `${BACKUPS}/record.jsonl`;
    const lines = [
      { id: "a", at: 1e300, what: "create" },
      { id: "b", at: "z", what: "verify" },
      { id: "c", at: 5, what: "create\u001b[31m" },
      { id: "d", at: 5, what: "create" },
      { id: "d", outcome: "\u001b[31m", error: null, durationMs: "x", name: "../x", revision: -1 },
      { id: "e", at: 5, what: "create" },
      { id: "e", outcome: "failed", error: "text", name: { toString: 1 } },
      { id: "__proto__", at: 5, what: "prune" },
      { id: "__proto__", outcome: "failed", error: { code: 5, message: {} } },
      null,
      [],
      5,
    ];
    const text = lines.map((line) => JSON.stringify(line)).join("\n");
    machine.disk.writeRaw(path, Buffer.concat([machine.disk.readRaw(path)!, Buffer.from(`${text}\n`)]));
    const { attempts } = await listBackupsOn(machine.process(), BACKUPS);
    expect(attempts.slice(0, -1)).toEqual([
      { at: 5, what: "prune", outcome: "failed" },
      { at: 5, what: "create", outcome: "failed" },
      { at: 5, what: "create", outcome: "killed" },
    ]);
    await tryAll(machine);
  });
});

describe("other things in the folders", () => {
  it("files and links in making and sweeping stop neither a backup nor a prune, and are not followed", async () => {
    const { machine } = await withBackup();
    for (const folder of ["making", "sweeping"]) {
      machine.disk.writeRaw(`${BACKUPS}/${folder}/.DS_Store`, "x");
      machine.disk.symlink(`${BACKUPS}/${folder}/link`, STORE);
    }
    const later = machine.process("still", 5);
    await createBackupOn(later, STORE, BACKUPS);
    expect(await pruneBackupsOn(later, BACKUPS, { last: 1 })).toMatchObject({
      postponed: false,
      removed: [expect.any(String)],
    });
    const store = await machine.open();
    expect(await store.count()).toBe(3);
  });
});

describe("a store's inside", () => {
  it("is no place for a restored store, nor for another one's backups", async () => {
    const { machine } = await withBackup();
    const other = await machine.open(machine.process(), "/home/gateway/other.d");
    await other.close();
    const before = machine.disk.tree("/home/gateway");
    for (const inside of ["other.d/x", "other.d/.store/x", "other.d/a/b/c"]) {
      const path = `/home/gateway/${inside}`;
      const refused = { code: "backup_place", data: { store: "/home/gateway/other.d" } };
      await expect(restoreBackupOn(machine.process(), BACKUPS, path)).rejects.toMatchObject(refused);
      await expect(createBackupOn(machine.process(), STORE, path)).rejects.toMatchObject(refused);
    }
    expect(machine.disk.tree("/home/gateway")).toEqual(before);
  });
});

it("a new store may have a name of any length that the file system takes", async () => {
  const { machine } = await withBackup();
  const path = `/home/gateway/${"é".repeat(120)}.d`;
  const host = machine.process();
  host.fs.log = [];
  await restoreBackupOn(host, BACKUPS, path);
  const longest = Math.max(
    ...host.fs.log
      .flatMap(({ args }) => args.filter((arg) => typeof arg === "string"))
      .map((arg) => Math.max(...arg.split("/").map((name) => Buffer.byteLength(name)))),
  );
  expect(longest).toBeLessThanOrEqual(255);
});
