/**
 * The manifest of a backup: one line, the SHA-256 of the JSON behind it, a space, and the JSON. It names the parts of the
 * list of files (`rows.ts`), and they name the files' contents, each by its hash: who has read a manifest knows whether
 * each byte of the backup is right.
 *
 * It is written last and comes by a rename, so a backup is there as a whole or not at all.
 */
import { errnoOf, SessionStoreError } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { unlessMissing } from "../../fs/missing.js";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesInNow } from "../../fs/status.js";
import { isCount } from "../../format/stored-value.js";
import { isBackupName, nameOfManifest, TIME_MAX, type BackupFolder } from "./folder.js";
import { hashOf, isHash, readObject, type Fault } from "./objects.js";
import { addUp, parsePart, type Changes, type ListPart, type Row } from "./rows.js";
import type { BackupInfo, LeftOut } from "./types.js";

export interface Manifest extends BackupInfo {
  /** Staging folders of the log's segments: without them a process that opens the store writes no files. */
  readonly stages: readonly string[];
  /** Newest first. */
  readonly lists: readonly ListPart[];
}

const FORM = 1;
/** Parts grow by a factor, so there are a dozen; staging folders as many as segments of a log. */
const MANIFEST_BYTES_MAX = 4 * 1024 * 1024;
const STAGE = /^[1-9]\d{0,14}-[0-9a-f]+$/;

export function composeManifest(manifest: Manifest): Buffer {
  const json = JSON.stringify({ form: FORM, ...manifest });
  return Buffer.from(`${hashOf(Buffer.from(json))} ${json}\n`);
}

/** @returns What is wrong with it, if it is not one. */
export function parseManifest(bytes: Buffer, name: string, ofStore: string): Manifest | string {
  const text = bytes.toString("utf8");
  const json = text.slice(65, -1);
  if (text[64] !== " " || !text.endsWith("\n") || hashOf(Buffer.from(json)) !== text.slice(0, 64))
    return "its content does not match its checksum";
  const parsed: unknown = JSON.parse(json);
  if (typeof parsed !== "object" || parsed === null) return "it is no description of a backup";
  const value = parsed as { form: unknown } & Manifest;
  if (value.form !== FORM) return `it has the form ${String(value.form)}, this version knows form ${FORM}`;
  const { revision, sessions, files, startedAt, endedAt, writtenBytes, storeId, store } = value;
  const counts = [revision, sessions, files, value.bytes, writtenBytes, value.damaged, startedAt, endedAt];
  const stages: unknown = value.stages;
  const lists: unknown = value.lists;
  const leftOut: unknown = value.leftOut;
  const ok =
    value.name === name &&
    counts.every(isCount) &&
    Math.max(startedAt, endedAt) <= TIME_MAX &&
    typeof storeId === "string" &&
    typeof store === "string" &&
    Array.isArray(stages) &&
    stages.every((stage: unknown) => typeof stage === "string" && STAGE.test(stage)) &&
    Array.isArray(lists) &&
    lists.every(isListPart) &&
    (leftOut === undefined || (Array.isArray(leftOut) && leftOut.every(isLeftOut)));
  if (!ok) return "it does not describe the backup of that name";
  return storeId === ofStore ? value : `it is of another store (${storeId})`;
}

function isListPart(value: unknown): value is ListPart {
  const { sha256, rows, bytes } = (value ?? {}) as Partial<ListPart>;
  return isHash(sha256) && isCount(rows) && isCount(bytes);
}

function isLeftOut(value: unknown): value is LeftOut {
  const { path, key, reason } = (value ?? {}) as Partial<LeftOut>;
  return (
    typeof path === "string" && typeof reason === "string" && (key === undefined || typeof key === "string")
  );
}

/** Member by member. */
export function leftOutOf({ path, key, reason }: LeftOut): LeftOut {
  return { path, ...(key !== undefined && { key }), reason };
}

/** Names of all backups, newest first. A manifest that cannot be read is among them. */
export function backupNames(fs: FileSystem, folder: BackupFolder): string[] {
  const names = namesInNow(fs, folder.manifests).map(nameOfManifest);
  return names.filter((name) => name !== undefined).reverse();
}

/**
 * @param name As the user gave it; `"latest"` is the newest one.
 * @throws `backup_not_found`
 */
export function findName(fs: FileSystem, folder: BackupFolder, name: string): string {
  const names = backupNames(fs, folder);
  const [newest] = names;
  if (newest === undefined) {
    throw new SessionStoreError(
      "backup_not_found",
      `there is no backup in ${folder.path} yet. sessiondir backup create makes one.`,
      { data: { path: folder.path } },
    );
  }
  if (name === "latest") return newest;
  if (isBackupName(name) && names.includes(name)) return name;
  throw new SessionStoreError(
    "backup_not_found",
    `there is no backup ${JSON.stringify(name)} in ${folder.path}. sessiondir backup list names them; the newest is ${newest}.`,
    { data: { path: folder.path, name } },
  );
}

/** @returns What is wrong with it, if it cannot be read; undefined where it is gone. */
export function readManifest(
  fs: FileSystem,
  folder: BackupFolder,
  name: string,
): Manifest | string | undefined {
  try {
    const limits = { bytesMax: MANIFEST_BYTES_MAX };
    const bytes = unlessMissing(() => readRegularFile(fs, folder.manifest(name), limits));
    return bytes === undefined ? undefined : parseManifest(bytes, name, folder.storeId);
  } catch (error) {
    if (errnoOf(error) === "EIO") return "the disk cannot read it";
    if (error instanceof SyntaxError) return "it is not JSON";
    if (error instanceof SessionStoreError && error.code === "file_unsafe") return error.message;
    throw error;
  }
}

/** @throws `backup_damaged` */
export function requireManifest(fs: FileSystem, folder: BackupFolder, name: string): Manifest {
  const manifest = readManifest(fs, folder, name);
  if (typeof manifest === "object") return manifest;
  throw damaged(folder.manifest(name), manifest ?? "it is not there", name);
}

export function damaged(path: string, reason: string, name: string): SessionStoreError {
  return new SessionStoreError(
    "backup_damaged",
    `backup ${name} is damaged: ${path}: ${reason}. Nothing was changed: use another one (sessiondir backup list).`,
    { data: { path, name, reason } },
  );
}

/** A part of a list of files. @returns What is wrong with it, if anything is. */
export function readPart(
  fs: FileSystem,
  folder: BackupFolder,
  { sha256, bytes, rows }: ListPart,
): { readonly changes: Changes } | Fault {
  const found = readObject(fs, folder, sha256, bytes);
  if (!("bytes" in found)) return found;
  try {
    const changes = parsePart(found.bytes);
    if (changes.size === rows) return { changes };
  } catch {
    // said below
  }
  return { what: "damaged", reason: "it is no list of files" };
}

/** All files of a backup. @throws `backup_damaged` */
export function readRows(fs: FileSystem, folder: BackupFolder, manifest: Manifest): Map<string, Row> {
  return addUp(manifest.lists.map((part) => requirePart(fs, folder, part, manifest.name)));
}

/** @throws `backup_damaged` */
export function requirePart(fs: FileSystem, folder: BackupFolder, part: ListPart, name: string): Changes {
  const found = readPart(fs, folder, part);
  if ("changes" in found) return found.changes;
  throw damaged(folder.object(part.sha256), found.reason, name);
}

/** What is told of a backup: member by member, for a manifest that was read may have others. */
export function infoOf(manifest: Manifest): BackupInfo {
  const {
    name,
    revision,
    startedAt,
    endedAt,
    sessions,
    damaged: lost,
    files,
    bytes,
    writtenBytes,
  } = manifest;
  const { storeId, store, leftOut } = manifest;
  return {
    name,
    revision,
    startedAt,
    endedAt,
    sessions,
    damaged: lost,
    ...(leftOut && { leftOut: leftOut.map(leftOutOf) }),
    files,
    bytes,
    writtenBytes,
    storeId,
    store,
  };
}
