/**
 * Removes backups, and then what no backup needs any more. Nothing goes unless a rule was given, and the newest never goes,
 * nor the newest one that was good when it was looked at last.
 *
 * A manifest goes first, durably, then objects: a crash in between leaves objects that no backup names, for the next prune.
 * Beside backups that are being made it removes manifests and no object (`claims.ts`).
 */
import { asStoreError, errnoOf } from "../../errors.js";
import { ignoreMissing } from "../../fs/missing.js";
import { statusNow } from "../../fs/status.js";
import { fence, removeSilentClaims } from "./claims.js";
import { openBackupFolder, timeOfName, type BackupFolder } from "./folder.js";
import { keptBy } from "./keep.js";
import { listed } from "./list.js";
import { backupNames, readManifest, readRows } from "./manifest.js";
import { listObjects } from "./objects.js";
import { Pace } from "./pace.js";
import { recorded } from "./record.js";
import { piecesOf } from "./rows.js";
import { optionalBoolean, settle, settleRules, warner } from "./settle.js";
import { syncFolder } from "./sync-folder.js";
import type { BackupHost, KeepRules, PruneOptions, PruneReport } from "./types.js";

export async function pruneBackupsOn(
  host: BackupHost,
  backups: string,
  keep: KeepRules,
  options?: PruneOptions,
): Promise<PruneReport> {
  const settled = settle(options, { backups }, ["dryRun"]);
  const dryRun = optionalBoolean(options?.dryRun, "options.dryRun") ?? false;
  const rules = settleRules(keep);
  const { runtime } = host;
  const started = runtime.monotonic();
  const { warn } = warner(settled.onWarning);
  try {
    const folder = openBackupFolder(host, backups, settled.trust);
    const pace = new Pace(host, settled.signal);
    const work = async (): Promise<PruneReport> => {
      const { kept, removed } = decide(host, folder, rules);
      if (!dryRun) await removeManifests(host, folder, removed);
      const swept = await sweep(host, folder, kept, dryRun, pace);
      const durationMs = Math.round(runtime.monotonic() - started);
      return { path: folder.path, dryRun, kept, removed, ...swept, durationMs };
    };
    if (dryRun) return await work();
    return await recorded(host, folder, "prune", warn, async () => ({ result: await work(), outcome: {} }));
  } catch (error) {
    throw asStoreError(error, `prune the backups in ${backups}`);
  }
}

function decide(
  host: BackupHost,
  folder: BackupFolder,
  rules: KeepRules,
): { kept: string[]; removed: string[] } {
  const names = backupNames(host.fs, folder);
  const backups = listed(host, folder);
  const times = new Map(backups.map(({ name, startedAt }) => [name, startedAt]));
  const timeOf = (name: string): number => times.get(name) ?? timeOfName(name);
  const kept = keptBy(names, rules, timeOf);
  // One that is damaged stands for no other one.
  const whole = new Set(backups.filter((backup) => backup.good).map(({ name }) => name));
  for (const name of keptBy(
    names.filter((one) => whole.has(one)),
    rules,
    timeOf,
  ))
    kept.add(name);
  const [newest] = names;
  if (newest !== undefined) kept.add(newest);
  const good = names.find((name) => whole.has(name));
  if (good !== undefined) kept.add(good);
  return { kept: names.filter((name) => kept.has(name)), removed: names.filter((name) => !kept.has(name)) };
}

async function removeManifests(
  { fs }: BackupHost,
  folder: BackupFolder,
  names: readonly string[],
): Promise<void> {
  for (const name of names.toReversed()) await ignoreMissing(fs.later.unlink(folder.manifest(name)));
  if (names.length > 0) await syncFolder(fs, folder.manifests);
}

type Swept = Pick<PruneReport, "freedBytes" | "postponed">;

async function sweep(
  host: BackupHost,
  folder: BackupFolder,
  kept: readonly string[],
  dryRun: boolean,
  pace: Pace,
): Promise<Swept> {
  const { fs, runtime } = host;
  if (dryRun) {
    const garbage = await findGarbage(host, folder, kept, pace);
    return {
      freedBytes: garbage?.reduce((sum, { bytes }) => sum + bytes, 0) ?? 0,
      postponed: garbage === undefined,
    };
  }
  const away = `${folder.sweeping}/${runtime.randomName(8)}`;
  await fs.later.mkdir(away);
  try {
    if (await removeSilentClaims(host, folder)) return { freedBytes: 0, postponed: true };
    // Only now: a backup that was made before the look at the claims has its manifest there.
    const garbage = await findGarbage(host, folder, backupNames(fs, folder), pace);
    if (garbage === undefined) return { freedBytes: 0, postponed: true };
    let freedBytes = 0;
    for (const { hash, bytes } of garbage) {
      await pace.step();
      try {
        await fs.later.rename(folder.object(hash), `${away}/${hash}`);
        await ignoreMissing(fs.later.unlink(`${away}/${hash}`));
        freedBytes += bytes;
      } catch (error) {
        if (errnoOf(error) !== "ENOENT") throw error;
        if (statusNow(fs, away) === undefined) return { freedBytes, postponed: true }; // a backup has begun
      }
    }
    return { freedBytes, postponed: false };
  } finally {
    await fence(host, away).catch(() => {}); // the next backup removes it
  }
}

/** @returns Undefined where a manifest or a list cannot be read: what its backup needs is not known. */
async function findGarbage(
  { fs }: BackupHost,
  folder: BackupFolder,
  names: readonly string[],
  pace: Pace,
): Promise<{ readonly hash: string; readonly bytes: number }[] | undefined> {
  const objects = listObjects(fs, folder);
  for (const name of names) {
    await pace.step();
    const manifest = readManifest(fs, folder, name);
    if (manifest === undefined) continue;
    if (typeof manifest === "string") return undefined;
    try {
      for (const { sha256 } of manifest.lists) objects.delete(sha256);
      for (const row of readRows(fs, folder, manifest).values())
        for (const hash of piecesOf(row)) objects.delete(hash);
    } catch {
      return undefined;
    }
  }
  const garbage: { hash: string; bytes: number }[] = [];
  for (const hash of objects) {
    const status = statusNow(fs, folder.object(hash));
    if (status !== undefined) garbage.push({ hash, bytes: status.size });
  }
  return garbage;
}
