/**
 * What has to be over before this process writes to a directory that is new to it.
 *
 * A directory comes by a migration, and a migration that was started from elsewhere knows no lock: while it read, somebody may
 * have written `sessions.json` once more; that is merged into the directory a moment after it has come. Were a session changed
 * in the directory before that, the newer of the two changes would replace the other one. So the first write of a process
 * waits until nobody holds the file's lock any more and nothing is left to be merged, and merges it itself if nobody does.
 *
 * Afterwards neither the lock nor the file matters: whoever gets the lock later finds the directory and writes there.
 */
import type { LegacyHost } from "../../legacy/base/host.js";
import { KnownFiles } from "../../legacy/merging/known-files.js";
import { LegacyPaths } from "../../legacy/base/paths.js";
import { hashFile } from "../../legacy/reading/read-file.js";
import { namesIn, statusOf } from "../../fs/status.js";
import { isMissing } from "../../fs/missing.js";
import { migrateTogether } from "../directory/migration.js";
import type { FileBackend } from "../backend/file-backend.js";
import { normalizeStoreSessionKey } from "../base/session-key.js";
import type { ResolvedSettings } from "../base/settings.js";

/** A migration merges what was written meanwhile within milliseconds, unless it was killed. */
const MERGE_WAIT_MS_MAX = 1000;
const POLL_MS = 10;

/** @param target Real path of the legacy file. @throws `legacy_locked`, and what reading the folder throws. */
export async function waitForMigration(
  host: LegacyHost,
  file: string,
  backend: FileBackend,
  { onWarning }: Pick<ResolvedSettings, "onWarning">,
): Promise<void> {
  await backend.waitForWriters();
  const { runtime } = host;
  const started = runtime.monotonic();
  while (await isAwaitingMerge(host, file)) {
    if (runtime.monotonic() - started < MERGE_WAIT_MS_MAX) {
      await runtime.sleep(POLL_MS);
      continue;
    }
    await backend.withLock(async () => {
      const report = await migrateTogether(host, file, { normalizeKey: normalizeStoreSessionKey });
      const { error } = report;
      if (error === undefined || !(await isAwaitingMerge(host, file))) return;
      // The directory is authoritative, whatever lies beside it: a person has to look at that file.
      const message = `${file} lies beside its directory store and could not be merged into it: ${error.message}`;
      onWarning({ code: "source_unreadable", message, data: { path: file, code: error.code } });
    });
    return;
  }
}

/** Whether there is a legacy file that is not known to be in the store; a mirror's is. */
async function isAwaitingMerge(host: LegacyHost, file: string): Promise<boolean> {
  const paths = new LegacyPaths(file);
  // In this order: a file that is renamed, in order to be merged, right after the first look is seen by the second one.
  const status = await statusOf(host.fs, file);
  if ((await namesIn(host.fs, paths.folder)).some((name) => paths.isMerging(name))) return true;
  if (status?.kind !== "file") return false;
  try {
    const { bytes, sha256 } = await hashFile(host, file);
    return !(await KnownFiles.load(host, paths.directory)).knows(bytes, sha256);
  } catch (error) {
    if (isMissing(error)) return true; // just being moved: look again
    throw error;
  }
}
