/**
 * `quarantine/<segment>.guessed.json`: the sessions of which mending a log could not prove the latest state.
 *
 * It is durable before the first of these states is written to a file, for from then on that file is as good as a proof: who
 * mends again would not know that it was guessed. So what an earlier run listed, and what still is what was kept, is listed
 * again. The list stays beside the damaged segment until a person removes it.
 *
 * A crash leaves a temporary file in a staging folder, or the list of a run that did not finish.
 */
import { createFile, readRegularFile, syncDirectory } from "../../fs/regular-file.js";
import { segmentName } from "../../format/layout.js";
import type { SessionLog } from "./session-log.js";

/** A session, or a transcript of one, whose latest state could not be proved. */
export interface Guess {
  readonly key: string;
  /** Name of the transcript that it is about; left out: the record. */
  readonly transcript?: string;
  /** What was kept; 0 if the session is deleted, or nothing of it is left. */
  readonly revision: number;
  /** Revisions of all states of it that were found, oldest first; 0 for a deletion. */
  readonly candidates: readonly number[];
}

/** A hundred thousand sessions with keys of the greatest length. */
const LIST_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Lists guesses, durably, and those of an earlier run over the same damage.
 * @param segment Number of the highest damaged segment, which stays in the log until all is mended.
 * @param decided Revisions that this run has decided for, of all sessions and transcripts in doubt, by {@link nameOf}.
 * @returns All guesses, and where they are listed.
 */
export async function listGuesses(
  log: SessionLog,
  segment: number,
  guesses: readonly Guess[],
  decided: ReadonlyMap<string, number>,
): Promise<{ readonly path: string; readonly guesses: readonly Guess[] }> {
  const { fs, layout, runtime } = log.options;
  const path = `${layout.quarantine}/${segmentName(segment)}.guessed.json`;
  const again = new Set(guesses.map(nameOf));
  const earlier = earlierGuesses(log, path).filter(
    (guess) => !again.has(nameOf(guess)) && decided.get(nameOf(guess)) === guess.revision,
  );
  const all = [...guesses, ...earlier];
  if (guesses.length > 0) {
    const temporary = `${layout.stageFolder(log.active.ledger.stage)}/${runtime.randomName(8)}`;
    const bytes = Buffer.from(`${JSON.stringify({ guessed: all }, undefined, 2)}\n`);
    await createFile(fs, temporary, bytes, { sync: true });
    await fs.later.rename(temporary, path);
    await syncDirectory(fs, layout.quarantine);
  }
  return { path, guesses: all };
}

/** What a guess is about. */
export function nameOf({ key, transcript }: Pick<Guess, "key" | "transcript">): string {
  return JSON.stringify(transcript === undefined ? [key] : [key, transcript]);
}

/** A list that cannot be read is none: it was not made by a run that got this far, or a person has changed it. */
function earlierGuesses({ options }: SessionLog, path: string): Guess[] {
  try {
    const bytes = readRegularFile(options.fs, path, { bytesMax: LIST_BYTES_MAX });
    const { guessed } = JSON.parse(bytes.toString()) as { readonly guessed: readonly unknown[] };
    return guessed.filter((guess) => isGuess(guess));
  } catch {
    return [];
  }
}

function isGuess(value: unknown): value is Guess {
  const { key, transcript, revision, candidates } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof key === "string" &&
    (transcript === undefined || typeof transcript === "string") &&
    Number.isSafeInteger(revision) &&
    Array.isArray(candidates) &&
    candidates.every((candidate) => Number.isSafeInteger(candidate))
  );
}
