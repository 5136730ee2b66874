/**
 * Recognises the layouts of many files that came before this store, because forks run them.
 *
 * Three of them are in `NAME.d` itself and are moved to `NAME.d.saved-<time>` as a whole, their internal folders and all;
 * sidecars lie beside `NAME.json` and are renamed one by one. A crash in between leaves some of them: the next run joins
 * what is newer in them with the store, which is nothing, and goes on.
 *
 * Session folders of our own store are not an older layout, though they look like one: a store that was copied without its
 * hidden `.store` has nothing else. They are refused, for what they say of keys and big values would become data.
 */
import { plural } from "../../plural.js";
import { errnoOf, SessionStoreError } from "../../errors.js";
import { openRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { namesIn, statusOf } from "../../fs/status.js";
import { SESSION_FIELD } from "../../format/entry-document.js";
import { STORE_FOLDER } from "../../format/layout.js";
import { isStore } from "../base/host.js";
import { keysIn } from "./layout-keys.js";
import { hasLegacyFile, joined, LayoutSource, readJson, type LayoutFile } from "./layout-source.js";
import { isDamage } from "../run/damage.js";
import type { Journal } from "../base/journal.js";
import { backupPath, shellQuoted } from "../base/paths.js";
import { checkEntry, refusalOf } from "../reading/check-entry.js";
import { levelsOf } from "../reading/nesting.js";
import { plainEntry, readLegacyFile } from "../reading/read-file.js";
import type { LegacySource } from "../reading/source.js";
import { EMPTY_TALLY, Refusals, type Tally } from "../base/tally.js";
import type { Refusal } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";

export interface OlderLayout {
  readonly source: LegacySource;
  /** The layout is what `NAME.d` is: it has to make room for the store. */
  readonly inDirectory: boolean;
  /** Files beside `NAME.json` that become backups. */
  readonly sidecars: readonly LayoutFile[];
}

const SIDECAR = ".meta.json";

/**
 * @param store Whether there is a store already: then `NAME.d` is that.
 * @throws `not_a_store` for the session folders of a store of ours without anything else of it.
 */
export async function findLayout(work: LegacyWork, store: boolean): Promise<OlderLayout | undefined> {
  const inDirectory = store ? [] : await filesInDirectory(work);
  const own = inDirectory.filter((file) => isOurs(work, file));
  if (own.length > 0 && !(await isStore(work.host, work.paths.directory))) throw storeWithoutRoom(work, own);
  const sidecars = await findSidecars(work);
  const files = [...inDirectory, ...sidecars];
  if (files.length === 0) return undefined;
  const path = inDirectory.length > 0 ? work.paths.directory : work.paths.file;
  const source = new LayoutSource(work, path, files, await hasLegacyFile(work));
  return { source, inDirectory: inDirectory.length > 0, sidecars };
}

const OURS = Buffer.from(`{"${SESSION_FIELD}":{`);

/** Whether a file is the `meta.json` of a session of ours, damaged or not. */
function isOurs({ host: { fs } }: LegacyWork, { path, layout }: LayoutFile): boolean {
  if (layout !== "dashed_folders") return false;
  try {
    const { fd } = openRegularFile(fs, path, "read", { bytesMax: Infinity });
    try {
      const head = Buffer.alloc(OURS.length);
      return fs.read(fd, head, 0, head.length, 0) === head.length && head.equals(OURS);
    } finally {
      fs.close(fd);
    }
  } catch (error) {
    if (error instanceof SessionStoreError || errnoOf(error) !== undefined) return false; // it will be refused by name
    throw error;
  }
}

function storeWithoutRoom({ paths }: LegacyWork, own: readonly LayoutFile[]): SessionStoreError {
  const { directory } = paths;
  return new SessionStoreError(
    "not_a_store",
    `${directory} has the folders of ${plural(own.length, "session")} of a store, but not the hidden folder ${STORE_FOLDER} that belongs ` +
      `to them: it was copied without hidden files. Copy the store again as a whole (cp -a), or make one of what is there: ` +
      `sessiondir rebuild --store ${shellQuoted(directory)}.`,
    { data: { path: directory, found: own[0]!.name, sessions: own.length } },
  );
}

/** @throws `not_a_store`, `file_unsafe` when something stands where the store is to be and is no layout that we know. */
export async function assertPlaceIsFree(work: LegacyWork, older: OlderLayout | undefined): Promise<void> {
  const { directory } = work.paths;
  const status = await statusOf(work.host.fs, directory);
  if (status === undefined || older?.inDirectory === true) return;
  const names = await namesIn(work.host.fs, directory);
  if (status.kind === "directory" && names.length === 0) return;
  if (names.includes(STORE_FOLDER)) return; // another process has put the store there: the rename will tell
  const what =
    status.kind === "directory"
      ? `holds other things, for example ${JSON.stringify(names[0])}`
      : `is a ${status.kind}`;
  throw new SessionStoreError(
    "not_a_store",
    `${directory} ${what}, so the store cannot be put there: move it away, then try again.`,
    { data: { path: directory, found: names[0] ?? status.kind } },
  );
}

/** What is newer in sidecars goes into their sessions. */
export async function absorbSidecars(work: LegacyWork, { sidecars }: OlderLayout): Promise<Tally> {
  const counts = { ...EMPTY_TALLY.counts, read: sidecars.length };
  const refusals = new Refusals();
  const store = await work.openStore(work.paths.directory);
  try {
    const { sessions } = await store.list();
    const bySessionId = new Map(
      sessions.map(({ key, entry }) => [(entry as { sessionId?: unknown }).sessionId, key]),
    );
    for (const file of sidecars) {
      const read = sidecarOf(work, file, bySessionId);
      if ("refusal" in read) {
        refusals.add(read.refusal);
        continue;
      }
      const { key, sidecar } = read;
      const newer = (entry: object | undefined): boolean =>
        entry === undefined || work.rules.updatedAt(sidecar) > work.rules.updatedAt(entry);
      try {
        const before = await store.get(key);
        await store.update(key, (entry) => (newer(entry) ? joined(work, entry ?? {}, sidecar) : undefined));
        counts[newer(before) ? "kept" : "unchanged"]++;
      } catch (error) {
        const refusal = isDamage(error) ? damageRefusal(file, error) : refusalOf(error, key);
        if (refusal === undefined) throw error;
        refusals.add(refusal);
      }
    }
    return { counts: { ...counts, refused: refusals.count }, refusals: refusals.named, warnings: [] };
  } finally {
    await store.close();
  }
}

/** A sidecar and its session, or why it has none. */
function sidecarOf(
  work: LegacyWork,
  file: LayoutFile,
  bySessionId: ReadonlyMap<unknown, string>,
): { readonly key: string; readonly sidecar: object } | { readonly refusal: Refusal } {
  const read = readJson(work, file);
  if ("refusal" in read) return read;
  const { value, bytes } = read;
  const known = bySessionId.get(file.name) ?? keysIn(value)[0];
  if (known === undefined) {
    const message = `${file.path}: nothing says which session it belongs to`;
    return { refusal: { key: file.path, reason: "key_unknown", message } };
  }
  const levels = levelsOf(value, work.rules.limits.depthMax);
  const checked = checkEntry(plainEntry({ ordinal: 0, key: known, value, levels, bytes }), work.rules);
  return checked.ok ? { key: checked.key, sidecar: checked.entry } : checked;
}

function damageRefusal({ path }: LayoutFile, { message }: SessionStoreError): Refusal {
  return { key: path, reason: "session_damaged", message: `${path}: ${message}` };
}

/** Sidecars become backups, one rename each. */
export async function backUpSidecars(
  work: LegacyWork,
  journal: Journal,
  { sidecars }: OlderLayout,
): Promise<void> {
  const { fs, runtime } = work.host;
  for (const { path } of sidecars) {
    const backup = await backupPath(fs, runtime, path);
    await fs.later.rename(path, backup);
    journal.backups.push(backup);
  }
  if (sidecars.length > 0) await syncDirectory(fs, work.paths.folder);
}

async function filesInDirectory(work: LegacyWork): Promise<LayoutFile[]> {
  const { fs } = work.host;
  const { directory } = work.paths;
  if ((await statusOf(fs, directory))?.kind !== "directory") return [];
  const files: LayoutFile[] = [];
  for (const name of await namesIn(fs, directory)) {
    const path = `${directory}/${name}`;
    if (name === "entries") {
      for (const entry of await namesIn(fs, path)) {
        if (!/^session-.+\.json$/.test(entry)) continue;
        files.push({
          path: `${path}/${entry}`,
          layout: "hashed_entries",
          name: entry.slice(0, -".json".length),
        });
      }
    } else if (name.endsWith(".json") && name !== "state.json") {
      files.push({ path, layout: "encoded_files", name: name.slice(0, -".json".length) });
    } else if (await hasMeta(work, path)) {
      files.push({ path: `${path}/meta.json`, layout: "dashed_folders", name });
    }
  }
  return files;
}

/** A folder that cannot be searched has one as well: it is refused by its name, and stops no other. */
async function hasMeta({ host: { fs } }: LegacyWork, folder: string): Promise<boolean> {
  try {
    return (await statusOf(fs, `${folder}/meta.json`)) !== undefined;
  } catch (error) {
    if (errnoOf(error) !== "EACCES") throw error;
    return true;
  }
}

/** `<sessionId>.meta.json`, if its session's id is what names it: other tools have files of such names too. */
async function findSidecars(work: LegacyWork): Promise<LayoutFile[]> {
  const { host, paths } = work;
  const names = (await namesIn(host.fs, paths.folder)).filter(
    (name) => name.endsWith(SIDECAR) && name !== paths.fileName,
  );
  const files: LayoutFile[] = [];
  let ids: Set<unknown> | undefined;
  for (const fileName of names) {
    const name = fileName.slice(0, -SIDECAR.length);
    const file: LayoutFile = { path: `${paths.folder}/${fileName}`, layout: "meta_sidecars", name };
    const read = readJson(work, file);
    const named = "value" in read && (read.value as { sessionId?: unknown } | null)?.sessionId === name;
    if (!named) ids ??= await sessionIds(work);
    if (named || ids?.has(name) === true) files.push(file);
  }
  return files;
}

async function sessionIds(work: LegacyWork): Promise<Set<unknown>> {
  const ids = new Set<unknown>();
  const onEntry = ({ value }: { value: unknown }): void =>
    void ids.add((value as { sessionId?: unknown } | null)?.sessionId);
  const levelsMax = work.rules.limits.depthMax;
  // A file that cannot be read is reported where it is read for its sessions.
  await readLegacyFile(work.host, work.paths.file, { levelsMax, onEntry, signal: work.signal }).catch(
    () => {},
  );
  work.throwIfAborted();
  return ids;
}
