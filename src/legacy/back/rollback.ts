/**
 * Rollback: today's sessions as a legacy file, and the store set aside.
 *
 * **Which side counts** is the rule of migrate.ts: the directory, as long as `NAME.d/.store/` exists. So:
 *
 *   1. merge a legacy file that somebody else wrote, as a migration would (absorb.ts)
 *   2. write `NAME.json.writing-…` from the store, sync it, read it back and compare
 *   3. record it as known, rename it to `NAME.json`, sync the folder         crash: the directory counts
 *   4. rename `NAME.d` to `NAME.d.saved-<time>`, sync the folder               crash: the file counts
 *   5. take away everything unfinished: a writer that was suspended since before step 4 finds its file gone
 *   6. look whether a gateway that should have been stopped committed until step 4, and write its commits too
 *
 * Killed before step 4, both sides are there, the directory counts, and the file is known: rolling back again begins
 * anew, migrating instead finds nothing to merge. Killed after it, the rollback is complete.
 *
 * A session that the store cannot read costs only itself: the last copy that can be found goes into the file, and the receipt
 * names it. The store that is set aside still has what is left of it.
 *
 * A file is made before the store is opened by its path. So a writer that wakes up late either lost its file in step 5, or
 * does not find the store.
 */
import { errnoOf, SessionStoreError } from "../../errors.js";
import { syncDirectory } from "../../fs/regular-file.js";
import type { DirectorySessionStore } from "../../store/types.js";
import type { DamagedSession } from "../damage-reports.js";
import { absorbLegacyFiles, giveBack, nextFile, notAFile, planForeign } from "../merging/absorb.js";
import { isStore, stampNow, statusOf, systemHost, type LegacyHost } from "../host.js";
import { KnownFiles, recordKnownFile, type KnownFile } from "../merging/known-files.js";
import { removeStale, removeUnfinished, removeUnfinishedFiles } from "../migration/leftovers.js";
import { backupPath } from "../paths.js";
import { EntryComparison } from "../reading/equality.js";
import { hashFile } from "../reading/read-file.js";
import { findOlderCopies, readSessions, reportDamage, type OlderCopy } from "../damage.js";
import { replaceLegacyFile } from "./replace-file.js";
import { listTree } from "../tree.js";
import type { ChangingOptions, LegacyFailure, RollbackReceipt } from "../types.js";
import { LegacyWork } from "../work.js";
import { keysOf, writeLegacyFile, type WrittenFile } from "./write-file.js";

/**
 * Writes the sessions of `NAME.d`, as they are now, to `NAME.json`, and renames the directory to `NAME.d.saved-<time>`.
 * Stop the gateways first. Failures are in the receipt.
 * @param target `…/NAME.json` or `…/NAME.d`.
 * @throws `TypeError` for a wrong argument; the reason of an aborted signal.
 * @example
 * const { outcome, backups } = await rollbackToLegacy("/home/gateway/.openclaw/agents/main/sessions/sessions.d");
 */
export function rollbackToLegacy(target: string, options: ChangingOptions = {}): Promise<RollbackReceipt> {
  return rollbackOn(systemHost, target, options);
}

/** The same on a host of the caller's, for tests. */
export function rollbackOn(
  host: LegacyHost,
  target: string,
  options: ChangingOptions = {},
): Promise<RollbackReceipt> {
  return new Rollback(new LegacyWork(host, target, options)).run();
}

const ROUNDS_MAX = 5;
/** Trying again does not mend it: a person has to look. */
const SKIPPED: ReadonlySet<string> = new Set(["legacy_invalid", "not_a_store", "file_unsafe"]);

class Rollback {
  #written: WrittenFile | undefined;
  /** Which file that is. */
  #stamp = "none";
  #bytesBefore = 0;

  constructor(private readonly work: LegacyWork) {}

  async run(): Promise<RollbackReceipt> {
    const { work } = this;
    try {
      work.assertPlace();
      return this.#receipt(await this.#rollBack());
    } catch (error) {
      const failure = work.failure(error, `roll back ${work.paths.directory}`);
      const invalid = SKIPPED.has(failure.code);
      return this.#receipt(invalid ? "skipped_invalid" : "failed", failure);
    }
  }

  async #rollBack(): Promise<RollbackReceipt["outcome"]> {
    const { work } = this;
    const { paths } = work;
    let overtaken: unknown;
    for (let round = 1; round <= ROUNDS_MAX; round++) {
      work.throwIfAborted();
      try {
        const outcome = await this.#tryOnce();
        if (outcome !== undefined) return outcome;
      } catch (error) {
        if (!work.overtaken(error, round === ROUNDS_MAX)) throw error;
        overtaken = error;
      }
    }
    throw new SessionStoreError(
      "legacy_changing",
      `${paths.directory} or ${paths.file} was written again and again during the rollback; the directory still counts. ` +
        "Stop the gateways, then try again.",
      { data: { path: paths.directory, attempts: ROUNDS_MAX }, cause: overtaken },
    );
  }

  /** @returns Undefined when others changed what was looked at. */
  async #tryOnce(): Promise<RollbackReceipt["outcome"] | undefined> {
    const { work } = this;
    const { host, paths } = work;
    if (!(await isStore(host, paths.directory))) {
      // Nobody can be writing a file from a store that is gone: what is left of it is a killed process's.
      if (!work.dryRun) await removeUnfinishedFiles(work);
      const left = await nextFile(work);
      if (left === undefined) return "missing";
      const kind = (await statusOf(host.fs, left))?.kind ?? "file";
      if (kind !== "file") throw notAFile(left, kind);
      if (!work.dryRun) await giveBack(work);
      return "already_legacy";
    }
    work.state = `${paths.directory} still counts.`;
    this.#bytesBefore = (await listTree(host, paths.directory)).bytes;
    if (work.dryRun) return this.#plan();
    await removeStale(work);
    await this.#absorbForeign();
    if (!(await this.#write(paths.directory))) return undefined;
    const backup = await backupPath(host.fs, host.runtime, paths.directory);
    // A migration that came in between has made a backup of the file, for the directory still counted. Looked at and
    // renamed with nothing in between in this process; and once more, lest both sides are gone.
    if (stampNow(host, paths.file) !== this.#stamp) return undefined;
    host.fs.rename(paths.directory, backup);
    if (stampNow(host, paths.file) === "none") {
      await host.fs.later.rename(backup, paths.directory);
      return undefined;
    }
    work.state = `${paths.file} counts now, with all sessions; the store is ${backup}.`;
    await syncDirectory(host.fs, paths.folder);
    work.backups.push(backup);
    await removeUnfinished(work);
    await this.#addLateCommits(backup);
    return "rolled_back";
  }

  /** The same readings, and no change. */
  async #plan(): Promise<"rolled_back"> {
    const { work } = this;
    await work.peek(work.paths.directory, async (store) => {
      const added = await planForeign(work, store);
      const { sessions, damaged } = await readSessions(work, store, work.damage, new EntryComparison());
      this.#count(sessions.length + added, damaged, await findOlderCopies(work, keysOf(damaged)));
    });
    return "rolled_back";
  }

  #count(readable: number, damaged: readonly DamagedSession[], copies: ReadonlyMap<string, OlderCopy>): void {
    const { work } = this;
    work.startOver();
    work.count("read", readable + damaged.length);
    work.count("kept", readable);
    reportDamage(work, damaged, copies);
  }

  /** A file that a mirror wrote, or the last rollback, is simply replaced. Any other one is merged and kept. */
  async #absorbForeign(): Promise<void> {
    const { work } = this;
    const known = await KnownFiles.load(work.host, work.paths.directory);
    const hash = await hashFile(work.host, work.paths.file, work.signal).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (hash !== undefined && known.knows(hash.bytes, hash.sha256)) return;
    await absorbLegacyFiles(work, work.paths.directory);
  }

  /** @returns False when something changed meanwhile, so that it has to be done again. */
  async #write(directory: string): Promise<boolean> {
    const { work } = this;
    const { host, paths } = work;
    const expected = stampNow(host, paths.file);
    const temporary = paths.writing(host.runtime, 0);
    const fd = await host.fs.later.open(temporary, "create");
    let store: DirectorySessionStore<object> | undefined;
    try {
      store = await work.openStore(directory, directory === paths.directory ? {} : { readOnly: true });
      const known = await KnownFiles.load(host, directory);
      const written = await writeLegacyFile(work, store, work.damage, known, { path: temporary, fd });
      if (directory === paths.directory) await recordKnownFile(host, directory, written.record);
      this.#stamp = stampNow(host, temporary);
      if (!(await replaceLegacyFile(host, paths, temporary, expected))) return false;
      this.#written = written;
      return (await store.revision()) === written.record.revision;
    } catch (error) {
      if (stampNow(host, temporary) === "none") return false; // taken away: others are ahead
      throw error;
    } finally {
      host.fs.close(fd);
      await host.fs.later.unlink(temporary).catch(() => {}); // renamed by now, or not needed
      await store?.close();
    }
  }

  async #addLateCommits(backup: string): Promise<void> {
    const { work } = this;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const revision = await work.peek(backup, (store) => store.revision());
      const late = revision - (this.#written?.record.revision ?? 0);
      if (late <= 0) return;
      work.warn(
        "late_commits",
        `a process committed ${late} changes to the store while it was being rolled back. They are in ` +
          `${work.paths.file}; what it commits from now on is only in ${backup}. Stop it.`,
        { path: backup, late },
      );
      // An old gateway that runs already has the last word on its file.
      const { sha256 } = await hashFile(work.host, work.paths.file, work.signal);
      if (sha256 !== this.#written?.record.sha256 || !(await this.#write(backup))) return;
    }
  }

  #receipt(outcome: RollbackReceipt["outcome"], error?: LegacyFailure): RollbackReceipt {
    const { work } = this;
    const written = this.#written;
    const file: KnownFile | undefined = written?.record;
    const next = nextCommand(work, outcome);
    if (written !== undefined && outcome === "rolled_back") {
      const { record, damaged, copies } = written;
      this.#count(record.entries.length - copies.size, damaged, copies);
    }
    return {
      outcome,
      path: work.paths.file,
      directory: work.paths.directory,
      dryRun: work.dryRun,
      layouts: outcome === "rolled_back" ? ["session_store"] : [],
      entries: work.counts,
      refusals: work.refusals,
      bytesBefore: this.#bytesBefore,
      bytesAfter: file?.bytes ?? 0,
      ...(file === undefined ? undefined : { sha256: file.sha256 }),
      backups: work.backups,
      warnings: work.warnings,
      ...(error === undefined ? undefined : { error }),
      ...(next === undefined ? undefined : { next }),
      durationMs: work.durationMs,
    };
  }
}

function nextCommand(work: LegacyWork, outcome: RollbackReceipt["outcome"]): string | undefined {
  if (outcome === "rolled_back") return work.command(work.dryRun ? "rollback" : "migrate");
  if (outcome === "failed") return work.command("rollback");
  return outcome === "skipped_invalid" ? work.command("inspect") : undefined;
}
