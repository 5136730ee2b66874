/**
 * Where else a session's file, or a shared value, may be found whole: in the quarantine, and in copies of the store that the
 * caller names. A copy counts only for exactly what was lost: the same key and revision, the same hash.
 */
import { createHash } from "node:crypto";
import { readRegularFile } from "../../fs/regular-file.js";
import { namesInNow } from "../../fs/status.js";
import { Layout } from "../../format/layout.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import { NOTE, readCopy } from "./kept-entries.js";
import type { Patient } from "./patient.js";

/** A whole entry file. */
export interface EntryCopy {
  readonly path: string;
  readonly revision: number;
  readonly bytes: Buffer;
}

/** @param revision The one that it must have; undefined: nothing says which copy is the right one, so there is none. */
export function findCopy(patient: Patient, key: string, revision: number | undefined): EntryCopy | undefined {
  if (revision === undefined) return undefined;
  const kept = patient.kept.filter((copy) => copy.key === key && copy.revision === revision);
  const backups = (patient.options.backups ?? []).map((backup) => new Layout(backup).entryFile(key));
  for (const path of [...kept.map((copy) => copy.path), ...backups]) {
    const found = readCopy(patient.fs, path);
    if (found?.key === key && found.revision === revision)
      return { path, revision, bytes: Buffer.from(found.bytes) };
  }
  return undefined;
}

/** Content of a shared value, wherever it is whole. @param elsewhere Further files that may have it. */
export function findValue(
  patient: Patient,
  hash: string,
  elsewhere: readonly string[] = [],
): Buffer | undefined {
  const { fs, layout, options } = patient;
  const among = (folder: string): string[] =>
    namesInNow(fs, folder)
      .filter((name) => name.includes(hash) && !name.endsWith(NOTE))
      .map((name) => `${folder}/${name}`);
  const places = [
    ...among(layout.trash),
    ...among(layout.quarantine),
    ...(options.backups ?? []).map((backup) => new Layout(backup).blob(hash)),
    ...[...(patient.host.labels?.keys() ?? [])].map((scratch) => new Layout(scratch).blob(hash)),
    ...elsewhere,
  ];
  for (const path of places) {
    const bytes = contentOf(patient, path);
    if (bytes !== undefined && hashOf(bytes) === hash) return Buffer.from(bytes);
  }
  return undefined;
}

/** @returns Undefined for what cannot be read, whatever it is. */
export function contentOf({ fs }: Patient, path: string): Buffer | undefined {
  try {
    return readRegularFile(fs, path, { bytesMax: DEFAULT_LIMITS.blobBytesMax });
  } catch {
    return undefined;
  }
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Names in the quarantine begin with so much of a folder's name. */
export const KEPT_NAME_CHARACTERS = 160;
