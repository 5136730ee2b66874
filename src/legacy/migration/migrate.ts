/**
 * Migration: from a legacy file or an older layout to a store, such that it cannot half-happen.
 *
 * **Which side is authoritative**: the directory, if `NAME.d/.store/` exists; otherwise the legacy file. The one rename of the
 * complete, compared and durable building folder to `NAME.d` changes that, and nothing else does:
 *
 *   1. read the source, build a store aside, read it back and compare (build.ts)         crash: the file is authoritative
 *   2. rename `NAME.d.building-…` to `NAME.d`, sync the parent folder                    crash: the directory is authoritative
 *   3. take away whatever others were building from the same source                      crash: the directory is authoritative
 *   4. take the file into the store and rename it to `NAME.json.saved-<time>` (absorb.ts)  crash: the directory is authoritative
 *
 * Step 4 finds nothing to merge unless the file was written in the meantime; and a run that finds both sides begins
 * there. So the next run finishes, wherever the last one was killed. The rename in step 2 fails when another process put
 * its store there first, or took our folder away; then everything is looked at again.
 *
 * An older layout that is itself in `NAME.d` has to be moved away before step 2; see replacement.ts for that instant.
 */
import { entriesOf } from "../../plural.js";
import { errnoOf } from "../../errors.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { isStore } from "../base/host.js";
import { Journal } from "../base/journal.js";
import {
  absorbSidecars,
  assertPlaceIsFree,
  backUpSidecars,
  type OlderLayout,
} from "../layouts/older-layout.js";
import { absorbLegacyFiles, giveBack, notAFile } from "../merging/absorb.js";
import { backupPath } from "../base/paths.js";
import { FileSource, type LegacySource } from "../reading/source.js";
import { runToReport, type Ending, type LegacyRun } from "../run/run.js";
import { EMPTY_TALLY, sumOf, withWarnings, type Tally } from "../base/tally.js";
import { listTree } from "../base/tree.js";
import type { MigrationOutcome, MigrationReport } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";
import { buildAside, type BuiltStore } from "./build.js";
import { endingWithout, endingWithoutBytes, noteSource } from "./ending.js";
import { finishReplacement, moveLayoutAside, TAKEN } from "./finish-replacement.js";
import { removeBuilding, removeStale, removeUnfinished, removeUnfinishedFiles } from "../run/leftovers.js";
import { planMigration } from "./plan.js";
import { removeReplacement, writeReplacement } from "../run/replacement.js";
import { decide, lookAround } from "./situation.js";

type MigrationEnding = Ending<MigrationOutcome>;

export class Migration implements LegacyRun<MigrationOutcome> {
  readonly journal = new Journal();
  readonly doing: string;
  readonly overtaken: LegacyRun<MigrationOutcome>["overtaken"];

  constructor(readonly work: LegacyWork) {
    const { file } = work.paths;
    this.doing = `migrate ${file}`;
    const message = `${file} is being migrated by other processes at the same time. Wait for them, then try again.`;
    this.overtaken = { message, path: file };
  }

  run(): Promise<MigrationReport> {
    return runToReport(this);
  }

  async plan(): Promise<MigrationEnding> {
    return this.#withRefusals(await planMigration(this.work, this.journal));
  }

  async tryOnce(): Promise<MigrationEnding | undefined> {
    const { work, journal } = this;
    await removeStale(work, journal);
    await finishReplacement(work);
    const ending = await this.#takeStep();
    if (ending === undefined) return undefined;
    if (COUNTS.has(ending.outcome))
      journal.bytesAfter = (await listTree(work.host, work.paths.directory)).bytes;
    return this.#withRefusals(ending);
  }

  nextVerb(outcome: MigrationOutcome): string | undefined {
    if (outcome === "migrated" || outcome === "merged") return this.work.dryRun ? "migrate" : "stats";
    return NEXT_VERB[outcome];
  }

  async #takeStep(): Promise<MigrationEnding | undefined> {
    const { work, journal } = this;
    const step = decide(await lookAround(work));
    if (step.step === "keep" || step.step === "absorb") {
      const { directory } = work.paths;
      journal.layouts = ["session_store"];
      journal.state = `${directory} is authoritative, as before; what lies beside it is still to be taken into it.`;
      const ending = step.step === "keep" ? KEPT : await this.#absorbBeside(step.older);
      await removeUnfinished(work);
      return ending;
    }
    await removeUnfinishedFiles(work); // of a rollback or mirror that was killed: its store is gone
    switch (step.step) {
      case "give back":
        await giveBack(work, journal);
        return undefined;
      case "build":
        return this.#buildStore(step.older);
      case "replace":
        return this.#replaceLayout(step.older);
      case "refuse":
        throw notAFile(work.paths.file, step.kind);
      case "stop":
        if (await isStore(work.host, work.paths.directory)) return undefined; // another process has just put it there
        return { outcome: "missing", tally: EMPTY_TALLY };
    }
  }

  async #absorbBeside(older: OlderLayout | undefined): Promise<MigrationEnding> {
    const { work, journal } = this;
    const { files, bytes, tally } = await absorbLegacyFiles(work, journal, work.paths.directory);
    journal.bytesBefore += bytes;
    if (older === undefined) return { outcome: files > 0 ? "merged" : "already_directory", tally };
    journal.layouts = [...journal.layouts, ...older.source.layouts];
    const absorbed = await absorbSidecars(work, older);
    await backUpSidecars(work, journal, older);
    return { outcome: "merged", tally: sumOf(tally, absorbed) };
  }

  /** @returns Undefined when others changed what we started from. */
  async #buildStore(older: OlderLayout | undefined): Promise<MigrationEnding | undefined> {
    const { work, journal } = this;
    await assertPlaceIsFree(work, older);
    const built = await this.#buildAside(
      older?.source ?? new FileSource(work.host, work.paths.file, work.json5BytesMax),
    );
    if ("outcome" in built) return built;
    if (!(await this.#moveIntoPlace(built.path))) return removeBuilding(work, built.path);
    const ending = await this.#absorbSource(built.tally);
    if (older !== undefined) await backUpSidecars(work, journal, older);
    return ending;
  }

  /** @returns Undefined when others changed what we started from. */
  async #replaceLayout(older: OlderLayout): Promise<MigrationEnding | undefined> {
    const { work, journal } = this;
    const { host, paths } = work;
    const built = await this.#buildAside(older.source);
    if ("outcome" in built) return built;
    const backup = await backupPath(host.fs, host.runtime, paths.directory);
    await writeReplacement(host, built.path, { backup });
    if (!(await moveLayoutAside(work, backup))) return removeBuilding(work, built.path);
    journal.state = `The older layout is in ${backup}, and the next run puts the store in its place.`;
    journal.backups.push(backup);
    if (!(await this.#moveIntoPlace(built.path))) return undefined; // with its note, the next round finishes it
    await removeReplacement(host, paths.directory);
    return this.#absorbSource(built.tally);
  }

  /** @returns How it ends, where there is nothing to put into place. */
  async #buildAside(source: LegacySource): Promise<BuiltStore | MigrationEnding> {
    const { work, journal } = this;
    journal.layouts = source.layouts;
    let built: BuiltStore;
    try {
      built = await buildAside(work, source);
    } catch (error) {
      return endingWithoutBytes(work, journal, error);
    }
    noteSource(journal, built);
    const ending = endingWithout(built);
    // The last chance to give up: from the next step on, something is moved.
    if (ending !== undefined || work.signal?.aborted === true) await removeBuilding(work, built.path);
    work.throwIfAborted();
    return ending ?? built;
  }

  /** A rename and its durability. @returns False when others were faster: one of the names is not as it was. */
  async #moveIntoPlace(built: string): Promise<boolean> {
    const { work, journal } = this;
    const { file, directory, folder } = work.paths;
    const { fs } = work.host;
    try {
      await fs.later.rename(built, directory);
    } catch (error) {
      if (TAKEN.has(errnoOf(error) ?? "")) return false;
      throw error;
    }
    journal.state = `The store ${directory} was made, has all sessions and is authoritative; the next run takes ${file} out of its way.`;
    await syncDirectory(fs, folder);
    return true;
  }

  /** The file becomes a backup. What was written to it meanwhile is told of, and is not part of what was migrated. */
  async #absorbSource(tally: Tally): Promise<MigrationEnding> {
    const { work, journal } = this;
    await removeUnfinished(work);
    await absorbLegacyFiles(work, journal, work.paths.directory);
    return { outcome: "migrated", tally };
  }

  #withRefusals({ outcome, tally }: MigrationEnding): MigrationEnding {
    const { refused } = tally.counts;
    if (refused === 0) return { outcome, tally };
    const { file } = this.work.paths;
    const backedUp = outcome === "migrated" || outcome === "merged";
    const where = backedUp && !this.work.dryRun ? "They are in the backup." : "They stay in the file.";
    const message = `${entriesOf(refused)} of ${file} had to be refused, see the report. ${where}`;
    const warnings = [{ code: "entries_refused", message, data: { path: file, refused } } as const];
    return { outcome, tally: withWarnings(tally, warnings) };
  }
}

const KEPT: MigrationEnding = { outcome: "already_directory", tally: EMPTY_TALLY };
/** Outcomes after which the directory is authoritative. */
const COUNTS: ReadonlySet<MigrationOutcome> = new Set(["migrated", "merged", "already_directory"]);

const NEXT_VERB: Readonly<Partial<Record<MigrationOutcome, string>>> = {
  already_directory: "stats",
  failed: "migrate",
  skipped_invalid: "inspect",
};
