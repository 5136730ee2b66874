/** What backups there are, and what the record tells of them. Only reads. */
import { asStoreError } from "../../errors.js";
import { openBackupFolder, timeOfName, type BackupFolder } from "./folder.js";
import { backupNames, infoOf, readManifest } from "./manifest.js";
import { readAttempts } from "./record.js";
import { settle } from "./settle.js";
import type { Attempt, BackupHost, BackupOptions, ListedBackup } from "./types.js";

export interface BackupList {
  /** The folder. */
  readonly path: string;
  /** Newest first. */
  readonly backups: readonly ListedBackup[];
  /** Attempts that the record has, newest first. */
  readonly attempts: readonly Attempt[];
}

export async function listBackupsOn(
  host: BackupHost,
  backups: string,
  options?: BackupOptions,
): Promise<BackupList> {
  const { trust } = settle(options, { backups });
  try {
    const folder = openBackupFolder(host, backups, trust);
    const attempts = readAttempts(host, folder).reverse();
    return await Promise.resolve({ path: folder.path, backups: listed(host, folder), attempts });
  } catch (error) {
    throw asStoreError(error, `list the backups in ${backups}`);
  }
}

/** Newest first. One whose manifest cannot be read is among them: it is not good. */
export function listed(host: BackupHost, folder: BackupFolder): ListedBackup[] {
  const verified = new Map<string, Attempt>();
  for (const attempt of readAttempts(host, folder))
    if (attempt.what === "verify" && attempt.name !== undefined) verified.set(attempt.name, attempt);
  return backupNames(host.fs, folder).flatMap((name) => {
    const manifest = readManifest(host.fs, folder, name);
    if (manifest === undefined) return [];
    const last = verified.get(name);
    if (typeof manifest === "string") {
      const startedAt = timeOfName(name);
      const nothing = { revision: 0, sessions: 0, damaged: 0, files: 0, bytes: 0, writtenBytes: 0 };
      const { storeId } = folder;
      return [
        {
          name,
          startedAt,
          endedAt: startedAt,
          ...nothing,
          storeId,
          store: "",
          verifiedAt: startedAt,
          good: false,
        },
      ];
    }
    const verifiedAt = last?.at ?? manifest.endedAt;
    return [{ ...infoOf(manifest), verifiedAt, good: last === undefined || last.outcome === "done" }];
  });
}
