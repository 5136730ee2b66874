/** Finishes what a run began that was killed between moving an older layout away and putting the store in its place. */
import { syncDirectory } from "../fs/regular-file.js";
import type { DirectorySessionStore } from "../store/types.js";
import { removeBuilding } from "./build.js";
import { isStore, statusOf } from "./host.js";
import { unfinishedDirectories } from "./leftovers.js";
import { Merge } from "./merge.js";
import { levelsOf } from "./nesting.js";
import type { ReadingOptions } from "./read-file.js";
import { readReplacement, removeReplacement } from "./replacement.js";
import type { LegacySource, SourceReading } from "./source.js";
import type { LegacyWork } from "./work.js";

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
  work.startOver();
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
      options.onEntry({ ordinal, key, value: entry, levels, bytes: 0, newBytes: 0, firsts: [] });
      if (ordinal % 32 === 0) await options.afterPiece?.(ordinal, sessions.length);
    }
    const entries = sessions.length;
    return { bytes: 0, sha256: "", entries, notUtf8: false, warnings: [], refusals: [] };
  }
}
