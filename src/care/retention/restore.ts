/**
 * Brings a session back from the archive, as an import does: whatever is in the store stays, unless something else is said. The archive
 * keeps what it has. Killed anywhere, the same call is made again.
 */
import { SessionStoreError } from "../../errors.js";
import { importEvents, type ImportReport } from "../moving/import.js";
import type { AnyStore } from "../moving/options.js";
import { readExport, type ExportEvent } from "../moving/read-export.js";
import { sessionExists, type OnConflict } from "../moving/settle-session.js";
import { warningsOf, type ArchiveOptions } from "./apply.js";
import { defaultArchive, openArchive, type ArchiveFolder } from "./archive-folder.js";
import { archivedSessions, openIfThere, type ArchivedPlace, type ArchivedSession } from "./archived.js";
import { SYSTEM, told, type RetentionHost } from "./host.js";
import { piecesOf } from "./members.js";
import { recorded } from "./record.js";

export interface ListOptions extends ArchiveOptions {
  /** Only of this session. Default: of all. */
  readonly key?: string | undefined;
}

export interface RestoreOptions extends ArchiveOptions {
  /** The state that was archived last at this time or before: milliseconds since 1970. Default: the last one. */
  readonly at?: number | undefined;
  /** What becomes of a session that is there and differs, as an import has it. Default `fail`. */
  readonly onConflict?: OnConflict | undefined;
  /** Nothing is written. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface RestoreReport {
  readonly key: string;
  readonly dryRun: boolean;
  /** Which state of it. */
  readonly from: ArchivedSession;
  /** `unchanged`: it is there, and the same. `skipped`: it is there, and stays. */
  readonly outcome: "created" | "replaced" | "unchanged" | "skipped";
  /** Items that were appended. */
  readonly items: number;
}

/**
 * What is in the archive of a store, the oldest file first: of a session that was archived several times each state.
 * @throws `archive_not_found`, `archive_place`, `path_untrusted`; `io_error`.
 * @example
 * for await (const { key, archivedAt } of listArchived(store)) console.log(key, new Date(archivedAt));
 */
export function listArchived(store: AnyStore, options?: ListOptions): AsyncGenerator<ArchivedSession, void> {
  return listArchivedOn(SYSTEM, store, options);
}

/** The same on a machine of the caller's, for tests. */
export async function* listArchivedOn(
  host: RetentionHost,
  store: AnyStore,
  options: ListOptions = {},
): AsyncGenerator<ArchivedSession, void> {
  const folder = await archiveOf(host, store, options);
  const { key, signal } = options;
  for await (const { member: _member, ...session } of archivedSessions(host.fs, folder, {
    key,
    signal,
    warn: warningsOf(options),
  }))
    yield session;
}

/**
 * Brings a session back: its entry as it was, byte for byte, and its transcripts, with the ids of their items. As after every import
 * its revision, the numbers of its items and their times are new.
 * @throws `not_found` if the archive does not have it; `session_exists` if it is there and differs; `archive_not_found`, `archive_place`;
 *   what writing throws.
 * @example
 * const { from } = await restoreSession(store, "agent:main:main");
 */
export function restoreSession(
  store: AnyStore,
  key: string,
  options?: RestoreOptions,
): Promise<RestoreReport> {
  return restoreSessionOn(SYSTEM, store, key, options);
}

/** The same on a machine of the caller's, for tests. */
export async function restoreSessionOn(
  host: RetentionHost,
  store: AnyStore,
  key: string,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  return told(`bring back session ${JSON.stringify(key)}`, () => restore(host, store, key, options));
}

async function restore(
  host: RetentionHost,
  store: AnyStore,
  key: string,
  options: RestoreOptions,
): Promise<RestoreReport> {
  const { dryRun = false, onConflict = "fail", signal } = options;
  const folder = await archiveOf(host, store, options);
  const place = await newestOf(host, folder, key, options);
  const work = async (): Promise<RestoreReport> => {
    const report = await bringIn(host, store, place, { onConflict, dryRun, signal });
    const { member: _member, ...from } = place;
    return { key, dryRun, from, outcome: outcomeOf(report, key), items: report.items };
  };
  if (dryRun) return work();
  const begin = { key, file: place.file, revision: place.revision };
  return recorded(host, store, "restore", warningsOf(options), begin, work);
}

async function newestOf(
  { fs }: RetentionHost,
  folder: ArchiveFolder,
  key: string,
  options: RestoreOptions,
): Promise<ArchivedPlace> {
  const { at = Number.POSITIVE_INFINITY, signal } = options;
  let newest: ArchivedPlace | undefined;
  for await (const place of archivedSessions(fs, folder, { key, signal, warn: warningsOf(options) }))
    if (place.archivedAt <= at && (newest === undefined || isLater(place, newest))) newest = place;
  if (newest !== undefined) return newest;
  const when = Number.isFinite(at) ? ` archived by ${new Date(at).toISOString()}` : "";
  throw new SessionStoreError(
    "not_found",
    `there is no session ${JSON.stringify(key)}${when} in ${folder.path}. Nothing was changed: sessiondir restore --list tells what there is.`,
    { data: { key, path: folder.path } },
  );
}

/** Revisions only grow in a store; clocks may not. */
function isLater(a: ArchivedSession, b: ArchivedSession): boolean {
  return a.revision === b.revision ? a.archivedAt >= b.archivedAt : a.revision > b.revision;
}

async function bringIn(
  { fs }: RetentionHost,
  store: AnyStore,
  place: ArchivedPlace,
  options: { onConflict: OnConflict; dryRun: boolean; signal: AbortSignal | undefined },
): Promise<ImportReport> {
  const { file, member } = place;
  const opened = openIfThere(fs, file);
  if (opened === undefined)
    throw new SessionStoreError("file_not_found", `${file} was removed meanwhile. Nothing was changed.`, {
      data: { path: file },
    });
  try {
    return await importEvents(
      store,
      only(place, readExport(piecesOf(fs, opened.fd, member.start, member.end))),
      options,
    );
  } finally {
    fs.close(opened.fd);
  }
}

/** Of a member, one session as it was archived once: a member that somebody put together may have it several times. */
async function* only(
  { key, revision, archivedAt }: ArchivedSession,
  events: AsyncGenerator<ExportEvent, void>,
): AsyncGenerator<ExportEvent, void> {
  let isIt = false;
  let isThen = false;
  for await (const event of events) {
    if (event.kind === "header") isThen = (event.time ?? 0) === archivedAt;
    if (event.kind === "session")
      isIt = isThen && event.session.key === key && (event.session.revision ?? 0) === revision;
    if (isIt) yield event;
  }
}

function outcomeOf(
  { created, replaced, unchanged, conflicts }: ImportReport,
  key: string,
): RestoreReport["outcome"] {
  if (conflicts > 0) throw exists(key);
  return created > 0 ? "created" : replaced > 0 ? "replaced" : unchanged > 0 ? "unchanged" : "skipped";
}

function exists(key: string): SessionStoreError {
  return sessionExists(
    key,
    "is in the store, and is not what the archive has. Nothing was changed: say what to do with it (--on-conflict skip, replace " +
      "or newer).",
  );
}

/** The archive of a store, to read it. */
export async function archiveOf(
  host: RetentionHost,
  store: AnyStore,
  { archive, trust }: ArchiveOptions,
): Promise<ArchiveFolder> {
  const { directory } = await store.stats();
  const path = archive ?? (directory && defaultArchive(directory.path));
  if (path === undefined)
    throw new TypeError("archive must be given: a store that is no directory has no default");
  return openArchive(host, path, directory?.storeId, trust);
}
