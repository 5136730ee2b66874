/**
 * A legacy source, read and checked: every entry that can be a session, told apart from what cannot.
 *
 * A source that is written in place is read again until it holds still; half of a file that is just being written looks
 * like a damaged one. Reads only: a crash leaves nothing behind.
 */
import { SessionStoreError } from "../../errors.js";
import { checkEntry } from "../reading/check-entry.js";
import { Refusals, type Tally } from "../base/tally.js";
import { OddNumbersFound } from "../reading/odd-numbers.js";
import type { LegacyEntry } from "../reading/read-file.js";
import { ReadAgain, stampOf, type LegacySource, type SourceReading } from "../reading/source.js";
import { noteResemblance } from "./resemblance.js";
import type { LegacyWarning, Refusal } from "../base/types.js";
import type { LegacyWork } from "./work.js";

export interface Winner {
  /** Which entry of the source the session is. */
  readonly ordinal: number;
  readonly updatedAt: number;
}

/** What one attempt to read a source has taken in so far. Dropped with the attempt. */
export class Intake {
  read = 0;
  /** By session: the entry that is it, as far as was read. */
  readonly winners = new Map<string, Winner>();
  readonly refusals = new Refusals();
  /** Of entries that could be kept: those that look like sessions, and those that do not. One without any field says neither. */
  like = 0;
  unlike = 0;

  /** The store does not take this version of a session: the one before it is the session, if there is one. */
  refuseWinner(key: string, prior: Winner | undefined, refusal: Refusal): void {
    this.refusals.add(refusal);
    if (prior === undefined) this.winners.delete(key);
    else this.winners.set(key, prior);
  }

  /** What was neither refused nor kept nor there before gave way to a newer version of its session. */
  tally(
    { kept, unchanged }: { readonly kept: number; readonly unchanged: number },
    warnings: readonly LegacyWarning[],
  ): Tally {
    const { read } = this;
    const { count: refused, named } = this.refusals;
    const counts = { read, kept, merged: read - kept - unchanged - refused, unchanged, refused };
    return { counts, refusals: named, warnings };
  }
}

const ATTEMPTS_MAX = 5;
const PAUSE_MS = 200;

/** Reads until the source holds still. */
export async function whileChanging<T>(
  work: LegacyWork,
  source: LegacySource,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const { host } = work;
  for (let count = 1; count <= ATTEMPTS_MAX; count++) {
    work.throwIfAborted();
    const before = await stampOf(host, source.path);
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      // Half of a file that is just being written looks like a damaged one.
      const damaged = error instanceof SessionStoreError && error.code === "legacy_invalid";
      if (!(error instanceof ReadAgain) && !(damaged && before !== (await stampOf(host, source.path))))
        throw error;
    }
    await host.runtime.sleep(PAUSE_MS * count);
  }
  throw new SessionStoreError(
    "legacy_changing",
    `${source.path} was written again and again while it was being read: stop the gateway that writes it, ` +
      "then try again.",
    { data: { path: source.path, attempts: ATTEMPTS_MAX } },
  );
}

/**
 * Reads and checks the whole source, and gives every entry that will be kept, unless a newer one comes later.
 * @param intake Filled as the reading goes on.
 */
export async function readSource(
  work: LegacyWork,
  source: LegacySource,
  intake: Intake,
  options: {
    readonly phase: "reading" | "merging";
    readonly onKept?: (key: string, entry: object, from: LegacyEntry, prior: Winner | undefined) => void;
    readonly afterPiece?: () => Promise<void> | void;
  },
): Promise<SourceReading> {
  const { winners } = intake;
  const odd = new OddNumbersFound(source.path);
  const reading = await source.read({
    levelsMax: work.rules.limits.depthMax,
    signal: work.signal,
    onEntry: (from) => {
      intake.read++;
      const checked = checkEntry(from, work.rules);
      if (!checked.ok) return intake.refusals.add(checked.refusal);
      const { key, entry, updatedAt } = checked;
      noteResemblance(intake, entry, work.rules);
      odd.note(key, from.odd);
      const prior = winners.get(key);
      if (prior !== undefined && prior.updatedAt > updatedAt) return;
      winners.set(key, { ordinal: from.ordinal, updatedAt });
      options.onKept?.(key, entry, from, prior);
    },
    afterPiece: async (done, total) => {
      work.progress(options.phase, done, total, winners.size);
      await options.afterPiece?.();
    },
  });
  intake.read += reading.refusals.length;
  for (const refusal of reading.refusals) intake.refusals.add(refusal);
  return { ...reading, warnings: [...reading.warnings, ...odd.warnings()] };
}
