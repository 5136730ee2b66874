/** Small file systems in memory, mounted for a test: disks that can be full, or read-only. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./temporary-folder.js";

/** Only root on Linux can. */
export function canMountMemory(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "sessiondir-mount-"));
  const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
  if (status === 0) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true });
  return status === 0;
}

/** A disk of its own, and how to make it one that nobody can write to. */
export function memoryDisk(bytes: number): { readonly path: string; readonly freeze: () => void } {
  const path = join(temporaryFolder(), "disk");
  mkdirSync(path, { mode: 0o700 });
  mount("-t", "tmpfs", "-o", `size=${bytes},mode=0700`, "tmpfs", path);
  onTestFinished(() => void spawnSync("umount", ["--lazy", path]));
  return { path, freeze: () => mount("-o", "remount,ro", path) };
}

/** Takes all the room that there is but for so many bytes. @returns The file that has it. */
export function fill(folder: string, butBytes = 0): string {
  const { bavail, bsize } = statfsSync(folder);
  const path = join(folder, ".filler");
  writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - butBytes)));
  return path;
}

function mount(...args: string[]): void {
  const { status, stderr } = spawnSync("mount", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}
