/**
 * A legacy source, read and checked: every entry that can be a session, told apart from what cannot.
 *
 * A source that is written in place is read again until it holds still; half of a file that is just being written looks
 * like a damaged one. Reads only: a crash leaves nothing behind.
 */
import { SessionStoreError } from "../errors.js";
import { checkEntry } from "./reading/check-entry.js";
import { OddNumbersFound } from "./reading/odd-numbers.js";
import type { LegacyEntry } from "./reading/read-file.js";
import { ReadAgain, stampOf, type LegacySource, type SourceReading } from "./reading/source.js";
import { noteResemblance, type Resemblance } from "./resemblance.js";
import type { LegacyWork } from "./work.js";

export interface Winner {
  /** Which entry of the source the session is. */
  readonly ordinal: number;
  readonly updatedAt: number;
}

/** A source that was read and checked. */
export interface CheckedSource {
  readonly reading: SourceReading;
  readonly winners: ReadonlyMap<string, Winner>;
  readonly resemblance: Resemblance;
}

const ATTEMPTS_MAX = 5;
const PAUSE_MS = 200;

/** Reads until the source holds still, giving each reading to `work`. */
export async function whileChanging<T>(
  work: LegacyWork,
  source: LegacySource,
  attempt: () => Promise<T | undefined>,
): Promise<T> {
  const { host } = work;
  for (let count = 1; count <= ATTEMPTS_MAX; count++) {
    work.throwIfAborted();
    work.startOver();
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

/** Reads and checks the whole source, and gives every entry that will be kept, unless a newer one comes later. */
export async function readSource(
  work: LegacyWork,
  source: LegacySource,
  options: {
    readonly phase: "reading" | "merging";
    /** Filled as the reading goes on. */
    readonly winners: Map<string, Winner>;
    readonly onKept?: (key: string, entry: object, from: LegacyEntry, prior: Winner | undefined) => void;
    readonly afterPiece?: () => Promise<void> | void;
  },
): Promise<CheckedSource> {
  const { winners } = options;
  const resemblance: Resemblance = { like: 0, unlike: 0 };
  const odd = new OddNumbersFound(source.path);
  const reading = await source.read({
    levelsMax: work.rules.limits.depthMax,
    signal: work.signal,
    onEntry: (from) => {
      work.count("read");
      const checked = checkEntry(from, work.rules);
      if (!checked.ok) return work.refuse(checked.refusal);
      const { key, entry, updatedAt } = checked;
      noteResemblance(resemblance, entry, work.rules);
      odd.note(key, from.odd);
      const prior = winners.get(key);
      if (prior !== undefined) work.count("merged");
      if (prior !== undefined && prior.updatedAt > updatedAt) return;
      winners.set(key, { ordinal: from.ordinal, updatedAt });
      options.onKept?.(key, entry, from, prior);
    },
    afterPiece: async (done, total) => {
      work.progress(options.phase, done, total, winners.size);
      await options.afterPiece?.();
    },
  });
  for (const refusal of reading.refusals) {
    work.count("read");
    work.refuse(refusal);
  }
  const warnings = [...reading.warnings, ...odd.warnings()];
  return { reading: { ...reading, warnings }, winners, resemblance };
}
