/**
 * A folder of archived sessions: what lies where in it, and whether one may be used as such.
 *
 *     sessions.archive/
 *     ├── sessiondir-archive.json    whose sessions these are
 *     ├── 2026-11.jsonl.gz           what one run archived in November 2026
 *     └── 2026-11-2.jsonl.gz         what another run did
 *
 * A file has one writer, the run that made its name (O_EXCL), and is only ever added to: two runs at once, or one after a kill, never
 * touch each other's bytes. A crash while the folder is made leaves an empty one, or a temporary file with a dot in front.
 */
import { dirname, join, resolve, sep } from "node:path";
import { SessionStoreError, errnoOf } from "../../errors.js";
import type { FileSystem } from "../../fs/file-system.js";
import { ignoreExisting, unlessMissing } from "../../fs/missing.js";
import { createFile, readRegularFile, syncDirectoryOnTheWay } from "../../fs/regular-file.js";
import { namesInNow, statusNow } from "../../fs/status.js";
import { assertTrustedParents, openTrustedRoot, type Trust } from "../../fs/trusted-path.js";
import { isSystemName } from "../../format/layout.js";
import type { RetentionHost } from "./host.js";

const MARKER = "sessiondir-archive.json";
const KIND = "sessiondir-archive";
const FORM = 1;
const MARKER_BYTES_MAX = 64 * 1024;
/** A month has room for a run every minute. */
const FILES_A_MONTH_MAX = 50_000;

export interface ArchiveFolder {
  /** Where it really is. */
  readonly path: string;
  readonly storeId: string;
}

/** One file of an archive. */
export interface ArchiveFile {
  readonly name: string;
  /** As in `2026-11`. */
  readonly month: string;
  /** From 1. */
  readonly number: number;
}

/** Where the archive of a store is if nobody says: beside it, `NAME.archive` of `NAME.d`. */
export function defaultArchive(store: string): string {
  const path = resolve(store);
  return `${path.endsWith(".d") ? path.slice(0, -".d".length) : path}.archive`;
}

/** The month of a time, by UTC. */
export function monthOf(time: number): string {
  return new Date(time).toISOString().slice(0, 7);
}

/** When a month ends: milliseconds since 1970. */
export function endOfMonth(month: string): number {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return Date.UTC(year, number, 1);
}

function fileName(month: string, number: number): string {
  return `${month}${number === 1 ? "" : `-${number}`}.jsonl.gz`;
}

function parseFileName(name: string): ArchiveFile | undefined {
  const [, month, digits = "1"] =
    /^(\d{4}-(?:0[1-9]|1[0-2]))(?:-([1-9]\d{0,5}))?\.jsonl\.gz$/.exec(name) ?? [];
  if (month === undefined || fileName(month, Number(digits)) !== name) return undefined;
  return { name, month, number: Number(digits) };
}

/** Files of sessions, the oldest first. What else lies there is left alone. */
export function filesOf(fs: FileSystem, { path }: ArchiveFolder): ArchiveFile[] {
  return namesInNow(fs, path)
    .map(parseFileName)
    .filter((file) => file !== undefined)
    .sort((a, b) => (a.month === b.month ? a.number - b.number : a.month < b.month ? -1 : 1));
}

/**
 * Opens the archive of a store that is there.
 * @param storeId Whose it must be; undefined: anybody's.
 * @throws `archive_not_found`; `archive_place` (it holds other things, or is another store's); `path_untrusted`, `format_unsupported`.
 */
export function openArchive(
  { fs }: RetentionHost,
  path: string,
  storeId: string | undefined,
  trust: Trust | undefined,
): ArchiveFolder {
  const absolute = resolve(path);
  const status = statusNow(fs, absolute);
  if (status === undefined) throw notFound(absolute);
  if (fs.lstat(fs.realpath(absolute)).kind !== "directory")
    throw place(`${absolute} is not a folder`, { path: absolute });
  const realPath = trusted(fs, absolute, trust);
  const marker = unlessMissing(() =>
    readRegularFile(fs, `${realPath}/${MARKER}`, { bytesMax: MARKER_BYTES_MAX }),
  );
  if (marker === undefined) throw isUnused(fs, realPath) ? notFound(realPath) : holdsOthers(fs, realPath);
  const found = storeIdOf(marker.toString(), `${realPath}/${MARKER}`);
  if (storeId !== undefined && found !== storeId)
    throw place(`${realPath} has the sessions of another store (${found}, and this one is ${storeId})`, {
      path: realPath,
      found,
      expected: storeId,
    });
  return { path: realPath, storeId: found };
}

/**
 * The same for a run that archives: what is missing is made.
 * @param storePath The archive may not lie in it.
 */
export async function makeArchive(
  host: RetentionHost,
  path: string,
  storeId: string,
  storePath: string,
  trust: Trust | undefined,
): Promise<ArchiveFolder> {
  const { fs, runtime } = host;
  const absolute = resolve(path);
  const way = assertTrustedParents(fs, absolute, trust);
  if (`${way.realPath}${sep}`.startsWith(`${fs.realpath(storePath)}${sep}`))
    throw place(`${absolute} lies in the store itself`, { path: absolute });
  let folder = way.existing;
  for (const name of way.missing) {
    const parent = folder;
    folder = join(folder, name);
    await ignoreExisting(fs.later.mkdir(folder));
    await syncDirectoryOnTheWay(fs, parent);
  }
  if (fs.lstat(way.realPath).kind !== "directory")
    throw place(`${absolute} is not a folder`, { path: absolute });
  const realPath = trusted(fs, absolute, trust);
  if (statusNow(fs, `${realPath}/${MARKER}`) === undefined) {
    if (!isUnused(fs, realPath)) throw holdsOthers(fs, realPath);
    const temporary = `${realPath}/.${runtime.randomName(8)}`;
    const text = JSON.stringify({ kind: KIND, form: FORM, storeId });
    await createFile(fs, temporary, Buffer.from(`${text}\n`), { sync: true });
    try {
      await ignoreExisting(fs.later.link(temporary, `${realPath}/${MARKER}`));
    } finally {
      await fs.later.unlink(temporary).catch(() => {});
    }
    await syncDirectoryOnTheWay(fs, realPath);
    await syncDirectoryOnTheWay(fs, dirname(realPath));
  }
  return openArchive(host, realPath, storeId, trust);
}

/** Makes a file that nobody has, for one run. The caller closes it. */
export async function makeFile(
  { fs }: RetentionHost,
  folder: ArchiveFolder,
  month: string,
): Promise<{ readonly fd: number; readonly path: string }> {
  const taken = filesOf(fs, folder).filter((file) => file.month === month);
  const last = taken.at(-1)?.number ?? 0;
  for (let number = last + 1; number <= FILES_A_MONTH_MAX; number++) {
    const path = `${folder.path}/${fileName(month, number)}`;
    try {
      return { fd: await fs.later.open(path, "create"), path };
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
  }
  throw place(`${folder.path} has ${FILES_A_MONTH_MAX} files of ${month}`, { path: folder.path });
}

function trusted(fs: FileSystem, path: string, trust: Trust | undefined): string {
  const root = openTrustedRoot(fs, path, trust);
  root.close();
  return root.realPath;
}

function isUnused(fs: FileSystem, path: string): boolean {
  return fs.readdir(path).every((name) => name.startsWith(".") || isSystemName(name));
}

function storeIdOf(text: string, path: string): string {
  let value: { kind?: unknown; form?: unknown; storeId?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    value = null;
  }
  const { kind, form, storeId } = value ?? {};
  if (kind === KIND && form !== FORM)
    throw new SessionStoreError(
      "format_unsupported",
      `${path} says form ${String(form)}, this version of sessiondir knows form ${FORM}. Update sessiondir.`,
      { data: { path, found: String(form), supported: FORM } },
    );
  if (kind === KIND && typeof storeId === "string" && storeId !== "") return storeId;
  const like = JSON.stringify({ kind: KIND, form: FORM, storeId: "…" });
  throw new SessionStoreError(
    "archive_damaged",
    `${path} cannot be read. It is one line, ${like}: write it anew with the storeId of the store's .store/format.json.`,
    { data: { path } },
  );
}

function holdsOthers(fs: FileSystem, path: string): SessionStoreError {
  const found = namesInNow(fs, path).find((name) => !name.startsWith(".") && !isSystemName(name));
  return place(`${path} is no archive and holds other things, for example ${JSON.stringify(found)}`, {
    path,
    found,
  });
}

function notFound(path: string): SessionStoreError {
  return new SessionStoreError(
    "archive_not_found",
    `there is no archive at ${path}. Check the path (--archive); sessiondir prune makes one with the first session that it removes.`,
    { data: { path } },
  );
}

function place(what: string, data: SessionStoreError["data"]): SessionStoreError {
  return new SessionStoreError(
    "archive_place",
    `${what}. Nothing was written: give the store a folder of its own for its archive, outside of it.`,
    { data },
  );
}
