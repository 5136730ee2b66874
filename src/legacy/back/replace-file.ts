/** Putting a complete file in the place of a legacy file, only if that is still the one that was looked at. */
import { syncDirectory } from "../../fs/regular-file.js";
import { isMissing } from "../../fs/missing.js";
import { stampNow, type LegacyHost } from "../base/host.js";
import type { LegacyPaths } from "../base/paths.js";

/**
 * Looks and renames with nothing in between in this process: what an old gateway can slip into that gap of about
 * 10 µs is the one write that a mirror may lose. (Linux could exchange two names; Node cannot ask it to.)
 * @returns False when somebody else wrote the file meanwhile, or took ours away: nothing was changed.
 */
export async function replaceLegacyFile(
  host: LegacyHost,
  paths: LegacyPaths,
  complete: string,
  expected: string,
): Promise<boolean> {
  if (stampNow(host, paths.file) !== expected) return false;
  try {
    host.fs.rename(complete, paths.file);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  await syncDirectory(host.fs, paths.folder);
  return true;
}
