/**
 * Goal: an operator whose disk is full, or mounted read-only, is told so in one line with the next step, by each command; nothing
 * is made or lost.
 * Method: the built program on real file systems in memory, of a few megabytes, mounted for the test.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const canMount = triesToMount();

function triesToMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-mount-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
  if (status === 0) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true });
  return status === 0;
}

/** A disk of its own. */
function mounted(bytes: number): string {
  const path = join(temporaryFolder(), "disk");
  mkdirSync(path, { mode: 0o700 });
  mount("-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", path);
  onTestFinished(() => void spawnSync("umount", ["--lazy", path]));
  return path;
}

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function sessiondir(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

async function makeStore(path: string, sessions = 50): Promise<void> {
  const store = await openDirectoryStore<Record<string, unknown>>(path);
  for (let n = 0; n < sessions; n++)
    await store.put(`session ${n}`, { n, text: Math.random().toString(36).repeat(100) });
  await store.checkpoint();
  await store.close();
}

function fill(folder: string): void {
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(join(folder, ".filler"), Buffer.alloc(bavail * bsize));
}

const MiB = 2 ** 20;

describe.runIf(canMount)(`disks${canMount ? "" : " (skipped: only root can mount some)"}`, () => {
  it("a full disk for backups: refused, told, the older ones are good, and room helps", async () => {
    const store = join(temporaryFolder(), "sessions.d");
    await makeStore(store);
    const disk = mounted(4 * MiB);
    const backups = join(disk, "backups");
    expect(sessiondir("backup", "create", "--store", store, "--backups", backups).status).toBe(0);
    await makeStore(store, 200);
    fill(disk);
    const full = sessiondir("backup", "create", "--store", store, "--backups", backups);
    expect(full).toMatchObject({ status: 1, stdout: "" });
    expect(full.stderr).toMatch(/there is no room for a backup in .*backups.*sessiondir backup prune/);
    expect(readdirSync(join(backups, "manifests"))).toHaveLength(1);
    expect(readdirSync(join(backups, "making"))).toEqual([]);
    expect(sessiondir("backup", "verify", "--backups", backups).stdout).toMatch(/: good, 50 sessions/);
    const restored = sessiondir("backup", "restore", "--backups", backups, "--to", join(disk, "restored.d"));
    expect(restored.status).toBe(1);
    expect(restored.stderr).toMatch(/disk|room|space|ENOSPC/i);
    expect(readdirSync(disk).sort()).toEqual([".filler", "backups"]);
    const loop = ["--every", "1s", "--times", "2"];
    const run = sessiondir("backup", "run", "--store", store, "--backups", backups, ...loop);
    expect(run.status).toBe(1);
    expect(run.stderr.match(/there is no room for a backup/g)).toHaveLength(2);
    expect(sessiondir("backup", "prune", "--backups", backups, "--keep-last", "1").status).toBeOneOf([0, 1]);
    rmSync(join(disk, ".filler"));
    expect(sessiondir("backup", "create", "--store", store, "--backups", backups).status).toBe(0);
    expect(sessiondir("backup", "verify", "--backups", backups).stdout.match(/: good, /g)).toHaveLength(2);
  });

  it("a store that can only be read is backed up; backups that can only be read are verified and restored", async () => {
    const disk = mounted(8 * MiB);
    const store = join(disk, "sessions.d");
    await makeStore(store);
    mount("-o", "remount,ro", disk);
    const other = mounted(8 * MiB);
    const backups = join(other, "backups");
    const made = sessiondir("backup", "create", "--store", store, "--backups", backups);
    expect(made).toMatchObject({ status: 0, stderr: "" });
    mount("-o", "remount,ro", other);
    const again = sessiondir("backup", "create", "--store", store, "--backups", backups);
    expect(again).toMatchObject({ status: 1, stdout: "" });
    expect(again.stderr).toMatch(/EROFS.*mounted read-only/);
    const verify = sessiondir("backup", "verify", "--backups", backups);
    expect(verify.status).toBe(0);
    expect(verify.stderr).toMatch(/^sessiondir: warning: could not record the attempt .*EROFS/);
    expect(sessiondir("backup", "list", "--backups", backups)).toMatchObject({ status: 0, stderr: "" });
    const to = join(temporaryFolder(), "restored.d");
    expect(sessiondir("backup", "restore", "--backups", backups, "--to", to, "--quiet").status).toBe(0);
    expect(sessiondir("ls", "--store", to, "--json").stdout).toContain('"session 49"');
    const prune = sessiondir("backup", "prune", "--backups", backups, "--keep-last", "1");
    expect(prune).toMatchObject({ status: 1, stdout: "" });
    expect(prune.stderr).toMatch(/EROFS/);
    const nowhere = sessiondir("backup", "restore", "--backups", backups, "--to", join(disk, "restored.d"));
    expect(nowhere).toMatchObject({ status: 1, stdout: "" });
    expect(nowhere.stderr).toMatch(/EROFS/);
  });

  it("a disk that was not mounted: run does not make the folder a second time", async () => {
    const store = join(temporaryFolder(), "sessions.d");
    await makeStore(store);
    const disk = mounted(8 * MiB);
    const backups = join(disk, "backups");
    const args = ["backup", "run", "--store", store, "--backups", backups, "--every", "1s", "--times", "1"];
    expect(sessiondir(...args).status).toBe(0);
    spawnSync("umount", [disk]);
    // By itself it is a first attempt, which may make the folder; `createBackup` of a service says that it may not.
    const { createBackup } = await import("../../src/backup/index.js");
    await expect(createBackup(store, backups, { create: false })).rejects.toMatchObject({
      code: "backup_not_found",
    });
    expect(readdirSync(disk)).toEqual([]);
  });
});
