/**
 * One run over one store, of whichever kind: it is tried until no other process is faster, and what stood in its way is in its
 * report. Only a wrong argument and the reason of an aborted signal are thrown.
 */
import { SessionStoreError } from "../../errors.js";
import { writeWarning } from "../base/host.js";
import type { Journal } from "../base/journal.js";
import { EMPTY_TALLY, type Tally } from "../base/tally.js";
import type { LegacyFailure, Report } from "../base/types.js";
import type { LegacyWork } from "./work.js";

/** How a run ends, if nothing fails. */
export interface Ending<Outcome extends string> {
  readonly outcome: Outcome;
  readonly tally: Tally;
}

export interface LegacyRun<Outcome extends string> {
  readonly work: LegacyWork;
  readonly journal: Journal;
  /** As in "could not …". */
  readonly doing: string;
  /** One look at what is there, and all that follows from it. @returns Undefined when others changed what was looked at. */
  tryOnce(): Promise<Ending<Outcome> | undefined>;
  /** The same looks, readings and decisions, and no change. */
  plan(): Promise<Ending<Outcome>>;
  /** What a person is told whose run was overtaken each time. */
  readonly overtaken: { readonly message: string; readonly path: string };
  /** The verb of the command line that comes next. */
  nextVerb(outcome: Outcome | Failed): string | undefined;
}

type Failed = "failed" | "skipped_invalid";

/** How often others may change what a run has just looked at. */
const ROUNDS_MAX = 5;
/** The source is at fault, and trying again does not mend it: others go on, and a person has to look. */
const SKIPPED: ReadonlySet<string> = new Set(["legacy_invalid", "not_a_store", "file_unsafe"]);

export async function runToReport<Outcome extends string>(
  run: LegacyRun<Outcome>,
): Promise<Report & { readonly outcome: Outcome | Failed }> {
  const { work, journal } = run;
  try {
    work.assertPlace();
    const { outcome, tally } = await tryUntilAlone(run);
    return reportOf(run, outcome, tally);
  } catch (error) {
    const failure = work.failure(error, run.doing, journal.state);
    return reportOf(run, SKIPPED.has(failure.code) ? "skipped_invalid" : "failed", EMPTY_TALLY, failure);
  }
}

/** A plan reads everything; at its end it says whether this user could do what it says. */
export function withWriteWarning<R extends Report>(work: LegacyWork, report: R): R {
  const { folder, directory } = work.paths;
  const store = report.layouts.includes("session_store") ? [directory] : [];
  const warning = report.dryRun ? writeWarning(work.host, [folder, ...store]) : undefined;
  return warning === undefined ? report : { ...report, warnings: [...report.warnings, warning] };
}

async function tryUntilAlone<Outcome extends string>(run: LegacyRun<Outcome>): Promise<Ending<Outcome>> {
  const { work } = run;
  let cause: unknown;
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    work.throwIfAborted();
    try {
      const ending = work.dryRun ? await run.plan() : await run.tryOnce();
      if (ending !== undefined) return ending;
    } catch (error) {
      if (!work.overtaken(error, round === ROUNDS_MAX)) throw error;
      cause = error;
    }
  }
  const { message, path } = run.overtaken;
  throw new SessionStoreError("legacy_changing", message, { data: { path, attempts: ROUNDS_MAX }, cause });
}

function reportOf<Outcome extends string>(
  run: LegacyRun<Outcome>,
  outcome: Outcome | Failed,
  { counts, refusals, warnings }: Tally,
  error?: LegacyFailure,
): Report & { readonly outcome: Outcome | Failed } {
  const { work, journal } = run;
  const verb = run.nextVerb(outcome);
  return {
    outcome,
    path: work.paths.file,
    directory: work.paths.directory,
    dryRun: work.dryRun,
    layouts: journal.layouts,
    entries: counts,
    refusals,
    bytesBefore: journal.bytesBefore,
    bytesAfter: journal.bytesAfter,
    backups: journal.backups,
    warnings: [...journal.warnings, ...warnings],
    ...(error === undefined ? undefined : { error }),
    ...(verb === undefined ? undefined : { next: work.command(verb) }),
    durationMs: work.durationMs,
  };
}
