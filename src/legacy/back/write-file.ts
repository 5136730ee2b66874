/**
 * Writes today's sessions as a canonical legacy file: what an old gateway would have written, byte for byte what
 * `JSON.stringify(sessions, null, 2)` gives, with big values inline and the fields of each session in their order.
 * Sessions come in the order of the last legacy file that is known, new ones behind them by key. Of a session that cannot be
 * read the last copy that can be found goes in (damage.ts); such a file does not count as complete.
 *
 * The file is made under a name of its own, synced, read back through the ordinary reader and compared with the store,
 * session by session. A crash leaves that file, which nobody reads and the next run removes.
 */
import { createHash, type Hash } from "node:crypto";
import { SessionStoreError } from "../../errors.js";
import { writeAll } from "../../fs/write-all.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import type { DirectorySessionStore } from "../../store/types.js";
import type { DamagedSession, DamageReports } from "../base/damage-reports.js";
import { EntryComparison } from "../reading/equality.js";
import type { KnownFile, KnownFiles } from "../merging/known-files.js";
import { readLegacyFile } from "../reading/read-file.js";
import type { LegacyWork } from "../run/work.js";
import { findOlderCopies, keysOf, readSessions, type OlderCopy } from "../run/damage.js";

/** What is put together before it is written. */
const PIECE_CHARS = 512 * 1024;

export interface WrittenFile {
  /** What to record about it. It has every commit up to its revision, and perhaps some later ones. */
  readonly record: KnownFile;
  /** Sessions that could not be read, and what the file has instead. */
  readonly damaged: readonly DamagedSession[];
  readonly copies: ReadonlyMap<string, OlderCopy>;
}

/** A session as it is written. */
interface Session {
  readonly key: string;
  readonly entry: object;
}

/**
 * @param path A file that the caller has just made, empty: before the store was opened or looked at by its path.
 * @param reports Hears from `store`.
 * @throws `legacy_mismatch`, `disk_full`, `io_error`; the file is then not complete.
 */
export async function writeLegacyFile(
  work: LegacyWork,
  store: DirectorySessionStore<object>,
  reports: DamageReports,
  known: KnownFiles,
  { path, fd }: { readonly path: string; readonly fd: number },
): Promise<WrittenFile> {
  const comparison = new EntryComparison();
  const revision = await store.revision();
  const { sessions, digests, damaged } = await readSessions(work, store, reports, comparison);
  const copies = await findOlderCopies(work, keysOf(damaged));
  const older = [...copies].map(([key, { entry }]) => ({ key, entry }));
  const ordered = inKnownOrder([...sessions, ...older], known);
  const out = new Output(work, fd);
  const entries: (readonly [string, string])[] = [];
  for (const { key, entry } of ordered) {
    work.throwIfAborted();
    entries.push([key, digests.get(key) ?? comparison.digest(entry)]);
    // A computed name is an own field, even "__proto__". The outer braces and their lines are cut off.
    const text = JSON.stringify({ [key]: entry }, null, 2).slice(2, -2);
    if (out.add(`${entries.length === 1 ? "{\n" : ",\n"}${text}`)) {
      await out.flush();
      work.progress("writing", entries.length, ordered.length, entries.length);
    }
  }
  out.add(ordered.length === 0 ? "{}" : "\n}");
  const { bytes, sha256 } = await out.end();
  await verify(work, path, { bytes, sha256 }, ordered, comparison);
  const gone = known.goneWithout(new Set(entries.map(([key]) => key)));
  const complete = damaged.length === 0;
  const recordedAt = work.host.runtime.now();
  return { record: { revision, bytes, sha256, complete, recordedAt, entries, gone }, damaged, copies };
}

function inKnownOrder(sessions: readonly Session[], known: KnownFiles): Session[] {
  const places = new Map((known.newest?.entries ?? []).map(([key], index) => [key, index]));
  const place = ({ key }: Session): number => places.get(key) ?? places.size;
  const byKey = (a: Session, b: Session): number => (a.key < b.key ? -1 : 1);
  return sessions.toSorted((a, b) => place(a) - place(b) || byKey(a, b));
}

class Output {
  readonly #hash: Hash = createHash("sha256");
  #pending = "";
  #bytes = 0;

  constructor(
    private readonly work: LegacyWork,
    private readonly fd: number,
  ) {}

  /** @returns Whether it is time to flush. */
  add(text: string): boolean {
    this.#pending += text;
    return this.#pending.length >= PIECE_CHARS;
  }

  async flush(): Promise<void> {
    const bytes = Buffer.from(this.#pending);
    this.#pending = "";
    this.#hash.update(bytes);
    await writeAll(this.work.host.fs, this.fd, bytes);
    this.#bytes += bytes.length;
  }

  async end(): Promise<{ bytes: number; sha256: string }> {
    await this.flush();
    await this.work.host.fs.later.fdatasync(this.fd);
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}

/** Reads the file as a migration would, and compares it with what it was made from. */
async function verify(
  work: LegacyWork,
  path: string,
  written: { readonly bytes: number; readonly sha256: string },
  sessions: readonly Session[],
  comparison: EntryComparison,
): Promise<void> {
  let seen = 0;
  let wrong: string | undefined;
  const read = await readLegacyFile(work.host, path, {
    levelsMax: DEFAULT_LIMITS.depthMax,
    signal: work.signal,
    onEntry: ({ key, value }) => {
      const session = sessions[seen++];
      if (session?.key !== key) wrong ??= key;
      else if (comparison.difference(session.entry, value) !== undefined) wrong ??= key;
    },
    afterPiece: (done, total) => work.progress("verifying", done, total, seen),
  });
  const same = read.bytes === written.bytes && read.sha256 === written.sha256 && seen === sessions.length;
  if (same && wrong === undefined) return;
  throw new SessionStoreError(
    "legacy_mismatch",
    `${path} does not read back as it was written${wrong === undefined ? "" : `, at session ${JSON.stringify(wrong)}`}. ` +
      "It was thrown away. Check the disk; if it is sound, please report this.",
    { data: { path, key: wrong } },
  );
}
