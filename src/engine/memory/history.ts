/**
 * The changes of the latest commits, whole: a transaction is never half in it. Commits are told of in the order of their
 * revisions, each of which has one.
 */
import { SessionStoreError } from "../../errors.js";
import type { EngineChange } from "../contract.js";

export type PastChange = Omit<EngineChange, "last">;

export class History {
  /** The commits above #forgotten: `#commits[i]` has revision #forgotten + 1 + i. */
  readonly #commits: { readonly changes: readonly PastChange[]; readonly bytes: number }[] = [];
  #bytes = 0;
  #forgotten = 0;

  /**
   * @param commitsMax Number of commits kept.
   * @param bytesMax Bytes of JSON that they hold.
   */
  constructor(
    private readonly commitsMax: number,
    private readonly bytesMax: number,
  ) {}

  /** Enters the next commit, and lets go of the oldest for it. */
  add(changes: readonly PastChange[], bytes: number): void {
    this.#commits.push({ changes, bytes });
    this.#bytes += bytes;
    while (this.#commits.length > this.commitsMax || this.#bytes > this.bytesMax) {
      this.#bytes -= this.#commits.shift()?.bytes ?? 0;
      this.#forgotten += 1;
    }
  }

  /**
   * The changes of the commit behind `position`; undefined: it is the latest.
   * @throws `revision_too_old`
   */
  after(position: number): readonly PastChange[] | undefined {
    const revision = this.#forgotten + this.#commits.length;
    if (position < this.#forgotten) throw tooOld(position, this.#forgotten, revision);
    return this.#commits[position - this.#forgotten]?.changes;
  }
}

function tooOld(since: number, forgotten: number, revision: number): SessionStoreError {
  return new SessionStoreError(
    "revision_too_old",
    `the changes after revision ${since} are gone, up to revision ${forgotten}. List the sessions, then watch ` +
      `from revision ${revision}.`,
    { data: { since, revision } },
  );
}
