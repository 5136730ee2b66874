/** Whether each byte of a backup is the one that it was made of. Only reads. */
import { createHash, type Hash } from "node:crypto";
import type { BackupFolder } from "./folder.js";
import { readPart, type Manifest } from "./manifest.js";
import { PIECE_BYTES, readObject } from "./objects.js";
import { addUp, piecesOf, type Changes, type Row } from "./rows.js";
import type { BackupHost, BackupProblem } from "./types.js";

export interface Checked {
  readonly problems: readonly BackupProblem[];
  /** Undefined where the list itself is damaged. */
  readonly rows: ReadonlyMap<string, Row> | undefined;
}

/**
 * Reads all of a backup.
 * @param good Files that were found good, by hash: of several backups each is read once.
 */
export async function checkBackup(
  { fs }: BackupHost,
  folder: BackupFolder,
  manifest: Manifest,
  good: Set<string>,
  step: () => Promise<void>,
): Promise<Checked> {
  const problems: BackupProblem[] = [];
  const parts: Changes[] = [];
  for (const part of manifest.lists) {
    const found = readPart(fs, folder, part);
    if ("changes" in found) parts.push(found.changes);
    else problems.push({ ...found, path: folder.object(part.sha256) });
  }
  if (problems.length > 0) return { problems, rows: undefined };
  const rows = addUp(parts);
  for (const row of rows.values()) {
    await step();
    if (good.has(row.sha256)) continue;
    const problem = await readFile(fs, folder, row, () => {}, step);
    if (problem === undefined) good.add(row.sha256);
    else problems.push(problem);
  }
  if (rows.size !== manifest.files && problems.length === 0) {
    const reason = `it lists ${rows.size} files, and the manifest says ${manifest.files}`;
    problems.push({ what: "damaged", path: folder.manifest(manifest.name), reason });
  }
  return { problems, rows };
}

/**
 * Reads a file of a backup, piece by piece.
 * @param take Gets each piece, when it was found good.
 * @returns What is wrong, if anything is.
 */
export async function readFile(
  fs: BackupHost["fs"],
  folder: BackupFolder,
  row: Row,
  take: (bytes: Buffer) => void | Promise<void>,
  step: () => Promise<void>,
): Promise<BackupProblem | undefined> {
  const { path: file, sha256 } = row;
  const whole: Hash | undefined = row.pieces === undefined ? undefined : createHash("sha256");
  let bytes = 0;
  for (const hash of piecesOf(row)) {
    const path = folder.object(hash);
    const found = readObject(fs, folder, hash, PIECE_BYTES);
    if (!("bytes" in found)) return { ...found, path, file };
    whole?.update(found.bytes);
    bytes += found.bytes.length;
    await take(found.bytes);
    if (whole !== undefined) await step();
  }
  if (bytes === row.bytes && (whole === undefined || whole.digest("hex") === sha256)) return undefined;
  const reason = "its pieces are not what the file was";
  return { what: "damaged", path: folder.object(piecesOf(row)[0] ?? sha256), file, reason };
}
