/**
 * Moving an older layout away, and finishing what a run began that was killed between that and putting the store in its place.
 *
 * Whoever sleeps right before it moves the layout away may wake up in front of a store that others have put there. So it
 * looks and renames with nothing in between in this process, looks at what it has moved, and puts a store back. Should it
 * be killed in those two calls, its note says what to put back; if the others have taken that away as unfinished, the
 * store stays where it is, as a backup. (Linux could rename one very folder; Node cannot ask it to.)
 */
import { errnoOf } from "../../errors.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { STORE_FOLDER } from "../../format/layout.js";
import { isStore, stampNow } from "../base/host.js";
import { removeBuilding, unfinishedDirectories } from "../run/leftovers.js";
import { Merge } from "../merging/merge.js";
import { levelsOf } from "../reading/nesting.js";
import { plainEntry, type ReadingOptions } from "../reading/read-file.js";
import { readReplacement, removeReplacement } from "../run/replacement.js";
import type { LegacySource, SourceReading } from "../reading/source.js";
import type { LegacyWork } from "../run/work.js";

/** What a rename says of names that are not as they were. */
export const TAKEN: ReadonlySet<string> = new Set(["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"]);

/** @returns False when others were faster: what is there is not the older layout. A store that was moved is back. */
export async function moveLayoutAside(work: LegacyWork, backup: string): Promise<boolean> {
  const { host, paths } = work;
  if (stampNow(host, `${paths.directory}/${STORE_FOLDER}`) !== "none") return false;
  try {
    host.fs.rename(paths.directory, backup);
  } catch (error) {
    if (TAKEN.has(errnoOf(error) ?? "")) return false;
    throw error;
  }
  const isLayout = stampNow(host, `${backup}/${STORE_FOLDER}`) === "none";
  if (!isLayout) await putBack(work, backup);
  else await syncDirectory(host.fs, paths.folder);
  return isLayout;
}

async function putBack(work: LegacyWork, store: string): Promise<void> {
  const { host, paths } = work;
  try {
    host.fs.rename(store, paths.directory);
  } catch (error) {
    if (!TAKEN.has(errnoOf(error) ?? "")) throw error;
    // Others have put it back, by our note; or somebody opened a new, empty store in that instant.
    if (await isStore(host, store)) await mergeStores(work, store);
    return;
  }
  await syncDirectory(host.fs, paths.folder);
}

export async function finishReplacement(work: LegacyWork): Promise<void> {
  const { host, paths } = work;
  for (const building of await unfinishedDirectories(work)) {
    if (!building.startsWith(`${paths.directory}.building-`)) continue;
    const note = await readReplacement(host, building);
    if (note === undefined) continue;
    // What was moved away may be the store of a migration that was faster: then that one counts, and not ours.
    const store = (await isStore(host, note.backup)) ? note.backup : building;
    if ((await statusOf(host.fs, paths.directory)) === undefined) {
      await host.fs.later.rename(store, paths.directory);
      await syncDirectory(host.fs, paths.folder);
      await (store === building ? removeReplacement(host, paths.directory) : removeBuilding(work, building));
    } else if (await isStore(host, paths.directory)) {
      await mergeStores(work, store); // in that instant somebody opened a new, empty store
      await removeBuilding(work, building);
    }
  }
}

async function mergeStores(work: LegacyWork, path: string): Promise<void> {
  const from = await work.openStore(path, { readOnly: true });
  try {
    const store = await work.openStore(work.paths.directory);
    try {
      await new Merge(work, store, new Map()).read(new StoreSource(path, from), { commit: true });
    } finally {
      await store.close();
    }
  } finally {
    await from.close();
  }
}

/** A store of our own as a source. */
class StoreSource implements LegacySource {
  readonly layouts = ["session_store"] as const;

  constructor(
    readonly path: string,
    private readonly store: DirectorySessionStore<object>,
  ) {}

  async read(options: ReadingOptions): Promise<SourceReading> {
    const { sessions } = await this.store.list();
    for (const [ordinal, { key, entry }] of sessions.entries()) {
      const levels = levelsOf(entry, options.levelsMax);
      options.onEntry(plainEntry({ ordinal, key, value: entry, levels, bytes: 0 }));
      if (ordinal % 32 === 0) await options.afterPiece?.(ordinal, sessions.length);
    }
    const entries = sessions.length;
    return { bytes: 0, sha256: "", entries, notUtf8: false, warnings: [], refusals: [] };
  }
}
