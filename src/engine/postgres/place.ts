/** Where a store is in a database. */
export interface Place {
  /** Of the tables. */
  readonly schema: string;
  /** Number of the store in them. */
  readonly store: number;
  /** Its name. */
  readonly name: string;
  /** What tells this store from one that had its name before it. */
  readonly history: string;
  /** How long a statement may take, in milliseconds. */
  readonly timeoutMs: number;
}
