/**
 * A copy of a legacy file that has grown large, beside it: `NAME.json.bak.<milliseconds>`, the three newest are kept.
 *
 * The copy is made under another name, synced and renamed, so a backup is whole or not there; a killed run leaves a
 * `NAME.json.writing-…`, which the next migration removes. Gateways replace the file as a whole, so what is read is one state of it.
 * Backups of migrations have other names (a date) and are not touched.
 */
import { join } from "node:path";
import { openRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { exists, namesIn } from "../../fs/status.js";
import { ignoreMissing, isMissing } from "../../fs/missing.js";
import { writeAll } from "../../fs/write-all.js";
import { systemHost, type LegacyHost } from "../../legacy/base/host.js";
import { LegacyPaths } from "../../legacy/base/paths.js";
import { resolveStoreTarget } from "../base/store-target.js";
import { resolveMaintenanceConfig } from "./config.js";

const BACKUPS_MAX = 3;
const CHUNK_BYTES = 1024 * 1024;

/**
 * Backs up a legacy `sessions.json` that is larger than `maxBytes`. The file itself stays. With a directory store there is
 * nothing to do.
 * @param maxBytes Default: what `resolveMaintenanceConfig()` says. 0 and less: never.
 * @returns Whether a backup was made.
 * @throws `TypeError` for a wrong path or limit; `file_unsafe` for a link or a device; the system's own error otherwise.
 */
export function rotateSessionFile(storePath: string, maxBytes?: number): Promise<boolean> {
  return rotateOn(systemHost, storePath, maxBytes);
}

/** The same on a host of the caller's. */
export async function rotateOn(
  host: LegacyHost,
  storePath: string,
  maxBytes: number = resolveMaintenanceConfig().rotateBytes,
): Promise<boolean> {
  if (typeof maxBytes !== "number" || Number.isNaN(maxBytes))
    throw new TypeError("maxBytes must be a number");
  const { file, identity } = resolveStoreTarget(host.fs, storePath);
  if (identity !== undefined || maxBytes <= 0) return false;
  const paths = new LegacyPaths(file);
  try {
    const { fd, status } = openRegularFile(host.fs, file, "read", { bytesMax: Infinity });
    try {
      if (status.size <= maxBytes) return false;
      const copy = paths.writing(host.runtime, 0);
      await copyTo(host, fd, copy);
      await host.fs.later.rename(copy, await freeName(host, file));
    } finally {
      host.fs.close(fd);
    }
  } catch (error) {
    // No file yet; or a migration began, and took what is unfinished away.
    if (isMissing(error)) return false;
    throw error;
  }
  await removeOldBackups(host, paths);
  await syncDirectory(host.fs, paths.folder);
  return true;
}

async function copyTo({ fs }: LegacyHost, source: number, path: string): Promise<void> {
  const target = await fs.later.open(path, "create");
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let position = 0; ;) {
      const count = await fs.later.read(source, chunk, 0, chunk.length, position);
      if (count === 0) break;
      await writeAll(fs, target, chunk.subarray(0, count));
      position += count;
    }
    await fs.later.fdatasync(target);
  } catch (error) {
    await fs.later.unlink(path).catch(() => {}); // on a full disk the space is needed
    throw error;
  } finally {
    await fs.later.close(target);
  }
}

async function freeName({ fs, runtime }: LegacyHost, file: string): Promise<string> {
  for (let time = runtime.now(); ; time++) {
    const name = `${file}.bak.${time}`;
    if (!(await exists(fs, name))) return name;
  }
}

async function removeOldBackups({ fs }: LegacyHost, { folder, fileName }: LegacyPaths): Promise<void> {
  const prefix = `${fileName}.bak.`;
  const times = (await namesIn(fs, folder))
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => b - a);
  for (const time of times.slice(BACKUPS_MAX)) {
    await ignoreMissing(fs.later.unlink(join(folder, prefix + String(time))));
  }
}
