/**
 * Migration: from a legacy file or an older layout to a store, such that it cannot half-happen.
 *
 * **Which side counts**: the directory, if `NAME.d/.store/` exists; otherwise the legacy file. The one rename of the
 * complete, compared and durable building folder to `NAME.d` changes that, and nothing else does:
 *
 *   1. read the source, build a store aside, read it back and compare (build.ts)         crash: the file counts
 *   2. rename `NAME.d.building-…` to `NAME.d`, sync the parent folder                    crash: the directory counts
 *   3. take away whatever others were building from the same source                      crash: the directory counts
 *   4. take the file into the store and rename it to `NAME.json.saved-<time>` (absorb.ts)  crash: the directory counts
 *
 * Step 4 finds nothing to merge unless the file was written in the meantime; and a run that finds both sides begins
 * there. So the next run finishes, wherever the last one was killed. The rename in step 2 fails when another process put
 * its store there first, or took our folder away; then everything is looked at again.
 *
 * An older layout that is itself in `NAME.d` has to be moved away before step 2; see replacement.ts for that instant.
 */
import { errnoOf, SessionStoreError } from "../../errors.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { EntryCodec } from "../../format/entry-codec.js";
import { BLOB_THRESHOLD_BYTES } from "../../format/limits.js";
import {
  absorbLegacyFiles,
  giveBack,
  nextFile,
  notAFile,
  planForeign,
  type Absorbed,
} from "../merging/absorb.js";
import { readSource, whileChanging, type CheckedSource, type Winner } from "../checked-source.js";
import { buildAside, removeBuilding } from "./build.js";
import { refusalOf } from "../reading/check-entry.js";
import { isStore, statusOf } from "../host.js";
import { assertSessions } from "../resemblance.js";
import { finishReplacement, moveLayoutAside, TAKEN } from "./finish-replacement.js";
import {
  absorbSidecars,
  assertPlaceIsFree,
  backUpLayout,
  findLayout,
  type OlderLayout,
} from "../layouts/older-layout.js";
import { removeStale, removeUnfinished, removeUnfinishedFiles } from "./leftovers.js";
import { backupPath } from "../paths.js";
import { hashFile } from "../reading/read-file.js";
import { removeReplacement, writeReplacement } from "./replacement.js";
import { FileSource, type LegacySource } from "../reading/source.js";
import { listTree } from "../tree.js";
import type { LegacyFailure, LegacyLayout, MigrationOutcome, MigrationReceipt } from "../types.js";
import type { LegacyWork } from "../work.js";

/** How often others may change what we have just looked at. */
const ROUNDS_MAX = 5;

/** What lies there, as of one look. */
export interface Situation {
  readonly store: boolean;
  readonly file: "none" | "file" | "directory" | "symlink" | "other";
  /** A legacy file that a killed run was merging. */
  readonly merging: boolean;
  readonly older: OlderLayout | undefined;
}

export async function lookAround(work: LegacyWork): Promise<Situation> {
  const { host, paths } = work;
  const store = await isStore(host, paths.directory);
  const file = (await statusOf(host.fs, paths.file))?.kind ?? "none";
  const next = await nextFile(work);
  const merging = next !== undefined && next !== paths.file;
  const older = await findLayout(work, store);
  // The folders of a store that another process has just put there look like an older layout.
  if (older?.inDirectory === true && (await isStore(host, paths.directory))) return lookAround(work);
  return { store, file, merging, older };
}

export class Migration {
  /** For inspection: what was read. */
  source: { sha256?: string } = {};
  #layouts: readonly LegacyLayout[] = [];
  #bytesBefore = 0;

  constructor(private readonly work: LegacyWork) {}

  async run(): Promise<MigrationReceipt> {
    const { work } = this;
    try {
      work.assertPlace();
      const outcome = work.dryRun ? await this.#plan() : await this.#change();
      return await this.#receipt(outcome);
    } catch (error) {
      const failure = work.failure(error, `migrate ${work.paths.file}`);
      work.startOver(); // what was counted so far did not happen
      return this.#receipt(this.#skips(failure) ? "skipped_invalid" : "failed", failure);
    }
  }

  async #change(): Promise<MigrationOutcome> {
    const { work } = this;
    await removeStale(work);
    let overtaken: unknown;
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      try {
        const outcome = await this.#tryOnce();
        if (outcome !== undefined) return outcome;
      } catch (error) {
        if (!work.overtaken(error, round === ROUNDS_MAX)) throw error;
        overtaken = error;
        work.startOver();
      }
    }
    throw new SessionStoreError(
      "legacy_changing",
      `${work.paths.file} is being migrated by other processes at the same time. Wait for them, then try again.`,
      { data: { path: work.paths.file, attempts: ROUNDS_MAX }, cause: overtaken },
    );
  }

  /** @returns Undefined when others changed what was looked at. */
  async #tryOnce(): Promise<MigrationOutcome | undefined> {
    const { work } = this;
    await finishReplacement(work);
    const situation = await lookAround(work);
    if (situation.store) return this.#absorb(situation);
    await removeUnfinishedFiles(work); // of a rollback or mirror that was killed: its store is gone
    if (situation.merging && situation.file === "none") await giveBack(work);
    else if (situation.file !== "none" || situation.older !== undefined) return this.#build(situation);
    else if (!(await isStore(work.host, work.paths.directory))) return "missing";
    return undefined;
  }

  /** There is a store: whatever lies beside it goes into it. */
  async #absorb({ older }: Situation): Promise<MigrationOutcome> {
    const { work } = this;
    this.#layouts = ["session_store"];
    work.state = `${work.paths.directory} counts, as before; what lies beside it is still to be taken into it.`;
    const absorbed = await absorbLegacyFiles(work, work.paths.directory);
    this.#note(absorbed);
    if (older !== undefined) await this.#absorbOlder(older);
    await removeUnfinished(work);
    return absorbed.files > 0 || older !== undefined ? "merged" : "already_directory";
  }

  async #absorbOlder(older: OlderLayout): Promise<void> {
    const { work } = this;
    this.#layouts = [...this.#layouts, ...older.source.layouts];
    await absorbSidecars(work, older);
    await backUpLayout(work, older);
  }

  /** No store: one is built. @returns Undefined when others changed what we started from. */
  async #build(situation: Situation): Promise<MigrationOutcome | undefined> {
    const { work } = this;
    const { paths, host } = work;
    const source = this.#sourceOf(situation);
    this.#layouts = source.layouts;
    await assertPlaceIsFree(work, situation.older);
    const built = await this.#zeroBytesAsEmpty(() => buildAside(work, source));
    if (built === "skipped_empty") return built;
    this.#read(built);
    if (built.winners.size === 0) {
      await removeBuilding(work, built.path);
      return this.#nothing();
    }
    await this.#unlessAborted(built.path);
    const { older } = situation;
    let backup: string | undefined;
    if (older?.inDirectory === true) {
      backup = await backupPath(host.fs, host.runtime, paths.directory);
      await writeReplacement(host, built.path, { backup });
      if (!(await moveLayoutAside(work, backup))) return removeBuilding(work, built.path);
      work.state = `The older layout is in ${backup}, and the next run puts the store in its place.`;
      work.backups.push(backup);
    }
    if (!(await this.#movesIntoPlace(built.path))) {
      if (backup === undefined) await removeBuilding(work, built.path);
      return undefined; // with a note of what it replaces, the next round finishes it
    }
    if (backup !== undefined) await removeReplacement(host, paths.directory);
    await removeUnfinished(work);
    const kept = work.counts;
    if (situation.file !== "none") await absorbLegacyFiles(work, paths.directory);
    if (older !== undefined && !older.inDirectory) await backUpLayout(work, older);
    work.restore(kept);
    return "migrated";
  }

  /** The last chance to give up: from here on the directory counts. */
  async #unlessAborted(building: string): Promise<void> {
    if (this.work.signal?.aborted === true) await removeBuilding(this.work, building);
    this.work.throwIfAborted();
  }

  /** A rename and its durability. @returns False when others were faster: one of the names is not as it was. */
  async #movesIntoPlace(built: string): Promise<boolean> {
    const { fs } = this.work.host;
    try {
      await fs.later.rename(built, this.work.paths.directory);
    } catch (error) {
      if (TAKEN.has(errnoOf(error) ?? "")) return false;
      throw error;
    }
    const { file, directory } = this.work.paths;
    this.work.state = `The store ${directory} was made, has all sessions and counts; the next run takes ${file} out of its way.`;
    await syncDirectory(fs, this.work.paths.folder);
    return true;
  }

  #sourceOf({ file, older }: Situation): LegacySource {
    const { work } = this;
    if (older !== undefined) return older.source;
    if (file !== "file" && file !== "none") throw notAFile(work.paths.file, file);
    return new FileSource(work.host, work.paths.file, work.json5BytesMax);
  }

  /** A file of no bytes at all is what a crash or a full disk makes of a store: nothing can be read from it. */
  async #zeroBytesAsEmpty<T>(read: () => Promise<T>): Promise<T | "skipped_empty"> {
    const { work } = this;
    try {
      return await read();
    } catch (error) {
      const empty =
        error instanceof SessionStoreError &&
        error.data.reason === "empty" &&
        error.data.path === work.paths.file;
      if (!empty) throw error;
      const message =
        `${work.paths.file} has no content, not even {}: a crash or a full disk may have emptied it. It was left as ` +
        "it is. Look for a backup of it before the gateway starts with no sessions.";
      work.warn("source_zero_bytes", message, { path: work.paths.file });
      this.#layouts = ["sessions_json"];
      return "skipped_empty";
    }
  }

  #read({ reading }: CheckedSource): void {
    this.#bytesBefore = reading.bytes;
    this.source = { sha256: reading.sha256 };
    this.work.warnings.push(...reading.warnings);
    const { merged } = this.work.counts;
    if (merged === 0) return;
    const message = `${merged} entries of ${this.work.paths.file} are older versions of sessions that it has twice.`;
    this.work.warn("duplicate_keys", message, { path: this.work.paths.file, merged });
  }

  #nothing(): MigrationOutcome {
    return this.work.counts.refused > 0 ? "skipped_invalid" : "skipped_empty";
  }

  #note({ bytes }: Absorbed): void {
    this.#bytesBefore += bytes;
  }

  /** The same looks, readings and decisions, and no change. */
  async #plan(): Promise<MigrationOutcome> {
    const { work } = this;
    const situation = await lookAround(work);
    if (situation.store) return this.#planAbsorb(situation);
    if (situation.file === "none" && situation.older === undefined && !situation.merging) return "missing";
    const path = situation.file === "none" && situation.merging ? await nextFile(work) : undefined;
    const source =
      path === undefined ? this.#sourceOf(situation) : new FileSource(work.host, path, work.json5BytesMax);
    this.#layouts = source.layouts;
    const checked = await this.#zeroBytesAsEmpty(() =>
      whileChanging(work, source, () => this.#tryOut(source)),
    );
    if (checked === "skipped_empty") return checked;
    this.#read(checked);
    return checked.winners.size === 0 ? this.#nothing() : "migrated";
  }

  /** Reads everything, and lets the store's own codec look at every entry. */
  async #tryOut(source: LegacySource): Promise<CheckedSource> {
    const { work } = this;
    const winners = new Map<string, Winner>();
    const codec = new EntryCodec({
      thresholdBytes: BLOB_THRESHOLD_BYTES,
      limits: work.rules.limits,
      loadBlob: () => {
        throw new Error("nothing was stored");
      },
    });
    const checked = await readSource(work, source, {
      phase: "reading",
      winners,
      onKept: (key, entry, from, prior) => {
        try {
          codec.encode(entry, undefined, key);
        } catch (error) {
          const refusal = refusalOf(error);
          if (refusal === undefined) throw error;
          work.refuse({ ...refusal, key: from.key });
          if (prior === undefined) winners.delete(key);
          else {
            winners.set(key, prior);
            work.count("merged", -1);
          }
        }
      },
    });
    assertSessions(work, source.path, checked);
    work.count("kept", winners.size);
    return checked;
  }

  async #planAbsorb({ file, merging, older }: Situation): Promise<MigrationOutcome> {
    const { work } = this;
    this.#layouts = ["session_store", ...(older?.source.layouts ?? [])];
    if (file === "none" && !merging && older === undefined) return "already_directory";
    const path = await nextFile(work);
    await work.peek(work.paths.directory, (store) => planForeign(work, store));
    if (path !== undefined) {
      const { bytes, sha256 } = await hashFile(work.host, path, work.signal);
      this.#bytesBefore += bytes;
      this.source = { sha256 };
    }
    return "merged";
  }

  /** A source that cannot be read is not a failure of the run: others go on, and a person has to look. */
  #skips({ code }: LegacyFailure): boolean {
    return code === "legacy_invalid" || code === "file_unsafe" || code === "not_a_store";
  }

  async #receipt(outcome: MigrationOutcome, error?: LegacyFailure): Promise<MigrationReceipt> {
    const { work } = this;
    const { refused } = work.counts;
    if (refused > 0) {
      const message = `${refused} entries of ${work.paths.file} were refused; the receipt names them. They are in the backup.`;
      work.warn("entries_refused", message, { path: work.paths.file, refused });
    }
    const done = outcome === "migrated" || outcome === "merged" || outcome === "already_directory";
    const bytesAfter = done && !work.dryRun ? (await listTree(work.host, work.paths.directory)).bytes : 0;
    const next = nextCommand(work, outcome);
    return {
      outcome,
      path: work.paths.file,
      directory: work.paths.directory,
      dryRun: work.dryRun,
      layouts: this.#layouts,
      entries: work.counts,
      refusals: work.refusals,
      bytesBefore: this.#bytesBefore,
      bytesAfter,
      backups: work.backups,
      warnings: work.warnings,
      ...(error === undefined ? undefined : { error }),
      ...(next === undefined ? undefined : { next }),
      durationMs: work.durationMs,
    };
  }
}

function nextCommand(work: LegacyWork, outcome: MigrationOutcome): string | undefined {
  switch (outcome) {
    case "migrated":
    case "merged":
      return work.command(work.dryRun ? "migrate" : "stats");
    case "already_directory":
      return work.command("stats");
    case "failed":
      return work.command("migrate");
    case "skipped_invalid":
      return work.command("inspect");
    case "skipped_empty":
    case "missing":
      return undefined;
  }
}
