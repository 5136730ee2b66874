/**
 * Makes a store of a backup, in a place where nothing is.
 *
 * It is built in a folder beside that place, each piece checked as it is read, then opened as any store is, read-only, and
 * asked for its revision and how many sessions it has; then all of it is made durable, and one rename makes it count. A
 * crash before that leaves a folder `.<name>.restoring-<hex>`, which the next restore to that place removes when it is
 * older than an hour. Nothing that is there is ever replaced: the rename succeeds only onto nothing, or an empty folder.
 */
import { basename, dirname, join, resolve } from "node:path";
import { asStoreError, errnoOf, SessionStoreError } from "../../errors.js";
import { createFileBy } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { assertLocalFileSystem, assertTrustedParents, type Trust } from "../../fs/trusted-path.js";
import { writeAll } from "../../fs/write-all.js";
import { internalFolders } from "../../entries/internal-folder.js";
import { Layout } from "../../format/layout.js";
import { removeTree, syncTree } from "../../legacy/base/tree.js";
import { openDirectoryStoreOn } from "../../store/open.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { checkBackup, readFile } from "./check.js";
import { assertOutsideStores, openBackupFolder, place, type BackupFolder } from "./folder.js";
import { damaged, findName, infoOf, readRows, requireManifest, type Manifest } from "./manifest.js";
import { hashOf } from "./objects.js";
import { forEach, Pace } from "./pace.js";
import { recorded } from "./record.js";
import type { Row } from "./rows.js";
import { optionalBoolean, optionalText, settle, warner } from "./settle.js";
import type { BackupHost, RestoreOptions, RestoreReport } from "./types.js";

/** A folder of a restore that was killed. */
const LEFT_MS = 60 * 60 * 1000;
/** Sessions of a listing that are in memory at once. */
const PAGE = 500;
const RESTORING = /^[0-9a-f]{16}$/;
/** Of the target's name: with what is put around it, it has to be a name as well. */
const NAME_BYTES_MAX = 200;

export async function restoreBackupOn(
  host: BackupHost,
  backups: string,
  to: string,
  options?: RestoreOptions,
): Promise<RestoreReport> {
  const settled = settle(options, { backups, to }, ["name", "dryRun"]);
  const dryRun = optionalBoolean(options?.dryRun, "options.dryRun") ?? false;
  const wanted = optionalText(options?.name, "options.name") ?? "latest";
  const { runtime } = host;
  const started = runtime.monotonic();
  const { warn } = warner(settled.onWarning);
  try {
    const folder = openBackupFolder(host, backups, settled.trust);
    const work = async (): Promise<RestoreReport> => {
      const name = findName(host.fs, folder, wanted);
      const manifest = requireManifest(host.fs, folder, name);
      const pace = new Pace(host, settled.signal);
      const { trust, signal } = settled;
      const make = dryRun
        ? planRestore(host, folder, manifest, to, trust, pace)
        : restoreTo(host, folder, manifest, to, trust, pace, signal);
      const store = await make.catch((error: unknown) => {
        throw unlessPruned(host, folder, name, error);
      });
      const { revision, sessions, leftOut, files, bytes } = infoOf(manifest);
      const durationMs = Math.round(runtime.monotonic() - started);
      const without = leftOut && { leftOut };
      return {
        path: folder.path,
        dryRun,
        store,
        name,
        revision,
        sessions,
        ...without,
        files,
        bytes,
        durationMs,
      };
    };
    if (dryRun) return await work();
    return await recorded(host, folder, "restore", warn, async () => {
      const result = await work();
      const { name, revision } = result;
      return { result, outcome: { name, revision } };
    });
  } catch (error) {
    throw asStoreError(error, `restore a backup of ${backups} to ${to}`);
  }
}

/** A backup that somebody removes while it is restored is not damaged. */
function unlessPruned({ fs }: BackupHost, folder: BackupFolder, name: string, error: unknown): unknown {
  const isDamage = error instanceof SessionStoreError && error.code === "backup_damaged";
  if (!isDamage || statusNow(fs, folder.manifest(name)) !== undefined) return error;
  return new SessionStoreError(
    "backup_not_found",
    `backup ${name} was removed while it was restored (sessiondir backup prune). Nothing was restored: use another one.`,
    { data: { path: folder.path, name }, cause: error },
  );
}

/** What a restore looks at before it writes, and each piece that it would write. @returns Where the store would be. */
async function planRestore(
  host: BackupHost,
  folder: BackupFolder,
  manifest: Manifest,
  to: string,
  trust: Trust,
  pace: Pace,
): Promise<string> {
  const target = assertNewPlace(host, folder, to, trust);
  const { problems } = await checkBackup(host, folder, manifest, new Set(), pace.step);
  const [first] = problems;
  if (first !== undefined) throw damaged(first.path, first.reason, manifest.name);
  return target;
}

/** @returns The real path of the new store. */
export async function restoreTo(
  host: BackupHost,
  folder: BackupFolder,
  manifest: Manifest,
  to: string,
  trust: Trust,
  pace: Pace,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { fs, runtime } = host;
  const target = assertNewPlace(host, folder, to, trust);
  const rows = readRows(fs, folder, manifest);
  if (rows.size !== manifest.files) {
    const reason = `it lists ${rows.size} files, and says that there are ${manifest.files}`;
    throw damaged(folder.manifest(manifest.name), reason, manifest.name);
  }
  const parent = dirname(target);
  await makeParents(host, target, trust);
  await removeLeftovers(host, target);
  const building = join(parent, restoringNames(target) + runtime.randomName(8));
  await fs.later.mkdir(building);
  try {
    await writeFiles(host, folder, manifest, rows, building, pace);
    await assertOpens(host, manifest, building, trust);
    await syncTree(host, building, () => {}, signal);
    signal?.throwIfAborted();
    await moveIn(host, building, target);
  } catch (error) {
    await removeTree(host, building).catch(() => {}); // the next restore does
    throw error;
  }
  return target;
}

/** What would be in the way, before anything is written. */
function assertNewPlace({ fs }: BackupHost, folder: BackupFolder, to: string, trust: Trust): string {
  const { realPath, existing } = assertTrustedParents(fs, resolve(to), trust);
  assertLocalFileSystem(fs, existing, "write");
  if (realPath === folder.path || realPath.startsWith(`${folder.path}/`))
    throw place(`${realPath} is in the folder of backups: give a place outside.`, { path: realPath });
  assertOutsideStores(fs, realPath);
  const status = statusNow(fs, realPath);
  if (status === undefined) return realPath;
  if (status.kind !== "directory") throw taken(realPath, "is a file");
  const [found] = fs.readdir(realPath);
  if (found !== undefined) throw taken(realPath, `has something in it, for example ${JSON.stringify(found)}`);
  return realPath;
}

function taken(path: string, what: string): SessionStoreError {
  return place(
    `${path} ${what}. Nothing was restored: a restore never replaces anything. Give a place where nothing is, or move away what ` +
      "is there first (stop the gateways before that).",
    { path },
  );
}

async function makeParents({ fs }: BackupHost, target: string, trust: Trust): Promise<void> {
  const { existing, missing } = assertTrustedParents(fs, target, trust);
  let folder = existing;
  for (const name of missing.slice(0, -1)) {
    folder = join(folder, name);
    await fs.later.mkdir(folder);
  }
}

/** How the names of folders begin in which a restore to this place is built. */
function restoringNames(target: string): string {
  const name = basename(target);
  return `.${Buffer.byteLength(name) <= NAME_BYTES_MAX ? name : hashOf(Buffer.from(name))}.restoring-`;
}

/** Of restores to the same place that were killed. */
async function removeLeftovers(host: BackupHost, target: string): Promise<void> {
  const { fs, runtime } = host;
  const parent = dirname(target);
  const prefix = restoringNames(target);
  for (const name of namesInNow(fs, parent)) {
    if (!name.startsWith(prefix) || !RESTORING.test(name.slice(prefix.length))) continue;
    const path = join(parent, name);
    const status = statusNow(fs, path);
    if (status?.kind === "directory" && runtime.now() - status.modifiedAt > LEFT_MS)
      await removeTree(host, path);
  }
}

async function writeFiles(
  host: BackupHost,
  folder: BackupFolder,
  manifest: Manifest,
  rows: ReadonlyMap<string, Row>,
  building: string,
  pace: Pace,
): Promise<void> {
  const { fs } = host;
  const layout = new Layout(building);
  const made = new Set<string>([building]);
  const make = (path: string): void => {
    if (made.has(path)) return;
    make(dirname(path));
    fs.mkdir(path);
    made.add(path);
  };
  for (const path of internalFolders(layout)) make(path);
  for (const stage of manifest.stages) make(layout.stageFolder(stage));
  await forEach(rows.values(), async (row) => {
    await pace.step();
    const path = join(building, row.path);
    make(dirname(path));
    const problem = await createFileBy(
      fs,
      path,
      (fd) => readFile(fs, folder, row, (bytes) => writeAll(fs, fd, bytes), pace.step),
      { sync: false },
    );
    if (problem !== undefined) throw damaged(problem.path, problem.reason, manifest.name);
  });
}

/** A restore counts when the store itself says that it has what the manifest says. */
async function assertOpens(
  host: BackupHost,
  manifest: Manifest,
  building: string,
  trust: Trust,
): Promise<void> {
  const store = await openDirectoryStoreOn(host.fs, host.runtime, building, {
    readOnly: true,
    trust,
    onWarning: () => {}, // a damaged session is in the list below, and was damaged in the store
  });
  try {
    const { revision } = await store.stats();
    const sessions = await store.count();
    const expected = manifest.sessions;
    if (revision === manifest.revision && (sessions === expected || (await isKnownDamage(store, manifest))))
      return;
    throw new SessionStoreError(
      "backup_damaged",
      `what was restored of ${manifest.name} has ${sessions} sessions at revision ${revision}, and not ${expected} at ` +
        `${manifest.revision}. It was removed again: use another backup, and report this.`,
      { data: { name: manifest.name, sessions, expected, revision } },
    );
  } finally {
    await store.close();
  }
}

/** Whether sessions that cannot be read explain that they are not as many: what was damaged when the backup was made comes back so. */
async function isKnownDamage(
  store: DirectorySessionStore<Record<string, unknown>>,
  { damaged: known }: Manifest,
): Promise<boolean> {
  if (known > 0) return true;
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = await store.list({ orderBy: "key", limit: PAGE, cursor });
    if ((page.damaged ?? []).length > 0) return true;
    cursor = page.cursor;
  }
  return false;
}

async function moveIn({ fs }: BackupHost, building: string, target: string): Promise<void> {
  try {
    await fs.later.rename(building, target);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOTEMPTY" || errno === "EEXIST" || errno === "ENOTDIR")
      throw taken(target, "was taken by another program meanwhile");
    if (errno === "EBUSY" || errno === "EXDEV")
      throw taken(target, "is a mount point, so that nothing can take its place; give a folder in it");
    throw error;
  }
  const fd = fs.open(dirname(target), "directory");
  try {
    if (fs.guarantees.directorySync) await fs.later.fsync(fd);
  } finally {
    fs.close(fd);
  }
}
