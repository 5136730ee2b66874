/** How a migration ends whose source gives no session, and what every ending says of its source. */
import { SessionStoreError } from "../../errors.js";
import type { Journal } from "../base/journal.js";
import type { Ending } from "../run/run.js";
import { EMPTY_TALLY, withWarnings } from "../base/tally.js";
import type { MigrationOutcome } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";
import type { SourceRead } from "./build.js";

export function noteSource(journal: Journal, { reading }: SourceRead): void {
  journal.bytesBefore = reading.bytes;
  journal.sha256 = reading.sha256;
}

/** @returns Undefined for a source that has sessions. */
export function endingWithout({ tally }: SourceRead): Ending<MigrationOutcome> | undefined {
  if (tally.counts.kept > 0) return undefined;
  return { outcome: tally.counts.refused > 0 ? "skipped_invalid" : "skipped_empty", tally };
}

/**
 * A file of no bytes at all is what a crash or a full disk makes of a store: nothing can be read from it.
 * @throws Any other error.
 */
export function endingWithoutBytes(
  { paths: { file } }: LegacyWork,
  journal: Journal,
  error: unknown,
): Ending<MigrationOutcome> {
  const empty =
    error instanceof SessionStoreError && error.data.reason === "empty" && error.data.path === file;
  if (!empty) throw error;
  journal.layouts = ["sessions_json"];
  const message =
    `${file} has no content, not even {}: a crash or a full disk may have emptied it. It was left as ` +
    "it is. Look for a backup of it before the gateway starts with no sessions.";
  const warnings = [{ code: "source_zero_bytes", message, data: { path: file } } as const];
  return { outcome: "skipped_empty", tally: withWarnings(EMPTY_TALLY, warnings) };
}
