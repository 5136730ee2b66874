/**
 * Transcripts of removed sessions, put out of the way: `<file>.deleted.<time>`, as old gateways and their tools name them, and
 * `<file>.reset.<time>` where the session goes on with another transcript.
 *
 * A transcript is a regular file `*.jsonl` directly in the sessions folder, and only such a file is ever renamed: a session's
 * `sessionFile` may say anything, `../` and the path of the store's own log included. It is left alone while any session that is
 * still there refers to it, by its id or by its file. Archives are renamed to new names only; nothing is overwritten.
 *
 * Sessions are removed first, then their transcripts are renamed one by one. Killed in between, some keep their name; nobody
 * refers to them any more, and nothing is lost. Somebody may bring a session back in that moment: references are looked at
 * once more afterwards, and a file that has one again gets its name back.
 */
import { basename, dirname, join, resolve } from "node:path";
import { errnoOf } from "../../errors.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { isMissing } from "../../fs/missing.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import type { SessionEntry } from "../entry/session-entry.js";

/** What of a session says where its transcript is. */
export type TranscriptOwner = Pick<SessionEntry, "sessionId" | "sessionFile">;

/** Why a transcript is put aside; a part of its new name. */
export type ArchiveReason = "deleted" | "reset";

export interface ArchivedTranscript {
  /** Path before and after. */
  readonly source: string;
  readonly archive: string;
}

const TRANSCRIPT = ".jsonl";
/** What an id may be that is a part of a file name. */
const SESSION_ID = /^[a-z0-9][a-z0-9._-]{0,127}$/i;
const TOPIC = "-topic-";
/** Two archives of one file in one millisecond: the later one says the next. */
const NAME_ATTEMPTS_MAX = 1000;

/** Which transcripts the sessions that are there refer to. */
export class TranscriptReferences {
  readonly #ids = new Set<string>();
  readonly #files = new Set<string>();
  #isComplete = true;

  /** There are sessions that cannot be read: nobody knows which transcripts are theirs, so all of them may be. */
  addUnknown(): void {
    this.#isComplete = false;
  }

  /** @param entry Null, and anything else that is no session, refers to nothing. */
  add(entry: Readonly<Partial<TranscriptOwner>> | null): void {
    const { sessionId, sessionFile } = entry ?? {};
    if (typeof sessionId === "string") this.#ids.add(sessionId.trim());
    // By name alone: the folder may be written in many ways, and too many references do no harm.
    if (typeof sessionFile === "string") this.#files.add(basename(sessionFile.trim()));
  }

  /** @param fileName Name of a transcript. */
  include(fileName: string): boolean {
    if (!this.#isComplete || this.#files.has(fileName)) return true;
    const id = fileName.slice(0, -TRANSCRIPT.length);
    const topic = id.indexOf(TOPIC);
    return this.#ids.has(id) || (topic > 0 && this.#ids.has(id.slice(0, topic)));
  }
}

/**
 * Archives what only removed sessions referred to.
 * @param folder Real path of the sessions folder.
 * @param references Looks at all sessions that are there now; asked only if there is a file to archive.
 */
export async function archiveTranscripts(
  host: LegacyHost,
  folder: string,
  removed: readonly Readonly<TranscriptOwner>[],
  references: () => Promise<TranscriptReferences>,
  reason: ArchiveReason = "deleted",
): Promise<ArchivedTranscript[]> {
  const names = new Set<string>();
  for (const owner of removed) for (const name of candidates(host, folder, owner)) names.add(name);
  const present = [...names].filter((name) => isTranscript(host, folder, name));
  if (present.length === 0) return [];
  const before = await references();
  const archived: ArchivedTranscript[] = [];
  for (const name of present) {
    if (before.include(name)) continue;
    const archive = await archiveFile(host, folder, name, reason);
    if (archive !== undefined) archived.push({ source: join(folder, name), archive });
  }
  if (archived.length === 0) return [];
  const after = await references();
  const kept = archived.filter((file) => !after.include(basename(file.source)) || !giveBack(host, file));
  await syncDirectory(host.fs, folder);
  return kept;
}

/** Names in the folder that a session's transcript can have. */
function* candidates(host: LegacyHost, folder: string, owner: Readonly<TranscriptOwner>): Iterable<string> {
  const id: unknown = owner.sessionId;
  if (typeof id === "string" && SESSION_ID.test(id.trim())) yield id.trim() + TRANSCRIPT;
  const file: unknown = owner.sessionFile;
  if (typeof file !== "string" || file.trim() === "" || file.includes("\0")) return;
  const path = resolve(folder, file.trim());
  if (path.endsWith(TRANSCRIPT) && isFolder(host, dirname(path), folder)) yield basename(path);
}

function isFolder({ fs }: LegacyHost, path: string, folder: string): boolean {
  if (path === folder) return true;
  try {
    return fs.realpath(path) === folder;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** A symlink, a folder or a device in a transcript's place is nobody's to rename. */
function isTranscript({ fs }: LegacyHost, folder: string, name: string): boolean {
  return kindOf(fs, join(folder, name)) === "file";
}

function kindOf(fs: LegacyHost["fs"], path: string): string | undefined {
  try {
    return fs.lstat(path).kind;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

async function archiveFile(
  { fs, runtime }: LegacyHost,
  folder: string,
  name: string,
  reason: ArchiveReason,
): Promise<string | undefined> {
  const source = join(folder, name);
  const now = runtime.now();
  for (let attempt = 0; attempt < NAME_ATTEMPTS_MAX; attempt++) {
    const archive = `${source}.${reason}.${archiveTime(now + attempt)}`;
    if (kindOf(fs, archive) !== undefined) continue;
    try {
      await fs.later.rename(source, archive);
      return archive;
    } catch (error) {
      if (isMissing(error)) return undefined; // another process was faster
      throw error;
    }
  }
  return undefined;
}

/** Looks and renames with nothing in between in this process. @returns False if a new transcript is there already. */
function giveBack({ fs }: LegacyHost, { source, archive }: ArchivedTranscript): boolean {
  if (kindOf(fs, source) !== undefined) return false;
  try {
    fs.rename(archive, source);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** As in 2026-11-21T03-31-13.123Z. */
function archiveTime(now: number): string {
  return new Date(now).toISOString().replaceAll(":", "-");
}

const ARCHIVE = /\.jsonl\.(?:deleted|reset)\.(\d{4}-\d{2}-\d{2}T)(\d{2})-(\d{2})-(\d{2}(?:\.\d{3})?Z)$/;

/** The path that an archive had as a transcript. */
export function transcriptOf(archive: string): string {
  return archive.replace(ARCHIVE, TRANSCRIPT);
}

/** When a transcript was archived, by its name; undefined for any other file. */
export function archivedAt(fileName: string): number | undefined {
  const match = ARCHIVE.exec(fileName);
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}${match[2]}:${match[3]}:${match[4]}`);
  return Number.isNaN(time) ? undefined : time;
}
