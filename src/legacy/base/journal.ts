/**
 * What one run has found and done so far, told as it happens, so that it holds for a run that fails as well. Nothing is ever
 * taken back from it; what an attempt merely counted is a tally (tally.ts).
 */
import type { LegacyLayout, LegacyWarning } from "./types.js";

export class Journal {
  /**
   * What is true if the next call fails, as a sentence for people. Only the code that changes something knows, so errors from
   * below say nothing of the kind.
   */
  state = "The sessions are as they were.";
  /** What was found where entries come from. */
  layouts: readonly LegacyLayout[] = [];
  /** Bytes of the files that are replaced, and of those that replace them. */
  bytesBefore = 0;
  bytesAfter = 0;
  /** Of the `NAME.json` that was read or written, in hex. */
  sha256: string | undefined;
  readonly backups: string[] = [];
  readonly warnings: LegacyWarning[] = [];
}
