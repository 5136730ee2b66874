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
import type { DirectorySessionStore, Transaction } from "../../store/types.js";
import { isDamage } from "../damage.js";
import { readSource, type CheckedSource, type Winner } from "../checked-source.js";
import { isTooMuchTogether, refusalOf } from "../reading/check-entry.js";
import { EntryComparison } from "../reading/equality.js";
import type { LegacySource } from "../reading/source.js";
import type { LegacyWork } from "../work.js";

const BATCH_BYTES = 1024 * 1024;
const BATCH_ENTRIES = 32;

interface Candidate {
  readonly key: string;
  readonly givenKey: string;
  readonly entry: object;
  readonly updatedAt: number;
  readonly digest: string;
}

type Verdict = "file" | "same" | "store" | "untouched";

/** A session of the store that it cannot read. */
const DAMAGED = Symbol("damaged");

export class Merge {
  /** Key and digest of every session of the file, in its order. */
  digests: (readonly [key: string, digest: string])[] = [];
  readonly #comparison = new EntryComparison();
  #added = 0;
  #replaced = 0;
  #storeWon = 0;

  constructor(
    private readonly work: LegacyWork,
    private readonly store: DirectorySessionStore<object>,
    private readonly base: ReadonlyMap<string, string>,
  ) {}

  /** Reads a file to its end. @param options.commit False: count what would happen, and change nothing. */
  async read(source: LegacySource, options: { readonly commit: boolean }): Promise<CheckedSource> {
    this.#added = this.#replaced = this.#storeWon = 0;
    const digests = new Map<string, string>();
    const winners = new Map<string, Winner>();
    let pending: Candidate[] = [];
    let bytes = 0;
    const settle = async (): Promise<void> => {
      const batch = pending;
      pending = [];
      bytes = 0;
      await this.#settle(batch, options.commit);
    };
    const checked = await readSource(this.work, source, {
      phase: options.commit ? "merging" : "reading",
      winners,
      onKept: (key, entry, from, prior) => {
        if (prior !== undefined) {
          // Two entries for one session, and this is the newer one. The other is counted once: here, or by its verdict.
          const index = pending.findIndex((earlier) => earlier.key === key);
          if (index < 0) this.work.count("merged", -1);
          else pending.splice(index, 1);
        }
        const digest = this.#comparison.digest(entry);
        digests.set(key, digest);
        const { updatedAt } = winners.get(key)!;
        pending.push({ key, givenKey: from.key, entry, updatedAt, digest });
        bytes += from.newBytes;
      },
      afterPiece: () => (bytes >= BATCH_BYTES || pending.length >= BATCH_ENTRIES ? settle() : undefined),
    });
    await settle();
    this.digests = [...digests];
    return checked;
  }

  /** Sessions that the store did not have. */
  get added(): number {
    return this.#added;
  }

  /** Warnings about what was found. */
  report(path: string): void {
    const data = { path, added: this.#added, replaced: this.#replaced, storeWon: this.#storeWon };
    const taken = this.#added + this.#replaced;
    if (taken > 0) {
      this.work.warn(
        "foreign_merged",
        `${path} was written by somebody else: ${this.#added} of its sessions were added to the store and ` +
          `${this.#replaced} replaced. If an old gateway still runs, stop it or start a mirror.`,
        data,
      );
    }
    if (this.#storeWon > 0) {
      this.work.warn(
        "store_won",
        `${path} has ${this.#storeWon} sessions that differ and are not newer than the store's: the store's were kept. ` +
          "The file's are in the backup.",
        data,
      );
    }
    const inFile = new Set(this.digests.map(([key]) => key));
    const missing = [...this.base.keys()].filter((key) => !inFile.has(key)).length;
    if (missing > 0) {
      const message = `${path} lacks ${missing} sessions that it had before: they stay in the store.`;
      this.work.warn("foreign_missing", message, { path, missing });
    }
  }

  async #settle(batch: Candidate[], commit: boolean): Promise<void> {
    while (batch.length > 0) {
      try {
        const verdicts = commit
          ? await this.store.transact((tx) => this.#decideAll(tx, batch), { signal: this.work.signal })
          : await this.#decideAll(this.store, batch);
        return this.#count(verdicts);
      } catch (error) {
        if (isTooMuchTogether(error) && batch.length > 1) {
          await this.#settle(batch.splice(0, Math.ceil(batch.length / 2)), commit);
          continue;
        }
        const refusal = refusalOf(error, batch.length === 1 ? batch[0]?.key : undefined);
        const index = batch.findLastIndex(({ key }) => key === refusal?.key);
        const [refused] = index < 0 ? [] : batch.splice(index, 1);
        if (refusal === undefined || refused === undefined) throw error;
        this.work.refuse({ ...refusal, key: refused.givenKey });
      }
    }
  }

  async #decideAll(
    view: Transaction<object> | DirectorySessionStore<object>,
    batch: readonly Candidate[],
  ): Promise<{ verdict: Verdict; existed: boolean }[]> {
    const verdicts: { verdict: Verdict; existed: boolean }[] = [];
    for (const candidate of batch) {
      const current = await this.#readable(view, candidate.key);
      const verdict = this.#decide(candidate, current);
      if (verdict === "file" && view !== this.store) await view.put(candidate.key, candidate.entry);
      verdicts.push({ verdict, existed: current !== undefined });
    }
    return verdicts;
  }

  /** A session and every value in it: none of those that cannot be read may cost the others. */
  async #readable(
    view: Transaction<object> | DirectorySessionStore<object>,
    key: string,
  ): Promise<object | typeof DAMAGED | undefined> {
    try {
      const current = await view.get(key);
      if (current !== undefined) this.#comparison.digest(current);
      return current;
    } catch (error) {
      if (!isDamage(error)) throw error;
      return DAMAGED;
    }
  }

  #decide({ key, updatedAt, digest }: Candidate, current: object | typeof DAMAGED | undefined): Verdict {
    const base = this.base.get(key);
    if (base === digest) return "untouched";
    if (current === undefined || current === DAMAGED) return "file";
    const stored = this.#comparison.digest(current);
    if (stored === digest) return "same";
    const storedAt = this.work.rules.updatedAt(current);
    if (updatedAt !== storedAt) return updatedAt > storedAt ? "file" : "store";
    return stored === base ? "file" : "store";
  }

  #count(verdicts: readonly { verdict: Verdict; existed: boolean }[]): void {
    for (const { verdict, existed } of verdicts) {
      if (verdict === "file") {
        this.work.count("kept");
        if (existed) this.#replaced++;
        else this.#added++;
      } else if (verdict === "store") {
        this.work.count("merged");
        this.#storeWon++;
      } else this.work.count("unchanged");
    }
  }
}
