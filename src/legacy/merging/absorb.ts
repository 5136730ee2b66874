/**
 * Takes legacy files that lie beside a store into it: the source of a migration that has just succeeded, or what an
 * old gateway wrote afterwards. The store is authoritative; a file is merged, session by session, and becomes a backup.
 *
 *   1. rename it to `NAME.json.merging-…`: from now on nobody writes to it by its name. Before that it gets another such
 *      name, durably: of a rename that was not synced, a power cut may keep the half that removes
 *   2. known byte by byte: go to 4. Otherwise read and check all of it; one that cannot be read gets its name back
 *   3. merge it (merge.ts) with durable commits, and record it as known
 *   4. rename it to `NAME.json.saved-<time>`
 *
 * Killed anywhere, the next run finds the file under one of the first two names and begins again: merging twice changes
 * nothing.
 */
import { errnoOf, SessionStoreError } from "../../errors.js";
import { ignoreMissing } from "../../fs/missing.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { namesIn, statusOf } from "../../fs/status.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { assertSessions } from "../run/resemblance.js";
import { whileChanging } from "../run/checked-source.js";
import type { Journal } from "../base/journal.js";
import { isStore, stampNow } from "../base/host.js";
import { KnownFiles, recordKnownFile } from "./known-files.js";
import { Merge, type Merged } from "./merge.js";
import { backupPath } from "../base/paths.js";
import { hashFile } from "../reading/read-file.js";
import { FileSource } from "../reading/source.js";
import { EMPTY_TALLY, sumOf, type Tally } from "../base/tally.js";
import type { LegacyWarning } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";

export interface Absorbed {
  /** Files that were there. */
  readonly files: number;
  readonly bytes: number;
  /** Of those that were not known. What there is to say of them is in the journal. */
  readonly tally: Tally;
}

/** How often a file may appear again while we merge the last one. */
const ROUNDS_MAX = 5;

/**
 * @param directory The store's path.
 * @throws `legacy_invalid` for a file that cannot be read: it is left where it is. And what reading and committing throw.
 */
export async function absorbLegacyFiles(
  work: LegacyWork,
  journal: Journal,
  directory: string,
): Promise<Absorbed> {
  let tally = EMPTY_TALLY;
  let bytes = 0;
  let store: DirectorySessionStore<object> | undefined;
  const open = async (): Promise<DirectorySessionStore<object>> =>
    (store ??= await work.openStore(directory));
  try {
    for (let files = 0; ; files++) {
      const path = await nextFile(work);
      if (path === undefined) return { files, bytes, tally };
      if (files >= ROUNDS_MAX) {
        journal.warnings.push(stillWritten(work));
        return { files, bytes, tally };
      }
      work.throwIfAborted();
      const absorbed = await absorbFile(work, journal, open, directory, path);
      tally = sumOf(tally, absorbed.tally);
      bytes += absorbed.bytes;
    }
  } finally {
    await store?.close();
  }
}

/** Leftovers of a killed run come first: they are older than what was written since. */
export async function nextFile({ paths, host }: LegacyWork): Promise<string | undefined> {
  const left = (await namesIn(host.fs, paths.folder)).find((name) => paths.isMerging(name));
  if (left !== undefined) return `${paths.folder}/${left}`;
  return (await statusOf(host.fs, paths.file)) === undefined ? undefined : paths.file;
}

function stillWritten({ paths: { file }, command }: LegacyWork): LegacyWarning {
  const message =
    `${file} appears again and again: an old gateway is still running. What it wrote so far is in the store. Stop it, ` +
    `then run: ${command("migrate")}`;
  return { code: "source_still_written", message, data: { path: file } };
}

/** @returns What merging it came to; nothing for a file that is known. */
async function absorbFile(
  work: LegacyWork,
  journal: Journal,
  open: () => Promise<DirectorySessionStore<object>>,
  directory: string,
  found: string,
): Promise<{ readonly bytes: number; readonly tally: Tally }> {
  const { host, paths } = work;
  const status = await statusOf(host.fs, found);
  if (status !== undefined && status.kind !== "file") throw notAFile(found, status.kind);
  let path = found;
  if (found === paths.file) {
    // A rollback may have taken the store away a moment ago: then this file is what counts.
    if (!(await isStore(host, directory))) throw goneMeanwhile(directory);
    path = await takeAside(work);
  }
  const known = await KnownFiles.load(host, directory);
  const { bytes, sha256 } = await hashFile(host, path, work.signal);
  const foreign = !known.knows(bytes, sha256);
  let tally = EMPTY_TALLY;
  if (foreign) {
    try {
      const { warnings, ...merged } = await mergeForeign(work, await open(), directory, known, path);
      journal.warnings.push(...warnings); // it is in the store, whatever comes next
      tally = { ...merged, warnings: [] };
    } catch (error) {
      const damaged = error instanceof SessionStoreError && error.code === "legacy_invalid";
      if (damaged || !(await isStore(host, directory))) await putBack(work, journal, path);
      throw error;
    }
  }
  if (!(await isStore(host, directory))) {
    await putBack(work, journal, path);
    throw goneMeanwhile(directory);
  }
  work.progress("backing_up", bytes, bytes, 0);
  await backUp(work, journal, path);
  return { bytes, tally };
}

/** @returns The name under which the legacy file is merged. */
async function takeAside({ host, paths }: LegacyWork): Promise<string> {
  const { fs, runtime } = host;
  for (let round = 1; ; round++) {
    const second = paths.merging(runtime);
    await fs.later.link(paths.file, second);
    try {
      await syncDirectory(fs, paths.folder);
      // An old gateway may have written meanwhile: looked at and renamed with nothing in between in this process.
      if (round === ROUNDS_MAX || stampNow(host, paths.file) === stampNow(host, second)) {
        const path = paths.merging(runtime);
        fs.rename(paths.file, path);
        await syncDirectory(fs, paths.folder);
        return path;
      }
    } finally {
      await ignoreMissing(fs.later.unlink(second));
    }
  }
}

/** Gives a merged file its last name, durably before it loses the one it has. */
async function backUp(work: LegacyWork, journal: Journal, path: string): Promise<void> {
  const { host, paths } = work;
  const { fs } = host;
  const { backup, made } = await linkBackup(work, path);
  if (made) journal.backups.push(backup);
  await ignoreMissing(fs.later.unlink(path));
  await syncDirectory(fs, paths.folder);
}

/** Gives a file the name of a backup as well, durably, unless it has one: a run that failed or was killed may have begun. */
export async function linkBackup(
  work: LegacyWork,
  path: string,
): Promise<{ readonly backup: string; readonly made: boolean }> {
  const { host, paths } = work;
  const { fs } = host;
  let backup = await backupOf(work, path);
  const made = backup === undefined;
  while (backup === undefined) {
    const free = await backupPath(fs, host.runtime, paths.file);
    try {
      await fs.later.link(path, free);
      backup = free;
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error; // another process has just taken the name for a backup of its own
      backup = await backupOf(work, path);
    }
  }
  await syncDirectory(fs, paths.folder);
  return { backup, made };
}

/** The backup that a file is, under a second name. */
async function backupOf({ host, paths }: LegacyWork, path: string): Promise<string | undefined> {
  const inode = (await statusOf(host.fs, path))?.inode;
  for (const name of await namesIn(host.fs, paths.folder)) {
    if (!paths.isFileBackup(name)) continue;
    const backup = `${paths.folder}/${name}`;
    if (inode !== undefined && (await statusOf(host.fs, backup))?.inode === inode) return backup;
  }
  return undefined;
}

/**
 * Merges a file that is not known, wherever it lies, and records it.
 * @param prepare Is told what it will come to, before anything is committed: from the record on, nobody looks at the file again.
 */
export async function mergeForeign(
  work: LegacyWork,
  store: DirectorySessionStore<object>,
  directory: string,
  known: KnownFiles,
  path: string,
  prepare: (tally: Tally) => Promise<void> = async () => {},
): Promise<Tally> {
  const source = new FileSource(work.host, path, work.json5BytesMax);
  const merge = new Merge(work, store, known.base());
  // Read to the end before anything is committed: a damaged file is not merged by half.
  const { bytes, sha256 } = await whileChanging(work, source, async () => {
    const { reading, intake, tally: planned } = await merge.read(source, { commit: false });
    const again = await hashFile(work.host, path, work.signal);
    if (again.sha256 !== reading.sha256) return undefined;
    assertSessions(work, path, intake);
    await prepare(planned);
    return reading;
  });
  const { digests: entries, tally } = await merge.read(source, { commit: true });
  const revision = await store.revision();
  const gone = known.goneWithout(new Set(entries.map(([key]) => key)));
  const recordedAt = work.host.runtime.now();
  const record = { revision, bytes, sha256, complete: false, recordedAt, entries, gone };
  await recordKnownFile(work.host, directory, record);
  return tally;
}

/**
 * What merging the file that lies beside a store would do; nothing is changed.
 * @returns `added`: sessions that would be new to the store.
 */
export async function planForeign(
  work: LegacyWork,
  store: DirectorySessionStore<object>,
): Promise<Pick<Merged, "added" | "tally">> {
  const path = await nextFile(work);
  if (path === undefined) return NOT_FOREIGN;
  const kind = (await statusOf(work.host.fs, path))?.kind;
  if (kind !== undefined && kind !== "file") throw notAFile(path, kind);
  const known = await KnownFiles.load(work.host, work.paths.directory);
  const { bytes, sha256 } = await hashFile(work.host, path, work.signal);
  if (known.knows(bytes, sha256)) return NOT_FOREIGN;
  const merge = new Merge(work, store, known.base());
  const source = new FileSource(work.host, path, work.json5BytesMax);
  const merged = await whileChanging(work, source, () => merge.read(source, { commit: false }));
  assertSessions(work, path, merged.intake);
  return merged;
}

const NOT_FOREIGN = { added: 0, tally: EMPTY_TALLY };

/** People look for a damaged file under its own name; if there is a newer one by now, that stays. */
async function putBack(work: LegacyWork, journal: Journal, path: string): Promise<void> {
  const { host, paths } = work;
  try {
    await host.fs.later.link(path, paths.file);
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
    await backUp(work, journal, path);
    return;
  }
  await syncDirectory(host.fs, paths.folder);
  await host.fs.later.unlink(path);
  await syncDirectory(host.fs, paths.folder);
}

/** A killed run was merging a legacy file, and the store is gone: it is the legacy file again. */
export async function giveBack(work: LegacyWork, journal: Journal): Promise<void> {
  const path = await nextFile(work);
  if (path !== undefined && path !== work.paths.file) await putBack(work, journal, path);
}

function goneMeanwhile(directory: string): SessionStoreError {
  const message = `${directory} was rolled back by another process while a legacy file was being merged into it.`;
  return new SessionStoreError("store_not_found", message, { data: { path: directory } });
}

export function notAFile(path: string, kind: string): SessionStoreError {
  return new SessionStoreError(
    "file_unsafe",
    `${path} is a ${kind === "other" ? "FIFO, socket or device" : kind}, not a regular file: give the path of ` +
      "the real file, or move it away.",
    { data: { path, kind } },
  );
}
