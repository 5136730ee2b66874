/** What the engine's parts need of a connection. */
export type Value = string | number | boolean | null | readonly (string | number | boolean | null)[];
export type Row = Readonly<Record<string, string | number | boolean | null>>;
export type Rows = readonly Row[];

export interface Sql {
  /** Rows of one statement. Those that are sent without waiting for the former run one after the other. */
  query(text: string, values?: readonly Value[]): Promise<Rows>;
}
