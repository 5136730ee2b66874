/**
 * A `sessions.json` read and written in one piece, as old gateways do, but so that nothing gets lost: a file that cannot be
 * understood is an error and is never written over, entries that are no sessions stay in it, and a new content is
 * complete and durable before it has the name.
 *
 * What was parsed is kept for as long as the file is the same one. A file that changed a moment before it was read is
 * looked at again: within one tick of the clock it could have changed twice.
 *
 * A crash while writing leaves the old file, and a file `….writing-…` beside it, which the next writer of any kind removes.
 */
import { SessionStoreError, errnoOf } from "../../errors.js";
import { createFile, readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { namesIn, namesInNow, statusNow } from "../../fs/status.js";
import { isMissing } from "../../fs/missing.js";
import type { LegacyHost } from "../../legacy/base/host.js";
import { LegacyPaths } from "../../legacy/base/paths.js";
import type { LegacyWarning } from "../../legacy/base/types.js";
import type { DamagedSession } from "../../store/types.js";
import type { SessionEntry } from "../entry/session-entry.js";
import type { SessionChange } from "./change.js";
import { StoreSnapshot, type StoredSession } from "./snapshot.js";

/** Coarser than the clock of any file system that we write to. */
const CLOCK_TICK_MS = 50;

/** What a file had, as of one reading. Never changed. */
export interface FileContent {
  /** Every member, whatever it is. */
  readonly members: ReadonlyMap<string, unknown>;
  readonly snapshot: StoreSnapshot;
}

const NOTHING: FileContent = { members: new Map(), snapshot: new StoreSnapshot([]) };

/** Members named in a warning; a file of nothing else would fill the log. */
const NAMED_MAX = 10;

interface Cached {
  readonly stamp: string;
  readonly content: FileContent;
}

export class SessionFile {
  readonly paths: LegacyPaths;
  /** Whether the last reading found a file. */
  isThere = false;
  #cached: Cached | undefined;
  #cleaned = false;
  #toldOf = "";

  constructor(
    private readonly host: LegacyHost,
    path: string,
    private readonly onWarning: (warning: LegacyWarning) => void = () => {},
  ) {
    this.paths = new LegacyPaths(path);
  }

  /**
   * The sessions; none where there is no file.
   * @throws `legacy_invalid` for a file that is no JSON object; `legacy_changing` while a migration was cut off in the middle.
   */
  read(options: { readonly skipCache?: boolean } = {}): FileContent {
    const { host, paths } = this;
    const stamp = this.#stamp();
    this.isThere = stamp !== undefined;
    if (stamp === undefined) return this.#absent();
    if (options.skipCache !== true && this.#cached?.stamp === stamp.text) return this.#cached.content;
    let text: string;
    try {
      text = readRegularFile(host.fs, paths.file, { bytesMax: Infinity }).toString();
    } catch (error) {
      if (isMissing(error)) return this.#absent();
      if (errnoOf(error) !== "ERR_STRING_TOO_LONG") throw error;
      throw invalid(paths.file, "it is too long to be read in one piece", error);
    }
    const content = contentOf(parse(text, paths.file), paths.file);
    this.#tellOfDamage(content.snapshot);
    const settled = host.runtime.now() - stamp.modifiedAt > CLOCK_TICK_MS;
    const same = settled && this.#stamp()?.text === stamp.text;
    this.#cached = same ? { stamp: stamp.text, content } : undefined;
    return content;
  }

  /**
   * Puts a new content in place, under the lock.
   * @param mayReplace Asked right before the rename, with nothing in between.
   * @returns False, and nothing was changed, if it may not.
   */
  async write(
    content: FileContent,
    changes: readonly SessionChange[],
    mayReplace: () => boolean,
  ): Promise<boolean> {
    const { host, paths } = this;
    await this.#removeUnfinished();
    const text = JSON.stringify(changedMembers(content, changes), null, 2);
    const complete = paths.writing(host.runtime, 0);
    await createFile(host.fs, complete, Buffer.from(text), { sync: true });
    let replaced = false;
    try {
      if (mayReplace()) {
        host.fs.rename(complete, paths.file);
        replaced = true;
      }
    } catch (error) {
      // A migration that began meanwhile tidies up such files.
      if (!isMissing(error)) throw error;
    } finally {
      if (!replaced) await host.fs.later.unlink(complete).catch(() => {});
    }
    if (replaced) await syncDirectory(host.fs, paths.folder);
    return replaced;
  }

  /** Names the members that are no sessions, each set of them once. */
  #tellOfDamage({ damaged }: StoreSnapshot): void {
    const keys = damaged.map(({ key }) => JSON.stringify(key));
    const named = keys.slice(0, NAMED_MAX).join(", ") + (keys.length > NAMED_MAX ? ", …" : "");
    if (this.#toldOf === named) return;
    this.#toldOf = named;
    if (keys.length === 0) return;
    const { file } = this.paths;
    const message =
      `${file}: no session, and left in the file as it is: ${named}. ` +
      "Restore them from a backup, assign the sessions as a whole, or delete them.";
    this.onWarning({
      code: "entries_refused",
      message,
      data: { path: file, count: keys.length, keys: named },
    });
  }

  #stamp(): { readonly text: string; readonly modifiedAt: number } | undefined {
    const status = statusNow(this.host.fs, this.paths.file);
    if (status === undefined) return undefined;
    const { kind, device, inode, size, modifiedAt } = status;
    return { text: `${kind} ${device} ${inode} ${size} ${modifiedAt}`, modifiedAt };
  }

  /** No file: no sessions, unless a migration that was killed has put it aside; then they are there. */
  #absent(): FileContent {
    const { host, paths } = this;
    this.isThere = false;
    this.#cached = undefined;
    const aside = namesInNow(host.fs, paths.folder).find((name) => paths.isMerging(name));
    if (aside === undefined) return NOTHING;
    throw new SessionStoreError(
      "legacy_changing",
      `${paths.file} is being migrated: its sessions are in ${paths.folder}/${aside}. If no migration is running, one was ` +
        "killed: run it again, and it will finish.",
      { data: { path: paths.file, attempts: 1 } },
    );
  }

  /** Only the holder of the lock writes, so whatever is unfinished was left by somebody who was killed. Once a process. */
  async #removeUnfinished(): Promise<void> {
    if (this.#cleaned) return;
    this.#cleaned = true;
    const { host, paths } = this;
    for (const name of await namesIn(host.fs, paths.folder)) {
      if (paths.writingRevision(name) === 0)
        await host.fs.later.unlink(`${paths.folder}/${name}`).catch(() => {});
    }
  }
}

function parse(text: string, path: string): object {
  const json = text.startsWith("\uFEFF") ? text.slice(1) : text;
  if (json.trim() === "")
    throw invalid(path, "it is empty, not even {}: a crash or a full disk may have emptied it");
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : "it is not JSON", error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(path, "it is not an object of sessions");
  return value;
}

/** Null is how old gateways write that there is no session; any other value that is no object is damage. */
function contentOf(value: object, path: string): FileContent {
  const members = new Map<string, unknown>(Object.entries(value));
  const sessions: StoredSession[] = [];
  const damaged: DamagedSession[] = [];
  for (const [key, entry] of members) {
    if (isEntry(entry)) sessions.push({ key, entry, revision: 0 });
    else if (entry !== null) damaged.push({ key, path, reason: "it is no object", missing: false });
  }
  return { members, snapshot: new StoreSnapshot(sessions, damaged) };
}

function isEntry(value: unknown): value is SessionEntry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Members after the changes, in their order, new ones behind. */
function changedMembers(content: FileContent, changes: readonly SessionChange[]): object {
  const members = new Map(content.members);
  for (const change of changes) {
    for (const key of change.replaces) members.delete(key);
    if (change.kind !== "delete") members.set(change.key, change.entry);
  }
  // fromEntries defines: "__proto__" is a key like any other.
  return Object.fromEntries(members);
}

function invalid(path: string, reason: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError(
    "legacy_invalid",
    `${path} cannot be read: ${reason}. It was left as it is. Mend it, or put a backup in its place; a file in JSON5 is read ` +
      "by the migration.",
    { data: { path, reason }, cause },
  );
}
