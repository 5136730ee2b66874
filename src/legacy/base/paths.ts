/**
 * Names of everything around one legacy store. All are siblings of `NAME.json`, so that every step is one rename in
 * one folder:
 *
 *     NAME.json                     the legacy file
 *     NAME.d                        the store; where it has `.store/format.json`, it is the one that is authoritative
 *     NAME.d.building-<random>      a store that is not complete; nobody uses it
 *     NAME.d.removing-<random>      one that is being removed
 *     NAME.json.writing-<revision>-…  a legacy file that is not complete
 *     NAME.json.merging-<time>      a legacy file on its way into the store: merged first, then a backup
 *     NAME.json.saved-<time>        the source of a migration, or a file that was merged
 *     NAME.d.saved-<time>           the store of a rollback, or the older layout that was in `NAME.d`
 *
 * Not `.bak.<time>`: OpenClaw takes every `NAME.json.bak.*` for a copy that its rotation made, and keeps three of them.
 */
import { basename, dirname, extname, join, resolve } from "node:path";
import type { FileSystem } from "../../fs/file-system.js";
import { statusOf } from "../../fs/status.js";
import type { Runtime } from "../../runtime.js";

export class LegacyPaths {
  /** The folder that holds all of them. */
  readonly folder: string;
  /** Last part of the legacy file's path. */
  readonly fileName: string;
  readonly file: string;
  readonly directoryName: string;
  readonly directory: string;

  /** @throws `TypeError` unless the target is `…/NAME.json` or `…/NAME.d`. */
  constructor(target: unknown) {
    if (typeof target !== "string" || target === "" || target.includes("\0")) {
      throw new TypeError("target must be the path of a legacy file …/NAME.json or of its store …/NAME.d");
    }
    const absolute = resolve(target);
    const extension = extname(absolute);
    if (extension !== ".json" && extension !== ".d") {
      throw new TypeError(`target must end in .json or .d, not ${JSON.stringify(basename(absolute))}`);
    }
    const name = basename(absolute, extension);
    this.folder = dirname(absolute);
    this.fileName = `${name}.json`;
    this.file = join(this.folder, this.fileName);
    this.directoryName = `${name}.d`;
    this.directory = join(this.folder, this.directoryName);
  }

  building(runtime: Runtime): string {
    return `${this.directory}.building-${runtime.randomName(8)}`;
  }

  removing(runtime: Runtime): string {
    return `${this.directory}.removing-${runtime.randomName(8)}`;
  }

  isUnfinishedDirectory(name: string): boolean {
    return (
      name.startsWith(`${this.directoryName}.building-`) || name.startsWith(`${this.directoryName}.removing-`)
    );
  }

  /** @param revision What the file will have at least: orders the writers, see mirror.ts. */
  writing(runtime: Runtime, revision: number): string {
    return `${this.file}.writing-${String(revision).padStart(16, "0")}-${runtime.randomName(8)}`;
  }

  /** Revision of a file that is not complete; undefined for any other name. */
  writingRevision(name: string): number | undefined {
    const digits = name.slice(`${this.fileName}.writing-`.length);
    return this.isUnfinishedFile(name) && /^\d{16}-/.test(digits) ? Number(digits.slice(0, 16)) : undefined;
  }

  isUnfinishedFile(name: string): boolean {
    return name.startsWith(`${this.fileName}.writing-`);
  }

  merging(runtime: Runtime): string {
    return `${this.file}.merging-${timestamp(runtime)}-${runtime.randomName(4)}`;
  }

  isMerging(name: string): boolean {
    return name.startsWith(`${this.fileName}.merging-`);
  }

  /** A copy of the legacy file: a backup of ours, one that an earlier version made, or one of OpenClaw's rotation. */
  isFileBackup(name: string): boolean {
    return name.startsWith(`${this.fileName}.saved-`) || name.startsWith(`${this.fileName}.bak.`);
  }

  isBackup(name: string): boolean {
    const { directoryName } = this;
    return (
      this.isFileBackup(name) ||
      name.startsWith(`${directoryName}.saved-`) ||
      name.startsWith(`${directoryName}.bak.`)
    );
  }
}

/** A name that does not exist yet, for a backup of `path`. */
export async function backupPath(fs: FileSystem, runtime: Runtime, path: string): Promise<string> {
  const plain = `${path}.saved-${timestamp(runtime)}`;
  for (let copy = 1; ; copy++) {
    const candidate = copy === 1 ? plain : `${plain}-${copy}`;
    if ((await statusOf(fs, candidate)) === undefined) return candidate;
  }
}

/** As in 2026-11-21T03-31-13.123Z: sorts by time, and no file system minds it. */
export function timestamp(runtime: Runtime): string {
  return new Date(runtime.now()).toISOString().replaceAll(":", "-");
}

/** For a POSIX shell, as in the next command of a report. */
export function shellQuoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
