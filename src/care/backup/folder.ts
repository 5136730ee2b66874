/**
 * A folder of backups: what lies where in it, and whether one may be used as such.
 *
 *     backups/
 *     ├── sessiondir-backups.json    whose backups these are
 *     ├── record.jsonl               every attempt
 *     ├── manifests/<name>.json      one a backup: it counts from its manifest on
 *     ├── objects/bc/bc3c3f…         contents, each once, by SHA-256
 *     ├── making/<hex>/              a backup on its way
 *     └── sweeping/<hex>/            contents on their way out
 *
 * Files of the store that did not change are shared by content, so the folder needs nothing of its file system but
 * files and renames. A crash while it is made leaves an empty folder, or a temporary file with a dot in front.
 */
import { dirname, resolve } from "node:path";
import { SessionStoreError } from "../../errors.js";
import { ignoreExisting, unlessMissing } from "../../fs/missing.js";
import { createFile, readRegularFile } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import {
  assertTrustedFolders,
  assertTrustedParents,
  openTrustedRoot,
  type Trust,
} from "../../fs/trusted-path.js";
import { isSystemName, Layout } from "../../format/layout.js";
import { syncFolder } from "./sync-folder.js";
import type { BackupHost } from "./types.js";

const MARKER = "sessiondir-backups.json";
const KIND = "sessiondir-backups";
const FORM = 1;
const MARKER_BYTES_MAX = 64 * 1024;
const NAME = /^\d{8}T\d{9}Z-[0-9a-f]{6}$/;
/** The latest instant that a Date can be. */
export const TIME_MAX = 8.64e15;
/** The latest that a name can tell. */
const NAMED_TIME_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

export class BackupFolder {
  readonly record: string;
  readonly olderRecord: string;
  readonly manifests: string;
  readonly objects: string;
  readonly making: string;
  readonly sweeping: string;

  constructor(
    readonly path: string,
    /** Whose backups these are; empty while there is none. */
    readonly storeId: string,
  ) {
    this.record = `${path}/record.jsonl`;
    this.olderRecord = `${path}/record.1.jsonl`;
    this.manifests = `${path}/manifests`;
    this.objects = `${path}/objects`;
    this.making = `${path}/making`;
    this.sweeping = `${path}/sweeping`;
  }

  get folders(): readonly string[] {
    return [this.manifests, this.objects, this.making, this.sweeping];
  }

  manifest(name: string): string {
    return `${this.manifests}/${name}.json`;
  }

  objectFolder(hash: string): string {
    return `${this.objects}/${hash.slice(0, 2)}`;
  }

  object(hash: string): string {
    return `${this.objectFolder(hash)}/${hash}`;
  }

  /** Whether a name in the folder itself is one of ours. */
  isOurs(name: string): boolean {
    const ours = [this.record, this.olderRecord, ...this.folders].map((path) =>
      path.slice(this.path.length + 1),
    );
    return name === MARKER || ours.includes(name);
  }
}

/**
 * A backup's name from the time that it was begun; behind the newest one that is there, whatever the clock says by now: by their names
 * people and programs know which is the newest.
 * @param random Six hex digits.
 */
export function backupName(at: number, random: string, newest?: string): string {
  const after = newest === undefined ? 0 : timeOfName(newest) + 1;
  return `${new Date(Math.min(NAMED_TIME_MAX, Math.max(at, after))).toISOString().replaceAll(/[-:.]/g, "")}-${random}`;
}

export function isBackupName(name: string): boolean {
  return NAME.test(name) && Number.isFinite(timeOfName(name));
}

/** The name of the backup whose manifest a file is. */
export function nameOfManifest(file: string): string | undefined {
  const name = file.endsWith(".json") ? file.slice(0, -".json".length) : "";
  return isBackupName(name) ? name : undefined;
}

/** When a backup was begun, by its name: milliseconds since 1970. */
export function timeOfName(name: string): number {
  const [, year, month, day, hour, minute, second, ms] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z/.exec(name) ?? [];
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
}

/**
 * Opens a folder of backups that is there.
 * @throws `backup_not_found`, `backup_place` (it holds other things), `path_untrusted`, `format_unsupported`.
 */
export function openBackupFolder({ fs }: BackupHost, path: string, trust: Trust): BackupFolder {
  const absolute = resolve(path);
  const status = statusNow(fs, absolute);
  if (status === undefined) throw notFound(absolute);
  assertFolderKind(fs, absolute);
  const root = openTrustedRoot(fs, absolute, trust);
  const { realPath } = root;
  root.close();
  const marker = unlessMissing(() =>
    readRegularFile(fs, `${realPath}/${MARKER}`, { bytesMax: MARKER_BYTES_MAX }),
  );
  if (marker === undefined)
    throw isUnused(fs.readdir(realPath)) ? notFound(realPath) : holdsOthers(fs, realPath);
  const folder = new BackupFolder(realPath, storeIdOf(marker.toString(), realPath));
  assertTrustedFolders(fs, folder.folders, trust);
  return folder;
}

/** The same, for what writes: what is missing in it, or the folder itself, is made. */
export async function makeBackupFolder(
  host: BackupHost,
  path: string,
  trust: Trust,
  storeId: string,
): Promise<BackupFolder> {
  const { fs } = host;
  const absolute = resolve(path);
  if (statusNow(fs, absolute) === undefined) await makeFolders(host, absolute, trust);
  assertFolderKind(fs, absolute);
  const root = openTrustedRoot(fs, absolute, trust);
  const { realPath } = root;
  root.close();
  const marker = `${realPath}/${MARKER}`;
  if (statusNow(fs, marker) === undefined) {
    if (!isUnused(fs.readdir(realPath))) throw holdsOthers(fs, realPath);
    await writeMarker(host, realPath, marker, storeId);
  }
  const folder = assertOfStore(openBackupFolder(host, realPath, trust), storeId);
  for (const each of folder.folders) await ignoreExisting(fs.later.mkdir(each));
  await syncFolder(fs, realPath);
  return folder;
}

/**
 * Only looks: the same refusals as {@link makeBackupFolder}.
 * @returns What is there, or would be.
 */
export function planBackupFolder(
  host: BackupHost,
  path: string,
  trust: Trust,
  storeId: string,
): BackupFolder {
  const { fs } = host;
  const absolute = resolve(path);
  if (statusNow(fs, absolute) === undefined)
    return new BackupFolder(assertTrustedParents(fs, absolute, trust).realPath, storeId);
  assertFolderKind(fs, absolute);
  const root = openTrustedRoot(fs, absolute, trust);
  const { realPath } = root;
  root.close();
  if (statusNow(fs, `${realPath}/${MARKER}`) === undefined) {
    if (!isUnused(fs.readdir(realPath))) throw holdsOthers(fs, realPath);
    return new BackupFolder(realPath, storeId);
  }
  return assertOfStore(openBackupFolder(host, realPath, trust), storeId);
}

function assertOfStore(folder: BackupFolder, storeId: string): BackupFolder {
  if (folder.storeId === storeId) return folder;
  const { path } = folder;
  throw place(
    `${path} has the backups of another store (${folder.storeId}, and this one is ${storeId}). Nothing was written: ` +
      "give each store a folder of its own.",
    { path, found: folder.storeId, expected: storeId },
  );
}

async function makeFolders({ fs }: BackupHost, path: string, trust: Trust): Promise<void> {
  const { existing, missing } = assertTrustedParents(fs, path, trust);
  let folder = existing;
  for (const name of missing) {
    const parent = folder;
    folder = folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`;
    await ignoreExisting(fs.later.mkdir(folder));
    await syncFolder(fs, parent);
  }
}

/** By a rename, so that it is whole; another first backup of the same store writes the same. */
async function writeMarker(
  { fs, runtime }: BackupHost,
  realPath: string,
  marker: string,
  storeId: string,
): Promise<void> {
  const temporary = `${realPath}/.${runtime.randomName(8)}`;
  const text = JSON.stringify({ kind: KIND, form: FORM, storeId });
  await createFile(fs, temporary, Buffer.from(`${text}\n`), { sync: true });
  await fs.later.rename(temporary, marker);
  await syncFolder(fs, realPath);
  await syncFolder(fs, dirname(realPath));
}

function isUnused(names: readonly string[]): boolean {
  return names.every((name) => name.startsWith(".") || isSystemName(name));
}

function assertFolderKind(fs: BackupHost["fs"], path: string): void {
  const { kind } = fs.lstat(fs.realpath(path));
  if (kind === "directory") return;
  throw place(`${path} is not a folder. Nothing was written: give the path of a folder for backups.`, {
    path,
    kind,
  });
}

function storeIdOf(text: string, path: string): string {
  let value: { kind?: unknown; form?: unknown; storeId?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    value = null;
  }
  const { kind, form, storeId } = value ?? {};
  if (kind === KIND && form !== FORM) {
    throw new SessionStoreError(
      "format_unsupported",
      `${path} has backups of the form ${String(form)}, this version of sessiondir knows form ${FORM}. Update sessiondir.`,
      { data: { path, found: String(form), supported: FORM } },
    );
  }
  if (kind !== KIND || typeof storeId !== "string" || storeId === "") {
    throw new SessionStoreError(
      "backup_damaged",
      `${path}/${MARKER} cannot be read. It is one line, ${JSON.stringify({ kind: KIND, form: FORM, storeId: "…" })}: write it ` +
        "anew with the storeId of any manifest, or of the store's .store/format.json.",
      { data: { path: `${path}/${MARKER}` } },
    );
  }
  return storeId;
}

function holdsOthers(fs: BackupHost["fs"], path: string): SessionStoreError {
  const found = namesInNow(fs, path).find((name) => !name.startsWith(".") && !isSystemName(name));
  return place(
    `${path} is no folder of backups and holds other things, for example ${JSON.stringify(found)}. Nothing was written: give ` +
      "a folder that has backups, is empty, or does not exist.",
    { path, found },
  );
}

function notFound(path: string): SessionStoreError {
  return new SessionStoreError(
    "backup_not_found",
    `there are no backups at ${path}. Check the path; sessiondir backup create makes the first one.`,
    { data: { path } },
  );
}

/** @throws `backup_place` where a path is inside of a store: what lies there is taken for the store's own, and moves with it. */
export function assertOutsideStores(fs: BackupHost["fs"], path: string): void {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (statusNow(fs, new Layout(folder).format) !== undefined)
      throw place(
        `${path} is inside of the session store ${folder}. Nothing was written: give a place outside.`,
        {
          path,
          store: folder,
        },
      );
    if (folder === dirname(folder)) return;
  }
}

/** Refuses a place for backups, or for what is restored. */
export function place(message: string, data: SessionStoreError["data"]): SessionStoreError {
  return new SessionStoreError("backup_place", message, { data });
}
