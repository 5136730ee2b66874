/**
 * What is needed to run programs as other users: who can, a copy of the library that everybody may read, and changes
 * to whole trees.
 */
import { chmodSync, chownSync, cpSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../..", import.meta.url));

/** Users that no file of the system belongs to. */
export const SOMEBODY = 65534;
export const SOMEBODY_ELSE = 65533;

/** Only root can start a program as another user. */
export const canBeOthers = process.getuid?.() === 0;

/** Name of tests that run programs as other users: says so where they are skipped. */
export function asOthers(name: string): string {
  return canBeOthers ? name : `${name} (skipped: only root can run programs as another user: sudo npm test)`;
}

/** Copies the built library and the programs to a place that every user can read. @returns The programs' folder. */
export function copyPrograms(folder: string): string {
  const copy = join(folder, "library");
  cpSync(join(REPOSITORY, "dist"), join(copy, "dist"), { recursive: true });
  cpSync(join(REPOSITORY, "package.json"), join(copy, "package.json"));
  cpSync(join(REPOSITORY, "test/process/programs"), join(copy, "programs"), { recursive: true });
  chmodSync(folder, 0o755);
  for (const path of treeOf(copy)) chmodSync(path, lstatSync(path).isDirectory() ? 0o755 : 0o644);
  return join(copy, "programs");
}

/** Everything in a folder, itself first. */
export function treeOf(folder: string): string[] {
  return [folder, ...readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name)))];
}

export function giveTo(user: number, folder: string): void {
  for (const path of treeOf(folder)) chownSync(path, user, user);
}

/** Takes away every permission to write. */
export function protect(folder: string): void {
  for (const path of treeOf(folder)) chmodSync(path, lstatSync(path).isDirectory() ? 0o500 : 0o400);
}

/** What a tree is like, byte for byte: to be compared with the same tree later. */
export function fingerprint(folder: string): string[] {
  return treeOf(folder).map((path) => {
    const { mode, uid, gid, ino, nlink, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
    const status = [mode, uid, gid, ino, nlink, size, mtimeNs, ctimeNs].join(" ");
    return `${path} ${status} ${contentOf(path)}`;
  });
}

function contentOf(path: string): string {
  const status = lstatSync(path);
  if (status.isSymbolicLink()) return readlinkSync(path);
  return status.isFile() ? readFileSync(path, "base64") : "";
}
