/**
 * Goal: an operator whose disk is full, or mounted read-only, is told so in one line with the next step by prune and restore; nothing is
 * lost, and what goes on a full disk is in the archive.
 * Method: the built program on real file systems in memory, of a few megabytes or less, mounted for the test.
 */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openDirectoryStore } from "../../src/index.js";
import { canMountMemory, fill, memoryDisk } from "./support/memory-disk.js";
import { temporaryFolder } from "./support/temporary-folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const canMount = canMountMemory();
const KiB = 1024;
const SESSIONS = 500;
const DAY = 24 * 3600 * 1000;

function sessiondir(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

async function makeStore(path: string, sessions = SESSIONS): Promise<void> {
  const store = await openDirectoryStore<Record<string, unknown>>(path);
  for (let n = 0; n < sessions; n++)
    await store.put(`s${n}`, { updatedAt: Date.now() - 9 * DAY, text: randomBytes(300).toString("base64") });
  await store.checkpoint();
  await store.close();
}

const prune = (store: string, ...more: string[]): ReturnType<typeof sessiondir> =>
  sessiondir("prune", "--older-than", "7d", "--yes-remove", `${SESSIONS}`, "--store", store, ...more);

function keysIn(store: string): string[] {
  const { stdout } = sessiondir("ls", "--store", store, "--json");
  return (JSON.parse(stdout) as { sessions: { key: string }[] }).sessions.map(({ key }) => key);
}

function archived(store: string, archive: string): string[] {
  const { stdout } = sessiondir("restore", "--list", "--store", store, "--archive", archive, "--json");
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { key: string }).key);
}

describe.runIf(canMount)(`disks${canMount ? "" : " (skipped: only root can mount some)"}`, () => {
  it("an archive that fills its disk: what went is in it, the rest stays, and room helps", async () => {
    const store = join(temporaryFolder(), "sessions.d");
    await makeStore(store);
    const disk = memoryDisk(130 * KiB).path;
    const archive = join(disk, "archive");
    const full = prune(store, "--archive", archive);
    expect(full).toMatchObject({ status: 1, stdout: "" });
    const left = keysIn(store);
    const gone = SESSIONS - left.length;
    expect(full.stderr).toMatch(
      new RegExp(
        `^sessiondir: could not write to .*archive.*ENOSPC\\. ${gone} of ${SESSIONS} sessions are archived to .* the others are in the store as they were: .*--archive.*\\n$`,
      ),
    );
    expect(gone).toBeGreaterThan(100);
    expect(left.length).toBeGreaterThan(100);
    expect(archived(store, archive)).toHaveLength(gone);
    const [back = ""] = archived(store, archive);
    expect(sessiondir("restore", back, "--store", store, "--archive", archive).status).toBe(0);

    const none = prune(store, "--archive", archive);
    expect(none.status).toBe(1);
    expect(none.stderr).toContain("Nothing was changed: free some space");
    expect(readdirSync(archive)).toHaveLength(2); // no file was left for nothing

    const other = join(temporaryFolder(), "archive");
    expect(prune(store, "--archive", other)).toMatchObject({ status: 0, stderr: "" });
    expect(keysIn(store)).toEqual([]);
    expect(archived(store, other)).toHaveLength(left.length + 1);
  }, 60_000);

  it("a store on a full disk: sessions go to an archive on another one, and give their room", async () => {
    const disk = memoryDisk(8192 * KiB).path;
    const store = join(disk, "sessions.d");
    await makeStore(store);
    const filler = fill(disk);
    const archive = join(temporaryFolder(), "archive");
    const ended = prune(store, "--archive", archive);
    expect(ended).toMatchObject({ status: 0, stdout: expect.stringMatching(/^removed 500 of 500/) });
    expect(keysIn(store)).toEqual([]);
    expect(archived(store, archive)).toHaveLength(SESSIONS);
    rmSync(filler);
  }, 60_000);

  it("a read-only disk: looking works, everything else says what to do", async () => {
    const { path: disk, freeze } = memoryDisk(8192 * KiB);
    const store = join(disk, "sessions.d");
    const archive = join(disk, "sessions.archive");
    await makeStore(store);
    expect(prune(store, "--keys", "s1*").status).toBe(0);
    const gone = archived(store, archive);
    const left = keysIn(store);
    freeze();
    expect(prune(store, "--dry-run")).toMatchObject({ status: 0, stderr: "" });
    expect(prune(store, "--explain", left[0] ?? "")).toMatchObject({ status: 0, stderr: "" });
    expect(sessiondir("prune", "--history", "--store", store)).toMatchObject({ status: 0, stderr: "" });
    expect(sessiondir("restore", "s1", "--dry-run", "--store", store)).toMatchObject({
      status: 0,
      stderr: "",
    });
    for (const ended of [prune(store), sessiondir("restore", "s1", "--store", store)]) {
      expect(ended).toMatchObject({ status: 1, stdout: "" });
      expect(ended.stderr).toMatch(/^sessiondir: .*EROFS.*mounted read-only.*\n$/);
    }
    // The store can be written, the archive's disk cannot.
    const other = join(temporaryFolder(), "other.d");
    await makeStore(other, 3);
    const refused = prune(other, "--archive", join(disk, "new.archive"));
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^sessiondir: .*EROFS.*\n$/);
    expect(keysIn(other)).toHaveLength(3);
    expect(archived(store, archive)).toEqual(gone);
    expect(keysIn(store)).toEqual(left);
  }, 60_000);
});
