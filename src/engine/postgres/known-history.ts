/**
 * What this process knows of the store's history, and whether the database still has it.
 *
 * A failover to a standby that had not everything, or a backup that was put back, takes commits away that were acknowledged and
 * seen. Revisions are given again then, to other commits. Two things tell: the counter is below a revision that this process knew
 * when it asked; or the change that had the highest revision it can name is now another one's. The second also finds a history
 * that has grown beyond what was known since, and is asked on every new connection.
 *
 * It is noticed, not mended: what was acknowledged is gone. Caches are dropped, watches end with `history_rewound`, and the owner is warned.
 */
import { SessionStoreError, type StoreWarning } from "../../errors.js";
import type { Place } from "./place.js";
import type { Sql } from "./sql.js";

export interface KnownHistoryOptions {
  readonly place: Place;
  readonly onWarning: (warning: StoreWarning) => void;
  /** Called when everything that was known has to be forgotten. */
  readonly onRewound: () => void;
  /** A standby may be behind, and another one further: nothing is concluded from that. */
  readonly readOnly: boolean;
}

/** What was known when a statement was sent. */
export interface Known {
  readonly revision: number;
  readonly era: number;
}

export class KnownHistory {
  #revision = 0;
  /** The highest revision whose batch is known. */
  #named: { readonly revision: number; readonly batch: string } | undefined;
  #era = 0;
  #rewound: SessionStoreError | undefined;

  constructor(private readonly options: KnownHistoryOptions) {}

  /** To be kept until the answer to what is sent now. */
  now(): Known {
    return { revision: this.#revision, era: this.#era };
  }

  /** The error for who has followed the history since `era`; undefined: it is still the same. */
  rewoundSince(era: number): SessionStoreError | undefined {
    return era === this.#era ? undefined : this.#rewound;
  }

  /** This batch has this revision, its last one. */
  saw(revision: number, batch: string): void {
    this.#revision = Math.max(this.#revision, revision);
    if (revision >= (this.#named?.revision ?? 0)) this.#named = { revision, batch };
  }

  /** The store is at this revision, by a statement that was sent when `known` was. */
  sawHead(head: number, known: Known): void {
    if (known.era !== this.#era) return;
    if (head < known.revision) this.#conclude(known.revision, head);
    this.#revision = Math.max(this.#revision, head);
  }

  /** On a connection that is new: nobody knows yet which server it leads to. */
  async compare(sql: Sql): Promise<void> {
    const { schema, store } = this.options.place;
    const known = this.now();
    if (known.revision === 0) return;
    const named = this.#named;
    const [row] = await sql.query(
      `select s.rev, s.floor, (select l.batch from ${schema}.log l where l.store = s.id and l.rev = $2::bigint order by l.ord limit 1) as batch
from ${schema}.store s where s.id = $1`,
      [store, named?.revision ?? 0],
    );
    if (row === undefined) return; // it was removed: whoever reads is told
    const [head, floor] = [Number(row["rev"]), Number(row["floor"])];
    this.sawHead(head, known);
    // A commit that changed nothing has no row.
    const isOther =
      named !== undefined && floor < named.revision && row["batch"] !== null && row["batch"] !== named.batch;
    if (isOther && known.era === this.#era) this.#conclude(named.revision, head);
  }

  #conclude(known: number, revision: number): void {
    const { place, readOnly, onWarning, onRewound } = this.options;
    if (readOnly) return;
    const message =
      `the history of store ${place.name} went backwards: this process knew revision ${known}, and the database is at ${revision} ` +
      "without it. A failover lost commits that were acknowledged, or a backup was put back. List the sessions, then watch since " +
      `${revision}.`;
    const data = { store: place.name, known, revision };
    this.#era++;
    this.#revision = 0;
    this.#named = undefined;
    this.#rewound = new SessionStoreError("history_rewound", message, { data });
    onRewound();
    onWarning({ code: "history_rewound", message, data });
  }
}
