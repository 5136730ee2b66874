/**
 * Merges a foreign legacy file into a store: session by session, newest `updatedAt`, conditional commits. `base` is what
 * both sides last had (known-files.ts). Who wins:
 *
 *     file = base                       the old gateway did not touch it: the store, even if it has deleted it
 *     not in the store                  the file
 *     same content                      nobody
 *     file's updatedAt is newer         the file
 *     the same, and store = base        the file: only the old gateway changed it
 *     the store cannot read its own     the file, unless that is base: then whatever is newer may still be mended
 *     otherwise                         the store; a warning says for how many
 *
 * A session that is missing from the file is never deleted for that: an old gateway cannot know what came after it. Each
 * batch is a transaction, so decisions hold for the state that they were made on, whoever else is writing. A crash leaves
 * some batches committed; merging again finds them unchanged.
 */
import { plural } from "../../plural.js";
import type { DirectorySessionStore, Transaction } from "../../store/types.js";
import { isDamage } from "../run/damage.js";
import { Intake, readSource } from "../run/checked-source.js";
import { isTooMuchTogether, refusalOf } from "../reading/check-entry.js";
import { EntryComparison } from "../reading/equality.js";
import type { LegacySource, SourceReading } from "../reading/source.js";
import type { Tally } from "../base/tally.js";
import type { LegacyWarning } from "../base/types.js";
import type { LegacyWork } from "../run/work.js";

const BATCH_BYTES = 1024 * 1024;
const BATCH_ENTRIES = 32;

interface Candidate {
  readonly key: string;
  readonly givenKey: string;
  readonly entry: object;
  readonly updatedAt: number;
  readonly digest: string;
}

/** Whose version of a session is taken. */
type Winning = "file" | "same" | "store" | "untouched";

/** A session of the store that it cannot read. */
const DAMAGED = Symbol("damaged");

type StoreView = Transaction<object> | DirectorySessionStore<object>;

/** What merging a file came to, or would come to. */
export interface Merged {
  readonly reading: SourceReading;
  readonly intake: Intake;
  /** Key and digest of every session of the file, in its order. */
  readonly digests: readonly (readonly [key: string, digest: string])[];
  /** Sessions that the store did not have. */
  readonly added: number;
  readonly tally: Tally;
}

/** Sessions by whose version was taken, as they are decided. */
class Decided {
  added = 0;
  replaced = 0;
  storeWon = 0;
  unchanged = 0;

  note({ winning, existed }: { readonly winning: Winning; readonly existed: boolean }): void {
    if (winning === "store") this.storeWon++;
    else if (winning !== "file") this.unchanged++;
    else if (existed) this.replaced++;
    else this.added++;
  }
}

export class Merge {
  readonly #comparison = new EntryComparison();

  constructor(
    private readonly work: LegacyWork,
    private readonly store: DirectorySessionStore<object>,
    private readonly base: ReadonlyMap<string, string>,
  ) {}

  /** Reads a file to its end. @param options.commit False: say what would happen, and change nothing. */
  async read(source: LegacySource, { commit }: { readonly commit: boolean }): Promise<Merged> {
    const intake = new Intake();
    const decided = new Decided();
    const digests = new Map<string, string>();
    let pending: Candidate[] = [];
    let bytes = 0;
    const decideBatch = async (): Promise<void> => {
      const batch = pending;
      pending = [];
      bytes = 0;
      await this.#decideBatch(batch, commit, intake, decided);
    };
    const reading = await readSource(this.work, source, intake, {
      phase: commit ? "merging" : "reading",
      onKept: (key, entry, from, prior) => {
        // Two entries for one session, and this is the newer one: the other one gives way, unless it is decided by now.
        const index = prior === undefined ? -1 : pending.findIndex((earlier) => earlier.key === key);
        if (index >= 0) pending.splice(index, 1);
        const digest = this.#comparison.digest(entry);
        digests.set(key, digest);
        const { updatedAt } = intake.winners.get(key)!;
        pending.push({ key, givenKey: from.key, entry, updatedAt, digest });
        bytes += from.newBytes;
      },
      afterPiece: () => (bytes >= BATCH_BYTES || pending.length >= BATCH_ENTRIES ? decideBatch() : undefined),
    });
    await decideBatch();
    const { added, replaced, unchanged } = decided;
    const warnings = [...reading.warnings, ...this.#describe(source.path, decided, digests)];
    const tally = intake.tally({ kept: added + replaced, unchanged }, warnings);
    return { reading, intake, digests: [...digests], added, tally };
  }

  #describe(
    path: string,
    { added, replaced, storeWon }: Decided,
    inFile: ReadonlyMap<string, string>,
  ): LegacyWarning[] {
    const warnings: LegacyWarning[] = [];
    const data = { path, added, replaced, storeWon };
    if (added + replaced > 0) {
      const message =
        `${path} was written by somebody else: of its sessions, ${added} went into the store as new and ${replaced} ` +
        "in place of an older version. If an old gateway still runs, stop it or start a mirror.";
      warnings.push({ code: "foreign_merged", message, data });
    }
    if (storeWon > 0) {
      const message =
        `${path} has another version, and no newer one, of ${plural(storeWon, "session")}: the store's was kept. ` +
        "The file's is in the backup.";
      warnings.push({ code: "store_won", message, data });
    }
    const missing = [...this.base.keys()].filter((key) => !inFile.has(key)).length;
    if (missing > 0) {
      const message = `${path} lacks ${plural(missing, "session")} that it had before: nothing is deleted in the store for that.`;
      warnings.push({ code: "foreign_missing", message, data: { path, missing } });
    }
    return warnings;
  }

  async #decideBatch(batch: Candidate[], commit: boolean, intake: Intake, decided: Decided): Promise<void> {
    while (batch.length > 0) {
      try {
        const decisions = commit
          ? await this.store.transact((tx) => this.#decideAll(tx, batch), { signal: this.work.signal })
          : await this.#decideAll(this.store, batch);
        for (const decision of decisions) decided.note(decision);
        return;
      } catch (error) {
        if (isTooMuchTogether(error) && batch.length > 1) {
          await this.#decideBatch(batch.splice(0, Math.ceil(batch.length / 2)), commit, intake, decided);
          continue;
        }
        const refusal = refusalOf(error, batch.length === 1 ? batch[0]?.key : undefined);
        const index = batch.findLastIndex(({ key }) => key === refusal?.key);
        const [refused] = index < 0 ? [] : batch.splice(index, 1);
        if (refusal === undefined || refused === undefined) throw error;
        intake.refusals.add({ ...refusal, key: refused.givenKey });
      }
    }
  }

  async #decideAll(
    view: StoreView,
    batch: readonly Candidate[],
  ): Promise<{ winning: Winning; existed: boolean }[]> {
    const decisions: { winning: Winning; existed: boolean }[] = [];
    for (const candidate of batch) {
      const current = await this.#readable(view, candidate.key);
      const winning = this.#decide(candidate, current);
      if (winning === "file" && view !== this.store) await view.put(candidate.key, candidate.entry);
      decisions.push({ winning, existed: current !== undefined });
    }
    return decisions;
  }

  /** A session and every value in it: none of those that cannot be read may cost the others. */
  async #readable(view: StoreView, key: string): Promise<object | typeof DAMAGED | undefined> {
    try {
      const current = await view.get(key);
      if (current !== undefined) this.#comparison.digest(current);
      return current;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return DAMAGED;
    }
  }

  #decide({ key, updatedAt, digest }: Candidate, current: object | typeof DAMAGED | undefined): Winning {
    const base = this.base.get(key);
    if (base === digest) return "untouched";
    if (current === undefined || current === DAMAGED) return "file";
    const stored = this.#comparison.digest(current);
    if (stored === digest) return "same";
    const storedAt = this.work.rules.updatedAt(current);
    if (updatedAt !== storedAt) return updatedAt > storedAt ? "file" : "store";
    return stored === base ? "file" : "store";
  }
}
