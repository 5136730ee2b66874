/**
 * Sessions that a store has and cannot read: their files are damaged, or a big value of theirs is. A legacy file that is
 * written from the store must not lose them for that: the last copy that can be read goes into it, from the file that is
 * replaced or from the newest backup that has one, and a person is told that it is older.
 *
 * Reads only, so a crash leaves nothing behind.
 */
import { plural } from "../../plural.js";
import { errnoOf, SessionStoreError } from "../../errors.js";
import { namesIn, statusOf } from "../../fs/status.js";
import type { DirectorySessionStore, SessionRecord } from "../../store/types.js";
import type { DamagedSession, DamageReports } from "../base/damage-reports.js";
import { checkEntry } from "../reading/check-entry.js";
import type { EntryComparison } from "../reading/equality.js";
import { FileSource, ReadAgain } from "../reading/source.js";
import type { Tally } from "../base/tally.js";
import type { Refusal } from "../base/types.js";
import type { LegacyWork } from "./work.js";

/** A store's sessions, each with its digest, and those that cannot be read. */
export interface ReadableSessions {
  readonly sessions: readonly SessionRecord<object>[];
  readonly digests: ReadonlyMap<string, string>;
  readonly damaged: readonly DamagedSession[];
}

const SLICE_MS = 8;

/** Reads everything, big values included. @throws What concerns the store as a whole. */
export async function readSessions(
  { host: { runtime }, signal }: LegacyWork,
  store: DirectorySessionStore<object>,
  reports: DamageReports,
  comparison: EntryComparison,
): Promise<ReadableSessions> {
  const { sessions: all } = await store.list();
  const digests = new Map<string, string>();
  const sessions: SessionRecord<object>[] = [];
  const damaged: DamagedSession[] = [];
  let sliceStart = runtime.monotonic();
  for (const session of all) {
    const { key, entry } = session;
    try {
      digests.set(key, comparison.digest(entry));
      sessions.push(session);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.push({ key, path: String(error.data.path ?? error.data.hash), reason: error.message });
    }
    if (runtime.monotonic() - sliceStart < SLICE_MS) continue;
    signal?.throwIfAborted();
    await runtime.yieldToEventLoop();
    sliceStart = runtime.monotonic();
  }
  const seen = new Set(all.map(({ key }) => key));
  for (const report of reports.heard)
    if (report.key === undefined || (!seen.has(report.key) && (await isDamaged(store, report.key))))
      damaged.push(report);
  return { sessions, digests, damaged };
}

/** Since a store spoke of it, a session may have been mended or deleted. */
async function isDamaged(store: DirectorySessionStore<object>, key: string): Promise<boolean> {
  try {
    await store.read(key);
    return false;
  } catch (error) {
    if (!isDamage(error)) throw error;
    return true;
  }
}

const DAMAGE: ReadonlySet<string> = new Set([
  "entry_corrupt",
  "session_damaged",
  "blob_missing",
  "blob_corrupt",
]);

/** Whether only one session is concerned. */
export function isDamage(error: unknown): error is SessionStoreError {
  return error instanceof SessionStoreError && DAMAGE.has(error.code);
}

/** The last copy of a session that can be read. */
export interface OlderCopy {
  readonly entry: object;
  /** The legacy file or backup that has it. */
  readonly from: string;
}

/** Those whose key is known. */
export function keysOf(damaged: readonly DamagedSession[]): ReadonlySet<string> {
  return new Set(damaged.flatMap(({ key }) => (key === undefined ? [] : [key])));
}

/** Looks into the legacy file, then into its backups, those that were written last first. */
export async function findOlderCopies(
  work: LegacyWork,
  keys: ReadonlySet<string>,
): Promise<ReadonlyMap<string, OlderCopy>> {
  const copies = new Map<string, OlderCopy>();
  if (keys.size === 0) return copies;
  for (const from of await copiesOfFile(work)) {
    for (const [key, entry] of await entriesIn(work, from, keys))
      if (!copies.has(key)) copies.set(key, { entry, from });
    if (copies.size === keys.size) break;
  }
  return copies;
}

async function copiesOfFile({ host: { fs }, paths }: LegacyWork): Promise<string[]> {
  const backups: { readonly path: string; readonly modifiedAt: number }[] = [];
  for (const name of await namesIn(fs, paths.folder)) {
    if (!paths.isFileBackup(name)) continue;
    const path = `${paths.folder}/${name}`;
    const status = await statusOf(fs, path);
    if (status?.kind === "file") backups.push({ path, modifiedAt: status.modifiedAt });
  }
  backups.sort((a, b) => b.modifiedAt - a.modifiedAt || (a.path < b.path ? 1 : -1));
  return [paths.file, ...backups.map(({ path }) => path)];
}

/** What one file has of these sessions; a file that cannot be read has nothing. */
async function entriesIn(
  work: LegacyWork,
  path: string,
  keys: ReadonlySet<string>,
): Promise<ReadonlyMap<string, object>> {
  const source = new FileSource(work.host, path, work.json5BytesMax);
  const found = new Map<string, { readonly entry: object; readonly updatedAt: number }>();
  for (;;) {
    found.clear();
    try {
      await source.read({
        levelsMax: work.rules.limits.depthMax,
        signal: work.signal,
        onEntry: (from) => {
          const checked = checkEntry(from, work.rules);
          if (!checked.ok || !keys.has(checked.key)) return;
          const { key, entry, updatedAt } = checked;
          if ((found.get(key)?.updatedAt ?? -Infinity) <= updatedAt) found.set(key, { entry, updatedAt });
        },
      });
      break;
    } catch (error) {
      if (error instanceof ReadAgain) continue;
      work.throwIfAborted();
      if (!(error instanceof SessionStoreError) && errnoOf(error) === undefined) throw error;
      return new Map();
    }
  }
  return new Map([...found].map(([key, { entry }]) => [key, entry]));
}

/** What a report says of one of them. */
function damageRefusal({ key, path, reason }: DamagedSession, copy: OlderCopy | undefined): Refusal {
  const name = key === undefined ? "a session" : `session ${JSON.stringify(key)}`;
  const kept =
    copy === undefined
      ? "No older copy was found"
      : `The copy of it in ${copy.from} is kept, which may be older`;
  return {
    key: key ?? path,
    reason: "session_damaged",
    message: `${name} cannot be read (${path}: ${reason}). ${kept}.`,
  };
}

/** What became of damaged sessions: each by its name, and one warning of all together. */
export function describeDamage(
  { paths: { directory, file } }: LegacyWork,
  damaged: readonly DamagedSession[],
  copies: ReadonlyMap<string, OlderCopy>,
): Pick<Tally, "refusals" | "warnings"> {
  if (damaged.length === 0) return { refusals: [], warnings: [] };
  const refusals = damaged.map((session) =>
    damageRefusal(session, session.key === undefined ? undefined : copies.get(session.key)),
  );
  const lost = damaged.length - copies.size;
  const message =
    `${directory}: ${plural(damaged.length, "session")} cannot be read. Of ${copies.size} an older copy is kept in ${file}, ` +
    `of ${lost} none was found. ${refusals[0]!.message} Restore their files from a backup, or write the sessions again.`;
  const keys = damaged.slice(0, KEYS_TOLD_MAX).map(({ key, path }) => key ?? path);
  const data = {
    path: directory,
    damaged: damaged.length,
    older: copies.size,
    keys: keys.join("\n"),
  };
  return { refusals, warnings: [{ code: "sessions_damaged", message, data }] };
}

/** The report has more of them. */
const KEYS_TOLD_MAX = 20;
