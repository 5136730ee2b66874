/**
 * Writes today's sessions as a canonical legacy file: what an old gateway would have written, byte for byte what
 * `JSON.stringify(sessions, null, 2)` gives, with big values inline and the fields of each session in their order.
 * Sessions come in the order of the last legacy file that is known, new ones behind them by key.
 *
 * The file is made under a name of its own, synced, read back through the ordinary reader and compared with the store,
 * session by session. A crash leaves that file, which nobody reads and the next run removes.
 */
import { createHash, type Hash } from "node:crypto";
import { SessionStoreError } from "../../errors.js";
import { DEFAULT_LIMITS } from "../../format/limits.js";
import type { DirectorySessionStore, SessionRecord } from "../../store/types.js";
import { EntryComparison } from "../reading/equality.js";
import type { KnownFile, KnownFiles } from "../merging/known-files.js";
import { readLegacyFile } from "../reading/read-file.js";
import type { LegacyWork } from "../work.js";

/** What is put together before it is written. */
const PIECE_CHARS = 512 * 1024;

/**
 * @param path A file that the caller has just made, empty: before the store was opened or looked at by its path.
 * @returns What to record about it. It has every commit up to `revision`, and perhaps some later ones.
 * @throws `legacy_mismatch`, `disk_full`, `io_error`; the file is then not complete.
 */
export async function writeLegacyFile(
  work: LegacyWork,
  store: DirectorySessionStore<object>,
  known: KnownFiles,
  path: string,
  fd: number,
): Promise<KnownFile> {
  const comparison = new EntryComparison();
  const revision = await store.revision();
  const { sessions } = await store.list();
  const ordered = inKnownOrder(sessions, known);
  const out = new Output(work, fd);
  const entries: (readonly [string, string])[] = [];
  for (const { key, entry } of ordered) {
    work.throwIfAborted();
    entries.push([key, comparison.digest(entry)]);
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
  return { revision, bytes, sha256, complete: true, recordedAt: work.host.runtime.now(), entries, gone };
}

function inKnownOrder(
  sessions: readonly SessionRecord<object>[],
  known: KnownFiles,
): SessionRecord<object>[] {
  const places = new Map((known.newest?.entries ?? []).map(([key], index) => [key, index]));
  const place = ({ key }: SessionRecord<object>): number => places.get(key) ?? places.size;
  return sessions.toSorted((a, b) => place(a) - place(b)); // stable: by key where the place is the same
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
    for (let written = 0; written < bytes.length;) {
      const count = await this.work.host.fs.later.write(this.fd, bytes, written, bytes.length - written);
      if (count === 0) throw new Error("write took no bytes and gave no reason");
      written += count;
    }
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
  sessions: readonly SessionRecord<object>[],
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
      "It was thrown away and nothing was changed. Check the disk; if it is sound, please report this.",
    { data: { path, key: wrong } },
  );
}
