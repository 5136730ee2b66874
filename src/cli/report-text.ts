/**
 * Reports of the legacy functions as people read them, and the exit code that they call for: 1 when something failed and
 * may be tried again, 3 when somebody has to look at what was refused or could not be read.
 */
import type { EntryCounts, LegacyFailure, LegacyWarning, Refusal } from "../legacy/base/types.js";
import { EXIT, exitCodeOf, withAdvice, type ExitCode } from "./failure.js";
import { formatCount } from "./figures.js";
import type { Invocation } from "./invocation.js";
import { visible } from "./visible-text.js";

/** What all reports, and an inspection, have. */
export interface Report {
  readonly outcome: string;
  readonly path: string;
  readonly entries: EntryCounts;
  readonly refusals: readonly Refusal[];
  readonly warnings: readonly LegacyWarning[];
  readonly error?: LegacyFailure;
  readonly next?: string;
  /** Absent for an inspection. */
  readonly dryRun?: boolean;
}

/** Warnings that somebody has to act on; the others only tell what happened. */
const NEEDS_PERSON: ReadonlySet<LegacyWarning["code"]> = new Set<LegacyWarning["code"]>([
  "entries_refused",
  "source_zero_bytes",
  "source_unreadable",
  "source_still_written",
  "key_ambiguous",
  "late_commits",
  "number_not_finite",
  "sessions_damaged",
  "mirror_failed",
]);

/** More are counted; `--json` has them. */
const REFUSALS_SHOWN_MAX = 20;

type Details = readonly (readonly [name: string, text: string])[];

/** One report on stdout: a first line, then what was counted and refused. That there is nothing at all goes to stderr. */
export async function printReport(
  { terminal }: Invocation,
  report: Report,
  headline: string,
  details: Details,
): Promise<void> {
  if (report.outcome === "missing") terminal.fail("missing", headline, { path: report.path }, EXIT.failure);
  else {
    const text = [headline, ...detailLines(report, details)].join("\n");
    // What was only looked at was asked for.
    await (report.dryRun === false ? terminal.done(text) : terminal.line(text));
  }
}

/** What was counted, refused and is to be done next. */
function detailLines({ entries, refusals, next }: Report, details: Details): string[] {
  const lines = entries.read === 0 ? [] : [detail("entries", countsText(entries))];
  for (const [name, text] of details) lines.push(detail(name, text));
  for (const { message } of refusals.slice(0, REFUSALS_SHOWN_MAX)) lines.push(detail("refused", message));
  const more = entries.refused - Math.min(refusals.length, REFUSALS_SHOWN_MAX);
  if (more > 0) lines.push(detail("", `and ${formatCount(more)} more; --json has up to 1,000`));
  if (next !== undefined) lines.push(detail("next", next));
  return lines;
}

const NAME_COLUMNS = 10;

function detail(name: string, text: string): string {
  return `  ${name.padEnd(NAME_COLUMNS)}${visible(text)}`;
}

function countsText(entries: EntryCounts): string {
  const { read, kept, merged, unchanged, refused } = entries;
  const parts = [`${formatCount(read)} read`, `${formatCount(kept)} kept`];
  if (merged > 0) parts.push(`${formatCount(merged)} older than another version`);
  if (unchanged > 0) parts.push(`${formatCount(unchanged)} there already`);
  if (refused > 0) parts.push(`${formatCount(refused)} refused`);
  return parts.join(", ");
}

/** Warnings and the error of a report go to stderr. With `--json` they are in the report itself. */
export function reportTrouble({ terminal }: Invocation, { warnings, error }: Report): void {
  if (terminal.json) return;
  for (const { code, message, data } of warnings) terminal.warn(code, message, data);
  if (error !== undefined) {
    const { code, message, data } = error;
    terminal.fail(code, withAdvice(message, data), data, exitCodeOf(code));
  }
}

/** How the program ends after this report. `missing`: there was nothing to work on, and the user named it. */
export function exitCodeOfReport({ outcome, warnings }: Report): ExitCode {
  if (outcome === "skipped_invalid") return EXIT.needsPerson;
  if (outcome === "failed" || outcome === "missing") return EXIT.failure;
  return warnings.some(({ code }) => NEEDS_PERSON.has(code)) ? EXIT.needsPerson : EXIT.ok;
}

/** Of several stores: a failure that may go away weighs less than one that will not. */
export function worseOf(a: ExitCode, b: ExitCode): ExitCode {
  return a > b ? a : b;
}
