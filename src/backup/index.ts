/** `sessiondir/backup`: consistent copies of a store in use, and stores from them. See docs/backup.md. */
import { createBackupOn } from "../care/backup/create.js";
import { listBackupsOn, type BackupList } from "../care/backup/list.js";
import { pruneBackupsOn } from "../care/backup/prune.js";
import { restoreBackupOn } from "../care/backup/restore.js";
import type {
  BackupHost,
  BackupOptions,
  CreateOptions,
  CreateReport,
  KeepRules,
  PruneOptions,
  PruneReport,
  RestoreOptions,
  RestoreReport,
  VerifyOptions,
  VerifyReport,
} from "../care/backup/types.js";
import { verifyBackupsOn } from "../care/backup/verify.js";
import { nodeFileSystem } from "../fs/node-file-system.js";
import { systemRuntime } from "../runtime.js";

export type { BackupList } from "../care/backup/list.js";
export type {
  Attempt,
  BackupInfo,
  BackupOptions,
  BackupProblem,
  BackupWarning,
  CreateOptions,
  CreateReport,
  KeepRules,
  ListedBackup,
  PruneOptions,
  PruneReport,
  RestoreOptions,
  RestoreReport,
  VerifiedBackup,
  VerifyOptions,
  VerifyReport,
} from "../care/backup/types.js";

const host: BackupHost = { fs: nodeFileSystem, runtime: systemRuntime };

/**
 * Makes a backup of a store in use, as of one revision, and verifies it. Writers are not waited for and do not wait; the
 * store is only read. Files that did not change since an earlier backup are not written again.
 * @param store Path of the store's directory.
 * @param backups Path of the folder of backups, on any file system; made where it does not exist. One for each store.
 * @returns What was made. `damaged` files could not be read in the store.
 * @throws `store_not_found`, `not_a_store`, `log_damaged`, `backup_place`, `backup_damaged`, `backup_overtaken`, `path_untrusted`,
 *   `disk_full`, `io_error`; the reason of the signal. No backup was made then, and those that are there are as they were.
 * @example
 * const { name, revision } = await createBackup("/var/lib/gateway/sessions.d", "/mnt/backups/gateway");
 */
export function createBackup(store: string, backups: string, options?: CreateOptions): Promise<CreateReport> {
  return createBackupOn(host, store, backups, options);
}

/**
 * The backups of a folder, and the attempts that its record has, each newest first.
 * @throws `backup_not_found`, `backup_place`, `path_untrusted`, `io_error`.
 */
export function listBackups(backups: string, options?: BackupOptions): Promise<BackupList> {
  return listBackupsOn(host, backups, options);
}

/**
 * Reads backups whole, and says what is damaged, missing or none of ours. What is found is in the report, and in the record.
 * @throws `backup_not_found`, `backup_place`, `path_untrusted`, `io_error`; the reason of the signal.
 */
export function verifyBackups(backups: string, options?: VerifyOptions): Promise<VerifyReport> {
  return verifyBackupsOn(host, backups, options);
}

/**
 * Makes a store of a backup, at the backup's revision. It counts when it was verified.
 * @param to Path of the new store: nothing may be there, or an empty folder.
 * @throws `backup_not_found`, `backup_place` (something is there), `backup_damaged`, `path_untrusted`, `file_system_unsupported`,
 *   `disk_full`, `io_error`; the reason of the signal. Nothing is there then.
 * @example
 * await restoreBackup("/mnt/backups/gateway", "/var/lib/gateway/sessions.d");
 */
export function restoreBackup(backups: string, to: string, options?: RestoreOptions): Promise<RestoreReport> {
  return restoreBackupOn(host, backups, to, options);
}

/**
 * Removes backups that no rule keeps, and what no backup needs any more. The newest never goes, nor the newest good one.
 * @param keep What stays; at least one rule.
 * @throws `TypeError` without a rule; `backup_not_found`, `backup_place`, `path_untrusted`, `io_error`; the reason of the signal.
 */
export function pruneBackups(backups: string, keep: KeepRules, options?: PruneOptions): Promise<PruneReport> {
  return pruneBackupsOn(host, backups, keep, options);
}
