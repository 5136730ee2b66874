/**
 * A folder of its own for every test, removed after it. Only after the processes of the test have ended: import
 * `child.ts` where both are used, it ends them.
 */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A new folder, mode 0700, that is removed when the running test has finished. */
export function temporaryFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, "sessiondir-process-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }), REMOVAL_MS_MAX);
  return folder;
}

/**
 * Like {@link temporaryFolder}, for a hundred thousand files: in memory where the system has a place for that and
 * enough room, for they would keep a busy disk, and whoever else needs it, for minutes.
 */
export function temporaryFolderForMany(): string {
  return temporaryFolder(hasRoom(MEMORY) ? MEMORY : tmpdir());
}

const MEMORY = "/dev/shm";
const ROOM_BYTES = 2 * 2 ** 30;
const ROOM_FILES = 500_000;
/** A disk that others keep busy takes its time for many files. */
const REMOVAL_MS_MAX = 600_000;

function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize, ffree } = statfsSync(folder);
    return bavail * bsize > ROOM_BYTES && ffree > ROOM_FILES;
  } catch {
    return false;
  }
}
