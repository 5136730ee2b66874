/**
 * Rollback: today's sessions as a legacy file, and the store set aside.
 *
 * **Which side is authoritative** is the rule of migrate.ts: the directory, as long as `NAME.d/.store/` exists. So:
 *
 *   1. merge a legacy file that somebody else wrote, as a migration would (absorb.ts)
 *   2. write `NAME.json.writing-…` from the store, sync it, read it back and compare
 *   3. record it as known, rename it to `NAME.json`, sync the folder         crash: the directory is authoritative
 *   4. rename `NAME.d` to `NAME.d.saved-<time>`, sync the folder               crash: the file is authoritative
 *   5. take away everything unfinished: a writer that was suspended since before step 4 finds its file gone
 *   6. look whether a gateway that should have been stopped committed until step 4, and write its commits too
 *
 * Killed before step 4, both sides are there, the directory is authoritative, and the file is known: rolling back again begins
 * anew, migrating instead finds nothing to merge. Killed after it, the rollback is complete.
 *
 * A session that the store cannot read costs only itself: the last copy that can be found goes into the file, and the report
 * names it. The store that is set aside still has what is left of it.
 *
 * A file is made before the store is opened by its path. So a writer that wakes up late either lost its file in step 5, or
 * does not find the store.
 */
import { plural } from "../../plural.js";
import { syncDirectory } from "../../fs/regular-file.js";
import { statusOf } from "../../fs/status.js";
import { isMissing } from "../../fs/missing.js";
import type { DirectorySessionStore } from "../../store/types.js";
import { DamageReports, type DamagedSession } from "../base/damage-reports.js";
import { Journal } from "../base/journal.js";
import { absorbLegacyFiles, giveBack, nextFile, notAFile, planForeign } from "../merging/absorb.js";
import { isStore, stampNow, systemHost, type LegacyHost } from "../base/host.js";
import { KnownFiles, recordKnownFile, type KnownFile } from "../merging/known-files.js";
import { removeStale, removeUnfinished, removeUnfinishedFiles } from "../run/leftovers.js";
import { backupPath } from "../base/paths.js";
import { EntryComparison } from "../reading/equality.js";
import { hashFile } from "../reading/read-file.js";
import { describeDamage, findOlderCopies, keysOf, readSessions, type OlderCopy } from "../run/damage.js";
import { replaceLegacyFile } from "./replace-file.js";
import { listTree } from "../base/tree.js";
import { runToReport, withWriteWarning, type Ending, type LegacyRun } from "../run/run.js";
import { EMPTY_TALLY, sumOf } from "../base/tally.js";
import type { ChangingOptions, LegacyWarning, RollbackReport } from "../base/types.js";
import { LegacyWork } from "../run/work.js";
import { writeLegacyFile, type WrittenFile } from "./write-file.js";

/**
 * Writes the sessions of `NAME.d`, as they are now, to `NAME.json`, and renames the directory to `NAME.d.saved-<time>`.
 * Stop the gateways first. Failures are in the report.
 * @param target `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 * @example
 * const { outcome, backups } = await rollbackToLegacy("/home/gateway/.openclaw/agents/main/sessions/sessions.d");
 */
export function rollbackToLegacy(target: string, options: ChangingOptions = {}): Promise<RollbackReport> {
  return rollbackOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export function rollbackOn(
  host: LegacyHost,
  target: string,
  options: ChangingOptions = {},
): Promise<RollbackReport> {
  return new Rollback(new LegacyWork(host, target, options)).run();
}

type RollbackOutcome = RollbackReport["outcome"];
type RollbackEnding = Ending<RollbackOutcome>;

/**
 * `complete`: the file has all that the store has. `behind`: it is in its place, and the store has gone on since. `overtaken`: others
 * have written the file, or taken ours away.
 */
type Writing = "complete" | "behind" | "overtaken";

/** How often the file may be written again for commits that come late. */
const ROUNDS_MAX = 5;

class Rollback implements LegacyRun<RollbackOutcome> {
  readonly journal = new Journal();
  readonly doing: string;
  readonly overtaken: LegacyRun<RollbackOutcome>["overtaken"];
  /** What stores of this run have said of sessions that cannot be read. */
  readonly #damage = new DamageReports();
  #written: WrittenFile | undefined;
  /** Which file that is. */
  #stamp = "none";

  constructor(readonly work: LegacyWork) {
    const { file, directory } = work.paths;
    this.doing = `roll back ${directory}`;
    const message =
      `${directory} or ${file} was written again and again during the rollback; the directory is still authoritative. ` +
      "Stop the gateways, then try again.";
    this.overtaken = { message, path: directory };
  }

  async run(): Promise<RollbackReport> {
    const report = await runToReport(this);
    const { sha256 } = this.journal;
    const told = report.outcome === "rolled_back" ? withWriteWarning(this.work, report) : report;
    return { ...told, ...(sha256 === undefined ? undefined : { sha256 }) };
  }

  /** @returns Undefined when others changed what was looked at. */
  async tryOnce(): Promise<RollbackEnding | undefined> {
    const { work, journal } = this;
    const { host, paths } = work;
    if (!(await isStore(host, paths.directory))) return this.#keepLegacy();
    await this.#noteStore();
    await removeStale(work, journal);
    await this.#absorbForeign();
    if ((await this.#writeFile(paths.directory)) !== "complete") return undefined;
    const backup = await this.#moveStoreAside();
    if (backup === undefined) return undefined;
    journal.state = `${paths.file} is authoritative now, with all sessions; the store is ${backup}.`;
    await syncDirectory(host.fs, paths.folder);
    journal.backups.push(backup);
    await removeUnfinished(work);
    await this.#addLateCommits(backup);
    journal.layouts = ["session_store"];
    const { record, damaged, copies } = this.#written!;
    return this.#rolledBack(record.entries.length - copies.size, damaged, copies);
  }

  async plan(): Promise<RollbackEnding> {
    const { work, journal } = this;
    if (!(await isStore(work.host, work.paths.directory))) return this.#keepLegacy();
    await this.#noteStore();
    const look = async (store: DirectorySessionStore<object>): Promise<RollbackEnding> => {
      const { added, tally } = await planForeign(work, store);
      const { sessions, damaged } = await readSessions(work, store, this.#damage, new EntryComparison());
      journal.warnings.push(...tally.warnings);
      return this.#rolledBack(sessions.length + added, damaged, await findOlderCopies(work, keysOf(damaged)));
    };
    const ending = await work.peek(work.paths.directory, look, { onWarning: this.#damage.onWarning });
    journal.layouts = ["session_store"];
    return ending;
  }

  nextVerb(outcome: RollbackOutcome): string | undefined {
    if (outcome === "rolled_back") return this.work.dryRun ? "rollback" : "migrate";
    if (outcome === "failed") return "rollback";
    return outcome === "skipped_invalid" ? "inspect" : undefined;
  }

  /** There is no store, so the file is authoritative, if there is one. */
  async #keepLegacy(): Promise<RollbackEnding> {
    const { work, journal } = this;
    // Nobody can be writing a file from a store that is gone: what is left of it is a killed process's.
    if (!work.dryRun) await removeUnfinishedFiles(work);
    const left = await nextFile(work);
    if (left === undefined) return { outcome: "missing", tally: EMPTY_TALLY };
    const kind = (await statusOf(work.host.fs, left))?.kind ?? "file";
    if (kind !== "file") throw notAFile(left, kind);
    if (!work.dryRun) await giveBack(work, journal);
    return { outcome: "already_legacy", tally: EMPTY_TALLY };
  }

  async #noteStore(): Promise<void> {
    const { work, journal } = this;
    journal.state = `${work.paths.directory} is still authoritative.`;
    journal.bytesBefore = (await listTree(work.host, work.paths.directory)).bytes;
  }

  /** From here on the file is authoritative. @returns Where the store is; undefined when others were faster. */
  async #moveStoreAside(): Promise<string | undefined> {
    const { host, paths } = this.work;
    const backup = await backupPath(host.fs, host.runtime, paths.directory);
    // A migration that came in between has made a backup of the file, for the directory still counted. Looked at and
    // renamed with nothing in between in this process; and once more, lest both sides are gone.
    if (stampNow(host, paths.file) !== this.#stamp) return undefined;
    host.fs.rename(paths.directory, backup);
    if (stampNow(host, paths.file) === "none") {
      await host.fs.later.rename(backup, paths.directory);
      return undefined;
    }
    return backup;
  }

  #rolledBack(
    readable: number,
    damaged: readonly DamagedSession[],
    copies: ReadonlyMap<string, OlderCopy>,
  ): RollbackEnding {
    const { refusals, warnings } = describeDamage(this.work, damaged, copies);
    const refused = damaged.length;
    const counts = { read: readable + refused, kept: readable, merged: 0, unchanged: 0, refused };
    return { outcome: "rolled_back", tally: sumOf({ counts, refusals, warnings }) };
  }

  /** A file that a mirror wrote, or the last rollback, is simply replaced. Any other one is merged and kept. */
  async #absorbForeign(): Promise<void> {
    const { work } = this;
    const known = await KnownFiles.load(work.host, work.paths.directory);
    const hash = await hashFile(work.host, work.paths.file, work.signal).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (hash !== undefined && known.knows(hash.bytes, hash.sha256)) return;
    await absorbLegacyFiles(work, this.journal, work.paths.directory);
  }

  async #writeFile(directory: string): Promise<Writing> {
    const { work } = this;
    const { host, paths } = work;
    const expected = stampNow(host, paths.file);
    const temporary = paths.writing(host.runtime, 0);
    const fd = await host.fs.later.open(temporary, "create");
    let store: DirectorySessionStore<object> | undefined;
    try {
      const { onWarning } = this.#damage;
      store = await work.openStore(directory, { onWarning, readOnly: directory !== paths.directory });
      const known = await KnownFiles.load(host, directory);
      const written = await writeLegacyFile(work, store, this.#damage, known, { path: temporary, fd });
      if (directory === paths.directory) await recordKnownFile(host, directory, written.record);
      this.#stamp = stampNow(host, temporary);
      if (!(await replaceLegacyFile(host, paths, temporary, expected))) return "overtaken";
      this.#written = written;
      this.journal.bytesAfter = written.record.bytes;
      this.journal.sha256 = written.record.sha256;
      return store.recordsRevisionSync() <= written.record.revision ? "complete" : "behind";
    } catch (error) {
      if (stampNow(host, temporary) === "none") return "overtaken"; // taken away: others are ahead
      throw error;
    } finally {
      host.fs.close(fd);
      await host.fs.later.unlink(temporary).catch(() => {}); // renamed by now, or not needed
      await store?.close();
    }
  }

  async #addLateCommits(backup: string): Promise<void> {
    const { work, journal } = this;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const { record } = this.#written!;
      if ((await work.peek(backup, (store) => store.revision())) <= record.revision) return;
      // An old gateway that runs already has the last word on its file.
      const { sha256 } = await hashFile(work.host, work.paths.file, work.signal);
      const isWritten = sha256 === record.sha256 && (await this.#writeFile(backup)) !== "overtaken";
      const sessions = isWritten ? differing(record, this.#written!.record) : undefined;
      journal.warnings.push(lateCommits(work.paths.file, backup, sessions));
      if (!isWritten) return;
    }
  }
}

/** How many sessions one file has other than another, or one of the two not at all. */
function differing(one: KnownFile, other: KnownFile): number {
  const digests = new Map(one.entries);
  let count = 0;
  for (const [key, digest] of other.entries) {
    if (digests.get(key) !== digest) count++;
    digests.delete(key);
  }
  return count + digests.size;
}

/** @param sessions How many of the file are not what they were; undefined: others have written the file since. */
function lateCommits(file: string, backup: string, sessions: number | undefined): LegacyWarning {
  const where =
    sessions === undefined
      ? `${file} was written by another process since, so what came late is only in ${backup}, like what comes from now on. ` +
        "Stop both processes, and look for what is missing there."
      : `${file} was written again with it: ${plural(sessions, "session")} changed. What is committed from now on is only in ` +
        `${backup}. Stop that process.`;
  return {
    code: "late_commits",
    message: `a process committed to the store while it was being rolled back. ${where}`,
    data: { path: backup, ...(sessions !== undefined && { sessions }) },
  };
}
